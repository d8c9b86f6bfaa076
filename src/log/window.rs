//! A window of a file.

use std::io;

use hydrant_model::Buffer;

use super::DiskFile;

/// Bytes of a file around a position; what is read once is not read again while moving forward.
#[derive(Default)]
pub(super) struct Window {
    start: u64,
    /// The room for them; what was used once is not cleared again.
    bytes: Buffer,
    loaded: usize,
}

impl Window {
    /// Forgets what was read, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.loaded = 0;
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
        let have = self.start + self.loaded as u64;
        if position >= self.start && position + need as u64 <= have {
            return Ok(());
        }
        let mut kept = 0;
        if position >= self.start && position < have {
            let passed = size(position - self.start);
            kept = self.loaded - passed;
            self.bytes.copy_within(passed..self.loaded, 0);
        }
        self.start = position;
        let wanted = need.max(ahead).min(size(end.saturating_sub(position))).max(kept);
        // What was not read must not be taken for bytes of the file by the next attempt.
        self.loaded = kept;
        if self.bytes.len() < wanted {
            self.grow(wanted);
        }
        let read = file.read_at(self.bytes.get_mut(kept..wanted).unwrap_or_default(), position + kept as u64)?;
        self.loaded += read;
        Ok(())
    }

    fn grow(&mut self, wanted: usize) {
        if self.bytes.capacity() < wanted {
            let mut larger = Buffer::with_capacity(wanted);
            larger.extend_from_slice(self.bytes.get(..self.loaded).unwrap_or_default());
            self.bytes = larger;
        }
        self.bytes.resize(wanted, 0);
    }

    /// What was loaded of `[position, position + length)`.
    pub(super) fn get(&self, position: u64, length: u64) -> &[u8] {
        let start = size(position.saturating_sub(self.start));
        let stop = (start + size(length)).min(self.loaded);
        self.bytes.get(start..stop).unwrap_or_default()
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
