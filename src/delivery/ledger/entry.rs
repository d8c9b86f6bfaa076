//! What a ledger's log holds: one JSON document a record, so that it can be read with any tool and grow members later.
//!
//! | `entry` | Meaning |
//! |---|---|
//! | `snapshot` | everything that the entries before it add up to; the first record of each segment |
//! | `intent` | these records leave under this name; synced before the first byte does |
//! | `note` | what a sink must know of its attempt after a crash |
//! | `commit` | the destination has the intent's object, or the error output has its records |
//! | `gaveup` | nothing of the intent is sent any more: its records go to the error output |
//! | `failed` | records that no stage takes are synced in the errors log, under these sets: from now on they count |
//! | `processed` | what processors made of a stretch of records is synced in the spool, and what they did not take in the errors log |
//! | `rewritten` | slices of the spool count no more where they lay, and count where they were written once more |
//! | `trimmed` | nothing of the spool below an offset is needed |
//! | `schema` | what rows look like from now on: intents and slices name a table by its hash |
//! | `skipped` | nothing below an offset is left to be put into an intent: a gap, or records that were set aside |
//! | `version` | a configuration version is in force from an offset on |
//! | `paused` | delivery is held, or released |
//! | `synced` | records below an offset are known to have been synced: whatever is missing below it is damage |
//!
//! `failed`, `processed` and `rewritten` are written twice, the second time before the first entry that rests on them, or before
//! anything is trimmed: nothing else says where error entries and slices lie, and the records that they were made of may be gone. Where one
//! of the two is damaged the other stands; where none is, the second says nothing new.

use bytes::Bytes;
use hydrant_model::{Cursor, Intent, IntentId, Offset, OffsetRange, SchemaId};
use hydrant_transforms::formats::schema::TableSchema;
use serde::{Deserialize, Serialize};

use super::State;
use super::spooled::{Processed, Rewritten, SliceAt};
use super::state::Delivered;
use crate::delivery::errors::Part;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
pub enum Entry {
    /// See the module's table.
    Snapshot(Box<State>),
    /// See the module's table.
    Intent(OpenIntent),
    /// See the module's table.
    Note {
        /// The intent it belongs to.
        intent: IntentId,
        /// The sink's bytes.
        note: Note,
    },
    /// See the module's table.
    Commit {
        /// Whose it is.
        #[serde(default, skip_serializing_if = "Cursor::is_main")]
        cursor: Cursor,
        /// The intent that is done.
        intent: IntentId,
        /// What it carried: should the intent's own entry be damaged, that does not leave again.
        #[serde(default, skip_serializing_if = "Contents::is_records")]
        contents: Contents,
        /// Its records: should the intent's own entry be damaged, they are not delivered again.
        range: OffsetRange,
        /// Bytes of the object, packed.
        bytes: u64,
        /// What of the intent is not in the object.
        #[serde(default, skip_serializing_if = "Lacking::is_nothing")]
        lacking: Lacking,
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// See the module's table.
    Skipped {
        /// Whose.
        #[serde(default, skip_serializing_if = "Cursor::is_main")]
        cursor: Cursor,
        /// Where the last intent ended.
        from: Offset,
        /// Everything below is decided.
        to: Offset,
        /// Body bytes of the log before `to`, where that is known.
        ends_at: Option<u64>,
    },
    /// See the module's table.
    Failed {
        /// The intent that they were found by; it has no other set, but that of its giving up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        intent: Option<IntentId>,
        /// Whether they are the records of an intent that was given up, and what of it no attempt has named.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        given_up: bool,
        /// What lies where.
        failures: Vec<Failures>,
    },
    /// See the module's table. Synced before error entries about the records count, so that they and the object are never both
    /// there.
    GaveUp {
        /// The intent.
        intent: IntentId,
        /// Why.
        given_up: GivenUp,
    },
    /// See the module's table.
    Processed {
        /// What was processed, and where it lies.
        #[serde(flatten)]
        stretch: Processed,
        /// What no stage took of it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        failures: Vec<Failures>,
    },
    /// See the module's table.
    Rewritten(Rewritten),
    /// See the module's table.
    Trimmed {
        /// Nothing of the spool below is needed.
        spool_below: Offset,
    },
    /// See the module's table.
    Schema {
        /// The columns.
        schema: TableSchema,
    },
    /// See the module's table.
    Version(VersionStart),
    /// See the module's table.
    Paused {
        /// Whether delivery is held.
        paused: bool,
    },
    /// See the module's table.
    Synced {
        /// Everything below is synced.
        through: Offset,
    },
}

impl Entry {
    /// Whether it is written twice.
    pub(super) fn is_repeated(&self) -> bool {
        matches!(self, Self::Failed { intent: Some(_), .. } | Self::Processed { .. } | Self::Rewritten(_))
    }

    /// Whether it may rest on one that is.
    pub(super) fn rests_on_repeated(&self) -> bool {
        match self {
            Self::Intent(open) => !open.contents.is_records(),
            Self::Commit { .. } | Self::Trimmed { .. } | Self::Rewritten(_) => true,
            _ => false,
        }
    }
}

/// Entries of one error output that lie in the errors log and wait for an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// AWS's error output type.
    pub output: String,
    /// Where they lie.
    pub part: Part,
    /// How many.
    pub records: u64,
    /// Their bytes, as entries.
    pub bytes: u64,
    /// Arrival of the oldest record, milliseconds since the Unix epoch.
    pub oldest_ms: u64,
    /// No record that they are about lies below this offset of the records' log.
    pub source: Offset,
    /// When they were found, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// What an intent carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Contents {
    /// The records of its range.
    #[default]
    Records,
    /// Entries of the errors log; the intent's range is one of that log's.
    Errors {
        /// AWS's error output type.
        output: String,
        /// Where they lie, in the order in which they were found.
        parts: Vec<Part>,
        /// No record that they are about lies below this offset of the records' log.
        source: Offset,
    },
    /// Slices of one partition; the intent's range is one of the spool.
    Slices {
        /// Which, in the order in which they were written.
        slices: Vec<SliceAt>,
        /// No record that they were made of lies below this offset of the records' log.
        source: Offset,
    },
}

impl Contents {
    fn is_records(&self) -> bool {
        *self == Self::Records
    }
}

/// What an object lacks of its intent: no stage took it, or one dropped it, or it was set aside as damaged. Known of an object that
/// was made by the process that commits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lacking {
    /// Records, as they arrived.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Everything: there is no object.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub object: bool,
}

impl Lacking {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What was delivered of an intent of so many records and bytes.
    pub fn of(self, records: u64, bytes: u64) -> Delivered {
        if self.object {
            return Delivered::default();
        }
        let (records, bytes) = (records.saturating_sub(self.records), bytes.saturating_sub(self.bytes));
        Delivered { records, bytes, objects: 1 }
    }
}

/// An intent that is not done, with what its sink noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Cursor::is_main")]
    pub cursor: Cursor,
    /// What it carries.
    #[serde(default, skip_serializing_if = "Contents::is_records")]
    pub contents: Contents,
    /// Whether what no stage takes of it is in the errors log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Why nothing of it is sent any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_up: Option<GivenUp>,
    /// The intent.
    pub intent: Intent,
    /// The configuration version whose shape its object has.
    pub shape: u64,
    /// The table that its rows are of, where records are converted and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaId>,
    /// Body bytes of the log before the end of its range, where that is known.
    pub ends_at: Option<u64>,
    /// The sink's notes, oldest first.
    pub notes: Vec<Note>,
}

/// Why an intent was given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenUp {
    /// The destination's code.
    pub code: String,
    /// What it said.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last attempt ended, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Whether the entries about its records are in the errors log.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_named: bool,
}

/// A sink's bytes; text where they are text, since most are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Note {
    /// UTF-8.
    Text(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Note {
    /// The note of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    /// The bytes of this note.
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Bytes(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

/// From which offset on a configuration version is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionStart {
    /// The version.
    pub version: u64,
    /// Whether source records are backed up from there on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backup: bool,
    /// The first offset under it.
    pub from: Offset,
    /// Body bytes of the log before that.
    #[serde(default)]
    pub bytes: u64,
}
