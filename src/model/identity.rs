//! Who a stream, a segment, a record and an intent are.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Position of a record in its stream's log. Strictly increasing; dense within a segment; a gap between two segments is legal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset `records` further on.
    #[must_use]
    pub fn plus(self, records: u64) -> Self {
        Self(self.0 + records)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Half-open range of offsets `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First offset of the range.
    pub from: Offset,
    /// The offset after the last one.
    pub to: Offset,
}

impl OffsetRange {
    /// Whether no offset lies in the range.
    pub fn is_empty(self) -> bool {
        self.from >= self.to
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.from, self.to)
    }
}

/// 128 bits written as 32 hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = hex::FromHexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; 16];
                hex::decode_to_slice(text, &mut bytes)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id! {
    /// Names one creation of a delivery stream: a stream deleted and created again under the same name has another id.
    StreamId
}
hex_id! {
    /// 128 random bits of one segment of a log, drawn when the segment is taken into use.
    Birth
}
hex_id! {
    /// 128 random bits that mark what one pass over some records wrote: of a pass that came to no end, nothing counts.
    SetId
}
hex_id! {
    /// Names the columns of a table by what they are: half of a hash of their names and types.
    SchemaId
}
hex_id! {
    /// 128 random bits of one intent; every name that the intent gives away is derived from them.
    Seed
}

impl Seed {
    /// 32 bytes that belong to the `index`-th use of this seed: the same at every attempt, on every machine.
    pub fn derive(&self, index: u64) -> [u8; 32] {
        Sha256::new().chain_update(self.0).chain_update(index.to_be_bytes()).finalize().into()
    }

    /// A version 4 UUID for the `index`-th use of this seed, in lower-case hyphenated form.
    pub fn uuid(&self, index: u64) -> String {
        let mut bytes = [0_u8; 16];
        for (to, from) in bytes.iter_mut().zip(self.derive(index)) {
            *to = from;
        }
        let value = (u128::from_be_bytes(bytes) & !(0xF000_u128 << 64) & !(0xC000_u128 << 48))
            | (0x4000_u128 << 64)
            | (0x8000_u128 << 48);
        let text = format!("{value:032x}");
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
    }
}

/// What a record is called for ever: RecordId, OpenSearch `_id` and Splunk `EventId` are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordIdentity {
    /// Birth of the segment that holds the record.
    pub birth: Birth,
    /// The record's offset.
    pub offset: Offset,
    /// Index within a de-aggregated record; 0 otherwise.
    pub sub_index: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeds_uuids_are_version_4_and_stable() {
        let seed = Seed([7; 16]);
        let uuid = seed.uuid(0);
        assert_eq!(uuid, seed.uuid(0));
        assert_ne!(uuid, seed.uuid(1));
        assert_eq!(uuid.len(), 36);
        assert_eq!(uuid.as_bytes().get(14), Some(&b'4'));
        assert!(matches!(uuid.as_bytes().get(19), Some(b'8' | b'9' | b'a' | b'b')));
    }

    #[test]
    fn ids_survive_their_text() {
        let id = StreamId([0xAB; 16]);
        assert_eq!(id.to_string().parse::<StreamId>(), Ok(id));
        assert!("xyz".parse::<StreamId>().is_err());
    }
}
