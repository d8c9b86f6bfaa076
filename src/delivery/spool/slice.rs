//! The head of a slice: the first record of what is appended to the spool at once.
//!
//! All numbers are little-endian.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 1 | format version, 1 |
//! | 1 | 16 | run: who wrote it; 128 random bits, so that no record can pass for a head |
//! | 17 | 8 | its own offset in the spool is not below this one |
//! | 25 | 8 | offset of the head of the partition's slice before this one, plus one; 0 if there is none |
//! | 33 | 8 | where its frame begins in its segment's file |
//! | 41 | 16 | partition |
//! | 57 | 8 | records |
//! | 65 | 8 | their bytes |
//! | 73 | 8 | arrival of the oldest, milliseconds since the Unix epoch |
//! | 81 | 8 | no record that they were made of lies below this offset of the records' log |
//! | 89 | 8 | configuration version |
//! | 97 | 16 | table that the records are rows of; zeros where it is inferred, or there is none |
//! | 113 | 4 | number of partition keys |
//! | 117 | … | of each: length in bytes (4), UTF-8 |
//! | | 4 | CRC-32C of all that: a head is read without the rest of its frame, which has the other one |

use hydrant_model::{Offset, SchemaId, SetId};

use super::PartitionId;
use crate::log::Mark;

/// The head of a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Head {
    pub(in crate::delivery) run: SetId,
    pub(in crate::delivery) at_least: Offset,
    pub(in crate::delivery) previous: Option<Mark>,
    pub(in crate::delivery) partition: PartitionId,
    pub(in crate::delivery) records: u64,
    pub(in crate::delivery) bytes: u64,
    pub(in crate::delivery) oldest_ms: u64,
    pub(in crate::delivery) source: Offset,
    pub(in crate::delivery) version: u64,
    pub(in crate::delivery) schema: Option<SchemaId>,
    /// Values of the keys that the prefix has places for, in their order.
    pub(in crate::delivery) keys: Vec<String>,
}

impl Head {
    /// About what the slice takes on disk.
    pub(in crate::delivery) fn disk_bytes(&self) -> u64 {
        let keys: usize = self.keys.iter().map(|key| key.len() + 4).sum();
        let head = (FIXED_BYTES + 4 + keys) as u64;
        let frames = 1 + self.bytes / LARGE_FRAME_BYTES;
        self.bytes + head + LENGTH_BYTES * (self.records + 1) + FRAME_BYTES * frames
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FIXED_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.run.0);
        bytes.extend_from_slice(&self.at_least.0.to_le_bytes());
        let previous = self.previous.map_or([0; 2], |mark| [mark.offset.0 + 1, mark.position]);
        bytes.extend(previous.into_iter().flat_map(u64::to_le_bytes));
        bytes.extend_from_slice(&self.partition.0.to_le_bytes());
        for number in [self.records, self.bytes, self.oldest_ms, self.source.0, self.version] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.schema.map_or([0; 16], |schema| schema.0));
        bytes.extend_from_slice(&u32::try_from(self.keys.len()).unwrap_or(u32::MAX).to_le_bytes());
        for key in &self.keys {
            bytes.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(key.as_bytes());
        }
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (bytes, written) = bytes.split_last_chunk::<4>()?;
        if checksum(bytes).to_le_bytes() != *written {
            return None;
        }
        let mut fields = Fields(bytes);
        if fields.take()? != [VERSION] {
            return None;
        }
        let (run, at_least) = (SetId(fields.take()?), Offset(fields.number()?));
        let (previous, position) = (fields.number()?, fields.number()?);
        let partition = PartitionId(u128::from_le_bytes(fields.take()?));
        let (records, bytes, oldest_ms) = (fields.number()?, fields.number()?, fields.number()?);
        let (source, version) = (Offset(fields.number()?), fields.number()?);
        let schema = Some(fields.take()?).filter(|schema| *schema != [0; 16]).map(SchemaId);
        let mut keys = Vec::new();
        for _ in 0..u32::from_le_bytes(fields.take()?) {
            let length = usize::try_from(u32::from_le_bytes(fields.take()?)).ok()?;
            let (key, rest) = fields.0.split_at_checked(length)?;
            fields.0 = rest;
            keys.push(String::from_utf8(key.to_vec()).ok()?);
        }
        let previous = previous.checked_sub(1).map(|offset| Mark { offset: Offset(offset), position });
        let head =
            Self { run, at_least, previous, partition, records, bytes, oldest_ms, source, version, schema, keys };
        fields.0.is_empty().then_some(head)
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

const VERSION: u8 = 1;
const FIXED_BYTES: usize = 117;
/// What the length of a record takes in a frame, and a frame beside its records.
const LENGTH_BYTES: u64 = 4;
const FRAME_BYTES: u64 = 60;
/// Much larger than this no frame is, unless one record is.
const LARGE_FRAME_BYTES: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(offset: u64) -> Mark {
        Mark { offset: Offset(offset), position: offset * 1000 }
    }

    fn head() -> Head {
        Head {
            run: SetId([3; 16]),
            at_least: Offset(7),
            previous: Some(mark(0)),
            partition: PartitionId(u128::MAX - 5),
            records: 2,
            bytes: 3,
            oldest_ms: 4,
            source: Offset(5),
            version: 6,
            schema: Some(SchemaId([9; 16])),
            keys: vec!["a".into(), String::new(), "ü/x".into()],
        }
    }

    #[test]
    fn a_head_is_read_back_as_it_was() {
        for previous in [None, Some(mark(0)), Some(mark(9))] {
            for schema in [None, Some(SchemaId([1; 16]))] {
                let head = Head { previous, schema, ..head() };
                assert_eq!(Head::decode(&head.encode()), Some(head));
            }
        }
    }

    #[test]
    fn what_is_cut_short_too_long_or_damaged_is_none() {
        let mut bytes = head().encode();
        for length in 0..bytes.len() {
            assert_eq!(Head::decode(&bytes[..length]), None, "{length}");
            let mut damaged = bytes.clone();
            damaged[length] ^= 1;
            assert_eq!(Head::decode(&damaged), None, "{length}");
        }
        bytes.push(0);
        assert_eq!(Head::decode(&bytes), None);
    }
}
