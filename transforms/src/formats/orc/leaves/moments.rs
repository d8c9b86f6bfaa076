//! Timestamps and decimals: two streams each.

use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, TimestampNanosecondType};

use super::{Leaf, Seen, chosen, encoding};
use crate::formats::orc::integers::{Integers, wide_varint};
use crate::formats::orc::proto::{ColumnEncoding, StreamKind};
use crate::formats::orc::statistics::decimal_text;
use crate::formats::orc::stream::Stream;
use crate::formats::orc::{Compression, FormatVersion};

/// timestamp: seconds since 2015, and nanoseconds with their trailing zeros counted.
pub(in crate::formats::orc) struct Timestamps {
    version: FormatVersion,
    seconds: Integers,
    nanos: Integers,
}

impl Timestamps {
    pub(in crate::formats::orc) fn new(version: FormatVersion, compression: Compression) -> Self {
        let seconds = Integers::signed(version, compression);
        Self { version, seconds, nanos: Integers::unsigned(version, compression) }
    }
}

impl Leaf for Timestamps {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        for nanos in chosen(array.as_primitive::<TimestampNanosecondType>().values(), rows) {
            let nanos = representable(*nanos);
            let (seconds, rest) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
            // Readers take a second off again where the time is before 1970 and a millisecond or more is to be added.
            let carried = i64::from(seconds < 0 && rest >= MILLISECOND);
            self.seconds.push(seconds + carried - EPOCH_2015);
            self.nanos.push(without_zeros(rest));
            seen.statistics.timestamp(nanos);
            if let Some(bloom) = &mut seen.bloom {
                bloom.integer(nanos.div_euclid(MILLISECOND));
            }
        }
    }

    fn flush(&mut self) {
        self.seconds.flush();
        self.nanos.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.seconds.position(positions);
        self.nanos.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.flush();
        encoding(self.version)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, self.seconds.stream()), (StreamKind::Secondary, self.nanos.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.seconds.memory_bytes() + self.nanos.memory_bytes()
    }
}

/// The nearest time that the format can hold: in the last second before 1970 only its first millisecond has a form, as readers
/// cannot tell the rest from the second after.
fn representable(nanos: i64) -> i64 {
    match nanos {
        -999_000_000..-500_000_000 => MILLISECOND - SECOND - 1,
        -500_000_000..0 => 0,
        _ => nanos,
    }
}

/// Nanoseconds above three bits that say how many zeros were cut off, less one; one zero stays.
fn without_zeros(nanos: i64) -> i64 {
    let mut digits = nanos;
    let mut zeros = 0;
    while digits != 0 && digits % 10 == 0 && zeros < 8 {
        digits /= 10;
        zeros += 1;
    }
    if zeros < 2 { nanos << 3 } else { digits << 3 | (zeros - 1) }
}

/// decimal(p,s): unscaled values of any length, and the scale of each.
pub(in crate::formats::orc) struct Decimals {
    version: FormatVersion,
    scale: i8,
    values: Stream,
    scales: Integers,
}

impl Decimals {
    pub(in crate::formats::orc) fn new(scale: i8, version: FormatVersion, compression: Compression) -> Self {
        let scales = Integers::signed(version, compression);
        Self { version, scale, values: Stream::new(compression), scales }
    }
}

impl Leaf for Decimals {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        for value in chosen(array.as_primitive::<Decimal128Type>().values(), rows) {
            let zigzag = (value.cast_unsigned() << 1) ^ (value >> 127).cast_unsigned();
            wide_varint(zigzag, self.values.bytes());
            self.scales.push(self.scale.into());
            seen.statistics.decimal(*value);
            if let Some(bloom) = &mut seen.bloom {
                bloom.bytes(decimal_text(*value, self.scale).as_bytes());
            }
        }
    }

    fn flush(&mut self) {
        self.scales.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.values.position(positions);
        self.scales.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.flush();
        encoding(self.version)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        vec![(StreamKind::Data, &mut self.values), (StreamKind::Secondary, self.scales.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes() + self.scales.memory_bytes()
    }
}

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;

/// 2015-01-01 00:00:00 UTC.
const EPOCH_2015: i64 = 1_420_070_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_stored_without_their_trailing_zeros() {
        // The examples of the specification: 1000 ns is 0x0a, 100000 ns is 0x0c.
        assert_eq!([1_000, 100_000].map(without_zeros), [0x0a, 0x0c]);
        assert_eq!(
            [0, 1, 10, 100, 999_999_990, 900_000_000].map(without_zeros),
            [0, 8, 80, 9, 999_999_990 << 3, 9 << 3 | 7]
        );
    }

    #[test]
    fn what_the_format_cannot_hold_is_moved_to_the_nearest_time_it_can() {
        let moved = [-1, -499_999_999, -500_000_001, -999_000_000, -999_000_001, -1_000_000_000, 1].map(representable);
        assert_eq!(moved, [0, 0, -999_000_001, -999_000_001, -999_000_001, -1_000_000_000, 1]);
    }
}
