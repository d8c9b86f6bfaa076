//! Bodies of plain HTTP requests, split into records.
//!
//! | Content-Type | Records |
//! |---|---|
//! | NDJSON | a line each, with its line feed; lines of white space only are blank and skipped; the others must be JSON values |
//! | text | a line each, with its line feed; only empty lines (`\n`, `\r\n`) are blank; a carriage return is kept as sent |
//! | JSON | an array: an element each, as sent, plus a line feed; any other value: one record plus a line feed |
//! | octets | the body |
//!
//! Where a body can be stored as it came it is: the buffer of the request becomes the buffer of the log. Otherwise it is
//! copied once.

mod json;
mod json_lines;
mod skim;

use memchr::memchr;

use crate::api::put::Records;
use json::Checker;
use json_lines::json_lines;

/// How the body of a request is divided into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/x-ndjson`, `application/jsonl`.
    JsonLines,
    /// `text/plain`.
    TextLines,
    /// `application/json`.
    Json,
    /// `application/octet-stream`.
    Octets,
}

/// Why a body was refused; nothing of it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// There is no record in it.
    #[error("the body holds no record")]
    Empty,
    /// The body is text of some sort but not UTF-8.
    #[error("{place}: the text must be UTF-8")]
    NotUtf8 {
        /// Where.
        place: Place,
    },
    /// A value is not JSON.
    #[error("{place}: must be a JSON value: {rule}")]
    NotJson {
        /// Where.
        place: Place,
        /// What is wrong there.
        rule: &'static str,
    },
    /// A record is longer than a record may be, with the line feed where one is stored.
    #[error("{place}: the record has {bytes} bytes, more than {max_bytes}")]
    TooLong {
        /// Where.
        place: Place,
        /// Its length.
        bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
}

impl SplitError {
    /// HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooLong { .. } => 413,
            Self::Empty | Self::NotUtf8 { .. } | Self::NotJson { .. } => 400,
        }
    }
}

/// Where in a body something is wrong; counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line; blank ones count.
    Line(usize),
    /// An element of the array.
    Element(usize),
    /// The body is one record.
    Body,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Element(number) => write!(f, "element {number}"),
            Self::Body => f.write_str("body"),
        }
    }
}

/// Divides `body` into records of at most `max_record` bytes each (at most `u32::MAX`).
///
/// With `newline` each record of a line or JSON body ends with a line feed, added where it is missing; without it none is
/// added and that of a line is dropped.
///
/// # Errors
/// The body holds no record, or one that breaks a rule; the first is named.
pub fn split(body: Vec<u8>, format: Format, newline: bool, max_record: usize) -> Result<Records, SplitError> {
    let rules = Rules { newline, max_record };
    let records = match format {
        Format::JsonLines => json_lines(body, &rules),
        Format::TextLines => text_lines(body, &rules),
        Format::Json => json_value(&body, &rules),
        Format::Octets if body.is_empty() => Err(SplitError::Empty),
        Format::Octets => {
            let lengths = vec![rules.length(&body, Place::Body, 0)?];
            Ok(Records { lengths, body })
        }
    }?;
    if records.is_empty() { Err(SplitError::Empty) } else { Ok(records) }
}

/// What holds for every record of a body.
struct Rules {
    newline: bool,
    max_record: usize,
}

impl Rules {
    /// The length that `text` is stored with, `more` bytes longer than it is.
    fn length(&self, text: &[u8], place: Place, more: usize) -> Result<u32, SplitError> {
        let bytes = text.len() + more;
        match u32::try_from(bytes) {
            Ok(length) if bytes <= self.max_record => Ok(length),
            _ => Err(SplitError::TooLong { place, bytes, max_bytes: self.max_record }),
        }
    }
}

/// Divides text at line feeds.
fn text_lines(mut body: Vec<u8>, rules: &Rules) -> Result<Records, SplitError> {
    end_last_line(&mut body);
    let mut lengths = Vec::with_capacity(body.len() / EXPECTED_LINE);
    let mut kept: Option<Vec<u8>> = (!rules.newline).then(|| Vec::with_capacity(body.len()));
    let (mut start, mut number) = (0, 0);
    while let Some((line, after)) = next_line(&body, start) {
        number += 1;
        if matches!(line, [] | [b'\r']) {
            // Only now is a copy needed: up to here the body is what is stored.
            kept.get_or_insert_with(|| body.get(..start).unwrap_or_default().to_vec());
        } else {
            lengths.push(rules.length(line, Place::Line(number), usize::from(rules.newline))?);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(line);
                if rules.newline {
                    kept.push(b'\n');
                }
            }
        }
        start = after;
    }
    Ok(Records { lengths, body: kept.unwrap_or(body) })
}

/// Gives an unfinished last line its line feed, so that every line has one.
fn end_last_line(body: &mut Vec<u8>) {
    if body.last().is_some_and(|byte| *byte != b'\n') {
        body.push(b'\n');
    }
}

/// The line that starts at `start`, without its line feed, and where the next one starts.
fn next_line(body: &[u8], start: usize) -> Option<(&[u8], usize)> {
    let rest = body.get(start..)?;
    let end = memchr(b'\n', rest)?;
    Some((rest.get(..end)?, start + end + 1))
}

/// The elements of an array, or the one value that the body is.
fn json_value(body: &[u8], rules: &Rules) -> Result<Records, SplitError> {
    if let Err(_error) = std::str::from_utf8(body) {
        return Err(SplitError::NotUtf8 { place: Place::Body });
    }
    let at_body = |rule| SplitError::NotJson { place: Place::Body, rule };
    let mut checker = Checker::default();
    let mut records = Records { lengths: Vec::new(), body: Vec::with_capacity(body.len() + 1) };
    let text = trim_json_end(trim_json_start(body));
    let mut add = |value: &[u8], place| {
        records.lengths.push(rules.length(value, place, usize::from(rules.newline))?);
        records.body.extend_from_slice(value);
        if rules.newline {
            records.body.push(b'\n');
        }
        Ok(())
    };
    let Some(inside) = text.strip_prefix(b"[") else {
        checker.check(text).map_err(at_body)?;
        add(text, Place::Body)?;
        return Ok(records);
    };
    let mut rest = trim_json_start(inside);
    if rest.starts_with(b"]") {
        return if rest == b"]" { Ok(records) } else { Err(at_body("more text follows the value")) };
    }
    for number in 1.. {
        let place = Place::Element(number);
        let end = checker.value_end(rest).map_err(|rule| SplitError::NotJson { place, rule })?;
        let (value, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        add(value, place)?;
        rest = trim_json_start(after);
        match rest.split_first() {
            Some((b',', after)) => rest = trim_json_start(after),
            Some((b']', [])) => break,
            Some((b']', _)) => return Err(at_body("more text follows the value")),
            Some(_) => return Err(SplitError::NotJson { place, rule: "expected `,` or `]` after it" }),
            None => return Err(at_body("the array is not closed")),
        }
    }
    Ok(records)
}

/// Without white space of JSON in front. A form feed is none, although `trim_ascii` takes it for one.
fn trim_json_start(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = text {
        text = rest;
    }
    text
}

fn trim_json_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., b' ' | b'\t' | b'\n' | b'\r'] = text {
        text = rest;
    }
    text
}

/// Bytes of a line that the table of lengths is first sized for; a guess.
const EXPECTED_LINE: usize = 256;

#[cfg(test)]
mod tests;
