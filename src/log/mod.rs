//! The log: everything that arrives is appended to one, everything that leaves is read from one.
//!
//! What it promises:
//! - An append that was answered is in a file that has been fdatasync'ed, under a name whose directory has been fsync'ed
//!   (level [`Durability::Synced`]; [`Durability::Written`] answers earlier and is synced within a second).
//! - Whatever happens to the machine, a frame that verifies is read back, in order, once; what does not verify is set aside in
//!   a quarantine file with its offsets, and reading goes on behind it.
//! - No (birth, offset) is used twice.
//! - After a failed write or sync nothing is answered until a new segment has been proved by a synced header.
//!
//! What it relies on: a 4 KiB page that is overwritten in place survives power loss whole, old or new; `fdatasync` tells the
//! truth; rename within a file system is atomic.
//!
//! ```text
//!  append ──► pending ──► committer: one vectored write, one fdatasync ──► synced end ──► readers, answers
//!                               │ full, failed, asked for
//!                               ▼
//!              00000000000000000000.log  00000000000000004711.log (active)      trim ──► removed, or back to the pool
//! ```
//!
//! Files in the order in which a record meets them: `format` (the bytes), `append`, `commit` (who writes), `writer` (group
//! commit), `segment`, `pool`, `reader` (with its `window`), `quarantine`, `trim`; `recover` opens what a crash left; `disk` is the seam.

mod append;
mod begin;
mod commit;
mod disk;
mod format;
mod pool;
mod quarantine;
mod reader;
mod recover;
mod segment;
mod trim;
mod window;
mod writer;

#[cfg(test)]
pub(crate) mod faulty;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hydrant_model::{Offset, StreamId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Clock;

pub use append::{AppendError, Appended, Durability, Payload, Placement};
pub use commit::{Committers, InlineCommitters, ThreadCommitters};
pub use disk::{Disk, DiskFile, RealDisk};
pub use format::Use;
pub use pool::{Pool, PoolSettings};
pub use quarantine::Damage;
pub use reader::{FrameView, ReadError, Reader, Walked, Walker};
pub use recover::{OpenError, Recovered};
pub use segment::Mark;

use append::Pending;
use segment::Segment;
use writer::Writer;

/// What all logs of a process share.
#[derive(Clone)]
pub struct Workshop {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// Ready-written segments.
    pub pool: Arc<Pool>,
    /// Who commits.
    pub committers: Arc<dyn Committers>,
    /// Time and chance.
    pub clock: Clock,
}

/// One log; cheap to clone.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

/// Which log this is and how it behaves.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Its directory; made at the first append.
    pub dir: PathBuf,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// What it is for.
    pub used_as: Use,
    /// When a new segment begins.
    pub rolling: Rolling,
}

/// When a log begins a new segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rolling {
    /// When the segment is full, and by itself after a failure.
    ByItself,
    /// Only when an append asks for it ([`Placement::NewSegment`]); after a failure every other append is refused. For a
    /// log whose segments begin with a snapshot.
    OnRequest,
}

/// A position in the log: an offset and the bytes of all bodies before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Offset of the next record.
    pub offset: Offset,
    /// Body bytes of all records before it, since the log began.
    pub bytes: u64,
}

/// What the logs of one stream take on disk, against what they may.
#[derive(Debug)]
pub struct Account {
    used: AtomicU64,
    budget: AtomicU64,
}

impl Account {
    /// An empty account.
    pub fn new(budget: u64) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), budget: AtomicU64::new(budget) })
    }

    /// Bytes in use: segments as far as they are written, and quarantine.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be in use.
    pub fn budget(&self) -> u64 {
        self.budget.load(Ordering::Relaxed)
    }

    /// Sets what may be in use.
    pub fn set_budget(&self, bytes: u64) {
        self.budget.store(bytes, Ordering::Relaxed);
    }

    fn take(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes.min(self.used()), Ordering::Relaxed);
    }
}

struct Shared {
    settings: LogSettings,
    workshop: Workshop,
    account: Arc<Account>,
    /// Every segment that may hold records, oldest first; the last one may be active.
    segments: Mutex<VecDeque<Arc<Segment>>>,
    pending: Mutex<Pending>,
    /// Held through a commit's input and output.
    writer: Mutex<Writer>,
    synced: Mutex<Position>,
    /// Readers are woken when the synced end has this many bytes before it.
    wake_at: AtomicU64,
    progress: Notify,
    /// Which offset was the next one at which instant, one a second: ages by the monotonic clock, in bounded memory.
    arrivals: Mutex<VecDeque<(Offset, Instant)>>,
    /// Bytes were written and not synced yet.
    unsynced: AtomicBool,
    /// The last commit failed and no new segment has been proved since.
    failed: AtomicBool,
    /// See [`Log::refused_for_budget`].
    refused: Notify,
    /// See [`Log::losses`].
    losses: AtomicU64,
    /// Segments trimmed while a reader held them.
    retired: Mutex<Vec<Arc<Segment>>>,
    /// Everything below was trimmed.
    trimmed: Mutex<Offset>,
    quarantined_bytes: AtomicU64,
    /// Held while damage is copied: several readers may meet the same.
    quarantine: Mutex<()>,
}

impl Log {
    /// Everything below this is synced and may be read.
    pub fn synced(&self) -> Position {
        *self.shared.synced.lock()
    }

    /// Waits until something was synced behind `seen`; where `bytes` is given, until that many body bytes lie before the
    /// synced end instead. Records of length zero move offsets and no bytes.
    pub async fn progress(&self, seen: Position, bytes: Option<u64>) {
        loop {
            let notified = self.shared.progress.notified();
            self.shared.wake_at.fetch_min(bytes.unwrap_or(0), Ordering::SeqCst);
            let synced = self.synced();
            if bytes.map_or(synced.offset > seen.offset, |target| synced.bytes >= target) {
                return;
            }
            notified.await;
        }
    }

    /// When the record at `offset` arrived, or up to a second earlier; `None` for one that an earlier process took in.
    pub fn arrived(&self, offset: Offset) -> Option<Instant> {
        let arrivals = self.shared.arrivals.lock();
        let behind = arrivals.partition_point(|(first, _)| *first <= offset);
        behind.checked_sub(1).and_then(|at| arrivals.get(at)).map(|(_, instant)| *instant)
    }

    /// The place behind every record that was given one, synced or not.
    pub fn end(&self) -> Position {
        self.shared.writer.lock().next
    }

    /// First offset that may still be read; everything below was trimmed.
    pub fn first(&self) -> Offset {
        let front = self.shared.segments.lock().front().map(|segment| segment.first);
        front.unwrap_or_else(|| self.synced().offset)
    }

    /// Tries to prove a new segment where the last commit failed, so that a log that nobody appends to becomes writable again.
    /// Waits for the disk: not for a runtime's own thread. A log whose segments begin on request is mended by its owner.
    pub fn mend(&self) {
        if self.is_writable() || self.shared.settings.rolling == Rolling::OnRequest {
            return;
        }
        let mut writer = self.shared.writer.lock();
        if writer.active.is_none()
            && let Err(error) = writer.begin_segment(&self.shared, false, 0)
        {
            tracing::debug!(dir = %self.shared.settings.dir.display(), %error, "the log cannot be written yet");
        }
    }

    /// Whether the volume has room beside what is kept for delivery.
    pub fn has_room(&self) -> bool {
        !self.shared.workshop.pool.is_low()
    }

    /// Whether an append can be expected to be answered.
    pub fn is_writable(&self) -> bool {
        !self.shared.failed.load(Ordering::Relaxed)
    }

    /// Bytes set aside as damaged since the log began, as far as their files are still there.
    pub fn quarantined_bytes(&self) -> u64 {
        self.shared.quarantined_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of this log's segments on disk, as far as they are written.
    pub fn disk_bytes(&self) -> u64 {
        self.shared.segments.lock().iter().map(|segment| segment.written()).sum()
    }

    /// The account that this log is booked on.
    pub fn account(&self) -> &Account {
        &self.shared.account
    }
}

impl Shared {
    fn publish(&self, position: Position) {
        let before = std::mem::replace(&mut *self.synced.lock(), position);
        self.note_arrival(before.offset);
        if position.bytes >= self.wake_at.load(Ordering::SeqCst) {
            self.wake_at.store(u64::MAX, Ordering::SeqCst);
            self.progress.notify_waiters();
        }
    }

    /// Records from `offset` on arrive now.
    fn note_arrival(&self, offset: Offset) {
        let now = self.workshop.clock.now();
        let mut arrivals = self.arrivals.lock();
        if arrivals.back().is_none_or(|(_, last)| now - *last >= ARRIVAL_GRAIN) {
            if arrivals.len() == ARRIVALS_KEPT {
                arrivals.pop_front();
            }
            arrivals.push_back((offset, now));
        }
    }
}

const ARRIVAL_GRAIN: Duration = Duration::from_secs(1);
/// More than the longest interval that AWS knows, in grains; an older record is due in any case.
const ARRIVALS_KEPT: usize = 1024;
