//! Requests, made before anything is measured.

use std::sync::Arc;

use hydrant::clock::splitmix;
use serde_json::Value;

use crate::clicks::clicks;
use crate::shape::TEXT_COLUMNS;
use crate::tally::Tally;

/// A whole request, head and body, and what it puts.
#[derive(Clone)]
pub(crate) struct Request {
    /// As it goes over the wire.
    pub(crate) bytes: Arc<[u8]>,
    /// Its records.
    pub(crate) tally: Tally,
}

/// What requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// PutRecordBatch of 500 clicks.
    Batch,
    /// 4 MiB of NDJSON clicks, plain HTTP.
    Ndjson,
    /// PutRecord of 1 KiB.
    Record,
    /// 4 MiB of NDJSON, plain HTTP: in each column text that no dictionary and no compression makes much smaller.
    Texts,
}

/// `count` different requests for `stream`.
pub(crate) fn requests(kind: Kind, stream: &str, count: usize) -> Vec<Request> {
    let seeds = 1..=count as u64;
    match kind {
        Kind::Batch => seeds.map(|seed| batch(stream, seed)).collect(),
        Kind::Ndjson => seeds.map(|seed| ndjson(stream, clicks(seed, NDJSON_BYTES))).collect(),
        Kind::Texts => seeds.map(|seed| ndjson(stream, texts(seed, NDJSON_BYTES))).collect(),
        Kind::Record => {
            let text = clicks(1, count * RECORD_BYTES);
            text.chunks_exact(RECORD_BYTES - 1).take(count).map(|piece| record(stream, piece)).collect()
        }
    }
}

/// A request of the Firehose API as an SDK sends it.
pub(crate) fn aws(operation: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/x-amz-json-1.1\r\n\
         x-amz-target: Firehose_20150804.{operation}\r\nx-amz-date: 20261120T000000Z\r\n\
         user-agent: aws-sdk-rust/1.3 os/linux lang/rust\r\namz-sdk-invocation-id: 00000000-0000-4000-8000-000000000000\r\n\
         amz-sdk-request: attempt=1; max=3\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20261120/us-east-1/\
         firehose/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature={:064}\r\n\
         content-length: {}\r\n\r\n",
        0,
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A plain request.
pub(crate) fn plain(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn batch(stream: &str, seed: u64) -> Request {
    let text = clicks(seed, BATCH_RECORDS * 512);
    let records: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').take(BATCH_RECORDS).collect();
    let mut body = format!("{{\"DeliveryStreamName\":\"{stream}\",\"Records\":[");
    for (at, record) in records.iter().enumerate() {
        body.push_str(if at == 0 { "{\"Data\":\"" } else { ",{\"Data\":\"" });
        base64_simd::STANDARD.encode_append(record, &mut body);
        body.push_str("\"}");
    }
    body.push_str("]}");
    Request { bytes: aws("PutRecordBatch", body.as_bytes()).into(), tally: Tally::of_lines(&records.concat()) }
}

fn ndjson(stream: &str, mut text: Vec<u8>) -> Request {
    // Whole lines below the mark.
    let end = text.get(..NDJSON_BYTES).and_then(|text| memchr::memrchr(b'\n', text)).map_or(0, |at| at + 1);
    text.truncate(end);
    let path = format!("/streams/{stream}/records");
    Request { bytes: plain(&path, "application/x-ndjson", &text).into(), tally: Tally::of_lines(&text) }
}

/// Whole records, at least `bytes` of them.
fn texts(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(bytes + 1024);
    while out.len() < bytes {
        let mut record = serde_json::Map::new();
        record.insert("id".to_owned(), format!("{:016x}", splitmix(&mut state)).into());
        for column in 1..TEXT_COLUMNS {
            let text = [splitmix(&mut state).to_le_bytes(), splitmix(&mut state).to_le_bytes()].concat();
            record.insert(format!("c{column}"), base64_simd::STANDARD.encode_to_string(text).into());
        }
        // The id comes first in its line, by which it is tallied.
        let id = record.remove("id").unwrap_or_default();
        let rest = Value::Object(record).to_string();
        out.extend_from_slice(format!("{{\"id\":{id},{}\n", rest.get(1..).unwrap_or_default()).as_bytes());
    }
    out
}

/// A record of one line: a stretch of clicks without their line feeds.
fn record(stream: &str, piece: &[u8]) -> Request {
    let mut record: Vec<u8> = piece.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }).collect();
    record.push(b'\n');
    let data = base64_simd::STANDARD.encode_to_string(&record);
    let body = format!("{{\"DeliveryStreamName\":\"{stream}\",\"Record\":{{\"Data\":\"{data}\"}}}}");
    Request { bytes: aws("PutRecord", body.as_bytes()).into(), tally: Tally::of_lines(&record) }
}

const BATCH_RECORDS: usize = 500;
const NDJSON_BYTES: usize = 4 << 20;
const RECORD_BYTES: usize = 1 << 10;
