//! One stream at work.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use hydrant_model::{Cursor, StreamId};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::{Error, Inner, Service};
use crate::api::put::StreamTag;
use crate::catalog::{Definition, Plan, Stream as Described};
use crate::delivery::ledger::{Ledger, State};
use crate::delivery::{Board, Ended, Handle, PerCursor, Road, RoadParts, Wish, deliver_stream};
use crate::log::{Account, Durability, Log, LogSettings, Position, Rolling, Use};
use crate::telemetry::StreamMetrics;

/// A stream with its log and its road.
pub(super) struct Running {
    pub(super) id: StreamId,
    pub(super) name: String,
    pub(super) tag: StreamTag,
    pub(super) log: Log,
    pub(super) handle: Handle,
    pub(super) metrics: StreamMetrics,
    pub(super) deleting: AtomicBool,
    /// When what is left of a deleted stream is dropped; nothing once that was ordered.
    pub(super) drain_until: Mutex<Option<Instant>>,
    /// When it begins to take records, where it was just made and AWS's rules hold.
    pub(super) active_from: Option<Instant>,
    described: RwLock<Described>,
}

impl Running {
    /// What the catalog says of it.
    pub(super) fn described(&self) -> Described {
        self.described.read().clone()
    }

    pub(super) fn describe(&self, described: Described) {
        *self.described.write() = described;
    }

    /// Whether it is still being created, as far as AWS's rules make a stream wait.
    pub(super) fn is_creating(&self) -> bool {
        self.active_from.is_some_and(|active_from| self.handle.stream.shop.clock.now() < active_from)
    }

    /// AWS's `DeliveryStreamStatus`.
    pub(super) fn status_name(&self) -> &'static str {
        if self.is_creating() { CREATING } else { self.described.read().state.name() }
    }

    pub(super) fn durability(&self) -> Durability {
        match self.handle.stream.current().durability {
            crate::catalog::Durability::Disk => Durability::Synced,
            crate::catalog::Durability::Os => Durability::Written,
        }
    }
}

impl Service {
    /// Opens a stream's logs and starts its road. What a crash left is recovered first. Until `active_from` it says that it is
    /// being created.
    pub(super) async fn start_stream(
        &self,
        described: Described,
        active_from: Option<Instant>,
    ) -> Result<Arc<Running>, Error> {
        let inner = Arc::clone(&self.inner);
        let opening = described.clone();
        let opened = tokio::task::spawn_blocking(move || inner.open_logs(&opening)).await;
        let Logs { log, errors, spool, ledger, account } =
            opened.map_err(|error| Self::ended(&described, &error))??;
        let plans = self.plans(&described, &ledger)?;
        let Plans { current, earlier } = plans;
        account.set_budget(current.disk_budget.unwrap_or(self.inner.settings.disk_budget));
        let name = described.definition.name.clone();
        let boards = PerCursor::new(|cursor| {
            let (telemetry, to) = (&self.inner.telemetry, destination(cursor, &current));
            let metrics = match cursor {
                Cursor::Main => telemetry.delivery(&name, to),
                Cursor::Backup | Cursor::Errors => telemetry.delivery_if_any(&name, to),
            };
            Board::new(self.inner.clock.clone(), metrics)
        });
        let (road, handle) = Road::new(RoadParts {
            name: name.clone(),
            log: log.clone(),
            errors,
            spool,
            ledger: Arc::new(ledger),
            current,
            earlier,
            boards,
            destinations: Arc::clone(&self.inner.destinations),
            shop: self.inner.shop.clone(),
        });
        let running = Arc::new(Running {
            id: described.id,
            tag: StreamTag::of(described.id),
            log,
            handle,
            metrics: self.inner.telemetry.for_stream(&name),
            deleting: AtomicBool::new(described.state == crate::catalog::State::Deleting),
            drain_until: Mutex::default(),
            name,
            active_from,
            described: RwLock::new(described),
        });
        self.walk(road, Arc::clone(&running));
        if running.deleting.load(Ordering::Relaxed) {
            running.limit_draining();
            let discard = running.handle.stream.current().on_delete == crate::catalog::OnDelete::Discard;
            running.handle.wish(if discard { Wish::Discard } else { Wish::Drain });
        }
        Ok(running)
    }

    /// Runs the road as a task of the service. A road that ends by itself takes the service with it: a stream that accepts and
    /// never delivers would be worse than a restart.
    fn walk(&self, road: Road, running: Arc<Running>) {
        let service = self.clone();
        self.inner.tasks.spawn(async move {
            let ended = AssertUnwindSafe(deliver_stream(road)).catch_unwind().await;
            let Ok(ended) = ended else {
                // What panicked has said so; a stream that accepts and never delivers would say nothing.
                return service.fail(Error::TaskEnded {
                    task: format!("delivery of {}", running.name),
                    reason: "a panic".to_owned(),
                });
            };
            match ended {
                Ok(Ended::Drained) => service.gone(&running).await,
                Ok(Ended::Stopped) => tracing::debug!(stream = %running.name, "delivery stopped"),
                Err(error) if running.handle.stream.is_stopping() => {
                    tracing::warn!(stream = %running.name, %error, "delivery ends at the deadline; it goes on at the next start");
                }
                Err(error) => service.fail(Error::TaskEnded {
                    task: format!("delivery of {}", running.name),
                    reason: error.to_string(),
                }),
            }
        });
    }

    pub(super) fn fail(&self, error: Error) {
        tracing::error!(%error, "the service ends");
        self.inner.fatal.lock().get_or_insert(error);
        self.inner.failed.cancel();
    }

    /// What `definition` means, with its function and its table connected.
    pub(super) fn plan(&self, definition: &Definition, version: u64) -> Result<Plan, String> {
        let mut plan = Plan::new(definition, version, &self.inner.rulebook)?;
        self.inner.lambdas.connect(&mut plan, &definition.name);
        self.inner.tables.connect(&mut plan);
        Ok(plan)
    }

    /// The configuration in force, and those that waiting records were taken in under.
    fn plans(&self, described: &Described, ledger: &Ledger) -> Result<Plans, Error> {
        let plan = |definition: &Definition, version| {
            self.plan(definition, version).map(Arc::new).map_err(|reason| {
                Error::Start(format!("version {version} of stream {} cannot be read: {reason}", definition.name))
            })
        };
        let current = plan(&described.definition, described.version)?;
        let needed = ledger.with(|state: &State| {
            let open = state.open.values().map(|open| open.shape);
            let versions = state.versions.iter().map(|start| start.version);
            let spooled = state.spool.versions.keys().copied();
            open.chain(versions).chain(spooled).collect::<std::collections::BTreeSet<_>>()
        });
        let mut earlier = Vec::new();
        for version in needed.into_iter().filter(|version| *version != described.version) {
            let destination = self.inner.store.version(described.id, version)?;
            earlier.push(plan(&Definition { destination, ..described.definition.clone() }, version)?);
        }
        Ok(Plans { current, earlier })
    }

    fn ended(described: &Described, error: &tokio::task::JoinError) -> Error {
        Error::TaskEnded { task: format!("opening {}", described.definition.name), reason: error.to_string() }
    }
}

struct Plans {
    current: Arc<Plan>,
    earlier: Vec<Arc<Plan>>,
}

impl Inner {
    fn open_logs(&self, described: &Described) -> Result<Logs, Error> {
        let folder = self.store.folder(described.id);
        let account = Account::new(self.settings.disk_budget);
        let refused = |error: String| Error::Start(format!("stream {}: {error}", described.definition.name));
        let (ledger, _) = Ledger::open(&self.workshop, folder.join("ledger"), described.id, Arc::clone(&account))
            .map_err(|error| refused(error.to_string()))?;
        let open = |name: &str, used_as, synced_through, floor| {
            let (dir, stream) = (folder.join(name), described.id);
            let settings = LogSettings { dir, stream, used_as, rolling: Rolling::ByItself };
            Log::open(self.workshop.clone(), settings, Arc::clone(&account), synced_through, floor)
                .map_err(|error| refused(error.to_string()))
        };
        let (synced_through, floor, failed_to, spool_end) =
            ledger.with(|state| (state.synced_through, state.floor(), state.failed_to, state.spool.end()));
        let (log, recovered) = open("records", Use::Records, synced_through, floor)?;
        let (errors, _) = open("errors", Use::Errors, failed_to, Position { offset: failed_to, bytes: 0 })?;
        if recovered.torn_bytes > 0 {
            tracing::info!(stream = %described.definition.name, bytes = recovered.torn_bytes, "a torn tail was never acknowledged");
        }
        let (spool, _) = open("spool", Use::Spool, spool_end, Position { offset: spool_end, bytes: 0 })?;
        Ok(Logs { log, errors, spool, ledger, account })
    }
}

/// The logs of one stream.
struct Logs {
    log: Log,
    errors: Log,
    spool: Log,
    ledger: Ledger,
    account: Arc<Account>,
}

/// As metrics and status name where `cursor` delivers to.
pub(super) fn destination(cursor: Cursor, plan: &Plan) -> &'static str {
    match cursor {
        Cursor::Main => plan.sink.name,
        Cursor::Backup => "backup",
        Cursor::Errors => "errors",
    }
}

const CREATING: &str = "CREATING";
/// How long a new stream is being created under AWS's rules: enough for a client to see it and to wait as it must on AWS, where it
/// takes half a minute.
pub(super) const CREATION: Duration = Duration::from_secs(2);
