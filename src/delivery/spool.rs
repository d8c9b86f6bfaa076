//! The spool: processed records, grouped by partition, until they leave.
//!
//! ```text
//! records ─► pass: processors ─► group ─► slices, synced ─► ledger: processed ─┐
//!                                                                              ▼
//!                        sends ◄─ intent names slices ◄─ due ◄─ table of waiting partitions
//! ```
//!
//! A *pass* takes a stretch of the records' log through the processors once and appends what they make, a *slice* for each
//! partition; what they do not take goes to the errors log. Both are synced, then the ledger says so: what a crash cut short is
//! named by nobody, and its records are processed again. From then on the records' log may be trimmed. Slices of a partition
//! chain backwards; a waiting partition costs one entry of the table, and which slices wait is read off the spool at a start.
//!
//! Where little of it is left alive, that is written once more, behind the rest: see `rewrite`.

mod group;
mod pass;
mod read;
mod rewrite;
mod slice;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hydrant_model::{Offset, SetId};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::ledger::{Ledger, Spooled, State};
use crate::log::Log;
use rewrite::Upkeep;

pub(super) use group::{hull, named};
pub(super) use pass::{Pass, Passed, Run, Trouble};
pub(super) use read::{Chained, SliceFrames, age, chain, scan};
pub(super) use rewrite::{Copied, Rewriting};
pub(super) use slice::Head;
pub(super) use table::{Table, Urgency, Waiting};

/// Which partition of which configuration version: a hash of its keys' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::delivery) struct PartitionId(u128);

/// The spool of one stream.
pub struct Spool {
    log: Log,
    table: Mutex<Table>,
    /// The partition that an intent is being made of: it is in the table no more, and in no intent yet.
    leaving: Mutex<Option<Waiting>>,
    /// Nothing that the pass under way writes, or the rewriting under way reads, lies below.
    writing: Mutex<Option<Offset>>,
    upkeep: Mutex<Upkeep>,
    /// The table does not say yet what waits: the spool must be scanned.
    unknown: AtomicBool,
    flushes: Mutex<Flushes>,
}

/// Flushes of the records' log, as the spool follows them.
#[derive(Clone, Copy, Debug, Default)]
struct Flushes {
    /// Whatever was made of a record below leaves now.
    reached: Offset,
    /// The one that is followed: later ones wait for it, or one that is asked for again and again would never be reached.
    to: Offset,
}

impl Spool {
    /// The spool in `log`, of which the ledger says `spooled`. What waits in it is unknown until it is scanned.
    pub fn new(log: Log, spooled: &Spooled, now: Instant) -> Arc<Self> {
        let unknown = AtomicBool::new(!spooled.runs.is_empty());
        let upkeep = Upkeep::new(log.disk_bytes());
        Arc::new(Self {
            log,
            table: Mutex::new(Table::new(now)),
            leaving: Mutex::default(),
            writing: Mutex::default(),
            upkeep: Mutex::new(upkeep),
            unknown,
            flushes: Mutex::default(),
        })
    }

    /// Whether it must be scanned.
    pub(super) fn is_unknown(&self) -> bool {
        self.unknown.load(Ordering::SeqCst)
    }

    /// Has it scanned, or says that it was.
    pub(super) fn set_unknown(&self, unknown: bool) {
        self.unknown.store(unknown, Ordering::SeqCst);
    }

    /// The log underneath.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Somebody begins to write, behind `from`, or has ended.
    pub(super) fn set_writing(&self, from: Option<Offset>) {
        *self.writing.lock() = from;
    }

    /// Whatever was made of records below this leaves now, where `flush_to` was asked for and records below `processed_to` are
    /// processed.
    pub(super) fn flushed(&self, flush_to: Offset, processed_to: Offset) -> Offset {
        self.flushes.lock().follow(flush_to, processed_to)
    }

    /// Looks at the table.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Table) -> T) -> T {
        look(&mut self.table.lock())
    }

    /// Takes a partition out of the table to make an intent of it; it counts as waiting until [`Spool::left`].
    pub(super) fn take(&self, partition: PartitionId) -> Option<Waiting> {
        let mut table = self.table.lock();
        let waiting = table.take(partition)?;
        *self.leaving.lock() = Some(waiting);
        Some(waiting)
    }

    /// No intent was made of it: it waits again, and is not due before then.
    pub(super) fn put_back(&self, partition: PartitionId, waiting: Waiting, not_before: Instant) {
        self.table.lock().put_back(partition, waiting, not_before);
        self.left();
    }

    /// The intent is in the ledger.
    pub(super) fn left(&self) {
        *self.leaving.lock() = None;
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_unknown() && self.table.lock().len() == 0 && self.leaving.lock().is_none()
    }

    /// No record that something waiting was made of lies below this offset of the records' log.
    pub(super) fn source(&self) -> Option<Offset> {
        if self.is_unknown() {
            return Some(Offset(0));
        }
        let (table, leaving) = (self.table.lock(), self.leaving.lock());
        leaving.iter().map(|waiting| waiting.source).chain(table.source()).min()
    }

    /// Nothing that waits or is being sent lies below.
    pub(super) fn low_water(&self, state: &State) -> Offset {
        if self.is_unknown() {
            return state.spool.below;
        }
        let (table, leaving) = (self.table.lock(), self.leaving.lock());
        let waiting = leaving.iter().map(|waiting| waiting.first).chain(table.first());
        let needed = waiting.chain(state.spool_sent_from()).chain(*self.writing.lock()).min();
        // Where nothing is needed, what is there was left by passes that came to no end.
        needed.unwrap_or_else(|| self.log.synced().offset)
    }

    /// Records, bytes and age of the oldest of what waits.
    pub fn waiting(&self, now: Instant) -> (u64, u64, Option<std::time::Duration>) {
        let (table, leaving) = (self.table.lock(), self.leaving.lock());
        let (records, bytes) = table.waiting();
        let (leaving_records, leaving_bytes) = leaving.map_or((0, 0), |leaving| (leaving.records, leaving.bytes));
        (records + leaving_records, bytes + leaving_bytes, table.oldest_age(now))
    }
}

impl Flushes {
    /// A partition leaves when all that belongs to it is there, and not in as many pieces as there are passes.
    fn follow(&mut self, flush_to: Offset, processed_to: Offset) -> Offset {
        if processed_to >= self.to {
            self.reached = if processed_to >= flush_to { flush_to } else { self.to };
            self.to = flush_to;
        }
        self.reached
    }
}

/// Whether a slice that waits for an intent begins at `head` of `run`.
fn waits(ledger: &Ledger, run: SetId, head: Offset) -> bool {
    ledger.with(|state| state.spool.waits(run, head))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_counts_when_all_below_it_is_processed_and_is_reached_whatever_is_asked_meanwhile() {
        let mut flushes = Flushes::default();
        let mut follow = |flush_to, processed_to| flushes.follow(Offset(flush_to), Offset(processed_to)).0;
        assert_eq!([follow(0, 0), follow(0, 5)], [0, 0]);
        assert_eq!([follow(10, 5), follow(10, 9), follow(10, 10)], [0, 0, 10]);
        // Each is asked for before the one before it is reached.
        assert_eq!(
            [follow(20, 12), follow(25, 15), follow(30, 21), follow(40, 29), follow(40, 31)],
            [10, 10, 20, 20, 30]
        );
        assert_eq!([follow(40, 35), follow(40, 40), follow(40, 50)], [30, 40, 40]);
    }
}
