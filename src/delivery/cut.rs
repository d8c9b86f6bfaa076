//! Cutting batches: by size or age, at a flush, where the shape of objects changes; whichever comes first.
//!
//! A batch ends with the record that makes it reach the size, so it overshoots by less than one record. The decision
//! ([`due`]) does no input or output; walking the log's frame headers to the exact record does.

use std::time::Duration;

use hydrant_model::{Hints, Offset, OffsetRange};

use super::Workers;
use crate::clock::Clock;
use crate::log::{Log, Position, ReadError, Walker};

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
}

/// Cuts one cursor's batches.
pub(super) struct Cutter {
    log: Log,
    clock: Clock,
    workers: Workers,
    from: Offset,
    /// Body bytes of the log before `from`, once known.
    from_bytes: Option<u64>,
    flush_to: Offset,
}

/// When and how far a batch is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Size and age.
    pub hints: Hints,
    /// No batch spans this offset.
    pub boundary: Option<Offset>,
}

impl Cutter {
    /// Cuts from `from` on.
    pub(super) fn new(log: Log, clock: Clock, workers: Workers, from: Offset) -> Self {
        Self { log, clock, workers, from, from_bytes: None, flush_to: Offset(0) }
    }

    /// Cuts everything below `to` without waiting for size or age.
    pub(super) fn flush(&mut self, to: Offset) {
        self.flush_to = self.flush_to.max(to);
    }

    /// Takes back the batch cut last: it is cut again.
    pub(super) fn go_back(&mut self, batch: &Batch) {
        self.from = batch.range.from;
        self.from_bytes = None;
    }

    /// Where the next batch begins.
    pub(super) fn from(&self) -> Offset {
        self.from
    }

    /// Waits until a batch is due and cuts it. Dropping the future forgets nothing.
    ///
    /// # Errors
    /// The log cannot be read; the same call may succeed later.
    pub(super) async fn next(&mut self, terms: Terms) -> Result<Batch, ReadError> {
        loop {
            let synced = self.log.synced();
            if synced.offset <= self.from {
                self.log.progress(Position { offset: self.from, bytes: 0 }, None).await;
                continue;
            }
            let first = self.first().await?;
            let Some(first) = first else {
                // Nothing below the synced end can be read: a gap, or it was set aside.
                let range = OffsetRange { from: self.from, to: synced.offset };
                self.from = synced.offset;
                self.from_bytes = None;
                return Ok(Batch { range, records: 0, bytes: 0, oldest_ms: 0 });
            };
            let waiting = Waiting {
                bytes: synced.bytes.saturating_sub(first.bytes),
                age: self.age(first.arrival_ms),
                end: synced.offset,
                from: self.from,
                flush_to: self.flush_to,
            };
            match due(&terms, &waiting) {
                Due::Now => return self.cut(&terms, synced.offset).await,
                Due::After(wait) => {
                    let target = first.bytes.saturating_add(terms.hints.size_bytes);
                    tokio::select! {
                        biased;
                        () = self.log.progress(synced, Some(target)) => {}
                        () = self.clock.sleep(wait) => {}
                    }
                }
            }
        }
    }

    /// Age of the oldest waiting record: by the monotonic clock where it arrived in this process, else by the wall clock.
    fn age(&self, arrival_ms: u64) -> Duration {
        match self.log.arrived(self.from) {
            Some(arrived) => self.clock.now() - arrived,
            None => Duration::from_millis(self.clock.wall_ms().saturating_sub(arrival_ms)),
        }
    }

    /// What the header of the first waiting frame says.
    async fn first(&mut self) -> Result<Option<First>, ReadError> {
        let mut walker = self.log.walk(self.from);
        let from = self.from;
        let known = self.from_bytes;
        let found = self
            .workers
            .run(move || -> Result<Option<First>, ReadError> {
                let Some(frame) = walker.frame()? else { return Ok(None) };
                let bytes = match known {
                    Some(bytes) => bytes,
                    None => frame.bytes_before + skipped(&mut walker, frame.first, from)?,
                };
                Ok(Some(First { bytes, arrival_ms: frame.arrival_ms }))
            })
            .await?;
        self.from_bytes = found.map(|first| first.bytes);
        Ok(found)
    }

    async fn cut(&mut self, terms: &Terms, end: Offset) -> Result<Batch, ReadError> {
        let stop = terms.boundary.filter(|boundary| *boundary > self.from).map_or(end, |boundary| boundary.min(end));
        let walker = self.log.walk(self.from);
        let (from, most) = (self.from, terms.hints.size_bytes);
        let batch = self.workers.run(move || walk(walker, from, stop, most)).await?;
        self.from = batch.range.to;
        self.from_bytes = self.from_bytes.map(|bytes| bytes + batch.bytes);
        Ok(batch)
    }
}

#[derive(Clone, Copy, Debug)]
struct First {
    /// Body bytes of the log before the cutter's offset.
    bytes: u64,
    arrival_ms: u64,
}

/// What waits to be cut.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    bytes: u64,
    age: Duration,
    from: Offset,
    end: Offset,
    flush_to: Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Now,
    After(Duration),
}

fn due(terms: &Terms, waiting: &Waiting) -> Due {
    let boundary = terms.boundary.is_some_and(|boundary| boundary > waiting.from && boundary <= waiting.end);
    let flush = waiting.flush_to > waiting.from;
    if boundary || flush || waiting.bytes >= terms.hints.size_bytes || waiting.age >= terms.hints.interval {
        return Due::Now;
    }
    Due::After(terms.hints.interval.saturating_sub(waiting.age))
}

/// Walks from `from` to `stop`, or to the record with which the batch has `most` bytes.
fn walk(mut walker: Walker, from: Offset, stop: Offset, most: u64) -> Result<Batch, ReadError> {
    let mut batch = Batch { range: OffsetRange { from, to: stop }, records: 0, bytes: 0, oldest_ms: u64::MAX };
    while let Some(frame) = walker.frame()? {
        if frame.first >= stop {
            break;
        }
        batch.oldest_ms = batch.oldest_ms.min(frame.arrival_ms);
        let whole = frame.first >= from && frame.next <= stop && batch.bytes + frame.bytes < most;
        if whole {
            batch.records += frame.next.0 - frame.first.0;
            batch.bytes += frame.bytes;
        } else {
            for (offset, length) in (frame.first.0..).map(Offset).zip(walker.lengths()?) {
                if offset >= stop {
                    break;
                }
                if offset >= from {
                    batch.records += 1;
                    batch.bytes += u64::from(length);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(size_bytes: u64, seconds: u64, boundary: Option<u64>) -> Terms {
        let hints = Hints { size_bytes, interval: Duration::from_secs(seconds) };
        Terms { hints, boundary: boundary.map(Offset) }
    }

    fn waiting(bytes: u64, seconds: u64) -> Waiting {
        Waiting { bytes, age: Duration::from_secs(seconds), from: Offset(10), end: Offset(20), flush_to: Offset(0) }
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
}
