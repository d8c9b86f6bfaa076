//! Booleans, integers, floating-point numbers, dates.

use std::marker::PhantomData;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Date32Type, Int8Type};
use arrow_array::{Array, BooleanArray};

use super::{Leaf, Seen, chosen, direct, encoding};
use crate::formats::orc::integers::Integers;
use crate::formats::orc::proto::{ColumnEncoding, EncodingKind, StreamKind};
use crate::formats::orc::runs::{BitRuns, ByteRuns};
use crate::formats::orc::stream::Stream;
use crate::formats::orc::{Compression, FormatVersion};

/// boolean.
pub(in crate::formats::orc) struct Booleans(BitRuns);

impl Booleans {
    pub(in crate::formats::orc) fn new(compression: Compression) -> Self {
        Self(BitRuns::new(compression))
    }
}

impl Leaf for Booleans {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        let array: &BooleanArray = array.as_boolean();
        for run in rows {
            let bits = array.values().slice(run.start, run.len());
            seen.statistics.trues(bits.count_set_bits());
            bits.iter().for_each(|bit| self.0.push(bit));
        }
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.0.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.0.end();
        direct(EncodingKind::Direct)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, self.0.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }
}

/// tinyint.
pub(in crate::formats::orc) struct Bytes(ByteRuns);

impl Bytes {
    pub(in crate::formats::orc) fn new(compression: Compression) -> Self {
        Self(ByteRuns::new(compression))
    }
}

impl Leaf for Bytes {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        for value in chosen(array.as_primitive::<Int8Type>().values(), rows) {
            self.0.push(value.cast_unsigned());
            seen.statistics.integer((*value).into());
            if let Some(bloom) = &mut seen.bloom {
                bloom.integer((*value).into());
            }
        }
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.0.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.0.flush();
        direct(EncodingKind::Direct)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, self.0.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }
}

/// smallint, int, bigint.
pub(in crate::formats::orc) struct Whole<T> {
    version: FormatVersion,
    integers: Integers,
    of: PhantomData<fn() -> T>,
}

impl<T> Whole<T> {
    pub(in crate::formats::orc) fn new(version: FormatVersion, compression: Compression) -> Self {
        Self { version, integers: Integers::signed(version, compression), of: PhantomData }
    }
}

impl<T: ArrowPrimitiveType<Native: Into<i64>>> Leaf for Whole<T> {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        for value in chosen(array.as_primitive::<T>().values(), rows) {
            let value = (*value).into();
            self.integers.push(value);
            seen.statistics.integer(value);
            if let Some(bloom) = &mut seen.bloom {
                bloom.integer(value);
            }
        }
    }

    fn flush(&mut self) {
        self.integers.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.integers.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.integers.flush();
        encoding(self.version)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, self.integers.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.integers.memory_bytes()
    }
}

/// date: integers, but for their statistics.
pub(in crate::formats::orc) struct Dates(Whole<Date32Type>);

impl Dates {
    pub(in crate::formats::orc) fn new(version: FormatVersion, compression: Compression) -> Self {
        Self(Whole::new(version, compression))
    }
}

impl Leaf for Dates {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        let days = array.as_primitive::<Date32Type>().values();
        chosen(days, rows).for_each(|days| seen.statistics.date(*days));
        // The statistics are not those of integers, which lets these pass.
        self.0.write(array, rows, seen);
    }

    fn flush(&mut self) {
        self.0.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.0.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.0.end_stripe()
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        self.0.streams()
    }

    fn memory_bytes(&self) -> usize {
        self.0.memory_bytes()
    }
}

/// A floating-point number as files hold it.
pub(in crate::formats::orc) trait LittleEndian: Copy + Into<f64> {
    fn append_to(self, bytes: &mut Vec<u8>);
}

impl LittleEndian for f32 {
    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }
}

impl LittleEndian for f64 {
    fn append_to(self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.to_le_bytes());
    }
}

/// float and double: four or eight bytes a value, little-endian.
pub(in crate::formats::orc) struct Floats<T> {
    stream: Stream,
    of: PhantomData<fn() -> T>,
}

impl<T> Floats<T> {
    pub(in crate::formats::orc) fn new(compression: Compression) -> Self {
        Self { stream: Stream::new(compression), of: PhantomData }
    }
}

impl<T: ArrowPrimitiveType<Native: LittleEndian>> Leaf for Floats<T> {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        for value in chosen(array.as_primitive::<T>().values(), rows) {
            value.append_to(self.stream.bytes());
            see(seen, (*value).into());
        }
    }

    fn flush(&mut self) {}

    fn position(&self, positions: &mut Vec<u64>) {
        self.stream.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        direct(EncodingKind::Direct)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, &mut self.stream)]
    }

    fn memory_bytes(&self) -> usize {
        self.stream.memory_bytes()
    }
}

fn see(seen: &mut Seen<'_>, value: f64) {
    seen.statistics.float(value);
    if let Some(bloom) = &mut seen.bloom {
        bloom.float(value);
    }
}
