//! What is answered when something is not done: the error of the AWS API, and the problem of plain HTTP.

use std::borrow::Cow;

use hyper::StatusCode;
use serde_json::{Value, json};

/// What lies behind an error; logged, never told.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Statuses of refusals and failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStatus {
    /// 400, most of what the AWS API refuses.
    BadRequest,
    /// 401, no or wrong credentials.
    Unauthorized,
    /// 403, this caller may not.
    Forbidden,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 408, the request came too slowly.
    RequestTimeout,
    /// 409, not in this state.
    Conflict,
    /// 413
    TooLarge,
    /// 415
    UnsupportedMediaType,
    /// 429
    TooManyRequests,
    /// 500
    Internal,
    /// 503, worth another try later.
    Unavailable,
    /// 504, it takes longer than was waited for.
    GatewayTimeout,
}

impl ErrorStatus {
    /// The number.
    pub fn code(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// An error of the AWS API: what the caller is told, and what it is not told.
#[derive(Debug, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct ApiError {
    pub(super) status: ErrorStatus,
    pub(super) error_type: &'static str,
    pub(super) message: Cow<'static, str>,
    /// Further members of the answer.
    pub(super) code: Option<&'static str>,
    #[source]
    pub(super) cause: Option<Cause>,
}

impl ApiError {
    /// An exception of the API's model (or one of those common to AWS), told with this message.
    pub fn new(status: ErrorStatus, exception: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error_type: exception, message: message.into(), code: None, cause: None }
    }

    /// An exception with the status that it has: 500 for `InternalFailure`, 503 for `ServiceUnavailableException`, else 400.
    pub fn exception(exception: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let status = match exception {
            INTERNAL => ErrorStatus::Internal,
            UNAVAILABLE => ErrorStatus::Unavailable,
            _ => ErrorStatus::BadRequest,
        };
        Self::new(status, exception, message)
    }

    /// A fault of the service. The caller learns nothing but that.
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::exception(INTERNAL, "The request processing has failed because of an internal failure.").with_cause(cause)
    }

    /// No room at present.
    pub fn slow_down() -> Self {
        Self::exception(UNAVAILABLE, "Slow down.")
    }

    /// Any operation on a stream that is not there.
    pub fn no_such_stream(name: &str, account: &str) -> Self {
        let message = format!("Firehose {name} under account {account} not found.");
        Self::exception("ResourceNotFoundException", message)
    }

    /// An operation that is not known, or not here.
    pub fn unknown_operation(name: &str) -> Self {
        let message = if NOT_SUPPORTED.contains(&name) {
            format!("Operation {name} is not supported by this version of hydrant")
        } else {
            format!("Operation {} is not known", shown(name))
        };
        Self::exception("UnknownOperationException", message)
    }

    /// Adds the `code` that `InvalidKMSResourceException` and `InvalidSourceException` carry.
    #[must_use]
    pub fn with_code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// Adds what is behind it, for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Name of the exception.
    pub fn error_type(&self) -> &'static str {
        self.error_type
    }

    /// Status of the answer.
    pub fn status(&self) -> ErrorStatus {
        self.status
    }

    /// What the caller is told.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "__type": self.error_type, "message": self.message });
        if let (Some(code), Some(members)) = (self.code, body.as_object_mut()) {
            members.insert("code".to_owned(), code.into());
        }
        body
    }
}

/// An error of plain HTTP: `{"error":{"type","message","field"?}}`.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) status: ErrorStatus,
    pub(super) kind: &'static str,
    pub(super) message: String,
    /// The parameter or header that is wrong.
    pub(super) field: Option<&'static str>,
    /// Methods that the path has, where the method was wrong.
    pub(super) allow: Option<&'static str>,
    pub(super) cause: Option<Cause>,
}

impl Problem {
    pub(super) fn new(status: ErrorStatus, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), field: None, allow: None, cause: None }
    }

    pub(super) fn internal(cause: impl Into<Cause>) -> Self {
        let problem =
            Self::new(ErrorStatus::Internal, "internal", "internal failure; the log of the service has the cause");
        Self { cause: Some(cause.into()), ..problem }
    }

    pub(super) fn no_such_stream(name: &str) -> Self {
        Self::new(ErrorStatus::NotFound, "not_found", format!("there is no stream {}", shown(name)))
    }

    pub(super) fn slow_down() -> Self {
        Self::new(ErrorStatus::Unavailable, "slow_down", "no room at present, try again later")
    }

    pub(super) fn recovering() -> Self {
        Self::new(ErrorStatus::Unavailable, "recovering", "streams are being recovered after a start, try again soon")
    }

    pub(super) fn in_field(self, field: &'static str) -> Self {
        Self { field: Some(field), ..self }
    }

    /// Whether the answer says when to come back.
    pub(super) fn asks_to_retry(&self) -> bool {
        matches!(self.status, ErrorStatus::Unavailable | ErrorStatus::TooManyRequests)
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({ "type": self.kind, "message": self.message });
        if let (Some(field), Some(members)) = (self.field, error.as_object_mut()) {
            members.insert("field".to_owned(), field.into());
        }
        json!({ "error": error })
    }
}

impl From<ApiError> for Problem {
    /// For what both ways in ask: who the caller is and what it may.
    fn from(error: ApiError) -> Self {
        let kind = match error.status {
            ErrorStatus::Unauthorized => "unauthorized",
            ErrorStatus::Forbidden => "forbidden",
            _ => "bad_request",
        };
        Self { cause: error.cause, ..Self::new(error.status, kind, error.message) }
    }
}

/// A value from a request as a message shows it: quoted, and cut where a message would grow with the request.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{:?}...", value.get(..end).unwrap_or_default()),
        None => format!("{value:?}"),
    }
}

/// Operations of the API that there are not yet.
const NOT_SUPPORTED: [&str; 2] = ["StartDeliveryStreamEncryption", "StopDeliveryStreamEncryption"];
const INTERNAL: &str = "InternalFailure";
const UNAVAILABLE: &str = "ServiceUnavailableException";
const MAX_SHOWN: usize = 100;
