//! A new segment: from a pool file, a growing file, or the reserve.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hydrant_model::Birth;

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::pool::Ready;
use super::segment::{Active, LastSegment, Segment};
use super::writer::{Writer, failure, is_full, reach};
use super::{AppendError, Rolling, Shared, Use};
use crate::failpoint::{self, Phase};

impl Writer {
    /// Takes a new segment into use: its header is written and synced before the file gets its name.
    pub(super) fn begin_segment(&mut self, shared: &Shared, busy: bool, first_bytes: u64) -> Result<(), AppendError> {
        let header = self.next_header(shared);
        let proved = self.make_dir(shared).and_then(|()| match pool_segment(shared, &header, busy, first_bytes) {
            Some(proved) => proved,
            None => growing_segment(shared, &header, first_bytes)
                .or_else(|error| reserve_segment(shared, &header, first_bytes, error)),
        });
        let (file, room) = proved.map_err(|error| {
            shared.failed.store(true, Ordering::Relaxed);
            self.needs_request = shared.settings.rolling == Rolling::OnRequest;
            failure(error)
        })?;
        let segment = Arc::new(Segment::new(shared.settings.dir.join(file_name(&header)), &header, room));
        shared.account.take(SEGMENT_HEADER_BYTES as u64);
        {
            let mut segments = shared.segments.lock();
            // One that ended before its first record had the same first offset, so this file took its name.
            if let Some(replaced) = segments.pop_back_if(|old| old.first == segment.first) {
                shared.account.give(replaced.written());
            }
            segments.push_back(Arc::clone(&segment));
        }
        if shared.failed.swap(false, Ordering::Relaxed) {
            tracing::info!(dir = %shared.settings.dir.display(), "the log is writable again");
        }
        self.active =
            Some(Active { segment, file, written: SEGMENT_HEADER_BYTES as u64, opened: shared.workshop.clock.now() });
        Ok(())
    }

    fn next_header(&self, shared: &Shared) -> SegmentHeader {
        let none = LastSegment { birth: Birth([0; 16]), end: 0, next: self.next.offset };
        let last = match shared.segments.lock().back() {
            // The new file replaces that one, and with it the only word on where the segment before it ends.
            Some(back) if back.first == self.next.offset => back.previous,
            Some(back) => back.as_last(),
            None => self.last.unwrap_or(none),
        };
        SegmentHeader {
            stream: shared.settings.stream,
            used_as: shared.settings.used_as,
            birth: Birth(shared.workshop.clock.bits()),
            first: self.next.offset,
            previous_birth: last.birth,
            previous_end: last.end,
            previous_next: last.next,
            bytes_before: self.next.bytes,
            created_ms: shared.workshop.clock.wall_ms(),
        }
    }

    /// Once a process is enough; an earlier one may have ended before the directory was durable.
    fn make_dir(&mut self, shared: &Shared) -> io::Result<()> {
        if !self.has_dir {
            shared.workshop.disk.make_dir(&shared.settings.dir)?;
            self.has_dir = true;
        }
        Ok(())
    }
}

type Proved = io::Result<(Arc<dyn super::DiskFile>, Option<u64>)>;

/// `None` where a growing file is right, or the pool has nothing.
fn pool_segment(shared: &Shared, header: &SegmentHeader, busy: bool, first_bytes: u64) -> Option<Proved> {
    // What is delivered of a segment takes space until all of it is: of a small budget, one of the pool would take it whole.
    let pool = &shared.workshop.pool;
    if !busy || shared.settings.rolling == Rolling::OnRequest || pool.segment_bytes() > shared.account.budget() / 4 {
        return None;
    }
    let ready = pool.take(SEGMENT_HEADER_BYTES as u64 + first_bytes)?;
    failpoint::reach(Phase::PoolTaken);
    Some(take_into_use(shared, header, ready))
}

fn growing_segment(shared: &Shared, header: &SegmentHeader, first_bytes: u64) -> Proved {
    let (disk, dir) = (&shared.workshop.disk, &shared.settings.dir);
    // Each segment that begins and cannot take its first group would leave a file behind: on a full disk, one a refused put.
    if disk.free_bytes(dir)? < first_bytes + SPARE_BYTES {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let temporary = dir.join(TEMPORARY_NAME);
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    prove(shared, header, &*file, &temporary)?;
    Ok((file, None))
}

/// The disk is full: what delivery writes takes from the reserve, so that delivery goes on and frees space; records are refused.
fn reserve_segment(shared: &Shared, header: &SegmentHeader, first_bytes: u64, error: io::Error) -> Proved {
    if !is_full(&error) || shared.settings.used_as == Use::Records {
        return Err(error);
    }
    // What others may not take is the ledger's: without it nothing leaves, and nothing is freed.
    let spare = if shared.settings.used_as == Use::Ledger { 0 } else { LEDGERS_RESERVE };
    match shared.workshop.pool.take_reserve(SEGMENT_HEADER_BYTES as u64 + first_bytes, spare) {
        Some(ready) => take_into_use(shared, header, ready),
        None => Err(error),
    }
}

fn take_into_use(shared: &Shared, header: &SegmentHeader, ready: Ready) -> Proved {
    let disk = &shared.workshop.disk;
    if let Err(error) = prove(shared, header, &*ready.file, &ready.path) {
        // A file that could not be written or synced is not used again; gone already if it had got its name.
        if let Err(error) = disk.remove(&ready.path) {
            tracing::debug!(%error, "a pool segment that failed stays until the next start");
        }
        return Err(error);
    }
    disk.sync_dir(shared.workshop.pool.dir())?;
    Ok((ready.file, Some(ready.room)))
}

fn prove(shared: &Shared, header: &SegmentHeader, file: &dyn super::DiskFile, path: &Path) -> io::Result<()> {
    file.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
    file.sync()?;
    reach(shared, Phase::RecordsProved, Phase::LedgerProved);
    let (disk, dir) = (&shared.workshop.disk, &shared.settings.dir);
    disk.rename(path, &dir.join(file_name(header)))?;
    disk.sync_dir(dir)
}

/// Twenty digits sort as numbers do.
pub(super) fn file_name(header: &SegmentHeader) -> String {
    format!("{:020}.log", header.first.0)
}

/// A segment begins only where this much is free beside its first append: the rest of its first group.
const SPARE_BYTES: u64 = 1 << 20;
/// Reserve files that only ledgers take.
const LEDGERS_RESERVE: usize = 2;
/// A segment that did not get its name yet.
pub(super) const TEMPORARY_NAME: &str = "segment.new";
