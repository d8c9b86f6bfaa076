//! Objects that the destination refuses for their own sake, again and again.

use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Fates, Records};
use serde_json::Value;

use super::processed::Refusing;
use super::*;
use crate::catalog::{Kept, Processor, Stage};
use crate::delivery::ledger::Contents;

impl Bench {
    /// What the entries of an error output say, with the records that they are about.
    pub(super) fn entries(&self, output: &str) -> Vec<(Value, String)> {
        let objects = self.shelf.objects.lock().clone();
        let of = objects.iter().filter(|(key, _)| key.starts_with(&format!("errors/{output}/")));
        let entries = of.flat_map(|(_, object)| lines(object)).map(|line| line.parse::<Value>().expect("JSON"));
        let raw = |entry: &Value| entry["rawData"].as_str().and_then(|it| base64_simd::STANDARD.decode_to_vec(it).ok());
        let told = |entry: Value| {
            let raw = raw(&entry).expect("base64");
            (entry, String::from_utf8(raw).expect("text").trim_end().to_owned())
        };
        // An object takes few of them here.
        let mut told: Vec<_> = entries.map(told).collect();
        told.sort_by(|one, other| one.1.cmp(&other.1));
        told
    }
}

/// An object and more every half minute.
async fn go_on(bench: &Bench, walking: &Walking, from: u32, minutes: u32) {
    for number in 0..2 * minutes {
        walking.put(from + 10 * number..from + 10 * (number + 1)).await;
        bench.clock.sleep(Duration::from_secs(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_refused_while_others_go_leaves_through_the_error_output() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    *bench.shelf.hopeless.lock() = Some(Offset(0));
    go_on(&bench, &walking, 0, 5).await;
    assert_eq!(walking.handle.stream.boards.main.read().parked, 1);
    assert!(bench.entries("s3-failed").is_empty());
    go_on(&bench, &walking, 100, 10).await;
    walking.flush().await;
    let told = bench.entries("s3-failed");
    assert_eq!(told.iter().map(|(_, raw)| raw.clone()).collect::<Vec<_>>(), records(0..10));
    for (entry, _) in &told {
        assert_eq!((&entry["errorCode"], &entry["errorMessage"]), (&"S3.InvalidRequest".into(), &"scripted".into()));
        assert_eq!(entry["attemptsMade"], 10);
        assert!(entry["arrivalTimestamp"].as_u64() < entry["attemptEndingTimestamp"].as_u64());
    }
    let mut main = in_objects(&bench);
    main.sort();
    assert_eq!(main, records(10..300));
    assert_eq!(walking.handle.stream.boards.main.read().parked, 0);
    assert_eq!(bench.counted("delivered_records", "main"), 290);
    let text = bench.telemetry.render();
    assert!(text.contains("hydrant_error_output_records_total{stream=\"s\",type=\"s3-failed\"} 10"), "{text}");
    assert_eq!(walking.handle.stream.ledger.with(State::low_water), Offset(300));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_refuses_everything_has_no_object_given_up() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    walking.put(0..10).await;
    walking.flush().await;
    *bench.shelf.refusing.lock() = true;
    go_on(&bench, &walking, 10, 60).await;
    let given_up = |walking: &Walking| {
        walking.handle.stream.ledger.with(|state| state.open.values().filter(|open| open.given_up.is_some()).count())
    };
    assert_eq!(given_up(&walking), 0);
    *bench.shelf.refusing.lock() = false;
    walking.flush().await;
    assert!(bench.entries("s3-failed").is_empty());
    assert_eq!(bench.delivered().len(), 1210);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_retries_for_ever_gives_nothing_up() {
    let bench = Bench::new();
    let mut patient = Plan::clone(&plan(1, "p/", 140));
    patient.retry_forever = true;
    let walking = bench.start(Arc::new(patient), Vec::new());
    *bench.shelf.hopeless.lock() = Some(Offset(0));
    go_on(&bench, &walking, 0, 60).await;
    assert_eq!(walking.handle.stream.boards.main.read().parked, 1);
    *bench.shelf.hopeless.lock() = None;
    walking.flush().await;
    assert_eq!(bench.delivered().len(), 1200);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_no_stage_took_of_an_object_that_is_given_up_is_named_once() {
    // Once where an attempt has read to the end, and named it; once where none has.
    for early in [false, true] {
        let bench = Bench::new();
        let mut staged = Plan::clone(&plan(1, "p/", 140));
        staged.processing.stages = vec![Arc::new(Refusing { below: 4, dropping: true })];
        let walking = bench.start(Arc::new(staged), Vec::new());
        *bench.shelf.hopeless.lock() = Some(Offset(0));
        *bench.shelf.early.lock() = early;
        go_on(&bench, &walking, 0, 15).await;
        walking.flush().await;
        let raw = |output: &str| bench.entries(output).into_iter().map(|(_, raw)| raw).collect::<Vec<_>>();
        assert_eq!(raw("processing-failed"), records(0..4), "{early}");
        assert_eq!(raw("s3-failed"), ["record 000004", "record 000006", "record 000008"], "{early}");
        walking.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_s_object_that_is_given_up_takes_none_of_the_others_with_it() {
    let bench = Bench::new();
    let walking = bench.start(Arc::new(spooled::partitioned(1, 1 << 20)), Vec::new());
    *bench.shelf.hopeless_key.lock() = Some("p/3/".to_owned());
    for minute in 0..20 {
        walking.put(10 * minute..10 * (minute + 1)).await;
        let to = walking.log.synced().offset;
        walking.handle.flush(to);
        bench.clock.sleep(Duration::from_secs(61)).await;
        if minute == 15 {
            *bench.shelf.hopeless_key.lock() = None;
        }
    }
    walking.flush().await;
    some_of_one_partition_are_given_up_and_each_is_there_once(&bench, &records(0..200));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_denied_is_tried_for_as_long_as_its_retry_options_say() {
    for (retry, forever, gives_up) in [(Some(300), false, true), (Some(300), true, false), (None, false, false)] {
        let bench = Bench::new();
        let mut plan = spooled::partitioned(1, 1 << 20);
        (plan.retry, plan.retry_forever) = (retry.map(Duration::from_secs), forever);
        let walking = bench.start(Arc::new(plan), Vec::new());
        *bench.shelf.denied_key.lock() = Some("p/3/".to_owned());
        walking.put(0..10).await;
        walking.handle.flush(walking.log.synced().offset);
        bench.clock.sleep(Duration::from_secs(280)).await;
        assert!(bench.entries("s3-failed").is_empty(), "{retry:?}");
        bench.clock.sleep(Duration::from_secs(100)).await;
        assert_eq!(walking.handle.stream.boards.main.read().parked, 1 - u64::from(gives_up), "{retry:?}");
        *bench.shelf.denied_key.lock() = None;
        walking.flush().await;
        let told = bench.entries("s3-failed");
        assert_eq!(told.len(), usize::from(gives_up), "{retry:?} {forever} {told:?}");
        for (entry, raw) in told {
            assert_eq!((&entry["errorCode"], raw.as_str()), (&"S3.AccessDenied".into(), "record 000003"));
        }
        assert_eq!(in_objects(&bench).len(), 10 - usize::from(gives_up));
        walking.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn retry_options_give_nothing_up_that_nobody_takes_or_that_was_not_tried() {
    for (pausing, changing) in [(false, false), (true, false), (false, true)] {
        let bench = Bench::new();
        let mut plan = spooled::partitioned(1, 1 << 20);
        plan.retry = Some(Duration::from_mins(1));
        let walking = bench.start(Arc::new(plan.clone()), Vec::new());
        // All of them; or one, whose stream is paused after the first failure, or told of another destination in time.
        *bench.shelf.denied_key.lock() = Some(if pausing || changing { "p/3/" } else { "p/" }.to_owned());
        walking.put(0..10).await;
        walking.handle.flush(walking.log.synced().offset);
        bench.clock.sleep(Duration::from_secs(10)).await;
        if changing {
            bench.clock.sleep(Duration::from_secs(30)).await;
            let mut changed = plan.clone();
            changed.version = 2;
            assert!(walking.handle.reconfigure(Arc::new(changed)).await);
            bench.clock.sleep(Duration::from_secs(45)).await;
        } else {
            walking.handle.pause(pausing).await;
            bench.clock.sleep(Duration::from_mins(5)).await;
        }
        if pausing {
            walking.handle.pause(false).await;
            bench.clock.sleep(Duration::from_secs(30)).await;
        }
        *bench.shelf.denied_key.lock() = None;
        walking.flush().await;
        assert!(bench.entries("s3-failed").is_empty(), "{pausing} {changing}");
        assert_eq!(bench.delivered().len(), 10, "{pausing} {changing}");
        walking.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_change_the_time_of_retry_options_runs_anew_and_what_was_taken_before_proves_nothing() {
    let bench = Bench::new();
    let mut plan = spooled::partitioned(1, 1 << 20);
    plan.retry = Some(Duration::from_mins(1));
    let walking = bench.start(Arc::new(plan.clone()), Vec::new());
    let put = async |numbers| {
        walking.put(numbers).await;
        walking.handle.flush(walking.log.synced().offset);
    };
    *bench.shelf.denied_key.lock() = Some("p/3/".to_owned());
    put(0..10).await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    put(10..13).await;
    bench.clock.sleep(Duration::from_secs(30)).await;
    // The new destination takes nothing at all.
    *bench.shelf.denied_key.lock() = Some("p/".to_owned());
    plan.version = 2;
    assert!(walking.handle.reconfigure(Arc::new(plan)).await);
    put(13..20).await;
    bench.clock.sleep(Duration::from_mins(5)).await;
    assert!(bench.entries("s3-failed").is_empty(), "it has taken nothing");
    // And then everything but that.
    *bench.shelf.denied_key.lock() = Some("p/3/".to_owned());
    bench.clock.sleep(Duration::from_mins(2)).await;
    *bench.shelf.denied_key.lock() = None;
    walking.flush().await;
    some_of_one_partition_are_given_up_and_each_is_there_once(&bench, &records(0..20));
    walking.stop().await;
}

/// Records in objects of the stream, not of its error output.
fn in_objects(bench: &Bench) -> Vec<String> {
    let objects = bench.shelf.objects.lock().clone();
    objects.iter().filter(|(key, _)| key.starts_with("p/")).flat_map(|(_, object)| lines(object)).collect()
}

/// Of partition 3, that is; and `all` is everything that was put.
fn some_of_one_partition_are_given_up_and_each_is_there_once(bench: &Bench, all: &[String]) {
    let given_up: Vec<String> = bench.entries("s3-failed").into_iter().map(|(_, raw)| raw).collect();
    assert!(!given_up.is_empty() && given_up.iter().all(|record| record.ends_with('3')), "{given_up:?}");
    let mut told = [in_objects(bench), given_up].concat();
    told.sort();
    assert_eq!(told, all);
}

/// Makes every letter a capital.
struct Capitals;

impl Stage for Capitals {
    fn name(&self) -> &'static str {
        "Capitals"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::new(Self)))
    }
}

impl Transform for Capitals {
    fn apply(&mut self, mut records: Records, _: &Arrived, _: &mut Fates) -> Records {
        let mut made = Records::instead_of(&mut records, 0);
        for (at, (record, bytes)) in records.iter().enumerate() {
            made.push(&bytes.to_ascii_uppercase(), record.origin, Some((&records, at)));
        }
        made.done()
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_shows_the_record_as_it_arrived_while_that_is_kept_and_else_what_was_made_of_it() {
    for (kept, shown) in [(Kept::Nowhere, "record "), (Kept::Together, "RECORD ")] {
        let bench = Bench::new();
        let mut staged = Plan::clone(&plan(1, "p/", 140));
        staged.processing.stages = vec![Arc::new(Capitals)];
        staged.processing.kept = kept;
        let walking = bench.start(Arc::new(staged), Vec::new());
        *bench.shelf.hopeless.lock() = Some(Offset(0));
        go_on(&bench, &walking, 0, 15).await;
        walking.flush().await;
        let told = bench.entries("s3-failed");
        assert!(!told.is_empty() && told.iter().all(|(_, raw)| raw.starts_with(shown)), "{kept:?}: {told:?}");
        let mut all = in_objects(&bench);
        all.extend(told.into_iter().map(|(_, raw)| raw.to_uppercase()));
        all.sort();
        let made: Vec<String> = records(0..300).iter().map(|record| record.to_uppercase()).collect();
        assert_eq!(all, made, "{kept:?}");
        walking.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_stays_so_across_a_restart() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    *bench.shelf.hopeless.lock() = Some(Offset(0));
    go_on(&bench, &walking, 0, 1).await;
    let open = walking.handle.stream.ledger.with(|state| state.open.values().next().cloned()).expect("an intent");
    assert_eq!((open.intent.range.from, &open.contents), (Offset(0), &Contents::Records));
    let given_up = GivenUp { code: "S3.X".into(), attempts: 3, ..GivenUp::default() };
    walking.handle.stream.ledger.record(Entry::GaveUp { intent: open.intent.id, given_up }).await.expect("open");
    walking.stop().await;
    // It would be taken now.
    *bench.shelf.hopeless.lock() = None;
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    walking.flush().await;
    let told = bench.entries("s3-failed");
    assert_eq!(told.iter().map(|(_, raw)| raw.clone()).collect::<Vec<_>>(), records(0..10));
    assert!(told.iter().all(|(entry, _)| entry["errorCode"] == "S3.X" && entry["attemptsMade"] == 3));
    assert_eq!(bench.shelf.objects.lock().keys().filter(|key| key.starts_with("p/")).count(), 1);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_while_an_earlier_request_may_be_on_its_way() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    *bench.shelf.hopeless.lock() = Some(Offset(0));
    go_on(&bench, &walking, 0, 9).await;
    // An attempt whose answer is lost; the object is not there when it is asked for.
    *bench.shelf.forgetful.lock() = true;
    go_on(&bench, &walking, 180, 2).await;
    *bench.shelf.forgetful.lock() = false;
    go_on(&bench, &walking, 220, 12).await;
    assert!(bench.entries("s3-failed").is_empty());
    assert_eq!(walking.handle.stream.boards.main.read().parked, 1);
    go_on(&bench, &walking, 460, 5).await;
    walking.flush().await;
    assert_eq!(bench.entries("s3-failed").len(), 10);
    walking.stop().await;
}
