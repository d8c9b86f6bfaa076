//! The Firehose API: AWS JSON 1.1.
//!
//! `POST /` with `X-Amz-Target: Firehose_20150804.<operation>`. The two puts go from bytes to the log's buffer; everything else
//! is JSON in, JSON out. The content type is not looked at: clients differ, and the target says it all.

use bytes::Bytes;
use hydrant_model::RecordIdentity;
use hyper::HeaderMap;
use serde_json::Value;

use super::answer::{self, Answer};
use super::backend::{Appended, PutError, Refused};
use super::body::{BodyError, Inbound};
use super::error::ErrorStatus;
use super::put::{self, Limits, Put, RecordIds, Records, Refusal};
use super::routes::{UNKNOWN, known_operation};
use super::{Api, ApiError};

/// Answers a request, and says which operation it was.
pub(super) async fn answer(api: &Api, inbound: &mut Inbound) -> (&'static str, Answer) {
    let target = match target(&inbound.head.headers) {
        Ok(target) => target.to_owned(),
        Err(error) => return (UNKNOWN, answer::aws_error(&api.ids, &error)),
    };
    let operation = known_operation(&target);
    let answered = match target.as_str() {
        "PutRecord" => put_records(api, inbound, Shape::Record).await,
        "PutRecordBatch" => put_records(api, inbound, Shape::Batch).await,
        other => control(api, inbound, other).await,
    };
    let answer = match answered {
        Ok(body) => answer::aws(&api.ids, body),
        Err(error) => answer::aws_error(&api.ids, &error),
    };
    (operation, answer)
}

/// The operation that a request names.
fn target(headers: &HeaderMap) -> Result<&str, ApiError> {
    let Some(target) = headers.get("x-amz-target") else {
        let message = format!("Header X-Amz-Target is missing, {TARGET_PREFIX}<operation> is expected");
        return Err(ApiError::exception("UnknownOperationException", message));
    };
    let operation = target.to_str().ok().and_then(|target| target.strip_prefix(TARGET_PREFIX));
    operation.ok_or_else(|| ApiError::unknown_operation(&String::from_utf8_lossy(target.as_bytes())))
}

/// Everything but the puts.
async fn control(api: &Api, inbound: &mut Inbound, operation: &str) -> Result<Vec<u8>, ApiError> {
    let received = api.bodies.read(inbound, api.settings.max_request_bytes.min(MAX_CONTROL_BYTES)).await?;
    let caller = api.authenticator.authenticate(&inbound.head, &received.sent)?;
    let request: Value = if received.bytes.is_empty() {
        Value::Object(serde_json::Map::new())
    } else {
        serde_json::from_slice(&received.bytes)
            .map_err(|error| ApiError::exception("SerializationException", format!("Body is not JSON: {error}")))?
    };
    caller.may(operation, request.get("DeliveryStreamName").and_then(Value::as_str))?;
    let answer = api.backend.control(operation, request).await?;
    Ok(answer.to_string().into_bytes())
}

/// Which of the two puts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Record,
    Batch,
}

async fn put_records(api: &Api, inbound: &mut Inbound, shape: Shape) -> Result<Vec<u8>, ApiError> {
    let received = api.bodies.read(inbound, api.settings.max_request_bytes).await?;
    let caller = api.authenticator.authenticate(&inbound.head, &received.sent)?;
    let limits = Limits::default();
    let limits = Limits { max_record: limits.max_record.min(api.settings.max_record_bytes), ..limits };
    let (stream, records) = parse(received.bytes.clone(), shape, limits).await?;
    let action = if shape == Shape::Record { "PutRecord" } else { "PutRecordBatch" };
    caller.may(action, Some(&stream))?;
    let mut booking = received.into_booking();
    booking.resize(records.body.capacity()).await?;
    let found = api.backend.stream(&stream);
    let target = found.ok_or_else(|| ApiError::no_such_stream(&stream, api.backend.account()))?;
    if let Some(refused) = target.refuses() {
        return Err(refusal(refused, &stream, api.backend.account()));
    }
    let (count, bytes) = (records.len(), records.body.len());
    match target.put(records).await {
        Ok(Appended { birth, first, .. }) => {
            target.metrics().accepted(count, bytes);
            let identity = RecordIdentity { birth, offset: first, sub_index: 0 };
            Ok(accepted(&mut RecordIds::new(target.tag(), identity), shape, count))
        }
        Err(PutError::Refused(refused)) => Err(refusal(refused, &stream, api.backend.account())),
        Err(error @ (PutError::SlowDown(_) | PutError::RateLimited)) if shape == Shape::Batch => {
            tracing::debug!(stream, %error, "a batch was refused");
            let mut body = Vec::new();
            put::write_refused_batch(&mut body, count);
            Ok(body)
        }
        Err(error @ (PutError::SlowDown(_) | PutError::RateLimited)) => Err(ApiError::slow_down().with_cause(error)),
        Err(PutError::Failed(cause)) => Err(ApiError::internal(cause)),
    }
}

/// Reads a put. A long body is read where it holds up nobody.
async fn parse(body: Bytes, shape: Shape, limits: Limits) -> Result<(String, Records), ApiError> {
    let is_long = body.len() > LONG_BODY;
    let parse = move || -> Result<_, Refusal> {
        let put = match shape {
            Shape::Record => Put::from_record_body(&body, limits),
            Shape::Batch => Put::from_batch_body(&body, limits),
        }?;
        Ok((put.stream.into_owned(), put.records))
    };
    let parsed = if is_long { tokio::task::spawn_blocking(parse).await.map_err(ApiError::internal)? } else { parse() };
    parsed.map_err(|refusal| ApiError::exception(refusal.error_type(), refusal.to_string()))
}

fn accepted(ids: &mut RecordIds, shape: Shape, count: usize) -> Vec<u8> {
    match shape {
        Shape::Record => {
            let mut body = Vec::with_capacity(RecordIds::TEXT_LENGTH + 40);
            put::write_accepted_record(&mut body, ids);
            body
        }
        Shape::Batch => {
            let mut body = Vec::new();
            put::write_accepted_batch(&mut body, ids, count);
            body
        }
    }
}

fn refusal(refused: Refused, stream: &str, account: &str) -> ApiError {
    match refused {
        Refused::Deleting => ApiError::no_such_stream(stream, account),
        Refused::NotDirectPut => {
            let message = format!(
                "Put operations are disabled for Firehose {stream} under account {account}: its source is not DirectPut."
            );
            ApiError::exception("InvalidArgumentException", message)
        }
    }
}

impl From<BodyError> for ApiError {
    /// In the words that all AWS services share.
    ///
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/CommonErrors.html>
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge { .. } => Self::new(ErrorStatus::TooLarge, "RequestEntityTooLargeException", message),
            BodyError::NoRoom => Self::slow_down().with_cause(error),
            BodyError::TooSlow => Self::new(ErrorStatus::RequestTimeout, "RequestTimeoutException", message),
            BodyError::Aborted(cause) => Self::exception("RequestAbortedException", message).with_cause(cause),
            BodyError::UnknownEncoding(_) | BodyError::WrongEncoding(_) => {
                Self::exception("MalformedHttpRequestException", message)
            }
            BodyError::Failed(cause) => Self::internal(cause),
        }
    }
}

/// What is read within half a millisecond is read at once, by the scanner; the parser takes three times as long.
pub(super) const LONG_BODY: usize = 1 << 20;

/// The largest of the control plane's requests, with all tags and prefixes, has a tenth of this; its tree of values takes many
/// times its bytes.
const MAX_CONTROL_BYTES: usize = 1 << 20;

/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/Welcome.html>
const TARGET_PREFIX: &str = "Firehose_20150804.";
