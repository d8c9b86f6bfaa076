//! Snappy as AWS means it: the stream of xerial's snappy-java, not snappy's own framing.
//!
//! | Bytes | Field | Value |
//! |---|---|---|
//! | 8 | magic | `82 53 4E 41 50 50 59 00` |
//! | 4 | version | 1, big-endian |
//! | 4 | oldest compatible version | 1, big-endian |
//! | | blocks | each: length (4, big-endian), raw snappy of up to 32 KiB |
//!
//! Source: <https://github.com/xerial/snappy-java> (`SnappyOutputStream`, `SnappyCodec`)

use hydrant_model::Compression;
use snap::raw::{Encoder as Engine, max_compress_len};

use crate::compression::blocks::Blocks;
use crate::compression::{Codec, Encoder, Error};

/// Snappy.
pub const CODEC: Codec = Codec {
    compression: Compression::Snappy,
    memory_bytes: |_| BLOCK_BYTES + Chunks::memory_bytes(BLOCK_BYTES) + HEADER.len(),
    most_bytes: |input| (HEADER.len() as u64).saturating_add(most_block_bytes(input, BLOCK_BYTES as u64, 4)),
    open: |_| {
        Ok(Box::new(Snappy {
            header: HEADER.to_vec(),
            blocks: Blocks::of(BLOCK_BYTES),
            chunks: Chunks::up_to(BLOCK_BYTES),
        }))
    },
};

struct Snappy {
    /// Emptied by the first call that has somewhere to put it.
    header: Vec<u8>,
    blocks: Blocks,
    chunks: Chunks,
}

impl Encoder for Snappy {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.append(&mut self.header);
        self.blocks.take(input, |block| self.chunks.pack(block, out))
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        out.append(&mut self.header);
        match self.blocks.rest() {
            [] => Ok(()),
            rest => self.chunks.pack(rest, out),
        }
    }
}

/// Makes of a block its packed length, four bytes big-endian, and raw snappy: the unit of both snappy containers.
pub(crate) struct Chunks {
    engine: Engine,
    /// The engine wants initialised room for the worst case; a buffer kept for that is cheaper than zeroing as much of the
    /// caller's for every block.
    room: Vec<u8>,
}

impl Chunks {
    /// For blocks of up to `block_bytes`.
    pub(crate) fn up_to(block_bytes: usize) -> Self {
        Self { engine: Engine::new(), room: vec![0; max_compress_len(block_bytes)] }
    }

    /// What is held for blocks of up to `block_bytes`.
    pub(crate) fn memory_bytes(block_bytes: usize) -> usize {
        max_compress_len(block_bytes) + ENGINE_BYTES
    }

    /// Appends `block`, packed.
    pub(crate) fn pack(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let length = self.engine.compress(block, &mut self.room).map_err(|error| Error::engine("snappy", error))?;
        let prefix = u32::try_from(length).map_err(|error| Error::engine("snappy", error))?;
        out.extend_from_slice(&prefix.to_be_bytes());
        out.extend_from_slice(self.room.get(..length).unwrap_or_default());
        Ok(())
    }
}

/// The most bytes of `input` packed in blocks of `block` bytes with `prefix` bytes before each: snappy's bound is
/// 32 + n + n/6 a block.
pub(crate) fn most_block_bytes(input: u64, block: u64, prefix: u64) -> u64 {
    let blocks = input.div_ceil(block);
    input.saturating_add(input / 6).saturating_add(blocks.saturating_mul(32 + prefix))
}

/// The engine's two hash tables.
const ENGINE_BYTES: usize = 36 * 1024;

/// snappy-java's default block.
const BLOCK_BYTES: usize = 32 * 1024;

const HEADER: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Options, packed};

    #[test]
    fn a_small_stream_is_byte_for_byte_what_the_format_says() {
        // Raw snappy of five bytes: length 5, one literal of 5 bytes (tag 4 << 2).
        assert_eq!(
            packed(&CODEC, &Options::new("e", 0), b"hello"),
            b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\0\x07\x05\x10hello"
        );
    }

    #[test]
    fn no_records_are_the_header_alone() {
        assert_eq!(packed(&CODEC, &Options::new("e", 0), b""), HEADER);
    }

    #[test]
    fn a_block_holds_32_kib_of_input() {
        let packed = packed(&CODEC, &Options::new("e", 0), &vec![b'a'; BLOCK_BYTES + 1]);
        let first = u32::from_be_bytes(packed[16..20].try_into().unwrap()) as usize;
        assert_eq!(snap::raw::decompress_len(&packed[20..20 + first]), Ok(BLOCK_BYTES));
        assert_eq!(&packed[20 + first..], b"\0\0\0\x03\x01\0a");
    }
}
