//! Records that the Kinesis Producer Library aggregated.

use hydrant_transforms::processors::kpl::{MAGIC, SubRecord, de_aggregate};
use md5::{Digest, Md5};

/// Runs a record as it is, and as the body of one whose digest is right.
pub fn check(data: &[u8]) {
    hold(data);
    let whole = packed(data);
    let Some(parts) = hold(&whole) else { return };
    // A field that nobody knows says nothing.
    assert_eq!(de_aggregate(&packed(&[data, UNKNOWN_FIELD].concat())).as_ref(), Some(&parts));
    // The same message twice is one message with each list twice; places in lists stay as they are.
    let twice = de_aggregate(&packed(&[data, data].concat()));
    let names =
        |parts: Vec<SubRecord>| parts.into_iter().map(|part| (part.partition_key, part.data)).collect::<Vec<_>>();
    let (twice, once) = (twice.map(names), names(parts));
    assert_eq!(twice, Some([once.clone(), once].concat()));
    let mut bent = whole.clone();
    for at in [0, MAGIC.len() - 1, whole.len() / 2, whole.len() - 1] {
        bent[at] ^= 0x10;
        assert_eq!(de_aggregate(&bent), None, "byte {at} is bent");
        bent[at] ^= 0x10;
    }
}

/// What an aggregated record promises.
fn hold(record: &[u8]) -> Option<Vec<SubRecord>> {
    let parts = de_aggregate(record)?;
    let body = record.strip_prefix(&MAGIC).and_then(|rest| rest.split_last_chunk::<16>());
    let (body, digest) = body.expect("magic and digest");
    assert_eq!(Md5::digest(body).as_slice(), digest);
    for (part, at) in parts.iter().zip(0..) {
        assert_eq!(part.sub_index, at);
        let keys = [Some(part.partition_key.as_bytes()), part.explicit_hash_key.as_deref().map(str::as_bytes)];
        for bytes in keys.into_iter().flatten().chain([part.data.as_slice()]).filter(|bytes| !bytes.is_empty()) {
            assert!(body.windows(bytes.len()).any(|window| window == bytes), "{bytes:?} is not in the record");
        }
    }
    let bytes: usize = parts.iter().map(|part| part.data.len()).sum();
    assert!(bytes <= body.len(), "data is made of nothing");
    Some(parts)
}

fn packed(body: &[u8]) -> Vec<u8> {
    [&MAGIC[..], body, Md5::digest(body).as_slice()].concat()
}

/// Field 15, a number.
const UNKNOWN_FIELD: &[u8] = &[15 << 3, 7];

/// What inputs are bent with.
pub const WORDS: &[&str] =
    &["\x0a\x01k", "\x12\x017", "\x1a\x06\x08\0\x1a\x02xy", "\x1a\x08\x08\0\x10\0\x1a\x02xy", "\x08\x01"];
