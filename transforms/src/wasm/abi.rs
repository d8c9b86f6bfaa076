//! The bytes that go into a call and come out of it, ABI version 1. `docs/modules.md` describes them to authors of modules.
//!
//! All numbers are little-endian; nothing is aligned or padded.
//!
//! ```text
//! request   0  4  version, 1
//!           4  4  number of records; then for each
//!              4    id, unique in the request
//!              4    length of its data
//!              8    arrival, milliseconds since the Unix epoch
//!                   data
//!
//! answer    0  4  version, 1
//!           4  4  number of answers; then for each, in any order
//!              4    id of the record
//!              1    verdict: 0 Ok with data, 1 Ok unchanged, 2 Dropped, 3 ProcessingFailed
//!              1    0
//!              2    number of partition keys; 0 unless Ok
//!              4    length of what follows: data if Ok, message if ProcessingFailed, else 0
//!                   data or message
//!                   for each key: 4 length of name, 4 length of value, name, value
//! ```

#[cfg(test)]
mod tests;

use crate::verdicts::{Answers, Verdict};

/// One record of a request; its id is its index.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) arrival_ms: u64,
    pub(super) data: &'a [u8],
}

impl Input<'_> {
    /// Bytes of it in a request.
    pub(super) fn encoded(&self) -> usize {
        RECORD_HEADER + self.data.len()
    }

    /// How many of `inputs`, from the first on, a request of at most `bytes` takes; one at least, if there is one.
    pub(super) fn fitting(inputs: &[Self], bytes: usize) -> usize {
        let mut left = bytes;
        let fit = inputs.iter().take_while(|input| {
            let fits = input.encoded() <= left;
            left = left.saturating_sub(input.encoded());
            fits
        });
        fit.count().max(1).min(inputs.len())
    }
}

/// Bytes of a request; `None` if they are more than an address of a module can span.
pub(super) fn request_bytes(inputs: &[Input<'_>]) -> Option<u32> {
    let bytes = inputs.iter().map(Input::encoded).fold(HEADER, usize::saturating_add);
    u32::try_from(bytes).ok()
}

/// Writes the request about `inputs` into `place`, which has [`request_bytes`]; `None` if it has fewer.
pub(super) fn write_request(inputs: &[Input<'_>], place: &mut [u8]) -> Option<()> {
    let (header, mut rest) = place.split_first_chunk_mut::<HEADER>()?;
    *header = pair(VERSION, u32::try_from(inputs.len()).ok()?);
    for (input, id) in inputs.iter().zip(0_u32..) {
        let (named, behind) = rest.split_first_chunk_mut::<8>()?;
        *named = pair(id, u32::try_from(input.data.len()).ok()?);
        let (arrival, behind) = behind.split_first_chunk_mut::<8>()?;
        *arrival = input.arrival_ms.to_le_bytes();
        let (data, behind) = behind.split_at_mut_checked(input.data.len())?;
        data.copy_from_slice(input.data);
        rest = behind;
    }
    Some(())
}

/// Reads the answer about `expected` records. Nothing of an answer counts unless all of it can be read.
///
/// # Errors
/// What is wrong with it, and at which answer.
pub(super) fn read_answer(bytes: &[u8], expected: usize) -> Result<Answers<'_>, String> {
    let mut reader = Reader { rest: bytes };
    let (Some(version), Some(count)) = (reader.u32(), reader.u32()) else {
        return Err(format!("the answer has {} bytes, fewer than its header of {HEADER}", bytes.len()));
    };
    if version != VERSION {
        return Err(format!("the answer's version is {version}, not {VERSION}"));
    }
    let mut answers = Answers::expected(expected);
    for at in 0..count {
        let (id, verdict) = reader.answer().map_err(|rule| format!("answer {at} of {count}: {rule}"))?;
        answers.put(usize::try_from(id).unwrap_or(usize::MAX), verdict);
    }
    match reader.rest.len() {
        0 => Ok(answers),
        left => Err(format!("{left} bytes follow the last of {count} answers")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn answer(&mut self) -> Result<(u32, Verdict<'a>), String> {
        const CUT: &str = "the bytes end inside it";
        let (header, rest) = self.rest.split_first_chunk::<ANSWER_HEADER>().ok_or(CUT)?;
        self.rest = rest;
        let [i0, i1, i2, i3, verdict, zero, k0, k1, l0, l1, l2, l3] = *header;
        let id = u32::from_le_bytes([i0, i1, i2, i3]);
        if zero != 0 {
            return Err(format!("the byte behind its verdict is {zero}, not 0"));
        }
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let data = self.take(length).ok_or(CUT)?;
        let keys = u16::from_le_bytes([k0, k1]);
        let verdict = match verdict {
            OK => Verdict::Ok { data, keys: self.keys(keys)? },
            UNCHANGED | DROPPED if !data.is_empty() => {
                return Err(format!("it has data, which verdict {verdict} does not take"));
            }
            UNCHANGED => Verdict::Unchanged { keys: self.keys(keys)? },
            DROPPED | FAILED if keys != 0 => {
                return Err(format!("it has partition keys, which verdict {verdict} does not take"));
            }
            DROPPED => Verdict::Dropped,
            FAILED => {
                let message = std::str::from_utf8(data).map_err(|_| "its message is not UTF-8")?;
                Verdict::Failed { message: Some(message).filter(|message| !message.is_empty()) }
            }
            other => return Err(format!("its verdict is {other}, not one of 0 to 3")),
        };
        Ok((id, verdict))
    }

    fn keys(&mut self, count: u16) -> Result<Vec<(&'a str, &'a str)>, String> {
        let key = |at: u16| {
            let mut text = || -> Option<(&'a [u8], &'a [u8])> {
                let (name, value) = (self.u32()?, self.u32()?);
                Some((self.take(name)?, self.take(value)?))
            };
            let (name, value) = text().ok_or_else(|| format!("the bytes end inside its partition key {at}"))?;
            let utf8 = |bytes| {
                std::str::from_utf8(bytes).map_err(|_| format!("the text of its partition key {at} is not UTF-8"))
            };
            Ok((utf8(name)?, utf8(value)?))
        };
        (0..count).map(key).collect()
    }

    fn take(&mut self, bytes: u32) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(bytes).ok()?)?;
        self.rest = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*bytes))
    }
}

fn pair(one: u32, other: u32) -> [u8; 8] {
    (u64::from(other) << 32 | u64::from(one)).to_le_bytes()
}

const VERSION: u32 = 1;
const HEADER: usize = 8;
const RECORD_HEADER: usize = 16;
const ANSWER_HEADER: usize = 12;

const OK: u8 = 0;
const UNCHANGED: u8 = 1;
const DROPPED: u8 = 2;
const FAILED: u8 = 3;
