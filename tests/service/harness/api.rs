//! Producers and operators: the real SDK, and plain HTTP.

use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use serde_json::{Value, json};

use super::{LONG, Stream, until};

/// Speaks to one service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// An error answer of the AWS API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Client {
    pub(crate) fn new(url: String) -> Self {
        // Fails if another test was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(LONG).no_proxy().build().expect("a client");
        Self { url, http }
    }

    /// The real client, without repetitions: a test wants to see each answer.
    pub(crate) fn sdk(&self) -> aws_sdk_firehose::Client {
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new("AKIDTEST", "secret", None, None, "test"))
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .retry_config(RetryConfig::disabled())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        aws_sdk_firehose::Client::from_conf(config)
    }

    /// Calls an operation of the AWS API with a document.
    pub(crate) async fn call(&self, operation: &str, document: &Value) -> Result<Value, Refusal> {
        match self.try_call(operation, document).await {
            Ok(answer) => answer,
            Err(error) => panic!("{operation}: {error:?}"),
        }
    }

    /// The same where the service may be killed meanwhile.
    pub(crate) async fn try_call(&self, operation: &str, document: &Value) -> reqwest::Result<Result<Value, Refusal>> {
        let request = self
            .http
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Firehose_20150804.{operation}"))
            .body(document.to_string());
        let response = request.send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status == 200 {
            return Ok(Ok(body));
        }
        let text = |names: [&str; 2]| names.iter().find_map(|name| body[name].as_str()).unwrap_or_default().to_owned();
        Ok(Err(Refusal { status, code: text(["__type", "code"]), message: text(["message", "Message"]) }))
    }

    /// Creates a stream.
    pub(crate) async fn create(&self, stream: &Stream) {
        self.call("CreateDeliveryStream", &stream.request()).await.expect("a stream");
    }

    /// Deletes a stream; what it does with waiting records is the stream's setting.
    pub(crate) async fn delete(&self, name: &str) {
        self.call("DeleteDeliveryStream", &json!({ "DeliveryStreamName": name })).await.expect("deleted");
    }

    /// Describes a stream, if it is there.
    pub(crate) async fn describe(&self, name: &str) -> Option<Value> {
        let answer = self.call("DescribeDeliveryStream", &json!({ "DeliveryStreamName": name })).await;
        answer.ok().map(|mut answer| answer["DeliveryStreamDescription"].take())
    }

    /// Changes members of the S3 destination.
    pub(crate) async fn update(&self, name: &str, update: &Value) {
        let version = self.describe(name).await.expect("a stream")["VersionId"].clone();
        let request = json!({
            "DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": version,
            "DestinationId": "destinationId-000000000001", "ExtendedS3DestinationUpdate": update,
        });
        self.call("UpdateDestination", &request).await.expect("updated");
    }

    /// Puts lines over plain HTTP; each must be accepted.
    pub(crate) async fn put_lines(&self, name: &str, lines: &str) {
        let (status, answer) = self.post(&format!("/streams/{name}/records"), "text/plain", lines.to_owned()).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["accepted"], lines.lines().count(), "{answer}");
    }

    /// Posts; the answer's body is JSON or nothing.
    pub(crate) async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        self.try_post(path, content_type, body).await.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The same where the service may be killed meanwhile.
    pub(crate) async fn try_post(
        &self,
        path: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Result<(u16, Value)> {
        let url = format!("{}{path}", self.url);
        let response = self.http.post(url).header("content-type", content_type).body(body).send().await?;
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
    }

    /// Gets; a service that does not answer is status 0.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        match self.http.get(format!("{}{path}", self.url)).send().await {
            Ok(response) => (response.status().as_u16(), response.text().await.unwrap_or_default()),
            Err(_) => (0, String::new()),
        }
    }

    /// What `GET /streams/{name}` says.
    pub(crate) async fn status(&self, name: &str) -> Value {
        let (status, body) = self.get(&format!("/streams/{name}")).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// The sum of a metric over all series that hold every one of `labels`, without its fraction.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        let (status, text) = self.get("/metrics").await;
        assert_eq!(status, 200);
        let lines = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' '])) && labels.iter().all(|label| line.contains(label))
        });
        let value = |line: &str| {
            let value = line.rsplit(' ').next().expect("a value");
            value.split('.').next().and_then(|whole| whole.parse::<u64>().ok()).expect("a number without an exponent")
        };
        lines.map(value).sum()
    }

    /// Cuts everything that waits, and returns when it is delivered.
    pub(crate) async fn flush(&self, name: &str) {
        let (status, answer) = self.post(&format!("/streams/{name}/flush?wait=60"), "text/plain", "").await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until a deleted stream is gone.
    pub(crate) async fn gone(&self, name: &str) {
        until("the stream's end", async || self.describe(name).await.is_none().then_some(())).await;
    }
}
