//! The bytes on disk: segment header and frame.
//!
//! A segment is one file `<first offset, 20 digits>.log`: a header of 4,096 bytes, then frames, each at a position that 8
//! divides. All numbers are little-endian.
//!
//! Segment header, at 0 and once more at 2,048 (the rest of its 4,096 bytes is zero):
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 7 | magic `hydlog\0` |
//! | 7 | 1 | format version, 1 |
//! | 8 | 16 | stream id |
//! | 24 | 1 | use: 1 records, 2 ledger, 3 errors, 4 spool |
//! | 25 | 7 | zero |
//! | 32 | 16 | birth |
//! | 48 | 8 | first offset |
//! | 56 | 16 | birth of the segment before it; zero if there is none |
//! | 72 | 8 | final end of the segment before it, a position in that file |
//! | 80 | 8 | offset after the last record of the segment before it; less than `first offset` where there is a gap |
//! | 88 | 8 | body bytes of all records of this log before this segment |
//! | 96 | 8 | when it was taken into use, milliseconds since the Unix epoch |
//! | 104 | 4 | CRC-32C of the 104 bytes before |
//!
//! Frame:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | magic `HyFr` |
//! | 4 | 4 | CRC-32C of bytes 8 to 56, seeded |
//! | 8 | 4 | number of records |
//! | 12 | 4 | body length in bytes |
//! | 16 | 8 | offset of the first record |
//! | 24 | 8 | arrival, milliseconds since the Unix epoch |
//! | 32 | 8 | body bytes of all records of this log before this frame |
//! | 40 | 4 | CRC-32C of table and body, xor the seed |
//! | 44 | 12 | zero: room for the source position's length and flags |
//! | 56 | 4 × n | table of record lengths in bytes |
//! | … | | body: the records one after the other |
//! | … | 0–7 | zeros, to the next position that 8 divides |
//!
//! The seed is CRC-32C(stream id, birth, position of the frame in the file), so neither what a segment held in an earlier life
//! nor what a producer puts inside a record can pass for a frame. The header's checksum covers a constant number of bytes, so
//! that a search for the next frame after damage costs a constant per candidate whatever the damaged bytes say.

use crc_fast::{CrcAlgorithm, Digest};
use hydrant_model::{Birth, Offset, StreamId};

/// What a log is for; a segment of one use is refused as one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Accepted records.
    Records = 1,
    /// What has left.
    Ledger = 2,
    /// Entries for the error output.
    Errors = 3,
    /// Processed records, grouped.
    Spool = 4,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) stream: StreamId,
    pub(super) used_as: Use,
    pub(super) birth: Birth,
    pub(super) first: Offset,
    pub(super) previous_birth: Birth,
    pub(super) previous_end: u64,
    pub(super) previous_next: Offset,
    pub(super) bytes_before: u64,
    pub(super) created_ms: u64,
}

/// Why a segment header is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("not the header of a segment")]
    NotOne,
    #[error("format version {0}; this hydrant reads version {VERSION}")]
    Version(u8),
    #[error("belongs to stream {0}")]
    OtherStream(StreamId),
    #[error("was written for another use")]
    OtherUse,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        bytes.extend_from_slice(SEGMENT_MAGIC);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.stream.0);
        bytes.push(self.used_as as u8);
        bytes.extend_from_slice(&[0; 7]);
        bytes.extend_from_slice(&self.birth.0);
        bytes.extend_from_slice(&self.first.0.to_le_bytes());
        bytes.extend_from_slice(&self.previous_birth.0);
        bytes.extend_from_slice(&self.previous_end.to_le_bytes());
        bytes.extend_from_slice(&self.previous_next.0.to_le_bytes());
        bytes.extend_from_slice(&self.bytes_before.to_le_bytes());
        bytes.extend_from_slice(&self.created_ms.to_le_bytes());
        bytes.extend_from_slice(&crc(&bytes).to_le_bytes());
        bytes.resize(SEGMENT_HEADER_BYTES / 2, 0);
        bytes.extend_from_within(..);
        bytes
    }

    /// Decodes whichever of the two copies verifies.
    pub(super) fn decode(bytes: &[u8], stream: StreamId, used_as: Use) -> Result<Self, HeaderError> {
        let (front, back) = bytes.split_at_checked(SEGMENT_HEADER_BYTES / 2).ok_or(HeaderError::NotOne)?;
        Self::decode_copy(front, stream, used_as).or_else(|error| {
            // What the first copy says stands, unless it does not verify and the second one does.
            Self::decode_copy(back, stream, used_as).map_err(|other| match error {
                HeaderError::NotOne => other,
                error => error,
            })
        })
    }

    fn decode_copy(bytes: &[u8], stream: StreamId, used_as: Use) -> Result<Self, HeaderError> {
        let mut fields = Fields(bytes);
        if fields.take::<7>() != Some(*SEGMENT_MAGIC) {
            return Err(HeaderError::NotOne);
        }
        let [version] = fields.take().ok_or(HeaderError::NotOne)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let header = Self::fields(&mut fields, used_as).ok_or(HeaderError::NotOne)?;
        let covered = bytes.get(..SEGMENT_CHECKED_BYTES).ok_or(HeaderError::NotOne)?;
        if fields.u32() != Some(crc(covered)) {
            return Err(HeaderError::NotOne);
        }
        if header.stream != stream {
            return Err(HeaderError::OtherStream(header.stream));
        }
        if bytes.get(24) != Some(&(used_as as u8)) {
            return Err(HeaderError::OtherUse);
        }
        Ok(header)
    }

    fn fields(fields: &mut Fields<'_>, used_as: Use) -> Option<Self> {
        let stream = StreamId(fields.take()?);
        let [_used_as, ..] = fields.take::<8>()?;
        Some(Self {
            stream,
            used_as,
            birth: Birth(fields.take()?),
            first: Offset(fields.u64()?),
            previous_birth: Birth(fields.take()?),
            previous_end: fields.u64()?,
            previous_next: Offset(fields.u64()?),
            bytes_before: fields.u64()?,
            created_ms: fields.u64()?,
        })
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) records: u32,
    pub(super) body_bytes: u32,
    pub(super) first: Offset,
    pub(super) arrival_ms: u64,
    pub(super) bytes_before: u64,
    /// CRC-32C of table and body, without the seed.
    pub(super) payload_crc: u32,
}

impl FrameHeader {
    pub(super) fn encode(&self, seed: u32) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let mut at = 8;
        let mut put = |field: &[u8]| {
            if let Some(place) = bytes.get_mut(at..at + field.len()) {
                place.copy_from_slice(field);
            }
            at += field.len();
        };
        put(&self.records.to_le_bytes());
        put(&self.body_bytes.to_le_bytes());
        put(&self.first.0.to_le_bytes());
        put(&self.arrival_ms.to_le_bytes());
        put(&self.bytes_before.to_le_bytes());
        put(&(self.payload_crc ^ seed).to_le_bytes());
        let check = seeded_crc(seed, bytes.get(8..).unwrap_or_default());
        for (to, from) in bytes.iter_mut().zip(FRAME_MAGIC.iter().chain(&check.to_le_bytes())) {
            *to = *from;
        }
        bytes
    }

    /// The header at the start of `bytes`, if it verifies as one at the position that `seed` stands for.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let mut fields = Fields(bytes.get(..FRAME_HEADER_BYTES)?);
        if fields.take::<4>()? != *FRAME_MAGIC || fields.u32()? != seeded_crc(seed, fields.0) {
            return None;
        }
        Some(Self {
            records: fields.u32()?,
            body_bytes: fields.u32()?,
            first: Offset(fields.u64()?),
            arrival_ms: fields.u64()?,
            bytes_before: fields.u64()?,
            payload_crc: fields.u32()? ^ seed,
        })
    }

    /// Offset after the last record.
    pub(super) fn next(&self) -> Offset {
        self.first.plus(u64::from(self.records))
    }

    pub(super) fn table_bytes(&self) -> u64 {
        u64::from(self.records) * 4
    }

    /// Table and body.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.table_bytes() + u64::from(self.body_bytes)
    }

    /// The whole frame, padding included.
    pub(super) fn frame_bytes(&self) -> u64 {
        aligned(FRAME_HEADER_BYTES as u64 + self.payload_bytes())
    }
}

/// The part of a frame's seed that a segment's frames share.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeedBase(u64);

impl SeedBase {
    pub(super) fn new(stream: StreamId, birth: Birth) -> Self {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&stream.0);
        digest.update(&birth.0);
        Self(digest.get_state())
    }

    /// The seed of the frame at `position`.
    pub(super) fn at(self, position: u64) -> u32 {
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, self.0);
        digest.update(&position.to_le_bytes());
        low(digest.finalize())
    }
}

/// CRC-32C of several slices, one after the other.
pub(super) fn payload_crc(slices: [&[u8]; 2]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for slice in slices {
        digest.update(slice);
    }
    low(digest.finalize())
}

/// The next position that 8 divides.
pub(super) fn aligned(position: u64) -> u64 {
    position.next_multiple_of(8)
}

fn seeded_crc(seed: u32, bytes: &[u8]) -> u32 {
    payload_crc([&seed.to_le_bytes(), bytes])
}

fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

fn low(checksum: u64) -> u32 {
    u32::try_from(checksum & u64::from(u32::MAX)).unwrap_or_default()
}

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

pub(super) const SEGMENT_HEADER_BYTES: usize = 4096;
pub(super) const FRAME_HEADER_BYTES: usize = 56;
pub(super) const FRAME_MAGIC: &[u8; 4] = b"HyFr";
const SEGMENT_MAGIC: &[u8; 7] = b"hydlog\0";
const SEGMENT_CHECKED_BYTES: usize = 104;
const VERSION: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            stream: StreamId([1; 16]),
            used_as: Use::Records,
            birth: Birth([2; 16]),
            first: Offset(77),
            previous_birth: Birth([3; 16]),
            previous_end: 4160,
            previous_next: Offset(70),
            bytes_before: 12,
            created_ms: 99,
        }
    }

    #[test]
    fn a_segment_header_survives_its_bytes_and_no_flipped_bit() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes, StreamId([1; 16]), Use::Records), Ok(header()));
        for at in 0..SEGMENT_CHECKED_BYTES + 4 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert_eq!(SegmentHeader::decode(&damaged, StreamId([1; 16]), Use::Records), Ok(header()), "byte {at}");
            damaged[at + SEGMENT_HEADER_BYTES / 2] ^= 0x10;
            assert!(SegmentHeader::decode(&damaged, StreamId([1; 16]), Use::Records).is_err(), "byte {at} of both");
        }
    }

    #[test]
    fn a_header_of_another_stream_use_or_version_is_refused() {
        let bytes = header().encode();
        let decode = |bytes: &[u8], stream, used_as| SegmentHeader::decode(bytes, StreamId([stream; 16]), used_as);
        assert_eq!(decode(&bytes, 9, Use::Records), Err(HeaderError::OtherStream(StreamId([1; 16]))));
        assert_eq!(decode(&bytes, 1, Use::Ledger), Err(HeaderError::OtherUse));
        let mut newer = bytes;
        newer[7] = 2;
        newer[SEGMENT_HEADER_BYTES / 2 + 7] = 2;
        assert_eq!(decode(&newer, 1, Use::Records), Err(HeaderError::Version(2)));
    }

    #[test]
    fn a_frame_header_verifies_only_at_its_own_position() {
        let base = SeedBase::new(StreamId([1; 16]), Birth([2; 16]));
        let header = FrameHeader {
            records: 3,
            body_bytes: 1000,
            first: Offset(5),
            arrival_ms: 1,
            bytes_before: 2,
            payload_crc: 0xDEAD_BEEF,
        };
        let bytes = header.encode(base.at(4096));
        assert_eq!(FrameHeader::decode(&bytes, base.at(4096)), Some(header));
        assert_eq!(FrameHeader::decode(&bytes, base.at(4104)), None);
        let other = SeedBase::new(StreamId([1; 16]), Birth([9; 16]));
        assert_eq!(FrameHeader::decode(&bytes, other.at(4096)), None);
        for at in 0..FRAME_HEADER_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(FrameHeader::decode(&damaged, base.at(4096)), None, "byte {at}");
        }
        assert_eq!(header.frame_bytes(), 1072);
    }
}
