//! A stream of a stripe, compressed chunk by chunk while it grows.
//!
//! | Bytes | Field | Value |
//! |---|---|---|
//! | 3 | header | little-endian: length of the chunk, times 2, plus 1 where it is stored as it is |
//! | | chunk | raw deflate or raw snappy of up to 256 KiB, or those bytes themselves where packing does not make them fewer |
//!
//! Without compression a stream is its bytes alone.

use libdeflater::{CompressionLvl, Compressor};
use snap::raw::{Encoder as Snappy, max_compress_len};

use super::Compression;
use crate::formats::{FormatError, Pieces};

/// Bytes on their way into the file.
pub(super) struct Stream {
    compressed: bool,
    /// What is not packed yet: less than a chunk, after [`pack`](Self::pack).
    raw: Vec<u8>,
    /// Pieces of their exact size: one buffer that grows would take up to twice as much, and more while it grows.
    packed: Vec<Vec<u8>>,
    packed_bytes: usize,
}

impl Stream {
    pub(super) fn new(compression: Compression) -> Self {
        Self { compressed: compression != Compression::None, raw: Vec::new(), packed: Vec::new(), packed_bytes: 0 }
    }

    /// The bytes, to append to.
    pub(super) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Appends where the next byte will be, as row indexes say it. Whole chunks must have been packed.
    pub(super) fn position(&self, positions: &mut Vec<u64>) {
        if self.compressed {
            positions.push(self.packed_bytes as u64);
            positions.push(self.raw.len() as u64);
        } else {
            positions.push((self.packed_bytes + self.raw.len()) as u64);
        }
    }

    /// Packs the whole chunks.
    pub(super) fn pack(&mut self, packer: &mut Packer) -> Result<(), FormatError> {
        if self.raw.len() < CHUNK_BYTES {
            return Ok(());
        }
        let whole = self.raw.len() - self.raw.len() % CHUNK_BYTES;
        for chunk in self.raw.drain(..whole).as_slice().chunks(CHUNK_BYTES) {
            let piece = packer.packed(chunk)?;
            self.packed_bytes += piece.len();
            self.packed.push(piece);
        }
        // Long values may have made it far larger than a chunk.
        self.raw.shrink_to(CHUNK_BYTES);
        Ok(())
    }

    /// Packs everything.
    pub(super) fn end(&mut self, packer: &mut Packer) -> Result<(), FormatError> {
        self.pack(packer)?;
        if !self.raw.is_empty() {
            let piece = packer.packed(&self.raw)?;
            self.packed_bytes += piece.len();
            self.packed.push(piece);
            self.raw.clear();
        }
        Ok(())
    }

    /// Appends the whole stream to the file and starts anew. It must have been ended.
    pub(super) fn move_to(&mut self, out: &mut Pieces) {
        self.packed.drain(..).for_each(|piece| out.extend_from_slice(&piece));
        self.packed_bytes = 0;
    }

    /// Bytes of the stream once it has ended.
    pub(super) fn packed_bytes(&self) -> u64 {
        self.packed_bytes as u64
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.raw.capacity() + self.packed_bytes + self.packed.capacity() * size_of::<Vec<u8>>()
    }
}

/// Compresses chunks, for all streams of a file in turn.
pub(super) struct Packer {
    engine: Engine,
    /// Room for a packed chunk: the engines want it initialised.
    room: Vec<u8>,
}

enum Engine {
    None,
    Deflate(Box<Compressor>),
    Snappy(Box<Snappy>),
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Result<Self, FormatError> {
        let (engine, room) = match compression {
            Compression::None => (Engine::None, 0),
            Compression::Zlib => {
                let level = CompressionLvl::new(DEFLATE_LEVEL);
                let level = level.map_err(|error| FormatError::engine("ORC", format!("{error:?}")))?;
                (Engine::Deflate(Box::new(Compressor::new(level))), CHUNK_BYTES)
            }
            Compression::Snappy => (Engine::Snappy(Box::new(Snappy::new())), max_compress_len(CHUNK_BYTES)),
        };
        Ok(Self { engine, room: vec![0; room] })
    }

    /// Appends `message` as a section of the file of its own.
    pub(super) fn section(&mut self, message: &impl prost::Message, out: &mut Pieces) -> Result<u64, FormatError> {
        let mut section = message.encode_to_vec();
        if !matches!(self.engine, Engine::None) {
            let mut packed = Vec::new();
            section.chunks(CHUNK_BYTES).try_for_each(|chunk| self.chunk(chunk, &mut packed))?;
            section = packed;
        }
        out.extend_from_slice(&section);
        Ok(section.len() as u64)
    }

    /// A chunk, in a buffer of its own.
    fn packed(&mut self, raw: &[u8]) -> Result<Vec<u8>, FormatError> {
        if matches!(self.engine, Engine::None) {
            return Ok(raw.to_vec());
        }
        let mut out = Vec::new();
        self.chunk(raw, &mut out)?;
        Ok(out)
    }

    fn chunk(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), FormatError> {
        let packed = match &mut self.engine {
            Engine::None => None,
            // More than there is room for is not worth having.
            Engine::Deflate(engine) => engine.deflate_compress(raw, &mut self.room).ok(),
            Engine::Snappy(engine) => {
                Some(engine.compress(raw, &mut self.room).map_err(|error| FormatError::engine("ORC", error))?)
            }
        };
        let packed = packed.and_then(|length| self.room.get(..length)).filter(|packed| packed.len() < raw.len());
        let (chunk, original) = packed.map_or((raw, 1), |packed| (packed, 0));
        let header = u32::try_from(chunk.len() << 1 | original).map_err(|error| FormatError::engine("ORC", error))?;
        out.reserve(3 + chunk.len());
        out.extend(header.to_le_bytes().into_iter().take(3));
        out.extend_from_slice(chunk);
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let engine = match self.engine {
            Engine::None => 0,
            Engine::Deflate(_) => DEFLATE_BYTES,
            Engine::Snappy(_) => SNAPPY_BYTES,
        };
        engine + self.room.len()
    }
}

/// `compressionBlockSize`: that of other writers.
pub(super) const CHUNK_BYTES: usize = 256 * 1024;

const DEFLATE_LEVEL: i32 = 6;
const DEFLATE_BYTES: usize = 1024 * 1024;
const SNAPPY_BYTES: usize = 36 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_that_cannot_be_packed_is_stored_as_it_is() {
        // The example of the specification: 5 bytes stored are headed by 0b 00 00.
        for compression in [Compression::Zlib, Compression::Snappy] {
            let mut stream = Stream::new(compression);
            stream.bytes().extend_from_slice(b"abcde");
            assert_eq!(ended(stream, compression), b"\x0b\0\0abcde");
        }
    }

    #[test]
    fn a_packed_chunk_says_its_length() {
        let mut stream = Stream::new(Compression::Snappy);
        stream.bytes().extend_from_slice(&vec![7; 100_000]);
        let packed = ended(stream, Compression::Snappy);
        let header = u32::from_le_bytes([packed[0], packed[1], packed[2], 0]);
        assert_eq!((header & 1, (header >> 1) as usize), (0, packed.len() - 3));
        assert_eq!(snap::raw::Decoder::new().decompress_vec(&packed[3..]).unwrap(), vec![7; 100_000]);
    }

    #[test]
    fn positions_name_the_chunk_and_the_byte_within() {
        let mut packer = Packer::new(Compression::Snappy).unwrap();
        let mut stream = Stream::new(Compression::Snappy);
        let mut positions = Vec::new();
        stream.position(&mut positions);
        stream.bytes().extend(std::iter::repeat_n(0, CHUNK_BYTES + 9));
        stream.pack(&mut packer).unwrap();
        stream.position(&mut positions);
        assert_eq!(positions, [0, 0, stream.packed_bytes(), 9]);
        let mut plain = Stream::new(Compression::None);
        plain.bytes().extend_from_slice(b"12345");
        positions.clear();
        plain.position(&mut positions);
        assert_eq!(positions, [5]);
    }

    fn ended(mut stream: Stream, compression: Compression) -> Vec<u8> {
        stream.end(&mut Packer::new(compression).unwrap()).unwrap();
        let (mut pieces, mut out) = (Pieces::default(), Vec::new());
        stream.move_to(&mut pieces);
        pieces.take(usize::MAX, &mut out);
        out
    }
}
