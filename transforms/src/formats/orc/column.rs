//! A column of the file: which rows have a value, what readers are told of the values, and the values themselves.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};

use super::bloom::Bloom;
use super::integers::Integers;
use super::leaves::{self, Leaf, Seen};
use super::proto::{self, ColumnEncoding, EncodingKind, StreamKind};
use super::runs::BitRuns;
use super::statistics::{Kind, Statistics};
use super::stream::Stream;
use super::{Compression, FormatVersion};
use crate::formats::FormatError;

/// A column, with those below it.
pub(super) struct Column {
    present: BitRuns,
    /// Whether the stripe has a null, without which it says nothing of presence.
    absent: bool,
    shape: Shape,
    children: Vec<Column>,
    bloom: Option<Bloom>,
    group: Statistics,
    stripe: Statistics,
    file: Statistics,
    /// Where the row group under way begins.
    start: Positions,
    entries: Vec<Entry>,
    blooms: Vec<proto::BloomFilter>,
}

/// What is done with each column.
pub(super) type Visit<'a> = dyn FnMut(&mut Column) -> Result<(), FormatError> + 'a;

/// What a column is made of.
pub(super) enum Shape {
    Leaf(Box<dyn Leaf>),
    Struct,
    /// A list or a map, with the number of items of each.
    Items(FormatVersion, Integers),
}

#[derive(Default)]
struct Positions {
    present: Vec<u64>,
    values: Vec<u64>,
}

struct Entry {
    start: Positions,
    statistics: proto::ColumnStatistics,
}

/// What a column has made of a stripe, beside its streams.
pub(super) struct Ended {
    pub(super) index: proto::RowIndex,
    pub(super) blooms: Option<proto::BloomFilterIndex>,
    pub(super) statistics: proto::ColumnStatistics,
    pub(super) encoding: ColumnEncoding,
    /// Whether the stream of presence is part of the stripe.
    pub(super) present: bool,
}

impl Column {
    pub(super) fn new(
        shape: Shape,
        kind: Kind,
        bloom: Option<Bloom>,
        children: Vec<Self>,
        compression: Compression,
    ) -> Self {
        let statistics = Statistics::new(kind);
        Self {
            present: BitRuns::new(compression),
            absent: false,
            shape,
            children,
            bloom,
            group: statistics.clone(),
            stripe: statistics.clone(),
            file: statistics,
            start: Positions::default(),
            entries: Vec::new(),
            blooms: Vec::new(),
        }
    }

    /// Calls `visit` with this column and all below, in the order of their numbers.
    pub(super) fn each(&mut self, visit: &mut Visit<'_>) -> Result<(), FormatError> {
        visit(self)?;
        self.children.iter_mut().try_for_each(|child| child.each(visit))
    }

    /// Takes so many rows of the root, which is there in each.
    pub(super) fn write_root(&mut self, columns: &[ArrayRef], rows: usize) {
        self.present.push_run(true, rows);
        self.group.count(rows);
        for (column, array) in self.children.iter_mut().zip(columns) {
            column.write(array, std::slice::from_ref(&(0..rows)));
        }
    }

    /// Takes the values of `array` in `rows`.
    fn write(&mut self, array: &ArrayRef, rows: &[Range<usize>]) {
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => {
                for run in rows {
                    self.present.push_run(true, run.len());
                }
                self.write_values(array, rows);
            }
            Some(nulls) => {
                let mut valid = Vec::new();
                for run in rows {
                    let mut at = 0;
                    for (start, end) in nulls.slice(run.start, run.len()).valid_slices() {
                        self.push_nulls(start - at);
                        self.present.push_run(true, end - start);
                        valid.push(run.start + start..run.start + end);
                        at = end;
                    }
                    self.push_nulls(run.len() - at);
                }
                self.write_values(array, &valid);
            }
        }
    }

    fn push_nulls(&mut self, count: usize) {
        if count > 0 {
            self.present.push_run(false, count);
            self.absent = true;
            self.group.saw_null();
        }
    }

    /// Takes values, none of which is null.
    fn write_values(&mut self, array: &ArrayRef, rows: &[Range<usize>]) {
        self.group.count(rows.iter().map(ExactSizeIterator::len).sum());
        match &mut self.shape {
            Shape::Leaf(leaf) => {
                let seen = &mut Seen { statistics: &mut self.group, bloom: self.bloom.as_mut() };
                leaf.write(array.as_ref(), rows, seen);
            }
            Shape::Struct => {
                for (column, array) in self.children.iter_mut().zip(array.as_struct().columns()) {
                    column.write(array, rows);
                }
            }
            Shape::Items(_, lengths) => {
                let (offsets, items) = items(array);
                let mut below = Vec::new();
                for run in rows {
                    let ends = offsets.get(run.start..=run.end).unwrap_or_default();
                    for pair in ends.windows(2) {
                        let length =
                            i64::from(pair.iter().rev().copied().reduce(|end, start| end - start).unwrap_or(0));
                        lengths.push(length);
                        self.group.collection(length.unsigned_abs());
                    }
                    let bound =
                        |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
                    below.push(bound(ends.first())..bound(ends.last()));
                }
                for (column, array) in self.children.iter_mut().zip(items) {
                    column.write(&array, &below);
                }
            }
        }
    }

    /// Ends the row group under way: its statistics and where it begins become an entry of the index. Whole chunks must be
    /// packed between this and [`begin_group`](Self::begin_group).
    pub(super) fn end_group(&mut self) {
        if let Shape::Leaf(leaf) = &mut self.shape {
            leaf.end_group();
        }
        self.flush();
        let mut start = std::mem::take(&mut self.start);
        if self.entries.is_empty() {
            // Whatever the streams turned out to be, the first group begins where they do.
            start = self.positions();
            start.present.fill(0);
            start.values.fill(0);
        }
        let group = self.group.take();
        self.entries.push(Entry { start, statistics: group.message() });
        self.stripe.merge(&group);
        if let Some(bloom) = &mut self.bloom {
            self.blooms.push(bloom.take());
        }
        self.children.iter_mut().for_each(Self::end_group);
    }

    /// Notes where the next row group begins.
    pub(super) fn begin_group(&mut self) {
        self.start = self.positions();
        self.children.iter_mut().for_each(Self::begin_group);
    }

    fn flush(&mut self) {
        self.present.flush();
        match &mut self.shape {
            Shape::Leaf(leaf) => leaf.flush(),
            Shape::Struct => {}
            Shape::Items(_, lengths) => lengths.flush(),
        }
    }

    fn positions(&self) -> Positions {
        let mut positions = Positions::default();
        self.present.position(&mut positions.present);
        match &self.shape {
            Shape::Leaf(leaf) => leaf.position(&mut positions.values),
            Shape::Struct => {}
            Shape::Items(_, lengths) => lengths.position(&mut positions.values),
        }
        positions
    }

    /// Ends the stripe, whose last row group must have ended; not the columns below.
    pub(super) fn end_stripe(&mut self) -> Ended {
        self.present.end();
        let encoding = match &mut self.shape {
            Shape::Leaf(leaf) => leaf.end_stripe(),
            Shape::Struct => leaves::direct(EncodingKind::Direct),
            Shape::Items(version, lengths) => {
                lengths.flush();
                leaves::encoding(*version)
            }
        };
        let bloom_encoding = self.bloom.is_some().then_some(BLOOMS_OVER_UTF8);
        let present = std::mem::take(&mut self.absent);
        let entry = self.entries.drain(..).map(|Entry { start, statistics }| {
            let before = if present { start.present } else { Vec::new() };
            proto::RowIndexEntry { positions: [before, start.values].concat(), statistics: Some(statistics) }
        });
        let index = proto::RowIndex { entry: entry.collect() };
        let bloom_filter = std::mem::take(&mut self.blooms);
        let blooms = self.bloom.is_some().then_some(proto::BloomFilterIndex { bloom_filter });
        let stripe = self.stripe.take();
        self.file.merge(&stripe);
        self.start = Positions::default();
        let encoding = ColumnEncoding { bloom_encoding, ..encoding };
        Ended { index, blooms, statistics: stripe.message(), encoding, present }
    }

    /// The streams, that of presence first.
    pub(super) fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        let mut streams = vec![(StreamKind::Present, self.present.stream())];
        match &mut self.shape {
            Shape::Leaf(leaf) => streams.extend(leaf.streams()),
            Shape::Struct => {}
            Shape::Items(_, lengths) => streams.push((StreamKind::Length, lengths.stream())),
        }
        streams
    }

    /// Of the whole file.
    pub(super) fn statistics(&self) -> proto::ColumnStatistics {
        self.file.message()
    }

    /// Bytes held now, those below included.
    pub(super) fn memory_bytes(&self) -> usize {
        let own = match &self.shape {
            Shape::Leaf(leaf) => leaf.memory_bytes(),
            Shape::Struct => 0,
            Shape::Items(_, lengths) => lengths.memory_bytes(),
        };
        let bloom = self.bloom.as_ref().map_or(0, Bloom::memory_bytes);
        let index = (self.entries.len() + 1) * (ENTRY_BYTES + bloom);
        let below = self.children.iter().map(Self::memory_bytes).sum::<usize>();
        self.present.memory_bytes() + own + index + below
    }
}

/// Offsets of a list's or map's items, and the arrays they are in.
fn items(array: &ArrayRef) -> (&[i32], Vec<ArrayRef>) {
    if let Some(map) = array.as_map_opt() {
        (map.value_offsets(), vec![Arc::clone(map.keys()), Arc::clone(map.values())])
    } else {
        let list = array.as_list::<i32>();
        (list.value_offsets(), vec![Arc::clone(list.values())])
    }
}

/// Filters of strings are over their UTF-8, those of timestamps over UTC.
const BLOOMS_OVER_UTF8: u32 = 1;

/// Positions and statistics of a row group.
const ENTRY_BYTES: usize = 512;
