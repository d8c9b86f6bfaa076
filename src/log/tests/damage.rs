//! Damaged bytes: what does not verify is set aside with its offsets, once; everything else is read.

use std::path::PathBuf;

use super::world::{Read, World, dir, frames, payload, put, read, read_all};
use crate::log::format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES};
use crate::log::{Durability, Log, Placement, Use};

/// A segment with sixteen frames that shared a sync and two that did not, and what is in it.
async fn segment() -> (PathBuf, Vec<u8>, Vec<Read>) {
    let world = World::new(3);
    let log = world.open(0);
    put(&log, &["first", "second"]).await.unwrap();
    let sixteen: Vec<_> = (0..16)
        .map(|number| {
            let records = [format!("record {number}"), "x".repeat(number)];
            log.submit(payload(&records), Durability::Synced, Placement::Behind).unwrap()
        })
        .collect();
    let syncs = world.disk.counts().syncs;
    for answer in sixteen {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(world.disk.counts().syncs, syncs + 1, "sixteen share a sync");
    put(&log, &["last"]).await.unwrap();
    let path = world.segments().remove(0);
    let bytes = world.bytes(&path);
    (path, bytes, read_all(&log))
}

fn open_damaged(path: &std::path::Path, bytes: &[u8], synced: u64) -> (World, Log) {
    let world = World::new(4);
    crate::log::Disk::make_dir(&world.disk, &dir(1)).unwrap();
    world.disk.put(path, bytes);
    let log = world.open(synced);
    (world, log)
}

#[tokio::test(start_paused = true)]
async fn a_flipped_byte_anywhere_costs_its_own_frame_and_is_counted_once() {
    let (path, bytes, records) = segment().await;
    let frames = frames(&bytes, 1, Use::Records);
    assert_eq!(frames.len(), 18);
    let end = records.last().unwrap().offset + 1;
    for at in (0..160).chain(2040..2200).chain(SEGMENT_HEADER_BYTES - 8..bytes.len()) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        let (world, log) = open_damaged(&path, &damaged, end);
        let hit = frames.iter().find(|(start, length, ..)| {
            // A frame's padding is nobody's.
            (*start..start + length).contains(&at) && records_end(&bytes, *start) > at
        });
        let lost = hit.map_or(0..0, |(_, _, first, count)| *first..first + count);
        let expected: Vec<Read> = records.iter().filter(|read| !lost.contains(&read.offset)).cloned().collect();
        assert_eq!(read_all(&log), expected, "byte {at}");
        let counted = log.quarantined_bytes();
        assert_eq!(read_all(&log), expected, "byte {at}, read again");
        assert_eq!((log.quarantined_bytes(), log.account().used()), (counted, log.disk_bytes() + counted));
        let kept = world.quarantine();
        let Some((start, length, first, count)) = hit else {
            assert!(kept.is_empty(), "byte {at}");
            continue;
        };
        assert_eq!(kept.len(), 2, "byte {at}");
        assert_eq!(kept[0].0, format!("{:020}-{start}.bytes", 0));
        let raw = &damaged[*start..start + length];
        assert!(raw.starts_with(&kept[0].1) && raw[kept[0].1.len()..].iter().all(|byte| *byte == 0), "byte {at}");
        assert_eq!(kept[0].1.len() as u64, counted);
        let note: serde_json::Value = serde_json::from_slice(&kept[1].1).unwrap();
        assert_eq!((note["from"].as_u64(), note["to"].as_u64()), (Some(*first), Some(first + count)), "byte {at}");
    }
}

/// Where the records of the frame at `start` end and its padding begins.
fn records_end(bytes: &[u8], start: usize) -> usize {
    let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    start + FRAME_HEADER_BYTES + field(start + 8) * 4 + field(start + 12)
}

#[tokio::test(start_paused = true)]
async fn a_damaged_last_header_is_damage_with_the_mark_and_a_torn_tail_without() {
    let (path, mut bytes, records) = segment().await;
    let frames = frames(&bytes, 1, Use::Records);
    let (start, _, last, _) = frames[17];
    bytes[start + 9] ^= 1;
    let (world, log) = open_damaged(&path, &bytes, last);
    assert_eq!(read_all(&log), records[..records.len() - 1]);
    assert!(world.quarantine().is_empty(), "nobody said that it was synced");
    let (world, log) = open_damaged(&path, &bytes, last + 1);
    assert_eq!(read_all(&log), records[..records.len() - 1]);
    assert_eq!(world.quarantine().len(), 2);
    assert_eq!(put(&log, &["behind"]).await.unwrap().first.0, last + 1, "its offset is not given again");
    assert_eq!(read(&log, last, last + 2).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_left_of_a_mark_in_zeros_is_damage_too() {
    let (path, mut bytes, records) = segment().await;
    let frames = frames(&bytes, 1, Use::Records);
    bytes[frames[10].0..].fill(0);
    let (mut world, log) = open_damaged(&path, &bytes, 35);
    let left = usize::try_from(frames[10].2).unwrap();
    assert_eq!(read_all(&log), records[..left]);
    assert_eq!(put(&log, &["behind"]).await.unwrap().first.0, 35);
    assert_eq!(read_all(&log).len(), left + 1);
    let kept = world.quarantine();
    assert_eq!(kept.len(), 2, "an empty file and a note that names the offsets");
    world.restart();
    let log = world.open(36);
    assert_eq!(read_all(&log).len(), left + 1);
    assert_eq!(world.quarantine(), kept, "damage that is known is not found again");
}

#[tokio::test(start_paused = true)]
async fn the_image_of_a_valid_frame_inside_a_record_is_not_a_frame() {
    // A frame as it will stand inside the record of the next one: right birth, right position.
    let world = World::new(9);
    let log = world.open(0);
    put(&log, &["before"]).await.unwrap();
    let path = world.segments().remove(0);
    let bytes = world.bytes(&path);
    let header = crate::log::format::SegmentHeader::decode(&bytes[..4096], World::log_settings(1).stream, Use::Records);
    let header = header.unwrap();
    let seed = crate::log::format::SeedBase::new(header.stream, header.birth);
    let image_at = bytes.len() + FRAME_HEADER_BYTES + 8;
    let body = [4_u32.to_le_bytes(), *b"evil"].concat();
    let image = crate::log::format::FrameHeader {
        records: 1,
        body_bytes: 4,
        first: hydrant_model::Offset(7),
        arrival_ms: 1,
        bytes_before: 6,
        payload_crc: crate::log::format::payload_crc([&body, &[]]),
    };
    // One record in the table puts the body four bytes off; four more align the image.
    let record = [&[0; 4][..], &image.encode(seed.at(image_at as u64)), &body, &[9; 40]].concat();
    put(&log, std::slice::from_ref(&record)).await.unwrap();
    put(&log, &["behind"]).await.unwrap();
    let expected = read_all(&log);
    let all: Vec<&[u8]> = expected.iter().map(|read| read.bytes.as_slice()).collect();
    assert_eq!(all, [b"before".as_slice(), &record, b"behind"]);
    // The body around it is torn: recovery and reading go on behind it.
    let mut torn = world.bytes(&path);
    torn[image_at + 90] ^= 1;
    for synced in [0, 3] {
        let (_, log) = open_damaged(&path, &torn, synced);
        let texts: Vec<Vec<u8>> = read_all(&log).into_iter().map(|read| read.bytes).collect();
        assert_eq!(texts, [b"before".to_vec(), b"behind".to_vec()]);
        assert_eq!(log.synced().offset.0, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_segment_whose_header_is_gone_is_set_aside_and_its_offsets_are_not_given_again() {
    let (path, mut bytes, _) = segment().await;
    bytes[3] ^= 1;
    bytes[2048 + 3] ^= 1;
    let (mut world, log) = open_damaged(&path, &bytes, 0);
    let first = log.synced().offset.0;
    assert!(first >= 35, "{first}");
    assert_eq!(world.quarantine()[0].1, bytes);
    assert_eq!(log.quarantined_bytes(), bytes.len() as u64);
    drop(log);
    world.restart();
    let log = world.open(0);
    assert_eq!(put(&log, &["behind"]).await.unwrap().first.0, first);
    assert_eq!(read_all(&log).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_was_cut_short_by_somebody_is_read_as_far_as_it_goes() {
    let (path, bytes, records) = segment().await;
    for length in [0, 100, 4096, 4100, bytes.len() / 2, bytes.len() - 1] {
        let (_, log) = open_damaged(&path, &bytes[..length], 35);
        let left = read_all(&log);
        assert_eq!(left, records[..left.len()], "{length}");
        assert!(log.synced().offset.0 >= 35);
    }
}

#[tokio::test(start_paused = true)]
async fn damage_on_a_full_disk_does_not_stop_reading_and_is_kept_when_trimmed() {
    let (path, mut bytes, records) = segment().await;
    let first = frames(&bytes, 1, Use::Records)[0].0;
    bytes[first] ^= 1;
    let (world, log) = open_damaged(&path, &bytes, 35);
    world.disk.set_capacity(Some(world.disk.used()));
    assert_eq!(read_all(&log), records[2..]);
    log.trim(hydrant_model::Offset(35)).unwrap();
    assert!(world.segments().is_empty());
    let kept = world.quarantine();
    assert!(kept.iter().any(|(_, kept)| *kept == bytes), "the whole segment");
    assert_eq!(log.quarantined_bytes(), bytes.len() as u64);
    assert_eq!(log.account().used(), log.quarantined_bytes());
}
