//! One segment as the process knows it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hydrant_model::{Birth, Offset};
use parking_lot::Mutex;

use super::DiskFile;
use super::format::{SEGMENT_HEADER_BYTES, SeedBase, SegmentHeader};

/// A segment: fixed facts of its header, and how far it may be read.
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) birth: Birth,
    pub(super) first: Offset,
    pub(super) seed: SeedBase,
    /// What its header says of the segment before it.
    pub(super) previous: LastSegment,
    /// Size of a ready-written file; `None` for one that grows.
    pub(super) room: Option<u64>,
    /// Position behind the last synced frame, and offset behind its last record: one lock, because a reader that saw only
    /// one of them move would take the difference for damage.
    synced: Mutex<(u64, Offset)>,
    sealed: AtomicBool,
    /// Damage in it could not be copied away, so the file itself is kept when it is trimmed.
    damaged: AtomicBool,
    /// Where frames begin, one a mebibyte: how a reader finds an offset without walking the whole file.
    marks: Mutex<Vec<Mark>>,
}

/// What a segment's header says of the one before it: birth, final end, offset behind its last record.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastSegment {
    pub(super) birth: Birth,
    pub(super) end: u64,
    pub(super) next: Offset,
}

/// A frame begins at `position` with the record at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Offset of its first record.
    pub offset: Offset,
    /// Bytes before it in the segment's file.
    pub position: u64,
}

impl Segment {
    pub(super) fn new(path: PathBuf, header: &SegmentHeader, room: Option<u64>) -> Self {
        Self {
            path,
            birth: header.birth,
            first: header.first,
            seed: SeedBase::new(header.stream, header.birth),
            previous: LastSegment {
                birth: header.previous_birth,
                end: header.previous_end,
                next: header.previous_next,
            },
            room,
            synced: Mutex::new((SEGMENT_HEADER_BYTES as u64, header.first)),
            sealed: AtomicBool::new(false),
            damaged: AtomicBool::new(false),
            marks: Mutex::new(Vec::new()),
        }
    }

    /// Position behind the last synced frame, and offset behind its last record.
    pub(super) fn synced(&self) -> (u64, Offset) {
        *self.synced.lock()
    }

    pub(super) fn advance(&self, end: u64, next: Offset) {
        *self.synced.lock() = (end, next);
    }

    /// Offset behind the last record.
    pub(super) fn next(&self) -> Offset {
        self.synced().1
    }

    /// Whether it holds a record, readable or damaged.
    pub(super) fn has_records(&self) -> bool {
        self.next() > self.first
    }

    /// What the header of the segment behind this one says of it.
    pub(super) fn as_last(&self) -> LastSegment {
        let (end, next) = self.synced();
        LastSegment { birth: self.birth, end, next }
    }

    /// Ends it where it is synced now; nothing moves afterwards.
    pub(super) fn seal(&self) {
        self.sealed.store(true, Ordering::Release);
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// Bytes in use on disk.
    pub(super) fn written(&self) -> u64 {
        self.synced().0
    }

    pub(super) fn keep_whole(&self) {
        self.damaged.store(true, Ordering::Release);
    }

    pub(super) fn is_kept_whole(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// Remembers where a frame begins, if the last mark is far enough behind.
    pub(super) fn mark(&self, mark: Mark) {
        let mut marks = self.marks.lock();
        let last = marks.last().map_or(SEGMENT_HEADER_BYTES as u64, |last| last.position);
        if mark.position >= last + MARK_EVERY {
            marks.push(mark);
        }
    }

    /// A frame start at or below `offset`, as near as known.
    pub(super) fn nearest(&self, offset: Offset) -> Mark {
        let marks = self.marks.lock();
        let behind = marks.partition_point(|mark| mark.offset <= offset);
        let start = Mark { offset: self.first, position: SEGMENT_HEADER_BYTES as u64 };
        behind.checked_sub(1).and_then(|at| marks.get(at)).copied().unwrap_or(start)
    }
}

/// A segment that the writer appends to.
pub(super) struct Active {
    pub(super) segment: Arc<Segment>,
    pub(super) file: Arc<dyn DiskFile>,
    /// Position behind the last written frame; [`Segment::synced`] is behind the last synced one.
    pub(super) written: u64,
    pub(super) opened: tokio::time::Instant,
}

const MARK_EVERY: u64 = 1 << 20;
