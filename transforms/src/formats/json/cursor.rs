//! A place in a record's JSON, and what can be read there. The bytes are UTF-8.
//!
//! Grammar: RFC 8259, nothing more. Escapes of half a surrogate pair are refused: no text has them.

use super::error::{Fault, RecordError};
use super::number::{self, Number};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a [u8],
    /// Whether `raw` has escapes, all of which are valid.
    pub(crate) escaped: bool,
}

/// A key in its quotes, to be compared with.
#[derive(Debug)]
pub(crate) struct Quoted {
    bytes: Box<[u8]>,
    /// The first eight bytes, or those that there are; and which bits of them count.
    head: u64,
    mask: u64,
    /// The last eight bytes.
    tail: u64,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    /// The next byte that is not white space, which is skipped; 0, which no JSON has outside strings, at the end.
    #[inline]
    pub(crate) fn look(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(&byte) if byte > b' ' => byte,
            _ => self.look_further(),
        }
    }

    fn look_further(&mut self) -> u8 {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let spaces = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
        self.at += spaces;
        rest.get(spaces).copied().unwrap_or(0)
    }

    /// Steps over the byte that [`Self::look`] gave.
    #[inline]
    pub(crate) fn step(&mut self) {
        self.at += 1;
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.look() == 0 && self.at >= self.bytes.len()
    }

    /// Steps over `bytes` where they come next.
    #[inline]
    pub(crate) fn take(&mut self, bytes: &[u8]) -> bool {
        let there = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        if there {
            self.at += bytes.len();
        }
        there
    }

    /// Steps over `key` where it comes next. Keys are short and asked for at every value: words are compared in place, where
    /// `memcmp` would have to be called.
    #[inline]
    pub(crate) fn take_key(&mut self, key: &Quoted) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = key.bytes.len();
        let there = match (word_at(rest, 0), length) {
            (Some(head), ..=8) => (head ^ key.head) & key.mask == 0,
            (Some(head), 9..=16) => head == key.head && word_at(rest, length - 8) == Some(key.tail),
            (Some(head), _) => head == key.head && rest.starts_with(&key.bytes),
            (None, _) => rest.starts_with(&key.bytes),
        };
        if there {
            self.at += length;
        }
        there
    }

    /// The error that something else would have been right here.
    #[cold]
    pub(crate) fn expected(&self, what: &str) -> Fault {
        RecordError::malformed_json(self.at, self.bytes.get(self.at).copied(), what)
    }

    /// Steps over `true`, `false` or `null`, whichever `word` is.
    #[inline]
    pub(crate) fn word(&mut self, word: &'static str) -> Result<&'static [u8], Fault> {
        if self.take(word.as_bytes()) { Ok(word.as_bytes()) } else { Err(self.expected("a value")) }
    }

    /// The string whose quote comes next.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text<'a>, Fault> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            at += plain_len(self.bytes.get(at..).unwrap_or_default());
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text { raw: self.bytes.get(start..at).unwrap_or_default(), escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    at = self.escape(at)?;
                }
                _ => {
                    self.at = at;
                    return Err(self.expected("the string to go on"));
                }
            }
        }
    }

    /// The string whose quote comes next, as a key.
    pub(crate) fn key(&mut self) -> Result<Text<'a>, Fault> {
        let key = self.string()?;
        if key.raw.len() > MOST_KEY_CHARS && key.chars() > MOST_KEY_CHARS {
            return Err(RecordError::malformed_data(format!("A JSON key is longer than {MOST_KEY_CHARS} characters")));
        }
        Ok(key)
    }

    /// Steps over the colon behind a key.
    #[inline]
    pub(crate) fn colon(&mut self) -> Result<(), Fault> {
        if self.look() != b':' {
            return Err(self.expected("':'"));
        }
        self.step();
        Ok(())
    }

    /// Steps over what stands between two members or items, or closes them with `close`; says whether one more follows.
    #[inline]
    pub(crate) fn another(&mut self, close: u8) -> Result<bool, Fault> {
        match self.look() {
            b',' => {
                self.step();
                Ok(true)
            }
            byte if byte == close => {
                self.step();
                Ok(false)
            }
            _ => Err(self.expected(if close == b'}' { "',' or '}'" } else { "',' or ']'" })),
        }
    }

    /// Steps over the bracket or brace that comes next; says whether something stands within.
    #[inline]
    pub(crate) fn open(&mut self, close: u8) -> bool {
        self.step();
        let some = self.look() != close;
        if !some {
            self.step();
        }
        some
    }

    /// The number whose first byte comes next.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match number::read(rest) {
            Ok(number) => {
                self.at += number.raw.len();
                Ok(number)
            }
            Err(length) => {
                self.at += length;
                Err(self.expected("a number"))
            }
        }
    }

    /// Checks the escape at `at` and gives the position behind it.
    fn escape(&mut self, at: usize) -> Result<usize, Fault> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at + 2),
            Some(b'u') => {
                let after = match self.bytes.get(at..).and_then(code_unit) {
                    Some(0xD800..0xDC00) => match self.bytes.get(at + 6..).and_then(code_unit) {
                        Some(0xDC00..0xE000) => Some(at + 12),
                        _ => None,
                    },
                    Some(0xDC00..0xE000) | None => None,
                    Some(_) => Some(at + 6),
                };
                if let Some(after) = after {
                    return Ok(after);
                }
            }
            _ => {}
        }
        self.at = at;
        Err(self.expected("a valid escape"))
    }
}

impl Quoted {
    /// The key that stands so between its quotes.
    pub(crate) fn new(raw: &[u8]) -> Self {
        let bytes = [b"\"", raw, b"\""].concat().into_boxed_slice();
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().max(8), 0);
        let unused = 8_usize.saturating_sub(bytes.len());
        let head = word_at(&padded, 0).unwrap_or(0);
        let tail = word_at(&padded, padded.len() - 8).unwrap_or(0);
        Self { bytes, head, mask: u64::MAX >> (8 * unused), tail }
    }
}

impl Text<'_> {
    /// Appends the text itself, without escapes.
    #[inline]
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        if self.escaped {
            unescape(self.raw, to);
        } else {
            to.extend_from_slice(self.raw);
        }
    }

    fn chars(&self) -> usize {
        let mut text = Vec::new();
        self.write(&mut text);
        text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
    }
}

/// Appends `raw`, whose escapes are valid, with each replaced by what it stands for.
fn unescape(raw: &[u8], to: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        to.extend_from_slice(plain);
        let mut length = 2;
        match escape.get(1) {
            Some(b'b') => to.push(8),
            Some(b'f') => to.push(12),
            Some(b'n') => to.push(b'\n'),
            Some(b'r') => to.push(b'\r'),
            Some(b't') => to.push(b'\t'),
            Some(b'u') => {
                let mut code = code_unit(escape).unwrap_or(0);
                length = 6;
                if let (0xD800..0xDC00, Some(low)) = (code, escape.get(6..).and_then(code_unit)) {
                    code = 0x1_0000 + ((code - 0xD800) << 10) + (low & 0x3FF);
                    length = 12;
                }
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                to.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Some(&itself) => to.push(itself),
            None => {}
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    to.extend_from_slice(rest);
}

/// The number in a `\uXXXX`.
fn code_unit(escape: &[u8]) -> Option<u32> {
    match escape {
        [b'\\', b'u', digits @ ..] => {
            let hex = |code, digit: &u8| Some(code << 4 | char::from(*digit).to_digit(16)?);
            digits.get(..4)?.iter().try_fold(0, hex)
        }
        _ => None,
    }
}

/// Bytes before the first quote, backslash or control character; eight at a time.
#[inline]
fn plain_len(bytes: &[u8]) -> usize {
    let mut plain = 0;
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*eight));
        if special != 0 {
            return plain + first_byte(special);
        }
        plain += 8;
        rest = after;
    }
    plain + rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// Eight bytes from `at` on.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|word| u64::from_le_bytes(*word))
}

/// Sets the top bit of each byte that is a quote, a backslash or below a space. A borrow may set one above such a byte too,
/// never below the first.
#[inline]
fn special_bytes(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let backslash = word ^ (ONES * 0x5C);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (below | quote | backslash) & TOPS
}

/// Index of the lowest byte whose top bit is set.
#[inline]
pub(super) fn first_byte(tops: u64) -> usize {
    usize::try_from(tops.trailing_zeros() / 8).unwrap_or(8)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// The most characters of a key: <https://docs.aws.amazon.com/firehose/latest/dev/limits.html>.
const MOST_KEY_CHARS: usize = 262_144;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_key_is_taken_where_it_comes_next_and_nowhere_else(
            key in "[ab]{0,20}", other in "[ab]{0,20}", change in 0..24_usize, after in ".{0,10}",
        ) {
            let quoted = Quoted::new(key.as_bytes());
            let mut changed = format!("\"{key}\"{after}").into_bytes();
            if let Some(byte) = changed.get_mut(change) {
                *byte ^= 1;
            }
            for next in [format!("\"{key}\"{after}").into_bytes(), format!("\"{other}\"{after}").into_bytes(), changed] {
                let mut cursor = Cursor::new(&next);
                let there = next.starts_with(format!("\"{key}\"").as_bytes());
                prop_assert_eq!(cursor.take_key(&quoted), there);
                prop_assert_eq!(cursor.position(), if there { key.len() + 2 } else { 0 });
            }
        }

        #[test]
        fn a_string_ends_at_its_first_special_byte(text in "[a-c\u{0}-\u{22}\\\\é\u{7f}-\u{a3}]{0,40}") {
            let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
            let wanted = text.bytes().position(|byte| special(&byte)).unwrap_or(text.len());
            prop_assert_eq!(plain_len(text.as_bytes()), wanted);
        }
    }
}
