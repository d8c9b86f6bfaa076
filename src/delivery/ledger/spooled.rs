//! What the ledger knows of the spool: which slices count, and which an intent has taken.

use std::collections::BTreeMap;

use hydrant_model::{Offset, OffsetRange, SchemaId, SetId};
use roaring::RoaringTreemap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::log::Mark;

/// One slice that an intent carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, u64, u64)", from = "(u64, u64, u64)")]
pub struct SliceAt {
    /// Offset of its head in the spool.
    pub head: Offset,
    /// Records behind the head.
    pub records: u64,
    /// Where the frame of the head begins in its segment's file.
    pub position: u64,
}

impl SliceAt {
    /// Its first frame.
    pub fn mark(self) -> Mark {
        Mark { offset: self.head, position: self.position }
    }
}

impl From<SliceAt> for (u64, u64, u64) {
    fn from(slice: SliceAt) -> Self {
        (slice.head.0, slice.records, slice.position)
    }
}

impl From<(u64, u64, u64)> for SliceAt {
    fn from((head, records, position): (u64, u64, u64)) -> Self {
        Self { head: Offset(head), records, position }
    }
}

/// A stretch of the records' log that was processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processed {
    /// Who processed it: everything that this one has written to the spool in `spool` counts.
    pub run: SetId,
    /// The records, from the first one that the run has processed on.
    pub range: OffsetRange,
    /// Body bytes of the records' log before the end of the range, where that is known.
    pub ends_at: Option<u64>,
    /// Where the run's slices lie, from the first one on.
    pub spool: OffsetRange,
    /// The configuration version of the stretch.
    pub version: u64,
    /// The table that its records are rows of, where it is not inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaId>,
}

/// Slices that were written once more, behind all others, so that the disk space where they lay can be given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewritten {
    /// Who wrote them: everything that this one has written to the spool in `spool` counts, but for `slices`.
    pub run: SetId,
    /// Where they lie now.
    pub spool: OffsetRange,
    /// Heads of slices that count no more: those that were written once more, and those of `run` whose records left meanwhile.
    pub slices: Vec<Offset>,
    /// Configuration versions that they are of.
    pub versions: Vec<u64>,
    /// Tables that their records are rows of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<SchemaId>,
}

/// What the entries of a ledger say of the spool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spooled {
    /// What each run has written that counts.
    pub runs: BTreeMap<SetId, OffsetRange>,
    /// Heads of slices that an intent has taken.
    #[serde(with = "bits")]
    pub taken: RoaringTreemap,
    /// Until which offset slices of a version may lie; written as a list.
    #[serde(with = "pairs")]
    pub versions: BTreeMap<u64, Offset>,
    /// Until which offset slices of a table's rows may lie.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schemas: BTreeMap<SchemaId, Offset>,
    /// Everything below is gone.
    pub below: Offset,
}

impl Eq for Spooled {}

impl Spooled {
    /// Whether nothing was ever processed.
    pub fn is_unused(&self) -> bool {
        *self == Self::default()
    }

    /// Everything that counts lies below.
    pub fn end(&self) -> Offset {
        self.runs.values().map(|range| range.to).max().unwrap_or_default().max(self.below)
    }

    /// Whether a slice of `run` whose head lies at `head` counts and waits for an intent.
    pub fn waits(&self, run: SetId, head: Offset) -> bool {
        let counts = self.runs.get(&run).is_some_and(|range| range.from <= head && head < range.to);
        counts && head >= self.below && !self.taken.contains(head.0)
    }

    pub(super) fn process(&mut self, processed: &Processed) {
        if processed.spool.is_empty() {
            return;
        }
        self.count(processed.run, processed.spool, &[processed.version], processed.schema.as_slice());
    }

    /// The same at once: slices count no more where they lay, and count where they lie now.
    pub(super) fn rewrite(&mut self, rewritten: &Rewritten) {
        let Rewritten { run, spool, slices, versions, schemas } = rewritten;
        self.taken.extend(slices.iter().map(|head| head.0));
        self.count(*run, *spool, versions, schemas);
    }

    fn count(&mut self, run: SetId, spool: OffsetRange, versions: &[u64], schemas: &[SchemaId]) {
        let range = self.runs.entry(run).or_insert(spool);
        range.from = range.from.min(spool.from);
        range.to = range.to.max(spool.to);
        for version in versions {
            let until = self.versions.entry(*version).or_default();
            *until = (*until).max(spool.to);
        }
        for schema in schemas {
            let until = self.schemas.entry(*schema).or_default();
            *until = (*until).max(spool.to);
        }
    }

    pub(super) fn take(&mut self, slices: &[SliceAt]) {
        self.taken.extend(slices.iter().map(|slice| slice.head.0));
    }

    pub(super) fn trim(&mut self, below: Offset) {
        self.below = self.below.max(below);
        self.taken.remove_range(..below.0);
        self.runs.retain(|_, range| range.to > below);
        self.versions.retain(|_, until| *until > below);
        self.schemas.retain(|_, until| *until > below);
    }
}

/// A list, because keys of JSON objects are text.
mod pairs {
    use super::{BTreeMap, Deserialize, Deserializer, Offset, Serializer};

    pub(super) fn serialize<S: Serializer>(map: &BTreeMap<u64, Offset>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u64, Offset>, D::Error> {
        Ok(Vec::<(u64, Offset)>::deserialize(deserializer)?.into_iter().collect())
    }
}

/// Bits as text: base64 of roaring's portable form.
mod bits {
    use super::{Deserialize, Deserializer, RoaringTreemap, Serializer};

    pub(super) fn serialize<S: Serializer>(bits: &RoaringTreemap, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(bits.serialized_size());
        bits.serialize_into(&mut bytes).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&base64_simd::STANDARD.encode_to_string(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RoaringTreemap, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = base64_simd::STANDARD.decode_to_vec(text).map_err(serde::de::Error::custom)?;
        RoaringTreemap::deserialize_from(bytes.as_slice()).map_err(serde::de::Error::custom)
    }
}
