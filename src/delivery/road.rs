//! The road of one stream: the one loop that decides what leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hydrant_model::{IntentId, Offset, Seed};
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::address::address;
use super::cut::{Batch, Cutter};
use super::ledger::{Closed, Entry, Ledger, Note, OpenIntent, State, VersionStart};
use super::level::Level;
use super::send::{Send, Sent};
use super::stream::{Handle, Order, Plans, Stream, Wish};
use super::{Board, Destinations, Shop};
use crate::catalog::Plan;
use crate::failpoint::{self, Phase};
use crate::log::{Log, ReadError};

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
        let current = Arc::clone(&parts.current);
        let mut by_version: BTreeMap<u64, Arc<Plan>> =
            parts.earlier.into_iter().map(|plan| (plan.version, plan)).collect();
        by_version.insert(current.version, Arc::clone(&current));
        let new = parts.ledger.with(|state| state.versions.is_empty());
        let end = parts.log.synced();
        if new && end.offset > Offset(0) {
            // No record is taken in before the ledger has its first entry: it had some, and they are damaged all together.
            tracing::error!(
                stream = %parts.name, end = end.offset.0,
                "the ledger is lost; what is still in the log is delivered again and may be there twice"
            );
            parts.ledger.record_soon(&Entry::Skipped { from: end.offset, to: end.offset, ends_at: Some(end.bytes) });
        }
        let (paused, low_water) = parts.ledger.with(|state| (state.paused, state.low_water()));
        let stream = Arc::new(Stream {
            name: parts.name,
            log: parts.log,
            ledger: parts.ledger,
            board: parts.board,
            destinations: parts.destinations,
            shop: parts.shop,
            plans: Mutex::new(Plans { current, by_version }),
            held: Level::new(paused),
            beginning: Level::new(new),
            wish: Level::new(Wish::Deliver),
            flush_to: Level::new(Offset(0)),
            written: Notify::new(),
            low_water: Level::new(low_water),
            uncut: Mutex::default(),
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
    /// What has left.
    pub ledger: Arc<Ledger>,
    /// The configuration in force.
    pub current: Arc<Plan>,
    /// Earlier ones that records still wait under.
    pub earlier: Vec<Arc<Plan>>,
    /// Where status is shown.
    pub board: Board,
    /// Makes sinks.
    pub destinations: Arc<dyn Destinations>,
    /// What all streams share.
    pub shop: Shop,
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

async fn walk(road: Road) -> Result<Ended, RoadError> {
    let Road { stream, mut orders } = road;
    stream.begin_version().await?;
    stream.beginning.set(false);
    let window = Arc::new(Semaphore::new(stream.shop.settings.window));
    let mut sends = FuturesUnordered::new();
    for open in stream.ledger.with(|state| state.open.values().cloned().collect::<Vec<_>>()) {
        sends.push(Send::again(&stream, &window, open).run());
    }
    let mut cutter = Cutter::new(Arc::clone(&stream));
    let mut tick = Tick::default();
    loop {
        let wish = stream.wish.get();
        if wish == Wish::Drain {
            // A stream that is held would never drain.
            stream.held.set(false);
            stream.flush_to.raise(stream.log.synced().offset);
        }
        if sends.is_empty() && (wish == Wish::Stop || wish == Wish::Drain && stream.is_drained()) {
            stream.leave_marks().await?;
            return Ok(if wish == Wish::Drain { Ended::Drained } else { Ended::Stopped });
        }
        // In this order, and not by chance: the tick comes seldom, sends are as many as the window, and orders are few. What is
        // dropped unfinished goes on where it was.
        tokio::select! {
            biased;
            () = tick.due(&stream) => stream.leave_marks().await?,
            Some(sent) = sends.next(), if !sends.is_empty() => if let Some(sent) = sent? {
                stream.settle(sent).await?;
            },
            () = stream.wish.until(|now| now > wish) => {}
            order = orders.recv() => match order {
                Some(order) => stream.obey(order).await?,
                None => stream.wish.raise(Wish::Stop),
            },
            batch = stream.next_batch(&window, &mut cutter), if wish < Wish::Stop => match batch {
                Ok((place, batch)) => {
                    if let Some(open) = stream.promise(&mut cutter, &batch).await? {
                        sends.push(Send::first(&stream, &window, place, open).run());
                    }
                }
                Err(error) => {
                    stream.report_unreadable(&error);
                    cutter.rest(TROUBLE_RETRY);
                }
            },
        }
        tick.note(&stream);
    }
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
        let from = if known.is_none() { Offset(0) } else { self.shop.workers.run(move || log.end()).await };
        self.ledger.record(Entry::Version(VersionStart { version: current.version, from })).await
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
                // Whoever asked may have gone; the version is in force all the same.
                let _ = done.send(());
            }
        }
        Ok(())
    }

    /// Waits for a place in the window, then for a batch. Dropping the future loses neither.
    async fn next_batch(
        &self,
        window: &Arc<Semaphore>,
        cutter: &mut Cutter,
    ) -> Result<(OwnedSemaphorePermit, Batch), ReadError> {
        self.released().await;
        let place = Arc::clone(window).acquire_owned().await.expect("the window is never closed");
        Ok((place, cutter.next().await?))
    }

    /// Decides a batch: its intent is synced before anything of it is sent.
    async fn promise(&self, cutter: &mut Cutter, batch: &Batch) -> Result<Option<OpenIntent>, Closed> {
        if batch.records == 0 {
            self.ledger.record_soon(&Entry::Skipped {
                from: batch.range.from,
                to: batch.range.to,
                ends_at: batch.ends_at,
            });
            self.low_water.set(self.ledger.with(State::low_water));
            return Ok(None);
        }
        if self.ledger.with(|state| batch.range.from < state.cut_to) {
            tracing::error!(
                stream = %self.name, range = %batch.range,
                "the ledger's entry for these records is damaged; they are delivered again and may be there twice"
            );
            self.board.possible_duplicate();
        }
        let version = self.ledger.with(|state| state.version_at(batch.range.from)).unwrap_or(0);
        let current = self.current();
        let shape = self.plan(version).unwrap_or_else(|| Arc::clone(&current));
        let id = IntentId(self.ledger.with(|state| state.next_intent));
        let seed = Seed(self.shop.clock.bits());
        let intent = match address(&self.name, id, batch, seed, &shape, current.version) {
            Ok(intent) => intent,
            Err(error) => {
                // Names are checked when a configuration is accepted, so this is a fault of ours; the records wait.
                self.board.troubled("S3.InvalidPrefixConfigurationException", error.to_string(), TROUBLE_RETRY);
                tracing::error!(stream = %self.name, range = %batch.range, %error, "a batch has no valid name");
                cutter.rest(TROUBLE_RETRY);
                cutter.go_back(batch);
                return Ok(None);
            }
        };
        let announcement = self.destinations.sink(&current).announcement();
        let notes = announcement.iter().map(|note| Note::new(note)).collect();
        let open = OpenIntent { intent, shape: shape.version, ends_at: batch.ends_at, notes };
        self.ledger.record(Entry::Intent(open.clone())).await?;
        failpoint::reach(Phase::IntentSynced);
        Ok(Some(open))
    }

    /// Commits what was sent, and trims what nothing needs any more.
    async fn settle(&self, sent: Sent) -> Result<(), Closed> {
        let intent = &sent.open.intent;
        let at_ms = self.shop.clock.wall_ms();
        failpoint::reach(Phase::Delivered);
        self.ledger.record_soon(&Entry::Commit {
            intent: intent.id,
            range: intent.range,
            bytes: sent.receipt.bytes,
            at_ms,
        });
        failpoint::reach(Phase::CommitWritten);
        self.board.delivered(intent.records, intent.bytes);
        tracing::info!(
            stream = %self.name, intent = intent.id.0, range = %intent.range, records = intent.records,
            bytes = intent.bytes, object_bytes = sent.receipt.bytes, bucket = %intent.object.bucket,
            key = %intent.object.key, "delivered"
        );
        let low_water = self.ledger.with(State::low_water);
        self.low_water.set(low_water);
        if self.log.can_trim(low_water) || self.ledger.has_old_history() {
            self.trim(low_water).await?;
        }
        Ok(())
    }

    /// Everything that rests on the trimmed records is synced first.
    async fn trim(&self, low_water: Offset) -> Result<(), Closed> {
        self.ledger.settle().await?;
        failpoint::reach(Phase::Trimming);
        let (log, ledger, name) = (self.log.clone(), Arc::clone(&self.ledger), self.name.clone());
        self.shop
            .workers
            .run(move || {
                if let Err(error) = log.trim(low_water) {
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
        let low_water = self.ledger.with(State::low_water);
        if self.log.can_trim(low_water) {
            self.trim(low_water).await?;
        }
        Ok(())
    }

    fn is_drained(&self) -> bool {
        !self.log.has_unsynced() && self.ledger.with(|state| state.low_water() >= self.log.synced().offset)
    }

    fn report_unreadable(&self, error: &ReadError) {
        self.board.troubled("InternalError", error.to_string(), TROUBLE_RETRY);
        tracing::error!(stream = %self.name, %error, "the log cannot be read");
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
        let space = stream.log.is_idle_space(stream.ledger.with(State::low_water));
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
            let marked = stream.ledger.with(|state| state.synced_through);
            let position = crate::log::Position { offset: marked, bytes: 0 };
            tokio::select! {
                biased;
                () = stream.log.progress(position, None) => {}
                () = stream.written.notified() => {}
            }
            self.at = Some(stream.shop.clock.now() + MARK_EVERY);
        }
    }
}

const MARK_EVERY: Duration = Duration::from_millis(800);
const TROUBLE_RETRY: Duration = Duration::from_secs(5);
const ORDERS: usize = 64;
