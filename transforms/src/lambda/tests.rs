use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt;
use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::records::{Source, Span, WantedKey};

/// A function that is a closure over the event and the number of the call.
struct Scripted<F> {
    calls: AtomicU32,
    pauses: AtomicU32,
    script: F,
}

#[async_trait]
impl<F: Fn(u32, Value) -> Result<Vec<u8>, InvokeErrorKind> + Send + Sync> Function for Scripted<F> {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        assert!(event.len() <= MOST_PAYLOAD_BYTES);
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = (self.script)(call, serde_json::from_slice(&event).unwrap());
        answer.map(Bytes::from).map_err(|kind| InvokeError { kind, message: String::new() })
    }

    async fn back_off(&self, _failed: u32) {
        self.pauses.fetch_add(1, Ordering::SeqCst);
    }
}

fn arrived(records: &[Vec<u8>]) -> Arrived {
    let (mut bytes, mut sources) = (Vec::new(), Vec::new());
    for (record, offset) in records.iter().zip(0..) {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(record);
        let span = Span { start, end: u32::try_from(bytes.len()).unwrap() };
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span, arrival_ms: 1_507_217_624_302, identity });
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

/// Records that go on, failures as (source, code, attempts), dropped, and calls.
type Outcome = (Vec<(Vec<u8>, Option<String>)>, Vec<(u32, String, u32)>, u64, u32);

fn run(
    records: &[Vec<u8>],
    buffer_bytes: usize,
    script: impl Fn(u32, Value) -> Result<Vec<u8>, InvokeErrorKind> + Send + Sync,
) -> Outcome {
    let function = Scripted { calls: AtomicU32::new(0), pauses: AtomicU32::new(0), script };
    let parameters = LambdaParameters {
        arn: "arn:aws:lambda:us-east-1:1:function:f".to_owned(),
        retries: 2,
        buffer_bytes,
        interval: std::time::Duration::ZERO,
        role: None,
    };
    let caller =
        Caller { stream_arn: "arn:aws:firehose:us-east-1:1:deliverystream/s".to_owned(), region: "r".to_owned() };
    let arrived = arrived(records);
    let wanted = Arc::from([WantedKey { source: KeySource::Lambda, name: "k".to_owned() }]);
    let mut fates = Fates::default();
    let asked = ask(&function, &parameters, &caller, Records::of(&arrived, wanted), &arrived, &mut fates);
    let after = sent(asked).now_or_never().expect("nothing to wait for");
    let went_on = after
        .iter()
        .enumerate()
        .map(|(at, (_, bytes))| (bytes.to_vec(), after.keys(at).next().flatten().map(str::to_owned)));
    let failed =
        fates.failures.iter().map(|failure| (failure.origin.source, failure.code.to_string(), failure.attempts));
    (went_on.collect(), failed.collect(), fates.dropped, function.calls.into_inner())
}

/// The service runs it on threads of its choice.
fn sent<T: Send>(future: T) -> T {
    future
}

fn ids(event: &Value) -> Vec<String> {
    let records = event["records"].as_array().unwrap().iter();
    records.map(|record| record["recordId"].as_str().unwrap().to_owned()).collect()
}

fn answer(records: &Value) -> Vec<u8> {
    json!({"records": records}).to_string().into_bytes()
}

fn lines(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|at| format!("record {at}").into_bytes()).collect()
}

#[test]
fn the_event_is_aws_s() {
    let (.., calls) = run(&[b"Hello World".to_vec()], 100, |_, event| {
        assert_eq!(event["deliveryStreamArn"], "arn:aws:firehose:us-east-1:1:deliverystream/s");
        assert_eq!(event["region"], "r");
        assert_eq!(event["invocationId"].as_str().unwrap().len(), 36);
        assert_eq!(event["records"][0]["data"], "SGVsbG8gV29ybGQ=");
        assert_eq!(event["records"][0]["approximateArrivalTimestamp"], 1_507_217_624_302_u64);
        let members: Vec<_> = event["records"][0].as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["recordId", "approximateArrivalTimestamp", "data"]);
        Ok(answer(&json!([])))
    });
    assert_eq!(calls, 1);
}

#[test]
fn each_verdict_has_its_outcome_and_records_keep_their_order() {
    let (went_on, failed, dropped, _) = run(&lines(6), 1000, |_, event| {
        let ids = ids(&event);
        Ok(answer(&json!([
            {"recordId": ids[5], "result": "Ok", "data": "", "metadata": {"partitionKeys": {"k": 7, "other": "x"}}},
            {"recordId": "nobody's", "result": "Ok", "data": "eA=="},
            {"recordId": ids[1], "result": "Dropped"},
            {"recordId": ids[2], "result": "ProcessingFailed", "data": "not base64"},
            {"recordId": ids[3], "result": "Ok", "data": null},
            {"recordId": ids[4], "result": "Ok", "data": "eA=="},
            {"recordId": ids[4], "result": "Dropped"},
            {"recordId": ids[0], "result": "Ok", "data": "Zmlyc3Q="},
        ])))
    });
    // Records 0 and 5 go on, in that order.
    assert_eq!(went_on, [(b"first".to_vec(), None), (Vec::new(), Some("7".to_owned()))]);
    let failed: Vec<_> = failed.iter().map(|(source, code, attempts)| (*source, code.as_str(), *attempts)).collect();
    assert_eq!(
        failed,
        [
            (2, "Lambda.ProcessingFailedStatus", 1),
            (3, "Lambda.InvalidReturnFormat", 1),
            (4, "Lambda.DuplicatedRecordId", 1),
        ]
    );
    assert_eq!(dropped, 1);
    let (_, failed, ..) = run(&lines(1), 1000, |_, _| Ok(answer(&json!([]))));
    assert_eq!(failed, [(0, "Lambda.MissingRecordId".to_owned(), 1)]);
}

#[test]
fn a_function_that_fails_is_called_again_and_then_its_records_fail() {
    for kind in [InvokeErrorKind::Function, InvokeErrorKind::Throttled, InvokeErrorKind::Denied] {
        let (went_on, failed, _, calls) = run(&lines(2), 1000, |_, _| Err(kind));
        assert_eq!((went_on.len(), calls), (0, 3));
        assert_eq!(failed, [(0, kind.code().to_owned(), 3), (1, kind.code().to_owned(), 3)]);
    }
    // An answer at last is as good as one at first.
    let (went_on, failed, _, calls) = run(&lines(1), 1000, |call, event| match call {
        0 => Err(InvokeErrorKind::RequestTimedOut),
        _ => Ok(answer(&json!([{"recordId": ids(&event)[0], "result": "Ok", "data": "eA=="}]))),
    });
    assert_eq!((went_on.len(), failed.len(), calls), (1, 0, 2));
    // An answer that is too large is an error of the function.
    let (_, failed, _, calls) = run(&lines(1), 1000, |_, _| Ok(vec![b' '; MOST_PAYLOAD_BYTES + 1]));
    assert_eq!((failed, calls), (vec![(0, "Lambda.FunctionError".to_owned(), 3)], 3));
}

#[test]
fn an_answer_that_cannot_be_read_is_final() {
    for answer in [
        "",
        "null",
        "{}",
        "[]",
        r#"{"records":null}"#,
        r#"{"records":[{}]}"#,
        r#"{"records":[{"recordId":"a","result":"ok","data":""}]}"#,
        r#"{"records":[{"recordId":"a","result":"OK","data":""}]}"#,
        r#"{"records":[{"recordId":"a","result":"Ok","data":"***"}]}"#,
        r#"{"records":[{"recordId":1,"result":"Ok","data":""}]}"#,
        r#"{"records":[{"recordId":"a","result":"Ok","data":"","metadata":{"partitionKeys":{"k":[]}}}]}"#,
        r#"{"records":[]} x"#,
    ] {
        let (_, failed, _, calls) = run(&lines(1), 1000, |_, _| Ok(answer.as_bytes().to_vec()));
        assert_eq!((failed, calls), (vec![(0, "Lambda.JsonProcessingException".to_owned(), 1)], 1), "{answer}");
    }
}

#[test]
fn batches_keep_to_both_limits() {
    let echo = |_, event: Value| {
        let records = event["records"].as_array().unwrap().iter();
        let records =
            records.map(|record| json!({"recordId": record["recordId"], "result": "Ok", "data": record["data"]}));
        Ok(answer(&records.collect()))
    };
    // By the bytes of the buffer: two of eight bytes each.
    let (went_on, _, _, calls) = run(&lines(7), 17, echo);
    assert_eq!((went_on.len(), calls), (7, 4));
    // Tiny records: the metadata makes the event large long before the buffer is full. `invoke` sees that no event is over.
    let (went_on, failed, _, calls) = run(&vec![b"x".to_vec(); 60_000], 3 << 20, echo);
    assert_eq!((went_on.len(), failed.len()), (60_000, 0));
    assert!((2..=4).contains(&calls), "{calls}");
    // A record that fits no event fails alone.
    let records = [b"a".to_vec(), vec![0; 5 << 20], b"b".to_vec()];
    let (went_on, failed, ..) = run(&records, 1 << 20, echo);
    assert_eq!(went_on, [(b"a".to_vec(), None), (b"b".to_vec(), None)]);
    assert_eq!(failed, [(1, "Lambda.InvocationFailure".to_owned(), 1)]);
    let (went_on, .., calls) = run(&[], 1000, echo);
    assert_eq!((went_on.len(), calls), (0, 0));
}

proptest! {
    #[test]
    fn whatever_is_answered_each_record_goes_one_way(
        said in vec((0_usize..6, "Ok|Dropped|ProcessingFailed|ok", prop::option::of("[A-Za-z0-9=]{0,4}")), 0..12),
        noise in vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let (went_on, failed, dropped, _) = run(&lines(5), 20, |_, event| {
            let ids = ids(&event);
            let records = said.iter().map(|(at, result, data)| {
                json!({"recordId": ids.get(*at).map_or("other", String::as_str), "result": result, "data": data})
            });
            let mut answer = answer(&records.collect());
            for (at, byte) in &noise {
                let at = at.index(answer.len());
                answer[at] = *byte;
            }
            Ok(answer)
        });
        prop_assert_eq!(went_on.len() as u64 + failed.len() as u64 + dropped, 5);
        let mut sources: Vec<_> = failed.iter().map(|(source, ..)| *source).collect();
        sources.dedup();
        prop_assert_eq!(sources.len(), failed.len());
    }
}
