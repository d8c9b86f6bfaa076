//! A destination that refuses everything, a ledger that cannot be written, a disk budget smaller than a buffer, a wall clock that
//! is set back.

use futures_util::FutureExt;

use super::*;
use crate::delivery::cut::Cutter;
use crate::delivery::ledger::{Entry, VersionStart};
use crate::log::AppendError;

#[tokio::test(start_paused = true)]
async fn a_destination_that_refuses_everything_does_not_collect_open_intents() {
    let bench = Bench::new();
    *bench.shelf.refusing.lock() = true;
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    walking.put(0..200).await;
    bench.clock.sleep(Duration::from_mins(30)).await;
    let open = walking.handle.stream.ledger.with(|state| state.open.len());
    assert!((2..=24).contains(&open), "{open} intents are open");
    walking.stop().await;
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    *bench.shelf.refusing.lock() = false;
    walking.flush().await;
    assert_eq!(bench.delivered().len(), 200);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_stream_that_has_gone_quiet_drains_at_once() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    assert!(walking.handle.pause(true).await);
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    walking.handle.wish(Wish::Drain);
    let ended = tokio::time::timeout(Duration::from_secs(5), walking.task).await;
    assert_eq!(ended.expect("it drains").expect("no panic"), Ended::Drained);
    assert_eq!(bench.delivered(), records(0..3));
}

#[tokio::test(start_paused = true)]
async fn what_is_put_while_delivery_is_held_is_not_even_cut() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert!(walking.handle.pause(true).await);
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(walking.handle.stream.ledger.with(|state| state.open.len()), 0);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_before_the_ledger_knows_the_first_configuration() {
    let bench = Bench::new();
    // In the way of every new segment.
    let obstacle = bench.dir.path().join("ledger/segment.new");
    std::fs::create_dir_all(&obstacle).expect("a directory");
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    assert!(tokio::time::timeout(Duration::from_mins(1), walking.handle.begun()).await.is_err());
    std::fs::remove_dir(&obstacle).expect("removed");
    walking.handle.begun().await;
    assert_eq!(walking.handle.stream.ledger.with(|state| state.version_at(Offset(0))), Some(1));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_cannot_be_written_keeps_nobody_from_giving_up_the_stream() {
    let bench = Bench::new();
    let obstacle = bench.dir.path().join("ledger/segment.new");
    std::fs::create_dir_all(&obstacle).expect("a directory");
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    bench.clock.sleep(Duration::from_secs(30)).await;
    walking.handle.wish(Wish::Discard);
    assert_eq!(walking.task.await.expect("no panic"), Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_larger_than_the_disk_budget_is_cut_before_producers_wait() {
    let bench = Bench { budget: 400 << 10, ..Bench::new() };
    let walking = bench.start(plan(1, "p/", 1 << 30), Vec::new());
    let put = async |kib: usize| {
        let lengths = vec![u32::try_from(kib << 10).expect("short")];
        let payload = Payload { lengths, body: vec![b'x'; kib << 10].into() };
        walking.log.append(payload, Durability::Synced, Placement::Behind).await
    };
    put(100).await.expect("room");
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 0);
    put(110).await.expect("room");
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 1, "half of the budget is used");
    put(190).await.expect("what is delivered has left the log");
    // Less than half waits, and yet there is no room.
    assert!(matches!(put(300).await, Err(AppendError::Budget { .. })));
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 2);
    put(300).await.expect("room");
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_holds_no_record() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(10)).await;
    walking.stop().await;
    bench.clock.set_wall(-3_600_000);
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    bench.clock.sleep(Duration::from_secs(1)).await;
    walking.put(3..5).await;
    bench.clock.sleep(Duration::from_secs(61)).await;
    assert_eq!(bench.delivered(), records(0..5));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn records_of_a_damaged_intent_are_delivered_again_and_counted() {
    let bench = Bench::new();
    bench.shelf.answers.lock().extend((0..40).map(|_| Answer::Retry));
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    walking.put(0..4).await;
    bench.clock.sleep(Duration::from_secs(2)).await;
    walking.stop().await;
    let segment = std::fs::read_dir(bench.dir.path().join("ledger")).expect("a directory").next().expect("a segment");
    let path = segment.expect("a segment").path();
    let mut bytes = std::fs::read(&path).expect("bytes");
    let second = "\"range\":{\"from\":1,";
    let at = bytes.windows(second.len()).position(|window| window == second.as_bytes()).expect("the second intent");
    bytes[at] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    bench.shelf.answers.lock().clear();
    let walking = bench.start(plan(1, "p/", 14), Vec::new());
    walking.flush().await;
    let mut delivered = bench.delivered();
    delivered.sort();
    assert_eq!(delivered, records(0..4));
    walking.stop().await;
}

#[test]
fn what_comes_after_a_look_that_found_nothing_is_not_skipped_with_it() {
    // With one thread for stages, and that one busy, the order of things is ours.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        let bench = Bench::new();
        let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
        walking.handle.begun().await;
        // Ten offsets that a lost process gave out: nothing can be read below them.
        let beyond = VersionStart { version: 1, backup: false, from: Offset(10), bytes: 0 };
        walking.handle.stream.ledger.record(Entry::Version(beyond)).await.expect("open");
        walking.stop().await;
        let ground = Ground { workers: Workers::Pool, ..bench.ground() };
        let (_road, handle, log) = ground.road(plan(1, "p/", 1 << 20), |_| Vec::new()).expect("logs that open");
        assert_eq!(log.synced().offset, Offset(10));
        let mut cutter = Cutter::new(Arc::clone(&handle.stream), Cursor::Main);
        let (free, busy) = std::sync::mpsc::channel::<()>();
        let blocking = tokio::task::spawn_blocking(move || busy.recv());
        assert!(cutter.next().now_or_never().is_none(), "the look needs the thread");
        free.send(()).expect("it waits");
        blocking.await.expect("no panic").expect("sent");
        // Behind the look, for which nobody waits.
        tokio::task::spawn_blocking(|| ()).await.expect("no panic");
        let payload = Payload { lengths: vec![1; 3], body: b"abc".as_slice().into() };
        log.append(payload, Durability::Synced, Placement::Behind).await.expect("the log takes it");
        handle.flush(Offset(13));
        let gap = cutter.next().await.expect("readable");
        assert_eq!((gap.range.from, gap.range.to, gap.records), (Offset(0), Offset(10), 0));
        let batch = cutter.next().await.expect("readable");
        assert_eq!((batch.range.to, batch.records), (Offset(13), 3));
    });
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_lost_as_a_whole_loses_no_record() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.handle.begun().await;
    walking.put(0..3).await;
    walking.flush().await;
    walking.put(3..5).await;
    walking.stop().await;
    lose_ledger(&bench);
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.flush().await;
    let mut delivered = bench.delivered();
    delivered.sort();
    delivered.dedup();
    assert_eq!(delivered, records(0..5));
    let (open, low_water) = walking.handle.stream.ledger.with(|state| (state.open.len(), state.low_water()));
    assert_eq!((open, low_water), (0, Offset(5)));
    assert_eq!(bench.counted("possible_duplicates", "main"), 1);
    assert_eq!(bench.counted("possible_losses", "main"), 0);
    walking.stop().await;
}

/// Damages the header of every segment of the ledger.
pub(super) fn lose_ledger(bench: &Bench) {
    let segments = std::fs::read_dir(bench.dir.path().join("ledger")).expect("a directory");
    let segments = segments.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    for path in segments {
        let mut bytes = std::fs::read(&path).expect("bytes");
        // It is there twice.
        for copy in [0, 2048] {
            bytes[copy + 20] ^= 1;
        }
        std::fs::write(path, bytes).expect("written");
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_as_old_as_it_is_whether_delivery_is_held_or_not() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    let age = |walking: &Walking| walking.handle.stream.uncut_age(Cursor::Main).expect("known").as_secs();
    walking.put(0..1).await;
    bench.clock.sleep(Duration::from_secs(20)).await;
    assert_eq!(age(&walking), 20);
    walking.flush().await;
    assert!(walking.handle.pause(true).await);
    bench.clock.sleep(Duration::from_secs(10)).await;
    walking.put(1..2).await;
    bench.clock.sleep(Duration::from_secs(30)).await;
    assert_eq!(age(&walking), 30);
    walking.stop().await;
}
