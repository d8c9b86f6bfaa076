//! Streams whose processed records lie in the spool by partition: ages, sizes, what a restart finds.

use hydrant_model::{KeySource, prefixes};
use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Fates, Records, WantedKey};

use super::*;
use crate::catalog::{Kept, Processor, Stage};

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
