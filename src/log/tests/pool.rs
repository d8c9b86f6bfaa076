//! The pool: segments that go from log to log, and power losses in between.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydrant_model::Offset;

use super::world::{SMALL, World, put, read, read_all};
use crate::log::{Disk, Log, Pool, PoolSettings};

/// A log that has filled its growing segment, so that the next append takes one from the pool.
async fn filled(world: &World, number: u8) -> Log {
    let log = world.try_open(World::log_settings(number), 0, 0).unwrap();
    while log.disk_bytes() < 24 << 10 {
        put(&log, &[vec![number; 3000]]).await.unwrap();
    }
    log
}

/// The log goes on in a segment of the pool and has filled it.
async fn through_the_pool(world: &World, log: &Log, number: u8) {
    // The first time, none is there: it grows once more.
    while read_starts(log) < 3 {
        put(log, &[vec![number; 3000]]).await.unwrap();
        world.workshop.pool.fill();
    }
    while log.disk_bytes() < (48 << 10) + (90 << 10) {
        put(log, &[vec![number; 3000]]).await.unwrap();
    }
}

fn read_starts(log: &Log) -> usize {
    log.segment_starts().len()
}

fn pool_files(world: &World) -> Vec<(PathBuf, usize)> {
    let files = world.disk.files().into_iter().filter(|(path, _)| path.starts_with("/data/pool"));
    files.map(|(path, bytes)| (path, bytes.len())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_segment_of_the_pool_is_used_given_back_and_used_by_another_log() {
    let mut world = World::new(1);
    // A trim seals what is open once the log holds a quarter of its budget.
    world.budget = 400_000;
    let first = filled(&world, 1).await;
    through_the_pool(&world, &first, 1).await;
    assert!(world.segments().iter().any(|path| world.bytes(path).len() == 96 << 10), "a pool segment is in use");
    let ready = pool_files(&world).iter().filter(|(_, bytes)| *bytes == 96 << 10).count();
    put(&first, &[vec![1; 20_000]]).await.unwrap();
    first.trim(first.synced().offset).unwrap();
    assert!(world.segments().is_empty(), "an idle log that was trimmed has no segments");
    assert_eq!(first.account().used(), 0);
    assert!(pool_files(&world).iter().filter(|(_, bytes)| *bytes == 96 << 10).count() >= ready.max(1));

    let second = filled(&world, 2).await;
    put(&second, &[vec![2; 3000]]).await.unwrap();
    let before = read_all(&second);
    let recycled = world.disk.files().into_iter().filter(|(path, _)| path.starts_with("/data/2"));
    assert!(recycled.max_by_key(|(_, bytes)| bytes.len()).unwrap().1.contains(&1), "full of the other log's frames");
    drop(second);
    world.crash();
    let second = world.try_open(World::log_settings(2), before.len() as u64, 0).unwrap();
    assert_eq!(read_all(&second), before, "and none of them is read");
    assert_eq!(second.quarantined_bytes(), 0);
    put(&second, &[b"on"]).await.unwrap();
    assert_eq!(read_all(&second).len(), before.len() + 1);
}

#[tokio::test(start_paused = true)]
async fn the_power_may_fail_at_each_step_of_taking_a_segment() {
    for changes in 0..14 {
        for seed in 0..4 {
            let mut world = World::new(seed);
            let log = filled(&world, 1).await;
            while read_starts(&log) < 2 {
                put(&log, &[vec![1; 3000]]).await.unwrap();
            }
            world.workshop.pool.fill();
            while log.disk_bytes() < 48 << 10 {
                put(&log, &[vec![1; 3000]]).await.unwrap();
            }
            let mut expected = read_all(&log);
            world.disk.cut_power(changes);
            let answered = put(&log, &[b"in the pool segment"]).await.is_ok();
            if answered {
                expected = read_all(&log);
            }
            drop(log);
            world.crash();
            let log = world.open(expected.len() as u64);
            let found = read_all(&log);
            assert_eq!(found[..expected.len()], expected, "{changes} changes");
            assert!(found.len() <= expected.len() + 1);
            assert_eq!(log.quarantined_bytes(), 0);
            put(&log, &[b"on"]).await.unwrap();
            world.workshop.pool.fill();
            for (path, bytes) in pool_files(&world) {
                let right = if path.extension().unwrap() == "reserve" { 32 << 10 } else { 96 << 10 };
                assert_eq!(bytes, right, "{}", path.display());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_was_given_back_never_returns_to_its_old_name() {
    for seed in 0..20 {
        let world = World::new(seed);
        let old = Path::new("/data/1/records/00000000000000000000.log");
        world.disk.make_dir(old.parent().unwrap()).unwrap();
        world.disk.put(old, &vec![1; 96 << 10]);
        assert!(world.workshop.pool.give(old, 96 << 10).unwrap());
        world.disk.crash();
        let names: Vec<PathBuf> = world.disk.files().into_keys().collect();
        assert!(names.len() == 1 && names[0].starts_with("/data/pool"), "{names:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_holds_the_segment_that_it_reads_until_the_next_trim() {
    let mut world = World::new(1);
    // A trim seals what is open once the log holds a quarter of its budget.
    world.budget = 400_000;
    let log = filled(&world, 1).await;
    through_the_pool(&world, &log, 1).await;
    put(&log, &[vec![1; 20_000]]).await.unwrap();
    let expected = read_all(&log);
    let mut readers: Vec<_> = log
        .segment_starts()
        .into_iter()
        .map(|start| {
            let mut reader = log.read(start, log.synced().offset);
            assert_eq!(reader.next().unwrap().unwrap().first, start);
            (start, reader)
        })
        .collect();
    log.trim(log.synced().offset).unwrap();
    assert_eq!(log.account().used(), 0);
    // Another log takes what the pool has and writes over it.
    let other = filled(&world, 2).await;
    through_the_pool(&world, &other, 2).await;
    let mut found = 0;
    for (start, reader) in &mut readers {
        let mut at = start.0 + 1;
        // Behind the end of its own segment everything is gone, and the reader says so.
        while let Ok(Some(view)) = reader.next() {
            assert_eq!((view.first.0, view.body), (at, expected[usize::try_from(at).unwrap()].bytes.as_slice()));
            at += 1;
        }
        found += at - start.0;
    }
    assert_eq!(found, expected.len() as u64);
    assert!(!world.segments().is_empty());
    drop(readers);
    log.trim(log.synced().offset).unwrap();
    assert!(world.segments().is_empty(), "the next trim removes what readers held");
}

#[tokio::test(start_paused = true)]
async fn a_trim_that_the_disk_refused_is_finished_by_the_next_one() {
    let world = World::new(1);
    let log = filled(&world, 1).await;
    for _ in 0..40 {
        put(&log, &[vec![1; 3000]]).await.unwrap();
    }
    log.append(super::world::payload(&[b"x"]), crate::log::Durability::Synced, crate::log::Placement::NewSegment)
        .await
        .unwrap();
    let end = log.synced().offset;
    assert!(world.segments().len() > 4);
    for changes in 0..8 {
        world.disk.cut_power(changes);
        let _ = log.trim(Offset(end.0 - 1));
        world.disk.heal();
    }
    log.trim(Offset(end.0 - 1)).unwrap();
    assert_eq!(world.segments().len(), 1);
    assert_eq!(log.account().used(), log.disk_bytes());
    assert_eq!(read(&log, end.0 - 1, end.0).len(), 1);
    assert!(log.read(Offset(0), end).next().is_err(), "below the trimmed offset a reader is told");
}

#[tokio::test(start_paused = true)]
async fn a_pool_keeps_what_has_the_right_size_and_fills_what_is_missing() {
    let mut world = World::new(1);
    world.workshop.pool.fill();
    assert_eq!(pool_files(&world).len(), 2, "the reserve; segments only when a log asked");
    for changes in 0..6 {
        world.disk.remove(&pool_files(&world)[0].0).unwrap();
        world.restart();
        world.disk.cut_power(changes);
        world.workshop.pool.fill();
        world.crash();
        assert!(pool_files(&world).iter().all(|(_, bytes)| *bytes == 32 << 10), "a half-written file is removed");
        world.workshop.pool.fill();
        assert_eq!(pool_files(&world).len(), 2);
    }
    let settings = PoolSettings { keep: 0, ..SMALL };
    let disk = Arc::new(world.disk.clone());
    let pool = Pool::open(disk, PathBuf::from("/data/pool"), settings).unwrap();
    assert_eq!(pool_files(&world).len(), 2, "the reserve does not depend on how many segments are kept");
    assert!(!pool.wants_filling());
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_found_the_disk_full_fills_again_when_there_is_space() {
    let world = World::new(1);
    let pool = &world.workshop.pool;
    world.disk.set_capacity(Some(40 << 10));
    pool.fill();
    assert!(!pool.wants_filling(), "not tried again and again");
    assert_eq!(pool_files(&world).len(), 1, "nothing half-written stays");
    pool.look_at_space(0).unwrap();
    assert!(!pool.wants_filling());
    world.disk.set_capacity(Some(80 << 10));
    pool.look_at_space(0).unwrap();
    assert!(pool.wants_filling(), "the reserve needs less than a segment");
    pool.fill();
    assert_eq!(pool_files(&world).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_small_budget_is_never_used_up_by_what_is_delivered_already() {
    let mut world = World::new(1);
    world.budget = 80_000;
    let log = world.try_open(World::log_settings(1), 0, 0).unwrap();
    for number in 0..300 {
        let taken = put(&log, &[vec![1; 3000]]).await;
        assert!(taken.is_ok(), "record {number}: {taken:?}");
        world.workshop.pool.fill();
        // All but the last one are delivered.
        log.trim(Offset(log.synced().offset.0 - 1)).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn segments_that_come_back_are_held_while_logs_use_them_up_and_go_when_nobody_does() {
    let room = SMALL.segment_bytes;
    let world = World::with(1, PoolSettings { keep: 1, spare: 3, reserve: 0, ..SMALL });
    let pool = &world.workshop.pool;
    let give = |number: usize| {
        let path = PathBuf::from(format!("/data/1/{number}.log"));
        world.disk.create_written(&path, room).unwrap();
        let taken = pool.give(&path, room).unwrap();
        world.disk.remove(&path).map_err(|error| error.kind()).err().is_some() == taken
    };
    let ready = || pool_files(&world).len();
    let look = |times: usize, floor: u64| (0..times).for_each(|_| pool.look_at_space(floor).unwrap());
    world.disk.make_dir(Path::new("/data/1")).unwrap();
    assert!((0..4).all(give));
    assert_eq!(ready(), 4);
    assert!(give(4));
    assert_eq!(ready(), 4, "no more than that");
    look(60, 0);
    assert_eq!(ready(), 4, "they came back in this minute");
    for _ in 0..3 {
        for _ in 0..2 {
            world.disk.remove(&pool.take(1).unwrap().path).unwrap();
        }
        look(30, 0);
        assert!((5..7).all(give), "two are used again and again");
        look(30, 0);
    }
    assert_eq!(ready(), 2, "and the two others nobody needs");
    look(60, 0);
    assert_eq!(ready(), 1, "nobody has used those");
    for (capacity, floor, low) in [(600 << 10, 0, false), (1 << 20, 2 << 20, true)] {
        world.disk.set_capacity(None);
        look(1, 0);
        assert!((7..10).all(give));
        world.disk.set_capacity(Some(capacity));
        look(1, floor);
        assert_eq!(pool.is_low(), low);
        assert_eq!(ready(), 1, "where space is short they go at once");
        assert!(give(10));
        assert_eq!(ready(), 1, "and none is held");
    }
    let settings = PoolSettings { keep: 0, spare: 0, reserve: 0, ..SMALL };
    drop(Pool::open(Arc::new(world.disk.clone()), PathBuf::from("/data/pool"), settings).unwrap());
    assert_eq!(ready(), 0, "nor at a start with other settings");
}
