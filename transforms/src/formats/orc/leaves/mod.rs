//! Columns of single values: how each type's values become streams.

mod moments;
mod numbers;
mod strings;

use std::ops::Range;

use arrow_array::Array;

pub(super) use self::moments::{Decimals, Timestamps};
pub(super) use self::numbers::{Booleans, Bytes, Dates, Floats, Whole};
pub(super) use self::strings::{Direct, Keyed};
use super::FormatVersion;
use super::bloom::Bloom;
use super::proto::{ColumnEncoding, EncodingKind, StreamKind};
use super::statistics::Statistics;
use super::stream::Stream;

/// Encodes the values of one column, those of null left out.
pub(super) trait Leaf: Send {
    /// Takes the values of `array` in `rows`, none of which is null.
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>);

    /// To be called when a row group ends, before [`flush`](Self::flush).
    fn end_group(&mut self);

    /// Ends the runs under way, so that the next value begins one.
    fn flush(&mut self);

    /// Appends where the next value will be, stream by stream; runs must have been flushed.
    fn position(&self, positions: &mut Vec<u64>);

    /// Finishes the stripe's streams, which must then be ended and moved; says how the stripe's values are encoded.
    fn end_stripe(&mut self) -> ColumnEncoding;

    /// The streams, in the order of their positions. After [`end_stripe`](Self::end_stripe), those of the stripe; else all that
    /// may be packed already.
    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)>;

    /// Bytes held now.
    fn memory_bytes(&self) -> usize;
}

/// Who is told of each value.
pub(super) struct Seen<'a> {
    /// Of the row group. The number of values is counted already.
    pub(super) statistics: &'a mut Statistics,
    /// Where the column has one.
    pub(super) bloom: Option<&'a mut Bloom>,
}

/// An encoding whose integers are of the file's version.
pub(super) fn encoding(version: FormatVersion) -> ColumnEncoding {
    direct(match version {
        FormatVersion::V0_11 => EncodingKind::Direct,
        FormatVersion::V0_12 => EncodingKind::DirectV2,
    })
}

/// An encoding without dictionary.
pub(super) fn direct(kind: EncodingKind) -> ColumnEncoding {
    ColumnEncoding { kind: Some(kind.into()), dictionary_size: None, bloom_encoding: None }
}

/// The values of `all` in `rows`, run by run.
fn chosen<'a, T>(all: &'a [T], rows: &'a [Range<usize>]) -> impl Iterator<Item = &'a T> {
    rows.iter().filter_map(|run| all.get(run.clone())).flatten()
}
