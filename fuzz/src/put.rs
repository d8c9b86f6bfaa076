//! Bodies of puts: the scanner for well-known shapes, against the parser for all of them.

use hydrant::api::put::{Limits, Put};

/// Runs a body of both kinds.
pub fn check(data: &[u8]) {
    let limits = Limits { max_record: 60, max_batch: 120 };
    agree(data, |body| Put::from_record_body(body, limits));
    agree(data, |body| Put::from_batch_body(body, limits));
}

/// A member that nobody knows is ignored, and keeps the scanner from reading the body: the parser has to give the same.
fn agree<E: PartialEq + std::fmt::Debug>(body: &[u8], read: impl for<'b> Fn(&'b [u8]) -> Result<Put<'b>, E>) {
    let Ok(put) = read(body) else { return };
    let lengths: usize = put.records.lengths.iter().map(|length| *length as usize).sum();
    assert_eq!(lengths, put.records.body.len());
    assert!(put.records.lengths.iter().all(|length| *length <= 60) && lengths <= 120, "limits hold");
    assert_eq!(put.records.iter().count(), put.records.len());
    let begin = body.iter().position(|byte| *byte == b'{').expect("an accepted body is an object") + 1;
    let with_more = [&body[..begin], br#""Unknown":[{}],"#, &body[begin..]].concat();
    assert_eq!(read(&with_more).as_ref(), Ok(&put));
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    "{\"DeliveryStreamName\":\"s\",",
    "\"Record\":{\"Data\":\"",
    "\"Records\":[",
    "{\"Data\":\"",
    "YQ==",
    "YWI=",
    "YWJj",
    "\"}",
    "]",
    "}",
    ",",
    "null",
    "\\u0041",
    "\\/",
    " ",
    "\n",
    "\"Data\"",
    "=",
    "-",
    "{}",
    "\"DeliveryStreamName\":",
];
