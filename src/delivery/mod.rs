//! Delivery: everything that leaves.
//!
//! ```text
//! log ─► cut ─► address ─► intent in the ledger ─► send: read ─► pack ─► sink ─► commit in the ledger ─► trim
//! ```
//!
//! [`deliver_stream`] is the road of one stream, and calls its stages; files in the order in which a record meets them. A buffer
//! is a range of the log, so memory is what the sends under way hold, drawn from one budget ([`MemoryBudget`]). A dead
//! destination stops its own cursor and nothing else.

mod address;
mod board;
mod body;
mod cut;
pub mod errors;
mod form;
mod giving_up;
mod guard;
mod lane;
pub mod ledger;
mod level;
mod memory;
mod passes;
mod patience;
mod road;
mod schemas;
mod send;
pub mod spool;
mod stages;
mod stream;
mod workers;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hydrant_model::{Cursor, Sink};

pub use board::{Board, LastError, Reading};
pub use memory::MemoryBudget;
pub use road::{Ended, Road, RoadError, RoadParts, deliver_stream};
pub use stream::{Handle, PerCursor, Stream, Wish};
pub use workers::{Work, Workers};

use crate::catalog::Plan;
use crate::clock::Clock;

/// What the deliveries of all streams share; cheap to clone.
#[derive(Clone)]
pub struct Shop {
    /// Bytes that all sends together may hold.
    pub memory: MemoryBudget,
    /// Where blocking stages run.
    pub workers: Workers,
    /// Time and chance.
    pub clock: Clock,
    /// Numbers.
    pub settings: Settings,
}

/// Numbers of delivery.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Intents of one stream that are sent at the same time.
    pub window: usize,
    /// Partitions of one stream that may wait; the oldest leave early when there are more.
    pub partitions: usize,
    /// The spool is rewritten when that makes so much more room than it copies twice over; or a sixteenth of the stream's disk
    /// budget, if that is less.
    pub rewriting_bytes: u64,
    /// A send that the destination takes nothing of for this long gives its memory back if others wait for some.
    pub stall_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: 4, partitions: 100_000, rewriting_bytes: 64 << 20, stall_after: Duration::from_secs(15) }
    }
}

/// Where a plan's objects go; made by the service, which has the clients.
pub trait Destinations: Send + Sync {
    /// The sink for what `plan` says now of what `cursor` delivers.
    fn sink(&self, plan: &Plan, cursor: Cursor) -> Arc<dyn Sink>;

    /// Sinks for the addresses that notes name beside the one that `plan` says now: where the object may be already.
    fn former(&self, plan: &Plan, cursor: Cursor, notes: &[Bytes]) -> Vec<Arc<dyn Sink>>;

    /// Whether an object can have a key that S3's rules allow. Asked of keys that are made of data, before anything lies under them.
    ///
    /// # Errors
    /// What is wrong with the key.
    fn takes(&self, _key: &str) -> Result<(), String> {
        Ok(())
    }
}
