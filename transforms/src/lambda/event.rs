//! What a function is asked: batches, and the event of each.

use std::ops::Range;

use bytes::Bytes;
use hydrant_model::Seed;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::MOST_PAYLOAD_BYTES;
use crate::records::{Arrived, Origin, Records};

/// What an event says of the stream that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The delivery stream's ARN.
    pub stream_arn: String,
    /// Its region.
    pub region: String,
}

/// Records that are asked about together: as many as hold `buffer_bytes`, and no more than fit an event. A record that is larger
/// than either is a batch of its own.
pub fn batches(records: &Records, buffer_bytes: usize) -> Vec<Range<usize>> {
    let mut cut = Vec::new();
    let (mut begin, mut raw, mut whole) = (0, 0, FRAME_BYTES);
    for (at, (_, bytes)) in records.iter().enumerate() {
        let size = RECORD_BYTES + ID_BYTES + encoded(bytes);
        if at > begin && (raw + bytes.len() > buffer_bytes || whole + size > MOST_PAYLOAD_BYTES) {
            cut.push(begin..at);
            (begin, raw, whole) = (at, 0, FRAME_BYTES);
        }
        raw += bytes.len();
        whole += size;
    }
    if begin < records.len() {
        cut.push(begin..records.len());
    }
    cut
}

/// The event about a batch. Each attempt has an invocation id of its own, and the same one whenever it is made again.
pub fn event(caller: &Caller, records: &Records, arrived: &Arrived, batch: Range<usize>, attempt: u32) -> Bytes {
    let asked = || records.iter().skip(batch.start).take(batch.len());
    let seed = asked().fold(Sha256::new(), |seed, (record, _)| seed.chain_update(record_id(arrived, record.origin)));
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(seed.finalize()) {
        *to = from;
    }
    let mut event = format!(
        r#"{{"invocationId":"{}","deliveryStreamArn":{},"region":{},"records":["#,
        Seed(id).uuid(attempt.into()),
        json!(caller.stream_arn),
        json!(caller.region),
    )
    .into_bytes();
    // Data goes straight to its place: a tree of it would hold all of it twice.
    event.reserve(asked().map(|(_, bytes)| RECORD_BYTES + ID_BYTES + encoded(bytes)).sum());
    for (at, (record, bytes)) in asked().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let arrival_ms = arrived.source(record.origin.source).map_or(0, |source| source.arrival_ms);
        let id = record_id(arrived, record.origin);
        let head = format!(r#"{comma}{{"recordId":"{id}","approximateArrivalTimestamp":{arrival_ms},"data":""#);
        event.extend_from_slice(head.as_bytes());
        base64_simd::STANDARD.encode_append(bytes, &mut event);
        event.extend_from_slice(b"\"}");
    }
    event.extend_from_slice(b"]}");
    event.into()
}

/// What a record is called between hydrant and a function: opaque, and its own for ever.
pub fn record_id(arrived: &Arrived, origin: Origin) -> String {
    let identity = arrived.source(origin.source).map(|source| source.identity);
    identity.map_or_else(String::new, |identity| {
        format!("{}{:020}{:010}{:010}", identity.birth, identity.offset.0, identity.sub_index, origin.part)
    })
}

fn encoded(bytes: &[u8]) -> usize {
    bytes.len().div_ceil(3) * 4
}

/// Bytes of every record's id: a birth in hexadecimal, and three numbers at their full width.
const ID_BYTES: usize = 32 + 20 + 10 + 10;

/// Bytes of a record in an event beside its id and data: names, quotes, and a time of twenty digits.
const RECORD_BYTES: usize = 100;

/// Bytes of an event beside its records: names and quotes, with ARN and region of any length that AWS allows.
const FRAME_BYTES: usize = 2048;
