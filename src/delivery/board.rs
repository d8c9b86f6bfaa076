//! What a stream's delivery shows of itself: status and metrics.

use std::time::Duration;

use hydrant_model::DeliveryError;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::ledger::{Delivered, Failures};
use crate::clock::Clock;
use crate::telemetry::{DeliveryMetrics, Taken};

/// Where the road writes what happens, and status reads it.
pub struct Board {
    clock: Clock,
    metrics: DeliveryMetrics,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    last_error: Option<LastError>,
    next_retry: Option<Instant>,
    parked: u64,
    /// Intents whose last attempt failed.
    failing: u64,
    sending: u64,
}

/// The last error of a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// A code of the destination's table.
    pub code: String,
    /// What the destination said.
    pub message: String,
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
}

/// A reading of the board.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The last error; gone when something was delivered after it and nothing waits because of it.
    pub last_error: Option<LastError>,
    /// Until the next attempt, where one waits.
    pub next_retry: Option<Duration>,
    /// Objects that the destination refuses and that wait without holding up others.
    pub parked: u64,
    /// Attempts under way or waiting to be repeated.
    pub sending: u64,
}

impl Board {
    /// An empty board.
    pub fn new(clock: Clock, metrics: DeliveryMetrics) -> Self {
        Self { clock, metrics, shown: Mutex::default() }
    }

    /// What it shows now.
    pub fn read(&self) -> Reading {
        let shown = self.shown.lock();
        let now = self.clock.now();
        Reading {
            last_error: shown.last_error.clone(),
            next_retry: shown.next_retry.filter(|at| *at > now).map(|at| at - now),
            parked: shown.parked,
            sending: shown.sending,
        }
    }

    pub(super) fn delivered(&self, delivered: Delivered) {
        self.metrics.delivered(delivered.records, delivered.bytes, delivered.objects);
        self.mended();
    }

    /// Counts what no stage took.
    pub(super) fn to_error_output(&self, failures: &[Failures]) {
        for failures in failures {
            self.metrics.to_error_output(&failures.output, failures.records);
        }
    }

    /// Something that failed went well: what was told of it is over, unless something else is failing.
    pub(super) fn mended(&self) {
        let mut shown = self.shown.lock();
        if shown.failing == 0 {
            shown.last_error = None;
            shown.next_retry = None;
        }
    }

    /// Counts what a processor did to some records.
    pub(super) fn taken(&self, processor: &'static str, taken: &Taken) {
        self.metrics.taken(processor, taken);
    }

    /// Notes a failure; whether it is news, and not what failed before.
    pub(super) fn failed(&self, error: &DeliveryError, retry_in: Duration) -> bool {
        self.metrics.failed(&error.code);
        let mut shown = self.shown.lock();
        let news = shown.last_error.as_ref().is_none_or(|last| last.code != error.code);
        shown.last_error =
            Some(LastError { code: error.code.clone(), message: error.message.clone(), at: self.clock.wall_ms() });
        shown.next_retry = Some(self.clock.now() + retry_in);
        news
    }

    /// Notes something, and whether it is news, that is not an answer of the destination's: the log cannot be read, a name cannot be made.
    pub(super) fn troubled(&self, code: &str, message: String, retry_in: Duration) -> bool {
        self.failed(&DeliveryError { code: code.to_owned(), message }, retry_in)
    }

    pub(super) fn sending(&self, more: bool) {
        let mut shown = self.shown.lock();
        shown.sending = if more { shown.sending + 1 } else { shown.sending.saturating_sub(1) };
    }

    pub(super) fn failing(&self, more: bool) {
        let mut shown = self.shown.lock();
        shown.failing = if more { shown.failing + 1 } else { shown.failing.saturating_sub(1) };
    }

    pub(super) fn parked(&self, more: bool) {
        let mut shown = self.shown.lock();
        shown.parked = if more { shown.parked + 1 } else { shown.parked.saturating_sub(1) };
    }

    /// Counts what was written to the spool once more.
    pub(super) fn rewritten(&self, bytes: u64) {
        self.metrics.spool_rewritten(bytes);
    }

    pub(super) fn possible_duplicate(&self) {
        self.metrics.possible_duplicate();
    }

    pub(super) fn possible_loss(&self) {
        self.metrics.possible_loss();
    }
}
