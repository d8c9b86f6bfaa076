//! A definition as delivery acts on it.

use std::time::Duration;

use hydrant_model::{Cursor, ObjectDestination, Rules, SinkSpec};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::files::canonical;
use super::{Definition, Durability, GzipMembers, OnDelete, Processing, Rulebook};

/// Everything that delivery needs of one configuration version, parsed once.
#[derive(Clone)]
pub struct Plan {
    /// Configuration version; stands in the keys of objects.
    pub version: u64,
    /// The kind of destination.
    pub sink: &'static SinkSpec,
    /// The bucket, with hints as the stream's own settings override them.
    pub objects: ObjectDestination,
    /// Where source records are backed up, if they are.
    pub backup: Option<ObjectDestination>,
    /// What is done to records before they are packed.
    pub processing: Processing,
    /// Partitions that may wait at a time, where AWS's rules hold; records of further ones go to the error output.
    pub most_partitions: Option<usize>,
    /// How gzip objects are packed.
    pub gzip: Gzip,
    /// What a success answer means.
    pub durability: Durability,
    /// Most bytes of disk for the stream's logs; `None` is the service's default.
    pub disk_budget: Option<u64>,
    /// What becomes of waiting records when the stream is deleted.
    pub on_delete: OnDelete,
    /// How long a deleted stream tries to deliver them.
    pub drain_deadline: Duration,
    /// Whether retry durations are ignored, and nothing is given up.
    pub retry_forever: bool,
    /// How long the object of a partition is tried before it is given up, where that was chosen.
    pub retry: Option<Duration>,
    shape: [u8; 32],
    backup_shape: [u8; 32],
}

/// How gzip objects are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gzip {
    /// Level, 1 to 9; `None` is the measured default.
    pub level: Option<u8>,
    /// One stream or many members.
    pub members: GzipMembers,
}

impl Plan {
    /// Reads `definition`, which is in force as `version`.
    ///
    /// # Errors
    /// What does not parse. A definition that was accepted by this version of hydrant always does.
    pub fn new(definition: &Definition, version: u64, rulebook: &Rulebook) -> Result<Self, String> {
        let member = &definition.destination.member;
        let sink = rulebook.by_create_member(member).ok_or_else(|| format!("there is no destination {member}"))?;
        let settings = definition.settings()?;
        let mut objects = (sink.objects)(&definition.destination.configuration)?;
        if let Some(interval) = settings.buffer_interval {
            objects.hints.interval = interval;
        }
        if let Some(bytes) = settings.buffer_bytes {
            objects.hints.size_bytes = bytes;
        }
        // What was accepted stays, whatever the rules are now.
        let processing = Processing::read(&definition.destination.configuration, &objects, Rules::Wide)
            .map_err(|misfit| misfit.message)?;
        let backup = (sink.backup)(&definition.destination.configuration)?;
        let hash = |shape: &Value| {
            Sha256::new().chain_update(sink.name).chain_update([0]).chain_update(canonical(shape)).finalize().into()
        };
        Ok(Self {
            version,
            sink,
            objects,
            backup: backup.as_ref().map(|backup| backup.objects.clone()),
            processing,
            // A rule of delivering, not of what is accepted: it holds for every stream as soon as it is asked for.
            most_partitions: (rulebook.rules == Rules::Strict).then_some(ACTIVE_PARTITIONS),
            gzip: Gzip { level: settings.gzip_level, members: settings.gzip_members },
            durability: settings.durability,
            disk_budget: settings.disk_budget,
            on_delete: settings.on_delete,
            drain_deadline: settings.drain_deadline.unwrap_or(DRAIN_DEADLINE),
            retry_forever: settings.retry_forever,
            retry: partition_retry(&definition.destination.configuration),
            shape: hash(&(sink.shape)(&definition.destination.configuration)),
            backup_shape: backup.map_or([0; 32], |backup| hash(&backup.shape)),
        })
    }

    /// Where the objects of `cursor` go.
    pub fn objects(&self, cursor: Cursor) -> &ObjectDestination {
        match cursor {
            Cursor::Main | Cursor::Errors => &self.objects,
            // A backup cannot be switched off again; a plan from before it was switched on has none.
            Cursor::Backup => self.backup.as_ref().unwrap_or(&self.objects),
        }
    }

    /// What keys of the objects of `cursor` end in.
    pub fn extension(&self, cursor: Cursor) -> &str {
        let objects = self.objects(cursor);
        let conversion = self.processing.conversion.as_ref().filter(|_| cursor.is_main());
        let by_content =
            || conversion.map_or_else(|| objects.compression.extension(), |it| it.rules.format.extension());
        objects.file_extension.as_deref().unwrap_or_else(by_content)
    }

    /// A hash of what decides which bytes of `cursor` lie under which names: prefixes, compression, extension, time zone, format,
    /// processors. No batch spans two of these.
    pub fn shape_hash(&self, cursor: Cursor) -> [u8; 32] {
        match cursor {
            Cursor::Main | Cursor::Errors => self.shape,
            Cursor::Backup => self.backup_shape,
        }
    }

    /// Whether records that wait under this plan may leave under `other`.
    pub fn same_shape(&self, other: &Self) -> bool {
        self.shape == other.shape
    }
}

/// `RetryOptions` of dynamic partitioning, where they were given: AWS's default is five minutes, and an outage is longer.
fn partition_retry(configuration: &Value) -> Option<Duration> {
    let partitioning = configuration.get("DynamicPartitioningConfiguration")?;
    partitioning.get("Enabled")?.as_bool().filter(|enabled| *enabled)?;
    partitioning.pointer("/RetryOptions/DurationInSeconds")?.as_u64().map(Duration::from_secs)
}

/// AWS's quota, where nobody has asked for more:
/// <https://docs.aws.amazon.com/firehose/latest/dev/dynamic-partitioning.html>.
const ACTIVE_PARTITIONS: usize = 500;
/// A week: time to mend a destination that broke on a Friday, and an end for one that nobody misses.
const DRAIN_DEADLINE: Duration = Duration::from_hours(7 * 24);
