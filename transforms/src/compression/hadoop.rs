//! `HADOOP_SNAPPY`: what Hadoop's `SnappyCodec` writes through `BlockCompressorStream`.
//!
//! | Bytes | Field |
//! |---|---|
//! | 4 | bytes of the block before packing, big-endian |
//! | 4 | bytes of the chunk that follows, big-endian |
//! | | the chunk: raw snappy |
//!
//! repeated to the end. Hadoop allows several chunks in a block; hydrant writes one, as Hadoop does for streamed writes.
//! An object of no records is the length 0, as Hadoop writes it; nowhere else may a block of 0 bytes stand, because a reader
//! takes it for the end.
//!
//! Source: <https://github.com/apache/hadoop/blob/trunk/hadoop-common-project/hadoop-common/src/main/java/org/apache/hadoop/io/compress/BlockCompressorStream.java>

use hydrant_model::Compression;

use crate::compression::blocks::Blocks;
use crate::compression::snappy::{Chunks, most_block_bytes};
use crate::compression::{Codec, Encoder, Error};

/// `HADOOP_SNAPPY`.
pub const CODEC: Codec = Codec {
    compression: Compression::HadoopSnappy,
    memory_bytes: |_| BLOCK_BYTES + Chunks::memory_bytes(BLOCK_BYTES),
    most_bytes: |input| most_block_bytes(input, BLOCK_BYTES as u64, 8).saturating_add(4),
    open: |_| {
        Ok(Box::new(Hadoop { blocks: Blocks::of(BLOCK_BYTES), chunks: Chunks::up_to(BLOCK_BYTES), packed_any: false }))
    },
};

struct Hadoop {
    blocks: Blocks,
    chunks: Chunks,
    packed_any: bool,
}

impl Encoder for Hadoop {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.blocks.take(input, |block| {
            self.packed_any = true;
            pack(&mut self.chunks, block, out)
        })
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        match self.blocks.rest() {
            [] if self.packed_any => {}
            [] => out.extend_from_slice(&[0; 4]),
            rest => pack(&mut self.chunks, rest, out)?,
        }
        Ok(())
    }
}

fn pack(chunks: &mut Chunks, block: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let length = u32::try_from(block.len()).map_err(|error| Error::engine("snappy", error))?;
    out.extend_from_slice(&length.to_be_bytes());
    chunks.pack(block, out)
}

/// Hadoop's default buffer (`io.compression.codec.snappy.buffersize`), on both sides: neither a block nor its chunk may be
/// longer.
const BUFFER_BYTES: usize = 256 * 1024;

/// Input of a block: the buffer less what snappy may add at worst, with Hadoop's own arithmetic.
const BLOCK_BYTES: usize = BUFFER_BYTES - (BUFFER_BYTES / 6 + 32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compression::{Options, packed};

    #[test]
    fn a_small_stream_is_byte_for_byte_what_the_format_says() {
        assert_eq!(packed(&CODEC, &Options::new("e", 0), b"hello"), b"\0\0\0\x05\0\0\0\x07\x05\x10hello");
    }

    #[test]
    fn no_records_are_a_block_of_no_bytes_and_that_stands_nowhere_else() {
        assert_eq!(packed(&CODEC, &Options::new("e", 0), b""), [0; 4]);
        let packed = packed(&CODEC, &Options::new("e", 0), &vec![b'a'; BLOCK_BYTES]);
        let chunk = u32::from_be_bytes(packed[4..8].try_into().unwrap()) as usize;
        assert_eq!(packed.len(), 8 + chunk);
    }

    #[test]
    fn the_worst_block_fits_hadoops_buffer() {
        assert!(snap::raw::max_compress_len(BLOCK_BYTES) <= BUFFER_BYTES);
        assert_eq!(BLOCK_BYTES, 218_422);
    }
}
