//! The main cursor of a stream whose processed records lie in the spool: passes fill it, due partitions leave it, and between two
//! passes it is rewritten where little of it is left alive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hydrant_model::{Cursor, IntentId, Offset, OffsetRange, Seed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::address::{Naming, address};
use super::cut::{Batch, Cutter};
use super::lane::TROUBLE_RETRY;
use super::ledger::{Closed, Contents, Entry, OpenIntent, State};
use super::spool::{self, Chained, Copied, PartitionId, Pass, Passed, Rewriting, Run, Trouble, Urgency};
use super::stream::{Stream, Wish};
use super::workers::Work;
use crate::catalog::Kept;
use crate::failpoint::{self, Phase};
use crate::log::{Mark, ReadError};

/// Who writes to the spool, one at a time: the pass under way, and the run that it belongs to, or a rewriting.
#[derive(Default)]
pub(super) struct Passes {
    under_way: Option<Making>,
    run: Option<Run>,
    /// A rewriting was begun since the last pass.
    has_rewritten: bool,
    /// After a rewriting that failed, or had nothing to move.
    rest_until: Option<Instant>,
}

type Making = Pin<Box<dyn Future<Output = Made> + Send>>;

/// What has ended.
pub(super) enum Made {
    Passed(Box<Result<Passed, (Batch, Trouble)>>),
    Copied(Result<Copied, String>),
}

impl Passes {
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins a pass over `batch`.
    pub(super) fn begin(&mut self, stream: &Arc<Stream>, batch: Batch) {
        let shape = stream.shape_at(batch.range.from);
        let spool_from = stream.spool.log().synced().offset;
        stream.spool.set_writing(Some(spool_from));
        let run = *self.run.insert(match self.run {
            Some(run) if run.at == batch.range.from && run.version == shape.version => run,
            _ => Run {
                id: hydrant_model::SetId(stream.shop.clock.bits()),
                from: batch.range.from,
                spool_from,
                at: batch.range.from,
                version: shape.version,
            },
        });
        let pass = Pass { stream: Arc::clone(stream), batch, shape, run };
        self.has_rewritten = false;
        self.under_way = Some(Box::pin(async { Made::Passed(Box::new(pass.make().await)) }));
    }

    /// From when on some of the spool is to be rewritten, if nobody writes to it and no pass is ready. Once it has half of what makes
    /// the oldest leave early, that takes turns with passes: those that are always ready would keep it from ever beginning.
    pub(super) fn look(&mut self, stream: &Arc<Stream>, cursor: Cursor) -> Option<Instant> {
        if self.under_way.is_some() || !cursor.is_main() {
            return None;
        }
        stream.spool.worth_emptying(stream.spool_sent_from(), stream.rewriting_worth()?)?;
        let now = stream.shop.clock.now();
        let from = self.rest_until.filter(|until| now < *until).unwrap_or(now);
        let is_urgent = stream.spool.log().disk_bytes() >= stream.log.account().budget() / 4;
        if from == now && is_urgent && !self.has_rewritten {
            self.rewrite(stream);
            return None;
        }
        Some(from)
    }

    /// Begins to write the partitions once more that lie lowest. None does where all of them are due.
    pub(super) fn rewrite(&mut self, stream: &Arc<Stream>) {
        let now = stream.shop.clock.now();
        let worth = stream.rewriting_worth();
        let hints = stream.current().objects.hints;
        let lowest = worth.and_then(|worth| stream.spool.to_rewrite(stream.spool_sent_from(), worth, &hints, now));
        let Some(lowest) = lowest else {
            self.rest_until = Some(now + TROUBLE_RETRY);
            return;
        };
        // What is read stays, even if it leaves meanwhile.
        stream.spool.set_writing(lowest.chains.iter().map(|(_, waiting)| waiting.first).min());
        let run = hydrant_model::SetId(stream.shop.clock.bits());
        let rewriting = Rewriting { stream: Arc::clone(stream), run, lowest };
        self.has_rewritten = true;
        self.under_way = Some(Box::pin(async { Made::Copied(rewriting.make().await) }));
    }

    /// Waits for what is under way.
    pub(super) async fn next(&mut self) -> Made {
        match &mut self.under_way {
            Some(making) => making.await,
            None => std::future::pending().await,
        }
    }

    /// Puts into the ledger what a pass has done; after one that failed its records are cut again. The same of a rewriting, after
    /// which everything waits where it lay.
    pub(super) fn end(&mut self, stream: &Stream, cutter: &mut Cutter, made: Made) {
        self.under_way = None;
        match made {
            Made::Passed(passed) => self.settle(stream, cutter, *passed),
            Made::Copied(Ok(copied)) => stream.note_copied(copied),
            Made::Copied(Err(error)) => {
                tracing::warn!(stream = %stream.name, %error, "the spool could not be rewritten; it takes more of the disk until it is");
                self.rest_until = Some(stream.shop.clock.now() + TROUBLE_RETRY);
            }
        }
        // Behind the table: what was written waits there, or nobody needs it.
        stream.spool.set_writing(None);
    }

    fn settle(&mut self, stream: &Stream, cutter: &mut Cutter, passed: Result<Passed, (Batch, Trouble)>) {
        match passed {
            Ok(passed) => {
                // Should the entry about failures be damaged, the next one must not stand for it: they would be named by nobody.
                self.run = self.run.filter(|_| passed.failures.is_empty());
                if let Some(run) = &mut self.run {
                    run.at = passed.batch.range.to;
                }
                stream.note_passed(passed);
            }
            Err((batch, trouble)) => {
                self.run = None;
                stream.report_waiting(&batch, trouble.code, &trouble.reason);
                cutter.go_back(&batch);
                cutter.rest(TROUBLE_RETRY);
            }
        }
    }
}

/// A look at the spool for what waits in it, where nobody knows. Passes and intents of the main cursor wait for it; nothing else
/// does. Dropped, it ends.
#[derive(Default)]
pub(super) struct Finding {
    under_way: Option<Work<Result<spool::Table, ReadError>>>,
    rest_until: Option<Instant>,
    ended: Arc<AtomicBool>,
}

impl Finding {
    /// Waits until it is known what waits. Dropping the future forgets nothing.
    pub(super) async fn next(&mut self, stream: &Stream) {
        if let Some(until) = self.rest_until {
            stream.shop.clock.sleep_until(until).await;
            self.rest_until = None;
        }
        let ended = &self.ended;
        let found = self.under_way.get_or_insert_with(|| stream.find_waiting(ended)).done().await;
        self.under_way = None;
        match found {
            Ok(table) => stream.know_waiting(table),
            Err(error) => {
                stream.report_unreadable(Cursor::Main, &error);
                self.rest_until = Some(stream.shop.clock.now() + TROUBLE_RETRY);
            }
        }
    }
}

impl Drop for Finding {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Stream {
    /// Reads off the spool which partitions wait, until `ended`.
    fn find_waiting(&self, ended: &Arc<AtomicBool>) -> Work<Result<spool::Table, ReadError>> {
        let (log, ledger, ended) = (self.spool.log().clone(), Arc::clone(&self.ledger), Arc::clone(ended));
        let (records, clock, hints) = (self.log.clone(), self.shop.clock.clone(), self.current().objects.hints);
        self.shop.workers.start(move || {
            let now = clock.now();
            let mut table = spool::Table::new(now);
            let add = |at, head: spool::Head| {
                let age = spool::age(&records, &clock, &head, hints.interval);
                table.add(at, &head, age, now, hints.size_bytes);
            };
            spool::scan(&log, &ledger, &ended, add).map(|()| table)
        })
    }

    fn know_waiting(&self, found: spool::Table) {
        self.spool.with(|table| *table = found);
        self.spool.set_unknown(false);
        self.low_water.set(self.delivered_to());
    }

    /// How much must be given back for rewriting the spool to be worth it; `None` where it is not to be rewritten now.
    fn rewriting_worth(&self) -> Option<u64> {
        let (current, log) = (self.current(), self.spool.log());
        let worth = self.shop.settings.rewriting_bytes.min(log.account().budget() / 16);
        // What is not kept by partition leaves at once; and a volume that is full is not filled further to make room.
        let is_asked = self.wish.get() == Wish::Deliver && current.processing.kept == Kept::ByPartition;
        let is_asked = is_asked && !self.spool.is_unknown() && log.disk_bytes() >= worth && log.has_room();
        is_asked.then_some(worth)
    }

    fn spool_sent_from(&self) -> Option<Offset> {
        self.ledger.with(State::spool_sent_from)
    }

    /// What was written once more counts from here on, and no longer where it lay.
    fn note_copied(&self, copied: Copied) {
        let bytes = copied.bytes;
        self.boards.main.rewritten(bytes);
        let Some(rewritten) = self.spool.move_to(copied) else { return };
        tracing::debug!(stream = %self.name, bytes, slices = rewritten.slices.len(), range = %rewritten.spool, "rewrote the spool");
        failpoint::reach(Phase::Rewritten);
        self.ledger.record_soon(&Entry::Rewritten(rewritten));
    }

    fn add_slices(&self, slices: Vec<(Mark, spool::Head)>) {
        self.spool.note_written(slices.iter().map(|(_, head)| head.disk_bytes()).sum());
        let hints = self.current().objects.hints;
        let now = self.shop.clock.now();
        self.spool.with(|table| {
            for (at, head) in slices {
                let age = spool::age(&self.log, &self.shop.clock, &head, hints.interval);
                table.add(at, &head, age, now, hints.size_bytes);
            }
        });
    }

    /// What a pass has synced counts from here on.
    fn note_passed(&self, passed: Passed) {
        let Passed { batch, processed, failures, slices, dropped, table, failing } = passed;
        let failed: u64 = failures.iter().map(|failures| failures.records).sum();
        tracing::debug!(
            stream = %self.name, range = %batch.range, records = batch.records, slices = slices.len(), dropped, failed,
            "processed"
        );
        self.boards.main.to_error_output(&failures);
        self.boards.main.mended();
        if let Some(table) = &table {
            self.note_schema(table);
        }
        // The table of partitions first: nobody may take records for delivered that wait in it.
        self.add_slices(slices);
        self.ledger.record_soon(&Entry::Processed { stretch: processed, failures });
        drop(failing);
        failpoint::reach(Phase::Processed);
        self.low_water.set(self.delivered_to());
    }

    /// Whether a batch of `cursor` goes through processors into the spool, and not into an intent.
    pub(super) fn is_to_pass(&self, cursor: Cursor, batch: &Batch) -> bool {
        cursor.is_main() && batch.records > 0 && self.shape_at(batch.range.from).processing.kept != Kept::Nowhere
    }

    /// Waits for a place in the window, then until a partition is due; `None` when it is time to look at the stream again.
    pub(super) async fn next_due(&self, window: &Arc<Semaphore>) -> Option<(OwnedSemaphorePermit, PartitionId)> {
        let stirred = self.stirred.get();
        self.released().await;
        if self.spool.is_empty() {
            self.stirred.until(|now| now > stirred).await;
            return None;
        }
        let place = Arc::clone(window).acquire_owned().await.expect("the window is never closed");
        let current = self.current();
        let (flush_to, now) = (self.flush_to.get(), self.shop.clock.now());
        let flushed = self.spool.flushed(flush_to, self.ledger.with(|state| state.main.cut_to));
        let mut urgency = Urgency { hints: current.objects.hints, flush_to: flushed, pressed: self.is_spool_pressed() };
        if current.processing.kept != Kept::ByPartition {
            // What waits was cut by these hints before it was processed.
            urgency.hints.interval = std::time::Duration::ZERO;
        }
        match self.spool.with(|table| table.due(&urgency, now)) {
            Ok(partition) => Some((place, partition)),
            Err(wait) => {
                drop(place);
                tokio::select! {
                    biased;
                    () = self.stirred.until(|now| now > stirred) => {}
                    () = self.flush_to.until(|to| to > flush_to) => {}
                    () = self.shop.clock.sleep(wait) => {}
                }
                None
            }
        }
    }

    /// Whether the spool, or the number of partitions, is so large that the oldest leave early.
    fn is_spool_pressed(&self) -> bool {
        let most = self.log.account().budget() / 2;
        self.spool.log().disk_bytes() >= most || self.spool.with(|table| table.len()) >= self.shop.settings.partitions
    }

    /// Waits until the spool has room for another stretch; or until nothing waits in it that could make room by leaving: should the
    /// destination take none of what is being sent, others must come for that to be seen.
    pub(super) async fn spool_has_room(&self) {
        loop {
            let stirred = self.stirred.get();
            if !self.is_spool_pressed() || self.spool.is_empty() {
                return;
            }
            self.stirred.until(|now| now > stirred).await;
        }
    }

    /// Decides that a partition leaves: the intent that names its slices is synced before anything of it is sent.
    pub(super) async fn promise_partition(&self, partition: PartitionId) -> Result<Option<OpenIntent>, Closed> {
        let Some(waiting) = self.spool.take(partition) else { return Ok(None) };
        let (log, ledger) = (self.spool.log().clone(), Arc::clone(&self.ledger));
        let found = self.shop.workers.run(move || spool::chain(&log, &ledger, partition, &waiting)).await;
        let Chained { slices: chain, is_whole } = match found {
            Ok(chained) => chained,
            Err(error) => {
                self.report_unreadable(Cursor::Main, &error);
                self.spool.put_back(partition, waiting, self.shop.clock.now() + TROUBLE_RETRY);
                return Ok(None);
            }
        };
        let open = self.intend_partition(&chain);
        if let Some(open) = &open {
            self.ledger.record(Entry::Intent(open.clone())).await?;
            failpoint::reach(Phase::IntentSynced);
        }
        self.spool.left();
        if open.is_none() && !chain.is_empty() {
            self.spool.put_back(partition, waiting, self.shop.clock.now() + TROUBLE_RETRY);
        } else if !is_whole {
            // A slice is damaged, and those behind it are found only by looking for them.
            tracing::error!(stream = %self.name, "a slice of the spool is damaged; those behind it are looked for");
            self.spool.set_unknown(true);
        }
        Ok(open)
    }

    fn intend_partition(&self, chain: &[(super::ledger::SliceAt, spool::Head)]) -> Option<OpenIntent> {
        let (_, newest) = chain.last()?;
        let current = self.current();
        let shape = self.plan(newest.version).unwrap_or_else(|| Arc::clone(&current));
        let range = spool::hull(
            chain.iter().map(|(at, head)| OffsetRange { from: at.head, to: at.head.plus(head.records + 1) }),
        );
        let batch = Batch {
            range,
            records: chain.iter().map(|(_, head)| head.records).sum(),
            bytes: chain.iter().map(|(_, head)| head.bytes).sum(),
            oldest_ms: chain.iter().map(|(_, head)| head.oldest_ms).min()?,
            ends_at: None,
        };
        let id = IntentId(self.ledger.with(|state| state.next_intent));
        let seed = Seed(self.shop.clock.bits());
        let naming = Naming {
            stream: &self.name,
            shape: &shape,
            version: current.version,
            cursor: Cursor::Main,
            keys: &newest.keys,
        };
        let intent = match address(id, &batch, seed, &naming) {
            Ok(intent) => intent,
            Err(error) => {
                self.report_nameless(Cursor::Main, range, &error);
                return None;
            }
        };
        let contents = Contents::Slices {
            slices: chain.iter().map(|(at, _)| *at).collect(),
            source: chain.iter().map(|(_, head)| head.source).min()?,
        };
        let notes = self.announcement(Cursor::Main);
        // What is inferred only grows: the newest table takes what was kept by any.
        let inferred = shape.processing.conversion.is_some().then(|| self.ledger.with(|state| state.schema)).flatten();
        let schema = newest.schema.or(inferred);
        let (cursor, shape) = (Cursor::Main, shape.version);
        Some(OpenIntent {
            cursor,
            contents,
            failed: false,
            given_up: None,
            intent,
            shape,
            schema,
            ends_at: None,
            notes,
        })
    }
}
