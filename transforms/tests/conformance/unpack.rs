//! A strict reader for every container: other crates' where there is one, else written from the format's description.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;
use hydrant_model::Compression;
use zip::ZipArchive;

/// Gives the records in `packed` to `take`, piece by piece. Panics on anything that a strict reader would not have.
pub(crate) fn unpack(compression: Compression, packed: &[u8], take: &mut dyn FnMut(&[u8])) {
    match compression {
        Compression::Uncompressed => take(packed),
        Compression::Gzip => drain(MultiGzDecoder::new(packed), take),
        Compression::Zip => {
            let mut archive = ZipArchive::new(Cursor::new(packed)).unwrap();
            assert_eq!(archive.len(), 1);
            drain(archive.by_index(0).unwrap(), take);
        }
        Compression::Snappy => xerial(packed, take),
        Compression::HadoopSnappy => hadoop(packed, take),
    }
}

fn drain(mut from: impl Read, take: &mut dyn FnMut(&[u8])) {
    let mut piece = vec![0; 1024 * 1024];
    loop {
        match from.read(&mut piece).unwrap() {
            0 => return,
            length => take(&piece[..length]),
        }
    }
}

/// snappy-java's `SnappyInputStream`, without its leniency.
fn xerial(packed: &[u8], take: &mut dyn FnMut(&[u8])) {
    let mut rest = packed.strip_prefix(b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01").unwrap();
    let mut snappy = Snappy::new(32 * 1024);
    while !rest.is_empty() {
        let chunk = chunk(&mut rest);
        take(snappy.unpack(chunk));
    }
}

/// Hadoop's `BlockDecompressorStream` with a `SnappyDecompressor` of the default buffer.
fn hadoop(packed: &[u8], take: &mut dyn FnMut(&[u8])) {
    const BUFFER_BYTES: usize = 256 * 1024;
    let mut rest = packed;
    let mut snappy = Snappy::new(BUFFER_BYTES);
    while !rest.is_empty() {
        let mut missing = number(&mut rest);
        // A block of no bytes is the end, wherever it stands.
        assert!(missing > 0 || rest.is_empty(), "bytes behind the end");
        while missing > 0 {
            let chunk = chunk(&mut rest);
            assert!(chunk.len() <= BUFFER_BYTES, "the chunk does not fit the reader's buffer");
            let piece = snappy.unpack(chunk);
            missing = missing.checked_sub(piece.len()).expect("a block is as long as it says");
            take(piece);
        }
    }
}

struct Snappy {
    engine: snap::raw::Decoder,
    room: Vec<u8>,
}

impl Snappy {
    fn new(most_bytes: usize) -> Self {
        Self { engine: snap::raw::Decoder::new(), room: vec![0; most_bytes] }
    }

    fn unpack(&mut self, chunk: &[u8]) -> &[u8] {
        let length = self.engine.decompress(chunk, &mut self.room).unwrap();
        assert!(length > 0, "an empty chunk");
        &self.room[..length]
    }
}

fn chunk<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = number(rest);
    let (chunk, after) = rest.split_at(length);
    *rest = after;
    chunk
}

fn number(rest: &mut &[u8]) -> usize {
    let (number, after) = rest.split_at(4);
    *rest = after;
    usize::try_from(u32::from_be_bytes(number.try_into().unwrap())).unwrap()
}
