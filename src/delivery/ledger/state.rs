//! What the entries of a ledger add up to.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hydrant_model::{Cursor, IntentId, Offset, OffsetRange, SchemaId};
use hydrant_transforms::formats::conversion::schema_id;
use hydrant_transforms::formats::schema::TableSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Contents, Entry, Failures, Lacking, OpenIntent, VersionStart};
use super::failing::Failing;
use super::spooled::Spooled;
use crate::log::Position;

/// What the entries of a ledger add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// How far the main cursor is.
    #[serde(flatten)]
    pub main: Progress,
    /// How far the backup of source records is, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Progress>,
    /// What waits in the errors log, in the order in which it was found.
    #[serde(default, skip_serializing_if = "Failing::is_empty")]
    pub failures: Failing,
    /// Intents whose own entry is damaged and whose failures are known.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub failed_unopened: BTreeSet<u64>,
    /// Those of them that were given up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub given_up_unopened: BTreeSet<u64>,
    /// Everything of the errors log that an entry has named lies below.
    #[serde(default)]
    pub failed_to: Offset,
    /// What the error output has.
    #[serde(default)]
    pub errors: Delivered,
    /// What lies in the spool.
    #[serde(default, skip_serializing_if = "Spooled::is_unused")]
    pub spool: Spooled,
    /// Tables that rows are of which have not left, and the newest one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<SchemaId, TableSchema>,
    /// The table that was found last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaId>,
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
}

/// How far one reader of the records' log is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Everything below was put into an intent.
    pub cut_to: Offset,
    /// Body bytes of the log before `cut_to`.
    pub cut_bytes: u64,
    /// Stretches below `cut_to` whose entry is damaged: whether they were delivered, nobody knows. Lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holes: Vec<OffsetRange>,
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
    /// How far `cursor` is; `None` for one that does not read the records' log.
    pub fn progress(&self, cursor: Cursor) -> Option<&Progress> {
        match cursor {
            Cursor::Main => Some(&self.main),
            Cursor::Backup => self.backup.as_ref(),
            Cursor::Errors => None,
        }
    }

    /// What `cursor` has delivered.
    pub fn delivered(&self, cursor: Cursor) -> Delivered {
        match cursor {
            Cursor::Errors => self.errors,
            cursor => self.progress(cursor).map(|progress| progress.delivered).unwrap_or_default(),
        }
    }

    /// Intents of `cursor` that are not done.
    pub fn open_of(&self, cursor: Cursor) -> impl Iterator<Item = &OpenIntent> {
        self.open.values().filter(move |open| open.cursor == cursor)
    }

    /// Nothing reads the records' log below.
    pub fn low_water(&self) -> Offset {
        let reading = Cursor::ALL.into_iter().filter_map(|cursor| self.read_from(cursor));
        reading.min().unwrap_or_default()
    }

    /// `cursor` reads nothing of the records' log below; `None` for one that does not read it.
    pub fn read_from(&self, cursor: Cursor) -> Option<Offset> {
        let progress = self.progress(cursor)?;
        let reading = self.open_of(cursor).filter(|open| open.contents == Contents::Records);
        let open = reading.map(|open| open.intent.range.from);
        Some(open.chain(progress.holes.first().map(|hole| hole.from)).min().unwrap_or(progress.cut_to))
    }

    /// Whatever became of a record below: it is where it was to go, its error entry included.
    pub fn delivered_to(&self) -> Offset {
        let sent = self.open.values().filter_map(|open| match &open.contents {
            Contents::Records => None,
            Contents::Errors { source, .. } | Contents::Slices { source, .. } => Some(*source),
        });
        sent.chain(self.failures.source()).chain([self.low_water()]).min().unwrap_or_default()
    }

    /// Nothing that waits in the errors log, or is being sent from it, lies below.
    pub fn errors_from(&self) -> Option<Offset> {
        let sent = self.open.values().filter(|open| matches!(open.contents, Contents::Errors { .. }));
        sent.map(|open| open.intent.range.from).chain(self.failures.from()).min()
    }

    /// No slice that an open intent carries lies below in the spool.
    pub fn spool_sent_from(&self) -> Option<Offset> {
        let sent = self.open.values().filter(|open| matches!(open.contents, Contents::Slices { .. }));
        sent.map(|open| open.intent.range.from).min()
    }

    /// Offsets of the records' log below this have been named by some entry and must not be given again.
    pub fn floor(&self) -> Position {
        let versions = self.versions.iter().map(|start| start.from).max().unwrap_or_default();
        let backup = self.backup.as_ref().map(|backup| backup.cut_to).unwrap_or_default();
        let offset = self.main.cut_to.max(self.synced_through).max(versions).max(backup);
        Position { offset, bytes: self.main.cut_bytes }
    }

    /// The configuration version in force at `offset`.
    pub fn version_at(&self, offset: Offset) -> Option<u64> {
        self.versions.iter().rev().find(|start| start.from <= offset).map(|start| start.version)
    }

    /// Takes `entry` in.
    pub fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Snapshot(state) => self.clone_from(state),
            Entry::Intent(open) => self.intend(open),
            Entry::Note { intent, note } => {
                self.next_intent = self.next_intent.max(intent.0 + 1);
                if let Some(open) = self.open.get_mut(&intent.0) {
                    open.notes.push(note.clone());
                }
            }
            Entry::Commit { cursor, intent, contents, range, lacking, .. } => {
                self.commit(*cursor, intent.0, contents, *range, *lacking);
                self.forget_versions();
                self.forget_schemas();
            }
            Entry::Failed { intent, given_up, failures } => {
                if intent.is_none_or(|intent| self.names_first(intent, *given_up)) {
                    self.fail(failures);
                }
            }
            Entry::GaveUp { intent, given_up } => {
                self.next_intent = self.next_intent.max(intent.0 + 1);
                if let Some(open) = self.open.get_mut(&intent.0) {
                    open.given_up = Some(given_up.clone());
                }
            }
            Entry::Processed { stretch, .. } if self.main.has_decided(stretch.range) => {}
            Entry::Processed { stretch, failures } => {
                self.main.decide(stretch.range, stretch.ends_at);
                self.synced_through = self.synced_through.max(stretch.range.to);
                self.spool.process(stretch);
                self.fail(failures);
            }
            Entry::Rewritten(rewritten) => self.spool.rewrite(rewritten),
            Entry::Trimmed { spool_below } => {
                self.spool.trim(*spool_below);
                self.forget_versions();
                self.forget_schemas();
            }
            Entry::Schema { schema } => {
                let id = schema_id(schema);
                self.schemas.insert(id, schema.clone());
                self.schema = Some(id);
            }
            Entry::Skipped { cursor, from, to, ends_at } => {
                if let Some(progress) = self.reading(*cursor, *from) {
                    progress.decide(OffsetRange { from: *from, to: *to }, *ends_at);
                }
            }
            Entry::Version(start) => {
                self.versions.push(*start);
                if start.backup && self.backup.is_none() {
                    self.backup = Some(Progress { cut_to: start.from, cut_bytes: start.bytes, ..Progress::default() });
                }
            }
            Entry::Paused { paused } => self.paused = *paused,
            Entry::Synced { through } => self.synced_through = self.synced_through.max(*through),
        }
    }

    /// Notes that failures of an intent are named; whether they were not before.
    fn names_first(&mut self, intent: IntentId, given_up: bool) -> bool {
        match self.open.get_mut(&intent.0) {
            // Should the entry that it was given up be damaged, this one says so as well.
            Some(open) if given_up => !std::mem::replace(&mut open.given_up.get_or_insert_default().is_named, true),
            Some(open) => !std::mem::replace(&mut open.failed, true),
            None if given_up => self.given_up_unopened.insert(intent.0),
            None => self.failed_unopened.insert(intent.0),
        }
    }

    fn intend(&mut self, open: &OpenIntent) {
        let intent = &open.intent;
        match &open.contents {
            Contents::Records => {
                if let Some(progress) = self.reading(open.cursor, intent.range.from) {
                    let ends_at = open.ends_at.unwrap_or(progress.cut_bytes + intent.bytes);
                    progress.decide(intent.range, Some(ends_at));
                }
                self.synced_through = self.synced_through.max(intent.range.to);
            }
            Contents::Errors { .. } | Contents::Slices { .. } => self.take_out(&open.contents),
        }
        self.next_intent = self.next_intent.max(intent.id.0 + 1);
        self.open.insert(intent.id.0, open.clone());
    }

    fn commit(&mut self, cursor: Cursor, id: u64, contents: &Contents, range: OffsetRange, lacking: Lacking) {
        let open = self.open.remove(&id);
        self.failed_unopened.remove(&id);
        self.given_up_unopened.remove(&id);
        if open.is_none() {
            self.take_out(contents);
        }
        let known = open.as_ref().map(|open| (open.intent.records, open.intent.bytes));
        if known.is_none() {
            self.next_intent = self.next_intent.max(id + 1);
        }
        let delivered = match cursor {
            Cursor::Errors => &mut self.errors,
            Cursor::Main | Cursor::Backup => {
                let Some(progress) = self.reading(cursor, range.from) else { return };
                if known.is_none() && *contents == Contents::Records {
                    progress.decide(range, None);
                }
                &mut progress.delivered
            }
        };
        let (records, bytes) = known.unwrap_or((range.to.0 - range.from.0, 0));
        let more = lacking.of(records, bytes);
        delivered.records += more.records;
        delivered.bytes += more.bytes;
        delivered.objects += more.objects;
    }

    /// The progress of a cursor that reads the records' log. Of a backup whose beginning is damaged it is known that it has begun
    /// at `from` at the latest.
    fn reading(&mut self, cursor: Cursor, from: Offset) -> Option<&mut Progress> {
        match cursor {
            Cursor::Main => Some(&mut self.main),
            Cursor::Backup => Some(self.backup.get_or_insert_with(|| Progress { cut_to: from, ..Progress::default() })),
            Cursor::Errors => None,
        }
    }

    fn fail(&mut self, failures: &[Failures]) {
        let to = failures.iter().map(|failures| failures.part.to).max().unwrap_or_default();
        self.failed_to = self.failed_to.max(to);
        for failures in failures {
            self.failures.add(failures);
        }
    }

    /// This part of the errors log, or of the spool, waits for no intent any more.
    fn take_out(&mut self, contents: &Contents) {
        let (output, parts) = match contents {
            Contents::Records => return,
            Contents::Slices { slices, .. } => return self.spool.take(slices),
            Contents::Errors { output, parts, .. } => (output, parts),
        };
        self.failures.remove(output, parts);
        let named = parts.iter().map(|part| part.to).max().unwrap_or_default();
        self.failed_to = self.failed_to.max(named);
    }

    /// The table that was found last.
    pub fn newest_schema(&self) -> Option<&TableSchema> {
        self.schema.and_then(|id| self.schemas.get(&id))
    }

    /// Tables whose rows have all left are history, but for the newest.
    fn forget_schemas(&mut self) {
        if self.schemas.len() > 1 {
            let sent = self.open.values().filter_map(|open| open.schema);
            let needed: HashSet<_> = sent.chain(self.spool.schemas.keys().copied()).chain(self.schema).collect();
            self.schemas.retain(|id, _| needed.contains(id));
        }
    }

    /// Versions that only delivered records were under are history.
    fn forget_versions(&mut self) {
        let low_water = self.low_water();
        let spooled = self.spool.versions.keys().copied();
        let needed = self.open.values().map(|open| open.shape).chain(spooled).min().unwrap_or(u64::MAX);
        while let [first, second, ..] = self.versions.as_slice()
            && second.from <= low_water
            && first.version < needed
        {
            self.versions.remove(0);
        }
    }
}

impl Progress {
    /// Whether nothing of `range` waits for an intent.
    fn has_decided(&self, range: OffsetRange) -> bool {
        range.to <= self.cut_to && self.holes.iter().all(|hole| hole.to <= range.from || range.to <= hole.from)
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
}

#[cfg(test)]
mod tests {
    use hydrant_model::{Intent, IntentId, ObjectKey, OffsetRange, Seed};

    use super::*;
    use crate::delivery::ledger::Note;

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
                cursor: Cursor::Main,
                contents: Contents::Records,
                failed: false,
                given_up: None,
                intent,
                shape: 1,
                schema: None,
                ends_at: Some(number * 7),
                notes: vec![Note::new(b"n"), Note::new(&[255])],
            }));
        }
        state.apply(&Entry::Version(VersionStart { version: 1, backup: true, from: Offset(0), bytes: 0 }));
        // Before and between the two lie holes, which are read back as well.
        assert_eq!(state.main.holes.len(), 2);
        let snapshot = Entry::Snapshot(Box::new(state));
        let bytes = serde_json::to_vec(&snapshot).expect("written");
        assert_eq!(serde_json::from_slice::<Entry>(&bytes).expect("read"), snapshot);
    }
}
