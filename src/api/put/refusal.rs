//! Why a put is refused as a whole, in the words of the service.

use std::fmt;

/// A refusal of the whole request; nothing of it was accepted. [`Display`](fmt::Display) is the public message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The body is not JSON, a member has the wrong type, or data is not base64. The text is the message.
    Serialization(String),
    /// Constraints of the model are broken: one clause each, at least one.
    Validation(Vec<String>),
    /// The records of a batch have more bytes together than this limit.
    BatchTooLong {
        /// The limit in bytes.
        max_bytes: usize,
    },
}

impl Refusal {
    /// HTTP status of the answer.
    pub fn status(&self) -> u16 {
        400
    }

    /// `__type` of the answer.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Serialization(_) => "SerializationException",
            Self::Validation(_) => "ValidationException",
            Self::BatchTooLong { .. } => "InvalidArgumentException",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serialization(message) => f.write_str(message),
            Self::Validation(clauses) => {
                let plural = if clauses.len() == 1 { "" } else { "s" };
                write!(f, "{} validation error{plural} detected: {}", clauses.len(), clauses.join("; "))
            }
            Self::BatchTooLong { max_bytes } if max_bytes % MEBIBYTE == 0 => {
                write!(f, "Records size exceeds {} MB limit", max_bytes / MEBIBYTE)
            }
            Self::BatchTooLong { max_bytes } => write!(f, "Records size exceeds {max_bytes} bytes limit"),
        }
    }
}

impl std::error::Error for Refusal {}

/// What the service calls a MB in this message.
const MEBIBYTE: usize = 1024 * 1024;
