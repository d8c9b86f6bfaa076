//! What was put, or delivered: how many records, and a checksum that does not depend on their order.

use std::ops::AddAssign;

use crc_fast::{CrcAlgorithm, checksum};

/// Records, counted and summed up. Two are equal when, but for chance of 2^-64, the same records were seen as often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many.
    pub(crate) records: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    sum: u64,
}

impl Tally {
    /// Every line of `text`, with its line feed, is a record.
    pub(crate) fn of_lines(text: &[u8]) -> Self {
        let mut lines = Lines::default();
        lines.feed(text);
        lines.end()
    }

    fn take(&mut self, record: &[u8]) {
        let mut seen = Self { records: 1, bytes: record.len() as u64, sum: checksum(CrcAlgorithm::Crc64Nvme, record) };
        std::mem::swap(self, &mut seen);
        *self += seen;
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Tallies lines that come in pieces.
#[derive(Default)]
pub(crate) struct Lines {
    tally: Tally,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
}

impl Lines {
    /// Takes the next piece.
    pub(crate) fn feed(&mut self, mut piece: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end + 1);
            if self.begun.is_empty() {
                self.tally.take(line);
            } else {
                self.begun.extend_from_slice(line);
                self.tally.take(&self.begun);
                self.begun.clear();
            }
            piece = rest;
        }
        self.begun.extend_from_slice(piece);
    }

    /// What was seen; a last line without its line feed counts.
    pub(crate) fn end(mut self) -> Tally {
        if !self.begun.is_empty() {
            self.tally.take(&self.begun);
        }
        self.tally
    }
}
