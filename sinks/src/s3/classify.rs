//! What an answer of S3, or the lack of one, means for the parcel.
//!
//! | What happened | request that cannot show the object | PUT, Complete |
//! |---|---|---|
//! | nothing was sent (no connection, no credentials) | retry | retry |
//! | time-out, reset, closed | retry | unknown |
//! | 5xx; an error inside a 200; 409, 412; `NoSuchUpload` | retry | unknown |
//! | throttling: 429, 503 `SlowDown` or with `Retry-After`, full disks and quotas | retry | retry |
//! | 501; credentials, permissions, bucket, region, encryption key | retry | retry |
//! | 4xx that is not S3 speaking (no error code: a proxy, a wrong port) | retry | retry |
//! | any other 4xx: S3 does not take this object | refused | refused |
//!
//! Error codes: <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use hydrant_model::{DeliveryError, Outcome};

/// What a request can do if it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing that a reader of the bucket sees.
    Hidden,
    /// The object appears, whole.
    Visible,
}

/// A request that did not do what it should.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What users see.
    pub(super) error: DeliveryError,
    /// The server's own wish for the next try.
    pub(super) after: Option<Duration>,
    answer: Answer,
}

/// How far a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// It never left.
    NotSent,
    /// It may have arrived; nothing came back.
    Lost,
    /// The server answered with this status; `coded` when the answer carried an S3 error code.
    Status { status: u16, coded: bool },
}

impl Failure {
    /// Reads what the SDK reports.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match error {
            SdkError::TimeoutError(_) => Self::timed_out(),
            SdkError::DispatchFailure(failure) => failure
                .as_connector_error()
                .map_or_else(|| Self::lost("ConnectionReset", chain(error)), Self::of_connection),
            SdkError::ResponseError(failure) => Self::of_answer(failure.raw(), None, Some(&chain(error))),
            SdkError::ServiceError(failure) => {
                Self::of_answer(failure.raw(), failure.err().code(), failure.err().message())
            }
            _ => Self::new(Answer::NotSent, "RequestNotBuilt", chain(error)),
        }
    }

    /// No answer within the time that the request was given.
    pub(super) fn timed_out() -> Self {
        Self::lost("RequestTimeout", "no answer in time".into())
    }

    /// An answer to `CreateMultipartUpload` that cannot be gone on with.
    pub(super) fn no_upload_id() -> Self {
        Self::lost("InvalidResponse", "CreateMultipartUpload: the answer names no upload".into())
    }

    fn of_connection(error: &ConnectorError) -> Self {
        if find::<CredentialsError>(error).is_some() {
            return Self::new(Answer::NotSent, "CredentialsNotLoaded", chain(error));
        }
        match find::<hyper_util::client::legacy::Error>(error) {
            Some(client) if client.is_connect() => Self::new(Answer::NotSent, "ConnectionFailed", chain(error)),
            _ if error.is_timeout() => Self::timed_out(),
            _ => Self::lost("ConnectionReset", chain(error)),
        }
    }

    fn of_answer(raw: &HttpResponse, code: Option<&str>, message: Option<&str>) -> Self {
        let status = raw.status().as_u16();
        let code = code.filter(|code| !code.is_empty());
        let message = message.filter(|message| !message.is_empty());
        let answer = Answer::Status { status, coded: code.is_some() };
        let text = message.map_or_else(|| format!("HTTP status {status}"), str::to_owned);
        let mut failure = Self::new(answer, code.unwrap_or_else(|| code_of(status)), text);
        // The form with a date needs a wall clock and is rare among S3 servers.
        failure.after =
            raw.headers().get("retry-after").and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        failure
    }

    fn lost(code: &str, message: String) -> Self {
        Self::new(Answer::Lost, code, message)
    }

    fn new(answer: Answer, code: &str, message: String) -> Self {
        Self { error: DeliveryError { code: format!("S3.{code}"), message }, after: None, answer }
    }

    /// Says in the message what was being done.
    pub(super) fn during(mut self, what: &str) -> Self {
        self.error.message = format!("{what}: {}", self.error.message);
        self
    }

    /// The S3 error code, without our prefix.
    pub(super) fn code(&self) -> &str {
        self.error.code.strip_prefix("S3.").unwrap_or(&self.error.code)
    }

    /// The status of the answer, where there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self.answer {
            Answer::Status { status, .. } => Some(status),
            Answer::NotSent | Answer::Lost => None,
        }
    }

    /// What it means for the parcel when the request had this effect.
    pub(super) fn outcome(self, effect: Effect) -> Outcome {
        match self.verdict() {
            Verdict::Unclear if effect == Effect::Visible => Outcome::Unknown(self.error),
            Verdict::Later | Verdict::Unclear => Outcome::Retry { error: self.error, after: self.after },
            Verdict::Never => Outcome::Refused(self.error),
        }
    }

    fn verdict(&self) -> Verdict {
        let (status, coded) = match self.answer {
            Answer::NotSent => return Verdict::Later,
            Answer::Lost => return Verdict::Unclear,
            Answer::Status { status, coded } => (status, coded),
        };
        let code = self.code();
        match status {
            // Complete answers 200 before it knows how it will end; the body tells.
            200..=299 | 409 | 412 => Verdict::Unclear,
            404 if code == "NoSuchUpload" => Verdict::Unclear,
            _ if is_refused_for_now(code) => Verdict::Later,
            503 if self.after.is_some() => Verdict::Later,
            // It does not know how, so it has not: no encryption keys configured, say.
            501 | 507 => Verdict::Later,
            500.. => Verdict::Unclear,
            400..=499 if coded && !matches!(status, 401 | 403..=405 | 408 | 429) && !is_not_the_object(code) => {
                Verdict::Never
            }
            _ => Verdict::Later,
        }
    }
}

enum Verdict {
    /// Not done; worth another try.
    Later,
    /// Not done, and this object never will be.
    Never,
    /// Nobody knows whether it was done.
    Unclear,
}

/// The server said, before doing anything, that it will not do it now.
fn is_refused_for_now(code: &str) -> bool {
    code.starts_with("Throttl")
        || code.ends_with("QuotaExceeded")
        || matches!(
            code,
            "SlowDown"
                | "SlowDownRead"
                | "SlowDownWrite"
                | "TooManyRequests"
                | "TooManyRequestsException"
                | "RequestLimitExceeded"
                | "BandwidthLimitExceeded"
                | "XMinioStorageFull"
                | "XMinioServerNotInitialized"
        )
}

/// Codes that come with a 400 but speak of credentials, bucket, region, key or a damaged transfer rather than of the object.
fn is_not_the_object(code: &str) -> bool {
    code.starts_with("KMS.")
        || matches!(
            code,
            "ExpiredToken"
                | "InvalidToken"
                | "TokenRefreshRequired"
                | "AuthorizationHeaderMalformed"
                | "RequestTimeout"
                | "BadDigest"
                | "IncompleteBody"
                | "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch"
                | "InvalidPart"
                | "InvalidPartOrder"
                | "InvalidBucketName"
                | "IllegalLocationConstraintException"
                | "InvalidEncryptionAlgorithmError"
        )
}

/// The code of an answer that carries none (HEAD never does).
fn code_of(status: u16) -> &'static str {
    match status {
        200..=299 => "InvalidResponse",
        300..=399 => "PermanentRedirect",
        400 => "BadRequest",
        401 | 403 => "AccessDenied",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        408 => "RequestTimeout",
        409 => "ConditionalRequestConflict",
        412 => "PreconditionFailed",
        413 => "EntityTooLarge",
        429 => "SlowDown",
        501 => "NotImplemented",
        502 => "BadGateway",
        503 => "ServiceUnavailable",
        504 => "GatewayTimeout",
        507 => "InsufficientStorage",
        500.. => "InternalError",
        _ => "UnexpectedStatus",
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The error and its causes in one line, none twice.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in causes(error) {
        let cause = cause.to_string();
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Failure {
        Failure::new(Answer::Status { status, coded: true }, code, "m".into())
    }

    fn name(outcome: &Outcome) -> &'static str {
        match outcome {
            Outcome::Delivered(_) => "delivered",
            Outcome::Retry { .. } => "retry",
            Outcome::Refused(_) => "refused",
            Outcome::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn answers_are_sorted_by_what_they_speak_of() {
        for (status, code, hidden, visible) in [
            (403, "AccessDenied", "retry", "retry"),
            (403, "InvalidAccessKeyId", "retry", "retry"),
            (400, "ExpiredToken", "retry", "retry"),
            (404, "NoSuchBucket", "retry", "retry"),
            (405, "MethodNotAllowed", "retry", "retry"),
            (400, "KMS.NotFoundException", "retry", "retry"),
            (301, "PermanentRedirect", "retry", "retry"),
            (503, "SlowDown", "retry", "retry"),
            (503, "ServiceUnavailable", "retry", "unknown"),
            (500, "InternalError", "retry", "unknown"),
            (200, "InternalError", "retry", "unknown"),
            (404, "NoSuchUpload", "retry", "unknown"),
            (412, "PreconditionFailed", "retry", "unknown"),
            (409, "ConditionalRequestConflict", "retry", "unknown"),
            (501, "NotImplemented", "retry", "retry"),
            (507, "XMinioStorageFull", "retry", "retry"),
            (400, "XMinioAdminBucketQuotaExceeded", "retry", "retry"),
            (400, "KeyTooLongError", "refused", "refused"),
            (400, "EntityTooLarge", "refused", "refused"),
        ] {
            let failure = answered(status, code);
            assert_eq!(name(&failure.clone().outcome(Effect::Hidden)), hidden, "{status} {code}");
            assert_eq!(name(&failure.outcome(Effect::Visible)), visible, "{status} {code}");
        }
    }

    #[test]
    fn a_4xx_that_is_not_s3_speaking_waits() {
        for status in [400, 404, 413] {
            let failure = Failure::new(Answer::Status { status, coded: false }, code_of(status), "html".into());
            assert_eq!(name(&failure.outcome(Effect::Visible)), "retry", "{status}");
        }
    }

    #[test]
    fn a_request_that_never_left_is_never_unknown() {
        let failure = Failure::new(Answer::NotSent, "ConnectionFailed", String::new());
        assert_eq!(name(&failure.outcome(Effect::Visible)), "retry");
        assert_eq!(name(&Failure::timed_out().outcome(Effect::Visible)), "unknown");
    }
}
