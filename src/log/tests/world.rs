//! A process with a disk that can be crashed, and what it takes to look at the bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydrant_model::{Birth, Offset, StreamId};

use crate::clock::Clock;
use crate::log::faulty::FaultyDisk;
use crate::log::format::{FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, SeedBase, SegmentHeader};
use crate::log::{
    Account, AppendError, Appended, Durability, InlineCommitters, Log, LogSettings, OpenError, Payload, Placement,
    Pool, PoolSettings, ReadError, Rolling, Use, Workshop,
};

/// A disk, and the process that runs on it.
pub(super) struct World {
    pub(super) disk: FaultyDisk,
    pub(super) workshop: Workshop,
    pub(super) settings: PoolSettings,
    /// Of each log's account.
    pub(super) budget: u64,
    lives: u64,
}

/// Small files, so that short tests fill them.
pub(super) const SMALL: PoolSettings = PoolSettings {
    segment_bytes: 96 << 10,
    keep: 2,
    spare: 0,
    reserve_bytes: 32 << 10,
    reserve: 2,
    growing_bytes: 24 << 10,
};

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, SMALL)
    }

    pub(super) fn with(seed: u64, settings: PoolSettings) -> Self {
        let disk = FaultyDisk::new(seed);
        let workshop = workshop(&disk, seed, settings);
        Self { disk, workshop, settings, budget: u64::MAX, lives: seed }
    }

    /// The process ends without a word and starts again; the machine went on.
    pub(super) fn restart(&mut self) {
        self.disk.heal();
        self.lives += 1_000_003;
        self.workshop = workshop(&self.disk, self.lives, self.settings);
    }

    /// The power fails.
    pub(super) fn crash(&mut self) {
        self.disk.crash();
        self.restart();
    }

    pub(super) fn log_settings(number: u8) -> LogSettings {
        LogSettings {
            dir: dir(number),
            stream: StreamId([number; 16]),
            used_as: Use::Records,
            rolling: Rolling::ByItself,
        }
    }

    pub(super) fn try_open(&self, settings: LogSettings, synced: u64, floor: u64) -> Result<Log, OpenError> {
        let account = Account::new(self.budget);
        Log::open(
            self.workshop.clone(),
            settings,
            account,
            Offset(synced),
            crate::log::Position { offset: Offset(floor), bytes: 0 },
        )
        .map(|(log, _)| log)
    }

    pub(super) fn open(&self, synced: u64) -> Log {
        self.try_open(Self::log_settings(1), synced, 0).unwrap()
    }

    pub(super) fn open_ledger(&self, synced: u64) -> Log {
        let settings = LogSettings { used_as: Use::Ledger, rolling: Rolling::OnRequest, ..Self::log_settings(1) };
        self.try_open(settings, synced, 0).unwrap()
    }

    /// Names of the segments of log 1.
    pub(super) fn segments(&self) -> Vec<PathBuf> {
        let files = self.disk.files().into_keys();
        files
            .filter(|path| path.parent() == Some(&dir(1)) && path.extension().is_some_and(|kind| kind == "log"))
            .collect()
    }

    pub(super) fn bytes(&self, path: &Path) -> Vec<u8> {
        self.disk.files().remove(path).unwrap()
    }

    /// Bytes that were set aside, by file.
    pub(super) fn quarantine(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.disk.files().into_iter().filter(|(path, _)| path.parent() == Some(&dir(1).join("quarantine")));
        files.map(|(path, bytes)| (path.file_name().unwrap().to_string_lossy().into_owned(), bytes)).collect()
    }
}

pub(super) fn workshop(disk: &FaultyDisk, seed: u64, settings: PoolSettings) -> Workshop {
    let disk = Arc::new(disk.clone());
    let pool = Pool::open(Arc::clone(&disk) as _, PathBuf::from("/data/pool"), settings).unwrap();
    Workshop { disk, pool, committers: Arc::new(InlineCommitters), clock: Clock::simulated(seed) }
}

pub(super) fn dir(number: u8) -> PathBuf {
    PathBuf::from(format!("/data/{number}/records"))
}

pub(super) fn payload<R: AsRef<[u8]>>(records: &[R]) -> Payload {
    Payload {
        lengths: records.iter().map(|record| u32::try_from(record.as_ref().len()).unwrap()).collect(),
        body: records.iter().flat_map(|record| record.as_ref().iter().copied()).collect(),
    }
}

pub(super) async fn put<R: AsRef<[u8]>>(log: &Log, records: &[R]) -> Result<Appended, AppendError> {
    log.append(payload(records), Durability::Synced, Placement::Behind).await
}

pub(super) async fn snapshot<R: AsRef<[u8]>>(log: &Log, records: &[R]) -> Result<Appended, AppendError> {
    log.append(payload(records), Durability::Synced, Placement::NewSegment).await
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) offset: u64,
    pub(super) birth: Birth,
    pub(super) bytes: Vec<u8>,
}

/// All records of `[from, to)`.
pub(super) fn read(log: &Log, from: u64, to: u64) -> Vec<Read> {
    let mut reader = log.read(Offset(from), Offset(to));
    let mut records = Vec::new();
    loop {
        let view = match reader.next() {
            Ok(Some(view)) => view,
            Ok(None) => return records,
            // Told to fail once: the same call succeeds later.
            Err(ReadError::Io { .. }) => continue,
            Err(error) => panic!("{error}"),
        };
        let mut at = 0;
        for (offset, length) in (view.first.0..).zip(view.lengths()) {
            let length = usize::try_from(length).unwrap();
            records.push(Read { offset, birth: view.birth, bytes: view.body[at..at + length].to_vec() });
            at += length;
        }
        assert_eq!(at, view.body.len(), "a view holds its records and nothing else");
    }
}

pub(super) fn read_all(log: &Log) -> Vec<Read> {
    read(log, log.first().0, log.synced().offset.0)
}

pub(super) fn texts(records: &[Read]) -> Vec<(u64, String)> {
    records.iter().map(|read| (read.offset, String::from_utf8_lossy(&read.bytes).into_owned())).collect()
}

/// Where the frames of a segment are: position, bytes, offset of the first record, number of records.
pub(super) fn frames(bytes: &[u8], stream: u8, used_as: Use) -> Vec<(usize, usize, u64, u64)> {
    let header = SegmentHeader::decode(&bytes[..SEGMENT_HEADER_BYTES], StreamId([stream; 16]), used_as).unwrap();
    let seed = SeedBase::new(header.stream, header.birth);
    let mut at = SEGMENT_HEADER_BYTES;
    let mut frames = Vec::new();
    while let Some(frame) = bytes.get(at..at + FRAME_HEADER_BYTES) {
        let Some(frame) = FrameHeader::decode(frame, seed.at(at as u64)) else { break };
        let length = usize::try_from(frame.frame_bytes()).unwrap();
        frames.push((at, length, frame.first.0, u64::from(frame.records)));
        at += length;
    }
    frames
}
