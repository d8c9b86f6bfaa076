//! Says whether a line is a JSON value, at a price the put path can pay.
//!
//! Of the parsers that were measured over click-stream lines, `serde_json` is a quarter slower, and the SIMD ones are slower too
//! without a CPU chosen at compile time; one of them recurses without a bound, so that a line of `[` ends the process. This
//! checker keeps what is open in a list of its own and looks at eight bytes of a string at a time. It takes text that is UTF-8
//! already and builds nothing.

/// Checks lines; keeps its list of open arrays and objects from line to line.
#[derive(Debug, Default)]
pub(super) struct Checker {
    open: Vec<Open>,
}

impl Checker {
    /// Whether `line` is one JSON value (RFC 8259) with nothing but white space around it.
    ///
    /// Half of a surrogate pair (`"\ud800"`) passes, as in the grammar: a record is passed on as bytes, and what it means is
    /// for its reader.
    ///
    /// # Errors
    /// The rule that the line breaks.
    pub(super) fn check(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let end = self.value_end(line)?;
        match line.get(skip_space(line, end)) {
            None => Ok(()),
            Some(_) => Err("more text follows the value"),
        }
    }

    /// The position after the value that `bytes` starts with, after white space or not.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub(super) fn value_end(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        self.open.clear();
        let mut at = skip_space(bytes, 0);
        loop {
            at = match bytes.get(at) {
                Some(b'"') => string_end(bytes, at + 1)?,
                Some(b'{') => {
                    let first = skip_space(bytes, at + 1);
                    if bytes.get(first) == Some(&b'}') {
                        first + 1
                    } else {
                        self.open.push(Open::Object);
                        at = member_value(bytes, first)?;
                        continue;
                    }
                }
                Some(b'[') => {
                    let first = skip_space(bytes, at + 1);
                    if bytes.get(first) == Some(&b']') {
                        first + 1
                    } else {
                        self.open.push(Open::Array);
                        at = first;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => number_end(bytes, at)?,
                Some(b't') => literal_end(bytes, at, b"true")?,
                Some(b'f') => literal_end(bytes, at, b"false")?,
                Some(b'n') => literal_end(bytes, at, b"null")?,
                Some(_) => return Err("expected a JSON value"),
                None => return Err("ends before its value does"),
            };
            match self.after_value(bytes, at)? {
                Next::Value(next) => at = next,
                Next::Done(end) => return Ok(end),
            }
        }
    }

    /// Closes what ends at `at`, up to the next value or the end of the outermost one.
    fn after_value(&mut self, bytes: &[u8], mut at: usize) -> Result<Next, &'static str> {
        while let Some(open) = self.open.last() {
            at = skip_space(bytes, at);
            match (open, bytes.get(at)) {
                (Open::Object, Some(b',')) => return member_value(bytes, skip_space(bytes, at + 1)).map(Next::Value),
                (Open::Array, Some(b',')) => return Ok(Next::Value(skip_space(bytes, at + 1))),
                (Open::Object, Some(b'}')) | (Open::Array, Some(b']')) => {
                    self.open.pop();
                    at += 1;
                }
                (Open::Object, Some(_)) => return Err("expected `,` or `}`"),
                (Open::Array, Some(_)) => return Err("expected `,` or `]`"),
                (_, None) => return Err("ends before its value does"),
            }
        }
        Ok(Next::Done(at))
    }
}

/// What is open around a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

/// Where the walk stands after a value.
enum Next {
    /// Another value is expected at this position.
    Value(usize),
    /// The outermost value ended before this position.
    Done(usize),
}

/// The position of a member's value; its name is expected at `at`.
fn member_value(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    if bytes.get(at) != Some(&b'"') {
        return Err("expected a member name in double quotes");
    }
    let colon = skip_space(bytes, string_end(bytes, at + 1)?);
    if bytes.get(colon) != Some(&b':') {
        return Err("expected `:` after a member name");
    }
    Ok(skip_space(bytes, colon + 1))
}

/// The position after the closing quote of the string whose first character is at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Result<usize, &'static str> {
    loop {
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let found = quotes_escapes_and_controls(u64::from_le_bytes(*chunk));
            if found != 0 {
                at += (found.trailing_zeros() / 8) as usize;
                break;
            }
            at += 8;
        }
        match bytes.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_end(bytes, at + 1)?,
            Some(..0x20) => return Err("a control character in a string must be escaped"),
            Some(_) => at += 1,
            None => return Err("a string is not closed"),
        }
    }
}

/// The high bit of every byte that is `"`, `\` or below 0x20; bits above the lowest one set may be wrong.
fn quotes_escapes_and_controls(word: u64) -> u64 {
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word;
    let quotes = zero_in(word ^ (ONES * 0x22));
    let escapes = zero_in(word ^ (ONES * 0x5C));
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (quotes | escapes | controls) & (ONES * 0x80)
}

fn escape_end(bytes: &[u8], at: usize) -> Result<usize, &'static str> {
    match bytes.get(at) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 1),
        Some(b'u') => match bytes.get(at + 1..at + 5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 5),
            _ => Err("`\\u` wants four hexadecimal digits"),
        },
        _ => Err("unknown escape in a string"),
    }
}

/// The position after the number at `at`, which starts with `-` or a digit.
fn number_end(bytes: &[u8], mut at: usize) -> Result<usize, &'static str> {
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(bytes, at)?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits_end(bytes, at + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = bytes.get(at) {
            at += 1;
        }
        at = digits_end(bytes, at)?;
    }
    Ok(at)
}

/// The position after one or more digits.
fn digits_end(bytes: &[u8], start: usize) -> Result<usize, &'static str> {
    let mut at = start;
    while let Some(b'0'..=b'9') = bytes.get(at) {
        at += 1;
    }
    if at == start { Err("a number lacks a digit") } else { Ok(at) }
}

fn literal_end(bytes: &[u8], at: usize, literal: &[u8]) -> Result<usize, &'static str> {
    let end = at + literal.len();
    if bytes.get(at..end) == Some(literal) { Ok(end) } else { Err("expected a JSON value") }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

const ONES: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
pub(super) mod tests;
