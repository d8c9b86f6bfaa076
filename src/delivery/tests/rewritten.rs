//! The spool written once more where little of it is left alive: what it takes, what that costs, and what a crash leaves of it.

use std::collections::BTreeSet;

use super::spooled::{damage, partitioned};
use super::*;
use crate::clock::splitmix;
use crate::delivery::spool::Rewriting;

/// Segments of the spool end so soon, and it is rewritten where that gives back so much.
const SEGMENT_BYTES: u64 = 64 << 10;
const WORTH_BYTES: u64 = 128 << 10;
const AGE: Duration = Duration::from_hours(2);

/// The bench's ground, where segments are small.
fn ground(bench: &Bench, rewriting_bytes: u64) -> Ground {
    let ground = bench.ground();
    let settings = PoolSettings { reserve: 0, growing_bytes: SEGMENT_BYTES, ..PoolSettings::default() };
    let pool = Pool::open(Arc::clone(&ground.workshop.disk), bench.dir.path().join("pool"), settings).expect("a pool");
    let workshop = Workshop { pool, ..ground.workshop };
    Ground { workshop, settings: Settings { rewriting_bytes, ..Settings::default() }, ..ground }
}

/// Partitions that leave at 64 KiB or after two hours.
fn slow() -> Arc<Plan> {
    let mut plan = partitioned(1, 64 << 10);
    plan.objects.hints.interval = AGE;
    Arc::new(plan)
}

fn walk(bench: &Bench, rewriting_bytes: u64) -> Walking {
    ground(bench, rewriting_bytes).walk(slow(), |_| Vec::new()).expect("logs that open")
}

/// One record of each partition, with its number and so many bytes more, and a pass over them.
async fn put(bench: &Bench, walking: &Walking, number: usize, partitions: &[(char, usize)]) {
    let texts: Vec<String> =
        partitions.iter().map(|(key, bytes)| format!("{number:06} {} {key}\n", "x".repeat(*bytes))).collect();
    let lengths = texts.iter().map(|text| u32::try_from(text.len()).expect("short")).collect();
    let payload = Payload { lengths, body: texts.concat().into() };
    walking.log.append(payload, Durability::Synced, Placement::Behind).await.expect("the log takes it");
    bench.clock.sleep(Duration::from_secs(21)).await;
}

/// Numbers of the records of a partition, in the order of its objects.
fn numbers(bench: &Bench, key: char) -> Vec<usize> {
    let objects = bench.shelf.objects.lock();
    let of_it = objects.iter().filter(|(name, _)| name.starts_with(&format!("p/{key}/")));
    of_it.flat_map(|(_, object)| lines(object)).map(|line| line[..6].parse().expect("a number")).collect()
}

/// Bytes that were written once more.
fn rewritten(bench: &Bench) -> u64 {
    let text = bench.telemetry.render();
    let series = "hydrant_spool_rewritten_bytes_total{stream=\"s\"} ";
    let value = text.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0, |value| value.parse().expect("a number"))
}

fn spool_bytes(walking: &Walking) -> u64 {
    walking.handle.stream.spool.log().disk_bytes()
}

/// Files of the spool, lowest first.
fn segments(bench: &Bench) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(bench.dir.path().join("spool")).expect("a directory");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[tokio::test(start_paused = true)]
async fn a_cold_partition_beside_a_hot_one_does_not_pin_the_spool_and_leaves_at_its_own_age() {
    let bench = Bench::new();
    let walking = walk(&bench, WORTH_BYTES);
    walking.handle.begun().await;
    let (began, mut most) = (bench.clock.now(), 0);
    for number in 0..250 {
        let hot = ('h', 20_000);
        let cold = if number % 10 == 0 { vec![hot, ('c', 5)] } else { vec![hot] };
        put(&bench, &walking, number, &cold).await;
        most = most.max(spool_bytes(&walking));
    }
    // What waits: an object of the hot one at most. What does not: twice as much, what it must be worth, and the open segment.
    let alive = 90 << 10;
    assert!(most <= 3 * alive + WORTH_BYTES + 2 * SEGMENT_BYTES, "the spool has had {most} bytes");
    let copied = rewritten(&bench);
    assert!((1..200_000).contains(&copied), "{copied} bytes of 5,000,000 were written once more");
    assert_eq!(numbers(&bench, 'c'), [0; 0]);
    bench.clock.sleep_until(began + Duration::from_secs(2 * 3600 - 5)).await;
    assert_eq!(numbers(&bench, 'c'), [0; 0], "it is not two hours old");
    bench.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!(numbers(&bench, 'c'), (0..250).step_by(10).collect::<Vec<_>>());
    walking.flush().await;
    let hot = numbers(&bench, 'h');
    assert_eq!((hot.len(), hot.into_iter().collect::<BTreeSet<_>>().len()), (250, 250));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_it_the_same_spool_is_pinned() {
    let bench = Bench::new();
    let walking = walk(&bench, u64::MAX);
    walking.handle.begun().await;
    for number in 0..100 {
        put(&bench, &walking, number, &[('h', 20_000), ('c', 5)]).await;
    }
    assert!(spool_bytes(&walking) > 2_000_000, "{}", spool_bytes(&walking));
    assert_eq!(rewritten(&bench), 0);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_is_copied_than_was_written_and_what_is_dead_is_no_more_than_what_is_alive() {
    let mut all = 0;
    for seed in 0..6 {
        let bench = Bench { budget: 16 << 20, ..Bench::new() };
        let walking = walk(&bench, WORTH_BYTES);
        walking.handle.begun().await;
        let (mut chance, mut written) = (seed, 0);
        for number in 0..150 {
            let mut records = Vec::new();
            for key in 'a'..'k' {
                // Some partitions are hot, others fill slowly, and the last ones have a record now and then.
                let rank = u64::from(u32::from(key) - u32::from('a'));
                if splitmix(&mut chance).is_multiple_of(rank * rank / 4 + 1) {
                    records.push((key, usize::try_from(splitmix(&mut chance) % 9000).expect("small")));
                }
            }
            written += records.iter().map(|(_, bytes)| *bytes as u64).sum::<u64>();
            put(&bench, &walking, number, &records).await;
            let copied = rewritten(&bench);
            assert!(copied <= written, "{copied} of {written} bytes");
            let alive = walking.handle.stream.spool.waiting(bench.clock.now()).1;
            let most = 2 * alive + WORTH_BYTES + 4 * SEGMENT_BYTES;
            assert!(spool_bytes(&walking) <= most, "{} bytes, of which {alive} wait", spool_bytes(&walking));
        }
        all += rewritten(&bench);
        walking.stop().await;
    }
    assert!(all > 100_000, "{all}");
}

/// Waits in the spool in sealed segments: partitions a and b, of five records each.
async fn waiting(bench: &Bench) -> Walking {
    let walking = walk(bench, u64::MAX);
    walking.handle.begun().await;
    for number in 0..5 {
        put(bench, &walking, number, &[('a', 100), ('b', 100)]).await;
    }
    walking.stop().await;
    // A start seals what an earlier process wrote.
    let walking = walk(bench, u64::MAX);
    bench.clock.sleep(Duration::from_secs(1)).await;
    walking
}

/// A copy of all that waits, synced.
async fn copy(walking: &Walking) -> crate::delivery::spool::Copied {
    let stream = &walking.handle.stream;
    let hints = slow().objects.hints;
    let lowest = stream.spool.to_rewrite(None, 1, &hints, stream.shop.clock.now()).expect("it pays");
    assert_eq!(lowest.chains.len(), 2);
    let run = hydrant_model::SetId(stream.shop.clock.bits());
    Rewriting { stream: Arc::clone(stream), run, lowest }.make().await.expect("a copy")
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_ledger_does_not_name_is_nothing() {
    let bench = Bench::new();
    let walking = waiting(&bench).await;
    let copied = copy(&walking).await;
    assert!(copied.bytes > 0);
    drop(copied);
    walking.task.abort();
    let walking = walk(&bench, u64::MAX);
    walking.flush().await;
    for key in ['a', 'b'] {
        assert_eq!(numbers(&bench, key), [0, 1, 2, 3, 4]);
    }
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_the_ledger_names_is_all_that_counts() {
    let bench = Bench::new();
    let walking = waiting(&bench).await;
    let stream = Arc::clone(&walking.handle.stream);
    let rewritten = stream.spool.move_to(copy(&walking).await).expect("something was moved");
    assert_eq!(rewritten.slices.len(), 10);
    stream.ledger.record(Entry::Rewritten(rewritten)).await.expect("open");
    walking.task.abort();
    let before = spool_bytes(&walking);
    drop((walking, stream));
    let walking = walk(&bench, u64::MAX);
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(walking.handle.stream.spool.waiting(bench.clock.now()).0, 10);
    walking.flush().await;
    for key in ['a', 'b'] {
        assert_eq!(numbers(&bench, key), [0, 1, 2, 3, 4]);
    }
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert!(spool_bytes(&walking) < before);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_partition_that_leaves_meanwhile_the_copy_does_not_count() {
    let bench = Bench::new();
    let walking = waiting(&bench).await;
    let copied = copy(&walking).await;
    let partition = walking.handle.stream.spool.with(|table| {
        let hints = hydrant_model::Hints { size_bytes: u64::MAX, interval: Duration::ZERO };
        let urgency = crate::delivery::spool::Urgency { hints, flush_to: Offset(0), pressed: true };
        table.due(&urgency, bench.clock.now()).expect("one that waits")
    });
    let stream = Arc::clone(&walking.handle.stream);
    let open = stream.promise_partition(partition).await.expect("open").expect("an intent");
    let rewritten = stream.spool.move_to(copied).expect("the other was moved");
    assert_eq!(rewritten.slices.len(), 5 + 1, "the old slices of one, the new slice of the other");
    stream.ledger.record(Entry::Rewritten(rewritten)).await.expect("open");
    assert_eq!(open.intent.records, 5);
    walking.task.abort();
    drop((walking, stream));
    let walking = walk(&bench, u64::MAX);
    walking.flush().await;
    for key in ['a', 'b'] {
        assert_eq!(numbers(&bench, key), [0, 1, 2, 3, 4]);
    }
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_failed_is_tried_again_by_itself() {
    let bench = Bench::new();
    let walking = walk(&bench, WORTH_BYTES);
    walking.handle.begun().await;
    for number in 0..5 {
        put(&bench, &walking, number, &[('h', 20_000), ('c', 5)]).await;
    }
    // The lowest segment, of which only the cold partition is needed.
    let lowest = segments(&bench).into_iter().next().expect("a spool");
    let hidden = lowest.with_extension("hidden");
    std::fs::rename(&lowest, &hidden).expect("it is there");
    for number in 5..20 {
        put(&bench, &walking, number, &[('h', 20_000), ('c', 5)]).await;
    }
    assert_eq!(rewritten(&bench), 0, "it cannot be read");
    std::fs::rename(&hidden, &lowest).expect("it is there");
    bench.clock.sleep(Duration::from_secs(10)).await;
    assert!(rewritten(&bench) > 0, "nothing else happened meanwhile");
    walking.flush().await;
    assert_eq!(numbers(&bench, 'c'), (0..20).collect::<Vec<_>>());
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_damaged_slice_is_left_where_it_is_and_costs_no_other() {
    let bench = Bench::new();
    let walking = waiting(&bench).await;
    walking.stop().await;
    damage(&bench, &format!("000002 {} a", "x".repeat(100)));
    let walking = walk(&bench, 1);
    for number in 5..60 {
        put(&bench, &walking, number, &[('h', 20_000)]).await;
    }
    let (copied, taken) = (rewritten(&bench), spool_bytes(&walking));
    assert!(copied > 0 && taken > 500_000, "one is moved, the other pins: {copied}, {taken}");
    for number in 60..70 {
        put(&bench, &walking, number, &[('h', 20_000)]).await;
    }
    assert_eq!(rewritten(&bench), copied, "it is not tried again and again");
    bench.clock.sleep(AGE).await;
    assert_eq!(numbers(&bench, 'a'), [0, 1, 3, 4]);
    assert_eq!(numbers(&bench, 'b'), [0, 1, 2, 3, 4]);
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert!(spool_bytes(&walking) < 200_000, "{}", spool_bytes(&walking));
    walking.stop().await;
}
