//! The ledger on a disk that loses what was not synced, and that flips bytes.

use std::path::Path;

use hydrant_model::{Intent, ObjectKey, OffsetRange, Seed};

use super::*;
use crate::clock::Clock;
use crate::delivery::errors::Part;
use crate::log::faulty::FaultyDisk;
use crate::log::{InlineCommitters, Pool, PoolSettings};
use hydrant_model::{Cursor, IntentId, Offset, SetId};

const STREAM: StreamId = StreamId([9; 16]);

fn open(disk: &FaultyDisk) -> Ledger {
    let shared: Arc<dyn crate::log::Disk> = Arc::new(disk.clone());
    let settings = PoolSettings { reserve_bytes: 64 << 10, reserve: 1, ..PoolSettings::default() };
    let pool = Pool::open(Arc::clone(&shared), "/d/pool".into(), settings).expect("a pool");
    let clock = Clock::simulated(3);
    let workshop = Workshop { disk: shared, pool, committers: Arc::new(InlineCommitters), clock };
    Ledger::open(&workshop, "/d/ledger".into(), STREAM, Account::new(1 << 30)).expect("a ledger").0
}

fn range(from: u64, to: u64) -> OffsetRange {
    OffsetRange { from: Offset(from), to: Offset(to) }
}

fn intent(id: u64, range: OffsetRange) -> OpenIntent {
    let intent = Intent {
        id: IntentId(id),
        range,
        records: range.to.0 - range.from.0,
        bytes: 10,
        seed: Seed([7; 16]),
        version: 1,
        oldest_ms: 5,
        object: ObjectKey::new("bucket", format!("key-{id}")).expect("a key"),
    };
    OpenIntent {
        cursor: Cursor::Main,
        contents: Contents::Records,
        failed: false,
        given_up: None,
        intent,
        shape: id,
        schema: None,
        ends_at: None,
        notes: Vec::new(),
    }
}

fn commit(id: u64, range: OffsetRange) -> Entry {
    let (cursor, intent, lacking) = (Cursor::Main, IntentId(id), Lacking::default());
    Entry::Commit { cursor, intent, contents: Contents::Records, range, bytes: 1, lacking, at_ms: 2 }
}

/// Flips a byte of the first place on the disk that holds `text`.
fn flip(disk: &FaultyDisk, text: &str) {
    flip_one(disk, text, 0);
}

/// The same of a later one of those places.
fn flip_one(disk: &FaultyDisk, text: &str, which: usize) {
    let files = disk.files().into_iter().filter(|(path, _)| path.starts_with("/d/ledger"));
    let mut found = files.flat_map(|(path, bytes)| {
        let places = bytes.windows(text.len()).enumerate().filter(|(_, window)| *window == text.as_bytes());
        places.map(|(at, _)| (path.clone(), at)).collect::<Vec<_>>()
    });
    let (path, at) = found.nth(which).expect("the text");
    let mut bytes = disk.files().remove(&path).expect("the file");
    bytes[at] ^= 1;
    disk.put(Path::new(&path), &bytes);
}

fn failures(number: u8) -> Failures {
    let part =
        Part { set: SetId([number; 16]), from: Offset(u64::from(number) * 10), to: Offset(u64::from(number) * 10 + 4) };
    Failures { output: "out".to_owned(), part, records: 4, bytes: 40, oldest_ms: 5, source: Offset(1), at_ms: 6 }
}

fn processed(run: u8, records: OffsetRange, spool: OffsetRange) -> Processed {
    Processed { run: SetId([run; 16]), range: records, ends_at: Some(records.to.0), spool, version: 1, schema: None }
}

fn slices(id: u64, head: u64, records: u64) -> OpenIntent {
    let slices = vec![SliceAt { head: Offset(head), records, position: 0 }];
    let contents = Contents::Slices { slices, source: Offset(0) };
    OpenIntent { contents, ..intent(id, range(head, head + records + 1)) }
}

#[tokio::test(start_paused = true)]
async fn failures_whose_entry_is_damaged_are_known_from_its_repetition_and_count_once() {
    for damaged in [None, Some(0), Some(1)] {
        let disk = FaultyDisk::new(1);
        let ledger = open(&disk);
        ledger.record(Entry::Intent(intent(0, range(0, 5)))).await.expect("open");
        let entry = Entry::Failed { intent: Some(IntentId(0)), given_up: false, failures: vec![failures(1)] };
        ledger.record(entry).await.expect("open");
        ledger.record_soon(&commit(0, range(0, 5)));
        ledger.settle().await.expect("open");
        let before = ledger.with(Clone::clone);
        drop(ledger);
        if let Some(which) = damaged {
            flip_one(&disk, "\"entry\":\"failed\"", which);
        }
        assert_eq!(open(&disk).with(Clone::clone), before, "{damaged:?}");
        assert_eq!(before.failures.oldest("out", 1000), [failures(1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_intent_does_not_have_its_failures_counted_twice() {
    let disk = FaultyDisk::new(1);
    let ledger = open(&disk);
    ledger.record(Entry::Intent(intent(0, range(0, 5)))).await.expect("open");
    let entry = Entry::Failed { intent: Some(IntentId(0)), given_up: false, failures: vec![failures(1)] };
    ledger.record(entry).await.expect("open");
    ledger.record_soon(&commit(0, range(0, 5)));
    ledger.settle().await.expect("open");
    let before = ledger.with(Clone::clone);
    drop(ledger);
    flip(&disk, "key-0");
    let state = open(&disk).with(Clone::clone);
    assert_eq!((state.failures, state.failed_unopened), (before.failures, before.failed_unopened));
}

#[tokio::test(start_paused = true)]
async fn a_stretch_whose_entry_is_damaged_is_known_from_its_repetition_and_counts_once() {
    for damaged in [None, Some(0), Some(1), Some(2), Some(3)] {
        let disk = FaultyDisk::new(1);
        let ledger = open(&disk);
        for (run, records, spool, number) in [(1, range(0, 5), range(0, 9), 1), (2, range(5, 8), range(9, 20), 2)] {
            let failures = vec![failures(number)];
            ledger.record_soon(&Entry::Processed { stretch: processed(run, records, spool), failures });
        }
        // It rests on the first of them, and when it is damaged no slice waits again.
        ledger.record(Entry::Intent(slices(0, 3, 2))).await.expect("open");
        let before = ledger.with(Clone::clone);
        drop(ledger);
        if let Some(which) = damaged {
            flip_one(&disk, "\"entry\":\"processed\"", which);
        }
        let state = open(&disk).with(Clone::clone);
        assert_eq!((&state.main, &state.spool, state.failures.len()), (&before.main, &before.spool, 2), "{damaged:?}");
        assert!(!state.spool.waits(SetId([1; 16]), Offset(3)) && state.spool.waits(SetId([2; 16]), Offset(9)));
    }
}

#[tokio::test(start_paused = true)]
async fn slices_that_were_rewritten_wait_once_whichever_entry_about_them_is_damaged() {
    let kinds = [("processed", 0), ("processed", 1), ("rewritten", 0), ("rewritten", 1)];
    for damaged in [None].into_iter().chain(kinds.map(Some)) {
        let disk = FaultyDisk::new(1);
        let ledger = open(&disk);
        let stretch = processed(1, range(0, 5), range(0, 9));
        ledger.record_soon(&Entry::Processed { stretch, failures: Vec::new() });
        ledger.record_soon(&Entry::Rewritten(Rewritten {
            run: SetId([2; 16]),
            spool: range(20, 29),
            slices: vec![Offset(0), Offset(3), Offset(23)],
            versions: vec![1],
            schemas: Vec::new(),
        }));
        // It rests on the second.
        ledger.record(Entry::Intent(slices(0, 26, 2))).await.expect("open");
        let before = ledger.with(Clone::clone);
        drop(ledger);
        if let Some((entry, which)) = damaged {
            flip_one(&disk, &format!("\"entry\":\"{entry}\""), which);
        }
        let state = open(&disk).with(Clone::clone);
        assert_eq!((&state.main, &state.spool), (&before.main, &before.spool), "{damaged:?}");
        let waits = |run: u8, head| state.spool.waits(SetId([run; 16]), Offset(head));
        assert_eq!([waits(1, 0), waits(1, 3), waits(1, 6)], [false, false, true]);
        assert_eq!([waits(2, 20), waits(2, 23), waits(2, 26)], [true, false, false]);
        assert_eq!(state.spool.versions.get(&1), Some(&Offset(29)));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_trimmed_rests_on_entries_that_are_there_twice() {
    let disk = FaultyDisk::new(1);
    let ledger = open(&disk);
    let stretch = processed(1, range(0, 5), range(0, 9));
    ledger.record_soon(&Entry::Processed { stretch, failures: vec![failures(1)] });
    ledger.settle().await.expect("open");
    let before = ledger.with(Clone::clone);
    drop(ledger);
    flip(&disk, "\"entry\":\"processed\"");
    assert_eq!(open(&disk).with(Clone::clone), before);
}

#[tokio::test(start_paused = true)]
async fn records_whose_intent_is_damaged_wait_again() {
    let disk = FaultyDisk::new(1);
    let ledger = open(&disk);
    for (id, range) in [(0, range(0, 5)), (1, range(5, 8)), (2, range(8, 9))] {
        ledger.record(Entry::Intent(intent(id, range))).await.expect("open");
    }
    drop(ledger);
    flip(&disk, "key-1");
    let state = open(&disk).with(Clone::clone);
    assert_eq!(state.main.holes, [range(5, 8)]);
    assert_eq!(state.open.keys().collect::<Vec<_>>(), [&0, &2]);
    assert_eq!((state.low_water(), state.main.cut_to, state.next_intent), (Offset(0), Offset(9), 3));
}

#[tokio::test(start_paused = true)]
async fn a_commit_tells_that_the_records_of_a_damaged_intent_are_delivered() {
    let disk = FaultyDisk::new(1);
    let ledger = open(&disk);
    for (id, range) in [(0, range(0, 5)), (1, range(5, 8)), (2, range(8, 9))] {
        ledger.record(Entry::Intent(intent(id, range))).await.expect("open");
    }
    ledger.record_soon(&commit(2, range(8, 9)));
    ledger.record_soon(&commit(1, range(5, 8)));
    ledger.settle().await.expect("open");
    drop(ledger);
    flip(&disk, "key-2");
    let state = open(&disk).with(Clone::clone);
    assert_eq!(state.main.holes, []);
    assert_eq!((state.low_water(), state.main.cut_to, state.next_intent), (Offset(0), Offset(9), 3));
    assert_eq!(state.main.delivered.objects, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hole_is_filled_by_what_is_decided_about_it() {
    let mut state = State::default();
    state.apply(&Entry::Intent(intent(4, range(10, 20))));
    assert_eq!((state.main.holes.clone(), state.low_water()), (vec![range(0, 10)], Offset(0)));
    state.apply(&Entry::Intent(intent(5, range(0, 4))));
    assert_eq!(state.main.holes, [range(4, 10)]);
    state.apply(&Entry::Skipped { cursor: Cursor::Main, from: Offset(4), to: Offset(10), ends_at: None });
    assert_eq!((state.main.holes.clone(), state.main.cut_to), (Vec::new(), Offset(20)));
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_sync_took_along_is_made_up_for_before_it_is_called_settled() {
    let disk = FaultyDisk::new(1);
    let ledger = Arc::new(open(&disk));
    ledger.record(Entry::Intent(intent(0, range(0, 5)))).await.expect("open");
    ledger.record_soon(&commit(0, range(0, 5)));
    // Written, and answered; then another entry's sync fails and takes the segment with it.
    tokio::task::yield_now().await;
    disk.fail_sync(0);
    let noting = Arc::clone(&ledger);
    #[expect(clippy::disallowed_methods, reason = "a test has no service that tracks tasks")]
    let note = tokio::spawn(async move { noting.record(Entry::Paused { paused: false }).await });
    while ledger.log().is_writable() {
        tokio::task::yield_now().await;
    }
    ledger.settle().await.expect("open");
    disk.crash();
    note.abort();
    let state = open(&disk).with(Clone::clone);
    assert!(state.open.is_empty(), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_a_power_failure_may_bring_back_is_still_needed() {
    let disk = FaultyDisk::new(1);
    let ledger = open(&disk);
    for version in [1, 2] {
        let from = Offset(5 * (version - 1));
        ledger.record(Entry::Version(VersionStart { version, backup: false, from, bytes: 0 })).await.expect("open");
    }
    ledger.record(Entry::Intent(intent(1, range(0, 5)))).await.expect("open");
    ledger.record_soon(&commit(1, range(0, 5)));
    let needed = ledger.oldest_version().await.expect("open");
    disk.crash();
    let state = open(&disk).with(Clone::clone);
    assert!(state.versions.iter().all(|start| start.version >= needed), "{needed}: {state:?}");
    assert!(state.open.values().all(|open| open.shape >= needed), "{needed}: {state:?}");
    assert_eq!(needed, 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_damaged_snapshot_held_is_known_from_the_entries_around_it() {
    let disk = FaultyDisk::new(1);
    for id in 0..3 {
        // Each process begins a segment of its own with its first entry.
        let ledger = open(&disk);
        ledger.record(Entry::Intent(intent(id, range(id * 5, id * 5 + 5)))).await.expect("open");
    }
    let mut segments = disk.files().into_iter().filter(|(path, _)| path.starts_with("/d/ledger"));
    let (path, mut bytes) = segments.next_back().expect("a segment");
    let snapshot = b"\"entry\":\"snapshot\"";
    let at = bytes.windows(snapshot.len()).position(|window| window == snapshot).expect("a snapshot");
    bytes[at] ^= 1;
    disk.put(Path::new(&path), &bytes);
    let state = open(&disk).with(Clone::clone);
    assert_eq!(state.open.keys().collect::<Vec<_>>(), [&0, &1, &2]);
    assert_eq!((state.main.holes.len(), state.main.cut_to), (0, Offset(15)));
}
