//! Sinks for plans: S3 where an endpoint is configured, files where none is.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, tls};
use bytes::Bytes;
use hydrant_model::{Body, Cursor, DeliveryError, Intent, Notes, ObjectDestination, Outcome, Recovery, Sink};
use hydrant_sinks::file::FileRoot;
use hydrant_sinks::note::{Address, addresses};
use hydrant_sinks::s3::{Endpoint, EndpointSettings, Target};
use parking_lot::Mutex;

use super::Error;
use crate::catalog::Plan;
use crate::delivery::Destinations;
use crate::settings::{S3Choice, Settings};

/// Object destinations.
pub(super) struct Objects {
    settings: EndpointSettings,
    current: Current,
    /// Endpoints that intents of earlier processes may have reached, by URL.
    former: Mutex<HashMap<String, Result<Endpoint, String>>>,
}

enum Current {
    S3(Endpoint),
    Files(FileRoot),
}

impl Objects {
    /// Makes the clients that `settings` choose. Nothing is sent.
    pub(super) async fn open(settings: &Settings) -> Result<Self, Error> {
        let url = match &settings.s3 {
            S3Choice::Endpoint(url) => Some(url.clone()),
            S3Choice::Aws | S3Choice::Dir => None,
        };
        let mut endpoint = EndpointSettings::new(url, settings.region.clone(), sdk_config(settings).await);
        endpoint.create_buckets = settings.create_buckets;
        endpoint.ca_bundle.clone_from(&settings.ca_bundle);
        if let Some(timeout) = settings.s3_timeout {
            endpoint.timeouts.answer = timeout;
            endpoint.timeouts.complete = timeout;
        }
        let current = match &settings.s3 {
            S3Choice::Dir => Current::Files(file_root(&settings.data.join("objects"))?),
            S3Choice::Endpoint(_) | S3Choice::Aws => Current::S3(connect(&endpoint)?),
        };
        Ok(Self { settings: endpoint, current, former: Mutex::default() })
    }

    /// The place that notes name, to be asked what it has.
    fn at(&self, address: &Address, objects: &ObjectDestination) -> Arc<dyn Sink> {
        if let Some(path) = address.endpoint.strip_prefix("file://") {
            let root = match &self.current {
                Current::Files(root) => Ok(root.clone()),
                Current::S3(_) => FileRoot::open(path).map_err(|error| error.to_string()),
            };
            return match root {
                Ok(root) => Arc::new(root.sink(address.bucket.clone())),
                Err(reason) => Arc::new(OutOfReach { address: address.clone(), reason }),
            };
        }
        let endpoint = match &self.current {
            Current::S3(endpoint) if name(endpoint) == address.endpoint => Ok(endpoint.clone()),
            _ => self.former_endpoint(&address.endpoint),
        };
        let target = Target { bucket: address.bucket.clone(), ..target(objects) };
        match endpoint {
            Ok(endpoint) => Arc::new(endpoint.sink(target).former()),
            Err(reason) => Arc::new(OutOfReach { address: address.clone(), reason }),
        }
    }

    fn former_endpoint(&self, name: &str) -> Result<Endpoint, String> {
        let mut former = self.former.lock();
        let make = || {
            let url = (name != AWS).then(|| name.to_owned());
            Endpoint::connect(EndpointSettings { url, ..self.settings.clone() }).map_err(|error| error.to_string())
        };
        former.entry(name.to_owned()).or_insert_with(make).clone()
    }

    fn address(&self, objects: &ObjectDestination) -> Address {
        let endpoint = match &self.current {
            Current::S3(endpoint) => name(endpoint),
            Current::Files(root) => root.sink("").address().endpoint,
        };
        Address { endpoint, bucket: objects.bucket.clone() }
    }
}

impl Destinations for Objects {
    fn sink(&self, plan: &Plan, cursor: Cursor) -> Arc<dyn Sink> {
        let objects = plan.objects(cursor);
        match &self.current {
            Current::S3(endpoint) => Arc::new(endpoint.sink(target(objects))),
            Current::Files(root) => Arc::new(root.sink(objects.bucket.clone())),
        }
    }

    fn former(&self, plan: &Plan, cursor: Cursor, notes: &[Bytes]) -> Vec<Arc<dyn Sink>> {
        let objects = plan.objects(cursor);
        let now = self.address(objects);
        let former = addresses(notes).into_iter().filter(|address| *address != now);
        former.map(|address| self.at(&address, objects)).collect()
    }

    fn takes(&self, key: &str) -> Result<(), String> {
        match &self.current {
            Current::S3(_) => Ok(()),
            Current::Files(_) => hydrant_sinks::file::takes(key),
        }
    }
}

/// A place of an earlier configuration for which there is no client: nobody can say what it has.
struct OutOfReach {
    address: Address,
    reason: String,
}

impl OutOfReach {
    fn error(&self) -> DeliveryError {
        DeliveryError { code: "Delivery.OutOfReach".into(), message: format!("{self}: {}", self.reason) }
    }
}

impl std::fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.address.bucket, self.address.endpoint)
    }
}

#[async_trait]
impl Sink for OutOfReach {
    async fn deliver(&self, _: &Intent, _: &mut dyn Body, _: &mut dyn Notes) -> Outcome {
        Outcome::Retry { error: self.error(), after: None }
    }

    async fn recover(&self, _: &Intent, _: &mut dyn Notes) -> Recovery {
        Recovery::Unknown(self.error())
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Err(self.error())
    }

    fn announcement(&self) -> Option<Bytes> {
        None
    }

    fn memory_bytes(&self, _most_bytes: u64) -> usize {
        0
    }
}

/// As notes name it.
fn name(endpoint: &Endpoint) -> String {
    endpoint.sink(Target::new("")).address().endpoint
}

fn target(objects: &ObjectDestination) -> Target {
    Target { kms_key_arn: objects.kms_key_arn.clone(), ..Target::new(objects.bucket.clone()) }
}

fn connect(settings: &EndpointSettings) -> Result<Endpoint, Error> {
    Endpoint::connect(settings.clone()).map_err(|error| Error::Start(error.to_string()))
}

fn file_root(path: &Path) -> Result<FileRoot, Error> {
    FileRoot::open(path).map_err(|source| Error::Data {
        doing: "opening the objects' directory",
        path: path.to_owned(),
        source,
    })
}

/// Credentials and region from the SDK's default chain. Nothing is asked yet: credentials are fetched at the first delivery.
pub(super) async fn sdk_config(settings: &Settings) -> aws_config::SdkConfig {
    let client = Builder::new().tls_provider(tls::Provider::Rustls(CryptoMode::Ring)).build_https();
    aws_config::defaults(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::new(settings.region.clone()))
        .http_client(client)
        .load()
        .await
}

/// What notes call AWS, whatever the region: a bucket is in one region only.
const AWS: &str = "https://s3.amazonaws.com";
