//! Cutting batches: by size or age, at a flush, where the shape of objects changes; whichever comes first.
//!
//! A batch ends with the record that makes it reach the size, so it overshoots by less than one record. The decision
//! ([`due`]) does no input or output; walking the log's frame headers to the exact record does.

use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Cursor, Hints, Offset, OffsetRange};
use tokio::time::Instant;

use super::stream::{Aged, Stream, Uncut};
use super::workers::Work;
use crate::catalog::Kept;
use crate::log::{Position, ReadError, Walker};

/// A half-open range of records and what its frames say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The records.
    pub range: OffsetRange,
    /// How many were found in it; none where the range is a gap, or everything in it was set aside.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Arrival of the oldest, milliseconds since the Unix epoch.
    pub oldest_ms: u64,
    /// Body bytes of the log before the range's end, where that is known.
    pub ends_at: Option<u64>,
}

/// Cuts one cursor's batches. What it began when its future was dropped goes on when it is asked again.
pub(super) struct Cutter {
    stream: Arc<Stream>,
    cursor: Cursor,
    from: Offset,
    first: Option<First>,
    /// A look at the log as it was synced up to a position.
    looking: Option<(Position, Look)>,
    walking: Option<Work<Result<Batch, ReadError>>>,
    rest_until: Option<Instant>,
}

type Look = Work<Result<Option<Header>, ReadError>>;

/// When and how far a batch is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Size and age.
    pub hints: Hints,
    /// No batch spans this offset.
    pub boundary: Option<Offset>,
    /// A batch is due when the stream's logs take this much of the disk.
    pub most_disk: Option<u64>,
}

/// The record that the next batch begins with.
#[derive(Clone, Copy, Debug)]
struct First {
    /// Body bytes of the log before it.
    bytes: u64,
    /// How long it has waited.
    aged: Aged,
}

/// What a look at the log found.
enum Found {
    First(First),
    /// Nothing can be read up to there.
    NothingBelow(Position),
}

/// What the frame says that the next batch begins in.
#[derive(Clone, Copy, Debug)]
struct Header {
    bytes: u64,
    arrival_ms: u64,
}

impl Cutter {
    /// Cuts from where the stream's ledger ends.
    pub(super) fn new(stream: Arc<Stream>, cursor: Cursor) -> Self {
        let from = stream.ledger.with(|state| state.progress(cursor).map_or(Offset(0), |progress| progress.cut_to));
        Self { stream, cursor, from, first: None, looking: None, walking: None, rest_until: None }
    }

    /// Whether what is cut next is grouped by partition.
    pub(super) fn is_by_partition(&self) -> bool {
        self.cursor.is_main() && self.stream.shape_at(self.from).processing.kept == Kept::ByPartition
    }

    /// Takes back the batch cut last: it is cut again. One out of a hole is still asked for by the ledger.
    pub(super) fn go_back(&mut self, batch: &Batch) {
        if batch.range.to == self.from {
            self.from = batch.range.from;
            self.first = None;
        }
    }

    /// Cuts nothing for a while: what kept it from cutting will not be gone at once.
    pub(super) fn rest(&mut self, time: Duration) {
        self.rest_until = Some(self.stream.shop.clock.now() + time);
    }

    /// Waits until a batch is due and cuts it. Dropping the future forgets nothing.
    ///
    /// Holes come first: records that damage in the ledger has left without an intent.
    ///
    /// # Errors
    /// The log cannot be read; the same call may succeed later.
    pub(super) async fn next(&mut self) -> Result<Batch, ReadError> {
        if let Some(until) = self.rest_until {
            self.stream.shop.clock.sleep_until(until).await;
            self.rest_until = None;
        }
        let hole = self.stream.ledger.with(|state| state.progress(self.cursor)?.holes.first().copied());
        if let Some(hole) = hole {
            return self.cut(hole.from, hole.to).await;
        }
        loop {
            if self.walking.is_some() {
                return self.cut(self.from, self.from).await;
            }
            let synced = self.stream.log.synced();
            if synced.offset <= self.from {
                self.stream.log.progress(Position { offset: self.from, bytes: 0 }, None).await;
                continue;
            }
            let first = match self.first(synced).await? {
                Found::First(first) => first,
                Found::NothingBelow(end) => {
                    // A gap, or it was set aside. Of what was synced since that look nothing is known yet.
                    let range = OffsetRange { from: self.from, to: end.offset };
                    self.from = end.offset;
                    return Ok(Batch { range, records: 0, bytes: 0, oldest_ms: 0, ends_at: Some(end.bytes) });
                }
            };
            let terms = self.stream.terms(self.cursor, self.from);
            let waiting = Waiting {
                bytes: synced.bytes.saturating_sub(first.bytes),
                age: first.aged.now(self.stream.shop.clock.now()),
                end: synced.offset,
                from: self.from,
                flush_to: self.stream.flush_to.get(),
                disk: self.stream.log.disk_bytes(),
            };
            match due(&terms, &waiting) {
                Due::Now => return self.cut(self.from, synced.offset).await,
                Due::After(wait) => self.wait(&terms, &waiting, first, synced, wait).await,
            }
        }
    }

    /// Returns when it is time to look again.
    async fn wait(&self, terms: &Terms, waiting: &Waiting, first: First, synced: Position, wait: Duration) {
        let stream = &self.stream;
        let room = terms.most_disk.map_or(u64::MAX, |most| most.saturating_sub(waiting.disk)).max(LEAST_LOOK);
        let target = first.bytes.saturating_add(terms.hints.size_bytes).min(synced.bytes.saturating_add(room));
        tokio::select! {
            biased;
            () = stream.log.progress(synced, Some(target)) => {}
            // Nothing is being sent that would free space: this is what will.
            () = stream.log.refused_for_budget(), if terms.most_disk.is_some() => stream.flush_to.raise(synced.offset),
            () = stream.flush_to.until(|to| to > self.from) => {}
            () = stream.shop.clock.sleep(wait) => {}
        }
    }

    /// Where the next batch begins, and since when it waits: by the monotonic clock where the record arrived in this process.
    /// Where it did not, the wall clock is asked once: it may be set back or forth while the record waits.
    async fn first(&mut self, synced: Position) -> Result<Found, ReadError> {
        if let Some(first) = self.first {
            return Ok(Found::First(first));
        }
        let stream = &self.stream;
        let from = self.from;
        let (seen, looking) = self.looking.get_or_insert_with(|| {
            let walker = stream.log.walk(from);
            (synced, stream.shop.workers.start(move || header(walker, from)))
        });
        let (seen, header) = (*seen, looking.done().await);
        self.looking = None;
        let Some(header) = header? else { return Ok(Found::NothingBelow(seen)) };
        let at = stream.shop.clock.now();
        let age = match stream.log.arrived(from) {
            Some(arrived) => at - arrived,
            None => Duration::from_millis(stream.shop.clock.wall_ms().saturating_sub(header.arrival_ms)),
        };
        let first = First { bytes: header.bytes, aged: Aged { age, at } };
        *stream.uncut.get(self.cursor).lock() = Some(Uncut { from, aged: first.aged });
        self.first = Some(first);
        Ok(Found::First(first))
    }

    /// Cuts from `from` to `end` at most, or goes on with the batch that is being cut.
    async fn cut(&mut self, from: Offset, end: Offset) -> Result<Batch, ReadError> {
        let stream = &self.stream;
        let walking = self.walking.get_or_insert_with(|| {
            let terms = stream.terms(self.cursor, from);
            let stop = terms.boundary.filter(|boundary| *boundary > from).map_or(end, |boundary| boundary.min(end));
            let walker = stream.log.walk(from);
            stream.shop.workers.start(move || walk(walker, from, stop, terms.hints.size_bytes))
        });
        let batch = walking.done().await;
        self.walking = None;
        let batch = batch?;
        if batch.range.to > self.from {
            self.from = batch.range.to;
            self.first = None;
        }
        Ok(batch)
    }
}

/// What waits to be cut.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    bytes: u64,
    age: Duration,
    from: Offset,
    end: Offset,
    flush_to: Offset,
    disk: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Now,
    After(Duration),
}

fn due(terms: &Terms, waiting: &Waiting) -> Due {
    let boundary = terms.boundary.is_some_and(|boundary| boundary > waiting.from && boundary <= waiting.end);
    let flush = waiting.flush_to > waiting.from;
    let pressed = terms.most_disk.is_some_and(|most| waiting.disk >= most);
    if boundary || flush || pressed || waiting.bytes >= terms.hints.size_bytes || waiting.age >= terms.hints.interval {
        return Due::Now;
    }
    Due::After(terms.hints.interval.saturating_sub(waiting.age))
}

/// Where `from` lies, by the frame that has it; `None` if nothing from there on can be read.
fn header(mut walker: Walker, from: Offset) -> Result<Option<Header>, ReadError> {
    let Some(frame) = walker.frame()? else { return Ok(None) };
    let bytes = frame.bytes_before + skipped(&mut walker, frame.first, from)?;
    Ok(Some(Header { bytes, arrival_ms: frame.arrival_ms }))
}

/// Walks from `from` to `stop`, or to the record with which the batch has `most` bytes.
fn walk(mut walker: Walker, from: Offset, stop: Offset, most: u64) -> Result<Batch, ReadError> {
    let range = OffsetRange { from, to: stop };
    let mut batch = Batch { range, records: 0, bytes: 0, oldest_ms: u64::MAX, ends_at: None };
    while let Some(frame) = walker.frame()? {
        if frame.first >= stop {
            break;
        }
        batch.oldest_ms = batch.oldest_ms.min(frame.arrival_ms);
        let whole = frame.first >= from && frame.next <= stop && batch.bytes + frame.bytes < most;
        if whole {
            batch.records += frame.next.0 - frame.first.0;
            batch.bytes += frame.bytes;
            batch.ends_at = Some(frame.bytes_before + frame.bytes);
        } else {
            let mut before = frame.bytes_before;
            for (offset, length) in (frame.first.0..).map(Offset).zip(walker.lengths()?) {
                if offset >= stop {
                    break;
                }
                before += u64::from(length);
                if offset >= from {
                    batch.records += 1;
                    batch.bytes += u64::from(length);
                    batch.ends_at = Some(before);
                    if batch.bytes >= most {
                        batch.range.to = offset.plus(1);
                        return Ok(batch);
                    }
                }
            }
        }
        walker.pass()?;
    }
    Ok(batch)
}

/// Bytes of the records of a frame that lie before `from`.
fn skipped(walker: &mut Walker, first: Offset, from: Offset) -> Result<u64, ReadError> {
    if from <= first {
        return Ok(0);
    }
    let skip = usize::try_from(from.0 - first.0).unwrap_or(usize::MAX);
    Ok(walker.lengths()?.into_iter().take(skip).map(u64::from).sum())
}

/// Records are not looked at again for fewer bytes than these.
const LEAST_LOOK: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(size_bytes: u64, seconds: u64, boundary: Option<u64>) -> Terms {
        let hints = Hints { size_bytes, interval: Duration::from_secs(seconds) };
        Terms { hints, boundary: boundary.map(Offset), most_disk: None }
    }

    fn waiting(bytes: u64, seconds: u64) -> Waiting {
        Waiting {
            bytes,
            age: Duration::from_secs(seconds),
            from: Offset(10),
            end: Offset(20),
            flush_to: Offset(0),
            disk: 50,
        }
    }

    #[test]
    fn size_or_age_whichever_comes_first() {
        assert_eq!(due(&terms(100, 300, None), &waiting(99, 0)), Due::After(Duration::from_mins(5)));
        assert_eq!(due(&terms(100, 300, None), &waiting(99, 100)), Due::After(Duration::from_secs(200)));
        assert_eq!(due(&terms(100, 300, None), &waiting(100, 0)), Due::Now);
        assert_eq!(due(&terms(100, 300, None), &waiting(1, 300)), Due::Now);
        assert_eq!(due(&terms(100, 0, None), &waiting(0, 0)), Due::Now);
    }

    #[test]
    fn a_flush_or_a_change_of_shape_cuts_at_once() {
        let mut flushed = waiting(1, 0);
        flushed.flush_to = Offset(11);
        assert_eq!(due(&terms(100, 300, None), &flushed), Due::Now);
        flushed.flush_to = Offset(10);
        assert_ne!(due(&terms(100, 300, None), &flushed), Due::Now);
        assert_eq!(due(&terms(100, 300, Some(20)), &waiting(1, 0)), Due::Now);
        assert_ne!(due(&terms(100, 300, Some(21)), &waiting(1, 0)), Due::Now);
        assert_ne!(due(&terms(100, 300, Some(10)), &waiting(1, 0)), Due::Now);
    }

    #[test]
    fn a_disk_budget_that_fills_cuts_before_producers_are_refused() {
        let mut terms = terms(100, 300, None);
        terms.most_disk = Some(51);
        assert_ne!(due(&terms, &waiting(1, 0)), Due::Now);
        terms.most_disk = Some(50);
        assert_eq!(due(&terms, &waiting(1, 0)), Due::Now);
    }
}
