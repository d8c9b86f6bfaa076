//! Trim: segments that nobody needs any more are removed, or go back to the pool.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hydrant_model::Offset;

use super::format::SEGMENT_HEADER_BYTES;
use super::segment::Segment;
use super::{Log, Shared};
use crate::failpoint::{self, Phase};

impl Log {
    /// Removes segments whose records all lie below `to`. An active segment that is read to its end is sealed first, so that
    /// an idle log takes no space and a small budget is never held by a segment that is not full.
    ///
    /// The caller has made sure that everything that rests on the trimmed records is synced.
    ///
    /// # Errors
    /// The disk failed; what was not removed is removed by a later trim.
    pub fn trim(&self, to: Offset) -> io::Result<()> {
        if self.synced().offset <= to && self.is_worth_sealing() {
            self.seal_active();
        }
        while let Some(segment) = self.trimmable(to) {
            self.shared.account.give(segment.written());
            self.shared.retired.lock().push(segment);
        }
        self.shared.remove_retired()
    }

    /// Whether [`Log::trim`] would remove something.
    pub fn can_trim(&self, to: Offset) -> bool {
        if self.shared.retired.lock().iter().any(|segment| Arc::strong_count(segment) == 1) {
            return true;
        }
        let front = {
            let segments = self.shared.segments.lock();
            segments.front().map(|front| (front.is_sealed(), front.next(), keeps_its_name(&segments)))
        };
        match front {
            Some((true, next, keeps)) => next <= to && !keeps,
            Some((false, next, _)) => next <= to && self.synced().offset <= to && self.is_worth_sealing(),
            None => false,
        }
    }

    /// Whether a trim of everything will remove something once the log has been quiet for a while.
    pub fn is_idle_space(&self, to: Offset) -> bool {
        self.synced().offset <= to && self.disk_bytes() >= SEAL_BYTES
    }

    /// A busy log goes on filling its segment; one that has gone quiet, or presses on its budget, gives the space back.
    fn is_worth_sealing(&self) -> bool {
        let used = self.disk_bytes();
        let quiet = self
            .shared
            .arrivals
            .lock()
            .back()
            .is_none_or(|(_, last)| self.shared.workshop.clock.now() - *last >= QUIET);
        (quiet && used >= SEAL_BYTES) || used >= self.account().budget() / 4
    }

    /// First offset of each segment that holds records, from the newest back: what a log of snapshots is trimmed by.
    pub fn segment_starts(&self) -> Vec<Offset> {
        let segments = self.shared.segments.lock();
        segments.iter().rev().filter(|segment| segment.has_records()).map(|segment| segment.first).collect()
    }

    /// Segments, oldest first: the offset behind the last record of each, and its bytes on disk. A trim up to such an offset gives
    /// back the bytes of all segments until there; of the last one when it is sealed.
    pub fn segment_ends(&self) -> Vec<(Offset, u64)> {
        self.shared.segments.lock().iter().map(|segment| (segment.next(), segment.written())).collect()
    }

    /// Seals the active segment if something in it lies below `end`: what is appended next begins a new one. Waits for the disk: not
    /// for a runtime's own thread.
    pub fn seal_below(&self, end: Offset) {
        let active = self.shared.segments.lock().back().filter(|last| !last.is_sealed()).map(|active| active.first);
        if active.is_some_and(|first| first < end) {
            self.seal_active();
        }
    }

    fn trimmable(&self, to: Offset) -> Option<Arc<Segment>> {
        let mut segments = self.shared.segments.lock();
        let front = segments.front()?;
        let done = front.is_sealed() && front.next() <= to && !keeps_its_name(&segments);
        if !done {
            return None;
        }
        let mut trimmed = self.shared.trimmed.lock();
        *trimmed = (*trimmed).max(front.next());
        segments.pop_front()
    }

    /// Whether this process trimmed `offset`: what else is missing below the first segment is a gap, or damage of the past.
    pub(super) fn was_trimmed(&self, offset: Offset) -> bool {
        offset < *self.shared.trimmed.lock()
    }
}

impl Shared {
    /// Removes or recycles what no reader holds any more; the rest, and what the disk refused, waits for the next trim.
    fn remove_retired(&self) -> io::Result<()> {
        let mut retired = self.retired.lock();
        let mut outcome = Ok(());
        let mut removed = false;
        retired.retain(|segment| {
            // Nobody finds it any more, so readers only become fewer.
            if Arc::strong_count(segment) > 1 || outcome.is_err() {
                return true;
            }
            outcome = self.remove(segment);
            removed |= outcome.is_ok();
            outcome.is_err()
        });
        drop(retired);
        outcome?;
        if removed { self.workshop.disk.sync_dir(&self.settings.dir) } else { Ok(()) }
    }

    fn remove(&self, segment: &Segment) -> io::Result<()> {
        let gone = if segment.is_kept_whole() {
            self.keep_whole(segment)
        } else {
            let recycled = segment.room.map_or(Ok(false), |room| self.workshop.pool.give(&segment.path, room));
            match recycled {
                Ok(false) => self.workshop.disk.remove(&segment.path),
                other => other.map(|_| ()),
            }
        };
        failpoint::reach(Phase::Trimmed);
        match gone {
            // An earlier attempt got so far.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Whether the front segment is the last one and ended before its first record: the next one begins with the same offset, and
/// its file takes the name. Removed meanwhile, by a disk that is slow or refuses at first, it would be the new file that goes.
fn keeps_its_name(segments: &VecDeque<Arc<Segment>>) -> bool {
    segments.len() == 1 && segments.front().is_some_and(|front| !front.has_records())
}

/// A segment that was read to its end is sealed for trimming once it holds this much.
const SEAL_BYTES: u64 = 1 << 20;

/// No new second of arrivals was begun for this long.
const QUIET: Duration = Duration::from_millis(1500);

const _: () = assert!(SEAL_BYTES > SEGMENT_HEADER_BYTES as u64);
