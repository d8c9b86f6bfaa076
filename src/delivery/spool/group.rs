//! Grouping: processed records by the values of their partition keys, checked before anything is named after them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use hydrant_model::{
    Buffer, Cursor, KeySource, Offset, OffsetRange, PartitionKeys, PrefixContext, SchemaId, Seed, StreamNameParts,
    object_key,
};
use hydrant_transforms::records::{Arrived, ErrorOutput, Failure, Fates, Origin, Records, Span, WantedKey};
use sha2::{Digest, Sha256};

use super::PartitionId;
use super::slice::Head;
use crate::catalog::Plan;
use crate::delivery::stream::Stream;
use crate::log::Payload;

/// Records of one partition that are not in the spool yet. They lie where a processor put them, and are copied once: into a slice.
pub(super) struct Group {
    pub(super) partition: PartitionId,
    pub(super) keys: Vec<String>,
    records: Vec<Place>,
    pub(super) bytes: u64,
    pub(super) oldest_ms: u64,
    /// The lowest record that they were made of.
    pub(super) source: Offset,
}

/// Where a record lies: in which buffer, and there.
#[derive(Clone, Copy, Debug)]
struct Place {
    buffer: u32,
    span: Span,
}

/// Groups that are taken out to be written, and the buffers that their records lie in.
pub(super) struct Taken {
    pub(super) groups: Vec<Group>,
    pub(super) buffers: Buffers,
}

/// Buffers that records lie in.
#[derive(Default)]
pub(super) struct Buffers(Vec<Arc<Buffer>>);

/// Records by partition.
#[derive(Default)]
pub(super) struct Groups {
    /// The table that the records are rows of: those of two tables are never in one object.
    schema: Option<SchemaId>,
    list: Vec<Group>,
    buffers: Buffers,
    by_values: HashMap<Vec<u8>, usize>,
    /// Partitions whose name was checked, and what is wrong with it.
    checked: HashMap<Vec<u8>, Result<PartitionId, String>>,
    /// Partitions that the pass has given records, where there may only be so many.
    begun: HashSet<PartitionId>,
    bytes: usize,
}

impl Groups {
    /// No records yet, of rows of `schema`.
    pub(super) fn new(schema: Option<SchemaId>) -> Self {
        Self { schema, ..Self::default() }
    }

    /// Whether they are to be written: one alone gains nothing by waiting for more, and a large buffer costs the kernel more.
    pub(super) fn are_full(&self) -> bool {
        self.bytes >= if self.list.len() > 1 { WRITE_BYTES } else { ALONE_BYTES }
    }

    /// Takes the groups out.
    pub(super) fn take(&mut self) -> Taken {
        self.by_values.clear();
        self.bytes = 0;
        if self.checked.len() > MOST_CHECKED {
            self.checked.clear();
        }
        Taken { groups: std::mem::take(&mut self.list), buffers: std::mem::take(&mut self.buffers) }
    }

    /// Adds records. One that has no value for a key of the prefix, or one that cannot be part of an object's name, fails; so does
    /// one of a partition too many. What became of it stands with the pass: a crash before has decided nothing, and none does after.
    /// Tells how many were added, and their bytes.
    pub(super) fn add(
        &mut self,
        records: &Records,
        arrived: &Arrived,
        plan: &Plan,
        stream: &Stream,
        fates: &mut Fates,
    ) -> (u64, u64) {
        let mut added = (0, 0);
        if records.is_empty() {
            return added;
        }
        let wanted = records.wanted();
        let buffer = self.hold(records);
        let mut values = Vec::new();
        // Without keys, all are of one group.
        let mut together = None;
        for (at, (record, bytes)) in records.iter().enumerate() {
            let source = arrived.sources.get(usize::try_from(record.origin.source).unwrap_or(usize::MAX));
            let (offset, arrival_ms) = source.map_or((Offset(0), 0), |it| (it.identity.offset, it.arrival_ms));
            let found = together.map_or_else(
                || {
                    self.find(&mut values, records, at, plan, stream, arrival_ms)
                        .map_err(|misfit| misfit.of(record.origin))
                },
                Ok,
            );
            let index = match found {
                Ok(index) => index,
                Err(failure) => {
                    fates.failures.push(failure);
                    continue;
                }
            };
            together = wanted.is_empty().then_some(index);
            let Some(group) = self.list.get_mut(index) else { continue };
            group.records.push(Place { buffer, span: record.span });
            group.bytes += bytes.len() as u64;
            added = (added.0 + 1, added.1 + bytes.len() as u64);
            group.oldest_ms = group.oldest_ms.min(arrival_ms);
            group.source = group.source.min(offset);
            self.bytes += RECORD_BYTES;
        }
        added
    }

    /// Holds the buffer that `records` lie in until they are taken out, and says which it is.
    fn hold(&mut self, records: &Records) -> u32 {
        let buffers = &mut self.buffers.0;
        if !buffers.last().is_some_and(|last| Arc::ptr_eq(last, records.buffer())) {
            self.bytes += records.buffer().len();
            buffers.push(Arc::clone(records.buffer()));
        }
        u32::try_from(buffers.len() - 1).unwrap_or(u32::MAX)
    }

    /// Which group the record at `at` is of.
    fn find(
        &mut self,
        values: &mut Vec<u8>,
        records: &Records,
        at: usize,
        plan: &Plan,
        stream: &Stream,
        arrival_ms: u64,
    ) -> Result<usize, Misfit> {
        joined(records, at, records.wanted(), values).map_err(Misfit::Nameless)?;
        if let Some(index) = self.by_values.get(values.as_slice()) {
            return Ok(*index);
        }
        let keys: Vec<String> = records.keys(at).map(|key| key.unwrap_or_default().to_owned()).collect();
        let checked = self.checked.entry(values.clone()).or_insert_with(|| {
            check(plan, stream, records.wanted(), &keys, arrival_ms)?;
            Ok(partition(plan.version, self.schema, values))
        });
        let partition = *checked.as_ref().map_err(|reason| Misfit::Nameless(reason.clone()))?;
        if let Some(most) = plan.most_partitions.filter(|_| !records.wanted().is_empty()) {
            if !self.has_room(partition, stream, most) {
                return Err(Misfit::TooMany(most));
            }
            self.begun.insert(partition);
        }
        self.by_values.insert(values.clone(), self.list.len());
        self.bytes += GROUP_BYTES + values.len();
        let (oldest_ms, source) = (u64::MAX, Offset(u64::MAX));
        self.list.push(Group { partition, keys, records: Vec::new(), bytes: 0, oldest_ms, source });
        Ok(self.list.len() - 1)
    }

    /// Whether a partition is active already, or may become so: those are that wait to leave, or that this pass has begun.
    fn has_room(&self, partition: PartitionId, stream: &Stream, most: usize) -> bool {
        self.begun.contains(&partition)
            || stream.spool.with(|table| {
                let begun = self.begun.iter().filter(|begun| !table.has(**begun)).count();
                table.has(partition) || table.len() + begun < most
            })
    }
}

/// Why records are in no group.
enum Misfit {
    /// No object can be named after their values.
    Nameless(String),
    /// So many partitions are active.
    TooMany(usize),
}

impl Misfit {
    fn of(self, origin: Origin) -> Failure {
        match self {
            Self::Nameless(message) => unnamed(origin, message),
            Self::TooMany(most) => too_many(origin, most),
        }
    }
}

impl Group {
    /// How many records there are.
    pub(super) fn len(&self) -> u64 {
        self.records.len() as u64
    }
}

impl Taken {
    /// What is to be appended for each group: the records behind its head, which is a record itself. All lie in one buffer.
    pub(super) fn payloads(&self, heads: &[Head]) -> Vec<Payload> {
        let encoded: Vec<Vec<u8>> = heads.iter().map(Head::encode).collect();
        let records: u64 = self.groups.iter().map(|group| group.bytes).sum();
        let heads: usize = encoded.iter().map(Vec::len).sum();
        let mut all = Buffer::with_capacity(heads + usize::try_from(records).unwrap_or_default());
        let mut places = Vec::with_capacity(encoded.len());
        for (group, head) in self.groups.iter().zip(encoded) {
            let begin = all.len();
            let mut lengths = Vec::with_capacity(group.records.len() + 1);
            let mut add = |bytes: &[u8]| {
                lengths.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                all.extend_from_slice(bytes);
            };
            add(&head);
            group.records.iter().for_each(|place| add(self.buffers.get(*place)));
            places.push((lengths, begin..all.len()));
        }
        let all = Bytes::from_owner(all);
        places.into_iter().map(|(lengths, place)| Payload { lengths, body: all.slice(place) }).collect()
    }
}

impl Buffers {
    fn get(&self, place: Place) -> &[u8] {
        let buffer = usize::try_from(place.buffer).ok().and_then(|buffer| self.0.get(buffer));
        buffer.and_then(|buffer| buffer.get(place.span.range())).unwrap_or_default()
    }
}

/// Values of keys with their names, by where they come from: what prefixes are evaluated with.
pub(in crate::delivery) fn named(wanted: &[WantedKey], keys: &[String]) -> [Vec<(String, String)>; 2] {
    let of = |source| {
        let named = wanted.iter().zip(keys).filter(move |(key, _)| key.source == source);
        named.map(|(key, value)| (key.name.clone(), value.clone())).collect()
    };
    [of(KeySource::Query), of(KeySource::Lambda)]
}

/// The record's values one behind the other; no text holds the byte between them.
fn joined(records: &Records, at: usize, wanted: &[WantedKey], values: &mut Vec<u8>) -> Result<(), String> {
    values.clear();
    for (value, key) in records.keys(at).zip(wanted) {
        let Some(value) = value else {
            return Err(format!("partition key {:?} has no value", key.name));
        };
        values.extend_from_slice(value.as_bytes());
        values.push(0xFF);
    }
    Ok(())
}

fn partition(version: u64, schema: Option<SchemaId>, values: &[u8]) -> PartitionId {
    let shape =
        Sha256::new().chain_update(version.to_be_bytes()).chain_update(schema.map_or([0; 16], |schema| schema.0));
    let hash: [u8; 32] = shape.chain_update(values).finalize().into();
    let half = hash.first_chunk::<16>().copied().unwrap_or_default();
    PartitionId(u128::from_be_bytes(half))
}

/// Whether an object can be named after these values.
fn check(plan: &Plan, stream: &Stream, wanted: &[WantedKey], keys: &[String], arrival_ms: u64) -> Result<(), String> {
    if wanted.is_empty() {
        return Ok(());
    }
    let objects = &plan.objects;
    let [from_query, from_lambda] = named(wanted, keys);
    let context = PrefixContext {
        oldest_ms: arrival_ms,
        zone: &objects.time_zone,
        seed: Seed([0; 16]),
        error_output_type: None,
        partition_keys: PartitionKeys { from_query: &from_query, from_lambda: &from_lambda },
    };
    let name = StreamNameParts { stream: &stream.name, version: u64::MAX, extension: plan.extension(Cursor::Main) };
    let object = object_key(objects.bucket.as_str(), &objects.prefix, &context, &name);
    let object = object.map_err(|error| error.to_string())?;
    stream.destinations.takes(&object.key)
}

fn unnamed(origin: Origin, message: String) -> Failure {
    let code = "DynamicPartitioning.MetadataExtractionFailed".into();
    Failure { origin, output: ErrorOutput::Partitioning, code, message: message.into(), attempts: 1, raw: None }
}

fn too_many(origin: Origin, most: usize) -> Failure {
    let code = "DynamicPartitioning.ActivePartitionLimitExceeded".into();
    let message = format!("the limit of {most} active partitions is exceeded").into();
    Failure { origin, output: ErrorOutput::ActivePartitions, code, message, attempts: 1, raw: None }
}

/// The hull of what lies at these places.
pub(in crate::delivery) fn hull(places: impl Iterator<Item = OffsetRange>) -> OffsetRange {
    places.fold(OffsetRange { from: Offset(u64::MAX), to: Offset(0) }, |hull, place| OffsetRange {
        from: hull.from.min(place.from),
        to: hull.to.max(place.to),
    })
}

/// Groups are written when the buffers that their records lie in are this many bytes; one alone before.
const WRITE_BYTES: usize = 6 << 20;
const ALONE_BYTES: usize = 1 << 20;
/// What a record costs beside its bytes, and a group beside its records.
const RECORD_BYTES: usize = size_of::<Place>();
const GROUP_BYTES: usize = 256;
const MOST_CHECKED: usize = 100_000;
