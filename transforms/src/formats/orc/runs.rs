//! Streams of bytes and of bits, run-length encoded.
//!
//! | Control byte | Then | Meaning |
//! |---|---|---|
//! | 0 to 127 | 1 byte | that byte, control + 3 times |
//! | −1 to −128 | −control bytes | those bytes |
//!
//! Bits are packed into bytes, the highest first, and those are encoded so.
//!
//! Source: <https://orc.apache.org/specification/ORCv1/> (Byte Run Length Encoding, Boolean Run Length Encoding)

use super::Compression;
use super::stream::Stream;

/// A stream of bytes.
pub(super) struct ByteRuns {
    pending: Vec<u8>,
    stream: Stream,
}

impl ByteRuns {
    pub(super) fn new(compression: Compression) -> Self {
        Self { pending: Vec::new(), stream: Stream::new(compression) }
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.pending.push(byte);
        if self.pending.len() >= MOST_PENDING {
            self.flush();
        }
    }

    /// Ends the run under way.
    pub(super) fn flush(&mut self) {
        encode(&self.pending, self.stream.bytes());
        self.pending.clear();
    }

    /// Appends where the next byte will be; runs must have been flushed.
    pub(super) fn position(&self, positions: &mut Vec<u64>) {
        self.stream.position(positions);
        positions.push(0);
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.pending.capacity() + self.stream.memory_bytes()
    }
}

/// A stream of bits.
pub(super) struct BitRuns {
    bytes: ByteRuns,
    /// The byte under way, its `filled` highest bits in use.
    byte: u8,
    filled: u8,
}

impl BitRuns {
    pub(super) fn new(compression: Compression) -> Self {
        Self { bytes: ByteRuns::new(compression), byte: 0, filled: 0 }
    }

    pub(super) fn push(&mut self, bit: bool) {
        self.byte |= u8::from(bit) << (7 - self.filled);
        self.filled += 1;
        if self.filled == 8 {
            self.bytes.push(self.byte);
            (self.byte, self.filled) = (0, 0);
        }
    }

    /// Adds so many bits that are the same.
    pub(super) fn push_run(&mut self, bit: bool, mut count: usize) {
        while count > 0 {
            if self.filled == 0 && count >= 8 {
                self.bytes.push(if bit { u8::MAX } else { 0 });
                count -= 8;
            } else {
                self.push(bit);
                count -= 1;
            }
        }
    }

    /// Ends the run of whole bytes; the byte under way stays under way.
    pub(super) fn flush(&mut self) {
        self.bytes.flush();
    }

    /// Appends where the next bit will be; runs must have been flushed.
    pub(super) fn position(&self, positions: &mut Vec<u64>) {
        self.bytes.position(positions);
        positions.push(self.filled.into());
    }

    /// Fills the last byte up. To be called at the end of a stripe only.
    pub(super) fn end(&mut self) {
        if self.filled > 0 {
            self.bytes.push(self.byte);
            (self.byte, self.filled) = (0, 0);
        }
        self.bytes.flush();
    }

    pub(super) fn stream(&mut self) -> &mut Stream {
        self.bytes.stream()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.memory_bytes()
    }
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    // Bytes of `rest` that stand before a run and make none.
    let mut loose = 0;
    for run in bytes.chunk_by(|one, other| one == other) {
        if run.len() < LEAST_RUN {
            loose += run.len();
            continue;
        }
        let (before, after) = rest.split_at(loose);
        literals(before, out);
        repeats(run, out);
        (rest, loose) = (after.split_at(run.len()).1, 0);
    }
    literals(rest, out);
}

fn repeats(run: &[u8], out: &mut Vec<u8>) {
    for part in run.chunks(MOST_RUN) {
        match (part.first(), part.len().checked_sub(LEAST_RUN).map(u8::try_from)) {
            (Some(byte), Some(Ok(control))) => out.extend([control, *byte]),
            // The end of a long run, too short to be one itself.
            _ => literals(part, out),
        }
    }
}

fn literals(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.chunks(MOST_LITERALS) {
        // 1 to 128, of which the negative is the control byte.
        out.push(u8::try_from(part.len()).unwrap_or_default().wrapping_neg());
        out.extend_from_slice(part);
    }
}

const LEAST_RUN: usize = 3;
const MOST_RUN: usize = 130;
const MOST_LITERALS: usize = 128;

/// Long enough that cutting runs at its end costs nothing.
const MOST_PENDING: usize = 2_048;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::orc::decoding;

    #[test]
    fn bytes_are_encoded_as_in_the_specification() {
        let encoded = |bytes: &[u8]| {
            let mut out = Vec::new();
            encode(bytes, &mut out);
            out
        };
        assert_eq!(encoded(&[0; 100]), [0x61, 0x00]);
        assert_eq!(encoded(&[0x44, 0x45]), [0xfe, 0x44, 0x45]);
        assert_eq!(encoded(&[]), [0; 0]);
    }

    #[test]
    fn bits_are_encoded_as_in_the_specification() {
        let mut bits = BitRuns::new(Compression::None);
        bits.push(true);
        bits.push_run(false, 7);
        bits.end();
        assert_eq!(*bits.stream().bytes(), [0xff, 0x80]);
    }

    proptest! {
        #[test]
        fn bytes_are_read_back(runs in prop::collection::vec((any::<u8>(), 1..400_usize), 0..20)) {
            let bytes: Vec<u8> = runs.iter().flat_map(|(byte, count)| std::iter::repeat_n(*byte, *count % 140)).collect();
            let mut out = Vec::new();
            encode(&bytes, &mut out);
            prop_assert_eq!(decoding::byte_runs(&out), bytes);
        }

        #[test]
        fn bits_are_read_back(runs in prop::collection::vec((any::<bool>(), 0..50_usize), 0..50)) {
            let bits: Vec<bool> = runs.iter().flat_map(|(bit, count)| std::iter::repeat_n(*bit, *count)).collect();
            let mut encoder = BitRuns::new(Compression::None);
            for (bit, count) in runs {
                encoder.push_run(bit, count);
            }
            encoder.end();
            let read: Vec<bool> = decoding::byte_runs(encoder.stream().bytes()).iter().flat_map(|byte| (0..8).map(move |at| byte << at & 0x80 != 0)).collect();
            prop_assert_eq!(read.get(..bits.len()), Some(bits.as_slice()));
            prop_assert!(read.len() < bits.len() + 8);
        }
    }
}
