//! The judge over every body that the scanner does not know: JSON by `serde_json`, then the API's model.
//!
//! Texts are borrowed from the body where nothing is escaped. Of a list only as many records are kept as a batch may have; the
//! rest is checked for being JSON and counted, so that a hostile body costs no more memory than it has bytes.

mod member;

use std::borrow::Cow;

use member::{Blob, Entry, Given, Request};

use super::{Limits, MAX_NAME, MAX_RECORDS, NotARecord, Put, Records, Refusal, is_name_byte};

/// Reads any PutRecord.
///
/// # Errors
/// See [`Put::from_record_body`].
pub(super) fn record(body: &[u8], limits: Limits) -> Result<Put<'_>, Refusal> {
    let Request { name, record, .. } = request(body)?;
    let name = name.or_wrong("deliveryStreamName")?;
    let mut reading = Reading::new(body, limits);
    reading.name(name.as_deref());
    match record.or_wrong("record")? {
        Some(entry) => reading.entry(entry, || "record".to_owned())?,
        None => reading.faults.push(null_at("record")),
    }
    reading.finish(name)
}

/// Reads any PutRecordBatch.
///
/// # Errors
/// See [`Put::from_batch_body`].
pub(super) fn batch(body: &[u8], limits: Limits) -> Result<Put<'_>, Refusal> {
    let Request { name, records, .. } = request(body)?;
    let name = name.or_wrong("deliveryStreamName")?;
    let mut reading = Reading::new(body, limits);
    reading.name(name.as_deref());
    match records.or_wrong("records")? {
        Some(list) => {
            if list.count == 0 {
                reading.faults.push(fault("records", "", "Member must have length greater than or equal to 1"));
            }
            if list.count > MAX_RECORDS {
                let rule = format!("Member must have length less than or equal to {MAX_RECORDS}");
                reading.faults.push(fault("records", "", &rule));
            }
            for (index, entry) in list.entries.into_iter().enumerate() {
                let path = || format!("records.{}.member", index + 1);
                match entry.or_wrong_at(path)? {
                    Some(entry) => reading.entry(entry, path)?,
                    None => reading.faults.push(null_at(&path())),
                }
            }
        }
        None => reading.faults.push(null_at("records")),
    }
    if reading.faults.is_empty() && reading.records.body.len() > limits.max_batch {
        return Err(Refusal::BatchTooLong { max_bytes: limits.max_batch });
    }
    reading.finish(name)
}

fn request(body: &[u8]) -> Result<Request<'_>, Refusal> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::Serialization(format!("Body is not UTF-8: wrong byte at {}", error.valid_up_to())))?;
    let given: Given<Request<'_>> =
        serde_json::from_str(text).map_err(|error| Refusal::Serialization(format!("Body is not JSON: {error}")))?;
    Ok(given.or_wrong("body")?.unwrap_or_default())
}

/// Records and faults so far.
struct Reading {
    records: Records,
    faults: Vec<String>,
    limits: Limits,
}

impl Reading {
    fn new(body: &[u8], limits: Limits) -> Self {
        Self { records: Records::with_room_for(body.len()), faults: Vec::new(), limits }
    }

    fn name(&mut self, name: Option<&str>) {
        let path = "deliveryStreamName";
        let Some(name) = name else {
            self.faults.push(null_at(path));
            return;
        };
        let value = quoted(name);
        if !name.bytes().all(is_name_byte) || name.is_empty() {
            let rule = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
            self.faults.push(fault(path, &value, rule));
        }
        if name.is_empty() {
            self.faults.push(fault(path, &value, "Member must have length greater than or equal to 1"));
        }
        if name.chars().count() > MAX_NAME {
            let rule = format!("Member must have length less than or equal to {MAX_NAME}");
            self.faults.push(fault(path, &value, &rule));
        }
    }

    /// Decodes one record, or notes what is wrong with it. Only wrong types and wrong base64 end the reading.
    fn entry(&mut self, entry: Entry<'_>, path: impl Fn() -> String) -> Result<(), Refusal> {
        let path = || format!("{}.data", path());
        let Some(Blob(text)) = entry.data.or_wrong_at(path)? else {
            self.faults.push(null_at(&path()));
            return Ok(());
        };
        match self.records.push_base64(text.as_bytes(), self.limits.max_record) {
            Ok(()) => Ok(()),
            Err(NotARecord::Base64) => Err(Refusal::Serialization(not_base64(&text, &path()))),
            Err(NotARecord::TooLong(bytes)) => {
                let value = format!("'java.nio.HeapByteBuffer[pos=0 lim={bytes} cap={bytes}]' ");
                let rule = format!("Member must have length less than or equal to {}", self.limits.max_record);
                self.faults.push(fault(&path(), &value, &rule));
                Ok(())
            }
        }
    }

    fn finish(self, name: Option<Cow<'_, str>>) -> Result<Put<'_>, Refusal> {
        match name {
            Some(stream) if self.faults.is_empty() => Ok(Put { stream, records: self.records }),
            _ => Err(Refusal::Validation(self.faults)),
        }
    }
}

fn null_at(path: &str) -> String {
    fault(path, "", "Member must not be null")
}

/// One clause of a `ValidationException`; `value` is empty or quoted and followed by a space.
fn fault(path: &str, value: &str, constraint: &str) -> String {
    format!("Value {value}at '{path}' failed to satisfy constraint: {constraint}")
}

/// `'value' `, cut where a message would grow with the body.
fn quoted(value: &str) -> String {
    format!("'{}' ", shown(value))
}

fn shown(value: &str) -> Cow<'_, str> {
    match value.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}...", value.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(value),
    }
}

/// What is wrong with a text that did not decode, in the words of the service.
fn not_base64(text: &str, path: &str) -> String {
    let reason = if !text.len().is_multiple_of(4) {
        format!("Base64 encoded length is expected a multiple of 4 bytes but found: {}", text.len())
    } else if let Some(wrong) = first_wrong_character(text) {
        format!("Invalid Base64 character: '{}'", wrong.escape_default())
    } else {
        "Invalid last non-pad Base64 character detected".to_owned()
    };
    format!("'{}' can not be converted to a Blob: {reason} (at '{path}')", shown(text))
}

/// The first character outside the alphabet, or a `=` that is not padding.
fn first_wrong_character(text: &str) -> Option<char> {
    let data = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    data.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/')))
}

/// Characters of a wrong value that a message shows: enough to find it, too few to fill a log.
const MAX_SHOWN: usize = 100;

#[cfg(test)]
mod tests;
