//! Bytes of a file that are made and not taken yet.

use std::collections::VecDeque;
use std::io::{self, Write};

/// Bytes one behind the other, in pieces: a row group that moves here from its columns, and from here to whoever takes it, is
/// there once, and what is taken gives its memory back. One buffer that grows would be there twice, and more while it grows.
#[derive(Debug, Default)]
pub struct Pieces {
    list: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Pieces {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Adds `bytes` at the end.
    pub(super) fn extend_from_slice(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            let room = self.list.back().map_or(0, |last| last.capacity() - last.len());
            let (here, rest) = bytes.split_at(room.min(bytes.len()));
            if let Some(last) = self.list.back_mut() {
                last.extend_from_slice(here);
            }
            bytes = rest;
            if !bytes.is_empty() {
                self.list.push_back(Vec::with_capacity(PIECE_BYTES));
            }
        }
    }

    /// Moves the first pieces to `out`: all of them, or as many as it takes for `least` bytes.
    pub fn take(&mut self, least: usize, out: &mut Vec<u8>) {
        let before = out.len();
        while out.len() - before < least
            && let Some(piece) = self.list.pop_front()
        {
            self.bytes -= piece.len();
            out.extend_from_slice(&piece);
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.list.iter().map(Vec::capacity).sum()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Of one piece: enough that there are few, and little beside a row group.
const PIECE_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_taken_in_its_order_piece_by_piece() {
        let mut pieces = Pieces::default();
        let bytes: Vec<u8> = (0..=250).cycle().take(3 * PIECE_BYTES + 7).collect();
        for part in bytes.chunks(100_000) {
            pieces.extend_from_slice(part);
        }
        assert_eq!((pieces.len(), pieces.memory_bytes()), (bytes.len(), 4 * PIECE_BYTES));
        let mut out = b"before".to_vec();
        pieces.take(1, &mut out);
        assert_eq!((out.len(), pieces.memory_bytes()), (6 + PIECE_BYTES, 3 * PIECE_BYTES));
        pieces.take(PIECE_BYTES + 1, &mut out);
        assert_eq!(out.len(), 6 + 3 * PIECE_BYTES);
        pieces.extend_from_slice(b"after");
        pieces.take(usize::MAX, &mut out);
        assert!(pieces.is_empty() && out[6..] == [bytes.as_slice(), b"after"].concat());
    }
}
