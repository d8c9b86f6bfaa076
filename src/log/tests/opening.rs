//! Opening: what may be opened, what is refused, what a crash left, and what it costs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use hydrant_model::{Offset, StreamId};

use super::world::{SMALL, World, dir, payload, put, read, read_all, texts};
use crate::log::{Disk, Durability, LogSettings, OpenError, Placement, PoolSettings, Use};

#[tokio::test(start_paused = true)]
async fn both_copies_of_a_data_directory_go_on_with_births_of_their_own() {
    let world = World::new(1);
    let log = world.open(0);
    put(&log, &["common"]).await.unwrap();
    let mut births = BTreeSet::new();
    for seed in [10, 11] {
        let copy = World::new(seed);
        copy.disk.make_dir(&dir(1)).unwrap();
        for (path, bytes) in world.disk.files() {
            copy.disk.put(&path, &bytes);
        }
        let log = copy.open(1);
        let place = put(&log, &["own"]).await.unwrap();
        assert_eq!(place.first, Offset(1));
        births.insert(place.birth);
        assert_eq!(texts(&read_all(&log)).len(), 2);
    }
    births.insert(read_all(&log)[0].birth);
    assert_eq!(births.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_segment_of_another_stream_or_use_is_refused_and_nothing_is_changed() {
    let world = World::new(1);
    put(&world.open(0), &["a"]).await.unwrap();
    let before = world.disk.files();
    let own = World::log_settings(1);
    let others = [
        (LogSettings { stream: StreamId([9; 16]), ..own.clone() }, "belongs to stream 0101"),
        (LogSettings { used_as: Use::Ledger, ..own }, "written for another use"),
    ];
    for (settings, why) in others {
        let refusal = world.try_open(settings, 0, 0).err().expect("refused");
        assert!(matches!(refusal, OpenError::Segment { .. }));
        let text = refusal.to_string();
        assert!(text.contains(why) && text.contains("00000000000000000000.log"), "{text}");
        assert!(text.contains("move the file away or restore"), "{text}");
    }
    assert_eq!(world.disk.files(), before);
    assert_eq!(read_all(&world.open(1)).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_newer_format_is_refused_with_what_to_do() {
    let world = World::new(1);
    put(&world.open(0), &["a"]).await.unwrap();
    let path = world.segments().remove(0);
    let mut bytes = world.bytes(&path);
    (bytes[7], bytes[2048 + 7]) = (2, 2);
    world.disk.put(&path, &bytes);
    let before = world.disk.files();
    let text = world.try_open(World::log_settings(1), 0, 0).err().expect("refused").to_string();
    assert!(text.contains("format version 2") && text.contains("start the newer hydrant that wrote it"), "{text}");
    assert!(!text.contains("move the file"), "moving it away would lose records: {text}");
    assert_eq!(world.disk.files(), before);
}

#[tokio::test(start_paused = true)]
async fn a_segment_under_another_name_is_refused() {
    let world = World::new(1);
    put(&world.open(0), &["a"]).await.unwrap();
    let bytes = world.bytes(&world.segments()[0]);
    world.disk.put(&dir(1).join("00000000000000000000 (copy).log"), &bytes);
    let text = world.try_open(World::log_settings(1), 0, 0).err().expect("refused").to_string();
    assert!(text.contains("a copy, or renamed"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_torn_tail_is_cut_silently_and_the_rest_survives() {
    let world = World::new(1);
    let log = world.open(0);
    put(&log, &["a", "b"]).await.unwrap();
    put(&log, &["c"]).await.unwrap();
    let path = world.segments().remove(0);
    let whole = world.bytes(&path);
    put(&log, &["torn ".repeat(2000)]).await.unwrap();
    let torn = world.bytes(&path);
    for length in (whole.len()..torn.len()).step_by(97) {
        let mut world = World::new(2);
        world.disk.make_dir(&dir(1)).unwrap();
        world.disk.put(&path, &torn[..length]);
        let log = world.open(3);
        assert_eq!(texts(&read_all(&log)).len(), 3);
        let place = put(&log, &["d"]).await.unwrap();
        drop(log);
        world.restart();
        let log = world.open(place.first.0 + 1);
        let found = texts(&read_all(&log));
        assert_eq!(found.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert!(world.quarantine().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_offsets_is_legal_stands_on_disk_and_is_read_over() {
    let mut world = World::new(1);
    put(&world.open(0), &["a"]).await.unwrap();
    world.restart();
    let log = world.try_open(World::log_settings(1), 1, 100).unwrap();
    assert_eq!(log.synced().offset, Offset(100));
    drop(log);
    // A mark taken inside the gap names nothing that was ever there.
    for _ in 0..2 {
        world.restart();
        let log = world.open(100);
        assert_eq!(log.synced().offset, Offset(100));
        assert_eq!(texts(&read_all(&log)), [(0, "a".to_owned())]);
    }
    let log = world.open(100);
    assert_eq!(put(&log, &["b"]).await.unwrap().first, Offset(100));
    assert_eq!(texts(&read_all(&log)), [(0, "a".to_owned()), (100, "b".to_owned())]);
    assert_eq!(texts(&read(&log, 50, 101)), [(100, "b".to_owned())]);
    assert!(world.quarantine().is_empty());
    log.trim(Offset(100)).unwrap();
    assert!(log.read(Offset(0), Offset(1)).next().is_err(), "trimmed is not a gap");
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_makes_no_directory_and_keeps_the_floor() {
    let world = World::new(1);
    let log = world.try_open(World::log_settings(1), 0, 42).unwrap();
    assert!(world.disk.list(&dir(1)).is_err());
    log.sync().await.unwrap();
    assert_eq!(put(&log, &["a"]).await.unwrap().first, Offset(42));
    assert_eq!(log.first(), Offset(42));
}

#[tokio::test(start_paused = true)]
async fn opening_reads_a_segment_about_twice_whatever_is_in_it() {
    let settings = PoolSettings { growing_bytes: 8 << 20, ..SMALL };
    let mut world = World::with(1, settings);
    let log = world.open(0);
    for _ in 0..80 {
        let appends: Vec<_> = (0..100)
            .map(|_| log.submit(payload(&[[7; 1000]]), Durability::Synced, Placement::Behind).unwrap())
            .collect();
        for answer in appends {
            answer.await.unwrap().unwrap();
        }
    }
    drop(log);
    let path = world.segments().remove(0);
    let whole = world.bytes(&path);
    let size = whole.len() as u64;
    let mut torn = whole.clone();
    for frame in super::world::frames(&whole, 1, Use::Records).iter().skip(10) {
        torn[frame.0 + 100] ^= 1;
    }
    let mut foreign = vec![0; whole.len()];
    foreign[..4096].copy_from_slice(&whole[..4096]);
    foreign[8192..].copy_from_slice(&whole[4096..whole.len() - 4096]);
    for (bytes, records) in [(whole, 8000), (torn, 10), (foreign, 0)] {
        world.restart();
        world.disk.put(&path, &bytes);
        let before = world.disk.counts();
        let log = world.open(0);
        let after = world.disk.counts();
        assert!(after.read_bytes - before.read_bytes < 5 * size / 2, "{}", after.read_bytes - before.read_bytes);
        assert!(after.reads - before.reads < 3 * 8000, "{}", after.reads - before.reads);
        assert_eq!(read_all(&log).len(), records);
        drop(log);
        for path in world.segments().iter().skip(1) {
            world.disk.remove(path).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_of_many_segments_is_opened_and_read_with_few_files_open() {
    let mut world = World::new(1);
    let log = world.open(0);
    for number in 0..300_u32 {
        let record = number.to_le_bytes();
        log.append(payload(&[record]), Durability::Synced, Placement::NewSegment).await.unwrap();
    }
    assert_eq!(world.segments().len(), 300);
    drop(log);
    world.restart();
    let log = world.open(300);
    assert_eq!(read_all(&log).len(), 300);
    assert!(world.disk.counts().most_open < 8, "{:?}", world.disk.counts());
    log.trim(Offset(300)).unwrap();
    assert_eq!(world.disk.files(), [].into(), "an idle log that was trimmed leaves no files");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_did_not_get_its_name_is_removed_and_strangers_are_left_alone() {
    let world = World::new(1);
    world.disk.make_dir(&dir(1)).unwrap();
    world.disk.put(&dir(1).join("segment.new"), b"half a header");
    world.disk.put(&dir(1).join("notes.txt"), b"of an operator");
    let log = world.open(0);
    put(&log, &["a"]).await.unwrap();
    let left: Vec<PathBuf> = world.disk.files().into_keys().collect();
    assert_eq!(left, [dir(1).join("00000000000000000000.log"), dir(1).join("notes.txt")]);
}
