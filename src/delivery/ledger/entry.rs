//! What a ledger's log holds: one JSON document a record, so that it can be read with any tool and grow members later.
//!
//! | `entry` | Meaning |
//! |---|---|
//! | `snapshot` | everything that the entries before it add up to; the first record of each segment |
//! | `intent` | these records leave under this name; synced before the first byte does |
//! | `note` | what a sink must know of its attempt after a crash |
//! | `commit` | the destination has the intent's object |
//! | `skipped` | nothing below an offset is left to be put into an intent: a gap, or records that were set aside |
//! | `version` | a configuration version is in force from an offset on |
//! | `paused` | delivery is held, or released |
//! | `synced` | records below an offset are known to have been synced: whatever is missing below it is damage |

use std::collections::BTreeMap;

use bytes::Bytes;
use hydrant_model::{Intent, IntentId, Offset, OffsetRange};
use serde::{Deserialize, Serialize};

use crate::log::Position;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
pub enum Entry {
    /// See the module's table.
    Snapshot(State),
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
        /// The intent that is done.
        intent: IntentId,
        /// Its records: should the intent's own entry be damaged, they are not delivered again.
        range: OffsetRange,
        /// Bytes of the object, packed.
        bytes: u64,
        /// When, milliseconds since the Unix epoch.
        at_ms: u64,
    },
    /// See the module's table.
    Skipped {
        /// Where the last intent ended.
        from: Offset,
        /// Everything below is decided.
        to: Offset,
        /// Body bytes of the log before `to`, where that is known.
        ends_at: Option<u64>,
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

/// An intent that is not done, with what its sink noted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenIntent {
    /// The intent.
    pub intent: Intent,
    /// The configuration version whose shape its object has.
    pub shape: u64,
    /// Body bytes of the log before the end of its range, where that is known.
    pub ends_at: Option<u64>,
    /// The sink's notes, oldest first.
    pub notes: Vec<Note>,
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
    /// The first offset under it.
    pub from: Offset,
}

/// What the entries of a ledger add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Everything below was put into an intent.
    pub cut_to: Offset,
    /// Body bytes of the log before `cut_to`.
    pub cut_bytes: u64,
    /// Stretches below `cut_to` whose entry is damaged: whether they were delivered, nobody knows. Lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<OffsetRange>,
    /// Intents that are not done, by number; written as a list.
    #[serde(with = "open_intents")]
    pub open: BTreeMap<u64, OpenIntent>,
    /// Number of the next intent.
    pub next_intent: u64,
    /// Where versions start, oldest first; those that no waiting record needs are dropped.
    pub versions: Vec<VersionStart>,
    /// Whether delivery is held.
    pub paused: bool,
    /// Records below are known to have been synced.
    pub synced_through: Offset,
    /// What has been delivered since the stream was created.
    pub delivered: Delivered,
}

/// A list, because keys of JSON objects are text and serde reads them back as numbers only where it is not told by a tag
/// what it reads.
mod open_intents {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::OpenIntent;

    pub(super) fn serialize<S: Serializer>(open: &BTreeMap<u64, OpenIntent>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(open.values())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u64, OpenIntent>, D::Error> {
        let open = Vec::<OpenIntent>::deserialize(deserializer)?;
        Ok(open.into_iter().map(|open| (open.intent.id.0, open)).collect())
    }
}

/// Totals of what has been delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Records.
    pub records: u64,
    /// Their bytes, before any stage.
    pub bytes: u64,
    /// Objects.
    pub objects: u64,
}

impl State {
    /// Every record below is delivered.
    pub fn low_water(&self) -> Offset {
        let open = self.open.values().map(|open| open.intent.range.from);
        open.chain(self.holes.first().map(|hole| hole.from)).min().unwrap_or(self.cut_to)
    }

    /// Offsets below this have been named by some entry and must not be given again.
    pub fn floor(&self) -> Position {
        let versions = self.versions.iter().map(|start| start.from).max().unwrap_or_default();
        Position { offset: self.cut_to.max(self.synced_through).max(versions), bytes: self.cut_bytes }
    }

    /// The configuration version in force at `offset`.
    pub fn version_at(&self, offset: Offset) -> Option<u64> {
        self.versions.iter().rev().find(|start| start.from <= offset).map(|start| start.version)
    }

    /// Takes `entry` in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Snapshot(state) => self.clone_from(state),
            Entry::Intent(open) => {
                let intent = &open.intent;
                let ends_at = open.ends_at.unwrap_or(self.cut_bytes + intent.bytes);
                self.decide(intent.range, Some(ends_at));
                self.synced_through = self.synced_through.max(intent.range.to);
                self.next_intent = self.next_intent.max(intent.id.0 + 1);
                self.open.insert(intent.id.0, open.clone());
            }
            Entry::Note { intent, note } => {
                self.next_intent = self.next_intent.max(intent.0 + 1);
                if let Some(open) = self.open.get_mut(&intent.0) {
                    open.notes.push(note.clone());
                }
            }
            Entry::Commit { intent, range, .. } => {
                if let Some(OpenIntent { intent, .. }) = self.open.remove(&intent.0) {
                    self.delivered.records += intent.records;
                    self.delivered.bytes += intent.bytes;
                    self.delivered.objects += 1;
                } else {
                    self.next_intent = self.next_intent.max(intent.0 + 1);
                    self.decide(*range, None);
                    self.delivered.records += range.to.0 - range.from.0;
                    self.delivered.objects += 1;
                }
                self.forget_versions();
            }
            Entry::Skipped { from, to, ends_at } => {
                self.decide(OffsetRange { from: *from, to: *to }, *ends_at);
            }
            Entry::Version(start) => self.versions.push(*start),
            Entry::Paused { paused } => self.paused = *paused,
            Entry::Synced { through } => self.synced_through = self.synced_through.max(*through),
        }
    }

    /// Nothing of `range` waits for an intent any more. What it leaves out is a hole: the entry about it is damaged.
    fn decide(&mut self, range: OffsetRange, ends_at: Option<u64>) {
        if range.from > self.cut_to {
            self.holes.push(OffsetRange { from: self.cut_to, to: range.from });
        }
        let outside = |hole: OffsetRange| {
            let before = OffsetRange { from: hole.from, to: hole.to.min(range.from) };
            let behind = OffsetRange { from: hole.from.max(range.to), to: hole.to };
            [before, behind].into_iter().filter(|part| part.from < part.to)
        };
        self.holes = self.holes.drain(..).flat_map(outside).collect();
        if range.to > self.cut_to {
            self.cut_to = range.to;
            self.cut_bytes = ends_at.unwrap_or(self.cut_bytes);
        }
    }

    /// Versions that only delivered records were under are history.
    fn forget_versions(&mut self) {
        let low_water = self.low_water();
        let needed = self.open.values().map(|open| open.shape).min().unwrap_or(u64::MAX);
        while let [first, second, ..] = self.versions.as_slice()
            && second.from <= low_water
            && first.version < needed
        {
            self.versions.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use hydrant_model::{ObjectKey, OffsetRange, Seed};

    use super::*;

    #[test]
    fn a_snapshot_with_open_intents_is_read_back_as_it_was() {
        let mut state = State::default();
        for number in [3, 12] {
            let range = OffsetRange { from: Offset(number), to: Offset(number + 1) };
            let intent = Intent {
                id: IntentId(number),
                range,
                records: 1,
                bytes: 2,
                seed: Seed([7; 16]),
                version: 1,
                oldest_ms: 5,
                object: ObjectKey::new("bucket", "k").expect("a key"),
            };
            state.apply(&Entry::Intent(OpenIntent {
                intent,
                shape: 1,
                ends_at: Some(number * 7),
                notes: vec![Note::new(b"n"), Note::new(&[255])],
            }));
        }
        state.apply(&Entry::Version(VersionStart { version: 1, from: Offset(0) }));
        // Before and between the two lie holes, which are read back as well.
        assert_eq!(state.holes.len(), 2);
        let snapshot = Entry::Snapshot(state);
        let bytes = serde_json::to_vec(&snapshot).expect("written");
        assert_eq!(serde_json::from_slice::<Entry>(&bytes).expect("read"), snapshot);
    }
}
