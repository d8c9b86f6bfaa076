//! Prefix expressions `!{namespace:value}` of object keys.
//!
//! | Expression | `Prefix` | `ErrorOutputPrefix` | Becomes |
//! |---|---|---|---|
//! | `!{timestamp:<pattern>}` | yes | yes | arrival of the oldest record, as [`TimePattern`] prints it; one instant for all uses |
//! | `!{firehose:random-string}` | yes | yes | 11 letters and digits; others at every use |
//! | `!{firehose:error-output-type}` | no | yes | what went wrong with the records |
//! | `!{partitionKeyFromQuery:<key>}` | with dynamic partitioning | no | the key's value |
//! | `!{partitionKeyFromLambda:<key>}` | with dynamic partitioning | no | the key's value |
//!
//! Everything else is literal. A prefix is parsed when it is configured and evaluated once an object; the same context always
//! gives the same text. Rules and messages are those of
//! <https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html> and of the service's own validator.

mod defaults;
mod evaluate;
mod parse;

pub use defaults::{Prefixes, literal_prefixes, prefixes};

use crate::{Seed, TimePattern, TimeZone};

/// A parsed prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    source: String,
    role: Role,
    items: Vec<Item>,
}

/// Which namespaces a prefix may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// `Prefix`, with or without the namespaces of dynamic partitioning.
    Prefix {
        /// Whether dynamic partitioning is enabled.
        dynamic_partitioning: bool,
    },
    /// `ErrorOutputPrefix`.
    ErrorOutputPrefix,
}

/// What an expression is evaluated with.
#[derive(Clone, Copy, Debug)]
pub struct PrefixContext<'a> {
    /// Arrival of the oldest record, milliseconds since the Unix epoch.
    pub oldest_ms: u64,
    /// The destination's `CustomTimeZone`.
    pub zone: &'a TimeZone,
    /// The intent's seed.
    pub seed: Seed,
    /// Value of `!{firehose:error-output-type}`.
    pub error_output_type: Option<&'a str>,
    /// Values of partition keys.
    pub partition_keys: PartitionKeys<'a>,
}

/// Names and values of the partition keys of an object's records.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartitionKeys<'a> {
    /// What the `MetadataExtraction` query gave.
    pub from_query: &'a [(String, String)],
    /// What the transform gave.
    pub from_lambda: &'a [(String, String)],
}

/// Where the value of a partition key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeySource {
    /// `partitionKeyFromQuery`.
    Query,
    /// `partitionKeyFromLambda`.
    Lambda,
}

/// Why a prefix is refused, at configuration with the API's message; or why it has no value for these records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

impl Expression {
    /// The text it was parsed from, without what a default added.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is an `ErrorOutputPrefix`, whose objects have no extension.
    pub fn is_error_output(&self) -> bool {
        self.role == Role::ErrorOutputPrefix
    }

    /// The partition keys in use, in their order; one that is used twice comes twice.
    pub fn partition_keys(&self) -> impl Iterator<Item = (KeySource, &str)> {
        self.items.iter().filter_map(|item| match item {
            Item::PartitionKey(source, key) => Some((*source, key.as_str())),
            _ => None,
        })
    }
}

/// The member of the API that an expression stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Prefix,
    ErrorOutputPrefix,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Prefix => "Prefix",
            Self::ErrorOutputPrefix => "ErrorOutputPrefix",
        }
    }
}

/// A part of a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Timestamp(TimePattern),
    RandomString,
    ErrorOutputType,
    PartitionKey(KeySource, String),
}

fn refused<T>(message: impl Into<String>) -> Result<T, ExpressionError> {
    Err(ExpressionError(message.into()))
}

#[cfg(test)]
mod tests;
