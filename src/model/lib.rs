//! The words that the service and its two plug-in rooms share.
//!
//! | Word | Meaning |
//! |---|---|
//! | delivery stream | what producers put records to; one destination, one log of records |
//! | record | the bytes of one put, as sent |
//! | [`Offset`] | position of a record in its stream's log: strictly increasing, dense within a segment |
//! | [`OffsetRange`] | half-open range of offsets; a *batch* is one, cut by size, time, flush or drain |
//! | [`Birth`] | 128 random bits of one segment of a log, drawn when the segment is taken into use |
//! | [`RecordIdentity`] | (birth, offset, sub-index): unique for ever |
//! | [`Intent`] | the ledger's promise, synced before the first byte leaves: these records, under this name |
//! | [`Body`] | the bytes of a parcel, made while they are asked for |
//! | [`Buffer`] | room for bytes that is used again |
//! | *parcel* | what one delivery call carries: an intent and its body |
//! | *attempt* | one try at an intent |
//! | [`Cursor`] | one reader of a stream's logs, with a low-water mark of its own |
//! | *low-water mark* | every record below it has been delivered |
//! | [`Sink`] | a place that parcels are delivered to |
//! | [`SinkSpec`] | everything the service knows of a kind of sink: its API members, rules, metric names |
//! | [`ObjectDestination`] | a bucket with prefixes, compression and hints: an S3 destination, a backup, an error output |
//!
//! Nothing here does I/O, reads a clock or rolls dice.

mod buffer;
pub mod constraint;
mod cursor;
mod destination;
mod expression;
mod identity;
mod intent;
mod key;
mod object_name;
mod sink;
mod time_pattern;

pub use buffer::Buffer;
pub use cursor::Cursor;
pub use destination::{Compression, Hints, ObjectDestination, Retention};
pub use expression::{
    Expression, ExpressionError, KeySource, Namespaces, PartitionKeys, PrefixContext, Prefixes, literal_prefixes,
    prefixes,
};
pub use identity::{Birth, Offset, OffsetRange, RecordIdentity, SchemaId, Seed, SetId, StreamId};
pub use intent::{Intent, IntentId};
pub use key::{ENTRY_NAME, FIRST_RANDOM_STRING, KeyError, OBJECT_UUID, ObjectKey};
pub use object_name::{ObjectNameError, StreamNameParts, object_key};
pub use sink::{
    ApiMembers, Backup, Body, BodyError, DeliveryError, Misfit, Notes, Outcome, Receipt, Recovery, Rules, Shape, Sink,
    SinkSpec,
};
pub use time_pattern::{TimePattern, TimePatternError, TimeZone, TimeZoneError};
