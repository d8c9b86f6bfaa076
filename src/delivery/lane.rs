//! One reader of the records' log: batches are cut, addressed, promised in the ledger and sent, a window of them at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hydrant_model::{Cursor, IntentId, ObjectNameError, OffsetRange, SchemaId, Seed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::address::{Naming, address};
use super::cut::{Batch, Cutter};
use super::ledger::{Closed, Contents, Entry, Note, OpenIntent, State};
use super::passes::{Finding, Passes};
use super::schemas::Lookup;
use super::send::{Send, Sent};
use super::stream::{Stream, Wish};
use crate::failpoint::{self, Phase};
use crate::log::ReadError;

/// Delivers what `cursor` reads of the records' log until the stream's wish ends it.
///
/// What an earlier process left undecided is asked for first.
pub(super) async fn walk_records(stream: &Arc<Stream>, cursor: Cursor) -> Result<(), Closed> {
    if !stream.has_begun(cursor).await {
        return Ok(());
    }
    let window = Arc::new(Semaphore::new(stream.shop.settings.window));
    let mut sends = FuturesUnordered::new();
    for open in stream.ledger.with(|state| state.open_of(cursor).cloned().collect::<Vec<_>>()) {
        sends.push(Send::again(stream, &window, open).run());
    }
    let mut cutter = Cutter::new(Arc::clone(stream), cursor);
    let (mut passes, mut finding, mut lookup) = (Passes::default(), Finding::default(), Lookup::default());
    loop {
        let known = !cursor.is_main() || !stream.spool.is_unknown();
        let rewriting = passes.look(stream, cursor);
        let (wish, stirred, held) = (stream.wish.get(), stream.stirred.get(), stream.held.get());
        if sends.is_empty() && (wish == Wish::Stop || wish == Wish::Drain && stream.is_drained(cursor)) {
            return Ok(());
        }
        // In this order, and not by chance: sends are as many as the window. What is dropped unfinished goes on where it was.
        tokio::select! {
            biased;
            Some(sent) = sends.next(), if !sends.is_empty() => if let Some(sent) = sent? {
                stream.settle(sent).await?;
            },
            () = stream.wish.until(|now| now > wish) => {}
            () = stream.stirred.until(|now| now > stirred), if wish == Wish::Drain => continue,
            // What waits for records below must not cut them once delivery is held.
            () = stream.held.until(|now| now != held) => {}
            () = finding.next(stream), if !known && wish < Wish::Stop => {}
            done = passes.next(), if known && passes.is_under_way() => passes.end(stream, &mut cutter, done),
            due = stream.next_due(&window), if known && wish < Wish::Stop && cursor.is_main() => {
                // Nothing happened here that others should look at.
                let Some((place, partition)) = due else { continue };
                if let Some(open) = stream.promise_partition(partition).await? {
                    sends.push(Send::first(stream, &window, place, open).run());
                }
            }
            looked = lookup.next(), if lookup.is_under_way() => {
                let Ok(schema) = stream.table_found(&mut cutter, &looked) else { continue };
                if let Some(open) = stream.promise(&mut cutter, &looked.batch, cursor, schema).await? {
                    sends.push(Send::first(stream, &window, looked.place, open).run());
                }
            }
            cut = stream.next_batch(&window, &mut cutter), if known && wish < Wish::Stop && !passes.is_under_way() && !lookup.is_under_way() => match cut {
                Ok((place, batch)) => if let Some((place, batch)) = stream.set_out(cursor, place, batch, &mut passes, &mut lookup)
                    && let Some(open) = stream.promise(&mut cutter, &batch, cursor, None).await?
                {
                    sends.push(Send::first(stream, &window, place, open).run());
                },
                Err(error) => {
                    stream.report_unreadable(cursor, &error);
                    cutter.rest(TROUBLE_RETRY);
                }
            },
            () = stream.until(rewriting) => passes.rewrite(stream),
        }
        stream.stir();
    }
}

impl Stream {
    /// Waits until `cursor` reads the log; `false` if the stream ends before it does.
    async fn has_begun(&self, cursor: Cursor) -> bool {
        let begun = || self.ledger.with(|state| state.progress(cursor).is_some());
        loop {
            let stirred = self.stirred.get();
            if begun() {
                return true;
            }
            tokio::select! {
                biased;
                () = self.wish.until(|wish| wish > Wish::Deliver) => return begun(),
                () = self.stirred.until(|now| now > stirred) => {}
            }
        }
    }

    /// Waits for a place in the window, then for a batch. Dropping the future loses neither.
    async fn next_batch(
        &self,
        window: &Arc<Semaphore>,
        cutter: &mut Cutter,
    ) -> Result<(OwnedSemaphorePermit, Batch), ReadError> {
        self.released().await;
        if cutter.is_by_partition() {
            // Partitions leave at their own times: what is cut here only has to fit into the spool.
            self.spool_has_room().await;
        }
        let place = Arc::clone(window).acquire_owned().await.expect("the window is never closed");
        Ok((place, cutter.next().await?))
    }

    /// Waits until then, if that is ever.
    async fn until(&self, then: Option<Instant>) {
        match then {
            Some(then) if then <= self.shop.clock.now() => {}
            Some(then) => self.shop.clock.sleep_until(then).await,
            None => std::future::pending().await,
        }
    }

    /// Sends a batch on its way: through processors into the spool, or to look its table up first. What needs neither is given back,
    /// to be promised at once.
    fn set_out(
        self: &Arc<Self>,
        cursor: Cursor,
        place: OwnedSemaphorePermit,
        batch: Batch,
        passes: &mut Passes,
        lookup: &mut Lookup,
    ) -> Option<(OwnedSemaphorePermit, Batch)> {
        if self.is_to_pass(cursor, &batch) {
            self.report_repeated(cursor, &batch);
            passes.begin(self, batch);
            return None;
        }
        let Some(conversion) = self.conversion(cursor, &batch) else { return Some((place, batch)) };
        lookup.begin(self, conversion, (place, batch));
        None
    }

    /// Decides a batch: its intent is synced before anything of it is sent.
    async fn promise(
        &self,
        cutter: &mut Cutter,
        batch: &Batch,
        cursor: Cursor,
        schema: Option<SchemaId>,
    ) -> Result<Option<OpenIntent>, Closed> {
        if batch.records == 0 {
            self.report_gone(cursor, batch);
            self.ledger.record_soon(&Entry::Skipped {
                cursor,
                from: batch.range.from,
                to: batch.range.to,
                ends_at: batch.ends_at,
            });
            self.low_water.set(self.delivered_to());
            return Ok(None);
        }
        self.report_repeated(cursor, batch);
        let (current, shape) = (self.current(), self.shape_at(batch.range.from));
        let id = IntentId(self.ledger.with(|state| state.next_intent));
        let seed = Seed(self.shop.clock.bits());
        let naming = Naming { stream: &self.name, shape: &shape, version: current.version, cursor, keys: &[] };
        let intent = match address(id, batch, seed, &naming) {
            Ok(intent) => intent,
            Err(error) => {
                // Names are checked when a configuration is accepted, so this is a fault of ours; the records wait.
                self.report_nameless(cursor, batch.range, &error);
                cutter.rest(TROUBLE_RETRY);
                cutter.go_back(batch);
                return Ok(None);
            }
        };
        let open = OpenIntent {
            cursor,
            contents: Contents::Records,
            failed: false,
            given_up: None,
            intent,
            shape: shape.version,
            schema,
            ends_at: batch.ends_at,
            notes: self.announcement(cursor),
        };
        self.ledger.record(Entry::Intent(open.clone())).await?;
        failpoint::reach(Phase::IntentSynced);
        Ok(Some(open))
    }

    /// The notes that every intent of `cursor` begins with.
    pub(super) fn announcement(&self, cursor: Cursor) -> Vec<Note> {
        let announcement = self.destinations.sink(&self.current(), cursor).announcement();
        announcement.iter().map(|note| Note::new(note)).collect()
    }

    /// Commits what was sent, and trims what nothing needs any more.
    pub(super) async fn settle(&self, sent: Sent) -> Result<(), Closed> {
        let OpenIntent { intent, contents, cursor, .. } = &sent.open;
        let at_ms = self.shop.clock.wall_ms();
        failpoint::reach(Phase::Delivered);
        self.ledger.record_soon(&Entry::Commit {
            cursor: *cursor,
            intent: intent.id,
            contents: contents.clone(),
            range: intent.range,
            bytes: sent.receipt.bytes,
            lacking: sent.lacking,
            at_ms,
        });
        failpoint::reach(Phase::CommitWritten);
        let delivered = sent.lacking.of(intent.records, intent.bytes);
        self.boards.get(*cursor).delivered(delivered);
        let done = if sent.open.given_up.is_some() { "given up" } else { "delivered" };
        tracing::info!(
            stream = %self.name, cursor = cursor.name(), intent = intent.id.0, range = %intent.range,
            records = delivered.records, bytes = delivered.bytes, objects = delivered.objects, object_bytes = sent.receipt.bytes,
            bucket = %intent.object.bucket, key = %intent.object.key, "{done}"
        );
        self.low_water.set(self.delivered_to());
        if self.can_trim() || self.ledger.has_old_history() {
            self.trim().await?;
        }
        Ok(())
    }

    /// Whether everything that `cursor` has to read is delivered.
    pub(super) fn is_drained(&self, cursor: Cursor) -> bool {
        let end = self.log.synced().offset;
        let all_read = |state: &State| {
            state.open_of(cursor).next().is_none()
                && state.progress(cursor).is_none_or(|it| it.cut_to >= end && it.holes.is_empty())
        };
        let nothing_spooled = !cursor.is_main() || self.spool.is_empty();
        !self.log.has_unsynced() && self.ledger.with(all_read) && nothing_spooled
    }

    /// Reports records that were decided before, by an entry of the ledger that is damaged.
    fn report_repeated(&self, cursor: Cursor, batch: &Batch) {
        if self.ledger.with(|state| state.progress(cursor).is_some_and(|it| batch.range.from < it.cut_to)) {
            tracing::error!(
                stream = %self.name, cursor = cursor.name(), range = %batch.range,
                "the ledger's entry for these records is damaged; they are delivered again and may be there twice"
            );
            self.boards.get(cursor).possible_duplicate();
        }
    }

    /// Reports records that were decided before, and have left the log, where nothing says any more what was decided. What is
    /// trimmed was delivered, or lay in the spool or the errors log under an entry that is there twice.
    fn report_gone(&self, cursor: Cursor, batch: &Batch) {
        let gone = batch.range.from < self.log.first();
        if gone && self.ledger.with(|state| state.progress(cursor).is_some_and(|it| batch.range.from < it.cut_to)) {
            tracing::error!(
                stream = %self.name, cursor = cursor.name(), range = %batch.range,
                "the ledger's entries for these records are damaged, and they have left the log; what of them had not been \
                 delivered is lost"
            );
            self.boards.get(cursor).possible_loss();
        }
    }

    /// Reports that no name can be made for records that wait.
    pub(super) fn report_nameless(&self, cursor: Cursor, range: OffsetRange, error: &ObjectNameError) {
        let board = self.boards.get(cursor);
        board.troubled("S3.InvalidPrefixConfigurationException", error.to_string(), TROUBLE_RETRY);
        tracing::error!(stream = %self.name, cursor = cursor.name(), %range, %error, "a batch has no valid name");
    }

    pub(super) fn report_unreadable(&self, cursor: Cursor, error: &ReadError) {
        self.boards.get(cursor).troubled("InternalError", error.to_string(), TROUBLE_RETRY);
        tracing::error!(stream = %self.name, %error, "the log cannot be read");
    }
}

pub(super) const TROUBLE_RETRY: Duration = Duration::from_secs(5);
