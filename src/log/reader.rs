//! Reading: frames in order, verified, up to a limit; damage is set aside on the way.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use hydrant_model::{Birth, Offset};

use super::format::{FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, payload_crc};
use super::quarantine::Damage;
use super::segment::{Mark, Segment};
use super::window::Window;
use super::{DiskFile, Log};

/// Reads records of `[from, to)`, frame by frame.
pub struct Reader {
    frames: Frames,
    to: Offset,
    /// The next frame, where it was found and verified already: its bytes are in the window.
    ready: Option<Found>,
}

/// Records of one frame, as far as they lie in the range asked for.
pub struct FrameView<'a> {
    /// Birth of the segment.
    pub birth: Birth,
    /// The frame.
    pub mark: Mark,
    /// Offset of the first record of the view.
    pub first: Offset,
    /// When the frame arrived, milliseconds since the Unix epoch.
    pub arrival_ms: u64,
    /// Record lengths, little-endian `u32` each.
    pub table: &'a [u8],
    /// The records, one after the other.
    pub body: &'a [u8],
}

impl FrameView<'_> {
    /// Length of each record in bytes.
    pub fn lengths(&self) -> impl Iterator<Item = u32> {
        self.table.chunks_exact(4).map(|entry| entry.try_into().map_or(0, u32::from_le_bytes))
    }

    /// The bytes of each record.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.body;
        self.lengths().map(move |length| {
            let (record, behind) = rest.split_at(rest.len().min(length as usize));
            rest = behind;
            record
        })
    }
}

/// Why reading broke off.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk did not give the bytes.
    #[error("reading {path}: {source}")]
    Io {
        /// The segment.
        path: String,
        /// What the disk said.
        source: io::Error,
    },
    /// The range was trimmed: a reader below its own low-water mark.
    #[error("offset {0} was trimmed")]
    Trimmed(Offset),
}

impl Log {
    /// Reads `[from, to)`; `to` must not lie beyond the synced end.
    pub fn read(&self, from: Offset, to: Offset) -> Reader {
        Reader { frames: Frames::new(self.clone(), from, READ_BYTES), to, ready: None }
    }

    /// Reads `[from, to)` as [`Log::read`] does, with little read ahead: for a few records among many others. It begins at `mark`,
    /// the frame that holds `from`, and looks for `from` where no such frame is there.
    pub fn read_marked(&self, mark: Mark, from: Offset, to: Offset) -> Reader {
        let mut frames = Frames::new(self.clone(), from, CLOSE_BYTES);
        frames.hint = Some(mark);
        Reader { frames, to, ready: None }
    }

    /// Walks frame headers as [`Log::walk`] does, from the frame of `mark` on, with little read ahead: for a few frames among many
    /// others.
    pub fn walk_marked(&self, mark: Mark) -> Walker {
        let mut frames = Frames::new(self.clone(), mark.offset, HEAD_BYTES);
        frames.hint = Some(mark);
        Walker { frames }
    }

    /// Walks frame headers from `from` on, without touching bodies.
    pub fn walk(&self, from: Offset) -> Walker {
        Walker { frames: Frames::new(self.clone(), from, WALK_BYTES) }
    }
}

impl Reader {
    /// Reads `[from, to)` next, as [`Log::read_marked`] does. What was read already may be used again.
    pub fn go_to(&mut self, mark: Mark, from: Offset, to: Offset) {
        (self.to, self.ready) = (to, None);
        self.frames.go_to(mark, from);
    }

    /// Whether nothing that verifies is left in the range. What does not verify is set aside on the way.
    ///
    /// # Errors
    /// The disk failed; the same call may succeed later.
    pub fn is_at_end(&mut self) -> Result<bool, ReadError> {
        Ok(self.found()?.is_none())
    }

    /// The next frame's records, or `None` behind the last one. What does not verify is set aside and skipped.
    ///
    /// # Errors
    /// The disk failed; the same call may succeed later.
    #[expect(clippy::should_implement_trait, reason = "a view borrows the reader, which an iterator cannot say")]
    pub fn next(&mut self) -> Result<Option<FrameView<'_>>, ReadError> {
        let Some(found) = self.found()? else { return Ok(None) };
        self.ready = None;
        let header = found.header;
        let skip = self.frames.at.0.saturating_sub(header.first.0);
        let stop = self.to.0.min(header.next().0) - header.first.0;
        self.frames.pass(&found);
        let first = header.first.plus(skip);
        self.frames.at = header.first.plus(stop);
        let payload = self.frames.window.get(found.position + FRAME_HEADER_BYTES as u64, header.payload_bytes());
        let (table, body) = payload.split_at_checked(size(header.table_bytes())).unwrap_or_default();
        let (table, range) = select(table, skip, stop);
        Ok(Some(FrameView {
            birth: self.frames.birth(),
            mark: Mark { offset: header.first, position: found.position },
            first,
            arrival_ms: header.arrival_ms,
            table,
            body: body.get(range).unwrap_or_default(),
        }))
    }

    /// The next frame that verifies; does not move behind it.
    fn found(&mut self) -> Result<Option<Found>, ReadError> {
        while self.ready.is_none() && self.frames.at < self.to {
            let Some(found) = self.frames.header()?.filter(|found| found.header.first < self.to) else { break };
            if self.frames.payload_verifies(&found)? {
                self.ready = Some(found);
            } else {
                self.frames.set_aside_frame(&found)?;
            }
        }
        Ok(self.ready)
    }
}

/// Walks over frame headers: what a cut is made by.
pub struct Walker {
    frames: Frames,
}

/// What a header says of a frame, not yet verified against its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Offset of the first record.
    pub first: Offset,
    /// Offset behind the last record.
    pub next: Offset,
    /// When it arrived, milliseconds since the Unix epoch.
    pub arrival_ms: u64,
    /// Body bytes of the log before this frame.
    pub bytes_before: u64,
    /// Body bytes of this frame.
    pub bytes: u64,
}

impl Walker {
    /// The frame that holds the walker's offset, or the first one behind it; `None` at the synced end. Does not move.
    ///
    /// # Errors
    /// The disk failed.
    pub fn frame(&mut self) -> Result<Option<Walked>, ReadError> {
        Ok(self.frames.header()?.map(|found| Walked {
            first: found.header.first,
            next: found.header.next(),
            arrival_ms: found.header.arrival_ms,
            bytes_before: found.header.bytes_before,
            bytes: u64::from(found.header.body_bytes),
        }))
    }

    /// Moves behind the frame that [`Walker::frame`] shows.
    ///
    /// # Errors
    /// The disk failed.
    pub fn pass(&mut self) -> Result<(), ReadError> {
        if let Some(found) = self.frames.header()? {
            self.frames.at = found.header.next();
            self.frames.pass(&found);
        }
        Ok(())
    }

    /// Moves to the frame of `mark`. What was read already may be used again.
    pub fn go_to(&mut self, mark: Mark) {
        self.frames.go_to(mark, mark.offset);
    }

    /// The first record of the frame that [`Walker::frame`] shows, which nothing has verified.
    ///
    /// # Errors
    /// The disk failed.
    pub fn first_record(&mut self) -> Result<&[u8], ReadError> {
        let Some(Found { position, header }) = self.frames.header()? else { return Ok(&[]) };
        let table = position + FRAME_HEADER_BYTES as u64;
        self.frames.load(table, header.table_bytes().min(4))?;
        let length = self.frames.window.get(table, 4).try_into().map_or(0, u32::from_le_bytes).min(header.body_bytes);
        let body = table + header.table_bytes();
        self.frames.load(body, u64::from(length))?;
        Ok(self.frames.window.get(body, u64::from(length)))
    }

    /// Record lengths of the frame that [`Walker::frame`] shows; a damaged table gives lengths that mean nothing.
    ///
    /// # Errors
    /// The disk failed.
    pub fn lengths(&mut self) -> Result<Vec<u32>, ReadError> {
        let Some(found) = self.frames.header()? else { return Ok(Vec::new()) };
        self.frames.load(found.position + FRAME_HEADER_BYTES as u64, found.header.table_bytes())?;
        let table = self.frames.window.get(found.position + FRAME_HEADER_BYTES as u64, found.header.table_bytes());
        Ok(table.chunks_exact(4).map(|entry| entry.try_into().map_or(0, u32::from_le_bytes)).collect())
    }
}

/// A place in the log's segments and a window of bytes around it.
struct Frames {
    log: Log,
    at: Offset,
    /// The frame to begin with, if it is where it is said to be.
    hint: Option<Mark>,
    read_bytes: usize,
    open: Option<OpenSegment>,
    window: Window,
}

struct OpenSegment {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    /// Where the next frame is expected.
    position: u64,
    /// Offset that the next frame is expected to begin with.
    expected: Offset,
}

/// A verified header and where it is.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub(super) position: u64,
    pub(super) header: FrameHeader,
}

impl Frames {
    fn new(log: Log, at: Offset, read_bytes: usize) -> Self {
        Self { log, at, hint: None, read_bytes, open: None, window: Window::default() }
    }

    /// Moves to `at`, which the frame of `mark` holds.
    fn go_to(&mut self, mark: Mark, at: Offset) {
        (self.at, self.hint) = (at, Some(mark));
        // Asked before the end is looked at: a segment grows until it is sealed.
        let sealed = self.is_sealed();
        let open = self.open.take().filter(|open| {
            let segment = &open.segment;
            segment.first <= at && (!sealed || at < segment.next())
        });
        self.open = open.map(|open| {
            let near = open.segment.nearest(at);
            OpenSegment { position: near.position, expected: near.offset, ..open }
        });
    }

    /// Begins at the frame that is hinted at, if it is there.
    fn take_hint(&mut self) -> Result<(), ReadError> {
        let (Some(hint), Some(open)) = (self.hint.take(), &self.open) else { return Ok(()) };
        let (end, seed) = (open.segment.synced().0, open.segment.seed);
        let fits = open.segment.first <= hint.offset && hint.offset <= self.at && hint.position >= open.position;
        if !fits || hint.position % 8 != 0 || hint.position.saturating_add(FRAME_HEADER_BYTES as u64) > end {
            return Ok(());
        }
        self.load(hint.position, FRAME_HEADER_BYTES as u64)?;
        let bytes = self.window.get(hint.position, FRAME_HEADER_BYTES as u64);
        let header = FrameHeader::decode(bytes, seed.at(hint.position));
        if let (Some(open), Some(_)) = (&mut self.open, header.filter(|header| header.first == hint.offset)) {
            (open.position, open.expected) = (hint.position, hint.offset);
        }
        Ok(())
    }

    fn birth(&self) -> Birth {
        self.open.as_ref().map_or(Birth([0; 16]), |open| open.segment.birth)
    }

    /// Header of the frame that holds `at` or is the first behind it, across segments.
    fn header(&mut self) -> Result<Option<Found>, ReadError> {
        loop {
            if self.open.is_none() && !self.open_segment()? {
                return Ok(None);
            }
            self.take_hint()?;
            // Asked before the end is looked at: a segment grows until it is sealed.
            let sealed = self.is_sealed();
            while let Some(found) = self.header_here()? {
                if found.header.next() > self.at {
                    return Ok(Some(found));
                }
                self.pass(&found);
            }
            if sealed {
                let next = self.open.take().map_or(self.at, |open| open.segment.next());
                self.at = self.at.max(next);
            } else if !self.is_sealed() {
                return Ok(None);
            }
        }
    }

    fn is_sealed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.segment.is_sealed())
    }

    /// Opens the segment that holds `at`, or the first one behind it.
    fn open_segment(&mut self) -> Result<bool, ReadError> {
        let segment = {
            let segments = self.log.shared.segments.lock();
            if self.log.was_trimmed(self.at) && segments.front().is_none_or(|front| self.at < front.first) {
                return Err(ReadError::Trimmed(self.at));
            }
            segments.iter().find(|segment| !segment.is_sealed() || segment.next() > self.at).map(Arc::clone)
        };
        let Some(segment) = segment else { return Ok(false) };
        let file = self.log.shared.workshop.disk.open(&segment.path).map_err(|error| read_error(&segment, error))?;
        let mark = segment.nearest(self.at);
        self.window.clear();
        self.open = Some(OpenSegment { segment, file, position: mark.position, expected: mark.offset });
        Ok(true)
    }

    /// The next header of the open segment. Where none verifies, sets aside everything up to the next one that does.
    fn header_here(&mut self) -> Result<Option<Found>, ReadError> {
        let Some(open) = &self.open else { return Ok(None) };
        let (end, next) = open.segment.synced();
        let (position, expected, seed) = (open.position, open.expected, open.segment.seed);
        if position >= end {
            if expected < next {
                // The last header before a known end is gone.
                self.set_aside(position..end, expected, next, "no frame header up to the segment's end")?;
            }
            return Ok(None);
        }
        self.load(position, FRAME_HEADER_BYTES as u64)?;
        if let Some(header) =
            FrameHeader::decode(self.window.get(position, FRAME_HEADER_BYTES as u64), seed.at(position))
        {
            if let Some(open) = &self.open {
                // A segment that an earlier process filled has no marks yet.
                open.segment.mark(Mark { offset: header.first, position });
            }
            return Ok(Some(Found { position, header }));
        }
        let found = self.search(position + 8, end, expected)?;
        let (stop, until) = found.map_or((end, next), |found| (found.position, found.header.first));
        self.set_aside(position..stop, expected, until, "frame header does not verify")?;
        if let Some(open) = &mut self.open {
            open.position = stop;
            open.expected = until;
        }
        Ok(found)
    }

    /// The first position in `[from, end)` with a header that verifies.
    fn search(&mut self, from: u64, end: u64, least: Offset) -> Result<Option<Found>, ReadError> {
        let Some(open) = &self.open else { return Ok(None) };
        let (file, segment) = (Arc::clone(&open.file), Arc::clone(&open.segment));
        search(&*file, &segment, from, end, least).map_err(|error| read_error(&segment, error))
    }

    fn payload_verifies(&mut self, found: &Found) -> Result<bool, ReadError> {
        let (end, _) = self.open.as_ref().map_or((0, Offset(0)), |open| open.segment.synced());
        if found.position + found.header.frame_bytes() > end {
            return Ok(false);
        }
        let start = found.position + FRAME_HEADER_BYTES as u64;
        self.load(start, found.header.payload_bytes())?;
        Ok(payload_crc([self.window.get(start, found.header.payload_bytes()), &[]]) == found.header.payload_crc)
    }

    /// Moves behind a frame.
    fn pass(&mut self, found: &Found) {
        if let Some(open) = &mut self.open {
            open.position = found.position + found.header.frame_bytes();
            open.expected = found.header.next();
        }
    }

    fn set_aside_frame(&mut self, found: &Found) -> Result<(), ReadError> {
        let bytes = found.position..found.position + found.header.frame_bytes();
        self.set_aside(bytes, found.header.first, found.header.next(), "records do not verify")?;
        self.at = self.at.max(found.header.next());
        self.pass(found);
        Ok(())
    }

    fn set_aside(&self, bytes: Range<u64>, from: Offset, to: Offset, reason: &'static str) -> Result<(), ReadError> {
        let Some(open) = &self.open else { return Ok(()) };
        let damage = Damage { from, to, bytes, reason };
        self.log.shared.set_aside(&open.segment, &*open.file, &damage).map_err(|error| read_error(&open.segment, error))
    }

    fn load(&mut self, position: u64, bytes: u64) -> Result<(), ReadError> {
        let Some(open) = &self.open else { return Ok(()) };
        let (end, _) = open.segment.synced();
        self.window
            .load(&*open.file, position, size(bytes), self.read_bytes, end)
            .map_err(|error| read_error(&open.segment, error))
    }
}

/// The first position in `[from, end)`, from `from` in steps of 8, with a frame header that verifies and does not go back
/// behind `least`.
pub(super) fn search(
    file: &dyn DiskFile,
    segment: &Segment,
    from: u64,
    end: u64,
    least: Offset,
) -> io::Result<Option<Found>> {
    let mut buffer = vec![0; SEARCH_BYTES];
    let finder = memchr::memmem::Finder::new(FRAME_MAGIC);
    let mut start = from;
    while start < end {
        let want = SEARCH_BYTES.min(size(end - start));
        let read = file.read_at(buffer.get_mut(..want).unwrap_or_default(), start)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        for at in finder.find_iter(bytes).filter(|at| at % 8 == 0) {
            let position = start + at as u64;
            let candidate = bytes.get(at..).unwrap_or_default();
            if let Some(header) = FrameHeader::decode(candidate, segment.seed.at(position))
                && header.first >= least
            {
                return Ok(Some(Found { position, header }));
            }
        }
        if read < want || start + read as u64 >= end {
            return Ok(None);
        }
        // The next window overlaps by a header, which may lie across the border; both are multiples of 8.
        start += (read - FRAME_HEADER_BYTES) as u64;
    }
    Ok(None)
}

/// Table entries `[skip, stop)` and the byte range of their records.
fn select(table: &[u8], skip: u64, stop: u64) -> (&[u8], Range<usize>) {
    let (skip, stop) = (size(skip) * 4, size(stop) * 4);
    let sum = |entries: &[u8]| -> usize {
        entries.chunks_exact(4).map(|entry| entry.try_into().map_or(0, u32::from_le_bytes) as usize).sum()
    };
    let before = sum(table.get(..skip).unwrap_or_default());
    let chosen = table.get(skip..stop).unwrap_or_default();
    (chosen, before..before + sum(chosen))
}

pub(super) fn read_error(segment: &Segment, source: io::Error) -> ReadError {
    ReadError::Io { path: segment.path.display().to_string(), source }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

const READ_BYTES: usize = 512 << 10;
const CLOSE_BYTES: usize = 4 << 10;
const WALK_BYTES: usize = 16 << 10;
/// A frame's header, the lengths of a hundred records, and the first of them if it is short.
const HEAD_BYTES: usize = 1 << 10;
const SEARCH_BYTES: usize = 256 << 10;
