//! RecordId: what a producer gets back for a record, and what `trace` takes.
//!
//! ```text
//! bytes   what
//! 1       version, the character '1'
//!         then in base64 (standard alphabet, numbers big-endian), 64 characters for 48 bytes:
//! 16      tag of the stream
//! 16      birth of the record's segment
//! 4       sub-index
//! 8       offset
//! 4       CRC-32C of the version character and the 44 bytes before
//! ```
//!
//! To producers the text is opaque. The tag is a hash, because a stream's id seeds the checksums of its log and must not be
//! known to those who choose the bytes of records. A CRC-32 detects every change within 32 neighbouring bits, hence each wrong
//! character and each pair of neighbours exchanged.

use hydrant_model::{Birth, Offset, RecordIdentity, StreamId};
use sha2::{Digest, Sha256};

/// 128 bits that tell streams apart without giving away their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamTag([u8; 16]);

impl StreamTag {
    /// The tag of a stream. Costs a hash: keep it with the stream.
    pub fn of(stream: StreamId) -> Self {
        let hash = Sha256::new().chain_update(b"hydrant RecordId 1").chain_update(stream.0).finalize();
        let mut tag = [0; 16];
        for (to, from) in tag.iter_mut().zip(hash) {
            *to = from;
        }
        Self(tag)
    }
}

/// What a RecordId says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedRecordId {
    /// Of which stream the record is: compare with [`StreamTag::of`] the stream asked about.
    pub stream: StreamTag,
    /// The record.
    pub identity: RecordIdentity,
}

/// Why a text is no RecordId.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordIdError {
    /// Cut, or something else altogether.
    #[error("a RecordId has {expected} characters, not {0}", expected = RecordIds::TEXT_LENGTH)]
    Length(usize),
    /// Made by another version, or by the service in the cloud.
    #[error("a RecordId starts with '1', not {0:?}")]
    Version(char),
    /// A character that none has.
    #[error("a RecordId has only letters, digits, '+' and '/' in it")]
    Alphabet,
    /// Something was changed on the way.
    #[error("the check sum of the RecordId is wrong: a character was changed or two were exchanged")]
    Check,
}

/// The ids of records that follow each other in one segment.
#[derive(Clone, Debug)]
pub struct RecordIds {
    /// What all of them start with.
    head: Vec<u8>,
    next: Offset,
    /// Check sum of all before the offset.
    head_check: u32,
    /// The last offset but for its last byte, and the check sum up to there: neighbours share both.
    shared: (u64, u32),
}

impl RecordIds {
    /// Characters of every RecordId.
    pub const TEXT_LENGTH: usize = 1 + (HEAD_BYTES + TAIL_BYTES) / 3 * 4;

    /// Starts with `first`, a record of the stream whose tag is `stream`.
    pub fn new(stream: StreamTag, first: RecordIdentity) -> Self {
        let mut fields = Vec::with_capacity(HEAD_BYTES);
        fields.extend_from_slice(&stream.0);
        fields.extend_from_slice(&first.birth.0);
        fields.extend_from_slice(&first.sub_index.to_be_bytes());
        let mut head = Vec::with_capacity(Self::TEXT_LENGTH);
        head.push(VERSION);
        base64_simd::STANDARD.encode_append(&fields, &mut head);
        let head_check = check(check(!0, &[VERSION]), &fields);
        let mut ids = Self { head, next: first.offset, head_check, shared: (0, 0) };
        ids.share(first.offset.0);
        ids
    }

    /// Appends the next RecordId to `out`.
    pub fn write_next(&mut self, out: &mut Vec<u8>) {
        let offset = self.next.0;
        self.next = self.next.plus(1);
        if self.shared.0 != offset >> 8 {
            self.share(offset);
        }
        let [.., last_byte] = offset.to_be_bytes();
        let tail = (u128::from(offset) << 32) | u128::from(!check_step(self.shared.1, last_byte));
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&tail_text(tail));
    }

    fn share(&mut self, offset: u64) {
        let [high @ .., _] = offset.to_be_bytes();
        self.shared = (offset >> 8, check(self.head_check, &high));
    }
}

/// Reads a RecordId.
///
/// # Errors
/// The text is none, or was changed.
pub fn decode(text: &str) -> Result<DecodedRecordId, RecordIdError> {
    if text.len() != RecordIds::TEXT_LENGTH {
        return Err(RecordIdError::Length(text.chars().count()));
    }
    let Some(payload) = text.strip_prefix(char::from(VERSION)) else {
        return Err(RecordIdError::Version(text.chars().next().unwrap_or_default()));
    };
    let bytes = base64_simd::STANDARD.decode_to_vec(payload).map_err(|_| RecordIdError::Alphabet)?;
    let mut rest = bytes.as_slice();
    let fields = (take(&mut rest), take(&mut rest), take(&mut rest), take(&mut rest), take(&mut rest));
    let (Some(stream), Some(birth), Some(sub_index), Some(offset), Some(sum)) = fields else {
        // Padding, which no RecordId has, makes the payload shorter.
        return Err(RecordIdError::Alphabet);
    };
    let checked = bytes.split_last_chunk::<4>().map_or(0, |(checked, _)| !check(check(!0, &[VERSION]), checked));
    if checked != u32::from_be_bytes(sum) {
        return Err(RecordIdError::Check);
    }
    let identity = RecordIdentity {
        birth: Birth(birth),
        offset: Offset(u64::from_be_bytes(offset)),
        sub_index: u32::from_be_bytes(sub_index),
    };
    Ok(DecodedRecordId { stream: StreamTag(stream), identity })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

/// The last 12 bytes in base64.
fn tail_text(tail: u128) -> [u8; TAIL_BYTES / 3 * 4] {
    let mut text = [0; TAIL_BYTES / 3 * 4];
    let mut left = tail;
    for character in text.iter_mut().rev() {
        let [six, ..] = (left & 63).to_le_bytes();
        *character = ALPHABET.get(usize::from(six)).copied().unwrap_or(b'A');
        left >>= 6;
    }
    text
}

/// Carries a CRC-32C over more bytes. By hand, because ids of neighbours share all bytes but one, and no crate takes up a sum
/// for a single byte in less time than the rest of an id costs.
fn check(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| check_step(sum, *byte))
}

fn check_step(sum: u32, byte: u8) -> u32 {
    let [low, ..] = sum.to_le_bytes();
    (sum >> 8) ^ CRC_TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default()
}

/// CRC-32C (RFC 3720, B.4) of each byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0_u32; 256];
    let mut left: &mut [u32] = &mut table;
    let mut index = 0_u32;
    while let [entry, rest @ ..] = left {
        let mut sum = index;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0x82F6_3B78 } else { sum >> 1 };
            bit += 1;
        }
        *entry = sum;
        index += 1;
        left = rest;
    }
    table
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// First character of every RecordId of this shape.
const VERSION: u8 = b'1';

/// Bytes that neighbours share: tag, birth, sub-index.
const HEAD_BYTES: usize = 16 + 16 + 4;

/// Offset and check sum.
const TAIL_BYTES: usize = 8 + 4;

#[cfg(test)]
mod tests;
