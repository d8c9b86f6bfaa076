//! Records that the Kinesis Producer Library packed into one.
//!
//! ```text
//! bytes   what
//! 4       F3 89 9A C2
//!         protobuf AggregatedRecord: partition keys, hash keys, records with an index into the keys and their data
//! 16      MD5 of the protobuf
//! ```
//!
//! Format: <https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md>. It comes before all processors
//! and belongs to sources: a record's place in the list is its sub-sequence number. Whatever is off in any way (magic, digest,
//! protobuf, an index that names no key) makes a record a plain one, as in AWS's own consumers: a producer that happens to begin
//! with the magic is not punished for it.

use md5::{Digest, Md5};
use prost::Message;

/// A record that was packed with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubRecord {
    /// Its place among them.
    pub sub_index: u32,
    /// Its partition key.
    pub partition_key: String,
    /// Its hash key, where the producer chose one.
    pub explicit_hash_key: Option<String>,
    /// Its bytes.
    pub data: Vec<u8>,
}

/// The records in `record`; `None` if it is a plain one.
pub fn de_aggregate(record: &[u8]) -> Option<Vec<SubRecord>> {
    let (body, digest) = record.strip_prefix(&MAGIC)?.split_last_chunk::<16>()?;
    if Md5::digest(body).as_slice() != digest {
        return None;
    }
    let AggregatedRecord { partition_keys, hash_keys, records } = AggregatedRecord::decode(body).ok()?;
    let at = |index: u64, list: &[String]| usize::try_from(index).ok().and_then(|index| list.get(index).cloned());
    let unpacked = records.into_iter().zip(0..).map(|(record, sub_index)| {
        let explicit_hash_key = match record.hash_key {
            Some(index) => Some(at(index, &hash_keys)?),
            None => None,
        };
        let partition_key = at(record.partition_key?, &partition_keys)?;
        Some(SubRecord { sub_index, partition_key, explicit_hash_key, data: record.data? })
    });
    unpacked.collect()
}

/// What aggregated records begin with.
pub const MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];

#[derive(Clone, PartialEq, Message)]
struct AggregatedRecord {
    #[prost(string, repeated, tag = "1")]
    partition_keys: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    hash_keys: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    records: Vec<PackedRecord>,
}

/// Fields that are required are read as optional ones, so that their absence is seen.
#[derive(Clone, PartialEq, Message)]
struct PackedRecord {
    #[prost(uint64, optional, tag = "1")]
    partition_key: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    hash_key: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "3")]
    data: Option<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn packed(body: &[u8]) -> Vec<u8> {
        [&MAGIC[..], body, Md5::digest(body).as_slice()].concat()
    }

    fn aggregate(records: &[&[u8]]) -> Vec<u8> {
        let records = records.iter().map(|data| PackedRecord {
            partition_key: Some(1),
            hash_key: None,
            data: Some(data.to_vec()),
        });
        AggregatedRecord {
            partition_keys: vec!["other".to_owned(), "key".to_owned()],
            hash_keys: vec![],
            records: records.collect(),
        }
        .encode_to_vec()
    }

    #[test]
    fn a_frame_written_by_hand_is_taken_apart() {
        // Fields 1 "k", 2 "7", 3 {1: 0, 2: 0, 3: "data", 4: a tag}, 3 {1: 0, 3: ""}, as the format's description has them.
        let body = b"\x0a\x01k\x12\x017\x1a\x0f\x08\x00\x10\x00\x1a\x04data\x22\x03\x0a\x01t\x1a\x04\x08\x00\x1a\x00";
        let made = de_aggregate(&packed(body)).unwrap();
        assert_eq!(made.len(), 2);
        assert_eq!(
            made[0],
            SubRecord {
                sub_index: 0,
                partition_key: "k".to_owned(),
                explicit_hash_key: Some("7".to_owned()),
                data: b"data".to_vec()
            }
        );
        assert_eq!((made[1].sub_index, made[1].data.len(), &made[1].explicit_hash_key), (1, 0, &None));
    }

    #[test]
    fn whatever_is_off_makes_a_record_a_plain_one() {
        let body = aggregate(&[b"a", b"b"]);
        let whole = packed(&body);
        assert_eq!(de_aggregate(&whole).unwrap().len(), 2);
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 1;
            assert_eq!(de_aggregate(&bent), None, "byte {at}");
        }
        for length in 0..whole.len() {
            assert_eq!(de_aggregate(&whole[..length]), None);
        }
        // A valid digest over an index without a key, and over a record without data.
        assert_eq!(de_aggregate(&packed(b"\x0a\x01k\x1a\x05\x08\x01\x1a\x01x")), None);
        assert_eq!(de_aggregate(&packed(b"\x0a\x01k\x1a\x02\x08\x00")), None);
        assert_eq!(de_aggregate(&packed(b"\x1a\x7f")), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic_and_records_survive(
            body in vec(any::<u8>(), 0..200),
            records in vec(vec(any::<u8>(), 0..40), 0..20),
        ) {
            let _ = de_aggregate(&packed(&body));
            let slices: Vec<_> = records.iter().map(Vec::as_slice).collect();
            let made = de_aggregate(&packed(&aggregate(&slices))).unwrap();
            prop_assert!(made.iter().zip(0..).all(|(record, at)| record.sub_index == at && record.partition_key == "key"));
            prop_assert_eq!(made.into_iter().map(|record| record.data).collect::<Vec<_>>(), records);
        }
    }
}
