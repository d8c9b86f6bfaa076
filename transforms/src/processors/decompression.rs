//! `Decompression`: records that come as gzip, unpacked; members that follow each other are one record.
//!
//! AWS gives no codes for what fails here, only the error output `decompression-failed`; the codes are ours. Error entries, here
//! and of later processors, show the record as it arrived.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;

use super::{Context, Parameters, Transform};
use crate::records::{Arrived, ErrorOutput, Failure, Fates, Records};

/// The most bytes that a record may unpack to: as many as the largest record that hydrant takes. Not a share of its packed size,
/// since logs do pack a thousand times smaller.
pub const MOST_BYTES: usize = 10 * 1024 * 1024;

/// Unpacked bytes that one call makes, unless a single record is larger; records beyond are left for the next. A thousand bombs
/// hold no more memory than one of the largest.
pub const LOT_BYTES: usize = 8 * 1024 * 1024;

/// What such a lot takes at most: the record that is unpacked, the lot, and what the processor behind makes of it.
pub const MEMORY_BYTES: usize = 5 * MOST_BYTES;

/// Unpacks gzip.
#[derive(Clone, Debug, Default)]
pub struct Decompression {
    room: Vec<u8>,
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of the table")]
pub(super) fn build(_parameters: &Parameters, _context: &Context) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(Decompression::default()))
}

impl Transform for Decompression {
    /// Leaves records where what it makes of them would be more than [`LOT_BYTES`].
    fn apply(&mut self, mut records: Records, _arrived: &Arrived, fates: &mut Fates) -> Records {
        let room = (4 * records.bytes()).min(LOT_BYTES);
        let mut made = Records::instead_of(&mut records, room);
        for (at, (record, bytes)) in records.iter().enumerate() {
            let whole = unpack(bytes, &mut self.room);
            if whole.is_ok() && !made.is_empty() && made.len() + self.room.len() > LOT_BYTES {
                fates.left = records.len() - at;
                fates.left_bytes = records.iter().skip(at).map(|(_, bytes)| bytes.len()).sum();
                break;
            }
            match whole {
                Ok(()) => made.push(&self.room, record.origin, Some((&records, at))),
                Err((code, message)) => fates.failures.push(Failure {
                    origin: record.origin,
                    output: ErrorOutput::Decompression,
                    code: code.into(),
                    message: message.into(),
                    attempts: 1,
                    raw: None,
                }),
            }
        }
        // What one large record took is not kept for ever.
        self.room.clear();
        self.room.shrink_to(ROOM_BYTES);
        made.done()
    }
}

fn unpack(packed: &[u8], out: &mut Vec<u8>) -> Result<(), (&'static str, String)> {
    out.clear();
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX) + 1;
    match MultiGzDecoder::new(packed).take(most).read_to_end(out) {
        Ok(length) if length > MOST_BYTES => {
            Err((TOO_LARGE, format!("The record is larger than {MOST_BYTES} bytes when decompressed")))
        }
        Ok(_) => Ok(()),
        Err(error) => Err((INVALID, format!("The record is not valid GZIP: {error}"))),
    }
}

const INVALID: &str = "Decompression.InvalidData";
const TOO_LARGE: &str = "Decompression.SizeLimitExceeded";

/// Room that is kept from one call to the next.
const ROOM_BYTES: usize = 1024 * 1024;
