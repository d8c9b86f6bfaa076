//! What is walked through byte by byte: brackets, line feeds and escapes.

use super::{BLOCK, Told};

/// Bits that stand for the bytes of a block.
pub(super) type Words = [u64; BLOCK / 64];

/// Follows lines and what is open in them.
pub(super) struct Nesting<'a> {
    body: &'a [u8],
    told: Told<'a>,
    /// Where the line starts.
    line: usize,
    /// Behind the last bracket of the line's value, once it came.
    ended: Option<usize>,
    /// A bit for each open bracket, the innermost lowest, set for an object; above them the mark of the bottom.
    open: u64,
    /// How many lines were told about, and where the next one starts, before the block.
    before: (usize, usize),
}

impl<'a> Nesting<'a> {
    /// From the line that starts at `line` on.
    pub(super) fn new(body: &'a [u8], line: usize, told: Told<'a>) -> Self {
        let before = (told.lengths.len(), line);
        Self { body, told, line, ended: None, open: NOTHING, before }
    }

    /// Takes the block at `at`, with brackets and line feeds at `marks`. Returns which of its bytes lie in an object, not in an
    /// array within it: an opening bracket lies outside of what it opens, a closing one inside. `None` if brackets do not
    /// match, a line is anything but one array or object, or it is too long.
    #[inline]
    pub(super) fn block(&mut self, at: usize, marks: &Words) -> Option<Words> {
        self.before = (self.told.lengths.len(), self.line);
        let mut objects = [0; BLOCK / 64];
        let mut first = at;
        for (rest, objects) in marks.iter().zip(&mut objects) {
            let mut rest = *rest;
            let mut object = all_if(self.open & 1);
            while rest != 0 {
                let bit = rest.trailing_zeros();
                let outer = self.open;
                self.step(first + bit as usize)?;
                // From the next byte on.
                object ^= all_if((outer ^ self.open) & 1) & ((u64::MAX - 1) << bit);
                rest &= rest - 1;
            }
            *objects = object;
            first += 64;
        }
        Some(objects)
    }

    /// Takes back what was told about the lines that ended in the block. Returns the start of the first of them.
    pub(super) fn take_back(self) -> usize {
        let (lines, line) = self.before;
        self.told.lengths.truncate(lines);
        line
    }

    /// Where the line starts that has not ended.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    #[inline]
    fn step(&mut self, at: usize) -> Option<()> {
        let byte = *self.body.get(at)?;
        // Braces have this bit, square brackets have not.
        let is_object = u64::from(byte >> 5 & 1);
        if byte == b'\n' {
            return self.end_line(at);
        }
        // Of the brackets, the closing ones have this bit.
        if byte & 0b100 == 0 {
            let has_room = self.open >> 63 == 0;
            if !has_room || (self.open == NOTHING && !self.may_begin(at)) {
                return None;
            }
            self.open = self.open << 1 | is_object;
        } else {
            if self.open == NOTHING || self.open & 1 != is_object {
                return None;
            }
            self.open >>= 1;
            if self.open == NOTHING {
                self.ended = Some(at + 1);
            }
        }
        Some(())
    }

    fn may_begin(&self, at: usize) -> bool {
        self.ended.is_none() && self.is_blank(self.line, at)
    }

    fn end_line(&mut self, at: usize) -> Option<()> {
        let ended = self.ended.take()?;
        let bytes = at - self.line + usize::from(self.told.newline);
        let length = u32::try_from(bytes).ok()?;
        if self.open != NOTHING || bytes > self.told.max_record || !self.is_blank(ended, at) {
            return None;
        }
        self.told.lengths.push(length);
        self.line = at + 1;
        Some(())
    }

    fn is_blank(&self, start: usize, end: usize) -> bool {
        let is_blank = |text: &[u8]| text.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        start == end || self.body.get(start..end).is_some_and(is_blank)
    }
}

/// Follows backslashes from block to block.
#[derive(Default)]
pub(super) struct Escapes {
    /// 1 if the byte after the block is escaped.
    carry: u64,
}

impl Escapes {
    /// Whether a block without backslashes needs no look.
    #[inline]
    pub(super) fn are_over(&self) -> bool {
        self.carry == 0
    }

    /// Which bytes of the block at `at` come right after the backslash of an escape. `None` if one is no escape.
    #[cold]
    pub(super) fn block(&mut self, body: &[u8], at: usize, backslashes: &Words) -> Option<Words> {
        let mut escaped = [0; BLOCK / 64];
        let mut first = at;
        for (backslashes, escaped) in backslashes.iter().zip(&mut escaped) {
            *escaped = self.carry;
            let mut rest = backslashes & !self.carry;
            self.carry = 0;
            while rest != 0 {
                let bit = rest & rest.wrapping_neg();
                let after = first + rest.trailing_zeros() as usize + 1;
                if !is_escape(body.get(after..)?) {
                    return None;
                }
                *escaped |= bit << 1;
                self.carry = bit >> 63;
                rest &= !(bit | bit << 1);
            }
            first += 64;
        }
        Some(escaped)
    }
}

/// Whether `text` may follow a backslash.
fn is_escape(text: &[u8]) -> bool {
    match text {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', rest @ ..] => rest.first_chunk::<4>().is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        _ => false,
    }
}

fn all_if(bit: u64) -> u64 {
    0_u64.wrapping_sub(bit)
}

/// Nothing is open. The lowest bit is that of no object.
const NOTHING: u64 = 0b10;
