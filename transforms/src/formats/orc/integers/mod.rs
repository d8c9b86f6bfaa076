//! Streams of integers: gathered, and encoded in blocks in the file's version of run-length encoding.

mod v1;
mod v2;

use super::stream::Stream;
use super::{Compression, FormatVersion};

/// A stream of integers.
pub(super) struct Integers {
    /// Whether they may be negative. Those of a stream that may not are lengths, sizes, indexes.
    signed: bool,
    version: FormatVersion,
    pending: Vec<i64>,
    stream: Stream,
}

impl Integers {
    pub(super) fn signed(version: FormatVersion, compression: Compression) -> Self {
        Self { signed: true, version, pending: Vec::new(), stream: Stream::new(compression) }
    }

    pub(super) fn unsigned(version: FormatVersion, compression: Compression) -> Self {
        Self { signed: false, ..Self::signed(version, compression) }
    }

    pub(super) fn push(&mut self, value: i64) {
        self.pending.push(value);
        if self.pending.len() >= BLOCK {
            self.flush();
        }
    }

    /// Ends the run under way.
    pub(super) fn flush(&mut self) {
        match self.version {
            FormatVersion::V0_11 => v1::encode(&self.pending, self.signed, self.stream.bytes()),
            FormatVersion::V0_12 => v2::encode(&self.pending, self.signed, self.stream.bytes()),
        }
        self.pending.clear();
    }

    /// Appends where the next value will be; runs must have been flushed.
    pub(super) fn position(&self, positions: &mut Vec<u64>) {
        self.stream.position(positions);
        positions.push(0);
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pending.capacity() * size_of::<i64>() + self.stream.memory_bytes()
    }
}

/// Zigzag: 0, −1, 1, −2, … become 0, 1, 2, 3, ….
pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

/// Appends `value`, seven bits a byte, the lowest first.
pub(super) fn varint(value: u64, out: &mut Vec<u8>) {
    wide_varint(value.into(), out);
}

/// As [`varint`].
pub(super) fn wide_varint(mut value: u128, out: &mut Vec<u8>) {
    loop {
        let low = low_seven_bits(value);
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

fn low_seven_bits(value: u128) -> u8 {
    (value & 0x7f) as u8
}

/// What a value is in a stream of this kind, before its bits are packed.
fn plain(value: i64, signed: bool) -> u64 {
    if signed { zigzag(value) } else { value.cast_unsigned() }
}

/// The longest run of version 2.
const BLOCK: usize = 512;
