//! What a destination's prefixes are, with what AWS adds where they say nothing of time or failure.

use super::parse::OPEN;
use super::{Expression, ExpressionError, Item, Namespaces, refused};
use crate::TimePattern;

/// Both prefixes of an object destination, ready to be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes {
    /// Where records go.
    pub prefix: Expression,
    /// Where failed records go.
    pub error_output: Expression,
}

/// Parses `Prefix` and `ErrorOutputPrefix` (an empty one counts as left out) and completes them:
///
/// - A prefix without any expression is followed directly by `yyyy/MM/dd/HH/`; one with an expression stays as it is.
/// - No error output prefix: errors land under `<prefix><error-output-type>/yyyy/MM/dd/HH/`. An error output prefix without any
///   expression is completed in the same way.
///
/// # Errors
///
/// Those of [`Expression::parse`], and an error output prefix left out while the prefix has expressions.
pub fn prefixes(
    prefix: Option<&str>,
    error_output_prefix: Option<&str>,
    dynamic_partitioning: bool,
) -> Result<Prefixes, ExpressionError> {
    let prefix = Expression::parse(prefix.unwrap_or_default(), Namespaces::Prefix { dynamic_partitioning })?;
    let error_output = match error_output_prefix.filter(|text| !text.is_empty()) {
        Some(source) => Expression::parse(source, Namespaces::ErrorOutputPrefix)?,
        None if prefix.has_expressions() => return refused(NO_ERROR_OUTPUT_PREFIX),
        None => {
            let literal = Expression::parse(prefix.source(), Namespaces::ErrorOutputPrefix)?;
            Expression { source: String::new(), ..literal }
        }
    };
    Ok(Prefixes { prefix: completed(prefix)?, error_output: completed(error_output)? })
}

/// [`prefixes`] for a destination whose data is loaded from its objects (Redshift): no expressions, no error output prefix.
pub fn literal_prefixes(prefix: Option<&str>, error_output_prefix: Option<&str>) -> Result<Prefixes, ExpressionError> {
    let has_expression = prefix.is_some_and(|text| text.contains(OPEN));
    if has_expression || error_output_prefix.is_some_and(|text| !text.is_empty()) {
        return refused(NOT_SUPPORTED);
    }
    prefixes(prefix, None, false)
}

fn completed(mut expression: Expression) -> Result<Expression, ExpressionError> {
    if expression.has_expressions() {
        return Ok(expression);
    }
    if expression.is_error_output() {
        expression.items.extend([Item::ErrorOutputType, Item::Literal("/".to_owned())]);
    }
    let hourly = TimePattern::parse("yyyy/MM/dd/HH/").map_err(|error| ExpressionError(error.to_string()))?;
    expression.items.push(Item::Timestamp(hourly));
    expression.check_sample()?;
    Ok(expression)
}

const NO_ERROR_OUTPUT_PREFIX: &str = "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions";
const NOT_SUPPORTED: &str = "Prefix Expressions or ErrorOutputPrefix is currently not supported for this destination";
