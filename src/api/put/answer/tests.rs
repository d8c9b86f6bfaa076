use hydrant_model::{Birth, Offset, RecordIdentity, StreamId};
use serde_json::Value;

use super::*;
use crate::api::put::{StreamTag, decode};

fn ids() -> RecordIds {
    let first = RecordIdentity { birth: Birth([2; 16]), offset: Offset(70), sub_index: 0 };
    RecordIds::new(StreamTag::of(StreamId([1; 16])), first)
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_record_is_answered_with_its_id() {
    let answer = written(|out| write_accepted_record(out, &mut ids()));
    let id = written(|out| ids().write_next(out));
    assert_eq!(answer, format!(r#"{{"RecordId":"{id}","Encrypted":false}}"#));
}

#[test]
fn a_batch_is_answered_with_an_id_each_in_order() {
    let answer = written(|out| write_accepted_batch(out, &mut ids(), 500));
    assert!(answer.starts_with(r#"{"Encrypted":false,"FailedPutCount":0,"RequestResponses":[{"RecordId":"1"#));
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let entries = answer["RequestResponses"].as_array().unwrap();
    let offsets: Vec<_> =
        entries.iter().map(|entry| decode(entry["RecordId"].as_str().unwrap()).unwrap().identity.offset.0).collect();
    assert_eq!(offsets, (70..570).collect::<Vec<_>>());
    assert!(entries.iter().all(|entry| entry.as_object().unwrap().len() == 1));
}

#[test]
fn a_batch_written_in_one_piece_does_not_grow_its_buffer() {
    let mut out = Vec::new();
    write_accepted_batch(&mut out, &mut ids(), 500);
    assert!(out.capacity() - out.len() < 8, "{} for {}", out.capacity(), out.len());
}

#[test]
fn a_refused_batch_asks_to_slow_down_in_every_entry() {
    let answer = written(|out| write_refused_batch(out, 2));
    assert_eq!(
        answer,
        r#"{"Encrypted":false,"FailedPutCount":2,"RequestResponses":[{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."},{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}]}"#
    );
}
