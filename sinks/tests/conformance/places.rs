//! The table of places that the suite runs over, each with a second way to look at what was delivered.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_sdk_s3::operation::get_object::GetObjectError;
use bytes::Bytes;
use hydrant_model::Sink;
use hydrant_sinks::file::FileRoot;
use hydrant_sinks::s3::{Endpoint, EndpointSettings, Target};

use crate::server::{ACCESS_KEY, SECRET, Server};

/// What lies under a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    /// `None` where the place keeps no such things.
    pub(crate) headers: Option<Headers>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Headers {
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
}

/// One server or directory under test.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// A sink into a bucket that may not exist.
    fn sink(&self, bucket: &str) -> Box<dyn Sink>;
    /// The same with a wrong secret, where there are secrets.
    fn sink_with_wrong_secret(&self, bucket: &str) -> Option<Box<dyn Sink>>;
    /// The same that makes its bucket; `None` where buckets need no making.
    fn sink_that_makes_its_bucket(&self, bucket: &str) -> Option<Box<dyn Sink>>;
    /// Makes a bucket.
    async fn make_bucket(&self, bucket: &str);
    /// What lies under a key.
    async fn stored(&self, bucket: &str, key: &str) -> Option<Stored>;
    /// Keys in a bucket.
    async fn keys(&self, bucket: &str) -> Vec<String>;
    /// Waits until the only upload of a key has this many parts, where uploads have parts.
    async fn until_parts(&self, bucket: &str, key: &str, parts: usize);
    /// What half-done deliveries of a key left behind.
    async fn leftovers(&self, bucket: &str, key: &str) -> Vec<String>;
}

/// Every place that is to be had.
pub(crate) async fn places() -> Vec<Box<dyn Place>> {
    let mut places: Vec<Box<dyn Place>> = vec![Box::new(Directory::new()), Box::new(S3::embedded())];
    places.extend(S3::from_environment().map(|place| Box::new(place) as Box<dyn Place>));
    places
}

pub(crate) struct Directory {
    pub(crate) path: tempfile::TempDir,
    pub(crate) root: FileRoot,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let path = tempfile::tempdir().expect("a directory");
        let root = FileRoot::open(path.path()).expect("a root");
        Self { path, root }
    }
}

#[async_trait]
impl Place for Directory {
    fn sink(&self, bucket: &str) -> Box<dyn Sink> {
        Box::new(self.root.sink(bucket))
    }

    fn sink_with_wrong_secret(&self, _bucket: &str) -> Option<Box<dyn Sink>> {
        None
    }

    fn sink_that_makes_its_bucket(&self, _bucket: &str) -> Option<Box<dyn Sink>> {
        None
    }

    async fn make_bucket(&self, _bucket: &str) {}

    async fn stored(&self, bucket: &str, key: &str) -> Option<Stored> {
        let bytes = std::fs::read(self.path.path().join(bucket).join(key)).ok()?;
        Some(Stored { bytes: bytes.into(), headers: None })
    }

    async fn keys(&self, bucket: &str) -> Vec<String> {
        let root = self.path.path().join(bucket);
        let mut keys = Vec::new();
        for path in files_below(&root) {
            keys.push(path.strip_prefix(&root).expect("below the root").display().to_string());
        }
        keys
    }

    async fn until_parts(&self, _bucket: &str, _key: &str, _parts: usize) {}

    async fn leftovers(&self, _bucket: &str, _key: &str) -> Vec<String> {
        files_below(&self.path.path().join(".incoming")).iter().map(|path| path.display().to_string()).collect()
    }
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

/// Settings of an endpoint as the tests want them.
pub(crate) fn settings(url: &str, access_key: &str, secret: &str) -> EndpointSettings {
    let credentials = Credentials::new(access_key, secret, None, None, "test");
    let sdk_config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    EndpointSettings::new(Some(url.to_owned()), "us-east-1", sdk_config)
}

/// A server that speaks S3.
struct S3 {
    url: String,
    access_key: String,
    secret: String,
    endpoint: Endpoint,
    client: Client,
    /// Where it is the embedded one; it does not list uploads, so its directory is looked at.
    server: Option<Server>,
}

impl S3 {
    fn embedded() -> Self {
        let server = Server::start();
        let url = server.url.clone();
        Self::new(url, ACCESS_KEY.into(), SECRET.into(), Some(server))
    }

    fn from_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(format!("HYDRANT_TEST_S3_{name}")).ok();
        let needed = |name: &str| variable(name).expect("the three variables come together");
        Some(Self::new(variable("ENDPOINT")?, needed("ACCESS_KEY"), needed("SECRET"), None))
    }

    fn new(url: String, access_key: String, secret: String, server: Option<Server>) -> Self {
        let settings = settings(&url, &access_key, &secret);
        let http = aws_smithy_http_client::Builder::new().build_http();
        let config = aws_sdk_s3::config::Builder::from(&settings.sdk_config)
            .endpoint_url(&url)
            .region(Region::new("us-east-1"))
            .http_client(http)
            .force_path_style(true);
        let endpoint = Endpoint::connect(settings).expect("settings");
        Self { url, access_key, secret, endpoint, client: Client::from_conf(config.build()), server }
    }
}

#[async_trait]
impl Place for S3 {
    fn sink(&self, bucket: &str) -> Box<dyn Sink> {
        Box::new(self.endpoint.sink(Target::new(bucket)))
    }

    fn sink_with_wrong_secret(&self, bucket: &str) -> Option<Box<dyn Sink>> {
        let settings = settings(&self.url, &self.access_key, "not the secret");
        Some(Box::new(Endpoint::connect(settings).expect("settings").sink(Target::new(bucket))))
    }

    fn sink_that_makes_its_bucket(&self, bucket: &str) -> Option<Box<dyn Sink>> {
        let settings = EndpointSettings { create_buckets: true, ..settings(&self.url, &self.access_key, &self.secret) };
        Some(Box::new(Endpoint::connect(settings).expect("settings").sink(Target::new(bucket))))
    }

    async fn make_bucket(&self, bucket: &str) {
        self.client.create_bucket().bucket(bucket).send().await.expect("a bucket");
    }

    async fn stored(&self, bucket: &str, key: &str) -> Option<Stored> {
        let object = match self.client.get_object().bucket(bucket).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => return None,
            Err(error) => panic!("{}: {error:?}", self.url),
        };
        let headers = Headers { content_type: object.content_type, content_encoding: object.content_encoding };
        let bytes = object.body.collect().await.expect("a body").into_bytes();
        Some(Stored { bytes, headers: Some(headers) })
    }

    async fn keys(&self, bucket: &str) -> Vec<String> {
        let listed = self.client.list_objects_v2().bucket(bucket).send().await.expect("a list");
        listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()
    }

    async fn until_parts(&self, bucket: &str, key: &str, parts: usize) {
        if let Some(server) = &self.server {
            return server.until_done("UploadPart", parts).await;
        }
        let uploads = self.leftovers(bucket, key).await;
        let id = uploads.first().expect("an upload");
        loop {
            let request = self.client.list_parts().bucket(bucket).key(key).upload_id(id);
            let listed = request.send().await.expect("a list");
            if listed.parts.unwrap_or_default().len() >= parts {
                return;
            }
        }
    }

    async fn leftovers(&self, bucket: &str, key: &str) -> Vec<String> {
        if let Some(server) = &self.server {
            return server.open_uploads().iter().map(|path| path.display().to_string()).collect();
        }
        let listed = self.client.list_multipart_uploads().bucket(bucket).prefix(key).send().await.expect("a list");
        listed.uploads.unwrap_or_default().into_iter().filter_map(|upload| upload.upload_id).collect()
    }
}
