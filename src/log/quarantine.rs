//! Damaged bytes are kept, counted and named by their offsets; delivery goes on without them.
//!
//! Files: `quarantine/<first offset of the segment>-<position>.bytes`, the raw bytes of the segment from that position on, and
//! beside it `.json`: offsets, birth, reason. A whole segment is kept as `<file name>.bytes`: one whose header is damaged, or
//! one with damage that a full disk had no room to copy when it was met.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use hydrant_model::Offset;
use serde_json::json;

use super::segment::Segment;
use super::writer::is_full;
use super::{DiskFile, Shared};

/// Bytes of a segment that do not verify although something behind them does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First offset that is lost.
    pub from: Offset,
    /// The offset behind the last one lost.
    pub to: Offset,
    /// Where they are in the segment.
    pub bytes: Range<u64>,
    /// What did not verify.
    pub reason: &'static str,
}

impl Shared {
    /// Copies the damaged bytes away, once: reading the same damage again changes nothing.
    pub(super) fn set_aside(&self, segment: &Segment, file: &dyn DiskFile, damage: &Damage) -> io::Result<()> {
        let _alone = self.quarantine.lock();
        match self.copy_away(segment, file, damage) {
            // Reading must go on, or nothing would be delivered that frees space.
            Err(error) if is_full(&error) => {
                if !segment.is_kept_whole() {
                    tracing::error!(
                        stream = %self.settings.stream, from = %damage.from, to = %damage.to, reason = damage.reason,
                        segment = %segment.path.display(),
                        "records in the log are damaged; there is no space to copy them, so the segment is kept when trimmed"
                    );
                }
                segment.keep_whole();
                Ok(())
            }
            other => other,
        }
    }

    fn copy_away(&self, segment: &Segment, file: &dyn DiskFile, damage: &Damage) -> io::Result<()> {
        let dir = self.quarantine_dir();
        let disk = &self.workshop.disk;
        disk.make_dir(&dir)?;
        let name = format!("{:020}-{}", segment.first.0, damage.bytes.start);
        let kept = dir.join(format!("{name}.bytes"));
        if disk.open(&kept).is_ok() {
            return Ok(());
        }
        let temporary = dir.join("damage.new");
        match disk.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let bytes = copy(file, &*disk.create(&temporary)?, damage.bytes.clone())?;
        let note = json!({
            "from": damage.from, "to": damage.to, "birth": segment.birth, "segment": segment.path.display().to_string(),
            "position": damage.bytes.start, "bytes": bytes, "reason": damage.reason,
        });
        let described = disk.create(&dir.join(format!("{name}.json")));
        // A description left by an attempt that failed later says the same.
        if let Ok(described) = described {
            described.write_at(&mut [IoSlice::new(note.to_string().as_bytes())], 0)?;
            described.sync()?;
        }
        disk.rename(&temporary, &kept)?;
        disk.sync_dir(&dir)?;
        self.count_quarantined(bytes);
        tracing::error!(
            stream = %self.settings.stream, from = %damage.from, to = %damage.to, bytes, reason = damage.reason,
            kept = %kept.display(), "records in the log are damaged and were set aside"
        );
        Ok(())
    }

    /// Counts what earlier processes set aside.
    pub(super) fn count_quarantine(&self) -> io::Result<()> {
        let dir = self.quarantine_dir();
        let names = match self.workshop.disk.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for name in names.iter().filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "bytes")) {
            self.count_quarantined(self.workshop.disk.open(&dir.join(name))?.size()?);
        }
        Ok(())
    }

    /// Keeps a trimmed segment as it is.
    pub(super) fn keep_whole(&self, segment: &Segment) -> io::Result<()> {
        let (disk, dir) = (&self.workshop.disk, self.quarantine_dir());
        disk.make_dir(&dir)?;
        let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = disk.open(&segment.path)?.size()?;
        disk.rename(&segment.path, &dir.join(format!("{name}.bytes")))?;
        disk.sync_dir(&dir)?;
        self.count_quarantined(bytes);
        Ok(())
    }

    fn count_quarantined(&self, bytes: u64) {
        self.account.take(bytes);
        self.quarantined_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn quarantine_dir(&self) -> PathBuf {
        self.settings.dir.join(QUARANTINE_DIR)
    }
}

/// Copies a range without the zeros at its end, which a segment's unused room is full of. Returns the bytes kept.
fn copy(from: &dyn DiskFile, to: &dyn DiskFile, range: Range<u64>) -> io::Result<u64> {
    let mut buffer = vec![0; COPY_BYTES];
    let (mut at, mut kept) = (range.start, 0);
    while at < range.end {
        let want = usize::try_from(range.end - at).unwrap_or(COPY_BYTES).min(COPY_BYTES);
        let read = from.read_at(buffer.get_mut(..want).unwrap_or_default(), at)?;
        let bytes = buffer.get(..read).unwrap_or_default();
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if let Some(used) = bytes.get(..used).filter(|used| !used.is_empty()) {
            to.write_at(&mut [IoSlice::new(used)], at - range.start)?;
            kept = at - range.start + used.len() as u64;
        }
        if read < want {
            break;
        }
        at += read as u64;
    }
    to.sync()?;
    Ok(kept)
}

pub(super) const QUARANTINE_DIR: &str = "quarantine";
const COPY_BYTES: usize = 256 << 10;
