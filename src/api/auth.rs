//! Where a request is authenticated: the one place that says who the caller is, and the one that says what it may.
//!
//! Today everybody is [`Caller::Anonymous`] and may everything; the service refuses to listen on an address that others reach
//! unless it is told to. Keys take the place of [`Open`], policies that of [`Caller::may`].

use hyper::http::request::Parts;

use super::error::ApiError;

/// Says who sent a request.
pub trait Authenticator: Send + Sync {
    /// Looks at the head and at the exact bytes of the body, as they were sent.
    ///
    /// # Errors
    /// The credentials are missing or wrong.
    fn authenticate(&self, head: &Parts, body: &[u8]) -> Result<Caller, ApiError>;
}

/// Lets everybody in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open;

impl Authenticator for Open {
    fn authenticate(&self, _head: &Parts, _body: &[u8]) -> Result<Caller, ApiError> {
        Ok(Caller::Anonymous)
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caller {
    /// Nobody asked.
    Anonymous,
}

impl Caller {
    /// Whether the caller may do `action` (an operation of the API, as IAM names it behind `firehose:`), to `stream` where the
    /// action has one.
    ///
    /// # Errors
    /// It may not.
    pub fn may(&self, _action: &str, _stream: Option<&str>) -> Result<(), ApiError> {
        match self {
            Self::Anonymous => Ok(()),
        }
    }
}
