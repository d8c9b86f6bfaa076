//! Real threads on a real disk: many at once, readers that follow, and processes that end without a word.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hydrant_model::{Offset, StreamId};

use super::world::{payload, read, read_all};
use crate::clock::Clock;
use crate::log::{
    Account, AppendError, Durability, Log, LogSettings, Placement, Pool, PoolSettings, RealDisk, Rolling,
    ThreadCommitters, Use, Workshop,
};

fn workshop(data: &Path, settings: PoolSettings) -> (Workshop, Arc<ThreadCommitters>) {
    let committers = ThreadCommitters::start(2);
    let disk = Arc::new(RealDisk);
    let pool = Pool::open(Arc::clone(&disk) as _, data.join("pool"), settings).unwrap();
    (Workshop { disk, pool, committers: Arc::clone(&committers) as _, clock: Clock::system() }, committers)
}

fn open(workshop: &Workshop, dir: &Path, used_as: Use, synced: u64) -> Log {
    let rolling = if used_as == Use::Ledger { Rolling::OnRequest } else { Rolling::ByItself };
    let settings = LogSettings { dir: dir.to_owned(), stream: StreamId([5; 16]), used_as, rolling };
    Log::open(
        workshop.clone(),
        settings,
        Account::new(u64::MAX),
        Offset(synced),
        crate::log::Position { offset: Offset(synced), bytes: 0 },
    )
    .unwrap()
    .0
}

const TASKS: u64 = 16;
const APPENDS: u64 = 150;

/// Sixteen tasks append records that say who wrote them and when.
async fn append_from_all(log: &Log) {
    let task = |number: u64| {
        let log = log.clone();
        async move {
            let mut last = None;
            for turn in 0..APPENDS {
                let mut record = vec![b'.'; 1024];
                record[..16].copy_from_slice(&[number.to_le_bytes(), turn.to_le_bytes()].concat());
                let durability = if turn % 5 == 4 { Durability::Written } else { Durability::Synced };
                let place = log.append(payload(&[record]), durability, Placement::Behind).await.unwrap();
                assert!(
                    last.replace(place.first).is_none_or(|last| last < place.first),
                    "a task's appends keep their order"
                );
            }
        }
    };
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..TASKS {
        tasks.spawn(task(number));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
}

fn check(records: &[super::world::Read]) {
    assert_eq!(records.len() as u64, TASKS * APPENDS);
    let mut turns = vec![0; usize::try_from(TASKS).unwrap()];
    for (offset, read) in (0..).zip(records) {
        assert_eq!((read.offset, read.bytes.len()), (offset, 1024));
        let number = usize::try_from(u64::from_le_bytes(read.bytes[..8].try_into().unwrap())).unwrap();
        assert_eq!(u64::from_le_bytes(read.bytes[8..16].try_into().unwrap()), turns[number]);
        turns[number] += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_tasks_append_while_readers_follow_and_all_is_read_back() {
    let data = tempfile::tempdir().unwrap();
    // Small segments: the readers cross from one to the next all the time.
    let settings = PoolSettings {
        segment_bytes: 128 << 10,
        keep: 2,
        spare: 1,
        reserve_bytes: 4096,
        reserve: 0,
        growing_bytes: 32 << 10,
    };
    let (workshop, committers) = workshop(data.path(), settings);
    let dir = data.path().join("records");
    let log = open(&workshop, &dir, Use::Records, 0);
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = (0..2)
        .map(|_| {
            let (log, done) = (log.clone(), Arc::clone(&done));
            std::thread::spawn(move || follow(&log, &done))
        })
        .collect();
    let pool = Arc::clone(&workshop.pool);
    let filling = (Arc::clone(&done), pool);
    let filler = std::thread::spawn(move || {
        while !filling.0.load(Ordering::Relaxed) {
            filling.1.fill();
            std::thread::yield_now();
        }
    });
    append_from_all(&log).await;
    log.sync().await.unwrap();
    done.store(true, Ordering::Relaxed);
    for follower in followers {
        let followed = follower.join().unwrap();
        check(&followed);
    }
    filler.join().unwrap();
    check(&read_all(&log));
    assert_eq!(log.quarantined_bytes(), 0);
    assert_eq!(log.account().used(), log.disk_bytes());
    assert!(log.segment_starts().len() > 10);

    // kill -9: a copy of the directory is opened by another process while this one still runs.
    let copy = data.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let again = open(&workshop, &copy, Use::Records, TASKS * APPENDS);
    check(&read_all(&again));
    assert_eq!(again.quarantined_bytes(), 0);
    let place = again.append(payload(&["on"]), Durability::Synced, Placement::Behind).await.unwrap();
    assert_eq!(place.first, Offset(TASKS * APPENDS));

    committers.stop();
    let late = log.append(payload(&["late"]), Durability::Synced, Placement::Behind).await;
    assert!(matches!(late, Err(AppendError::Closed)), "nobody is left to commit, and nobody waits for ever");
}

/// Reads behind the writer, one synced end after the other.
fn follow(log: &Log, done: &AtomicBool) -> Vec<super::world::Read> {
    let mut reader = log.read(Offset(0), Offset(u64::MAX));
    let mut records = Vec::new();
    loop {
        let last = done.load(Ordering::Relaxed);
        while let Some(view) = reader.next().unwrap() {
            let bodies = view.body.chunks(1024);
            records.extend((view.first.0..).zip(bodies).map(|(offset, bytes)| super::world::Read {
                offset,
                birth: view.birth,
                bytes: bytes.to_vec(),
            }));
        }
        if last {
            return records;
        }
        std::thread::yield_now();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_trims_cross_while_segments_are_recycled() {
    let data = tempfile::tempdir().unwrap();
    let settings = PoolSettings {
        segment_bytes: 64 << 10,
        keep: 2,
        spare: 1,
        reserve_bytes: 4096,
        reserve: 0,
        growing_bytes: 16 << 10,
    };
    let (workshop, committers) = workshop(data.path(), settings);
    let log = open(&workshop, &data.path().join("records"), Use::Records, 0);
    let reading = log.clone();
    let reader = std::thread::spawn(move || {
        let mut at = 0;
        while at < 1500 {
            let end = reading.synced().offset.0;
            for record in read(&reading, at, end) {
                assert_eq!((record.offset, record.bytes[..8] == record.offset.to_le_bytes()), (at, true));
                at += 1;
            }
            reading.trim(Offset(at)).unwrap();
        }
    });
    for number in 0..1500_u64 {
        let record = [number.to_le_bytes().to_vec(), vec![1; 1000]].concat();
        log.append(payload(&[record]), Durability::Synced, Placement::Behind).await.unwrap();
        if workshop.pool.wants_filling() {
            workshop.pool.fill();
        }
    }
    reader.join().unwrap();
    assert_eq!(log.quarantined_bytes(), 0);
    assert_eq!(log.account().used(), log.disk_bytes());
    committers.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_idle_logs_take_little() {
    let data = tempfile::tempdir().unwrap();
    let (workshop, committers) = workshop(data.path(), PoolSettings { reserve: 0, ..PoolSettings::default() });
    let mut logs = Vec::new();
    let mut answers = Vec::new();
    for number in 0..250 {
        for (name, used_as) in [("records", Use::Records), ("ledger", Use::Ledger)] {
            let log = open(&workshop, &data.path().join(number.to_string()).join(name), used_as, 0);
            answers.push(log.submit(payload(&["small"]), Durability::Synced, Placement::NewSegment).unwrap());
            logs.push(log);
        }
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let bytes = disk_usage(data.path());
    assert!(bytes < 20 << 20, "{bytes}");
    let births: BTreeSet<_> = logs.iter().map(|log| read_all(log)[0].birth).collect();
    assert_eq!(births.len(), 500);
    committers.stop();
}

/// What the files below take of the volume.
fn disk_usage(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let kind = entry.metadata().unwrap();
            kind.blocks() * 512 + if kind.is_dir() { disk_usage(&entry.path()) } else { 0 }
        })
        .sum()
}
