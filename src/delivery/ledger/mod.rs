//! The ledger: what has been decided, and what has left.
//!
//! A log of small entries ([`Entry`]), one ledger a stream. Each segment begins with a snapshot; compaction is a new segment, and
//! a few old ones are kept as history. The state in memory leads: an entry is applied, then written, and an entry that could
//! not be written reaches the disk in the snapshot that the next segment begins with, before anything that rests on it is done.

mod entry;
mod failing;
mod spooled;
mod state;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Offset, StreamId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::log::{
    Account, AppendError, Appended, Durability, Log, LogSettings, OpenError, Payload, Placement, Position, ReadError,
    Recovered, Rolling, Use, Workshop,
};

pub use entry::{Contents, Entry, Failures, GivenUp, Lacking, Note, OpenIntent, VersionStart};
pub use failing::{Failing, Total};
pub use spooled::{Processed, Rewritten, SliceAt, Spooled};
pub use state::{Delivered, Progress, State};

/// One stream's ledger; shared by its road and the attempts under way.
pub struct Ledger {
    log: Log,
    workshop: Workshop,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    /// Bytes of entries until the next snapshot.
    room: usize,
    /// Entries recorded that nobody waits for, and how many of them are known to be synced.
    soon: u64,
    settled: u64,
    /// [`Log::losses`] that a snapshot has made up for.
    losses: u64,
    /// Entries that are written once and will be again.
    once: Vec<Entry>,
}

type Answer = oneshot::Receiver<Result<Appended, AppendError>>;

/// Why a ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Its log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its log cannot be read.
    #[error("reading the ledger: {0}")]
    Read(#[from] ReadError),
    /// No segment begins with a snapshot that can be read.
    #[error(
        "the ledger in {0} has no snapshot that can be read: restore the directory from a copy, or remove it, and all records \
         that are still in the log are delivered once more"
    )]
    NoSnapshot(PathBuf),
}

impl Ledger {
    /// Opens the ledger in `dir`, empty if there is none. Reads and may write: not for a runtime's own thread.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open(
        workshop: &Workshop,
        dir: PathBuf,
        stream: StreamId,
        account: Arc<Account>,
    ) -> Result<(Self, Recovered), LedgerError> {
        let settings = LogSettings { dir: dir.clone(), stream, used_as: Use::Ledger, rolling: Rolling::OnRequest };
        let nothing = Offset(0);
        let (log, recovered) = Log::open(workshop.clone(), settings, account, nothing, Position::default())?;
        let state = replay(&log)?.ok_or(LedgerError::NoSnapshot(dir))?;
        let inner = Inner { state, room: 0, soon: 0, settled: 0, losses: 0, once: Vec::new() };
        Ok((Self { log, workshop: workshop.clone(), inner: Mutex::new(inner) }, recovered))
    }

    /// Looks at the state.
    pub fn with<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.inner.lock().state)
    }

    /// Applies `entry` and returns when it is synced. A ledger that cannot be written is tried again until it can, or is
    /// closed; nothing may be sent meanwhile, and since this is waited for, nothing is.
    ///
    /// # Errors
    /// The ledger was closed.
    pub async fn record(&self, entry: Entry) -> Result<(), Closed> {
        let mut answer = self.apply(&entry, Durability::Synced);
        let mut wait = FIRST_RETRY;
        while let Err(error) = settled(answer).await {
            if matches!(error, AppendError::Closed) {
                return Err(Closed);
            }
            if !matches!(error, AppendError::Sealed) {
                tracing::error!(%error, "the ledger cannot be written; nothing is sent until it can");
                self.workshop.clock.sleep(wait).await;
                wait = (wait * 2).min(LAST_RETRY);
            }
            answer = self.snapshot(&mut self.inner.lock(), Durability::Synced);
        }
        Ok(())
    }

    /// Writes everything that is known into a new segment, so that nothing rests on what was lost before.
    async fn make_up_for(&self, losses: u64) -> Result<(), Closed> {
        let through = self.with(|state| state.synced_through);
        self.inner.lock().room = 0;
        self.record(Entry::Synced { through }).await?;
        let mut inner = self.inner.lock();
        inner.losses = inner.losses.max(losses);
        Ok(())
    }

    /// Applies `entry` and writes it; [`Ledger::settle`] syncs it.
    pub fn record_soon(&self, entry: &Entry) {
        // An answer that says no is counted among the log's losses.
        drop(self.apply(entry, Durability::Written));
        self.inner.lock().soon += 1;
    }

    /// Whether something was recorded that is not synced.
    pub fn is_unsettled(&self) -> bool {
        let inner = self.inner.lock();
        inner.soon != inner.settled || inner.losses != self.log.losses()
    }

    /// Syncs everything recorded so far. Dropping the future forgets nothing.
    ///
    /// # Errors
    /// The ledger was closed.
    pub async fn settle(&self) -> Result<(), Closed> {
        let soon = {
            let mut inner = self.inner.lock();
            // An answer that says no is counted among the log's losses.
            drop(self.repeat(&mut inner));
            inner.soon
        };
        let synced = self.log.sync().await;
        // What was lost after an entry was written, by whatever other append, no later sync brings back.
        let losses = self.log.losses();
        if synced.is_err() || losses != self.inner.lock().losses {
            self.make_up_for(losses).await?;
        }
        let mut inner = self.inner.lock();
        inner.settled = inner.settled.max(soon);
        Ok(())
    }

    /// The oldest configuration version that a waiting record or an open intent needs, now and after a power failure: older ones
    /// may go.
    ///
    /// # Errors
    /// The ledger was closed.
    pub async fn oldest_version(&self) -> Result<u64, Closed> {
        let needed = self.with(|state| {
            let starts = state.versions.iter().map(|start| start.version);
            let spooled = state.spool.versions.keys().copied();
            starts.chain(spooled).chain(state.open.values().map(|open| open.shape)).min().unwrap_or(0)
        });
        self.settle().await?;
        Ok(needed)
    }

    /// Forgets old history. Waits for the disk: not for a runtime's own thread.
    pub fn trim(&self) {
        if let Some(oldest) = self.log.segment_starts().get(KEPT_SEGMENTS - 1)
            && let Err(error) = self.log.trim(*oldest)
        {
            tracing::warn!(%error, "old history of the ledger stays for now");
        }
    }

    /// Whether [`Ledger::trim`] has work.
    pub fn has_old_history(&self) -> bool {
        self.log.segment_starts().len() > KEPT_SEGMENTS
    }

    /// The log underneath.
    pub fn log(&self) -> &Log {
        &self.log
    }

    fn apply(&self, entry: &Entry, durability: Durability) -> Result<Answer, AppendError> {
        let mut inner = self.inner.lock();
        let repeated = if entry.rests_on_repeated() { self.repeat(&mut inner) } else { Ok(()) };
        let written = self.write(&mut inner, entry, durability, true);
        if entry.is_repeated() {
            inner.once.push(entry.clone());
        }
        repeated.and(written)
    }

    /// Writes a second time what was written once.
    fn repeat(&self, inner: &mut Inner) -> Result<(), AppendError> {
        for entry in std::mem::take(&mut inner.once) {
            drop(self.write(inner, &entry, Durability::Written, false)?);
        }
        Ok(())
    }

    fn write(
        &self,
        inner: &mut Inner,
        entry: &Entry,
        durability: Durability,
        is_new: bool,
    ) -> Result<Answer, AppendError> {
        let payload = encode(entry);
        // The entry that a segment has no room for stands behind the snapshot of the next one, not in it alone: should the snapshot
        // be damaged, the entries before and behind it add up all the same.
        let begun = if inner.room < payload.body.len() { self.snapshot(inner, durability).map(drop) } else { Ok(()) };
        if is_new {
            inner.state.apply(entry);
        }
        begun?;
        inner.room = inner.room.saturating_sub(payload.body.len());
        self.log.submit(payload, durability, Placement::Behind)
    }

    /// Entries between two snapshots: few enough that history does not press on a small budget.
    fn segment_bytes(&self) -> usize {
        let share = self.log.account().budget() / BUDGET_SHARE;
        usize::try_from(share).unwrap_or(SNAPSHOT_AFTER).clamp(LEAST_SNAPSHOT_AFTER, SNAPSHOT_AFTER)
    }

    fn snapshot(&self, inner: &mut Inner, durability: Durability) -> Result<Answer, AppendError> {
        let payload = encode(&Entry::Snapshot(Box::new(inner.state.clone())));
        // A large state is not written again after every few entries.
        inner.room = self.segment_bytes().max(4 * payload.body.len());
        self.log.submit(payload, durability, Placement::NewSegment)
    }
}

/// The ledger was closed: the service is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the ledger is closed")]
pub struct Closed;

async fn settled(answer: Result<Answer, AppendError>) -> Result<Appended, AppendError> {
    answer?.await.unwrap_or(Err(AppendError::Closed))
}

/// The state that the newest readable snapshot and the entries behind it add up to; `None` if entries have no snapshot.
fn replay(log: &Log) -> Result<Option<State>, ReadError> {
    let starts = log.segment_starts();
    if starts.is_empty() {
        return Ok(Some(State::default()));
    }
    for start in starts {
        let mut reader = log.read(start, log.synced().offset);
        let mut state = None;
        while let Some(view) = reader.next()? {
            match (serde_json::from_slice(view.body), &mut state) {
                (Ok(Entry::Snapshot(snapshot)), _) => state = Some(*snapshot),
                (Ok(entry), Some(state)) => state.apply(&entry),
                (Ok(_), None) => break,
                (Err(error), _) => {
                    tracing::error!(offset = %view.first, %error, "an entry of the ledger cannot be read");
                }
            }
        }
        if state.is_some() {
            return Ok(state);
        }
    }
    Ok(None)
}

fn encode(entry: &Entry) -> Payload {
    let body = serde_json::to_vec(entry).expect("an entry has only text keys");
    Payload { lengths: vec![u32::try_from(body.len()).unwrap_or(u32::MAX)], body: body.into() }
}

/// Entries of this many bytes are followed by a snapshot in a new segment.
const SNAPSHOT_AFTER: usize = 256 << 10;
/// Or of this many, where the budget is small.
const LEAST_SNAPSHOT_AFTER: usize = 8 << 10;
/// A segment of the ledger takes at most this part of the budget.
const BUDGET_SHARE: u64 = 64;
/// Segments kept: the current one and history.
const KEPT_SEGMENTS: usize = 4;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);
