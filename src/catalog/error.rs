//! Why the catalog says no.

use hydrant_model::constraint::{Faults, Refusal};

use super::StoreError;

/// A refusal. `Display` is the public message; a cause that is nobody's business is chained behind it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document is not of the API's types.
    #[error("{0}")]
    Serialization(String),
    /// Constraints of the API's model are broken: all of them.
    #[error("{0}")]
    Validation(String),
    /// The document is well-formed and means nothing that can be done: the first fault.
    #[error("{0}")]
    InvalidArgument(String),
    /// The stream is not in a state for this, or exists already.
    #[error("{0}")]
    ResourceInUse(String),
    /// There is no such stream.
    #[error("{0}")]
    ResourceNotFound(String),
    /// Too many of something.
    #[error("{0}")]
    LimitExceeded(String),
    /// Somebody else changed the stream meanwhile.
    #[error("{0}")]
    ConcurrentModification(String),
    /// The catalog could not be written; nothing was promised.
    #[error("the stream catalog cannot be written")]
    Store(#[from] StoreError),
    /// Something of the service failed that is not the caller's doing.
    #[error("internal failure")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The API's name of the exception.
    pub fn exception(&self) -> &'static str {
        match self {
            Self::Serialization(_) => "SerializationException",
            Self::Validation(_) => "ValidationException",
            Self::InvalidArgument(_) => "InvalidArgumentException",
            Self::ResourceInUse(_) => "ResourceInUseException",
            Self::ResourceNotFound(_) => "ResourceNotFoundException",
            Self::LimitExceeded(_) => "LimitExceededException",
            Self::ConcurrentModification(_) => "ConcurrentModificationException",
            Self::Store(_) | Self::Internal(_) => "InternalFailure",
        }
    }

    /// A failure whose cause is logged and not told.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// Create with a name that is taken.
    pub fn already_exists(name: &str, account: &str) -> Self {
        Self::ResourceInUse(format!("Firehose {name} under accountId {account} already exists"))
    }

    /// Create with the name of a stream that is there and could not be started.
    pub fn set_aside(name: &str, account: &str) -> Self {
        Self::ResourceInUse(format!(
            "Firehose {name} under accountId {account} already exists and could not be started: the service's log says why \
             and what to do"
        ))
    }

    /// Create while the name of a stream that could not be started is not known: it may be this one.
    pub fn unknown_name(name: &str, account: &str) -> Self {
        Self::ResourceInUse(format!(
            "Firehose {name} under accountId {account} cannot be told from one that could not be started and whose name cannot \
             be read: the service's log says which folder that is and what to do; until then no Firehose can be created"
        ))
    }

    /// Any operation but `UpdateDestination` on a stream that is not there.
    pub fn not_found(name: &str, account: &str) -> Self {
        Self::ResourceNotFound(format!("Firehose {name} under account {account} not found."))
    }

    /// `UpdateDestination` on a stream that is not there; the service words it differently.
    pub fn not_found_for_update(name: &str, account: &str) -> Self {
        Self::ResourceNotFound(format!("Firehose {name} under accountId {account} not found."))
    }

    /// Create past the number of streams that settings allow; `names` are those that exist.
    pub fn quota(limit: usize, names: &[&str]) -> Self {
        let names = names.join(", ");
        Self::LimitExceeded(format!(
            "You have already consumed your firehose quota of {limit} hoses. Firehose names: [{names}]"
        ))
    }

    pub(super) fn not_supported(what: &str) -> Self {
        Self::InvalidArgument(format!("{what} is not supported by this version of hydrant"))
    }

    pub(super) fn verdict(faults: &Faults) -> Result<(), Self> {
        faults.verdict().map_err(|refusal| match refusal {
            Refusal::Serialization(message) => Self::Serialization(message),
            Refusal::Validation(message) => Self::Validation(message),
        })
    }
}
