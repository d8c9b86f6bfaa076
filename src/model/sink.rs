//! The border between the service and the places it delivers to.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::constraint::{Faults, Path};
use crate::{Compression, Intent, ObjectDestination};

/// A place that parcels are delivered to.
///
/// An implementation prints itself (`Display`) as an operator would name it: `s3://bucket at http://127.0.0.1:9000`.
#[async_trait]
pub trait Sink: fmt::Display + Send + Sync {
    /// Tries to deliver `intent` once. Asks `body` for bytes as it can take them and never holds more than its part window.
    ///
    /// What must be known after a crash (an upload id) is given to `notes` before the step that it describes; notes of earlier
    /// attempts are in [`Notes::earlier`]. Bytes of two attempts are never mixed under one name.
    async fn deliver(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Outcome;

    /// Asks the destination whether `intent` arrived, after an outcome that nobody knows.
    async fn recover(&self, intent: &Intent, notes: &mut dyn Notes) -> Recovery;

    /// Asks whether the destination can be reached and takes these credentials, without writing to it.
    ///
    /// # Errors
    /// What it said, or that it said nothing.
    async fn probe(&self) -> Result<(), DeliveryError>;

    /// A note that the sink would otherwise add before its first request. The service writes it with the intent, in the sync
    /// that it pays anyway.
    fn announcement(&self) -> Option<Bytes>;

    /// The most bytes of a body of `most_bytes` that one delivery holds at a time: what the service books for it.
    fn memory_bytes(&self, most_bytes: u64) -> usize;
}

/// The bytes of a parcel, made while they are asked for.
#[async_trait]
pub trait Body: Send {
    /// The next piece: `at_least` bytes or a little more, fewer only at the end, `None` after it.
    ///
    /// # Errors
    /// The records could not be read or packed; the attempt is over and can be repeated.
    async fn next(&mut self, at_least: usize) -> Result<Option<Bytes>, BodyError>;

    /// The most bytes that the whole body can have, packed: what a part size is chosen by.
    fn most_bytes(&self) -> u64;

    /// How the body is packed.
    fn compression(&self) -> Compression;
}

/// A body that broke off.
#[derive(Debug, thiserror::Error)]
#[error("making the body: {0}")]
pub struct BodyError(pub String);

/// Bytes that a sink keeps with its intent in the ledger.
#[async_trait]
pub trait Notes: Send {
    /// What earlier attempts of this intent wrote, oldest first.
    fn earlier(&self) -> &[Bytes];

    /// Adds a note; returns when it is synced.
    ///
    /// # Errors
    /// The ledger cannot be written; the attempt must not go on.
    async fn add(&mut self, note: Bytes) -> Result<(), BodyError>;
}

/// How one attempt ended.
#[derive(Debug)]
pub enum Outcome {
    /// The destination has it.
    Delivered(Receipt),
    /// It does not have it, and the same attempt may succeed later. `after` is the destination's own wish.
    Retry {
        /// What it said.
        error: DeliveryError,
        /// When to come back, where it said so.
        after: Option<Duration>,
    },
    /// It does not have it and will not take *this* parcel.
    Refused(DeliveryError),
    /// It may have it: ask ([`Sink::recover`]) before the next attempt.
    Unknown(DeliveryError),
}

/// What the destination has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes as they lie there, packed.
    pub bytes: u64,
}

/// What a destination says of an intent whose outcome was unknown.
#[derive(Debug)]
pub enum Recovery {
    /// It has it, whole.
    Delivered(Receipt),
    /// It does not have it; anything half-sent was cleaned away or can never become visible.
    Absent,
    /// It could not be asked.
    Unknown(DeliveryError),
}

/// An error as users see it in status, metrics and logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct DeliveryError {
    /// A code of the destination's table, such as `S3.AccessDenied`.
    pub code: String,
    /// What the destination said.
    pub message: String,
}

impl DeliveryError {
    /// What is nobody's fault but the service's own: records that cannot be read, a body that broke off.
    pub fn internal(message: impl Into<String>) -> Self {
        Self { code: INTERNAL.to_owned(), message: message.into() }
    }

    /// Whether it is one of those: it says nothing about the destination.
    pub fn is_internal(&self) -> bool {
        self.code == INTERNAL
    }
}

const INTERNAL: &str = "InternalError";

/// What is wrong with a configuration whose members are valid one by one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Misfit {
    /// The member at fault, below the destination: `BufferingHints.SizeInMBs`.
    pub member: String,
    /// The rule, as the API words it.
    pub message: String,
}

impl Misfit {
    /// A fault of `member`.
    pub fn of(member: impl Into<String>, message: impl Into<String>) -> Self {
        Self { member: member.into(), message: message.into() }
    }
}

/// Which rules the API holds a configuration to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Rules {
    /// Sizes, intervals, ports, schemes and host patterns are wider than AWS's.
    #[default]
    Wide,
    /// AWS's rules to the letter (`--strict`).
    Strict,
}

/// What a destination kind is called in the API: create, update and describe members.
#[derive(Clone, Copy, Debug)]
pub struct ApiMembers {
    /// Member of `CreateDeliveryStream`, for example `ExtendedS3DestinationConfiguration`.
    pub create: &'static str,
    /// Member of `UpdateDestination`.
    pub update: &'static str,
    /// Member of an element of `Destinations` in the description.
    pub describe: &'static str,
}

/// Everything the service knows of a kind of destination. The tables of the API and of telemetry are derived from these.
pub struct SinkSpec {
    /// Short name: metric label `destination`, logs.
    pub name: &'static str,
    /// Members by which the API names it; the first is the one that new configurations use.
    pub members: &'static [ApiMembers],
    /// AWS's `CloudWatch` metric prefix, for example `DeliveryToS3`.
    pub metric_prefix: &'static str,
    /// Model constraints of a create or update member at the given place (its first segment is the member's name in the
    /// request): every fault, with its path.
    pub constrain: fn(&Value, &Path, Shape, Rules, &mut Faults),
    /// Fills in defaults and drops what the API ignores: the configuration as it is stored.
    pub normalize: fn(&Value) -> Value,
    /// Cross-field rules over a stored configuration: the first fault (`InvalidArgumentException`).
    pub check: fn(&Value, Rules) -> Result<(), Misfit>,
    /// A stored configuration (first) with an update laid over it, again in stored form.
    pub merge: fn(&Value, &Value) -> Value,
    /// Members of the description, by name.
    pub describe: fn(&Value) -> Map<String, Value>,
    /// The bucket of a stored configuration, every text parsed. Each kind has one: its target, its staging or its errors.
    pub objects: fn(&Value) -> Result<ObjectDestination, String>,
    /// Where a stored configuration has source records backed up, if it does.
    pub backup: fn(&Value) -> Result<Option<Backup>, String>,
    /// Members of a stored configuration that shape what is delivered, in a form where equal means the same (design: *shape*
    /// is bound to a position of the log). Everything else is *reach*, and always the current one.
    pub shape: fn(&Value) -> Value,
}

/// The backup of source records.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The bucket.
    pub objects: ObjectDestination,
    /// As [`SinkSpec::shape`].
    pub shape: Value,
}

/// Which shape of the API model a configuration claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The create member, required members and all.
    Create,
    /// The update member: everything optional.
    Update,
}
