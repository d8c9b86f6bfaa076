//! Records between two processors: their bytes one behind the other, where each came from, and what became of the others.
//!
//! ```text
//! Arrived ──► Records ──► processor ──► Records ──► …          sources, as the log has them, are never changed
//!    ▲                        │
//!    └──── Origin.source ─────┴──► Fates: failures and counts of dropped records
//! ```
//!
//! A record that goes into a processor goes exactly one way: into its result, into a failure, or it is dropped.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use hydrant_model::{Buffer, KeySource, RecordIdentity};

/// Records as the log has them: a stretch of it.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// Their bytes.
    pub bytes: Arc<Buffer>,
    /// One for each record, in the order of the log.
    pub sources: Vec<Source>,
}

/// One record as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Where its bytes are.
    pub span: Span,
    /// When it arrived, milliseconds since the Unix epoch.
    pub arrival_ms: u64,
    /// Who it is.
    pub identity: RecordIdentity,
}

/// Half-open range of bytes in a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

/// Where a record came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Index of the record that arrived.
    pub source: u32,
    /// Which part of it, where it was taken apart; else 0.
    pub part: u32,
    /// The bytes that an error entry shows.
    pub raw: Raw,
}

/// The bytes that an error entry shows of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raw {
    /// The record as it arrived.
    Arrived,
    /// A part of it.
    Part(Span),
    /// A part of what a processor made of it, which the records keep.
    Kept(Span),
}

/// Records on their way.
#[derive(Clone, Debug)]
pub struct Records {
    bytes: Arc<Buffer>,
    list: Vec<Record>,
    kept: Vec<u8>,
    wanted: Arc<[WantedKey]>,
    /// As many a record as keys are wanted, in their order.
    keys: Vec<Option<Span>>,
    texts: String,
}

/// One record on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes.
    pub span: Span,
    /// Where it came from.
    pub origin: Origin,
}

/// A partition key that the stream's prefix has a place for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WantedKey {
    /// Which processor gives it.
    pub source: KeySource,
    /// Its name.
    pub name: String,
}

/// What became of records that did not come out of a processor.
#[derive(Debug, Default)]
pub struct Fates {
    /// Those that go to the error output.
    pub failures: Vec<Failure>,
    /// How many were dropped by a verdict.
    pub dropped: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// How many records, the last ones, were not taken and went no way yet: they are to come again. Only the first processor of
    /// a stream leaves any, and never all of them.
    pub left: usize,
    /// Their bytes.
    pub left_bytes: usize,
}

/// A record that a processor cannot take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which one.
    pub origin: Origin,
    /// Which of AWS's error outputs takes it.
    pub output: ErrorOutput,
    /// AWS's code, such as `Lambda.FunctionError`.
    pub code: Cow<'static, str>,
    /// What is wrong with it.
    pub message: Cow<'static, str>,
    /// How often it was tried.
    pub attempts: u32,
    /// The bytes that the entry shows, where they are no longer in the records; else those of the origin.
    pub raw: Option<Vec<u8>>,
}

/// AWS's values of `!{firehose:error-output-type}` for what happens before delivery.
///
/// The two of dynamic partitioning are in no document but seen on the service: the integration tests of aws-cdk wait for
/// `metadata-extraction-failed/` after a query that finds no key, and for `partitioning-failed/` after a Lambda that gives none
/// (<https://github.com/aws/aws-cdk/pull/35903>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorOutput {
    /// `processing-failed`
    Processing,
    /// `decompression-failed`
    Decompression,
    /// `format-conversion-failed`
    FormatConversion,
    /// `metadata-extraction-failed`: the query, or taking the record apart for it, gave no partition keys.
    MetadataExtraction,
    /// `activePartitionExceeded`: more partitions would be active at a time than there may be.
    ActivePartitions,
    /// `partitioning-failed`: the keys are there or should have come from a transform, and make no prefix.
    Partitioning,
}

impl Span {
    /// The range as slices take it.
    pub fn range(self) -> Range<usize> {
        index(self.start)..index(self.end)
    }

    /// Bytes in it.
    pub fn len(self) -> usize {
        self.range().len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Arrived {
    /// The record at `source`, if it is there.
    pub fn source(&self, source: u32) -> Option<&Source> {
        self.sources.get(index(source))
    }

    /// The bytes of the record at `source`; empty for one that is not there.
    pub fn record(&self, source: u32) -> &[u8] {
        let span = self.sources.get(index(source)).map(|source| source.span).unwrap_or_default();
        self.bytes.get(span.range()).unwrap_or_default()
    }

    /// Takes the last `count` records away.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Self {
        let at = self.sources.len().saturating_sub(count);
        Self { bytes: Arc::clone(&self.bytes), sources: self.sources.split_off(at) }
    }
}

impl Records {
    /// Every record of `arrived`, with a place for each of `wanted`. Copies no bytes.
    pub fn of(arrived: &Arrived, wanted: Arc<[WantedKey]>) -> Self {
        let list = arrived.sources.iter().zip(0..).map(|(source, at)| Record {
            span: source.span,
            origin: Origin { source: at, part: 0, raw: Raw::Arrived },
        });
        let keys = vec![None; arrived.sources.len() * wanted.len()];
        let bytes = Arc::clone(&arrived.bytes);
        Self { bytes, list: list.collect(), kept: Vec::new(), wanted, keys, texts: String::new() }
    }

    /// An empty list that keeps what `before` keeps for error entries, and the texts of its keys: what a processor that makes
    /// other records of them pushes its results to. Room for `bytes`.
    pub fn instead_of(before: &mut Self, bytes: usize) -> Building {
        Building {
            bytes: Buffer::with_capacity(bytes),
            records: Self {
                bytes: Arc::default(),
                list: Vec::with_capacity(before.list.len()),
                kept: std::mem::take(&mut before.kept),
                wanted: Arc::clone(&before.wanted),
                keys: Vec::with_capacity(before.keys.len()),
                texts: std::mem::take(&mut before.texts),
            },
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Each record with its bytes, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Record, &[u8])> {
        self.list.iter().map(|record| (*record, self.bytes.get(record.span.range()).unwrap_or_default()))
    }

    /// The record at `at` with its bytes.
    pub fn get(&self, at: usize) -> Option<(Record, &[u8])> {
        self.list.get(at).map(|record| (*record, self.bytes.get(record.span.range()).unwrap_or_default()))
    }

    /// The bytes of all records in order, in as few pieces as they lie in.
    pub fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.list.iter().peekable();
        std::iter::from_fn(move || {
            let mut run = rest.next()?.span;
            while let Some(next) = rest.next_if(|next| next.span.start == run.end) {
                run.end = next.span.end;
            }
            Some(self.bytes.get(run.range()).unwrap_or_default())
        })
    }

    /// Where the spans of all records lie.
    pub fn buffer(&self) -> &Arc<Buffer> {
        &self.bytes
    }

    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.list.iter().map(|record| record.span.len()).sum()
    }

    /// The bytes that an error entry about `origin` shows.
    pub fn raw<'r>(&'r self, arrived: &'r Arrived, origin: Origin) -> &'r [u8] {
        let arrived = arrived.record(origin.source);
        match origin.raw {
            Raw::Arrived => arrived,
            Raw::Part(span) => arrived.get(span.range()).unwrap_or_default(),
            Raw::Kept(span) => self.kept.get(span.range()).unwrap_or_default(),
        }
    }

    /// The keys that the prefix has places for, in the order of [`Records::keys`].
    pub fn wanted(&self) -> &Arc<[WantedKey]> {
        &self.wanted
    }

    /// The values of the record at `at`, in the order of what is wanted; `None` for one that no processor has given.
    pub fn keys(&self, at: usize) -> impl Iterator<Item = Option<&str>> {
        let width = self.wanted.len();
        let spans = self.keys.get(at * width..(at + 1) * width).unwrap_or_default();
        spans.iter().map(|span| span.and_then(|span| self.text(span)))
    }

    /// Sets value number `key` of the record at `at`.
    pub fn set_key(&mut self, at: usize, key: usize, value: &str) {
        let start = narrow(self.texts.len());
        self.texts.push_str(value);
        let span = Span { start, end: narrow(self.texts.len()) };
        if let Some(slot) = self.keys.get_mut(at * self.wanted.len() + key) {
            *slot = Some(span);
        }
    }

    /// Keeps the records for which `keep` says so, and the order.
    pub fn retain(&mut self, mut keep: impl FnMut(usize, Record) -> bool) {
        let width = self.wanted.len();
        let mut kept = 0;
        for at in 0..self.list.len() {
            let Some(record) = self.list.get(at).copied() else { break };
            if !keep(at, record) {
                continue;
            }
            if kept != at {
                self.list.swap(kept, at);
                for key in 0..width {
                    self.keys.swap(kept * width + key, at * width + key);
                }
            }
            kept += 1;
        }
        self.list.truncate(kept);
        self.keys.truncate(kept * width);
    }

    fn text(&self, span: Span) -> Option<&str> {
        self.texts.get(span.range())
    }
}

/// Records that are being made.
#[derive(Debug)]
pub struct Building {
    bytes: Buffer,
    records: Records,
}

impl Building {
    /// Adds a record of these bytes. Its keys are those of the record at `like` in `before`, if any.
    pub fn push(&mut self, bytes: &[u8], origin: Origin, like: Option<(&Records, usize)>) {
        let start = narrow(self.bytes.len());
        self.bytes.extend_from_slice(bytes);
        let span = Span { start, end: narrow(self.bytes.len()) };
        self.records.list.push(Record { span, origin });
        let width = self.records.wanted.len();
        let keys = like.and_then(|(before, at)| before.keys.get(at * width..(at + 1) * width));
        match keys {
            Some(keys) => self.records.keys.extend_from_slice(keys),
            None => self.records.keys.resize(self.records.keys.len() + width, None),
        }
    }

    /// Adds bytes to the record that was added last.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if let Some(last) = self.records.list.last_mut() {
            last.span.end = narrow(self.bytes.len());
        }
    }

    /// Sets value number `key` of the record that was added last.
    pub fn set_key(&mut self, key: usize, value: &str) {
        if let Some(last) = self.records.list.len().checked_sub(1) {
            self.records.set_key(last, key, value);
        }
    }

    /// Keeps `bytes` for an error entry.
    pub fn keep(&mut self, bytes: &[u8]) -> Raw {
        let start = narrow(self.records.kept.len());
        self.records.kept.extend_from_slice(bytes);
        Raw::Kept(Span { start, end: narrow(self.records.kept.len()) })
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none so far.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The records.
    pub fn done(mut self) -> Records {
        self.records.bytes = Arc::new(self.bytes);
        self.records
    }
}

impl ErrorOutput {
    /// Every one.
    pub const ALL: [Self; 6] = [
        Self::Processing,
        Self::Decompression,
        Self::FormatConversion,
        Self::MetadataExtraction,
        Self::ActivePartitions,
        Self::Partitioning,
    ];

    /// AWS's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing-failed",
            Self::Decompression => "decompression-failed",
            Self::FormatConversion => "format-conversion-failed",
            Self::MetadataExtraction => "metadata-extraction-failed",
            Self::ActivePartitions => "activePartitionExceeded",
            Self::Partitioning => "partitioning-failed",
        }
    }
}

/// A position in a buffer of a stretch, which is bounded far below 4 GiB.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use hydrant_model::{Birth, Offset};

    use super::*;

    fn arrived(records: &[&str]) -> Arrived {
        let mut bytes = Vec::new();
        let mut sources = Vec::new();
        for (record, offset) in records.iter().zip(0..) {
            let start = narrow(bytes.len());
            bytes.extend_from_slice(record.as_bytes());
            let span = Span { start, end: narrow(bytes.len()) };
            let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
            sources.push(Source { span, arrival_ms: 7, identity });
        }
        Arrived { bytes: Arc::new(bytes.into()), sources }
    }

    fn wanted(names: &[&str]) -> Arc<[WantedKey]> {
        names.iter().map(|name| WantedKey { source: KeySource::Query, name: (*name).to_owned() }).collect()
    }

    #[test]
    fn keys_follow_the_records_that_are_kept() {
        let arrived = arrived(&["a", "b", "c"]);
        let mut records = Records::of(&arrived, wanted(&["x", "y"]));
        for at in 0..3 {
            records.set_key(at, 0, &format!("x{at}"));
        }
        records.set_key(2, 1, "y2");
        records.retain(|at, _| at != 1);
        let kept: Vec<_> = records.iter().map(|(record, bytes)| (record.origin.source, bytes.to_vec())).collect();
        assert_eq!(kept, [(0, b"a".to_vec()), (2, b"c".to_vec())]);
        assert_eq!(records.keys(0).collect::<Vec<_>>(), [Some("x0"), None]);
        assert_eq!(records.keys(1).collect::<Vec<_>>(), [Some("x2"), Some("y2")]);
    }

    #[test]
    fn what_is_made_of_records_has_their_keys_and_their_raw_bytes() {
        let arrived = arrived(&["one two", "three"]);
        let mut before = Records::of(&arrived, wanted(&["x"]));
        before.set_key(0, 0, "k");
        let mut building = Records::instead_of(&mut before, 16);
        let part = Origin { source: 0, part: 1, raw: Raw::Part(Span { start: 4, end: 7 }) };
        building.push(b"tw", part, Some((&before, 0)));
        building.extend(b"o!");
        let kept = building.keep(b"THREE");
        building.push(b"3", Origin { source: 1, part: 0, raw: kept }, None);
        let after = building.done();
        let made: Vec<_> = after.iter().map(|(_, bytes)| bytes.to_vec()).collect();
        assert_eq!(made, [b"two!".to_vec(), b"3".to_vec()]);
        let raw: Vec<_> = after.iter().map(|(record, _)| after.raw(&arrived, record.origin)).collect();
        assert_eq!(raw, [b"two".as_slice(), b"THREE"]);
        assert_eq!(after.keys(0).collect::<Vec<_>>(), [Some("k")]);
        assert_eq!(after.keys(1).collect::<Vec<_>>(), [None]);
    }
}
