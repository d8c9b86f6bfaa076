//! Opening a log: what a crash left, made readable again.
//!
//! - Every segment but the last ends where the header of the one behind it says.
//! - The last one was open: it ends behind its last frame that verifies, is synced, sealed and never appended to. What is not
//!   known to have been synced is written again first, because pages that a sync failed on are visible, clean and not durable.
//! - What does not verify below that end, or below the offset that the caller knows to have been synced, is damage and set
//!   aside when it is read; the rest is a torn tail, which was never acknowledged.
//! - Offsets go on behind everything that a verifying header or the caller has named. Where that leaves a gap, a new segment
//!   begins at once, so that a later start does not take the gap for damage.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use hydrant_model::Offset;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::append::Pending;
use super::begin::{TEMPORARY_NAME, file_name};
use super::format::{FRAME_HEADER_BYTES, FrameHeader, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, payload_crc};
use super::quarantine::QUARANTINE_DIR;
use super::reader::{Found, search};
use super::segment::{Mark, Segment};
use super::writer::{Writer, is_full};
use super::{Account, Disk, DiskFile, Log, LogSettings, Position, Rolling, Shared, Workshop};

/// What was found on opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes behind the last frame that verifies that look like the beginning of another: a torn tail, never acknowledged.
    pub torn_bytes: u64,
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("opening the log in {dir}: {source}")]
    Io {
        /// The log's directory.
        dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A segment is not this log's, or of another format. Nothing was changed.
    #[error("{path}: {reason}")]
    Segment {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
}

impl Log {
    /// Opens the log in its directory, empty if there is none. `synced_through` is an offset that is known to have been synced
    /// (zero if none): records below it that are not found are damage. No offset below `floor` is given again, and where nothing is
    /// left of the log its bytes are counted from there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing is lost by trying again.
    pub fn open(
        workshop: Workshop,
        settings: LogSettings,
        account: Arc<Account>,
        synced_through: Offset,
        floor: Position,
    ) -> Result<(Self, Recovered), OpenError> {
        let dir = settings.dir.clone();
        let found = scan(&workshop, &settings, synced_through).map_err(|fault| match fault {
            Fault::Io(source) => OpenError::Io { dir: dir.clone(), source },
            Fault::Segment(path, reason) => OpenError::Segment { path, reason },
        })?;
        let counted = if found.segments.is_empty() { floor.bytes.max(found.next.bytes) } else { found.next.bytes };
        let next = Position { offset: found.next.offset.max(floor.offset).max(synced_through), bytes: counted };
        let end = found.end;
        let last = found.segments.back().map(|last| last.as_last());
        let gap = match &last {
            Some(last) => next.offset > last.next,
            // Only damaged files may leave a log without segments and with offsets.
            None => found.next.offset.0 > 0,
        };
        account.take(found.segments.iter().map(|segment| segment.written()).sum());
        let needs_request = settings.rolling == Rolling::OnRequest;
        let log = Self {
            shared: Arc::new(Shared {
                settings,
                workshop,
                account,
                segments: Mutex::new(found.segments),
                pending: Mutex::new(Pending::default()),
                writer: Mutex::new(Writer::new(next, last, needs_request)),
                synced: Mutex::new(next),
                wake_at: AtomicU64::new(u64::MAX),
                progress: Notify::new(),
                arrivals: Mutex::new(VecDeque::new()),
                unsynced: AtomicBool::new(false),
                failed: AtomicBool::new(false),
                refused: Notify::new(),
                losses: AtomicU64::new(0),
                retired: Mutex::new(Vec::new()),
                trimmed: Mutex::new(Offset(0)),
                quarantined_bytes: AtomicU64::new(0),
                quarantine: Mutex::new(()),
            }),
        };
        if gap && !log.begin_behind_gap() {
            // Nobody may take the gap for synced while it is not written down.
            let offset = end.offset.max(floor.offset).max(synced_through);
            *log.shared.synced.lock() = Position { offset, ..end };
        }
        log.shared.count_quarantine().map_err(|source| OpenError::Io { dir, source })?;
        Ok((log, Recovered { torn_bytes: found.torn_bytes }))
    }

    /// Whether the next offset stands in a durable header.
    fn begin_behind_gap(&self) -> bool {
        let begun = self.shared.writer.lock().begin_segment(&self.shared, false, 0);
        if let Err(error) = &begun {
            tracing::warn!(dir = %self.shared.settings.dir.display(), %error, "no segment could be begun behind a torn tail");
        }
        begun.is_ok()
    }
}

struct Scanned {
    segments: VecDeque<Arc<Segment>>,
    /// Behind the last record.
    end: Position,
    /// Where the next one goes.
    next: Position,
    torn_bytes: u64,
}

enum Fault {
    Io(io::Error),
    Segment(PathBuf, String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn scan(workshop: &Workshop, settings: &LogSettings, synced_through: Offset) -> Result<Scanned, Fault> {
    let disk = &*workshop.disk;
    let (mut files, damaged) = headers(workshop, settings)?;
    let next = Position { offset: damaged, bytes: 0 };
    let mut scanned = Scanned { segments: VecDeque::new(), end: next, next, torn_bytes: 0 };
    let Some(last) = files.pop() else { return Ok(scanned) };
    for (at, file) in files.iter().enumerate() {
        let behind = files.get(at + 1).unwrap_or(&last);
        let segment = file.segment();
        if behind.header.previous_birth == file.header.birth {
            segment.advance(behind.header.previous_end, behind.header.previous_next);
        } else {
            // The one behind does not know this segment: read what verifies, and let the gap be seen.
            let tail = Search::new(disk, file, &segment)?.tail(synced_through)?;
            segment.advance(tail.end, tail.next.offset);
        }
        segment.seal();
        scanned.segments.push_back(Arc::new(segment));
    }
    let segment = last.segment();
    let open = Search::new(disk, &last, &segment)?;
    let tail = open.tail(synced_through)?;
    open.make_durable(&tail)?;
    scanned.torn_bytes = tail.used - tail.end;
    scanned.next = Position { offset: tail.named.offset.max(damaged), bytes: tail.named.bytes };
    scanned.end = tail.next;
    let (mut end, mut next) = (tail.end, tail.next.offset);
    if next < synced_through {
        // Known to have been synced and not found: the reader sets aside what is left of it.
        (end, next) = (tail.used, synced_through);
    }
    segment.advance(end, next);
    segment.seal();
    // Even with nothing in it, its header is the only word on where the segment before it ends.
    scanned.segments.push_back(Arc::new(segment));
    Ok(scanned)
}

struct SegmentFile {
    path: PathBuf,
    header: SegmentHeader,
    /// A pool segment keeps its size.
    size: u64,
}

impl SegmentFile {
    fn segment(&self) -> Segment {
        Segment::new(self.path.clone(), &self.header, Some(self.size))
    }
}

/// Every segment of the directory with its header, in order, and an offset behind all that damaged ones may have held.
fn headers(workshop: &Workshop, settings: &LogSettings) -> Result<(Vec<SegmentFile>, Offset), Fault> {
    let disk = &workshop.disk;
    let mut damaged = Offset(0);
    let mut names = match disk.list(&settings.dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), damaged)),
        other => other?,
    };
    names.sort_unstable();
    let mut files = Vec::new();
    for name in names {
        let path = settings.dir.join(&name);
        if name == TEMPORARY_NAME {
            disk.remove(&path)?;
        } else if let Some(first) = name.strip_suffix(".log") {
            let (bytes, size) = start(&**disk, &path)?;
            match SegmentHeader::decode(&bytes, settings.stream, settings.used_as) {
                Ok(header) if name == file_name(&header) => files.push(SegmentFile { path, header, size }),
                Ok(header) => {
                    let reason = format!("its header says {}: a copy, or renamed; move it away", file_name(&header));
                    return Err(Fault::Segment(path, reason));
                }
                // A header is synced before its file gets a name, so this is damage, and nothing in the file can be verified.
                Err(HeaderError::NotOne) => {
                    set_aside_file(workshop, settings, &name)?;
                    // A record takes four bytes of a table if nothing else.
                    damaged = damaged.max(Offset(first.parse::<u64>().unwrap_or(0).saturating_add(size / 4)));
                }
                Err(error) => return Err(Fault::Segment(path, refusal(&error))),
            }
        }
    }
    Ok((files, damaged))
}

/// The bytes where a segment's header is, and the file's size.
fn start(disk: &dyn Disk, path: &Path) -> io::Result<(Vec<u8>, u64)> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok((bytes, file.size()?))
}

fn set_aside_file(workshop: &Workshop, settings: &LogSettings, name: &str) -> io::Result<()> {
    let (disk, from) = (&workshop.disk, settings.dir.join(name));
    let quarantine = settings.dir.join(QUARANTINE_DIR);
    disk.make_dir(&quarantine)?;
    let to = quarantine.join(format!("{name}.bytes"));
    disk.rename(&from, &to)?;
    disk.sync_dir(&quarantine)?;
    disk.sync_dir(&settings.dir)?;
    tracing::error!(kept = %to.display(), "a segment of the log has a damaged header and was set aside whole");
    Ok(())
}

fn refusal(error: &HeaderError) -> String {
    match error {
        HeaderError::Version(_) => format!("{error}; start the newer hydrant that wrote it"),
        _ => format!("{error}; move the file away or restore the one that belongs here"),
    }
}

/// What the frames of a segment that was open at a crash say.
struct Tail {
    /// Position behind the last frame that verifies.
    end: u64,
    /// Offset and bytes behind it.
    next: Position,
    /// Behind everything that any verifying header named, torn body or not.
    named: Position,
    /// Position of the first frame that is not known to have been synced.
    unsure: Option<u64>,
    /// Position behind the last byte that is not zero, or behind the last frame.
    used: u64,
}

/// A segment that is searched for its frames.
struct Search<'a> {
    segment: &'a Segment,
    file: Arc<dyn DiskFile>,
    start: Position,
    size: u64,
}

impl<'a> Search<'a> {
    fn new(disk: &dyn Disk, file: &SegmentFile, segment: &'a Segment) -> io::Result<Self> {
        let start = Position { offset: file.header.first, bytes: file.header.bytes_before };
        Ok(Self { segment, file: disk.open(&file.path)?, start, size: file.size })
    }

    fn tail(&self, synced_through: Offset) -> io::Result<Tail> {
        let (start, mut at) = (self.start, SEGMENT_HEADER_BYTES as u64);
        let mut tail = Tail { end: at, next: start, named: start, unsure: None, used: 0 };
        let mut payload = Vec::new();
        while let Some(found) = self.frame_at(at, tail.named.offset)? {
            let behind = Position {
                offset: found.header.next(),
                bytes: found.header.bytes_before + u64::from(found.header.body_bytes),
            };
            tail.named = behind;
            self.segment.mark(Mark { offset: found.header.first, position: found.position });
            if behind.offset > synced_through {
                tail.unsure.get_or_insert(found.position);
            }
            // What a torn body holds is a producer's bytes: the next frame is looked for behind it.
            at = found.position + found.header.frame_bytes();
            if self.verifies(&found, &mut payload)? {
                tail.end = at;
                tail.next = behind;
            }
        }
        tail.used = self.last_used(tail.end)?;
        Ok(tail)
    }

    /// The frame at `at`, or the first one behind it with a header that verifies.
    fn frame_at(&self, at: u64, least: Offset) -> io::Result<Option<Found>> {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        if self.file.read_at(&mut bytes, at)? == bytes.len()
            && let Some(header) = FrameHeader::decode(&bytes, self.segment.seed.at(at))
        {
            return Ok(Some(Found { position: at, header }));
        }
        search(&*self.file, self.segment, at, self.size, least)
    }

    fn verifies(&self, found: &Found, payload: &mut Vec<u8>) -> io::Result<bool> {
        let start = found.position + FRAME_HEADER_BYTES as u64;
        let bytes = found.header.payload_bytes();
        if start + bytes > self.size {
            return Ok(false);
        }
        payload.resize(usize::try_from(bytes).unwrap_or(usize::MAX), 0);
        let read = self.file.read_at(payload, start)?;
        Ok(read as u64 == bytes && payload_crc([payload, &[]]) == found.header.payload_crc)
    }

    /// Position behind the last byte from `from` on that is not zero; `from` if all are.
    fn last_used(&self, from: u64) -> io::Result<u64> {
        let mut buffer = vec![0; BLOCK_BYTES];
        let (mut at, mut used) = (from, from);
        while at < self.size {
            let read = self.file.read_at(&mut buffer, at)?;
            let bytes = buffer.get(..read).unwrap_or_default();
            if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
                used = at + last as u64 + 1;
            }
            if read < BLOCK_BYTES {
                break;
            }
            at += read as u64;
        }
        Ok(used)
    }

    /// Syncs what the tail counts as there.
    fn make_durable(&self, tail: &Tail) -> io::Result<()> {
        let rewritten = tail.unsure.map_or(Ok(()), |from| self.write_again(from, tail.end));
        match rewritten {
            // Where even an overwrite takes space, opening must not need any.
            Err(error) if is_full(&error) => {
                tracing::warn!(segment = %self.segment.path.display(), "no space to write a log's tail again");
            }
            other => other?,
        }
        self.file.sync()
    }

    fn write_again(&self, from: u64, end: u64) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK_BYTES];
        let mut at = from;
        while at < end {
            let want = usize::try_from(end - at).unwrap_or(BLOCK_BYTES).min(BLOCK_BYTES);
            let read = self.file.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
            self.file.write_at(&mut [IoSlice::new(buffer.get(..read).unwrap_or_default())], at)?;
            if read < want {
                break;
            }
            at += read as u64;
        }
        Ok(())
    }
}

const BLOCK_BYTES: usize = 256 << 10;
