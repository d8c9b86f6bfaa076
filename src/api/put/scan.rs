//! The shapes of a put that clients really send, read without a JSON parser.
//!
//! boto3, the AWS CLI, the SDKs for Java, JavaScript, Go and Rust, and Fluent Bit all write the two members once, in either
//! order, with or without white space, and never escape anything in base64. Everything else is `None`: "do not know", which
//! says nothing about whether the body is good.

use std::borrow::Cow;

use memchr::memchr;

use super::{Limits, MAX_NAME, MAX_RECORDS, Put, Records, is_name_byte};

/// Reads a PutRecord of a well-known shape.
pub(super) fn record(body: &[u8], limits: Limits) -> Option<Put<'_>> {
    request(body, b"\"Record\"", |scanner, records| scanner.record(records, limits))
}

/// Reads a PutRecordBatch of a well-known shape.
pub(super) fn batch(body: &[u8], limits: Limits) -> Option<Put<'_>> {
    request(body, b"\"Records\"", |scanner, records| scanner.list(records, limits))
}

/// `{"DeliveryStreamName":"…",<member>:…}` in either order.
fn request<'a>(
    body: &'a [u8],
    member: &[u8],
    read: impl Fn(&mut Scanner<'a>, &mut Records) -> Option<()>,
) -> Option<Put<'a>> {
    let mut scanner = Scanner { rest: body };
    let mut records = Records::with_room_for(body.len());
    scanner.token(b"{")?;
    let stream = if scanner.token(NAME_MEMBER).is_some() {
        let stream = scanner.name()?;
        scanner.token(b",")?;
        scanner.token(member)?;
        scanner.token(b":")?;
        read(&mut scanner, &mut records)?;
        stream
    } else {
        scanner.token(member)?;
        scanner.token(b":")?;
        read(&mut scanner, &mut records)?;
        scanner.token(b",")?;
        scanner.token(NAME_MEMBER)?;
        scanner.name()?
    };
    scanner.token(b"}")?;
    scanner.skip_space();
    scanner.rest.is_empty().then_some(Put { stream: Cow::Borrowed(stream), records })
}

/// What is still to be read.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    /// Takes `token` and the white space before it. On `None` only white space was taken.
    fn token(&mut self, token: &[u8]) -> Option<()> {
        self.skip_space();
        self.rest = self.rest.strip_prefix(token)?;
        Some(())
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', after @ ..] = self.rest {
            self.rest = after;
        }
    }

    /// Takes a string; the caller must refuse any content that holds a backslash.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.token(b"\"")?;
        let (text, after) = self.rest.split_at_checked(memchr(b'"', self.rest)?)?;
        self.rest = after.get(1..)?;
        Some(text)
    }

    /// Takes `:` and a name within the constraints.
    fn name(&mut self) -> Option<&'a str> {
        self.token(b":")?;
        let name = self.string()?;
        let valid = (1..=MAX_NAME).contains(&name.len()) && name.iter().all(|byte| is_name_byte(*byte));
        if valid { std::str::from_utf8(name).ok() } else { None }
    }

    /// Takes `{"Data":"…"}`. A backslash is no base64.
    fn record(&mut self, records: &mut Records, limits: Limits) -> Option<()> {
        self.token(b"{")?;
        self.token(b"\"Data\"")?;
        self.token(b":")?;
        let text = self.string()?;
        records.push_base64(text, limits.max_record).ok()?;
        self.token(b"}")
    }

    /// Takes `[…]` with 1 to 500 records that are not too long together.
    fn list(&mut self, records: &mut Records, limits: Limits) -> Option<()> {
        records.lengths.reserve(MAX_RECORDS);
        self.token(b"[")?;
        loop {
            self.record(records, limits)?;
            if records.len() > MAX_RECORDS || records.body.len() > limits.max_batch {
                return None;
            }
            if self.token(b",").is_none() {
                return self.token(b"]");
            }
        }
    }
}

const NAME_MEMBER: &[u8] = b"\"DeliveryStreamName\"";

#[cfg(test)]
mod tests;
