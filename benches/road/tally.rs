//! What was put, or delivered: how many records, and checksums that do not depend on their order.

use std::ops::AddAssign;

use anyhow::Context as _;
use arrow_array::cast::AsArray as _;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Records, counted and summed up. Two are equal when, but for chance of 2^-64, the same records were seen as often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many.
    pub(crate) records: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    sum: u64,
    /// Of the ids of click records: what is left to compare when records become something else.
    ids: u64,
}

impl Tally {
    /// Every line of `text`, with its line feed, is a record.
    pub(crate) fn of_lines(text: &[u8]) -> Self {
        let mut lines = Lines::default();
        lines.feed(text);
        lines.end()
    }

    /// Records one behind the other, without anything between them.
    pub(crate) fn of_joined(text: &[u8]) -> Self {
        let mut tally = Self::default();
        for at in memchr::memmem::find_iter(text, ID_BEGINS) {
            tally.take_id(text.get(at + ID_BEGINS.len()..).unwrap_or_default());
        }
        tally
    }

    /// The rows of a Parquet file of clicks.
    pub(crate) fn of_rows(file: Bytes) -> anyhow::Result<Self> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let id = ProjectionMask::columns(builder.parquet_schema(), ["id"]);
        let mut tally = Self::default();
        for batch in builder.with_projection(id).build()? {
            let batch = batch?;
            let ids = batch.column(0).as_string_opt::<i32>().context("ids are text")?;
            ids.iter().for_each(|id| tally.take_id(id.unwrap_or_default().as_bytes()));
        }
        Ok(tally)
    }

    /// Whether these are the same records, whatever their bytes are.
    pub(crate) fn has_ids_of(&self, other: &Self) -> bool {
        (self.records, self.ids) == (other.records, other.ids)
    }

    fn take(&mut self, record: &[u8]) {
        let mut seen =
            Self { bytes: record.len() as u64, sum: checksum(CrcAlgorithm::Crc64Nvme, record), ..Self::default() };
        seen.take_id(record.get(ID_BEGINS.len()..).unwrap_or_default());
        *self += seen;
    }

    /// One more record, which goes on with its id.
    fn take_id(&mut self, rest: &[u8]) {
        self.records += 1;
        let id = rest.get(..ID_BYTES).unwrap_or(rest);
        self.ids = self.ids.wrapping_add(checksum(CrcAlgorithm::Crc64Nvme, id));
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.sum = self.sum.wrapping_add(other.sum);
        self.ids = self.ids.wrapping_add(other.ids);
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

const ID_BEGINS: &[u8] = br#"{"id":""#;
const ID_BYTES: usize = 16;
