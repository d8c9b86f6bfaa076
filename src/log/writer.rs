//! Group commit: one vectored write and one sync for all appends that wait.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hydrant_model::Birth;

use super::append::{Append, Piece};
use super::disk::PAGE_BYTES;
use super::format::{FRAME_HEADER_BYTES, FrameHeader, SEGMENT_HEADER_BYTES, aligned};
use super::segment::{Active, LastSegment, Mark};
use super::{AppendError, Appended, Durability, Log, Placement, Position, Rolling, Shared, Use};
use crate::failpoint::{self, Phase};

/// What the committer knows of the log's end. Offsets given to frames that failed are not given again.
pub(super) struct Writer {
    pub(super) active: Option<Active>,
    /// Offset and bytes behind the last frame that was given a place, durable or not.
    pub(super) next: Position,
    /// The segment that was sealed last, should it be trimmed before the next one begins.
    pub(super) last: Option<LastSegment>,
    /// The log's directory is there and durable.
    pub(super) has_dir: bool,
    /// A segment that begins with a snapshot must come next.
    pub(super) needs_request: bool,
    /// Small frames are gathered here before they are written.
    scratch: Vec<u8>,
    /// Arrival of the group in hand.
    arrival_ms: u64,
}

impl Writer {
    pub(super) fn new(next: Position, last: Option<LastSegment>, needs_request: bool) -> Self {
        Self { active: None, next, last, has_dir: false, needs_request, scratch: Vec::new(), arrival_ms: 0 }
    }
}

impl Log {
    /// Commits one group of what is queued. Returns whether more waits; otherwise the next append schedules the log again.
    pub(super) fn commit(&self) -> bool {
        let mut writer = self.shared.writer.lock();
        let group = self.shared.take_group();
        if !group.is_empty() {
            writer.commit(&self.shared, group);
        }
        self.shared.group_waits()
    }

    /// Seals the active segment if it holds anything; the next append begins a new one.
    pub(super) fn seal_active(&self) {
        let mut writer = self.shared.writer.lock();
        if writer.active.as_ref().is_some_and(|active| active.written > SEGMENT_HEADER_BYTES as u64) {
            writer.seal(&self.shared);
        }
    }
}

impl Writer {
    fn commit(&mut self, shared: &Shared, group: Vec<Append>) {
        let mut staged = Staged::default();
        self.arrival_ms = shared.workshop.clock.wall_ms();
        for append in group {
            if let Err(error) = self.place(shared, &mut staged, &append) {
                shared.losses.fetch_add(1, Ordering::SeqCst);
                let _ = append.answer.send(Err(error));
                continue;
            }
            staged.accept(append, self);
        }
        self.flush(shared, staged);
    }

    /// Makes sure that the active segment takes `append`.
    fn place(&mut self, shared: &Shared, staged: &mut Staged, append: &Append) -> Result<(), AppendError> {
        if append.pieces.is_empty() {
            return Ok(());
        }
        let wanted = append.placement == Placement::NewSegment;
        if self.needs_request && !wanted {
            return Err(AppendError::Sealed);
        }
        let length = append.pieces.iter().map(frame_bytes).sum::<u64>();
        let full = self.active.as_ref().is_some_and(|active| {
            let at = active.written + staged.bytes;
            match active.segment.room {
                Some(room) => at + length > room,
                None => at >= shared.workshop.pool.growing_bytes() && shared.settings.rolling == Rolling::ByItself,
            }
        });
        if full && !wanted && shared.settings.rolling == Rolling::OnRequest {
            self.needs_request = true;
            return Err(AppendError::Sealed);
        }
        let fresh =
            self.active.as_ref().is_some_and(|active| active.written + staged.bytes == SEGMENT_HEADER_BYTES as u64);
        if self.active.is_none() || full || (wanted && !fresh) {
            self.flush(shared, std::mem::take(staged));
            if self.needs_request && !wanted {
                return Err(AppendError::Sealed);
            }
            let busy = self.active.as_ref().is_some_and(|active| is_busy(shared, active));
            self.seal(shared);
            self.begin_segment(shared, busy, length)?;
        }
        self.needs_request = false;
        Ok(())
    }

    /// Writes and syncs what is staged, and answers.
    fn flush(&mut self, shared: &Shared, mut staged: Staged) {
        if staged.appends.is_empty() {
            return;
        }
        let sync = staged.appends.iter().any(|append| append.durability == Durability::Synced);
        match self.write(shared, &mut staged, sync) {
            Ok(()) => {
                if shared.settings.used_as == Use::Records {
                    failpoint::reach(Phase::RecordsSynced);
                }
                staged.answer_all();
            }
            Err(error) => {
                self.fail(shared, &error);
                staged.refuse_all(&failure(error));
            }
        }
    }

    fn write(&mut self, shared: &Shared, staged: &mut Staged, sync: bool) -> io::Result<()> {
        let Some(active) = &mut self.active else {
            // Only pure syncs were staged and nothing was ever written.
            return Ok(());
        };
        if staged.bytes > 0 {
            staged.write(active, &mut self.scratch)?;
            for mark in &staged.marks {
                active.segment.mark(*mark);
            }
            active.written += staged.bytes;
            shared.account.take(staged.bytes);
            shared.unsynced.store(true, Ordering::Relaxed);
            reach(shared, Phase::RecordsWritten, Phase::LedgerWritten);
        }
        if sync && shared.unsynced.load(Ordering::Relaxed) {
            active.file.sync()?;
            shared.unsynced.store(false, Ordering::Relaxed);
            active.segment.advance(active.written, self.next.offset);
            shared.publish(self.next);
        }
        Ok(())
    }

    /// Seals the active segment where its last good sync ended: what lies past it does not exist.
    fn fail(&mut self, shared: &Shared, error: &io::Error) {
        tracing::error!(
            dir = %shared.settings.dir.display(),
            error = %error,
            "a write to the log failed; nothing is acknowledged until a new segment is proved"
        );
        shared.losses.fetch_add(1, Ordering::SeqCst);
        shared.failed.store(true, Ordering::Relaxed);
        self.needs_request = shared.settings.rolling == Rolling::OnRequest;
        self.retire_active(shared);
    }

    /// Ends the active segment after a sync of what is written.
    pub(super) fn seal(&mut self, shared: &Shared) {
        if let Some(active) = &self.active
            && shared.unsynced.load(Ordering::Relaxed)
        {
            match active.file.sync() {
                Ok(()) => {
                    shared.unsynced.store(false, Ordering::Relaxed);
                    active.segment.advance(active.written, self.next.offset);
                    shared.publish(self.next);
                }
                Err(error) => self.fail(shared, &error),
            }
        }
        self.retire_active(shared);
    }

    fn retire_active(&mut self, shared: &Shared) {
        let Some(active) = self.active.take() else { return };
        shared.unsynced.store(false, Ordering::Relaxed);
        shared.account.give(active.written - active.segment.written());
        active.segment.seal();
        self.last = Some(active.segment.as_last());
    }
}

/// Appends of one write: their frames, in order.
#[derive(Default)]
struct Staged {
    appends: Vec<Append>,
    places: Vec<Appended>,
    frames: Vec<StagedFrame>,
    marks: Vec<Mark>,
    bytes: u64,
}

struct StagedFrame {
    append: usize,
    piece: usize,
    header: [u8; FRAME_HEADER_BYTES],
}

impl Staged {
    fn accept(&mut self, append: Append, writer: &mut Writer) {
        let first = writer.next.offset;
        let birth = writer.active.as_ref().map_or(Birth([0; 16]), |active| active.segment.birth);
        let position = writer.active.as_ref().map_or(0, |active| active.written + self.bytes);
        if let Some(active) = &writer.active {
            let arrival_ms = append.arrival_ms.unwrap_or(writer.arrival_ms);
            for (number, piece) in append.pieces.iter().enumerate() {
                let position = active.written + self.bytes;
                let header = FrameHeader {
                    records: piece.records,
                    body_bytes: u32::try_from(piece.body.len()).unwrap_or(u32::MAX),
                    first: writer.next.offset,
                    arrival_ms,
                    bytes_before: writer.next.bytes,
                    payload_crc: piece.crc,
                };
                self.marks.push(Mark { offset: header.first, position });
                self.frames.push(StagedFrame {
                    append: self.appends.len(),
                    piece: number,
                    header: header.encode(active.segment.seed.at(position)),
                });
                self.bytes += header.frame_bytes();
                writer.next =
                    Position { offset: header.next(), bytes: writer.next.bytes + u64::from(header.body_bytes) };
            }
        }
        self.places.push(Appended { birth, first, position });
        self.appends.push(append);
    }

    /// One vectored write of all frames. Small ones are gathered first, so that the kernel walks few slices.
    fn write(&self, active: &Active, scratch: &mut Vec<u8>) -> io::Result<()> {
        let mut chunks: Vec<Chunk> = Vec::new();
        for frame in &self.frames {
            let Some((append, piece)) = self.piece(frame) else { continue };
            let body = append.payload.body.get(piece.body.clone()).unwrap_or_default();
            let start = scratch.len();
            scratch.extend_from_slice(&frame.header);
            scratch.extend_from_slice(&piece.table);
            if body.len() <= GATHER_BYTES {
                scratch.extend_from_slice(body);
                Chunk::gathered(&mut chunks, start..scratch.len());
            } else {
                Chunk::gathered(&mut chunks, start..scratch.len());
                chunks.push(Chunk::Body(frame.append, piece.body.clone()));
            }
            let length = FRAME_HEADER_BYTES + piece.table.len() + body.len();
            let start = scratch.len();
            scratch.resize(start + length.next_multiple_of(8) - length, 0);
            Chunk::gathered(&mut chunks, start..scratch.len());
        }
        // The blocks of a ready-written file need not be in the page cache; a page that is overwritten whole is not read first.
        let end = active.written + self.bytes;
        let rest = end.next_multiple_of(PAGE_BYTES as u64).min(active.segment.room.unwrap_or(end)).saturating_sub(end);
        chunks.push(Chunk::Zeros(usize::try_from(rest).unwrap_or_default()));
        let mut slices: Vec<IoSlice<'_>> = chunks
            .iter()
            .map(|chunk| match chunk {
                Chunk::Zeros(length) => ZEROS.get(..*length),
                Chunk::Scratch(range) => scratch.get(range.clone()),
                Chunk::Body(append, range) => {
                    self.appends.get(*append).and_then(|append| append.payload.body.get(range.clone()))
                }
            })
            .map(|bytes| IoSlice::new(bytes.unwrap_or_default()))
            .filter(|slice| !slice.is_empty())
            .collect();
        let written = active.file.write_at(&mut slices, active.written);
        // Hundreds of logs are idle most of the time; none of them keeps what its largest group needed.
        scratch.clear();
        scratch.shrink_to(SCRATCH_BYTES);
        written
    }

    fn piece(&self, frame: &StagedFrame) -> Option<(&Append, &Piece)> {
        let append = self.appends.get(frame.append)?;
        Some((append, append.pieces.get(frame.piece)?))
    }

    fn answer_all(self) {
        for (append, place) in self.appends.into_iter().zip(self.places) {
            // Whoever no longer waits has hung up; the record is kept all the same.
            let _ = append.answer.send(Ok(place));
        }
    }

    fn refuse_all(self, error: &AppendError) {
        for append in self.appends {
            let _ = append.answer.send(Err(error.clone()));
        }
    }
}

/// A stretch of the write: out of the scratch buffer, an append's own body, or the rest of a page.
enum Chunk {
    Scratch(Range<usize>),
    Body(usize, Range<usize>),
    Zeros(usize),
}

impl Chunk {
    /// Adds a stretch of scratch, as part of the one before where it continues it.
    fn gathered(chunks: &mut Vec<Self>, range: Range<usize>) {
        match chunks.last_mut() {
            Some(Self::Scratch(last)) if last.end == range.start => last.end = range.end,
            _ => chunks.push(Self::Scratch(range)),
        }
    }
}

pub(super) fn failure(error: io::Error) -> AppendError {
    if is_full(&error) { AppendError::Full(Arc::new(error)) } else { AppendError::Failed(Arc::new(error)) }
}

pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Where a log of this use stands. The places of the others are named where their steps are.
pub(super) fn reach(shared: &Shared, records: Phase, ledger: Phase) {
    match shared.settings.used_as {
        Use::Records => failpoint::reach(records),
        Use::Ledger => failpoint::reach(ledger),
        Use::Errors | Use::Spool => {}
    }
}

fn frame_bytes(piece: &Piece) -> u64 {
    aligned((FRAME_HEADER_BYTES + piece.table.len() + piece.body.len()) as u64)
}

/// Whether a segment was filled so quickly that the next one should come ready-written: a mebibyte a second.
fn is_busy(shared: &Shared, active: &Active) -> bool {
    let seconds = (shared.workshop.clock.now() - active.opened).as_secs();
    active.written >= shared.workshop.pool.growing_bytes() && active.written >= seconds << 20
}

static ZEROS: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Bodies up to this size are copied together; larger ones are written from where they are.
const GATHER_BYTES: usize = 16 << 10;
/// What a log keeps of its scratch buffer between groups.
const SCRATCH_BYTES: usize = 256 << 10;
