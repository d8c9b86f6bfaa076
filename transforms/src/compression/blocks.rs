//! Cutting a stream of slices into blocks of one size, for containers whose unit is a block.

use crate::compression::Error;

/// Gives out whole blocks of `size` bytes, counted from the start of the stream, so that where the slices end leaves no
/// trace. A block that lies whole in a slice is given out from there; only one that spans slices is gathered first.
pub(crate) struct Blocks {
    size: usize,
    pending: Vec<u8>,
}

impl Blocks {
    /// Blocks of `size` bytes; as many are held.
    pub(crate) fn of(size: usize) -> Self {
        Self { size, pending: Vec::with_capacity(size) }
    }

    /// Takes `input` and calls `pack` with each block that it completes.
    pub(crate) fn take(&mut self, input: &[u8], mut pack: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut input = input;
        if !self.pending.is_empty() {
            let missing = self.size - self.pending.len();
            let (head, rest) = input.split_at_checked(missing).unwrap_or((input, &[]));
            self.pending.extend_from_slice(head);
            input = rest;
            if self.pending.len() < self.size {
                return Ok(());
            }
            pack(&self.pending)?;
            self.pending.clear();
        }
        let whole = input.chunks_exact(self.size);
        let rest = whole.remainder();
        for block in whole {
            pack(block)?;
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// What is left at the end: shorter than a block, empty where the stream ended with one.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_the_same_however_the_stream_was_cut() {
        let stream: Vec<u8> = (0..100).collect();
        for cut in 1..=stream.len() {
            let mut blocks = Blocks::of(16);
            let mut seen = Vec::new();
            for slice in stream.chunks(cut) {
                blocks
                    .take(slice, |block| {
                        seen.push(block.to_vec());
                        Ok(())
                    })
                    .unwrap();
            }
            let expected: Vec<_> = stream.chunks_exact(16).map(<[u8]>::to_vec).collect();
            assert_eq!(seen, expected, "slices of {cut}");
            assert_eq!(blocks.rest(), &stream[96..]);
        }
    }

    #[test]
    fn a_stream_that_ends_with_a_block_leaves_nothing() {
        let mut blocks = Blocks::of(4);
        blocks.take(&[1, 2, 3, 4], |_| Ok(())).unwrap();
        assert!(blocks.rest().is_empty());
    }
}
