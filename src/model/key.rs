//! Bucket and key of an object, checked where they are made.

use serde::{Deserialize, Serialize};

/// Where one object is: a bucket and a key that passed [`ObjectKey::new`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The bucket.
    pub bucket: String,
    /// The key within it.
    pub key: String,
}

/// Why a text is not a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Longer than S3 takes.
    #[error("key has {0} bytes, more than 1024")]
    TooLong(usize),
    /// Nothing to name the object by.
    #[error("key is empty")]
    Empty,
    /// A control character, which no tool shows and some servers refuse.
    #[error("key contains the control character {0:?}")]
    Control(char),
    /// A segment that a file system would read as a direction.
    #[error("key contains the path segment {0:?}")]
    Segment(&'static str),
}

impl ObjectKey {
    /// Checks `key`: at most 1,024 bytes (the limit of S3), no control characters, no `.` or `..` path segment.
    ///
    /// Empty segments (`a//b`) pass here, since a user's own prefix may hold them; those that come from data are refused where
    /// the data is put into the key.
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Result<Self, KeyError> {
        let key = key.into();
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(KeyError::TooLong(key.len()));
        }
        Self::check_text(&key)?;
        Ok(Self { bucket: bucket.into(), key })
    }

    /// The rules of [`ObjectKey::new`] that hold for a part of a key as for the whole.
    pub(crate) fn check_text(text: &str) -> Result<(), KeyError> {
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(KeyError::Control(control));
        }
        for segment in text.split('/') {
            match segment {
                "." => return Err(KeyError::Segment(".")),
                ".." => return Err(KeyError::Segment("..")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Index of the seed's use ([`Seed::derive`](crate::Seed::derive)) for the UUID in an object's name.
pub const OBJECT_UUID: u64 = 0;

/// Index of the seed's use for the name of an archive's entry.
pub const ENTRY_NAME: u64 = 1;

/// Index of the seed's use for the first random string in a prefix; the next ones follow.
pub const FIRST_RANDOM_STRING: u64 = 2;

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MAX_KEY_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_leaves_its_bucket_is_refused() {
        assert_eq!(ObjectKey::new("b", "a/../c"), Err(KeyError::Segment("..")));
        assert_eq!(ObjectKey::new("b", "./c"), Err(KeyError::Segment(".")));
        assert_eq!(ObjectKey::new("b", "a\nb"), Err(KeyError::Control('\n')));
        assert_eq!(ObjectKey::new("b", ""), Err(KeyError::Empty));
        assert_eq!(ObjectKey::new("b", "a".repeat(1025)), Err(KeyError::TooLong(1025)));
        assert!(ObjectKey::new("b", "a//..b/c.").is_ok());
    }
}
