//! One history: what is done to a stream, step by step, over the lives of several processes.

mod plans;
mod putting;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hydrant_model::Sink;

use self::plans::{Kind, plan_of};
use super::ears::Ears;
use super::promises::{self, Promises};
use super::record::Id;
use super::sink::{Shore, Weather};
use super::table::{Becoming, GONE};
use crate::catalog::{Kept, Plan};
use crate::clock::{Clock, splitmix};
use crate::delivery::ledger::State;
use crate::delivery::tests::{Ground, Walking};
use crate::delivery::{Ended, MemoryBudget, Settings, Wish, Workers};
use crate::log::faulty::FaultyDisk;
use crate::log::{Account, InlineCommitters, Pool, PoolSettings, Workshop};
use crate::telemetry::Telemetry;

/// The machine, what runs on it, and what was promised.
pub(super) struct History {
    chance: u64,
    clock: Clock,
    disk: FaultyDisk,
    shore: Arc<Shore>,
    pub(super) promises: Promises,
    ears: Ears,
    kind: Kind,
    /// Every configuration version, oldest first.
    plans: Vec<Arc<Plan>>,
    budget: u64,
    /// `None` only while it is being started.
    life: Option<Life>,
    telemetry: Arc<Telemetry>,
    next_id: Id,
    /// Something was done since the start that explains errors of the disk.
    provoked: bool,
    /// Something was lost that nobody was told is kept.
    torn: bool,
    said: bool,
}

struct Life {
    walking: Walking,
    pool: Arc<Pool>,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerLoss,
    Kill,
    Clean,
}

impl History {
    pub(super) fn new(seed: u64, ears: Ears) -> Self {
        let mut chance = seed;
        splitmix(&mut chance);
        let clock = Clock::simulated(seed ^ 0xC10C);
        let budget = if splitmix(&mut chance) & 1 == 0 { 1 << 30 } else { 600 << 10 };
        let backed_up = splitmix(&mut chance).is_multiple_of(4);
        let kept = [Kept::Nowhere, Kept::Nowhere, Kept::Together, Kept::ByPartition];
        let kept = kept[usize::try_from(splitmix(&mut chance) % 4).expect("small")];
        let staged = kept != Kept::Nowhere || splitmix(&mut chance).is_multiple_of(3);
        let damaged = splitmix(&mut chance).is_multiple_of(6);
        let becoming = Becoming::drawn(seed ^ 0x7AB1E);
        let cursed = splitmix(&mut (seed ^ 0x00C0_453D)).is_multiple_of(16);
        let capped = kept == Kept::ByPartition && splitmix(&mut (seed ^ 0x00CA_99ED)).is_multiple_of(4);
        let mut promises = Promises::new(backed_up, kept != Kept::Nowhere, becoming, cursed);
        promises.capped = capped;
        let rewriting_bytes = if splitmix(&mut (seed ^ 0x002E_0017)).is_multiple_of(2) { 1 } else { 8 << 10 };
        let kind = Kind { backed_up, staged, kept, damaged, becoming, cursed, capped, rewriting_bytes };
        let said = std::env::var("HYDRANT_SIM_SEED").is_ok();
        Self {
            disk: FaultyDisk::new(splitmix(&mut chance)),
            shore: Arc::new(Shore::new(seed, clock.clone(), said, kept != Kept::Nowhere, cursed)),
            promises,
            ears,
            plans: vec![plan_of(1, 0, kind, &clock, &mut chance)],
            kind,
            budget,
            life: None,
            telemetry: Arc::default(),
            next_id: 1,
            provoked: false,
            torn: false,
            said,
            clock,
            chance,
        }
    }

    /// Bytes of the spool that were written once more.
    pub(super) fn rewritten(&self) -> u64 {
        let text = self.telemetry.render();
        let value =
            text.lines().find_map(|line| line.strip_prefix("hydrant_spool_rewritten_bytes_total{stream=\"s\"} "));
        value.map_or(0, |value| value.parse().expect("a number"))
    }

    pub(super) fn trace(&self) -> u64 {
        self.shore.state.lock().trace
    }

    /// Lives the whole history and checks it.
    pub(super) async fn run(&mut self) -> Result<(), String> {
        self.start()?;
        for _ in 0..30 + self.below(100) {
            self.step().await?;
            self.look()?;
        }
        self.settle_down().await
    }

    async fn step(&mut self) -> Result<(), String> {
        if self.kind.cursed && self.below(9) == 0 {
            let minutes = self.below(14);
            self.go_on(minutes).await;
            return Ok(());
        }
        match self.below(100) {
            0..34 => self.put().await,
            34..56 => {
                let wait = Duration::from_millis(1 << self.below(16));
                self.pass(wait).await;
            }
            56..64 => self.flush(),
            64..67 => {
                let paused = self.below(3) == 0;
                self.say(&format!("pause {paused}"));
                let handle = self.walking().handle.clone();
                let _ = within(10, handle.pause(paused)).await;
            }
            67..71 => self.reconfigure().await,
            71..77 => self.change_weather(),
            77..83 => self.break_disk(),
            83..85 => self.disk.set_capacity(None),
            85 => {
                let hours = self.below(5).cast_signed() - 2;
                self.say(&format!("the wall clock jumps by {hours} hours"));
                self.clock.set_wall(hours * 3_600_000);
            }
            86..90 => {
                let pool = Arc::clone(&self.life().pool);
                pool.look_at_space(0).map_err(|error| error.to_string())?;
                pool.fill();
            }
            90..95 => {
                // The end comes at a change of the disk, in the middle of whatever is under way.
                let minutes = if self.kind.cursed { self.below(14) } else { 0 };
                let changes = self.below(24 + 20 * minutes);
                (self.provoked, self.torn) = (true, true);
                self.disk.cut_power(changes);
                self.say(&format!("after {changes} changes of the disk:"));
                for _ in 0..self.below(3) {
                    self.put().await;
                }
                self.flush();
                let wait = Duration::from_millis(self.below(1500));
                self.pass(wait).await;
                self.go_on(minutes).await;
                let end = if self.below(3) == 0 { End::Kill } else { End::PowerLoss };
                self.end(end).await?;
            }
            95..97 => self.end(End::PowerLoss).await?,
            97..98 => self.end(End::Kill).await?,
            _ => self.end(End::Clean).await?,
        }
        Ok(())
    }

    async fn pass(&mut self, wait: Duration) {
        self.say(&format!("{wait:?} pass"));
        self.clock.sleep(wait).await;
    }

    /// An object and more a minute: what a stream does while one of them is refused.
    async fn go_on(&mut self, minutes: u64) {
        for _ in 0..minutes {
            self.put().await;
            self.flush();
            self.pass(Duration::from_secs(61)).await;
        }
    }

    fn flush(&mut self) {
        self.say("flush");
        let to = self.walking().log.synced().offset;
        self.walking().handle.flush(to);
    }

    async fn reconfigure(&mut self) {
        let version = self.plans.len() as u64 + 1;
        let same = self.below(2) == 0;
        let shape = if same { self.promises.shape } else { self.promises.shape + 1 };
        let next = plan_of(version, shape, self.kind, &self.clock, &mut self.chance);
        self.say(&format!("version {version}, shape {shape}"));
        self.plans.push(Arc::clone(&next));
        self.promises.shape = shape;
        let handle = self.walking().handle.clone();
        let told = within(10, handle.reconfigure(next));
        if told.await == Some(true) {
            self.promises.settled_shape = shape;
        }
    }

    fn change_weather(&mut self) {
        let mut weather = Weather::default();
        if self.below(3) > 0 {
            weather = Weather {
                percent: [20, 60, 100][usize::try_from(self.below(3)).expect("small")],
                fates: self.below(256),
            };
        }
        self.say(&format!("{weather:?}"));
        self.shore.state.lock().weather = weather;
    }

    fn break_disk(&mut self) {
        (self.provoked, self.torn) = (true, true);
        let number = self.below(5);
        match self.below(6) {
            0 | 1 => self.disk.fail_sync(number),
            2 => self.disk.fail_write(number * 700),
            3 => self.disk.fail_reads(number),
            _ => {
                let room = self.below(3) * (600 << 10);
                self.disk.set_capacity(Some(self.disk.used() + room));
            }
        }
        self.say("the disk breaks");
    }

    async fn end(&mut self, end: End) -> Result<(), String> {
        self.say(&format!("{end:?}"));
        let Some(life) = self.life.take() else { return Ok(()) };
        let Walking { log, handle, mut task } = life.walking;
        let mut ended = None;
        if end == End::Clean {
            handle.wish(Wish::Stop);
            ended = within(60, &mut task).await;
        }
        let ended = if let Some(ended) = ended {
            ended
        } else {
            task.abort();
            task.await
        };
        match ended {
            Ok(Ended::Stopped) => {}
            Err(error) if error.is_cancelled() => {}
            other => return Err(format!("the road ended with {other:?}")),
        }
        drop(log);
        // Commits that were scheduled come to their end, as if the process had ended a moment later.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        self.promises.hear(self.shore.as_ref());
        match end {
            End::PowerLoss => {
                (self.provoked, self.torn) = (true, true);
                self.disk.crash();
            }
            End::Kill | End::Clean => self.disk.heal(),
        }
        if self.kind.damaged && !self.promises.damaged && self.below(2) == 0 {
            self.damage_ledger();
        }
        self.promises.begin_life();
        self.start()
    }

    /// Damages an entry of the ledger. From then on records may be delivered twice, and none may be lost.
    fn damage_ledger(&mut self) {
        let files = self.disk.files().into_iter().filter(|(path, _)| path.starts_with(Path::new(ROOT).join("ledger")));
        let mut places = Vec::new();
        for (path, bytes) in files {
            let found = bytes.windows(ENTRY.len()).enumerate().filter(|(_, window)| *window == ENTRY);
            let kinds = found.map(|(at, _)| (at, bytes.get(at + ENTRY.len()..).unwrap_or_default()));
            // Without the start of a version nobody knows its records' shape, and a sink needs its notes.
            let lossless =
                kinds.filter(|(_, kind)| [&b"vers"[..], b"note", b"snap"].iter().all(|it| !kind.starts_with(it)));
            places.extend(lossless.map(|(at, _)| (path.clone(), at)));
        }
        let Ok(one) = usize::try_from(self.below(places.len() as u64)) else { return };
        let Some((path, at)) = places.get(one) else { return };
        let mut bytes = self.disk.files().remove(path).unwrap_or_default();
        let line: Vec<u8> = bytes.iter().skip(*at).take(400).copied().take_while(|byte| *byte != 0).collect();
        bytes[*at] ^= 1;
        self.disk.put(path, &bytes);
        self.say(&format!("the ledger is damaged: {}", String::from_utf8_lossy(&line)));
        self.promises.damaged = true;
        self.shore.state.lock().damaged = true;
    }

    fn start(&mut self) -> Result<(), String> {
        let life = match self.open() {
            Ok(life) => life,
            Err(reason) => {
                // A full disk may keep it from starting; space lets it.
                self.say(&format!("refuses to start: {reason}"));
                if !self.provoked {
                    return Err(format!("it does not start: {reason}"));
                }
                self.disk.set_capacity(None);
                self.open().map_err(|reason| format!("it does not start: {reason}"))?
            }
        };
        self.promises.hear(self.shore.as_ref());
        self.promises.check_start(&life.walking, &self.shore)?;
        self.life = Some(life);
        Ok(())
    }

    fn open(&self) -> Result<Life, String> {
        let settings = PoolSettings {
            segment_bytes: 96 << 10,
            keep: 2,
            spare: 2,
            reserve_bytes: 64 << 10,
            reserve: 2,
            growing_bytes: 24 << 10,
        };
        let disk = Arc::new(self.disk.clone());
        let pool = Pool::open(Arc::clone(&disk) as _, PathBuf::from("/data/pool"), settings)
            .map_err(|error| error.to_string())?;
        let ground = Ground {
            workshop: Workshop {
                disk,
                pool: Arc::clone(&pool),
                committers: Arc::new(InlineCommitters),
                clock: self.clock.clone(),
            },
            root: PathBuf::from(ROOT),
            account: Account::new(self.budget),
            sink: Arc::clone(&self.shore) as Arc<dyn Sink>,
            memory: MemoryBudget::new(32 << 10),
            workers: Workers::Inline,
            telemetry: Arc::clone(&self.telemetry),
            settings: Settings { rewriting_bytes: self.kind.rewriting_bytes, ..Settings::default() },
        };
        let current = self.plans.last().map(Arc::clone).expect("there is a first one");
        let walking = ground.walk(current, |state: &State| {
            let needed: Vec<u64> = state
                .open
                .values()
                .map(|open| open.shape)
                .chain(state.versions.iter().map(|start| start.version))
                .chain(state.spool.versions.keys().copied())
                .collect();
            self.plans.iter().filter(|plan| needed.contains(&plan.version)).map(Arc::clone).collect()
        })?;
        Ok(Life { walking, pool })
    }

    /// What must hold at any time.
    fn look(&mut self) -> Result<(), String> {
        self.shore.arrive();
        self.promises.hear(self.shore.as_ref());
        let walking = &self.life.as_ref().expect("a process runs between two steps").walking;
        if walking.task.is_finished() {
            return Err("the road ended and nobody asked".to_owned());
        }
        self.promises.check_low_water(walking, &self.shore)?;
        let heard = self.ears.take();
        if self.promises.damaged {
            return Ok(());
        }
        if let Some(error) = heard.into_iter().find(|error| {
            !(self.provoked && is_of_disk(error) || self.torn && error.contains(DAMAGE) || error.contains(GONE))
        }) {
            return Err(format!("an error that nothing provoked: {error}"));
        }
        Ok(())
    }

    /// Everything heals; everything is delivered; everything is checked.
    async fn settle_down(&mut self) -> Result<(), String> {
        self.say("everything heals");
        self.disk.heal();
        self.disk.set_capacity(None);
        self.shore.state.lock().weather = Weather::default();
        let handle = self.walking().handle.clone();
        self.clock.sleep(Duration::from_mins(2)).await;
        let pool = Arc::clone(&self.life().pool);
        pool.look_at_space(0).map_err(|error| error.to_string())?;
        pool.fill();
        self.provoked = false;
        self.ears.take();
        if within(60, handle.pause(false)).await != Some(true) {
            return Err("delivery cannot be released".to_owned());
        }
        self.put().await;
        let log = self.walking().log.clone();
        let _ = within(60, log.sync()).await;
        let mut to = log.synced().offset;
        handle.flush(to);
        // What is refused for ever is given up when others go.
        let next = self.walking().handle.stream.ledger.with(|state| state.next_intent);
        self.shore.state.lock().cursed_until = Some(next);
        for _ in 0..if self.kind.cursed { 500 } else { 0 } {
            if within(59, handle.delivered(to)).await.is_some() {
                break;
            }
            self.put().await;
            handle.flush(log.synced().offset);
        }
        let account = log.account();
        if account.used() > account.budget() / 4 * 3 {
            // A disk that is full of what is refused takes in nothing that would prove it: somebody has to mend the destination.
            self.shore.state.lock().cursed_until = Some(0);
        }
        let _ = within(60, log.sync()).await;
        to = log.synced().offset;
        handle.flush(to);
        if within(3600, handle.delivered(to)).await.is_none() {
            let mut state = self.walking().handle.stream.ledger.with(Clone::clone);
            state.open.values_mut().for_each(|open| open.notes.clear());
            let (used, budget) = (log.account().used(), log.account().budget());
            return Err(format!(
                "not everything below {to:?} is delivered, {used} of {budget} bytes in use: {state:?}"
            ));
        }
        self.clock.sleep(Duration::from_mins(5)).await;
        self.look()?;
        promises::check_quiet(self.walking())?;
        self.promises.check_delivered(&self.shore)?;
        self.end(End::Clean).await
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("a process runs between two steps")
    }

    fn walking(&self) -> &Walking {
        &self.life().walking
    }

    fn below(&mut self, bound: u64) -> u64 {
        splitmix(&mut self.chance) % bound.max(1)
    }

    fn say(&self, what: &str) {
        if self.said {
            println!("{} {what}", self.clock.wall_ms() % 100_000_000);
        }
    }
}

/// `None` when it takes longer than it may.
async fn within<T>(seconds: u64, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(seconds), work).await.ok()
}

fn is_of_disk(error: &str) -> bool {
    [
        "a write to the log failed",
        "the ledger cannot be written",
        "the log cannot be read",
        "records could not be processed",
    ]
    .iter()
    .any(|known| error.contains(known))
}

/// Of what was never acknowledged, a later page may survive an earlier one.
const DAMAGE: &str = "records in the log are damaged";

fn records() -> PathBuf {
    Path::new(ROOT).join("records")
}

/// What every entry of the ledger begins with.
const ENTRY: &[u8] = b"{\"entry\":\"";
const ROOT: &str = "/data/streams/5";
