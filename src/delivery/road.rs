//! The road of one stream: its readers side by side, and what keeps ledger and logs in order beside them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Cursor, Offset};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::errors::{ErrorsLog, walk_errors};
use super::lane::walk_records;
use super::ledger::{Closed, Entry, Ledger, VersionStart};
use super::level::Level;
use super::spool::Spool;
use super::stream::{Handle, Order, PerCursor, Plans, Stream, Wish};
use super::{Board, Destinations, Shop};
use crate::catalog::Plan;
use crate::failpoint::{self, Phase};
use crate::log::{Log, Position};

/// How a road ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left: everything was delivered after [`Wish::Drain`], or given up by [`Wish::Discard`].
    Drained,
    /// [`Wish::Stop`], or nobody holds a handle any more.
    Stopped,
}

/// A road that has not been walked yet.
pub struct Road {
    stream: Arc<Stream>,
    orders: mpsc::Receiver<Order>,
}

/// Why a road ended before anybody asked.
#[derive(Debug, thiserror::Error)]
pub enum RoadError {
    /// The ledger was closed under it.
    #[error(transparent)]
    Closed(#[from] Closed),
}

impl Road {
    /// A road for `stream`, whose configuration versions are `plans`; the highest one is in force.
    pub fn new(parts: RoadParts) -> (Self, Handle) {
        let new = parts.ledger.with(|state| state.versions.is_empty());
        if new {
            parts.look_for_a_lost_ledger();
        }
        let current = Arc::clone(&parts.current);
        let mut by_version: BTreeMap<u64, Arc<Plan>> =
            parts.earlier.into_iter().map(|plan| (plan.version, plan)).collect();
        by_version.insert(current.version, Arc::clone(&current));
        let (paused, low_water) = parts.ledger.with(|state| (state.paused, state.delivered_to()));
        let spool = parts.ledger.with(|state| Spool::new(parts.spool, &state.spool, parts.shop.clock.now()));
        let low_water = spool.source().map_or(low_water, |source| source.min(low_water));
        let stream = Arc::new(Stream {
            name: parts.name,
            errors: ErrorsLog::new(parts.errors, parts.shop.clock.clone()),
            spool,
            log: parts.log,
            ledger: parts.ledger,
            boards: parts.boards,
            destinations: parts.destinations,
            shop: parts.shop,
            plans: Mutex::new(Plans { current, by_version }),
            held: Level::new(paused),
            beginning: Level::new(new),
            wish: Level::new(Wish::Deliver),
            flush_to: Level::new(Offset(0)),
            stirred: Level::new(0),
            low_water: Level::new(low_water),
            uncut: PerCursor::default(),
            panicked: Mutex::default(),
        });
        let (sender, orders) = mpsc::channel(ORDERS);
        (Self { stream: Arc::clone(&stream), orders }, Handle { stream, orders: sender })
    }
}

/// What a road is made of.
pub struct RoadParts {
    /// The stream's name.
    pub name: String,
    /// Its records.
    pub log: Log,
    /// Entries for its error output.
    pub errors: Log,
    /// Its processed records.
    pub spool: Log,
    /// What has left.
    pub ledger: Arc<Ledger>,
    /// The configuration in force.
    pub current: Arc<Plan>,
    /// Earlier ones that records still wait under.
    pub earlier: Vec<Arc<Plan>>,
    /// Where status is shown.
    pub boards: PerCursor<Board>,
    /// Makes sinks.
    pub destinations: Arc<dyn Destinations>,
    /// What all streams share.
    pub shop: Shop,
}

impl RoadParts {
    /// No record is taken in before the ledger has its first entry: where it has none and there are some, it had, and they are
    /// damaged all together, or somebody has removed them.
    fn look_for_a_lost_ledger(&self) {
        let end = self.log.synced();
        let waits = |log: &Log| log.synced().offset.0.saturating_sub(log.first().0);
        let (records, spooled, failed) = (waits(&self.log), waits(&self.spool), waits(&self.errors));
        if end.offset > Offset(0) {
            tracing::error!(
                stream = %self.name, end = end.offset.0, records,
                "the ledger is lost; what is still in the log is delivered again and may be there twice"
            );
            // Each batch of them is counted when it is cut.
            self.ledger.record_soon(&Entry::Skipped {
                cursor: Cursor::Main,
                from: end.offset,
                to: end.offset,
                ends_at: Some(end.bytes),
            });
        }
        // Which of it had left, only the ledger knew: some may be from records that are still in the log.
        for (cursor, log, records) in [(Cursor::Main, "spool", spooled), (Cursor::Errors, "errors", failed)] {
            if records > 0 {
                tracing::error!(
                    stream = %self.name, log, records,
                    "the ledger is lost; what of these records had not left is dropped unless it is still in the records' log"
                );
                self.boards.get(cursor).possible_loss();
            }
        }
    }
}

/// Delivers the records of one stream until it is told to end.
///
/// What an earlier process left undecided is asked for first; then batches are cut, addressed, promised in the ledger and sent,
/// a window of them at a time. The ledger's low-water mark moves over a gap-free prefix, and the log is trimmed behind it.
///
/// # Errors
/// [`RoadError`]; whatever was promised is in the ledger.
pub async fn deliver_stream(road: Road) -> Result<Ended, RoadError> {
    let stream = Arc::clone(&road.stream);
    tokio::select! {
        biased;
        // Whatever is under way, and be it a ledger that cannot be written: nobody wants it any more.
        () = stream.wish.until(|wish| wish == Wish::Discard) => Ok(Ended::Drained),
        ended = walk(road) => ended,
    }
}

/// The readers of the stream's logs, side by side, and beside them whoever orders something.
async fn walk(road: Road) -> Result<Ended, RoadError> {
    let Road { stream, mut orders } = road;
    stream.begin_version().await?;
    stream.beginning.set(false);
    let mut lanes = std::pin::pin!(async {
        tokio::try_join!(
            walk_records(&stream, Cursor::Main),
            walk_records(&stream, Cursor::Backup),
            walk_errors(&stream)
        )
    });
    let mut tick = Tick::default();
    loop {
        let wish = stream.wish.get();
        if wish == Wish::Drain {
            // A stream that is held would never drain.
            stream.held.set(false);
            stream.flush_to.raise(stream.log.synced().offset);
        }
        // In this order, and not by chance: the tick comes seldom, and orders are few. What is dropped unfinished goes on where
        // it was.
        tokio::select! {
            biased;
            () = tick.due(&stream) => {
                stream.leave_marks().await?;
                stream.stir();
            }
            () = stream.wish.until(|now| now > wish) => {}
            done = &mut lanes => {
                done?;
                break;
            }
            order = orders.recv() => match order {
                Some(order) => stream.obey(order).await?,
                None => stream.wish.raise(Wish::Stop),
            },
        }
        tick.note(&stream);
    }
    stream.leave_marks().await?;
    Ok(if stream.wish.get() == Wish::Drain { Ended::Drained } else { Ended::Stopped })
}

impl Stream {
    /// Records that the configuration in force starts here, if the ledger does not know it yet.
    async fn begin_version(&self) -> Result<(), Closed> {
        let current = self.current();
        let known = self.ledger.with(|state| state.versions.last().map(|start| start.version));
        if known == Some(current.version) {
            return Ok(());
        }
        let log = self.log.clone();
        // The end is known to whoever holds the writer, which may be waiting for the disk.
        let from = if known.is_none() { Position::default() } else { self.shop.workers.run(move || log.end()).await };
        let backup = current.backup.is_some();
        self.ledger
            .record(Entry::Version(VersionStart {
                version: current.version,
                backup,
                from: from.offset,
                bytes: from.bytes,
            }))
            .await
    }

    async fn obey(&self, order: Order) -> Result<(), Closed> {
        match order {
            // A stream that drains is never held.
            Order::Pause(_) if self.wish.get() > Wish::Deliver => {}
            Order::Pause(paused) => {
                self.ledger.record(Entry::Paused { paused }).await?;
                self.held.set(paused);
            }
            Order::Reconfigure(plan, done) => {
                {
                    let mut plans = self.plans.lock();
                    plans.by_version.insert(plan.version, Arc::clone(&plan));
                    plans.current = plan;
                }
                self.begin_version().await?;
                self.stir();
                // Whoever asked may have gone; the version is in force all the same.
                let _ = done.send(());
            }
        }
        Ok(())
    }

    /// Everything that rests on the trimmed records is synced first.
    pub(super) async fn trim(&self) -> Result<(), Closed> {
        // As it is before the sync: what another cursor commits meanwhile is not synced yet.
        let (low_water, errors_low_water, spool_below) = self.low_waters();
        if spool_below > self.ledger.with(|state| state.spool.below) {
            self.ledger.record_soon(&Entry::Trimmed { spool_below });
        }
        self.ledger.settle().await?;
        failpoint::reach(Phase::Trimming);
        let (log, ledger, name) = (self.log.clone(), Arc::clone(&self.ledger), self.name.clone());
        let (errors, spool) = (Arc::clone(&self.errors), self.spool.log().clone());
        self.shop
            .workers
            .run(move || {
                let trimmed = log.trim(low_water).and_then(|()| errors.log().trim(errors_low_water));
                if let Err(error) = trimmed.and_then(|()| spool.trim(spool_below)) {
                    tracing::warn!(stream = %name, %error, "delivered segments stay for now");
                }
                ledger.trim();
            })
            .await;
        let needed = self.ledger.with(|state| state.versions.first().map(|start| start.version));
        if let Some(needed) = needed {
            self.plans.lock().by_version.retain(|version, _| *version >= needed);
        }
        Ok(())
    }

    /// Syncs what is written and marks how far the log is known to be synced.
    async fn leave_marks(&self) -> Result<(), Closed> {
        if self.log.has_unsynced()
            && let Err(error) = self.log.sync().await
        {
            tracing::warn!(stream = %self.name, %error, "records that were answered at level os are not synced yet");
        }
        let through = self.log.synced().offset;
        if through > self.ledger.with(|state| state.synced_through) {
            self.ledger.record_soon(&Entry::Synced { through });
        }
        self.ledger.settle().await?;
        if self.can_trim() {
            self.trim().await?;
        }
        Ok(())
    }

    /// Whether a log has segments that nothing reads any more.
    pub(super) fn can_trim(&self) -> bool {
        let (low_water, errors_low_water, spool_below) = self.low_waters();
        self.log.can_trim(low_water)
            || self.errors.log().can_trim(errors_low_water)
            || self.spool.log().can_trim(spool_below)
    }

    /// What nothing needs any more lies below these: of records, errors and spool.
    fn low_waters(&self) -> (Offset, Offset, Offset) {
        // Before the ledger is looked at: a set that is named in between is then still seen as one that is being written.
        let (writing, synced) = (self.errors.writing_from(), self.errors.log().synced().offset);
        self.ledger.with(|state| {
            let needed = state.errors_from().into_iter().chain(writing).min();
            (state.low_water(), needed.unwrap_or(synced), self.spool.low_water(state))
        })
    }
}

/// Within a second of something happening, the ledger is settled and the log marked.
#[derive(Default)]
struct Tick {
    at: Option<Instant>,
}

impl Tick {
    fn note(&mut self, stream: &Stream) {
        let unmarked = stream.log.synced().offset > stream.ledger.with(|state| state.synced_through);
        let (low_water, errors_low_water, spool_below) = stream.low_waters();
        let space = stream.log.is_idle_space(low_water)
            || stream.errors.log().is_idle_space(errors_low_water)
            || stream.spool.log().is_idle_space(spool_below);
        if unmarked || space || stream.log.has_unsynced() || stream.ledger.is_unsettled() {
            self.at.get_or_insert_with(|| stream.shop.clock.now() + MARK_EVERY);
        } else {
            self.at = None;
        }
    }

    /// Returns when something has waited long enough. While nothing does, the first record wakes it.
    async fn due(&mut self, stream: &Stream) {
        loop {
            if let Some(at) = self.at {
                stream.shop.clock.sleep_until(at).await;
                self.at = None;
                return;
            }
            let stirred = stream.stirred.get();
            let marked = stream.ledger.with(|state| state.synced_through);
            let position = Position { offset: marked, bytes: 0 };
            tokio::select! {
                biased;
                () = stream.log.progress(position, None) => {}
                () = stream.stirred.until(|now| now > stirred) => {
                    self.note(stream);
                    continue;
                }
            }
            self.at = Some(stream.shop.clock.now() + MARK_EVERY);
        }
    }
}

const MARK_EVERY: Duration = Duration::from_millis(800);
const ORDERS: usize = 64;
