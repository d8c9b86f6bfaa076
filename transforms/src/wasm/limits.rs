//! What an instance may use, and what it is given at its start.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What one instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its memory, all told.
    pub memory_bytes: usize,
    /// Time for one call, and for its start.
    pub deadline: Duration,
    /// Bytes of one answer.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 64 << 20, deadline: Duration::from_secs(5), answer_bytes: 32 << 20 }
    }
}

/// Takes a line that a module wrote.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;
/// Tells the time, nanoseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;
/// Fills bytes with chance.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What a module may know beside its records. A module that is granted something is no longer a function of its records.
#[derive(Clone, Default)]
pub struct Grants {
    /// The time. Without it, it is always 2000-01-01T00:00:00Z.
    pub clock: Option<Clock>,
    /// Chance. Without it, every call sees the same bytes.
    pub random: Option<Random>,
}

/// What every instance of a pool is given.
#[derive(Clone, Default)]
pub struct Start {
    /// Bytes for the module's `hydrant_init`; their meaning is the module's.
    pub settings: Vec<u8>,
    /// What it may know.
    pub grants: Grants,
    /// Where its lines go.
    pub log: Option<Log>,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clock, random } = self;
        f.debug_struct("Grants").field("clock", &clock.is_some()).field("random", &random.is_some()).finish()
    }
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, grants, log } = self;
        let mut shown = f.debug_struct("Start");
        shown.field("settings", &settings.len()).field("grants", grants).field("log", &log.is_some()).finish()
    }
}
