//! From text to items, with the messages of the service's validator.

use super::{Expression, ExpressionError, Item, KeySource, Namespaces, Role, refused};
use crate::TimePattern;

impl Expression {
    /// Parses a prefix as it is configured, adding nothing.
    ///
    /// # Errors
    ///
    /// The message is the API's: a namespace or value that does not exist, or not in this member; a prefix that must name a
    /// partition key or the error output type and does not; one that is certain to be longer than 512 characters. A prefix that
    /// can never be part of an object key (a control character, a `..` segment) is refused with our own.
    pub fn parse(source: &str, namespaces: Namespaces) -> Result<Self, ExpressionError> {
        let items = items(source, namespaces)?;
        let role = match namespaces {
            Namespaces::Prefix { dynamic_partitioning } => {
                if dynamic_partitioning && !items.iter().any(|item| matches!(item, Item::PartitionKey(..))) {
                    return refused(NO_PARTITION_KEY);
                }
                Role::Prefix
            }
            Namespaces::ErrorOutputPrefix => {
                if has_expressions(&items) && !items.contains(&Item::ErrorOutputType) {
                    return refused(NO_ERROR_OUTPUT_TYPE);
                }
                Role::ErrorOutputPrefix
            }
        };
        let expression = Self { source: source.to_owned(), role, items };
        expression.check_sample()?;
        Ok(expression)
    }

    /// Whether anything but literal text stands in it.
    pub fn has_expressions(&self) -> bool {
        has_expressions(&self.items)
    }
}

fn has_expressions(items: &[Item]) -> bool {
    items.iter().any(|item| !matches!(item, Item::Literal(_)))
}

fn items(source: &str, namespaces: Namespaces) -> Result<Vec<Item>, ExpressionError> {
    let mut items = Vec::new();
    let mut rest = source;
    while let Some((literal, after)) = rest.split_once(OPEN) {
        let Some((content, behind)) = after.split_once('}') else {
            return refused(INVALID_USAGE);
        };
        if !literal.is_empty() {
            items.push(Item::Literal(literal.to_owned()));
        }
        items.push(item(content, namespaces)?);
        rest = behind;
    }
    if !rest.is_empty() {
        items.push(Item::Literal(rest.to_owned()));
    }
    Ok(items)
}

/// What stands between `!{` and `}`.
fn item(content: &str, namespaces: Namespaces) -> Result<Item, ExpressionError> {
    let Some((namespace, value)) = content.split_once(':').filter(|_| !content.contains(OPEN)) else {
        return refused(INVALID_USAGE);
    };
    let role = match namespaces {
        Namespaces::Prefix { .. } => Role::Prefix,
        Namespaces::ErrorOutputPrefix => Role::ErrorOutputPrefix,
    };
    match (namespace, value) {
        ("timestamp", "") => bad_value(role),
        ("timestamp", pattern) => TimePattern::parse(pattern).map(Item::Timestamp).or_else(|_| bad_value(role)),
        ("firehose", "random-string") => Ok(Item::RandomString),
        ("firehose", "error-output-type") if role == Role::Prefix => refused(ERROR_OUTPUT_TYPE_IN_PREFIX),
        ("firehose", "error-output-type") => Ok(Item::ErrorOutputType),
        ("firehose", _) => bad_value(role),
        ("partitionKeyFromQuery", key) => partition_key(KeySource::Query, key, namespaces),
        ("partitionKeyFromLambda", key) => partition_key(KeySource::Lambda, key, namespaces),
        _ => refused(format!("Namespace to the left of colon ({namespace}) is an invalid keyword!")),
    }
}

fn partition_key(source: KeySource, key: &str, namespaces: Namespaces) -> Result<Item, ExpressionError> {
    match namespaces {
        Namespaces::ErrorOutputPrefix => refused(PARTITION_KEY_IN_ERROR_PREFIX),
        Namespaces::Prefix { dynamic_partitioning: false } => refused(PARTITION_KEY_WITHOUT_PARTITIONING),
        Namespaces::Prefix { dynamic_partitioning: true } if key.is_empty() => bad_value(Role::Prefix),
        Namespaces::Prefix { dynamic_partitioning: true } => Ok(Item::PartitionKey(source, key.to_owned())),
    }
}

fn bad_value(role: Role) -> Result<Item, ExpressionError> {
    refused(format!("Invalid conversion character used in the value of the expression in {}", role.name()))
}

/// What an expression begins with; it may not occur otherwise.
pub(super) const OPEN: &str = "!{";

const INVALID_USAGE: &str = "Invalid expression usage";
const ERROR_OUTPUT_TYPE_IN_PREFIX: &str = "Prefix must not contain any occurrence of !{firehose:error-output-type}";
const NO_ERROR_OUTPUT_TYPE: &str =
    "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}";
const PARTITION_KEY_IN_ERROR_PREFIX: &str =
    "Dynamic Partitioning Namespaces can't be part of an error prefix expression";
const PARTITION_KEY_WITHOUT_PARTITIONING: &str =
    "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.";
const NO_PARTITION_KEY: &str =
    "S3 Prefix should contain Dynamic Partitioning namespaces when Dynamic Partitioning is enabled";
