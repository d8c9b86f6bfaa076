//! The error output: entries about records that no stage takes, in a log of their own.
//!
//! A pass over some records writes a *set* of entries. It counts once it is synced and the ledger names it
//! ([`Entry::Failed`](super::ledger::Entry)); a set that a crash cut short is named by nobody, and its records are met again.
//! What the ledger names waits for a cursor of its own, which makes one object of each output type, by the destination's hints.
//!
//! A record of the errors log:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 16 | set |
//! | 16 | 1 | length n of the output type's name |
//! | 17 | n | name, as `!{firehose:error-output-type}` gives it |
//! | 17 + n | … | the entry: a JSON object and a newline |

mod cursor;
mod entry;
mod read;

use std::collections::BTreeMap;
use std::sync::Arc;

use hydrant_model::{Offset, SetId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::ledger::Failures;
use crate::clock::Clock;
use crate::log::{AppendError, Appended, Durability, Log, Payload, Placement};

pub(super) use cursor::walk_errors;
pub(super) use entry::{Times, entry, undelivered};
pub(super) use read::ErrorsMaker;

/// The errors log of one stream.
pub struct ErrorsLog {
    log: Log,
    clock: Clock,
    /// Sets that are being written, and where they begin at the lowest: nothing of them is trimmed.
    writing: Mutex<BTreeMap<SetId, Offset>>,
}

/// Where entries of one set lie: those of the set among the offsets `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Part {
    /// The set.
    pub set: SetId,
    /// The first one's offset.
    pub from: Offset,
    /// The offset behind the last one.
    pub to: Offset,
}

impl ErrorsLog {
    /// The output whose entries are in `log`.
    pub fn new(log: Log, clock: Clock) -> Arc<Self> {
        Arc::new(Self { log, clock, writing: Mutex::default() })
    }

    /// The log underneath.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What time it is, milliseconds since the Unix epoch.
    pub(super) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// Begins a set.
    pub(super) fn begin(self: &Arc<Self>) -> Set {
        let id = SetId(self.clock.bits());
        self.writing.lock().insert(id, self.log.synced().offset);
        Set {
            errors: Arc::clone(self),
            id,
            losses: self.log.losses(),
            lengths: Vec::new(),
            body: Vec::new(),
            answers: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    /// Nothing of a set that is being written lies below.
    pub(super) fn writing_from(&self) -> Option<Offset> {
        self.writing.lock().values().copied().min()
    }
}

/// A set that is being written. Dropped, it is forgotten unless the ledger names it.
pub(super) struct Set {
    errors: Arc<ErrorsLog>,
    id: SetId,
    losses: u64,
    /// Not written yet.
    lengths: Vec<u32>,
    body: Vec<u8>,
    answers: Vec<Answer>,
    found: BTreeMap<&'static str, Found>,
}

struct Answer {
    records: u64,
    place: oneshot::Receiver<Result<Appended, AppendError>>,
}

/// What a set has of one output type.
struct Found {
    records: u64,
    bytes: u64,
    oldest_ms: u64,
    source: Offset,
}

impl Set {
    /// Adds an entry, a line of JSON, about the record at `source` that arrived at `arrival_ms`.
    ///
    /// # Errors
    /// The log was closed.
    pub(super) fn add(
        &mut self,
        output: &'static str,
        entry: &[u8],
        source: Offset,
        arrival_ms: u64,
    ) -> Result<(), AppendError> {
        let before = self.body.len();
        self.body.extend_from_slice(&self.id.0);
        self.body.push(u8::try_from(output.len()).unwrap_or(u8::MAX));
        self.body.extend_from_slice(output.as_bytes());
        self.body.extend_from_slice(entry);
        let length = self.body.len() - before;
        self.lengths.push(u32::try_from(length).unwrap_or(u32::MAX));
        let found = self.found.entry(output).or_insert(Found { records: 0, bytes: 0, oldest_ms: u64::MAX, source });
        found.records += 1;
        found.bytes += entry.len() as u64;
        found.oldest_ms = found.oldest_ms.min(arrival_ms);
        found.source = found.source.min(source);
        if self.body.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Bytes of its entries.
    pub(super) fn bytes(&self) -> u64 {
        self.found.values().map(|found| found.bytes).sum()
    }

    /// Whether it has no entry.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Syncs the set; what the ledger is to name. It must not be dropped before that is done.
    ///
    /// # Errors
    /// Something of it was not written or not synced: nothing of it counts.
    pub(super) async fn finish(&mut self) -> Result<Vec<Failures>, AppendError> {
        self.write()?;
        let (mut from, mut to) = (Offset(u64::MAX), Offset(0));
        for answer in std::mem::take(&mut self.answers) {
            let place = answer.place.await.unwrap_or(Err(AppendError::Closed))?;
            from = from.min(place.first);
            to = to.max(place.first.plus(answer.records));
        }
        self.errors.log.sync().await?;
        // What was written and then lost with its segment, no later sync brings back.
        if self.errors.log.losses() != self.losses {
            return Err(AppendError::Failed(Arc::new(std::io::Error::other("a write to the errors log was lost"))));
        }
        let part = Part { set: self.id, from, to };
        let failures = self.found.iter().map(|(output, found)| Failures {
            output: (*output).to_owned(),
            part,
            records: found.records,
            bytes: found.bytes,
            oldest_ms: found.oldest_ms,
            source: found.source,
            at_ms: self.errors.clock.wall_ms(),
        });
        Ok(failures.collect())
    }

    /// Hands on what was added; [`Set::finish`] waits for it.
    pub(super) fn write(&mut self) -> Result<(), AppendError> {
        let payload =
            Payload { lengths: std::mem::take(&mut self.lengths), body: std::mem::take(&mut self.body).into() };
        if payload.lengths.is_empty() {
            return Ok(());
        }
        let records = payload.lengths.len() as u64;
        let place = self.errors.log.submit(payload, Durability::Written, Placement::Behind)?;
        self.answers.push(Answer { records, place });
        Ok(())
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.errors.writing.lock().remove(&self.id);
    }
}

/// Entries are written when this many bytes of them have come together.
const WRITE_BYTES: usize = 256 << 10;
