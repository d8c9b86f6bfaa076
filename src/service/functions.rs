//! Lambda functions behind an endpoint that speaks AWS's Invoke: AWS itself, or whatever runs functions in its place.
//!
//! | Answer | What it means to a stream |
//! |---|---|
//! | 200 | what the function returned, or the error it ended with where `X-Amz-Function-Error` says so |
//! | 401, 403 | no permission; credentials are asked for anew |
//! | 404 | no such function |
//! | 408, 504, none within [`ANSWER_TIMEOUT`] | the request timed out |
//! | 429 | called too often |
//! | 500, other 5xx | a fault of the Lambda service; it is not available |
//! | a connection that breaks or is refused | the server did not respond |
//! | anything else | the invocation failed |
//!
//! Requests are signed where there are credentials, and go without a signature where there are none: an endpoint of one's own
//! may not ask for any. Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.

mod name;
mod signer;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use bytes::{Bytes, BytesMut};
use hydrant_transforms::lambda::{Function, InvokeError, InvokeErrorKind, MOST_PAYLOAD_BYTES};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Method, Request, Response, StatusCode, Url};
use serde_json::Value;

use self::name::Name;
use self::signer::Signer;
use super::Error;
use crate::clock::Clock;
use crate::settings::Settings;

/// Functions behind one endpoint; cheap to clone.
#[derive(Clone)]
pub(super) struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    http: reqwest::Client,
    endpoint: Url,
    signer: Signer,
    clock: Clock,
}

impl Functions {
    /// A client of `endpoint`, a URL to which paths are added, with the credentials of `sdk`. Nothing is sent.
    ///
    /// # Errors
    /// The endpoint is no URL, or the bundle of authorities cannot be used.
    pub(super) fn open(endpoint: &str, settings: &Settings, sdk: &SdkConfig, clock: Clock) -> Result<Self, Error> {
        let endpoint =
            Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(endpoint) = endpoint else {
            return Err(Error::Start("the endpoint of Lambda must be a URL such as http://127.0.0.1:3001".to_owned()));
        };
        let http = client(&endpoint, settings)?;
        let signer = Signer::new(settings.region.clone(), sdk.credentials_provider(), clock.clone());
        Ok(Self { shared: Arc::new(Shared { http, endpoint, signer, clock }) })
    }

    /// The function that `arn` names: an ARN with or without version or alias, or the name alone.
    ///
    /// # Errors
    /// The rule that `arn` breaks.
    pub(super) fn function(&self, arn: &str) -> Result<Remote, String> {
        let name = arn.parse::<Name>()?;
        let mut url = self.shared.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend([API_VERSION, "functions", &name.function, "invocations"]);
        }
        if let Some(qualifier) = &name.qualifier {
            url.query_pairs_mut().append_pair("Qualifier", qualifier);
        }
        Ok(Remote { shared: Arc::clone(&self.shared), url })
    }
}

/// One function behind an endpoint.
pub(super) struct Remote {
    shared: Arc<Shared>,
    url: Url,
}

#[async_trait]
impl Function for Remote {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let mut request = Request::new(Method::POST, self.url.clone());
        request.headers_mut().insert("x-amz-invocation-type", HeaderValue::from_static("RequestResponse"));
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = Some(event.into());
        self.shared.signer.sign(&mut request).await?;
        let response = self.shared.http.execute(request).await.map_err(no_answer)?;
        match response.status() {
            StatusCode::OK => returned(response).await,
            status => {
                if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    self.shared.signer.forget().await;
                }
                Err(refused(response).await)
            }
        }
    }

    async fn back_off(&self, failed: u32) {
        let doublings = failed.saturating_sub(1);
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST_PAUSE);
        // Calls that failed together do not come again together.
        self.shared.clock.sleep(pause.mul_f64(0.5 + self.shared.clock.fraction() / 2.0)).await;
    }
}

/// Reads the answer of a function that was called: its result, or its error.
async fn returned(response: Response) -> Result<Bytes, InvokeError> {
    let failed = response.headers().contains_key("x-amz-function-error");
    let payload = read(response).await?;
    if !failed {
        return Ok(payload);
    }
    let document: Value = serde_json::from_slice(&payload).unwrap_or_default();
    let said = |member: &str| document.get(member).and_then(Value::as_str).unwrap_or_default();
    let (class, message) = (said("errorType"), said("errorMessage"));
    let timed_out = class == "Sandbox.Timedout" || message.contains("Task timed out");
    let kind = if timed_out { InvokeErrorKind::FunctionTimedOut } else { InvokeErrorKind::Function };
    let message = match (class, message) {
        ("", "") => brief(&String::from_utf8_lossy(&payload)),
        ("", text) | (text, "") => brief(text),
        (class, message) => brief(&format!("{class}: {message}")),
    };
    Err(InvokeError { kind, message })
}

/// What an answer is that says the function was not called.
async fn refused(response: Response) -> InvokeError {
    let status = response.status();
    let kind = match status.as_u16() {
        401 | 403 => InvokeErrorKind::Denied,
        404 => InvokeErrorKind::NotFound,
        408 | 504 => InvokeErrorKind::RequestTimedOut,
        429 => InvokeErrorKind::Throttled,
        500 => InvokeErrorKind::Internal,
        501..=599 => InvokeErrorKind::Unavailable,
        _ => InvokeErrorKind::Other,
    };
    // `ResourceNotFoundException:http://internal.amazon.com/…`
    let class = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let class = class.split(':').next().unwrap_or_default().to_owned();
    // The status says enough where the reason cannot be read.
    let body = read(response).await.unwrap_or_default();
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let said = ["Message", "message"].into_iter().find_map(|member| document.get(member).and_then(Value::as_str));
    let said = said.map_or_else(|| String::from_utf8_lossy(&body), Into::into);
    let parts = [format!("status {}", status.as_u16()), class, said.trim().to_owned()];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    InvokeError { kind, message: brief(&parts.join(": ")) }
}

/// Reads the body, and no more of it than an answer may have.
async fn read(mut response: Response) -> Result<Bytes, InvokeError> {
    let announced = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced > MOST_PAYLOAD_BYTES {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(piece) = response.chunk().await.map_err(no_answer)? {
        if body.len() + piece.len() > MOST_PAYLOAD_BYTES {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// As AWS has it: the function was called, and cannot return so much.
fn too_large() -> InvokeError {
    InvokeError { kind: InvokeErrorKind::Function, message: "Its response is over 6 MB.".to_owned() }
}

#[expect(clippy::needless_pass_by_value, reason = "goes straight into map_err")]
fn no_answer(error: reqwest::Error) -> InvokeError {
    let kind = if error.is_timeout() { InvokeErrorKind::RequestTimedOut } else { InvokeErrorKind::NoResponse };
    InvokeError { kind, message: brief(&causes(&error)) }
}

/// An error with all that led to it.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let each = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    each.collect::<Vec<_>>().join(": ")
}

/// As much of a message as goes into the entry of every record of a batch.
fn brief(message: &str) -> String {
    let mut chars = message.chars();
    let kept: String = chars.by_ref().take(MOST_MESSAGE_CHARS).collect();
    if chars.next().is_some() { kept + "…" } else { kept }
}

fn client(endpoint: &Url, settings: &Settings) -> Result<reqwest::Client, Error> {
    // Redirects would lead signed events to places that nobody configured; a proxy would come from the environment.
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(ANSWER_TIMEOUT);
    let builder = match &settings.ca_bundle {
        // The system's authorities, of which an image from scratch has none, are looked for only where they are needed.
        _ if endpoint.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
        Some(path) => {
            let unusable =
                |fault: String| Error::Start(format!("the bundle of authorities {}: {fault}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(causes(&error)))?;
            if authorities.is_empty() {
                return Err(unusable("holds no certificate".to_owned()));
            }
            builder.tls_certs_only(authorities)
        }
    };
    builder.build().map_err(|error| Error::Start(format!("the client of Lambda cannot be set up: {}", causes(&error))))
}

const API_VERSION: &str = "2015-03-31";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Firehose lets a function run for five minutes; the rest is for the way, and for its start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60 + 15);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const MOST_MESSAGE_CHARS: usize = 500;

#[cfg(test)]
mod tests;
