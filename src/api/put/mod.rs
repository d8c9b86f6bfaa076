//! Bodies of PutRecord and PutRecordBatch, and their answers.
//!
//! A body is read in one pass: the base64 strings are found and decoded straight into the buffer that the log writes. The
//! scanner (`scan`) knows the few shapes that clients really send and gives up on everything else; then the parser (`parse`)
//! decides, slower and with every rule of JSON and of the API's model. What the scanner accepts, the parser accepts with the
//! same result: tests hold the one against the other, and every refusal is worded by the parser.
//!
//! Where a member is repeated the last one counts, unknown members are ignored, and `null` is the same as absent.
//!
//! Checks come in this order: JSON, types and base64 (`SerializationException`); the constraints of the model, all faults in one
//! message (`ValidationException`); the size of the batch (`InvalidArgumentException`).

mod answer;
mod parse;
mod record_id;
mod refusal;
mod scan;

pub use answer::{write_accepted_batch, write_accepted_record, write_refused_batch};
pub use record_id::{DecodedRecordId, RecordIdError, RecordIds, StreamTag, decode};
pub use refusal::Refusal;

use std::borrow::Cow;

/// What a put carries: the stream it names and its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// Name of the delivery stream, within the constraints of the model.
    pub stream: Cow<'a, str>,
    /// The decoded records.
    pub records: Records,
}

/// Records as a frame of the log holds them: all bytes one after the other, and how long each record is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// Bytes of each record, in the order sent. Their sum is the length of `body`.
    pub lengths: Vec<u32>,
    /// The bytes of all records.
    pub body: Vec<u8>,
}

/// How much a put may carry, in decoded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one record. At most `u32::MAX`.
    pub max_record: usize,
    /// Bytes of all records of one batch together.
    pub max_batch: usize,
}

impl Default for Limits {
    /// The limits of the service itself.
    ///
    /// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>
    fn default() -> Self {
        Self { max_record: 1_024_000, max_batch: 4 * 1024 * 1024 }
    }
}

impl Put<'_> {
    /// Reads the body of a PutRecord.
    ///
    /// # Errors
    /// The body is not JSON of the right types, or breaks a constraint of the model.
    pub fn from_record_body(body: &[u8], limits: Limits) -> Result<Put<'_>, Refusal> {
        scan::record(body, limits).map_or_else(|| parse::record(body, limits), Ok)
    }

    /// Reads the body of a PutRecordBatch.
    ///
    /// # Errors
    /// The body is not JSON of the right types, breaks a constraint of the model, or carries more than a batch may.
    pub fn from_batch_body(body: &[u8], limits: Limits) -> Result<Put<'_>, Refusal> {
        scan::batch(body, limits).map_or_else(|| parse::batch(body, limits), Ok)
    }
}

impl Records {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }

    /// The records, in the order sent.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.body.as_slice();
        self.lengths.iter().map_while(move |length| {
            let (record, after) = rest.split_at_checked(usize::try_from(*length).ok()?)?;
            rest = after;
            Some(record)
        })
    }

    /// Room for what `encoded` bytes of JSON can decode to.
    fn with_room_for(encoded: usize) -> Self {
        Self { lengths: Vec::new(), body: Vec::with_capacity(encoded / 4 * 3) }
    }

    /// Decodes `text` as one more record of at most `max_bytes`; on an error nothing is added.
    fn push_base64(&mut self, text: &[u8], max_bytes: usize) -> Result<(), NotARecord> {
        let start = self.body.len();
        base64_simd::STANDARD.decode_append(text, &mut self.body).map_err(|_| NotARecord::Base64)?;
        let bytes = self.body.len() - start;
        match u32::try_from(bytes) {
            Ok(length) if bytes <= max_bytes => {
                self.lengths.push(length);
                Ok(())
            }
            _ => {
                self.body.truncate(start);
                Err(NotARecord::TooLong(bytes))
            }
        }
    }
}

/// Why a text is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotARecord {
    /// Not base64 in the standard alphabet with padding and zero trailing bits.
    Base64,
    /// It decodes to this many bytes, more than a record may have.
    TooLong(usize),
}

/// Most records of one batch.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html>
const MAX_RECORDS: usize = 500;

/// Longest name of a delivery stream.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecord.html>
const MAX_NAME: usize = 64;

/// The characters of a delivery stream's name (`[a-zA-Z0-9_.-]`).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

#[cfg(test)]
mod tests;
