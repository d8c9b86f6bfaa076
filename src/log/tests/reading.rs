//! Readers, walkers and those who wait for progress.

use std::time::Duration;

use hydrant_model::Offset;

use super::world::{SMALL, World, payload, put, read, read_all};
use crate::log::{Durability, Placement, PoolSettings, Position};

#[tokio::test(start_paused = true)]
async fn a_reader_at_the_synced_end_goes_on_in_the_next_segment() {
    let world = World::new(1);
    let log = world.open(0);
    put(&log, &["a"]).await.unwrap();
    let mut reader = log.read(Offset(0), Offset(u64::MAX));
    let mut walker = log.walk(Offset(0));
    assert_eq!(reader.next().unwrap().unwrap().body, b"a");
    assert!(reader.next().unwrap().is_none());
    walker.pass().unwrap();
    assert!(walker.frame().unwrap().is_none());
    // The segment is ended behind what it had synced, shorter than it was written.
    log.append(payload(&["lost"]), Durability::Written, Placement::Behind).await.unwrap();
    assert!(reader.next().unwrap().is_none(), "nothing is read before it is synced");
    world.disk.fail_sync(0);
    put(&log, &["lost too"]).await.unwrap_err();
    assert!(reader.next().unwrap().is_none());
    let place = put(&log, &["b"]).await.unwrap();
    let view = reader.next().unwrap().unwrap();
    assert_eq!((view.first, view.birth, view.body), (place.first, place.birth, b"b".as_slice()));
    assert_eq!(walker.frame().unwrap().unwrap().first, place.first);
    log.append(payload(&["c"]), Durability::Synced, Placement::NewSegment).await.unwrap();
    assert_eq!(reader.next().unwrap().unwrap().body, b"c");
    assert!(reader.next().unwrap().is_none());
    assert!(world.quarantine().is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_part_of_a_log_is_that_part_of_the_whole() {
    let world = World::new(1);
    let log = world.open(0);
    for number in 0..6_usize {
        let records: Vec<Vec<u8>> = (0..=number).map(|length| vec![b'a'; length % 3]).collect();
        let placement = if number == 3 { Placement::NewSegment } else { Placement::Behind };
        log.append(payload(&records), Durability::Synced, placement).await.unwrap();
    }
    let whole = read_all(&log);
    assert_eq!(whole.len(), 21);
    for from in 0..=21 {
        for to in from..=21 {
            let part = read(&log, from, to);
            assert_eq!(part, whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()], "[{from}, {to})");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn large_appends_and_large_tables_are_split_into_frames() {
    let mut world = World::new(1);
    let log = world.open(0);
    let tiny = vec![b""; 70_000];
    put(&log, &tiny).await.unwrap();
    put(&log, &[vec![1; 3 << 20], vec![2; 10], vec![3; 900 << 10], vec![4; 900 << 10]]).await.unwrap();
    let check = |log: &crate::log::Log| {
        let mut walker = log.walk(Offset(0));
        let mut frames = Vec::new();
        while let Some(frame) = walker.frame().unwrap() {
            assert_eq!(walker.lengths().unwrap().len() as u64, frame.next.0 - frame.first.0);
            frames.push((frame.next.0 - frame.first.0, frame.bytes));
            walker.pass().unwrap();
        }
        assert_eq!(frames, [(65_536, 0), (4464, 0), (1, 3 << 20), (2, (900 << 10) + 10), (1, 900 << 10)]);
        let records = read(log, 69_999, 70_004);
        assert_eq!(
            records.iter().map(|read| read.bytes.len()).collect::<Vec<_>>(),
            [0, 3 << 20, 10, 900 << 10, 900 << 10]
        );
    };
    check(&log);
    assert_eq!(log.synced(), Position { offset: Offset(70_004), bytes: (3 << 20) + 10 + (1800 << 10) });
    drop(log);
    world.crash();
    check(&world.open(70_004));
}

#[tokio::test(start_paused = true)]
async fn a_walker_finds_its_place_in_a_large_segment_by_marks_also_after_a_restart() {
    let settings = PoolSettings { growing_bytes: 24 << 20, ..SMALL };
    let mut world = World::with(1, settings);
    let log = world.open(0);
    for _ in 0..160 {
        put(&log, &[vec![1; 60_000], vec![2; 60_000]]).await.unwrap();
    }
    let far = |world: &World, log: &crate::log::Log, from: u64| {
        let before = world.disk.counts().read_bytes;
        let mut walker = log.walk(Offset(from));
        assert_eq!(walker.frame().unwrap().unwrap().first.0, from);
        world.disk.counts().read_bytes - before
    };
    assert!(far(&world, &log, 300) < 400_000);
    drop(log);
    world.restart();
    let log = world.open(320);
    assert!(far(&world, &log, 300) < 400_000, "the last segment was looked through on opening");
    put(&log, &["next"]).await.unwrap();
    drop(log);
    world.restart();
    let log = world.open(321);
    far(&world, &log, 300);
    assert!(far(&world, &log, 310) < 400_000, "an earlier one by the first that walked it");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_whether_there_is_more_before_taking_it_reads_nothing_twice() {
    let world = World::with(1, PoolSettings { growing_bytes: 24 << 20, ..SMALL });
    let log = world.open(0);
    let mut mark = None;
    for _ in 0..40 {
        let payload = payload(&[vec![1; 60_000], vec![2; 60_000]]);
        mark = mark.or(Some(log.append(payload, Durability::Synced, Placement::Behind).await.unwrap().mark()));
    }
    let end = log.synced().offset;
    for mut reader in [log.read(Offset(0), end), log.read_marked(mark.unwrap(), Offset(0), end)] {
        let (before, mut records) = (world.disk.counts().read_bytes, 0);
        while !reader.is_at_end().unwrap() && !reader.is_at_end().unwrap() {
            records += reader.next().unwrap().unwrap().records().count();
        }
        assert_eq!(records, 80);
        assert!(reader.next().unwrap().is_none());
        let read = world.disk.counts().read_bytes - before;
        assert!((80 * 60_000..80 * 60_000 + 40_000).contains(&read), "{read}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mark_shows_is_read_without_what_lies_around_it_and_a_wrong_mark_changes_nothing() {
    let settings = PoolSettings { growing_bytes: 2 << 20, ..SMALL };
    let mut world = World::with(1, settings);
    let log = world.open(0);
    let mut marks = Vec::new();
    for number in 0..1600_u64 {
        let placement = if number == 900 { Placement::NewSegment } else { Placement::Behind };
        let payload = payload(&[number.to_string().into_bytes(), vec![7; 2000]]);
        marks.push(log.append(payload, Durability::Synced, placement).await.unwrap().mark());
    }
    drop(log);
    world.restart();
    let log = world.open(3200);
    let before = world.disk.counts().read_bytes;
    let mut walker = log.walk_marked(marks[1599]);
    let mut reader = log.read_marked(marks[0], marks[0].offset, marks[0].offset);
    for (number, mark) in marks.iter().enumerate().rev() {
        walker.go_to(*mark);
        assert_eq!(walker.frame().unwrap().unwrap().first, mark.offset);
        assert_eq!(walker.first_record().unwrap(), number.to_string().as_bytes());
        let from = mark.offset.plus(1);
        reader.go_to(*mark, from, from.plus(1));
        let view = reader.next().unwrap().unwrap();
        assert_eq!((view.mark, view.first, view.body), (*mark, from, [7; 2000].as_slice()));
        assert!(reader.next().unwrap().is_none());
    }
    // A read-ahead each time that one goes back, twice.
    assert!(world.disk.counts().read_bytes - before < 1600 * 40_000);
    let somewhere = marks[700];
    for wrong in [0, 1, 4096, somewhere.position + 8, somewhere.position - 2040, u64::MAX - 7] {
        let wrong = crate::log::Mark { position: wrong, ..somewhere };
        let from = wrong.offset.plus(1);
        let mut reader = log.read_marked(wrong, from, from.plus(1));
        assert_eq!(reader.next().unwrap().unwrap().mark, somewhere);
        let mut walker = log.walk_marked(wrong);
        assert_eq!(walker.frame().unwrap().unwrap().first, somewhere.offset);
    }
    assert!(world.quarantine().is_empty());
}

#[tokio::test(start_paused = true)]
async fn progress_wakes_at_the_byte_target_and_not_before() {
    let world = World::new(1);
    let log = world.open(0);
    let start = log.synced();
    let waiting = |bytes| {
        let log = log.clone();
        async move { tokio::time::timeout(Duration::from_secs(1), log.progress(start, bytes)).await.is_ok() }
    };
    assert!(waiting(Some(0)).await, "a target that is reached does not wait for more");
    assert!(!waiting(None).await);
    put(&log, &[""]).await.unwrap();
    assert!(waiting(None).await, "a record of length zero is progress");
    assert!(!waiting(Some(1)).await, "and no bytes");
    let (far, near, any) = tokio::join!(waiting(Some(100)), waiting(Some(50)), async {
        put(&log, &[[0; 49]]).await.unwrap();
        world.workshop.clock.sleep(Duration::from_millis(10)).await;
        put(&log, &[[0; 1]]).await.unwrap();
        waiting(None).await
    });
    assert_eq!((far, near, any), (false, true, true));
    let written = log.append(payload(&[[0; 50]]), Durability::Written, Placement::Behind);
    written.await.unwrap();
    assert!(!waiting(Some(100)).await, "what is not synced is no progress");
    let (reached, synced) = tokio::join!(waiting(Some(100)), log.sync());
    synced.unwrap();
    assert!(reached);
}

#[tokio::test(start_paused = true)]
async fn a_closed_log_refuses_and_commits_what_was_queued() {
    let world = World::new(1);
    let log = world.open(0);
    let queued = log.submit(payload(&["a"]), Durability::Synced, Placement::Behind).unwrap();
    log.close();
    assert!(matches!(put(&log, &["b"]).await, Err(crate::log::AppendError::Closed)));
    queued.await.unwrap().unwrap();
    assert_eq!(read_all(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "add up")]
async fn lengths_that_do_not_add_up_never_reach_the_disk() {
    let world = World::new(1);
    let mut wrong = payload(&["ab"]);
    wrong.lengths[0] = 3;
    let _ = world.open(0).submit(wrong, Durability::Synced, Placement::Behind);
}
