use std::sync::Arc;

use hydrant_model::{Birth, Offset, RecordIdentity};

use super::*;
use crate::records::{Arrived, Source, Span, WantedKey};

fn arrived(records: &[&str]) -> Arrived {
    let mut bytes = Vec::new();
    let mut sources = Vec::new();
    for (record, offset) in records.iter().zip(0..) {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(record.as_bytes());
        let span = Span { start, end: u32::try_from(bytes.len()).unwrap() };
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span, arrival_ms: 7, identity });
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

fn wanted(keys: &[(KeySource, &str)]) -> Arc<[WantedKey]> {
    keys.iter().map(|(source, name)| WantedKey { source: *source, name: (*name).to_owned() }).collect()
}

fn ok(data: &'static str) -> Verdict<'static> {
    Verdict::Ok { data: data.as_bytes(), keys: Vec::new() }
}

#[test]
fn every_row_of_the_outcome_table_has_its_code_and_text() {
    let arrived = arrived(&["new", "same", "gone", "bad", "worse", "silent", "double", "null"]);
    let answers = [
        (7, Verdict::NullData),
        (6, ok("one")),
        (6, ok("two")),
        (6, ok("three")),
        (4, Verdict::Failed { message: Some("not a click") }),
        (3, Verdict::Failed { message: None }),
        (2, Verdict::Dropped),
        (1, Verdict::Unchanged { keys: Vec::new() }),
        (0, ok("NEW")),
        (8, ok("nobody asked")),
    ];
    let mut fates = Fates::default();
    let after = settle(Records::of(&arrived, wanted(&[])), answers, &mut fates);
    let made: Vec<_> = after.iter().map(|(record, bytes)| (record.origin.source, bytes)).collect();
    assert_eq!(made, [(0, b"NEW".as_slice()), (1, b"same")]);
    assert_eq!((fates.dropped, fates.dropped_bytes), (1, 4));
    let said: Vec<_> = fates.failures.iter().map(|f| (f.origin.source, &*f.code, &*f.message, f.attempts)).collect();
    let processing_failed = "ProcessingFailed status set for record";
    assert_eq!(
        said,
        [
            (3, "Lambda.ProcessingFailedStatus", processing_failed, 1),
            (4, "Lambda.ProcessingFailedStatus", &format!("{processing_failed}: not a click"), 1),
            (5, "Lambda.MissingRecordId", MISSING, 1),
            (6, "Lambda.DuplicatedRecordId", DUPLICATED, 1),
            (7, "Lambda.InvalidReturnFormat", NULL_DATA, 1),
        ]
    );
    for failure in &fates.failures {
        assert_eq!(failure.output, ErrorOutput::Processing);
        assert_eq!(failure.raw, None);
        assert_eq!(after.raw(&arrived, failure.origin), arrived.record(failure.origin.source));
    }
}

#[test]
fn only_wanted_keys_of_the_function_are_taken_and_the_others_stay() {
    let arrived = arrived(&["a", "b"]);
    let keys = [(KeySource::Query, "x"), (KeySource::Lambda, "x"), (KeySource::Lambda, "y")];
    let mut records = Records::of(&arrived, wanted(&keys));
    records.set_key(0, 0, "from the query");
    records.set_key(1, 1, "older");
    let answers = [
        (0, Verdict::Ok { data: b"A", keys: vec![("x", "first"), ("other", "z"), ("x", "last")] }),
        (1, Verdict::Unchanged { keys: vec![("y", "")] }),
    ];
    let after = settle(records, answers, &mut Fates::default());
    assert_eq!(after.keys(0).collect::<Vec<_>>(), [Some("from the query"), Some("last"), None]);
    assert_eq!(after.keys(1).collect::<Vec<_>>(), [None, Some("older"), Some("")]);
}

#[test]
fn records_that_nothing_was_done_about_fail_as_missing() {
    let arrived = arrived(&["a", "b", "c"]);
    let mut fates = Fates::default();
    let mut records = Records::of(&arrived, wanted(&[]));
    let mut settling = Settling::new(&mut records);
    settling.failed(1, FUNCTION_ERROR, "why".into(), 4, &mut fates);
    let after = settling.done(&mut fates);
    assert!(after.is_empty());
    let codes: Vec<_> = fates.failures.iter().map(|failure| (&*failure.code, failure.attempts)).collect();
    assert_eq!(codes, [(FUNCTION_ERROR, 4), ("Lambda.MissingRecordId", 1), ("Lambda.MissingRecordId", 1)]);
}

#[test]
fn a_long_message_is_cut_between_two_characters() {
    let message = "é".repeat(5000);
    let shown = Fault::Status(Some(&message)).message();
    assert_eq!(shown.len(), PROCESSING_FAILED.len() + 2 + 1024);
}
