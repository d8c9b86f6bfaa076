//! Processors that refuse, drop and panic, and what is counted as delivered.

use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, ErrorOutput, Failure, Fates, Records};
use serde_json::Value;

use super::*;
use crate::catalog::{Kept, Processor, Stage};

/// Takes three records at a time, leaves the others, panics over record 5, and is of no use afterwards.
#[derive(Default)]
struct Panicking {
    broken: bool,
}

impl Stage for Panicking {
    fn name(&self) -> &'static str {
        "Panicking"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::<Self>::default()))
    }
}

impl Transform for Panicking {
    fn apply(&mut self, mut records: Records, _: &Arrived, fates: &mut Fates) -> Records {
        if self.broken {
            records.retain(|_, _| false);
        }
        for (_, bytes) in records.iter().take(3) {
            self.broken = true;
            assert!(!bytes.starts_with(b"record 000005"), "record 5");
            self.broken = false;
        }
        fates.left = records.len().saturating_sub(3);
        fates.left_bytes = records.iter().skip(3).map(|(_, bytes)| bytes.len()).sum();
        records.retain(|at, _| at < 3);
        records
    }
}

/// Takes no record below the number; drops every second one of the others, or none.
pub(super) struct Refusing {
    pub(super) below: u32,
    pub(super) dropping: bool,
}

impl Stage for Refusing {
    fn name(&self) -> &'static str {
        "Refusing"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::new(Self { ..*self })))
    }
}

impl Transform for Refusing {
    fn apply(&mut self, mut records: Records, _: &Arrived, fates: &mut Fates) -> Records {
        let numbers: Vec<u32> = records
            .iter()
            .filter_map(|(_, bytes)| String::from_utf8_lossy(bytes).trim().get(7..)?.parse().ok())
            .collect();
        records.retain(|at, record| {
            if numbers[at] < self.below {
                let (code, message) = ("Test.Refused".into(), "refused".into());
                let output = ErrorOutput::Processing;
                let (origin, attempts, raw) = (record.origin, 1, None);
                fates.failures.push(Failure { origin, output, code, message, attempts, raw });
                return false;
            }
            let dropped = self.dropping && numbers[at] % 2 == 1;
            fates.dropped += u64::from(dropped);
            !dropped
        });
        records
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_or_was_dropped_is_not_counted_as_delivered() {
    for (below, dropping, delivered) in [(4, true, (3, 42, 1)), (10, false, (0, 0, 0)), (0, false, (10, 140, 1))] {
        let bench = Bench::new();
        let mut plan = Plan::clone(&plan(1, "p/", 1 << 20));
        plan.processing.stages = vec![Arc::new(Refusing { below, dropping })];
        let walking = bench.start(Arc::new(plan), Vec::new());
        walking.put(0..10).await;
        walking.flush().await;
        let state = walking.handle.stream.ledger.with(|state| state.delivered(Cursor::Main));
        assert_eq!((state.records, state.bytes, state.objects), delivered, "{below}");
        let counted = ["delivered_records", "delivered_bytes", "delivered_objects"].map(|it| bench.counted(it, "main"));
        assert_eq!((counted[0], counted[1], counted[2]), delivered, "{below}");
        let failed = walking.handle.stream.ledger.with(|state| state.delivered(Cursor::Errors).records);
        assert_eq!(failed, u64::from(below), "they are in the error output");
        walking.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn failures_leave_by_the_age_of_the_oldest_or_by_their_size() {
    let bench = Bench::new();
    let refusing = |version, bytes| {
        let mut plan = Plan::clone(&plan(version, "p/", bytes));
        plan.processing.stages = vec![Arc::new(Refusing { below: 1000, dropping: false })];
        Arc::new(plan)
    };
    // Records wait a minute; what is refused of them another one.
    let walking = bench.start(refusing(1, 1 << 20), Vec::new());
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(65)).await;
    walking.put(3..5).await;
    bench.clock.sleep(Duration::from_secs(50)).await;
    assert!(bench.entries("processing-failed").is_empty(), "they wait for more");
    bench.clock.sleep(Duration::from_secs(15)).await;
    let told = |bench: &Bench| bench.entries("processing-failed").into_iter().map(|(_, raw)| raw).collect::<Vec<_>>();
    assert_eq!(told(&bench)[..3], records(0..3));
    // Three records are an object then, and their entries, which are longer, one as well.
    assert!(walking.handle.reconfigure(refusing(2, 42)).await);
    bench.clock.sleep(Duration::from_secs(5)).await;
    walking.put(5..8).await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(told(&bench), records(0..8));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_begins_later_has_nothing_waiting_of_what_came_before() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.put(0..3).await;
    let mut backed_up = Plan::clone(&plan(2, "p/", 1 << 20));
    backed_up.backup = Some(backed_up.objects.clone());
    assert!(walking.handle.reconfigure(Arc::new(backed_up)).await);
    walking.put(3..5).await;
    let uncut = |walking: &Walking| {
        let cut = walking.handle.stream.ledger.with(|state| state.progress(Cursor::Backup).map(|it| it.cut_bytes));
        walking.log.synced().bytes - cut.expect("a backup")
    };
    assert_eq!(uncut(&walking), 2 * 14);
    walking.stop().await;
    let mut backed_up = Plan::clone(&plan(2, "p/", 1 << 20));
    backed_up.backup = Some(backed_up.objects.clone());
    let walking = bench.start(Arc::new(backed_up), vec![plan(1, "p/", 1 << 20)]);
    assert_eq!(uncut(&walking), 2 * 14);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_panics_fails_what_it_was_given_and_the_rest_is_delivered() {
    for kept in [Kept::Nowhere, Kept::Together] {
        let bench = Bench::new();
        let mut plan = Plan::clone(&plan(1, "p/", 1 << 20));
        plan.processing.stages = vec![Arc::new(Panicking::default())];
        plan.processing.kept = kept;
        let walking = bench.start(Arc::new(plan), Vec::new());
        walking.put(0..9).await;
        walking.flush().await;
        walking.put(9..12).await;
        walking.flush().await;
        let objects = bench.shelf.objects.lock().clone();
        let of = |prefix: &str| -> Vec<String> {
            objects.iter().filter(|(key, _)| key.starts_with(prefix)).flat_map(|(_, object)| lines(object)).collect()
        };
        assert_eq!(of("p/"), [records(0..3), records(9..12)].concat(), "{kept:?}");
        let entries: Vec<Value> = of("errors/processing-failed/").iter().filter_map(|it| it.parse().ok()).collect();
        assert!(entries.iter().all(|entry| entry["errorCode"] == "Processing.Panicked"), "{entries:?}");
        let raw =
            entries.iter().filter_map(|entry| base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str()?).ok());
        assert_eq!(raw.flat_map(|raw| lines(&raw)).collect::<Vec<_>>(), records(3..9), "{kept:?}");
        assert_eq!(walking.handle.stream.panicked.lock().len(), 1);
        walking.stop().await;
    }
}
