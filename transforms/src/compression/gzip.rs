//! GZIP: RFC 1952, one member for the whole object, or independent members.
//!
//! | Bytes | Field | Value |
//! |---|---|---|
//! | 2 | magic | `1F 8B` |
//! | 1 | method | 8, deflate |
//! | 1 | flags | 0 |
//! | 4 | MTIME | seconds since the Unix epoch, little-endian; 0 ("none") past 2106 |
//! | 1 | XFL | 4 at level 1, 2 at level 9, else 0 |
//! | 1 | OS | 255, unknown: the bytes do not tell where hydrant ran |
//! | | data | a deflate stream |
//! | 4 | CRC32 | of the member's input |
//! | 4 | ISIZE | bytes of the member's input modulo 2^32 |
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc1952>

use hydrant_model::Compression;
use libdeflater::{CompressionLvl, Compressor};

use crate::compression::blocks::Blocks;
use crate::compression::deflate::{self, Deflate};
use crate::compression::{Codec, Encoder, Error, Options};

/// How a GZIP object is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GzipMembers {
    /// One member: every reader takes it.
    #[default]
    One,
    /// A member for every MiB of input: faster and smaller, but a reader that stops after the first member (some HTTP
    /// clients and browsers) loses the rest without a word. gzip, Python, Java, Go, Hadoop, Spark and Athena read all.
    Many,
}

/// GZIP.
pub const CODEC: Codec = Codec { compression: Compression::Gzip, memory_bytes, most_bytes, open };

/// Where speed and ratio meet, for one member and for ZIP.
///
/// Click records (410 bytes, NDJSON), MB of input per second of CPU and times smaller, measured with `benches/codecs.rs` on a
/// Zen 5 core:
///
/// | Level | zlib-rs (one member) | libdeflate (members of 1 MiB) |
/// |---|---|---|
/// | 1 | 468 MB/s, 4.18 | 339 MB/s, 5.77 |
/// | **2** | **299 MB/s, 5.62** | 218 MB/s, 5.87 |
/// | 3 | 213 MB/s, 6.09 | 203 MB/s, 6.08 |
/// | 4 | 164 MB/s, 6.36 | 189 MB/s, 6.30 |
/// | 5 | 144 MB/s, 6.58 | 182 MB/s, 6.93 |
/// | 6 | 90 MB/s, 6.79 | 143 MB/s, 7.17 |
/// | 9 | 62 MB/s, 7.03 | 42 MB/s, 7.81 |
///
/// Level 2 takes a quarter off the objects of level 1 for a third of its speed. Level 3 gives up as much speed again for 8 %,
/// and the common default of 6 runs at less than a third of the speed for 17 %.
pub const DEFAULT_GZIP_LEVEL: u32 = 2;

impl GzipMembers {
    /// The level where speed and ratio meet: [`DEFAULT_GZIP_LEVEL`] for one member, 1 for many, where the table has
    /// libdeflate ahead of one member's default in both.
    pub const fn default_level(self) -> u32 {
        match self {
            Self::One => DEFAULT_GZIP_LEVEL,
            Self::Many => 1,
        }
    }
}

fn open(options: &Options) -> Result<Box<dyn Encoder>, Error> {
    let level = options.gzip_level;
    // libdeflate's 10 to 12 are left out: they run at a few MB/s and need 9 MiB.
    if !(1..=9).contains(&level) {
        return Err(Error::Option { field: "gzip_level", rule: "a level from 1 to 9", value: level.to_string() });
    }
    let header = header(level, options.time_ms);
    Ok(match options.gzip_members {
        GzipMembers::One => Box::new(One { deflate: Deflate::behind(header.to_vec(), level) }),
        GzipMembers::Many => Box::new(Many { blocks: Blocks::of(MEMBER_BYTES), members: Members::new(header, level)? }),
    })
}

fn memory_bytes(options: &Options) -> usize {
    match options.gzip_members {
        GzipMembers::One => deflate::MEMORY_BYTES + HEADER_BYTES,
        GzipMembers::Many => LIBDEFLATE_MEMORY_BYTES + MEMBER_BYTES + member_room(),
    }
}

fn most_bytes(input: u64) -> u64 {
    let members = input.div_ceil(MEMBER_BYTES as u64).max(1);
    deflate::most_bytes(input).saturating_add(members * (HEADER_BYTES + TRAILER_BYTES) as u64)
}

/// The object as one member, by zlib-rs.
struct One {
    deflate: Deflate,
}

impl Encoder for One {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.deflate.write(input, out)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.deflate.finish(out)?;
        out.extend_from_slice(&trailer(self.deflate.crc(), self.deflate.bytes_in()));
        Ok(())
    }
}

/// The object as members of [`MEMBER_BYTES`] each, by libdeflate.
struct Many {
    blocks: Blocks,
    members: Members,
}

impl Encoder for Many {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.blocks.take(input, |block| self.members.pack(block, out))
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        let rest = self.blocks.rest();
        if rest.is_empty() && self.members.packed_any {
            return Ok(());
        }
        self.members.pack(rest, out)
    }
}

/// Makes a member of a block.
struct Members {
    header: [u8; HEADER_BYTES],
    engine: Compressor,
    /// libdeflate wants initialised room for the worst case; a buffer kept for that is cheaper than zeroing as much of the
    /// caller's for every member.
    room: Vec<u8>,
    packed_any: bool,
}

impl Members {
    fn new(header: [u8; HEADER_BYTES], level: u32) -> Result<Self, Error> {
        let level = i32::try_from(level).map_err(|error| Error::engine("libdeflate", error))?;
        let level = CompressionLvl::new(level)
            .map_err(|error| Error::engine("libdeflate", format!("level {level}: {error:?}")))?;
        Ok(Self { header, engine: Compressor::new(level), room: vec![0; member_room()], packed_any: false })
    }

    fn pack(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let length =
            self.engine.deflate_compress(block, &mut self.room).map_err(|error| Error::engine("libdeflate", error))?;
        out.extend_from_slice(&self.header);
        out.extend_from_slice(self.room.get(..length).unwrap_or_default());
        out.extend_from_slice(&trailer(crc32fast::hash(block), block.len() as u64));
        self.packed_any = true;
        Ok(())
    }
}

fn header(level: u32, time_ms: u64) -> [u8; HEADER_BYTES] {
    let [m0, m1, m2, m3] = u32::try_from(time_ms / 1000).unwrap_or(0).to_le_bytes();
    let extra = match level {
        1 => 4,
        9 => 2,
        _ => 0,
    };
    [0x1F, 0x8B, 8, 0, m0, m1, m2, m3, extra, 255]
}

fn trailer(crc: u32, bytes: u64) -> [u8; TRAILER_BYTES] {
    let isize = bytes & u64::from(u32::MAX);
    (isize << 32 | u64::from(crc)).to_le_bytes()
}

/// Room for a member's deflate stream, with libdeflate's bound: at worst stored blocks, five bytes for every 5,000.
const fn member_room() -> usize {
    MEMBER_BYTES + MEMBER_BYTES / 512
}

/// Input of an independent member; 256 KiB would cost 1 % of size, more gains nothing.
const MEMBER_BYTES: usize = 1024 * 1024;

/// What libdeflate allocates, in C, for levels 1 to 9: 200 KiB at level 1, 656 KiB above.
const LIBDEFLATE_MEMORY_BYTES: usize = 672 * 1024;

const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;

#[cfg(test)]
mod tests;
