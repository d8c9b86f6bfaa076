//! The key of an object: `<prefix><stream>-<version>-<yyyy-MM-dd-HH-mm-ss>-<uuid><extension>`.
//!
//! Everything in it comes from the intent and the configuration it was made under, so that every attempt makes the same key
//! and no other intent ever does.

use crate::key::OBJECT_UUID;
use crate::{Expression, ExpressionError, KeyError, ObjectKey, PrefixContext, time_pattern};

/// What an object's name has of its stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamNameParts<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// `VersionId` in force when the intent was made.
    pub version: u64,
    /// `FileExtension`, or that of the compression format, dot included; objects of an error output have none.
    pub extension: &'a str,
}

/// Why an object has no key; its records are at fault, not the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectNameError {
    /// The prefix has no value.
    #[error(transparent)]
    Prefix(#[from] ExpressionError),
    /// The whole is not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The key of the object that `context` describes, in `bucket`.
///
/// The time is the arrival of the oldest record, on the clock of the destination's zone.
pub fn object_key(
    bucket: &str,
    prefix: &Expression,
    context: &PrefixContext<'_>,
    name: &StreamNameParts<'_>,
) -> Result<ObjectKey, ObjectNameError> {
    let evaluated = prefix.evaluate(context)?;
    let oldest = time_pattern::at(context.oldest_ms, context.zone).strftime("%Y-%m-%d-%H-%M-%S");
    let uuid = context.seed.uuid(OBJECT_UUID);
    let extension = if prefix.is_error_output() { "" } else { name.extension };
    let key = format!("{evaluated}{}-{}-{oldest}-{uuid}{extension}", name.stream, name.version);
    Ok(ObjectKey::new(bucket, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PartitionKeys, Seed, TimeZone, prefixes};

    /// 13 July 2026, 14:05:09 UTC.
    const OLDEST_MS: u64 = 1_783_951_509_600;

    fn context(zone: &TimeZone) -> PrefixContext<'_> {
        PrefixContext {
            oldest_ms: OLDEST_MS,
            zone,
            seed: Seed([7; 16]),
            error_output_type: Some("processing-failed"),
            partition_keys: PartitionKeys::default(),
        }
    }

    const NAME: StreamNameParts<'_> = StreamNameParts { stream: "orders", version: 3, extension: ".gz" };

    #[test]
    fn a_key_is_prefix_stream_version_time_uuid_and_extension() {
        let utc = TimeZone::utc();
        let prefixes = prefixes(None, None, false).expect("defaults");
        let key = object_key("b", &prefixes.prefix, &context(&utc), &NAME).expect("a key");
        let uuid = Seed([7; 16]).uuid(0);
        assert_eq!(key.bucket, "b");
        assert_eq!(key.key, format!("2026/07/13/14/orders-3-2026-07-13-14-05-09-{uuid}.gz"));
    }

    #[test]
    fn an_error_object_has_no_extension() {
        let utc = TimeZone::utc();
        let prefixes = prefixes(None, None, false).expect("defaults");
        let key = object_key("b", &prefixes.error_output, &context(&utc), &NAME).expect("a key");
        let uuid = Seed([7; 16]).uuid(0);
        assert_eq!(key.key, format!("processing-failed/2026/07/13/14/orders-3-2026-07-13-14-05-09-{uuid}"));
    }

    #[test]
    fn the_zone_applies_to_prefix_and_name() {
        let tokyo = TimeZone::named("Asia/Tokyo").expect("a zone");
        let prefixes = prefixes(None, None, false).expect("defaults");
        let key = object_key("b", &prefixes.prefix, &context(&tokyo), &NAME).expect("a key");
        assert!(key.key.starts_with("2026/07/13/23/orders-3-2026-07-13-23-05-09-"), "{}", key.key);
    }

    #[test]
    fn the_key_is_as_stable_as_the_seed() {
        let utc = TimeZone::utc();
        let prefixes = prefixes(Some("!{firehose:random-string}/"), Some("!{firehose:error-output-type}/"), false)
            .expect("prefixes");
        let first = object_key("b", &prefixes.prefix, &context(&utc), &NAME);
        assert_eq!(first, object_key("b", &prefixes.prefix, &context(&utc), &NAME));
        let other = PrefixContext { seed: Seed([8; 16]), ..context(&utc) };
        assert_ne!(first, object_key("b", &prefixes.prefix, &other, &NAME));
    }

    #[test]
    fn a_key_longer_than_s3_takes_is_refused() {
        let utc = TimeZone::utc();
        // 512 characters, over 1,024 bytes: the prefix passes, the key does not.
        let prefixes =
            prefixes(Some(&"年".repeat(498)), Some("!{firehose:error-output-type}/"), false).expect("prefixes");
        let key = object_key("b", &prefixes.prefix, &context(&utc), &NAME);
        assert!(matches!(key, Err(ObjectNameError::Key(KeyError::TooLong(_)))), "{key:?}");
    }
}
