//! One stream's delivery as others see it: what is shared, how it is told things, and what can be read off it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Cursor, Hints, Offset};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::cut::Terms;
use super::errors::ErrorsLog;
use super::ledger::{Ledger, State, VersionStart};
use super::level::Level;
use super::spool::Spool;
use super::{Board, Destinations, Shop};
use crate::catalog::{Kept, Plan};
use crate::log::Log;

/// What delivering one stream needs, shared by its road, its sends and whoever looks at it.
pub struct Stream {
    /// The stream's name, part of every key.
    pub name: String,
    /// Its records.
    pub log: Log,
    /// What has left.
    pub ledger: Arc<Ledger>,
    /// Entries about records that no stage takes.
    pub errors: Arc<ErrorsLog>,
    /// Processed records, until they leave.
    pub spool: Arc<Spool>,
    /// Where status is shown.
    pub boards: PerCursor<Board>,
    /// Makes sinks.
    pub destinations: Arc<dyn Destinations>,
    /// What all streams share.
    pub shop: Shop,
    pub(super) plans: Mutex<Plans>,
    pub(super) held: Level<bool>,
    /// Set until the ledger says which configuration the first record is taken in under.
    pub(super) beginning: Level<bool>,
    pub(super) wish: Level<Wish>,
    /// Everything below is cut at once.
    pub(super) flush_to: Level<Offset>,
    /// Goes up whenever something happened that another part of the road may wait for.
    pub(super) stirred: Level<u64>,
    /// Whatever became of the records below: it is where it was to go.
    pub(super) low_water: Level<Offset>,
    /// What the cutters saw last of the oldest record that waits to be cut.
    pub(super) uncut: PerCursor<Mutex<Option<Uncut>>>,
    /// Processors that have panicked, and been told of.
    pub(super) panicked: Mutex<BTreeSet<&'static str>>,
}

/// One of something for each cursor.
#[derive(Debug, Default)]
pub struct PerCursor<T> {
    /// Of [`Cursor::Main`].
    pub main: T,
    /// Of [`Cursor::Backup`].
    pub backup: T,
    /// Of [`Cursor::Errors`].
    pub errors: T,
}

impl<T> PerCursor<T> {
    /// Makes one for each.
    pub fn new(mut make: impl FnMut(Cursor) -> T) -> Self {
        Self { main: make(Cursor::Main), backup: make(Cursor::Backup), errors: make(Cursor::Errors) }
    }

    /// The one of `cursor`.
    pub fn get(&self, cursor: Cursor) -> &T {
        match cursor {
            Cursor::Main => &self.main,
            Cursor::Backup => &self.backup,
            Cursor::Errors => &self.errors,
        }
    }
}

/// Configuration versions that records or intents need.
pub(super) struct Plans {
    pub(super) current: Arc<Plan>,
    pub(super) by_version: BTreeMap<u64, Arc<Plan>>,
}

/// What a stream's delivery is to come to. A later one in this list is never taken back for an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Go on.
    Deliver,
    /// Deliver everything, then end.
    Drain,
    /// Finish what is under way and end.
    Stop,
    /// End now and deliver nothing more: the stream's records are given up.
    Discard,
}

/// What a road is told and answers when it is in the ledger.
pub(super) enum Order {
    /// Hold delivery, or release it.
    Pause(bool),
    /// A new configuration version is in force.
    Reconfigure(Arc<Plan>, oneshot::Sender<()>),
}

/// The age of the record at an offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncut {
    pub(super) from: Offset,
    pub(super) aged: Aged,
}

/// An age that was known at an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aged {
    pub(super) age: Duration,
    pub(super) at: Instant,
}

/// Tells a road things and looks at it; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    /// What the road works on.
    pub stream: Arc<Stream>,
    pub(super) orders: mpsc::Sender<Order>,
}

impl Handle {
    /// Cuts everything below `to` now. Never waits.
    pub fn flush(&self, to: Offset) {
        self.stream.flush_to.raise(to);
    }

    /// What delivery is to come to from now on. Never waits.
    pub fn wish(&self, wish: Wish) {
        self.stream.wish.raise(wish);
    }

    /// Records were written that are not synced yet: they will be, within a second. Never waits.
    pub fn written(&self) {
        self.stream.stir();
    }

    /// Waits until everything below `to` is delivered.
    pub async fn delivered(&self, to: Offset) {
        self.stream.low_water.until(|low_water| low_water >= to).await;
    }

    /// Holds delivery or releases it; returns when that is in the ledger, however long it cannot be written. `false` if the road
    /// is ending, or drains: a drained stream is never held.
    pub async fn pause(&self, paused: bool) -> bool {
        let told = self.stream.wish.get() == Wish::Deliver && self.orders.send(Order::Pause(paused)).await.is_ok();
        if told {
            tokio::select! {
                biased;
                () = self.stream.held.until(|held| held == paused) => {}
                () = self.stream.wish.until(|wish| wish > Wish::Deliver) => return false,
            }
        }
        told
    }

    /// Puts a new configuration version in force; returns when that is in the ledger, however long it cannot be written.
    /// `false` if the road ended before; the next start reads the version from the catalog.
    pub async fn reconfigure(&self, plan: Arc<Plan>) -> bool {
        let (done, in_force) = oneshot::channel();
        self.orders.send(Order::Reconfigure(plan, done)).await.is_ok() && in_force.await.is_ok()
    }

    /// Waits until records may be acknowledged: a new stream's first configuration is in its ledger. Were it not, a crash while
    /// the configuration changes would leave nothing that says what the first records were taken in under.
    pub async fn begun(&self) {
        self.stream.beginning.until(|beginning| !beginning).await;
    }

    /// Whether delivery is held.
    pub fn is_paused(&self) -> bool {
        self.stream.held.get()
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

    /// Every configuration that records or intents need, and the one in force.
    pub fn plans(&self) -> Vec<Arc<Plan>> {
        let plans = self.plans.lock();
        plans.by_version.values().chain([&plans.current]).map(Arc::clone).collect()
    }

    /// How long the oldest record has waited that is in no intent of `cursor` yet; `None` where only the cutter could tell, which
    /// has not looked at it since the start because delivery is held.
    pub fn uncut_age(&self, cursor: Cursor) -> Option<Duration> {
        let now = self.shop.clock.now();
        let from = self.ledger.with(|state| state.progress(cursor).map(|progress| progress.cut_to))?;
        let looked_at = self.uncut.get(cursor).lock().filter(|uncut| uncut.from == from);
        let arrived = || self.log.arrived(from).map(|arrived| now - arrived);
        looked_at.map(|uncut| uncut.aged.now(now)).or_else(arrived)
    }

    /// Whether delivery was told to end before everything is delivered.
    pub fn is_stopping(&self) -> bool {
        self.wish.get() >= Wish::Stop
    }

    /// Whatever became of a record below: it is where it was to go.
    pub(super) fn delivered_to(&self) -> Offset {
        let delivered_to = self.ledger.with(State::delivered_to);
        self.spool.source().map_or(delivered_to, |source| source.min(delivered_to))
    }

    /// The shape of records that arrived at `offset`.
    pub(super) fn shape_at(&self, offset: Offset) -> Arc<Plan> {
        let version = self.ledger.with(|state| state.version_at(offset)).unwrap_or(0);
        self.plan(version).unwrap_or_else(|| self.current())
    }

    /// Whether what waits takes so much of the disk that it leaves as soon as it can.
    pub(super) fn is_pressed(&self) -> bool {
        let account = self.log.account();
        account.used() >= account.budget() / 2
    }

    /// Says that something happened.
    pub(super) fn stir(&self) {
        self.stirred.set(self.stirred.get() + 1);
    }

    /// Waits until delivery is not held.
    pub(super) async fn released(&self) {
        self.held.until(|held| !held).await;
    }

    /// Waits for `wait`, unless the road is stopping.
    pub(super) async fn unless_stopping<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = wait => Some(done),
            () = self.wish.until(|wish| wish >= Wish::Stop) => None,
        }
    }

    /// What the next batch of `cursor` from `from` on is cut by: the hints in force, the next offset where objects change their
    /// shape, and how much of the disk its log may take before waiting for more records would soon refuse them.
    pub(super) fn terms(&self, cursor: Cursor, from: Offset) -> Terms {
        let plans = self.plans.lock();
        let (starts, idle) = self.ledger.with(|state| (state.versions.clone(), state.open_of(cursor).next().is_none()));
        let shape = |start: &VersionStart| plans.by_version.get(&start.version).map(|plan| plan.shape_hash(cursor));
        let here = starts.iter().rev().find(|start| start.from <= from).and_then(shape);
        let boundary = starts.iter().find(|start| start.from > from && shape(start) != here).map(|start| start.from);
        // While something is being sent, it is what will free space.
        let most_disk = idle.then(|| {
            let (account, records) = (self.log.account(), self.log.disk_bytes());
            account.budget().saturating_sub(account.used().saturating_sub(records)) / 2
        });
        let mut hints = plans.current.objects(cursor).hints;
        let version = starts.iter().rev().find(|start| start.from <= from).map(|start| start.version);
        let plan = version.and_then(|version| plans.by_version.get(&version));
        if cursor == Cursor::Main && plan.is_some_and(|plan| plan.processing.kept == Kept::ByPartition) {
            // What is cut here is not an object but a stretch to be grouped: often enough that partitions keep to their own hints.
            hints = Hints { size_bytes: STRETCH_BYTES, interval: (hints.interval / 16).min(STRETCH_INTERVAL) };
        }
        Terms { hints, boundary, most_disk }
    }
}

/// A stretch of a partitioned stream at most.
const STRETCH_BYTES: u64 = 8 << 20;
const STRETCH_INTERVAL: Duration = Duration::from_secs(20);

impl Aged {
    pub(super) fn now(&self, now: Instant) -> Duration {
        self.age + (now - self.at)
    }
}
