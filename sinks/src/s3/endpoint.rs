//! One S3 server, or AWS: clients, limits and what was learned, shared by every stream that delivers there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder as Config, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::capabilities::Learned;
use super::parts::{MIN_PART_BYTES, WINDOW, part_bytes};
use super::{S3Sink, Target};

/// How to reach S3.
#[derive(Clone, Debug)]
pub struct EndpointSettings {
    /// The server's URL; `None` is AWS.
    pub url: Option<String>,
    /// Region of the signature and, on AWS, of the host.
    pub region: String,
    /// Credentials, clock and identity cache. An endpoint in it is not used.
    pub sdk_config: SdkConfig,
    /// PEM file of the authorities to trust in place of the system's (`AWS_CA_BUNDLE`).
    pub ca_bundle: Option<PathBuf>,
    /// Make a missing bucket at the first delivery.
    pub create_buckets: bool,
    /// Bytes of a part of a multipart upload; an object of at most this size is one request. S3's minimum is
    /// [`MIN_PART_BYTES`], and a smaller value is raised to it. Larger parts take memory and save requests.
    pub part_bytes: usize,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl EndpointSettings {
    /// The defaults for a server; `None` is AWS.
    pub fn new(url: Option<String>, region: impl Into<String>, sdk_config: SdkConfig) -> Self {
        Self {
            url,
            region: region.into(),
            sdk_config,
            ca_bundle: None,
            create_buckets: false,
            part_bytes: MIN_PART_BYTES,
            timeouts: Timeouts::default(),
        }
    }
}

/// How long a request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, name lookup and TLS included.
    pub connect: Duration,
    /// For the answer, beside the time that the body is given.
    pub answer: Duration,
    /// For the answer to completing a multipart upload, which S3 may take minutes for.
    pub complete: Duration,
    /// The slowest transfer that is waited for, in bytes per second: a body of n bytes adds n divided by this to `answer`.
    pub slowest: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            complete: Duration::from_mins(5),
            slowest: 64 << 10,
        }
    }
}

impl Timeouts {
    /// The time for a request with a body of `bytes`.
    pub(super) fn with_body(&self, bytes: usize) -> Duration {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.answer.saturating_add(Duration::from_micros(bytes.saturating_mul(1_000_000) / self.slowest.max(1)))
    }
}

/// Why an endpoint cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The CA bundle could not be read.
    #[error("reading the CA bundle {path}")]
    ReadCaBundle {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The CA bundle is not what it should be.
    #[error("the CA bundle {path} {fault}")]
    CaBundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The URL is not one that S3 can be spoken to at.
    #[error("the S3 endpoint {url:?} must begin with http:// or https:// and name a host")]
    Url {
        /// As it was given.
        url: String,
    },
}

/// One S3 server, or AWS. Cheap to clone; clones share connections and what was learned.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    /// As notes and log lines name it. AWS is one name for all regions, since a bucket is in one region only.
    pub(super) name: String,
    pub(super) with_checksums: Client,
    pub(super) without_checksums: Client,
    pub(super) learned: Learned,
    pub(super) timeouts: Timeouts,
    pub(super) create_buckets: bool,
    /// Where AWS makes a bucket; `None` for its default region and for every other server.
    pub(super) location: Option<String>,
    part_bytes: usize,
}

impl Endpoint {
    /// Makes the clients. Nothing is sent: a server that cannot be reached is found out by the first delivery.
    ///
    /// # Errors
    /// The URL or the CA bundle is wrong.
    pub fn connect(settings: EndpointSettings) -> Result<Self, Error> {
        let url = settings.url.as_deref().map(checked_url).transpose()?;
        let http = http_client(settings.ca_bundle.as_deref())?;
        let wants_checksums =
            settings.sdk_config.request_checksum_calculation() != Some(RequestChecksumCalculation::WhenRequired);
        let config = client_config(&settings, url.as_deref(), http);
        let client = |checksums| Client::from_conf(config.clone().request_checksum_calculation(checksums).build());
        let shared = Shared {
            with_checksums: client(RequestChecksumCalculation::WhenSupported),
            without_checksums: client(RequestChecksumCalculation::WhenRequired),
            learned: Learned::new(wants_checksums),
            timeouts: settings.timeouts,
            create_buckets: settings.create_buckets,
            location: Some(settings.region).filter(|region| url.is_none() && region != "us-east-1"),
            part_bytes: settings.part_bytes.max(MIN_PART_BYTES),
            name: url.unwrap_or_else(|| "https://s3.amazonaws.com".into()),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Deliveries into one bucket.
    pub fn sink(&self, target: Target) -> S3Sink {
        S3Sink { endpoint: self.clone(), target, former: false }
    }

    /// The most bytes of a body that one delivery holds, for a body of at most `most_bytes`
    /// ([`hydrant_model::Body::most_bytes`]): two parts on their way and one being made, or the whole of a small body.
    ///
    /// What the maker of the body holds itself comes on top.
    pub fn memory_bytes(&self, most_bytes: u64) -> usize {
        let window = self.part_bytes(most_bytes).saturating_mul(WINDOW + 1);
        usize::try_from(most_bytes).map_or(window, |whole| whole.min(window))
    }

    /// Bytes of a part of a body of at most `most_bytes`.
    pub(super) fn part_bytes(&self, most_bytes: u64) -> usize {
        part_bytes(self.shared.part_bytes, most_bytes)
    }

    /// The client for a request with or without a checksum.
    pub(super) fn client(&self, checksum: bool) -> &Client {
        if checksum { &self.shared.with_checksums } else { &self.shared.without_checksums }
    }
}

fn checked_url(url: &str) -> Result<String, Error> {
    let url = url.trim_end_matches('/');
    let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.starts_with('/') => Ok(url.to_owned()),
        _ => Err(Error::Url { url: url.to_owned() }),
    }
}

fn client_config(settings: &EndpointSettings, url: Option<&str>, http: SharedHttpClient) -> Config {
    let mut config = Config::from(&settings.sdk_config)
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .region(Region::new(settings.region.clone()))
        .force_path_style(url.is_some())
        // The service repeats a delivery on its own clock; a second, hidden loop would multiply attempts and outlive notes.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.timeouts.connect).build())
        // Every request has a time of its own here; the SDK's watch on throughput would only cost CPU.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    // Set even when it is None: the variables that point clients at hydrant itself must not turn its deliveries back to it.
    config.set_endpoint_url(url.map(str::to_owned));
    config
}

fn http_client(ca_bundle: Option<&Path>) -> Result<SharedHttpClient, Error> {
    let builder = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::rustls(tls::rustls_provider::CryptoMode::Ring));
    let Some(path) = ca_bundle else { return Ok(builder.build_https()) };
    let pem = std::fs::read(path).map_err(|source| Error::ReadCaBundle { path: path.to_owned(), source })?;
    let fault = |fault: String| Error::CaBundle { path: path.to_owned(), fault };
    check_authorities(&pem).map_err(fault)?;
    let context = tls::TlsContext::builder()
        .with_trust_store(tls::TrustStore::empty().with_pem_certificate(pem))
        .build()
        .map_err(|error| fault(error.to_string()))?;
    Ok(builder.tls_context(context).build_https())
}

/// Reads every certificate as the connector will: it would panic, at the first request, where this says what is wrong.
fn check_authorities(pem: &[u8]) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("holds a certificate that cannot be used: {error}"))?;
    }
    if roots.is_empty() { Err("holds no certificate".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: Option<&str>) -> EndpointSettings {
        EndpointSettings::new(url.map(Into::into), "eu-west-1", SdkConfig::builder().build())
    }

    #[test]
    fn only_an_http_url_is_an_endpoint() {
        for url in ["", "minio:9000", "ftp://h", "http://", "https:///b"] {
            assert!(matches!(Endpoint::connect(settings(Some(url))), Err(Error::Url { .. })), "{url}");
        }
        let endpoint = Endpoint::connect(settings(Some("http://minio:9000/"))).expect("a URL");
        assert_eq!(endpoint.shared.name, "http://minio:9000");
    }

    #[test]
    fn buckets_are_located_on_aws_only() {
        let aws = Endpoint::connect(settings(None)).expect("AWS");
        assert_eq!(aws.shared.location.as_deref(), Some("eu-west-1"));
        let minio = Endpoint::connect(settings(Some("http://h:1"))).expect("a URL");
        assert_eq!(minio.shared.location, None);
    }

    #[test]
    fn a_wrong_ca_bundle_is_said_at_the_start() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        let connect = || Endpoint::connect(EndpointSettings { ca_bundle: Some(path.clone()), ..settings(None) });
        assert!(matches!(connect(), Err(Error::ReadCaBundle { .. })));
        for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(connect(), Err(Error::CaBundle { .. })), "{text}");
        }
    }

    #[test]
    fn memory_is_the_window_or_a_small_body() {
        let endpoint = Endpoint::connect(settings(None)).expect("AWS");
        assert_eq!(endpoint.memory_bytes(1000), 1000);
        assert_eq!(endpoint.memory_bytes(1 << 30), 15 << 20);
        assert_eq!(endpoint.memory_bytes(90_000 << 20), 30 << 20);
    }
}
