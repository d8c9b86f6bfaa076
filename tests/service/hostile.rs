//! Transform modules that do what they must not, each on a stream of its own.
//!
//! Whatever a module does, every acknowledged record is in exactly one place: in an object, in the error output as it was put,
//! or among those that a verdict dropped; and the stream goes on.

use std::collections::BTreeMap;

use serde_json::json;

use crate::guests::{BOMB, ECHO, TRAP, judging, poisoned};
use crate::harness::{Hydrant, Setup, Stream};
use crate::processing::{Bench, processor, processors};

/// What became of a stream's records.
#[derive(Debug, Default)]
struct Places {
    /// Lines of the objects.
    delivered: Vec<String>,
    /// Of each record in the error output, the code it is there for.
    failed: BTreeMap<String, String>,
    dropped: u64,
}

/// Creates a stream of records that go through a module, in calls of `call_mebibytes`.
pub(crate) async fn create(bench: &Bench, name: &str, module: &[u8], call_mebibytes: &str) {
    replace(bench, name, module);
    bench.hydrant.client.create(&stream(name, call_mebibytes).interval(900.0)).await;
}

/// A stream of records that go through the module of its name, in calls of `call_mebibytes`.
pub(crate) fn stream(name: &str, call_mebibytes: &str) -> Stream {
    let lambda = processor(
        "Lambda",
        &[
            ("LambdaArn", &format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")),
            ("BufferSizeInMBs", call_mebibytes),
            ("BufferIntervalInSeconds", "60"),
        ],
    );
    Stream::new(name)
        .with("ErrorOutputPrefix", format!("{name}-errors/!{{firehose:error-output-type}}/"))
        .with("ProcessingConfiguration", processors(&[lambda]))
}

/// Puts `module` in the place of the one that the stream `name` has.
pub(crate) fn replace(bench: &Bench, name: &str, module: &[u8]) {
    let modules = bench.data.path().join("modules");
    std::fs::create_dir_all(&modules).expect("a directory");
    let file = modules.join(format!("{name}.wasm"));
    let new = file.with_extension("new");
    std::fs::write(&new, module).expect("written");
    std::fs::rename(new, file).expect("renamed");
}

/// Puts `records`; each must be acknowledged.
async fn put(hydrant: &Hydrant, name: &str, records: &[String]) {
    let encoded = |record: &String| json!({ "Data": base64_simd::STANDARD.encode_to_string(record) });
    let records: Vec<_> = records.iter().map(encoded).collect();
    let request = json!({ "DeliveryStreamName": name, "Records": records });
    let answer = hydrant.client.call("PutRecordBatch", &request).await.expect("acknowledged");
    assert_eq!(answer["FailedPutCount"], 0, "{answer}");
}

/// Where the records of `name` are now; none is twice in the error output.
async fn places(bench: &Bench, hydrant: &Hydrant, name: &str) -> Places {
    let mut failed = BTreeMap::new();
    let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
    for (entry, raw) in bench.entries(&format!("{name}-errors/processing-failed/")) {
        assert_eq!(entry["lambdaARN"], arn.as_str(), "{entry}");
        assert!(entry["attemptsMade"].as_u64() >= Some(1), "{entry}");
        let code = entry["errorCode"].as_str().expect("a code").to_owned();
        let before = failed.insert(raw.clone(), code);
        assert_eq!(before, None, "{raw} is there twice");
    }
    let of = [&*format!("stream=\"{name}\""), "processor=\"Lambda\""];
    let dropped = hydrant.client.metric("hydrant_processor_dropped_records_total", &of).await;
    Places { delivered: bench.bucket.lines(&format!("{name}/")), failed, dropped }
}

impl Places {
    /// Each of `put` is in one place, if what was delivered is told by `name_of` from what was put; nothing else is anywhere.
    #[track_caller]
    fn hold(&self, put: &[String], name_of: impl Fn(&str) -> String) {
        let mut counts: BTreeMap<&str, u32> = put.iter().map(|record| (record.trim_end(), 0)).collect();
        let delivered = self.delivered.iter().map(|line| name_of(line));
        let failed = self.failed.keys().map(|raw| raw.trim_end().to_owned());
        for record in delivered.chain(failed) {
            *counts.get_mut(record.as_str()).unwrap_or_else(|| panic!("{record:?} was never put")) += 1;
        }
        assert!(counts.values().all(|count| *count <= 1), "{counts:?}");
        let nowhere = counts.values().filter(|count| **count == 0).count() as u64;
        assert_eq!(nowhere, self.dropped, "{counts:?}");
    }
}

/// Records of which every one that `is_poison` says begins with `!`.
fn mixed(count: usize, is_poison: impl Fn(usize) -> bool) -> Vec<String> {
    (0..count).map(|at| format!("{}{at}\n", if is_poison(at) { "!" } else { "record " })).collect()
}

#[tokio::test]
async fn records_that_break_a_module_fail_alone_and_with_the_code_for_it() {
    let huge = "(drop (memory.grow (i32.const 800)))
        (call $say (local.get $id) (i32.const 0) (i32.const 1024) (i32.const 35000000))";
    let strange = ECHO.replace("(local.get $id)", "(i32.xor (local.get $id) (i32.const 0x10000))");
    let modules = [
        ("endless", LOOP, "Lambda.FunctionTimedOut"),
        ("bomb", BOMB, "Lambda.FunctionError"),
        ("trap", TRAP, "Lambda.FunctionError"),
        ("huge", huge, "Lambda.FunctionError"),
        ("wrong", &strange, "Lambda.MissingRecordId"),
        ("missing", "", "Lambda.MissingRecordId"),
        ("twice", &format!("{ECHO} {ECHO}"), "Lambda.DuplicatedRecordId"),
    ];
    let bench = Bench::new().await;
    let hydrant = &bench.hydrant;
    let records = mixed(120, |at| at == 37 || at == 119);
    for (name, bad, _) in &modules {
        create(&bench, name, &poisoned(bad), "1").await;
        put(hydrant, name, &records).await;
    }
    for (name, _, code) in &modules {
        hydrant.client.flush(name).await;
        let places = places(&bench, hydrant, name).await;
        places.hold(&records, str::to_owned);
        let expected = [("!119\n", *code), ("!37\n", *code)];
        let failed: Vec<_> = places.failed.iter().map(|(raw, code)| (raw.as_str(), code.as_str())).collect();
        assert_eq!((failed.as_slice(), places.dropped), (expected.as_slice(), 0), "{name}");
        let after = vec![format!("after {name}\n")];
        put(hydrant, name, &after).await;
        hydrant.client.flush(name).await;
        assert!(bench.bucket.lines(&format!("{name}/")).contains(&format!("after {name}")), "{name} goes on");
    }
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn a_module_that_never_ends_fails_its_records_in_time_and_holds_no_other_stream() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    create(&bench, "s", &judging(LOOP), "1").await;
    create(&bench, "well", &judging(ECHO), "1").await;
    let records = mixed(500, |at| at % 2 == 0);
    put(&bench.hydrant, "s", &records).await;
    let (flushed, ()) = tokio::join!(client.post("/streams/s/flush?wait=60", "text/plain", ""), async {
        put(&bench.hydrant, "well", &records).await;
        client.flush("well").await;
        assert_eq!(bench.bucket.lines("well/").len(), 500);
        assert_eq!(bench.bucket.keys("s"), [""; 0], "the other is still at it");
    });
    assert_eq!(flushed.0, 200, "{}", flushed.1);
    let all = places(&bench, &bench.hydrant, "s").await;
    all.hold(&records, str::to_owned);
    assert_eq!(all.failed.len(), 500);
    assert!(all.failed.values().all(|code| code == "Lambda.FunctionTimedOut"), "{all:?}");
    replace(&bench, "s", &judging(ECHO));
    put(&bench.hydrant, "s", &["after\n".to_owned()]).await;
    client.flush("s").await;
    assert_eq!(bench.bucket.lines("s/"), ["after"]);
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_fails_the_records_of_its_call_and_no_others() {
    let bench = Bench::new().await;
    // It says that there are more answers than it gives.
    let more = format!("{ECHO} (global.set $answers (i32.const 1000000))");
    create(&bench, "s", &poisoned(&more), "0.2").await;
    // 20 KB each: ten a call.
    let records: Vec<_> = (0..100).map(|at| format!("{}{at:020000}\n", if at == 37 { "!" } else { "" })).collect();
    put(&bench.hydrant, "s", &records).await;
    bench.hydrant.client.flush("s").await;
    let places = places(&bench, &bench.hydrant, "s").await;
    places.hold(&records, str::to_owned);
    assert_eq!(places.dropped, 0);
    assert!(
        places.failed.values().all(|code| code == "Lambda.JsonProcessingException"),
        "{:?}",
        places.failed.values()
    );
    assert!(
        places.failed.contains_key(&records[37]) && (2..=10).contains(&places.failed.len()),
        "{}",
        places.failed.len()
    );
    put(&bench.hydrant, "s", &["after\n".to_owned()]).await;
    bench.hydrant.client.flush("s").await;
    assert!(bench.bucket.lines("s/").contains(&"after".to_owned()));
    bench.hydrant.terminate().await;
}

/// One that gives by turns a record back, `other`, and `ProcessingFailed`, and traps between them, which has the same records asked
/// about once more.
fn moody(other: &str) -> Vec<u8> {
    let turn = "(i32.and (i32.add (local.get $id) (global.get $calls)) (i32.const 3))";
    judging(&format!(
        "(if (i32.eqz {turn}) (then {ECHO}))
         (if (i32.eq {turn} (i32.const 1)) (then {other}))
         (if (i32.eq {turn} (i32.const 2)) (then {}))
         (if (i32.eq {turn} (i32.const 3)) (then (if (i32.eq (i32.and (global.get $calls) (i32.const 7)) (i32.const 4))
           (then (unreachable)) (else {ECHO}))))",
        verdict(3),
    ))
}

/// An answer without data.
fn verdict(verdict: u8) -> String {
    format!("(call $say (local.get $id) (i32.const {verdict}) (i32.const 0) (i32.const 0))")
}

#[tokio::test]
async fn of_answers_that_change_one_counts_for_each_record() {
    let bench = Bench::new().await;
    create(&bench, "s", &moody(&verdict(2)), "0.2").await;
    let records: Vec<_> = (0..200).map(|at| format!("{at:020000}\n")).collect();
    put(&bench.hydrant, "s", &records[..100]).await;
    put(&bench.hydrant, "s", &records[100..]).await;
    bench.hydrant.client.flush("s").await;
    let all = places(&bench, &bench.hydrant, "s").await;
    all.hold(&records, str::to_owned);
    assert!(all.failed.values().all(|code| code == "Lambda.ProcessingFailedStatus"), "{:?}", all.failed.values());
    assert!(all.delivered.len() > 50 && all.failed.len() > 20 && all.dropped > 20, "every answer was given");
    bench.hydrant.client.flush("s").await;
    let again = places(&bench, &bench.hydrant, "s").await;
    assert_eq!((again.delivered, again.failed, again.dropped), (all.delivered, all.failed, all.dropped), "it is final");
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn a_module_that_answers_otherwise_each_time_has_each_record_in_one_place_wherever_the_process_is_killed() {
    // The number of the call stands in the place of each record's first byte: after a restart it counts from one again, so
    // that another attempt gives other bytes.
    let count = "(i32.store8 (local.get $data) (i32.add (i32.const 48) (i32.and (global.get $calls) (i32.const 63))))";
    let counter = judging(&format!("{count} {ECHO}"));
    let records: Vec<_> = (0..150).map(|at| format!("#{at:020000}\n")).collect();
    for phase in ["processed", "intent-synced", "delivered", "commit-written"] {
        let all = killed_at(phase, 2, &counter, &records).await;
        assert!(all.delivered.iter().any(|line| !line.starts_with('1')), "it counts");
        assert_eq!(all.delivered.len(), 150, "killed at {phase}");
        // What it refuses once it gives back the next time. What it refuses makes objects, too.
        let times = if phase == "processed" { 2 } else { 3 };
        let all = killed_at(phase, times, &moody(ECHO), &records).await;
        assert!(all.failed.len() > 20 && all.delivered.len() > 60, "killed at {phase}: every answer was given");
    }
}

/// Where `records` are after the process was killed at this phase while they went through `module`; `times` is when records are
/// there for the second time.
async fn killed_at(phase: &str, times: u32, module: &[u8], records: &[String]) -> Places {
    let bench = Bench::started(|setup| setup.env("HYDRANT_CRASH_AT", &format!("{phase}:{times}"))).await;
    create(&bench, "s", module, "0.2").await;
    put(&bench.hydrant, "s", &records[..50]).await;
    bench.hydrant.client.flush("s").await;
    put(&bench.hydrant, "s", &records[50..100]).await;
    // It may be killed before it answers.
    let _ = bench.hydrant.client.try_post("/streams/s/flush", "text/plain", "").await;
    let Bench { bucket, hydrant, data } = bench;
    hydrant.killed_itself(phase).await;
    let hydrant = Hydrant::start(&Setup::new(data.path())).await;
    let bench = Bench { bucket, hydrant, data };
    put(&bench.hydrant, "s", &records[100..]).await;
    bench.hydrant.client.flush("s").await;
    let all = places(&bench, &bench.hydrant, "s").await;
    all.hold(records, |line| format!("#{}", &line[1..]));
    assert_eq!(all.dropped, 0, "killed at {phase}");
    let status = bench.hydrant.client.status("s").await;
    assert_eq!(status["cursors"][0]["waitingRecords"], 0, "killed at {phase}: {status}");
    bench.hydrant.terminate().await;
    all
}

/// Never ends, and says nothing.
const LOOP: &str = "(loop $ever (br $ever))";
