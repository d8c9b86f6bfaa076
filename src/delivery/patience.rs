//! How long one intent has been tried, and how long it rests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::giving_up::Refusals;

/// Back-off of one intent.
pub(super) struct Patience {
    pub(super) attempts: u32,
    pub(super) stall_after: Duration,
    /// Since when former addresses do not answer, and those that were given up.
    pub(super) unasked_since: BTreeMap<String, Instant>,
    pub(super) given_up: BTreeSet<String>,
    /// Objects that the stream had delivered when this one first failed.
    pub(super) delivered_before: Option<u64>,
    pub(super) parked: bool,
    /// Since when it is being tried, as [`FailingSince`] has it.
    pub(super) failing: Option<FailingSince>,
    pub(super) refusals: Refusals,
}

/// Since when an object fails, in this process: for as long as the configuration stays as it is, and delivery is not paused.
#[derive(Clone, Copy, Debug)]
pub(super) struct FailingSince {
    /// The configuration that was in force when that was first reported.
    pub(super) version: u64,
    pub(super) since: Instant,
    /// Objects that the stream had delivered then.
    pub(super) delivered: u64,
}

impl Patience {
    pub(super) fn new(stall_after: Duration, refusals: Refusals) -> Self {
        Self {
            attempts: 0,
            stall_after,
            unasked_since: BTreeMap::new(),
            given_up: BTreeSet::new(),
            delivered_before: None,
            parked: false,
            failing: None,
            refusals,
        }
    }

    /// Doubles from [`FIRST_RETRY`] to [`LAST_RETRY`], times a share between a half and one, so that many do not return at once.
    pub(super) fn next(&mut self, share: f64) -> Duration {
        let doubled = FIRST_RETRY.saturating_mul(1 << self.attempts.min(16));
        self.attempts += 1;
        doubled.min(LAST_RETRY).mul_f64(0.5 + share / 2.0)
    }
}

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(20);
