//! `RecordDeAggregation`: several records that a producer sent as one.
//!
//! | `SubRecordType` | Parts |
//! |---|---|
//! | `JSON` | objects one behind the other, with or without white space between them, which is lost |
//! | `DELIMITED` | what stands between delimiters; empty parts are left out |
//!
//! A record is taken apart as a whole or fails as a whole, with all its bytes in one error entry: one that holds anything else
//! than objects (an array is not split, as AWS says), one without any part, one of more than 500 parts. The last has AWS's own
//! code, the others the one of a record that no key can be taken from. The limit holds with and without `--strict`: it is part
//! of what a producer may rely on to be told.
//!
//! An error entry about a part, here or later, shows the part.

use memchr::memmem;

use super::json::Scanner;
use super::{Context, Parameters, Transform};
use crate::records::{Arrived, Building, ErrorOutput, Failure, Fates, Origin, Raw, Record, Records, Span};

/// Takes records apart.
#[derive(Clone, Debug)]
pub enum DeAggregation {
    /// Objects one behind the other.
    Json,
    /// Between delimiters of these bytes.
    Delimited(Vec<u8>),
}

pub(super) fn check(parameters: &Parameters) -> Result<(), String> {
    DeAggregation::of(parameters).map(drop)
}

pub(super) fn build(parameters: &Parameters, _context: &Context) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(DeAggregation::of(parameters)?))
}

impl DeAggregation {
    fn of(parameters: &Parameters) -> Result<Self, String> {
        if parameters.given("SubRecordType") != Some("DELIMITED") {
            return Ok(Self::Json);
        }
        let given = parameters.given("Delimiter").ok_or("Delimiter should be present for DELIMITED")?;
        match base64_simd::STANDARD.decode_to_vec(given) {
            Ok(delimiter) if !delimiter.is_empty() => Ok(Self::Delimited(delimiter)),
            _ => Err("Delimiter of RecordDeAggregation must be in base64 and not empty".to_owned()),
        }
    }

    /// Where the parts of `record` are.
    fn parts(&self, record: &[u8], parts: &mut Vec<Span>) -> Result<(), Fault> {
        parts.clear();
        match self {
            Self::Json => objects(record, parts)?,
            Self::Delimited(delimiter) => between(record, delimiter, parts)?,
        }
        if parts.is_empty() { Err(Fault::NoPart) } else { Ok(()) }
    }
}

impl Transform for DeAggregation {
    fn apply(&mut self, mut records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        let room = records.bytes();
        let mut made = Records::instead_of(&mut records, room);
        let mut parts = Vec::new();
        let mut last = None;
        for (at, (record, bytes)) in records.iter().enumerate() {
            if let Err(fault) = self.parts(bytes, &mut parts) {
                fates.failures.push(fault.failure(record.origin));
                continue;
            }
            for part in &parts {
                let text = bytes.get(part.range()).unwrap_or_default();
                // Parts of one record that arrived are counted through, even if it was taken apart before.
                let number = match last {
                    Some((source, number)) if source == record.origin.source => number + 1,
                    _ => 0,
                };
                last = Some((record.origin.source, number));
                let raw = raw(&record, bytes, *part, arrived, &mut made);
                made.push(text, Origin { part: number, raw, ..record.origin }, Some((&records, at)));
            }
        }
        made.done()
    }
}

/// How an error entry finds the bytes of a part: in what arrived, where they still are there.
fn raw(record: &Record, bytes: &[u8], part: Span, arrived: &Arrived, made: &mut Building) -> Raw {
    let begin = match record.origin.raw {
        Raw::Arrived => Some(0),
        Raw::Part(span) => Some(span.start),
        Raw::Kept(_) => None,
    };
    let moved = begin.map(|begin| Span { start: begin + part.start, end: begin + part.end });
    let text = bytes.get(part.range()).unwrap_or_default();
    match moved {
        Some(span) if arrived.record(record.origin.source).get(span.range()) == Some(text) => Raw::Part(span),
        _ => made.keep(text),
    }
}

/// Why a record cannot be taken apart.
#[derive(Clone, Copy, Debug)]
enum Fault {
    NotJson,
    NoPart,
    TooMany,
}

impl Fault {
    fn failure(self, origin: Origin) -> Failure {
        let (code, message) = match self {
            Self::NotJson => (FAILED, "Non JSON record provided"),
            Self::NoPart => (FAILED, "The record has no sub-record"),
            Self::TooMany => (LIMIT, "The count of split records exceeded the limit of 500"),
        };
        Failure {
            origin,
            output: ErrorOutput::MetadataExtraction,
            code: code.into(),
            message: message.into(),
            attempts: 1,
            raw: None,
        }
    }
}

fn objects(record: &[u8], parts: &mut Vec<Span>) -> Result<(), Fault> {
    let mut scanner = Scanner::new(record);
    while let Some(first) = scanner.peek() {
        let begin = scanner.position();
        if first != b'{' || scanner.value(0).is_none() {
            return Err(Fault::NotJson);
        }
        add(begin, scanner.position(), parts)?;
    }
    Ok(())
}

fn between(record: &[u8], delimiter: &[u8], parts: &mut Vec<Span>) -> Result<(), Fault> {
    let mut begin = 0;
    for end in memmem::find_iter(record, delimiter).chain([record.len()]) {
        if end > begin {
            add(begin, end, parts)?;
        }
        begin = end + delimiter.len();
    }
    Ok(())
}

fn add(start: usize, end: usize, parts: &mut Vec<Span>) -> Result<(), Fault> {
    if parts.len() == MOST_PARTS {
        return Err(Fault::TooMany);
    }
    let place = |position| u32::try_from(position).unwrap_or(u32::MAX);
    parts.push(Span { start: place(start), end: place(end) });
    Ok(())
}

/// Parts of one record at most.
pub const MOST_PARTS: usize = 500;

const FAILED: &str = "DynamicPartitioning.MetadataExtractionFailed";
const LIMIT: &str = "DynamicPartitioning.DeAggregationRecordCountLimitExceeded";
