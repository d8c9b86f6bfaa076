//! The road of one stream: the one loop that decides what leaves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hydrant_model::{IntentId, Offset, Seed};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::address::address;
use super::cut::{Batch, Cutter, Terms};
use super::gate::Gate;
use super::ledger::{Closed, Entry, Ledger, OpenIntent, VersionStart};
use super::send::{Send, Sent};
use super::{Board, Destinations, Shop};
use crate::catalog::Plan;
use crate::failpoint::{self, Phase};
use crate::log::{Log, ReadError};

/// What delivering one stream needs, shared by its road, its sends and whoever looks at it.
pub struct Stream {
    /// The stream's name, part of every key.
    pub name: String,
    /// Its records.
    pub log: Log,
    /// What has left.
    pub ledger: Arc<Ledger>,
    /// Where status is shown.
    pub board: Board,
    /// Makes sinks.
    pub destinations: Arc<dyn Destinations>,
    /// What all streams share.
    pub shop: Shop,
    plans: Mutex<Plans>,
    held: Gate,
    /// Held until the ledger says which configuration the first record is taken in under.
    beginning: Gate,
    stopping: CancellationToken,
    low_water: watch::Sender<Offset>,
}

struct Plans {
    current: Arc<Plan>,
    by_version: BTreeMap<u64, Arc<Plan>>,
}

/// What a road can be told.
pub enum Order {
    /// Cut everything below the offset now.
    Flush(Offset),
    /// Hold delivery, or release it.
    Pause(bool),
    /// A new configuration version is in force.
    Reconfigure(Arc<Plan>, oneshot::Sender<()>),
    /// Records were written that are not synced yet.
    Written,
    /// Deliver everything, then end.
    Drain,
    /// End now and deliver nothing more: the stream's records are given up.
    Discard,
    /// Finish what is under way and end.
    Stop,
}

/// How a road ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is left: everything was delivered after [`Order::Drain`], or given up by [`Order::Discard`].
    Drained,
    /// [`Order::Stop`], or nobody can give orders any more.
    Stopped,
}

/// Gives orders to a road and looks at it; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    /// What the road works on.
    pub stream: Arc<Stream>,
    orders: mpsc::Sender<Order>,
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
        let (paused, low_water) = parts.ledger.with(|state| (state.paused, state.low_water()));
        let new = parts.ledger.with(|state| state.versions.is_empty());
        let stream = Arc::new(Stream {
            name: parts.name,
            log: parts.log,
            ledger: parts.ledger,
            board: parts.board,
            destinations: parts.destinations,
            shop: parts.shop,
            plans: Mutex::new(Plans { current, by_version }),
            held: Gate::new(paused),
            beginning: Gate::new(new),
            stopping: CancellationToken::new(),
            low_water: watch::Sender::new(low_water),
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

impl Handle {
    /// Gives an order; `false` if the road has ended.
    pub async fn order(&self, order: Order) -> bool {
        self.orders.send(order).await.is_ok()
    }

    /// Gives an order that may be dropped when many wait: the road looks by itself before long.
    pub fn nudge(&self, order: Order) {
        // A full channel means that the road is about to look anyway.
        let _ = self.orders.try_send(order);
    }

    /// Waits until everything below `to` is delivered.
    pub async fn delivered(&self, to: Offset) {
        let mut low_water = self.stream.low_water.subscribe();
        // The sender lives in the stream that this handle holds.
        let _ = low_water.wait_for(|low_water| *low_water >= to).await;
    }

    /// Holds delivery or releases it; returns when that is in the ledger. `false` if the road has ended.
    pub async fn pause(&self, paused: bool) -> bool {
        let told = self.order(Order::Pause(paused)).await;
        if told {
            self.stream.held.becomes(paused).await;
        }
        told
    }

    /// Waits until records may be acknowledged: a new stream's first configuration is in its ledger. Were it not, a crash while
    /// the configuration changes would leave nothing that says what the first records were taken in under.
    pub async fn begun(&self) {
        self.stream.beginning.becomes(false).await;
    }

    /// Whether delivery is held.
    pub fn is_paused(&self) -> bool {
        self.stream.held.is_held()
    }
}

impl Stream {
    /// The configuration in force.
    pub fn current(&self) -> Arc<Plan> {
        Arc::clone(&self.plans.lock().current)
    }

    /// The configuration of `version`, while records or intents need it.
    pub fn plan(&self, version: u64) -> Option<Arc<Plan>> {
        self.plans.lock().by_version.get(&version).map(Arc::clone)
    }

    /// Waits until delivery is not held.
    pub(super) async fn released(&self) {
        self.held.becomes(false).await;
    }

    /// Waits for `wait`, unless the road is stopping.
    pub(super) async fn unless_stopping<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = wait => Some(done),
            () = self.stopping.cancelled() => None,
        }
    }

    /// What the next batch from `from` on is cut by: the hints in force, and the next offset where objects change their shape.
    fn terms(&self, from: Offset) -> Terms {
        let plans = self.plans.lock();
        let starts = self.ledger.with(|state| state.versions.clone());
        let shape = |start: &VersionStart| plans.by_version.get(&start.version).map(|plan| plan.shape_hash());
        let here = starts.iter().rev().find(|start| start.from <= from).and_then(shape);
        let boundary = starts.iter().find(|start| start.from > from && shape(start) != here).map(|start| start.from);
        Terms { hints: plans.current.objects.hints, boundary }
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
    let Road { stream, mut orders } = road;
    stream.begin_version().await?;
    stream.beginning.hold(false);
    let window = Arc::new(Semaphore::new(stream.shop.settings.window));
    let mut sends = FuturesUnordered::new();
    for open in stream.ledger.with(|state| state.open.values().cloned().collect::<Vec<_>>()) {
        sends.push(Send { stream: Arc::clone(&stream), open, must_ask: true, place: None }.run());
    }
    let shop = &stream.shop;
    let from = stream.ledger.with(|state| state.cut_to);
    let mut cutter = Cutter::new(stream.log.clone(), shop.clock.clone(), shop.workers, from);
    let mut ending: Option<Ended> = None;
    let mut tick = Tick::default();
    loop {
        if ending == Some(Ended::Drained) {
            cutter.flush(stream.log.synced().offset);
        }
        let cutting = ending != Some(Ended::Stopped);
        if !cutting {
            stream.stopping.cancel();
        }
        if sends.is_empty() && ending.is_some_and(|ended| ended == Ended::Stopped || stream.is_drained()) {
            stream.leave_marks().await?;
            return Ok(ending.unwrap_or(Ended::Stopped));
        }
        // In this order, and not by chance: the tick comes seldom, sends are as many as the window, and orders are few.
        tokio::select! {
            biased;
            () = tick.due(&stream) => stream.leave_marks().await?,
            Some(sent) = sends.next(), if !sends.is_empty() => if let Some(sent) = sent? {
                stream.settle(sent).await?;
            },
            order = orders.recv() => match order {
                Some(Order::Discard) => return Ok(Ended::Drained),
                Some(order) => ending = stream.obey(order, &mut cutter).await?.or(ending),
                None => ending = Some(Ended::Stopped),
            },
            batch = stream.next_batch(&window, &mut cutter), if cutting => match batch {
                Ok((place, batch)) => {
                    if let Some(open) = stream.promise(&mut cutter, &batch).await? {
                        sends.push(Send { stream: Arc::clone(&stream), open, must_ask: false, place: Some(place) }.run());
                    }
                }
                Err(error) => stream.report_unreadable(&error).await,
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

    async fn obey(&self, order: Order, cutter: &mut Cutter) -> Result<Option<Ended>, Closed> {
        match order {
            Order::Flush(to) => cutter.flush(to),
            Order::Pause(paused) => {
                self.ledger.record(Entry::Paused { paused }).await?;
                self.held.hold(paused);
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
            Order::Drain => {
                // A stream that is held would never drain.
                self.held.hold(false);
                return Ok(Some(Ended::Drained));
            }
            // Something to look at, or already acted on by the road itself.
            Order::Written | Order::Discard => {}
            Order::Stop => return Ok(Some(Ended::Stopped)),
        }
        Ok(None)
    }

    /// Waits for a place in the window, then for a batch. Dropping the future loses neither.
    async fn next_batch(
        &self,
        window: &Arc<Semaphore>,
        cutter: &mut Cutter,
    ) -> Result<(OwnedSemaphorePermit, Batch), ReadError> {
        self.released().await;
        let place = Arc::clone(window).acquire_owned().await.expect("the window is never closed");
        let terms = self.terms(cutter.from());
        Ok((place, cutter.next(terms).await?))
    }

    /// Decides a batch: its intent is synced before anything of it is sent.
    async fn promise(&self, cutter: &mut Cutter, batch: &Batch) -> Result<Option<OpenIntent>, Closed> {
        if batch.records == 0 {
            self.ledger.record_soon(&Entry::Skipped { to: batch.range.to });
            self.low_water.send_replace(self.ledger.with(super::ledger::State::low_water));
            return Ok(None);
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
                self.shop.clock.sleep(TROUBLE_RETRY).await;
                cutter.go_back(batch);
                return Ok(None);
            }
        };
        let announcement = self.destinations.sink(&current).announcement();
        let notes = announcement.iter().map(|note| super::ledger::Note::new(note)).collect();
        let open = OpenIntent { intent, shape: shape.version, notes };
        self.ledger.record(Entry::Intent(open.clone())).await?;
        failpoint::reach(Phase::IntentSynced);
        Ok(Some(open))
    }

    /// Commits what was sent, and trims what nothing needs any more.
    async fn settle(&self, sent: Sent) -> Result<(), Closed> {
        let intent = &sent.open.intent;
        let at_ms = self.shop.clock.wall_ms();
        failpoint::reach(Phase::Delivered);
        self.ledger.record_soon(&Entry::Commit { intent: intent.id, bytes: sent.receipt.bytes, at_ms });
        failpoint::reach(Phase::CommitWritten);
        self.board.delivered(intent.records, intent.bytes);
        tracing::info!(
            stream = %self.name, intent = intent.id.0, range = %intent.range, records = intent.records,
            bytes = intent.bytes, object_bytes = sent.receipt.bytes, bucket = %intent.object.bucket,
            key = %intent.object.key, "delivered"
        );
        let low_water = self.ledger.with(super::ledger::State::low_water);
        self.low_water.send_replace(low_water);
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
        let low_water = self.ledger.with(super::ledger::State::low_water);
        if self.log.can_trim(low_water) {
            self.trim(low_water).await?;
        }
        Ok(())
    }

    fn is_drained(&self) -> bool {
        !self.log.has_unsynced()
            && self.ledger.with(|state| state.open.is_empty() && state.cut_to >= self.log.synced().offset)
    }

    async fn report_unreadable(&self, error: &ReadError) {
        self.board.troubled("InternalError", error.to_string(), TROUBLE_RETRY);
        tracing::error!(stream = %self.name, %error, "the log cannot be read");
        self.shop.clock.sleep(TROUBLE_RETRY).await;
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
        let space = stream.log.is_idle_space(stream.ledger.with(super::ledger::State::low_water));
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
            stream.log.progress(position, None).await;
            self.at = Some(stream.shop.clock.now() + MARK_EVERY);
        }
    }
}

const MARK_EVERY: Duration = Duration::from_millis(800);
const TROUBLE_RETRY: Duration = Duration::from_secs(5);
const ORDERS: usize = 64;
