//! The road of one stream, on a real disk, with a destination in memory and a paused clock.

#![expect(clippy::disallowed_methods, reason = "a test has no service that tracks tasks")]

mod given_up;
mod hardship;
mod processed;
mod rewritten;
mod spooled;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{
    Body, Cursor, DeliveryError, Intent, Notes, Offset, Outcome, Receipt, Recovery, Rules, Sink, StreamId,
};
use parking_lot::Mutex;
use serde_json::json;

use super::ledger::{Entry, GivenUp, Ledger, State};
use super::{
    Board, Destinations, Ended, Handle, MemoryBudget, PerCursor, Road, RoadParts, Settings, Shop, Wish, Workers,
    deliver_stream,
};
use crate::catalog::{Definition, Plan, Rulebook};
use crate::clock::Clock;
use crate::log::{
    Account, Durability, InlineCommitters, Log, LogSettings, Payload, Placement, Pool, PoolSettings, RealDisk, Rolling,
    Use, Workshop,
};
use crate::telemetry::Telemetry;

/// Objects in memory, and what the next deliveries do instead of succeeding.
#[derive(Default)]
struct Shelf {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    answers: Mutex<Vec<Answer>>,
    asked: Mutex<u32>,
    /// Every object is refused.
    refusing: Mutex<bool>,
    /// The object whose first record this is always fails.
    cursed: Mutex<Option<Offset>>,
    /// The object whose first record this is, and those whose keys begin so, are always refused.
    hopeless: Mutex<Option<Offset>>,
    hopeless_key: Mutex<Option<String>>,
    /// Objects whose keys begin so are denied, as if somebody could change that.
    denied_key: Mutex<Option<String>>,
    /// That is said before the body is read.
    early: Mutex<bool>,
    /// What is refused is not heard.
    forgetful: Mutex<bool>,
}

enum Answer {
    Retry,
    Refuse,
    /// The object is there and nobody knows.
    StoreAndForget,
    /// Nothing is there and nobody knows.
    LoseAndForget,
}

impl std::fmt::Display for Shelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("shelf")
    }
}

fn error(code: &str) -> DeliveryError {
    DeliveryError { code: code.into(), message: "scripted".into() }
}

#[async_trait]
impl Sink for Shelf {
    async fn deliver(&self, intent: &Intent, body: &mut dyn Body, _notes: &mut dyn Notes) -> Outcome {
        let is_main = intent.object.key.starts_with("p/");
        let hopeless_key = self.hopeless_key.lock().as_ref().is_some_and(|key| intent.object.key.starts_with(key));
        let hopeless = hopeless_key || is_main && *self.hopeless.lock() == Some(intent.range.from);
        if hopeless && *self.early.lock() {
            return Outcome::Refused(error("S3.InvalidRequest"));
        }
        let mut whole = Vec::new();
        while let Some(piece) = body.next(1000).await.expect("the log can be read") {
            whole.extend_from_slice(&piece);
        }
        let bytes = whole.len() as u64;
        let denied_key = self.denied_key.lock().as_ref().is_some_and(|key| intent.object.key.starts_with(key));
        if denied_key || *self.cursed.lock() == Some(intent.range.from) {
            return Outcome::Retry { error: error("S3.AccessDenied"), after: None };
        }
        if hopeless && *self.forgetful.lock() {
            return Outcome::Unknown(error("S3.RequestTimeout"));
        }
        if hopeless || *self.refusing.lock() {
            return Outcome::Refused(error("S3.InvalidRequest"));
        }
        let answer = self.answers.lock().pop();
        match answer {
            None | Some(Answer::StoreAndForget) => {
                self.objects.lock().insert(intent.object.key.clone(), whole);
            }
            Some(Answer::Retry) => return Outcome::Retry { error: error("S3.SlowDown"), after: None },
            Some(Answer::Refuse) => return Outcome::Refused(error("S3.InvalidRequest")),
            Some(Answer::LoseAndForget) => return Outcome::Unknown(error("S3.RequestTimeout")),
        }
        if answer.is_some() {
            Outcome::Unknown(error("S3.RequestTimeout"))
        } else {
            Outcome::Delivered(Receipt { bytes })
        }
    }

    async fn recover(&self, intent: &Intent, _notes: &mut dyn Notes) -> Recovery {
        *self.asked.lock() += 1;
        match self.objects.lock().get(&intent.object.key) {
            Some(object) => Recovery::Delivered(Receipt { bytes: object.len() as u64 }),
            None => Recovery::Absent,
        }
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn announcement(&self) -> Option<Bytes> {
        Some(Bytes::from_static(b"{}"))
    }

    fn memory_bytes(&self, most_bytes: u64) -> usize {
        usize::try_from(most_bytes).unwrap_or(usize::MAX)
    }
}

/// The same sink for every plan.
struct OneSink(Arc<dyn Sink>);

impl Destinations for OneSink {
    fn sink(&self, _plan: &Plan, _cursor: Cursor) -> Arc<dyn Sink> {
        Arc::clone(&self.0)
    }

    fn former(&self, _plan: &Plan, _cursor: Cursor, _notes: &[Bytes]) -> Vec<Arc<dyn Sink>> {
        Vec::new()
    }
}

pub(super) fn plan(version: u64, prefix: &str, bytes: u64) -> Arc<Plan> {
    let rulebook = Rulebook { sinks: hydrant_sinks::SPECS, rules: Rules::Wide, takes_key: |_| Ok(()) };
    let request = json!({
        "DeliveryStreamName": "s",
        "Tags": [
            {"Key": "hydrant:BufferIntervalInSeconds", "Value": "60"},
        ],
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": "arn:aws:s3:::b", "Prefix": prefix,
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/",
        },
    });
    let definition = Definition::from_request(&request, &rulebook).expect("a definition");
    let mut plan = Plan::new(&definition, version, &rulebook).expect("a plan");
    plan.objects.hints.size_bytes = bytes;
    Arc::new(plan)
}

struct Bench {
    dir: tempfile::TempDir,
    clock: Clock,
    shelf: Arc<Shelf>,
    budget: u64,
    telemetry: Arc<Telemetry>,
}

/// A stream on its road.
pub(super) struct Walking {
    pub(super) log: Log,
    pub(super) handle: Handle,
    pub(super) task: tokio::task::JoinHandle<Ended>,
}

/// What one life of a process gives a stream to stand on.
pub(super) struct Ground {
    pub(super) workshop: Workshop,
    pub(super) root: PathBuf,
    pub(super) account: Arc<Account>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) memory: MemoryBudget,
    pub(super) workers: Workers,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) settings: Settings,
}

impl Ground {
    /// Opens the stream's logs and walks its road; `earlier` finds the plans that the ledger still needs.
    pub(super) fn walk(
        self,
        current: Arc<Plan>,
        earlier: impl FnOnce(&State) -> Vec<Arc<Plan>>,
    ) -> Result<Walking, String> {
        let (road, handle, log) = self.road(current, earlier)?;
        let task = tokio::task::spawn(async { deliver_stream(road).await.expect("a road that ends as told") });
        Ok(Walking { log, handle, task })
    }

    /// The same without anybody on the road.
    fn road(
        self,
        current: Arc<Plan>,
        earlier: impl FnOnce(&State) -> Vec<Arc<Plan>>,
    ) -> Result<(Road, Handle, Log), String> {
        let stream = StreamId([5; 16]);
        let clock = self.workshop.clock.clone();
        let (ledger, _) = Ledger::open(&self.workshop, self.root.join("ledger"), stream, Arc::clone(&self.account))
            .map_err(|error| error.to_string())?;
        let (synced, floor) = ledger.with(|state| (state.synced_through, state.floor()));
        let settings =
            LogSettings { dir: self.root.join("records"), stream, used_as: Use::Records, rolling: Rolling::ByItself };
        let (log, _) = Log::open(self.workshop.clone(), settings, Arc::clone(&self.account), synced, floor)
            .map_err(|error| error.to_string())?;
        let (failed_to, spool_end) = ledger.with(|state| (state.failed_to, state.spool.end()));
        let settings =
            LogSettings { dir: self.root.join("spool"), stream, used_as: Use::Spool, rolling: Rolling::ByItself };
        let floor = crate::log::Position { offset: spool_end, bytes: 0 };
        let (spool, _) = Log::open(self.workshop.clone(), settings, Arc::clone(&self.account), spool_end, floor)
            .map_err(|error| error.to_string())?;
        let settings =
            LogSettings { dir: self.root.join("errors"), stream, used_as: Use::Errors, rolling: Rolling::ByItself };
        let floor = crate::log::Position { offset: failed_to, bytes: 0 };
        let (errors, _) =
            Log::open(self.workshop, settings, self.account, failed_to, floor).map_err(|error| error.to_string())?;
        let (memory, workers, settings) = (self.memory, self.workers, self.settings);
        let shop = Shop { memory, workers, clock: clock.clone(), settings };
        let earlier = ledger.with(earlier);
        let (road, handle) = Road::new(RoadParts {
            name: "s".into(),
            log: log.clone(),
            errors,
            spool,
            ledger: Arc::new(ledger),
            current,
            earlier,
            boards: PerCursor::new(|cursor| Board::new(clock.clone(), self.telemetry.delivery("s", cursor.name()))),
            destinations: Arc::new(OneSink(self.sink)),
            shop,
        });
        Ok((road, handle, log))
    }
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, clock: Clock::simulated(7), shelf: Arc::default(), budget: 1 << 30, telemetry: Arc::default() }
    }

    fn start(&self, current: Arc<Plan>, earlier: Vec<Arc<Plan>>) -> Walking {
        self.ground().walk(current, |_| earlier).expect("logs that open")
    }

    fn ground(&self) -> Ground {
        let disk: Arc<dyn crate::log::Disk> = Arc::new(RealDisk);
        let settings = PoolSettings {
            segment_bytes: 1 << 20,
            keep: 1,
            spare: 1,
            reserve_bytes: 64 << 10,
            reserve: 1,
            ..PoolSettings::default()
        };
        let pool = Pool::open(Arc::clone(&disk), self.dir.path().join("pool"), settings).expect("a pool");
        let workshop = Workshop { disk, pool, committers: Arc::new(InlineCommitters), clock: self.clock.clone() };
        Ground {
            workshop,
            root: self.dir.path().to_owned(),
            account: Account::new(self.budget),
            sink: Arc::clone(&self.shelf) as Arc<dyn Sink>,
            memory: MemoryBudget::new(1 << 20),
            workers: Workers::Inline,
            telemetry: Arc::clone(&self.telemetry),
            settings: Settings::default(),
        }
    }

    /// The value of a counter, of the process that runs now and those before it.
    fn counted(&self, name: &str, destination: &str) -> u64 {
        let series = format!("hydrant_{name}_total{{destination=\"{destination}\",stream=\"s\"}} ");
        let text = self.telemetry.render();
        let value = text.lines().find_map(|line| line.strip_prefix(&series)).expect("a counter");
        value.parse().expect("a number")
    }

    fn delivered(&self) -> Vec<String> {
        let objects = self.shelf.objects.lock();
        objects.values().flat_map(|object| lines(object)).collect()
    }
}

impl Walking {
    async fn put(&self, records: std::ops::Range<u32>) {
        let texts: Vec<String> = records.map(|number| format!("record {number:06}\n")).collect();
        let payload = Payload {
            lengths: texts.iter().map(|text| u32::try_from(text.len()).expect("short")).collect(),
            body: texts.concat().into(),
        };
        self.log.append(payload, Durability::Synced, Placement::Behind).await.expect("the log takes it");
    }

    async fn flush(&self) {
        let to = self.log.synced().offset;
        self.handle.flush(to);
        self.handle.delivered(to).await;
    }

    async fn stop(self) {
        self.handle.wish(Wish::Stop);
        assert_eq!(self.task.await.expect("no panic"), Ended::Stopped);
    }
}

fn lines(object: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(object).lines().map(str::to_owned).collect()
}

fn records(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| format!("record {number:06}")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_cut_at_the_record_that_reaches_the_size() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    walking.put(0..25).await;
    walking.handle.delivered(Offset(20)).await;
    let sizes: Vec<usize> = bench.shelf.objects.lock().values().map(Vec::len).collect();
    assert_eq!(sizes, [140, 140]);
    walking.flush().await;
    assert_eq!(bench.delivered().len(), 25);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_cut_at_its_age_and_the_next_one_ages_by_itself() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.put(0..3).await;
    bench.clock.sleep(Duration::from_secs(40)).await;
    walking.put(3..5).await;
    bench.clock.sleep(Duration::from_secs(19)).await;
    assert!(bench.delivered().is_empty());
    bench.clock.sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.delivered(), records(0..5));
    walking.put(5..6).await;
    bench.clock.sleep(Duration::from_secs(58)).await;
    assert_eq!(bench.delivered().len(), 5);
    bench.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.delivered().len(), 6);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_asked_for_and_never_repeated_blindly() {
    let bench = Bench::new();
    *bench.shelf.answers.lock() = vec![Answer::StoreAndForget, Answer::LoseAndForget, Answer::Retry];
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    walking.put(0..10).await;
    walking.flush().await;
    assert_eq!(bench.delivered(), records(0..10));
    assert_eq!(bench.shelf.objects.lock().len(), 1);
    assert_eq!(*bench.shelf.asked.lock(), 2);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_refused_waits_and_those_behind_it_go() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    bench.shelf.answers.lock().extend((0..3).map(|_| Answer::Refuse));
    walking.put(0..100).await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 7);
    assert_eq!(walking.handle.stream.boards.main.read().parked, 3);
    bench.clock.sleep(Duration::from_secs(70)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 10);
    assert_eq!(walking.handle.stream.boards.main.read().parked, 0);
    assert_eq!(walking.handle.stream.ledger.with(State::low_water), Offset(100));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_fails_alone_again_and_again_gives_up_its_place() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    // The first batch fails with an error that says nothing about it; every other one goes through.
    *bench.shelf.cursed.lock() = Some(Offset(0));
    walking.put(0..100).await;
    bench.clock.sleep(Duration::from_mins(1)).await;
    assert_eq!(walking.handle.stream.boards.main.read().parked, 1);
    assert_eq!(bench.shelf.objects.lock().len(), 9);
    *bench.shelf.cursed.lock() = None;
    bench.clock.sleep(Duration::from_mins(1)).await;
    assert_eq!(bench.shelf.objects.lock().len(), 10);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_promised_before_a_restart_keeps_its_name() {
    let bench = Bench::new();
    *bench.shelf.answers.lock() = (0..500).map(|_| Answer::Retry).collect();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    walking.put(0..55).await;
    bench.clock.sleep(Duration::from_secs(2)).await;
    let names = |walking: &Walking| -> Vec<String> {
        walking
            .handle
            .stream
            .ledger
            .with(|state| state.open.values().map(|open| open.intent.object.key.clone()).collect())
    };
    let before = names(&walking);
    assert_eq!(before.len(), 4);
    walking.task.abort();
    bench.shelf.answers.lock().clear();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    walking.flush().await;
    let objects = bench.shelf.objects.lock().keys().cloned().collect::<Vec<_>>();
    for name in before {
        assert!(objects.contains(&name), "{name}");
    }
    let mut delivered = bench.delivered();
    delivered.sort();
    assert_eq!(delivered, records(0..55));
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_object_spans_two_shapes_and_waiting_records_keep_theirs() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "old/", 1 << 20), Vec::new());
    walking.put(0..5).await;
    assert!(walking.handle.reconfigure(plan(2, "new/", 1 << 20)).await);
    walking.put(5..9).await;
    walking.flush().await;
    let objects = bench.shelf.objects.lock().clone();
    let of = |prefix: &str| -> Vec<String> {
        objects.iter().filter(|(key, _)| key.starts_with(prefix)).flat_map(|(_, object)| lines(object)).collect()
    };
    assert_eq!(of("old/"), records(0..5));
    assert_eq!(of("new/"), records(5..9));
    assert!(objects.keys().all(|key| key.contains("/s-2-")), "{:?}", objects.keys());
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_held_stream_delivers_nothing_until_released_across_a_restart() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    assert!(walking.handle.pause(true).await);
    walking.put(0..50).await;
    bench.clock.sleep(Duration::from_secs(100)).await;
    walking.stop().await;
    let walking = bench.start(plan(1, "p/", 140), Vec::new());
    bench.clock.sleep(Duration::from_secs(100)).await;
    assert!(bench.delivered().is_empty());
    assert!(walking.handle.pause(false).await);
    walking.flush().await;
    assert_eq!(bench.delivered().len(), 50);
    walking.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_gone_quiet_leaves_no_segment() {
    let bench = Bench::new();
    let walking = bench.start(plan(1, "p/", 1 << 20), Vec::new());
    for start in 0..40 {
        walking.put(start * 2000..(start + 1) * 2000).await;
    }
    walking.flush().await;
    bench.clock.sleep(Duration::from_secs(5)).await;
    assert_eq!(walking.log.disk_bytes(), 0);
    walking.put(80_000..80_010).await;
    walking.handle.wish(Wish::Drain);
    assert_eq!(walking.task.await.expect("no panic"), Ended::Drained);
    let mut delivered = bench.delivered();
    delivered.sort();
    assert_eq!(delivered, records(0..80_010));
}
