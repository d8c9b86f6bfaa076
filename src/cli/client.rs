//! HTTP to a running service.

use std::time::Duration;

use clap::Args;
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use super::show::one_line;
use super::{Context, Error};
use crate::settings::{DEFAULT_ENDPOINT, ENDPOINT_VARIABLE, client_endpoint};

/// Which service a command talks to.
#[derive(Args, Debug)]
pub(super) struct Endpoint {
    #[arg(long, value_name = "URL", help = endpoint_help())]
    pub(super) endpoint: Option<String>,
}

/// A service to talk to.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Why there is no success answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer came. The request may have reached the service.
    #[error("no answer from {endpoint} (is `hydrant serve` running there?)")]
    NoAnswer {
        /// The service.
        endpoint: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The service answered otherwise.
    #[error("{endpoint} answered {status}: {message}")]
    Refused {
        /// The service.
        endpoint: String,
        /// Status of the answer.
        status: u16,
        /// What it says.
        message: String,
        /// When to come back.
        retry_after: Option<Duration>,
        /// The body of the answer.
        body: Vec<u8>,
    },
}

impl Client {
    /// A client of the service that the command line or the environment names.
    ///
    /// # Errors
    /// That is no URL.
    pub(super) fn new(endpoint: &Endpoint, context: &Context<'_>) -> Result<Self, Error> {
        let text = client_endpoint(endpoint.endpoint.as_deref(), context.environment)?;
        let rule = || Error::Usage(format!("the endpoint {text:?} must be a URL such as {DEFAULT_ENDPOINT}"));
        let base = Url::parse(&text).map_err(|_| rule())?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(rule());
        }
        // A proxy is for the world outside; hydrant is at home. (It also keeps the environment to its one door.)
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()
            .map_err(|error| Error::Failed(format!("the HTTP client cannot be set up: {error}")))?;
        Ok(Self { http, base })
    }

    /// The service's URL, without a slash at its end.
    pub(super) fn endpoint(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request to the path of `segments`.
    ///
    /// # Errors
    /// A segment cannot stand in a path.
    pub(super) fn request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder, Error> {
        if let Some(segment) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(Error::Usage(format!("{segment:?} is no name of a stream")));
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        Ok(self.http.request(method, url).timeout(ANSWER_TIMEOUT))
    }

    /// Delivers now what `stream` holds and answers when it is delivered, or after `wait_seconds` with status 504.
    ///
    /// # Errors
    /// As [`Client::send`], or `stream` is no name.
    pub(super) async fn flush_and_wait(&self, stream: &str, wait_seconds: u32) -> Result<(), Error> {
        // The service answers in time; the margin is for the way.
        let patience = Duration::from_secs(u64::from(wait_seconds)) + ANSWER_TIMEOUT;
        let request = self.request(Method::POST, &["streams", stream, "flush"])?.timeout(patience);
        let (http, request) = request.build_split();
        let mut request =
            request.map_err(|source| CallError::NoAnswer { endpoint: self.endpoint().to_owned(), source })?;
        request.url_mut().set_query(Some(&format!("wait={wait_seconds}")));
        self.send(RequestBuilder::from_parts(http, request)).await?;
        Ok(())
    }

    /// Sends `request` and reads the body of the answer.
    ///
    /// # Errors
    /// There is none, or it is no success.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Vec<u8>, CallError> {
        let no_answer = |source| CallError::NoAnswer { endpoint: self.endpoint().to_owned(), source };
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|value| value.parse().ok()).map(Duration::from_secs);
        let body = response.bytes().await.map_err(no_answer)?.to_vec();
        if status.is_success() {
            return Ok(body);
        }
        let (endpoint, message) = (self.endpoint().to_owned(), message(&body));
        Err(CallError::Refused { endpoint, status: status.as_u16(), message, retry_after, body })
    }

    /// Sends `request` and reads a JSON answer.
    ///
    /// # Errors
    /// As [`Client::send`], or the answer is not what was expected.
    pub(super) async fn json<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let body = self.send(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::Failed(format!("{} answered what hydrant would not: {error}", self.endpoint())))
    }
}

/// What an error answer says: hydrant's own form, AWS's, or the beginning of the body.
fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = |place: &str| document.pointer(place).and_then(Value::as_str);
    let message = said("/error/message").or_else(|| said("/message")).unwrap_or(&text);
    let field = said("/error/field").map(|field| format!("{field}: ")).unwrap_or_default();
    one_line(&format!("{field}{message}"), MOST_MESSAGE_CHARS)
}

fn endpoint_help() -> String {
    format!("The service to talk to [env: {ENDPOINT_VARIABLE}] [default: {DEFAULT_ENDPOINT}]")
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a group commit on a busy disk takes.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
const MOST_MESSAGE_CHARS: usize = 500;
