//! The requests about one object, each sent once, within a time of its own, with what the endpoint understands.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketLocationConstraint, ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, CreateBucketConfiguration,
    ObjectCannedAcl, ServerSideEncryption,
};
use bytes::Bytes;

use super::capabilities::Features;
use super::classify::Failure;
use super::{Endpoint, Target};

/// One object at its place.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) target: &'a Target,
    pub(super) key: &'a str,
    /// `Content-Encoding`, where the body is packed.
    pub(super) encoding: Option<&'static str>,
}

/// Asks whether the bucket is there and may be used.
pub(super) async fn head_bucket(endpoint: &Endpoint, target: &Target) -> Result<(), Failure> {
    let request = endpoint.client(false).head_bucket().bucket(&target.bucket);
    within(endpoint.shared.timeouts.answer, request.send())
        .await
        .map(|_| ())
        .map_err(|failure| failure.during("HeadBucket"))
}

impl Object<'_> {
    /// Writes the whole object in one request.
    pub(super) async fn put(&self, body: Bytes) -> Result<(), Failure> {
        let limit = self.endpoint.shared.timeouts.with_body(body.len());
        let sent = self.adapting(|features| {
            let request = self
                .endpoint
                .client(features.checksum)
                .put_object()
                .bucket(&self.target.bucket)
                .key(self.key)
                .content_type(&self.target.content_type)
                .set_content_encoding(self.encoding.map(str::to_owned))
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(self.target.kms_key_arn.clone())
                .set_acl(self.acl())
                .set_if_none_match(condition(features))
                .body(ByteStream::from(body.clone()))
                .customize();
            let request = if features.unsigned { request.disable_payload_signing() } else { request };
            within(limit, request.send())
        });
        sent.await.map(drop).map_err(|failure| failure.during("PutObject"))
    }

    /// Opens a multipart upload: its id.
    pub(super) async fn create_upload(&self) -> Result<String, Failure> {
        let limit = self.endpoint.shared.timeouts.answer;
        let sent = self.adapting(|features| {
            let request = self
                .endpoint
                .client(features.checksum)
                .create_multipart_upload()
                .bucket(&self.target.bucket)
                .key(self.key)
                .content_type(&self.target.content_type)
                .set_content_encoding(self.encoding.map(str::to_owned))
                .set_server_side_encryption(self.encryption())
                .set_ssekms_key_id(self.target.kms_key_arn.clone())
                .set_acl(self.acl())
                // Without it, AWS refuses the parts' checksums.
                .set_checksum_algorithm(features.checksum.then_some(ChecksumAlgorithm::Crc32));
            within(limit, request.send())
        });
        let created = sent.await.map_err(|failure| failure.during("CreateMultipartUpload"))?;
        created.upload_id.filter(|id| !id.is_empty()).ok_or_else(Failure::no_upload_id)
    }

    /// Sends one part; numbers begin at 1.
    pub(super) async fn upload_part(&self, id: &str, number: i32, part: Bytes) -> Result<CompletedPart, Failure> {
        let limit = self.endpoint.shared.timeouts.with_body(part.len());
        let sent = self.adapting(|features| {
            let request = self
                .endpoint
                .client(features.checksum)
                .upload_part()
                .bucket(&self.target.bucket)
                .key(self.key)
                .upload_id(id)
                .part_number(number)
                .body(ByteStream::from(part.clone()))
                .customize();
            let request = if features.unsigned { request.disable_payload_signing() } else { request };
            within(limit, request.send())
        });
        let sent = sent.await.map_err(|failure| failure.during(&format!("UploadPart {number}")))?;
        // Where the server keeps part checksums it wants them back when the upload is completed.
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .build())
    }

    /// Makes an object of the parts.
    pub(super) async fn complete(&self, id: &str, parts: Vec<CompletedPart>) -> Result<(), Failure> {
        let upload = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let limit = self.endpoint.shared.timeouts.complete;
        let sent = self.adapting(|features| {
            let request = self
                .endpoint
                .client(features.checksum)
                .complete_multipart_upload()
                .bucket(&self.target.bucket)
                .key(self.key)
                .upload_id(id)
                .set_if_none_match(condition(features))
                .multipart_upload(upload.clone());
            within(limit, request.send())
        });
        sent.await.map(drop).map_err(|failure| failure.during("CompleteMultipartUpload"))
    }

    /// Throws away what was uploaded; an upload that is gone is as good.
    ///
    /// A part that arrives meanwhile can stay behind, so an upload counts as gone only when the server no longer knows it, or when
    /// the caller has seen every part `landed`.
    pub(super) async fn abort(&self, id: &str, landed: bool) -> Result<(), Failure> {
        let shared = &self.endpoint.shared;
        let request = self
            .endpoint
            .client(false)
            .abort_multipart_upload()
            .bucket(&self.target.bucket)
            .key(self.key)
            .upload_id(id);
        match within(shared.timeouts.answer, request.send()).await {
            Ok(_) if !landed => return Ok(()),
            Ok(_) => {}
            Err(failure) if failure.status() == Some(404) => {}
            Err(failure) => return Err(failure.during("AbortMultipartUpload")),
        }
        shared.learned.upload_is_gone(id);
        Ok(())
    }

    /// The object's size, if it is there.
    pub(super) async fn head(&self) -> Result<u64, Failure> {
        let request = self.endpoint.client(false).head_object().bucket(&self.target.bucket).key(self.key);
        let found = within(self.endpoint.shared.timeouts.answer, request.send())
            .await
            .map_err(|failure| failure.during("HeadObject"))?;
        Ok(found.content_length.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default())
    }

    /// Makes the bucket; that somebody was quicker does not matter.
    pub(super) async fn create_bucket(&self) -> Result<(), Failure> {
        let shared = &self.endpoint.shared;
        let location = shared.location.as_deref().map(|region| {
            CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(region)).build()
        });
        let request = self
            .endpoint
            .client(false)
            .create_bucket()
            .bucket(&self.target.bucket)
            .set_create_bucket_configuration(location);
        match within(shared.timeouts.answer, request.send()).await {
            Ok(_) => tracing::info!(endpoint = shared.name, bucket = self.target.bucket, "made the missing bucket"),
            Err(failure) if matches!(failure.code(), "BucketAlreadyOwnedByYou" | "BucketAlreadyExists") => {}
            Err(failure) => return Err(failure.during("CreateBucket")),
        }
        Ok(())
    }

    /// Sends with all that the endpoint is believed to understand, and again without what the answer complains about.
    async fn adapting<T, S>(&self, send: impl Fn(Features) -> S) -> Result<T, Failure>
    where
        S: Future<Output = Result<T, Failure>>,
    {
        let shared = &self.endpoint.shared;
        let first = shared.learned.features(&self.target.bucket);
        let mut features = first;
        loop {
            match Box::pin(send(features)).await {
                Ok(answer) => {
                    shared.learned.confirm(&shared.name, first, features);
                    return Ok(answer);
                }
                Err(failure) => features = features.without_rejected(&failure).ok_or(failure)?,
            }
        }
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.target.kms_key_arn.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }

    fn acl(&self) -> Option<ObjectCannedAcl> {
        self.target.owner_full_control.then_some(ObjectCannedAcl::BucketOwnerFullControl)
    }
}

fn condition(features: Features) -> Option<String> {
    features.condition.then(|| "*".to_owned())
}

/// The answer to `request`, or what its absence within `limit` means.
async fn within<T, E>(
    limit: Duration,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Failure::of(&error)),
        Err(_) => Err(Failure::timed_out()),
    }
}
