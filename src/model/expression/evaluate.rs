//! From items to the text of one object's key.

use jiff::Zoned;

use super::{Expression, ExpressionError, Item, KeySource, PartitionKeys, PrefixContext, Role, refused};
use crate::{ObjectKey, Seed, TimeZone, key, time_pattern};

impl Expression {
    /// The prefix of the object that `context` describes, at most 512 characters.
    ///
    /// # Errors
    ///
    /// It is longer, or a partition key has no value or one that may not be part of a key: empty, with a control character, or
    /// with a path segment that is empty, `.` or `..`. The records are at fault then, not the configuration.
    pub fn evaluate(&self, context: &PrefixContext<'_>) -> Result<String, ExpressionError> {
        let text = self.text(context, |source, name| {
            let value = value_of(context.partition_keys, source, name)?;
            check_value(name, value)?;
            Ok(value)
        })?;
        self.check_length(&text)?;
        Ok(text)
    }

    /// Evaluates for an object that might be, to find out at configuration what would fail for every one.
    pub(super) fn check_sample(&self) -> Result<(), ExpressionError> {
        let context = PrefixContext {
            oldest_ms: SAMPLE_MS,
            zone: &TimeZone::utc(),
            seed: Seed([0; 16]),
            error_output_type: Some(LONGEST_ERROR_OUTPUT_TYPE),
            partition_keys: PartitionKeys::default(),
        };
        // A value has one character at least.
        let text = self.text(&context, |_, _| Ok("x"))?;
        self.check_length(&text)?;
        ObjectKey::check_text(&format!("{text}x"))
            .map_err(|error| ExpressionError(format!("{} cannot begin an object key: {error}", self.role.name())))
    }

    fn text<'v>(
        &self,
        context: &PrefixContext<'_>,
        partition_value: impl Fn(KeySource, &str) -> Result<&'v str, ExpressionError>,
    ) -> Result<String, ExpressionError> {
        let moment: Zoned = time_pattern::at(context.oldest_ms, context.zone);
        let mut random_index = key::FIRST_RANDOM_STRING;
        let mut text = String::new();
        for item in &self.items {
            match item {
                Item::Literal(literal) => text.push_str(literal),
                Item::Timestamp(pattern) => pattern.write(&moment, &mut text),
                Item::RandomString => {
                    text.push_str(&random_string(context.seed, random_index));
                    random_index += 1;
                }
                Item::ErrorOutputType => match context.error_output_type {
                    Some(kind) => text.push_str(kind),
                    None => return refused("records that did not fail have no error output type"),
                },
                Item::PartitionKey(source, name) => text.push_str(partition_value(*source, name)?),
            }
        }
        Ok(text)
    }

    fn check_length(&self, text: &str) -> Result<(), ExpressionError> {
        if text.chars().count() <= MAX_CHARS {
            return Ok(());
        }
        let member = match self.role {
            Role::Prefix => "prefix",
            Role::ErrorOutputPrefix => "ErrorOutputPrefix",
        };
        refused(format!("Length of evaluated {member} cannot be greater than {MAX_CHARS}"))
    }
}

fn value_of<'a>(keys: PartitionKeys<'a>, source: KeySource, name: &str) -> Result<&'a str, ExpressionError> {
    let values = match source {
        KeySource::Query => keys.from_query,
        KeySource::Lambda => keys.from_lambda,
    };
    let value = values.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    value.ok_or_else(|| ExpressionError(format!("partition key {name:?} has no value")))
}

/// Refuses what would put an object elsewhere than where its prefix says.
fn check_value(name: &str, value: &str) -> Result<(), ExpressionError> {
    if value.is_empty() {
        return refused(format!("value of partition key {name:?} is empty"));
    }
    if value.split('/').any(str::is_empty) {
        return refused(format!("value of partition key {name:?} contains an empty path segment"));
    }
    ObjectKey::check_text(value).map_err(|error| ExpressionError(format!("value of partition key {name:?}: {error}")))
}

/// 11 of the 62 letters and digits, hashed from the seed and the index of its use.
fn random_string(seed: Seed, index: u64) -> String {
    let mut number = 0_u128;
    for byte in seed.derive(index).iter().take(16) {
        number = number << 8 | u128::from(*byte);
    }
    let mut next = || {
        let digit = usize::try_from(number % 62).unwrap_or_default();
        number /= 62;
        ALPHABET.get(digit).copied().map_or('0', char::from)
    };
    std::iter::repeat_with(&mut next).take(RANDOM_CHARS).collect()
}

const ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Length of a `random-string`, as observed.
const RANDOM_CHARS: usize = 11;

/// <https://docs.aws.amazon.com/firehose/latest/dev/s3-prefixes.html>
const MAX_CHARS: usize = 512;

/// 26 September 2018, 12:30 UTC: no month, no day of the week and no part of the day has a longer name.
const SAMPLE_MS: u64 = 1_537_965_000_000;

/// Errors are written with the prefix that was accepted, so the longest type must fit into it.
const LONGEST_ERROR_OUTPUT_TYPE: &str = "AmazonOpenSearchService-failed";
