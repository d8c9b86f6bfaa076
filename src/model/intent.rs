//! What has been decided about one delivery before its first byte leaves.

use serde::{Deserialize, Serialize};

use crate::{ObjectKey, OffsetRange, Seed};

/// Number of an intent within its stream's ledger; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntentId(pub u64);

/// One decided delivery: which records, under which name. Synced in the ledger before anything is sent, and never changed
/// afterwards but for its address (a bucket or endpoint that was mended).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Number in the ledger.
    pub id: IntentId,
    /// The records.
    pub range: OffsetRange,
    /// How many records the range held when it was cut (a range may span a gap).
    pub records: u64,
    /// Their bytes, before any stage.
    pub bytes: u64,
    /// The source of every name made for this intent.
    pub seed: Seed,
    /// Configuration version in force when the intent was made.
    pub version: u64,
    /// Arrival of the oldest record, milliseconds since the Unix epoch.
    pub oldest_ms: u64,
    /// Bucket and key of the object.
    pub object: ObjectKey,
}
