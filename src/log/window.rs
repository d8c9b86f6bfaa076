//! A window of a file.

use std::io;

use super::DiskFile;

/// Bytes of a file around a position; what is read once is not read again while moving forward.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Forgets what was read, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Makes `[position, position + need)` available, reading ahead up to `ahead` bytes but not past `end`.
    pub(super) fn load(
        &mut self,
        file: &dyn DiskFile,
        position: u64,
        need: usize,
        ahead: usize,
        end: u64,
    ) -> io::Result<()> {
        let have = self.start + self.bytes.len() as u64;
        if position >= self.start && position + need as u64 <= have {
            return Ok(());
        }
        if position >= self.start && position < have {
            self.bytes.drain(..size(position - self.start));
        } else {
            self.bytes.clear();
        }
        self.start = position;
        let kept = self.bytes.len();
        let wanted = need.max(ahead).min(size(end.saturating_sub(position))).max(kept);
        self.bytes.resize(wanted, 0);
        let read = file.read_at(self.bytes.get_mut(kept..).unwrap_or_default(), position + kept as u64);
        // What was not read must not be taken for bytes of the file by the next attempt.
        self.bytes.truncate(kept + read.as_ref().map_or(0, |read| *read));
        read.map(|_| ())
    }

    /// What was loaded of `[position, position + length)`.
    pub(super) fn get(&self, position: u64, length: u64) -> &[u8] {
        let start = size(position.saturating_sub(self.start));
        let stop = (start + size(length)).min(self.bytes.len());
        self.bytes.get(start..stop).unwrap_or_default()
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
