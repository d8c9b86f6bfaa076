//! A header and one raw deflate stream, with the CRC-32 of what went in: a gzip member or zip entry up to its end.

use flate2::{Compress, Compression as Level, FlushCompress, Status};

use crate::compression::Error;
use crate::compression::blocks::Blocks;

/// zlib-rs, with the same bytes for the same input.
///
/// Some of its levels (1, 5 and 6 of version 0.6) choose other matches where a call's input ends. So the engine is given
/// equal blocks, counted from the start of the stream, and the same room for its output every time.
pub(crate) struct Deflate {
    /// Emptied by the first call that has somewhere to put it.
    header: Vec<u8>,
    blocks: Blocks,
    stream: Stream,
    crc: crc32fast::Hasher,
}

impl Deflate {
    /// A stream at `level`, 1 to 9, behind `header`.
    pub(crate) fn behind(header: Vec<u8>, level: u32) -> Self {
        let stream = Stream { engine: Compress::new(Level::new(level), false), room: vec![0; ROOM_BYTES] };
        Self { header, blocks: Blocks::of(BLOCK_BYTES), stream, crc: crc32fast::Hasher::new() }
    }

    /// Packs `input` and appends what is ready.
    pub(crate) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.append(&mut self.header);
        self.crc.update(input);
        self.blocks.take(input, |block| self.stream.write(block, out))
    }

    /// Appends the rest and the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        out.append(&mut self.header);
        self.stream.write(self.blocks.rest(), out)?;
        while self.stream.step(&[], out, FlushCompress::Finish)? != Status::StreamEnd {}
        Ok(())
    }

    /// CRC-32 of everything written.
    pub(crate) fn crc(&self) -> u32 {
        self.crc.clone().finalize()
    }

    /// Bytes that went in; known once finished.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.stream.engine.total_in()
    }

    /// Bytes that came out behind the header; known once finished.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.stream.engine.total_out()
    }
}

struct Stream {
    engine: Compress,
    /// flate2 zeroes all the room that it is given in a vector, at every call, before zlib-rs may write there; a buffer that
    /// is initialised once and copied from costs a tenth of that.
    room: Vec<u8>,
}

impl Stream {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut input = input;
        while !input.is_empty() {
            let before = self.engine.total_in();
            self.step(input, out, FlushCompress::None)?;
            input = input.get(difference(before, self.engine.total_in())..).unwrap_or_default();
        }
        Ok(())
    }

    /// One call of the engine. Since there is room, each takes input, gives output, or ends.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>, flush: FlushCompress) -> Result<Status, Error> {
        let before = self.engine.total_out();
        let status =
            self.engine.compress(input, &mut self.room, flush).map_err(|error| Error::engine("zlib-rs", error))?;
        let made = difference(before, self.engine.total_out());
        out.extend_from_slice(self.room.get(..made).unwrap_or_default());
        Ok(status)
    }
}

/// How far one of the engine's counters went in a call: never further than a buffer is long.
fn difference(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

/// The most that the engine makes of `input` bytes: its own conservative bound, reached only where level 1 codes random data
/// with the fixed tree (9 bits a byte).
pub(crate) fn most_bytes(input: u64) -> u64 {
    input.saturating_add(input / 8).saturating_add(input / 64).saturating_add(16)
}

/// What a stream holds: a block and the room; the engine's window, hash chains, symbol and output buffers.
pub(crate) const MEMORY_BYTES: usize = BLOCK_BYTES + ROOM_BYTES + 384 * 1024;

/// Input of a call of the engine.
const BLOCK_BYTES: usize = 64 * 1024;

/// Output of a call of the engine, at most.
const ROOM_BYTES: usize = 64 * 1024;
