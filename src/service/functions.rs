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
//! Source: <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>.

mod name;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use bytes::Bytes;
use hydrant_transforms::lambda::{Function, InvokeError, InvokeErrorKind, MOST_PAYLOAD_BYTES};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Response, StatusCode, Url};
use serde_json::Value;

use self::name::Name;
use super::Error;
use super::endpoint::{Endpoint, NoAnswer, Refusal, Spoken, brief, read, refusal};
use crate::clock::Clock;
use crate::settings::Settings;

/// Functions behind one endpoint; cheap to clone.
#[derive(Clone)]
pub(super) struct Functions {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    region: String,
    clock: Clock,
}

impl Functions {
    /// A client of `endpoint`, a URL to which paths are added, with the credentials of `sdk`. Nothing is sent.
    ///
    /// # Errors
    /// The endpoint is no URL, or the bundle of authorities cannot be used.
    pub(super) fn open(endpoint: &str, settings: &Settings, sdk: &SdkConfig, clock: Clock) -> Result<Self, Error> {
        let endpoint = Endpoint::open(&LAMBDA, endpoint, settings, sdk, clock.clone())?;
        Ok(Self { shared: Arc::new(Shared { endpoint, region: settings.region.clone(), clock }) })
    }

    /// The function that `arn` names: an ARN with or without version or alias, or the name alone.
    ///
    /// # Errors
    /// The rule that `arn` breaks.
    pub(super) fn function(&self, arn: &str) -> Result<Remote, String> {
        let name = arn.parse::<Name>()?;
        let mut url = self.shared.endpoint.url().clone();
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
        let response = self.shared.endpoint.send(request, &self.shared.region).await.map_err(no_answer)?;
        match response.status() {
            StatusCode::OK => returned(response).await,
            status => {
                if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                    self.shared.endpoint.forget_credentials().await;
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
    let payload = read(response, MOST_PAYLOAD_BYTES).await.map_err(no_answer)?;
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
    let Refusal { class, message } = refusal(response, MOST_PAYLOAD_BYTES).await;
    let parts = [format!("status {}", status.as_u16()), class, message];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    InvokeError { kind, message: brief(&parts.join(": ")) }
}

/// What a call fails with that has no answer.
fn no_answer(reason: NoAnswer) -> InvokeError {
    let (kind, message) = match reason {
        NoAnswer::Credentials(message) => (InvokeErrorKind::RoleDenied, message),
        NoAnswer::Unsigned(message) => (InvokeErrorKind::Other, message),
        NoAnswer::TimedOut(message) => (InvokeErrorKind::RequestTimedOut, message),
        NoAnswer::Broken(message) => (InvokeErrorKind::NoResponse, message),
        // As AWS has it: the function was called, and cannot return so much.
        NoAnswer::TooLarge => (InvokeErrorKind::Function, "Its response is over 6 MB.".to_owned()),
    };
    InvokeError { kind, message }
}

const LAMBDA: Spoken =
    Spoken { title: "Lambda", signed_as: "lambda", example: "http://127.0.0.1:3001", answer_timeout: ANSWER_TIMEOUT };
const API_VERSION: &str = "2015-03-31";
/// Firehose lets a function run for five minutes; the rest is for the way, and for its start.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5 * 60 + 15);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
