//! Compressed bodies, decompressed step by step.

use std::io::{self, Cursor, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// One gzip member or more.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Encoding {
    /// Memory of the decompressor itself, at most.
    pub(super) fn state_bytes(self) -> usize {
        match self {
            Self::Gzip => 64 << 10,
            Self::Zstd => 1 << ZSTD_WINDOW_LOG,
        }
    }
}

/// A body that is being decompressed.
pub(super) struct Decoding {
    reader: Box<dyn Read + Send>,
    decoded: Vec<u8>,
}

/// Where a step ended.
pub(super) enum Step {
    /// At the end of the body.
    Done(Vec<u8>),
    /// There is more than was asked for.
    More(Decoding),
}

impl Decoding {
    pub(super) fn new(encoding: Encoding, sent: Bytes) -> io::Result<Self> {
        let reader: Box<dyn Read + Send> = match encoding {
            Encoding::Gzip => Box::new(MultiGzDecoder::new(Cursor::new(sent))),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(Cursor::new(sent))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
        };
        Ok(Self { reader, decoded: Vec::new() })
    }

    /// Goes on until `room` bytes are decoded in all, or one more, which shows that they were too few.
    pub(super) fn step(mut self, room: usize) -> io::Result<Step> {
        let missing = (room + 1).saturating_sub(self.decoded.len());
        self.decoded.reserve_exact(missing);
        self.reader.by_ref().take(missing as u64).read_to_end(&mut self.decoded)?;
        Ok(if self.decoded.len() > room { Step::More(self) } else { Step::Done(self.decoded) })
    }
}

/// 8 MiB, the largest window that every decoder should take.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2>
const ZSTD_WINDOW_LOG: u32 = 23;
