//! Streams whose processed records lie in the spool by partition: ages, sizes, what a restart finds.

use hydrant_model::{KeySource, prefixes};
use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Fates, Records, WantedKey};

use super::*;
use crate::catalog::{Kept, Processor, Stage};
use crate::log::faulty::FaultyDisk;

/// Gives every record a partition: its last character but the newline.
struct Keyed;

impl Stage for Keyed {
    fn name(&self) -> &'static str {
        "Keyed"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::new(Self)))
    }
}

impl Transform for Keyed {
    fn apply(&mut self, mut records: Records, _: &Arrived, _: &mut Fates) -> Records {
        let keys: Vec<String> = records
            .iter()
            .map(|(_, bytes)| String::from_utf8_lossy(bytes).trim().chars().rev().take(1).collect())
            .collect();
        for (at, key) in keys.iter().enumerate() {
            records.set_key(at, 0, key);
        }
        records
    }
}

/// A plan of partitions by the last digit of a record; they leave at `bytes`, or after a minute.
pub(super) fn partitioned(version: u64, bytes: u64) -> Plan {
    let mut plan = Plan::clone(&plan(version, "p/", bytes));
    plan.processing.stages = vec![Arc::new(Keyed)];
    plan.processing.kept = Kept::ByPartition;
    plan.processing.wanted = Arc::new([WantedKey { source: KeySource::Query, name: "k".into() }]);
    let prefix = prefixes(
        Some("p/!{partitionKeyFromQuery:k}/"),
        Some("errors/!{firehose:error-output-type}/!{timestamp:yyyy}/"),
        true,
    );
    plan.objects.prefix = prefix.expect("valid prefixes").prefix;
    plan
}

#[tokio::test(start_paused = true)]
async fn partitions_age_by_the_monotonic_clock_within_a_process() {
    let bench = Bench::new();
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    walking.put(0..3).await;
    // Before they are processed.
    bench.clock.set_wall(3_600_000);
    bench.clock.sleep(Duration::from_secs(50)).await;
    assert!(bench.delivered().is_empty());
    bench.clock.sleep(Duration::from_secs(15)).await;
    assert_eq!(bench.delivered(), records(0..3));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_size_that_is_lowered_sends_partitions_that_have_reached_it() {
    let bench = Bench::new();
    let slow = |mut plan: Plan| {
        plan.objects.hints.interval = Duration::from_hours(2);
        Arc::new(plan)
    };
    let walking = bench.start(slow(partitioned(1, 1 << 20)), Vec::new());
    walking.put(0..25).await;
    bench.clock.sleep(Duration::from_mins(10)).await;
    assert!(bench.delivered().is_empty());
    // Partitions 0 to 4 have three records, the others two.
    assert!(walking.handle.reconfigure(slow(partitioned(2, 42))).await);
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 5);
    assert_eq!(bench.delivered().len(), 15);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_ledger_knew_of_spool_and_errors_is_counted_as_lost_once_a_start() {
    let bench = Bench::new();
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(30)).await;
    assert!(bench.delivered().is_empty(), "they wait in the spool");
    walking.stop().await;
    hardship::lose_ledger(&bench);
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    walking.flush().await;
    // They were still in the records' log as well.
    assert_eq!(bench.delivered(), records(0..3));
    assert_eq!(bench.counted("possible_losses", "main"), 1);
    assert_eq!(bench.counted("possible_losses", "errors"), 0);
    walking.stop().await;
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    walking.flush().await;
    assert_eq!(bench.counted("possible_losses", "main"), 1, "the ledger is a new one now");
    walking.stop().await;
}

/// A start that finds something in the spool and cannot read it.
fn blind(bench: &Bench, disk: &FaultyDisk, plan: Arc<Plan>) -> Walking {
    let (road, handle, log) = on(bench, disk).road(plan, |_| Vec::new()).expect("logs that open");
    disk.set_unreadable(Some("/d/spool".into()));
    let task = tokio::task::spawn(async { deliver_stream(road).await.expect("a road that ends as told") });
    Walking { log, handle, task }
}

/// The bench's ground, on this disk.
fn on(bench: &Bench, disk: &FaultyDisk) -> Ground {
    let ground = bench.ground();
    let shared: Arc<dyn crate::log::Disk> = Arc::new(disk.clone());
    let settings = PoolSettings { reserve_bytes: 64 << 10, reserve: 1, ..PoolSettings::default() };
    let pool = Pool::open(Arc::clone(&shared), "/d/pool".into(), settings).expect("a pool");
    let workshop = Workshop { disk: shared, pool, ..ground.workshop };
    Ground { workshop, root: "/d".into(), ..ground }
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_read_holds_up_no_order_and_no_backup() {
    let (bench, disk) = (Bench::new(), FaultyDisk::new(1));
    let backed_up = || {
        let mut plan = partitioned(1, 1 << 20);
        let prefix = prefixes(Some("backup/!{timestamp:yyyy}/"), Some("errors/!{firehose:error-output-type}/"), false);
        let prefix = prefix.expect("valid prefixes").prefix;
        plan.backup = Some(hydrant_model::ObjectDestination { prefix, ..plan.objects.clone() });
        Arc::new(plan)
    };
    let walking = on(&bench, &disk).walk(backed_up(), |_| Vec::new()).expect("logs that open");
    walking.handle.begun().await;
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(30)).await;
    walking.stop().await;
    let walking = blind(&bench, &disk, backed_up());
    bench.clock.sleep(Duration::from_secs(1)).await;
    for paused in [true, false] {
        assert_eq!(tokio::time::timeout(Duration::from_secs(2), walking.handle.pause(paused)).await, Ok(true));
    }
    walking.put(3..5).await;
    bench.clock.sleep(Duration::from_mins(2)).await;
    let objects = bench.shelf.objects.lock().clone();
    assert!(objects.keys().all(|key| key.starts_with("backup/")), "{:?}", objects.keys());
    let backup: Vec<String> = objects.values().flat_map(|object| lines(object)).collect();
    assert_eq!(backup, records(0..5));
    assert!(walking.handle.stream.boards.main.read().last_error.is_some());
    // From here on it is as if nothing had been.
    disk.set_unreadable(None);
    bench.clock.sleep(Duration::from_secs(10)).await;
    walking.flush().await;
    let objects = bench.shelf.objects.lock().clone();
    let main = objects.iter().filter(|(key, _)| key.starts_with("p/")).flat_map(|(_, object)| lines(object));
    assert_eq!(main.collect::<Vec<_>>(), records(0..5));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_spool_that_cannot_be_read_keeps_nobody_from_stopping() {
    let (bench, disk) = (Bench::new(), FaultyDisk::new(1));
    let walking = on(&bench, &disk).walk(Arc::new(partitioned(1, 1 << 20)), |_| Vec::new()).expect("logs that open");
    walking.handle.begun().await;
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(30)).await;
    walking.stop().await;
    let walking = blind(&bench, &disk, Arc::new(partitioned(1, 1 << 20)));
    bench.clock.sleep(Duration::from_secs(12)).await;
    assert_eq!(tokio::time::timeout(Duration::from_secs(1), walking.stop()).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_all_of_a_partition() {
    let bench = Bench::new();
    let mut plan = partitioned(1, 1 << 30);
    plan.objects.hints.interval = Duration::from_hours(2);
    let walking = bench.start(Arc::new(plan), Vec::new());
    // More than two passes take on.
    for number in 0..20 {
        let text = format!("{}{}\n", "x".repeat(1 << 20), number % 2);
        let lengths = vec![u32::try_from(text.len()).expect("short")];
        let payload = Payload { lengths, body: text.into() };
        walking.log.append(payload, Durability::Synced, Placement::Behind).await.expect("the log takes it");
    }
    walking.flush().await;
    assert_eq!(bench.shelf.objects.lock().len(), 2);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn records_of_a_partition_too_many_go_to_the_error_output_until_others_have_left() {
    let bench = Bench::new();
    let mut capped = partitioned(1, 1 << 20);
    capped.most_partitions = Some(4);
    let walking = bench.start(Arc::new(capped.clone()), Vec::new());
    // Three of them wait from one pass, and a restart finds them again.
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(20)).await;
    walking.stop().await;
    let walking = bench.start(Arc::new(capped), Vec::new());
    walking.put(10..20).await;
    walking.flush().await;
    let told = bench.entries("activePartitionExceeded");
    assert_eq!(told.iter().map(|(_, raw)| raw.clone()).collect::<Vec<_>>(), records(14..20));
    let code = "DynamicPartitioning.ActivePartitionLimitExceeded";
    assert!(told.iter().all(|(entry, _)| entry["errorCode"] == code && entry["attemptsMade"] == 1), "{told:?}");
    // All have left.
    walking.put(24..28).await;
    walking.flush().await;
    assert_eq!(bench.entries("activePartitionExceeded").len(), 6);
    let objects = bench.shelf.objects.lock().clone();
    let main = objects.iter().filter(|(key, _)| key.starts_with("p/")).flat_map(|(_, object)| lines(object));
    let mut main: Vec<String> = main.collect();
    main.sort();
    assert_eq!(main, [records(0..3), records(10..14), records(24..28)].concat());
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn past_so_many_partitions_the_oldest_leave_early_and_none_fails() {
    let bench = Bench::new();
    let mut plan = partitioned(1, 1 << 20);
    plan.objects.hints.interval = Duration::from_hours(2);
    let ground = bench.ground();
    let settings = Settings { partitions: 5, ..Settings::default() };
    let walking = Ground { settings, ..ground }.walk(Arc::new(plan), |_| Vec::new()).expect("logs that open");
    walking.handle.begun().await;
    for number in 0..10 {
        walking.put(number..number + 1).await;
        bench.clock.sleep(Duration::from_secs(5)).await;
    }
    bench.clock.sleep(Duration::from_mins(1)).await;
    // Four wait for their time.
    assert_eq!(bench.delivered(), records(0..6));
    walking.flush().await;
    assert_eq!(bench.delivered(), records(0..10));
    assert_eq!(bench.shelf.objects.lock().len(), 10, "nothing is in the error output");
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_partition_with_a_damaged_slice_nothing_else_is_lost_at_a_restart() {
    let bench = Bench::new();
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    for number in [0, 10, 20] {
        walking.put(number..number + 1).await;
        bench.clock.sleep(Duration::from_secs(5)).await;
    }
    walking.stop().await;
    damage(&bench, "record 000010");
    let walking = bench.start(Arc::new(partitioned(1, 1 << 20)), Vec::new());
    walking.flush().await;
    assert_eq!(bench.delivered(), [records(0..1), records(20..21)].concat());
    walking.stop().await;
}

/// Flips a byte of a record in the spool that holds `text`.
pub(super) fn damage(bench: &Bench, text: &str) {
    for entry in std::fs::read_dir(bench.dir.path().join("spool")).expect("a directory") {
        let path = entry.expect("an entry").path();
        let mut bytes = std::fs::read(&path).expect("bytes");
        if let Some(at) = bytes.windows(text.len()).position(|window| window == text.as_bytes()) {
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).expect("written");
            return;
        }
    }
    panic!("no such record");
}
