//! Places where a test can have the process killed: between two steps that a crash must be able to part.
//!
//! For tests only. The variable `HYDRANT_CRASH_AT=<phase>:<n>`, read once at the start, kills the process, as `kill -9` would, when
//! it reaches the phase for the n-th time. Without it a place costs one relaxed load.

use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Between which steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Records are written and not synced.
    RecordsWritten,
    /// Records are synced and not answered.
    RecordsSynced,
    /// Ledger entries are written and not synced.
    LedgerWritten,
    /// The header of a new segment of records is synced and has no name yet.
    RecordsProved,
    /// The header of a new segment of the ledger is synced and has no name yet.
    LedgerProved,
    /// A segment was taken from the pool and nothing was written to it yet.
    PoolTaken,
    /// An intent is synced and nothing of it was sent.
    IntentSynced,
    /// An object is delivered and its commit not written.
    Delivered,
    /// A commit is written and not synced.
    CommitWritten,
    /// Everything that rests on delivered segments is synced, and the segments are there.
    Trimming,
    /// What a pass made is synced, and the ledger that says so is not.
    Processed,
    /// Slices of the spool are written once more, synced, and the ledger does not say so.
    Rewritten,
    /// What an object that was given up would have held is in the errors log, synced, and the ledger does not say so.
    GivenUp,
    /// A delivered segment is removed or recycled, and the directory not synced.
    Trimmed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 14] = [
        Self::RecordsWritten,
        Self::RecordsSynced,
        Self::LedgerWritten,
        Self::RecordsProved,
        Self::LedgerProved,
        Self::PoolTaken,
        Self::IntentSynced,
        Self::Delivered,
        Self::CommitWritten,
        Self::Trimming,
        Self::Processed,
        Self::Rewritten,
        Self::GivenUp,
        Self::Trimmed,
    ];

    /// As the variable names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RecordsWritten => "records-written",
            Self::RecordsSynced => "records-synced",
            Self::LedgerWritten => "ledger-written",
            Self::RecordsProved => "records-proved",
            Self::LedgerProved => "ledger-proved",
            Self::PoolTaken => "pool-taken",
            Self::IntentSynced => "intent-synced",
            Self::Delivered => "delivered",
            Self::CommitWritten => "commit-written",
            Self::Trimming => "trimming",
            Self::Processed => "processed",
            Self::Rewritten => "rewritten",
            Self::GivenUp => "given-up",
            Self::Trimmed => "trimmed",
        }
    }
}

/// When the process is to be killed: `<phase>:<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashAt {
    phase: Phase,
    times: u64,
}

impl FromStr for CrashAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, times) = text.split_once(':').ok_or_else(|| format!("{text:?} is not of the form phase:n"))?;
        let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name).ok_or_else(|| {
            let names: Vec<_> = Phase::ALL.into_iter().map(Phase::name).collect();
            format!("no phase {name:?}; there are {}", names.join(", "))
        })?;
        match times.parse() {
            Ok(times) if times > 0 => Ok(Self { phase, times }),
            _ => Err(format!("{times:?} is not a number from 1 on")),
        }
    }
}

/// Kills the process when `crash_at` says; the first choice stands.
pub fn arm(crash_at: CrashAt) {
    ARMED.get_or_init(|| Armed { phase: crash_at.phase, left: AtomicU64::new(crash_at.times) });
    IS_ARMED.store(true, Ordering::Release);
}

/// A place between two steps.
pub fn reach(phase: Phase) {
    if IS_ARMED.load(Ordering::Relaxed) {
        count(phase);
    }
}

#[cold]
fn count(phase: Phase) {
    let Some(armed) = ARMED.get().filter(|armed| armed.phase == phase) else { return };
    // Others may pass the place while this one is being killed; only one of them finds the last one.
    if armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        // SIGKILL runs no handler and no destructor, which is the point; where it cannot be sent, this is the next best.
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

struct Armed {
    phase: Phase,
    left: AtomicU64,
}

static IS_ARMED: AtomicBool = AtomicBool::new(false);
static ARMED: OnceLock<Armed> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_and_a_number_are_needed() {
        assert_eq!("trimmed:3".parse(), Ok(CrashAt { phase: Phase::Trimmed, times: 3 }));
        for text in ["", "trimmed", "trimmed:0", "trimmed:x", "nowhere:1"] {
            assert!(text.parse::<CrashAt>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_that_nobody_chose_does_nothing() {
        for phase in Phase::ALL {
            reach(phase);
        }
    }
}
