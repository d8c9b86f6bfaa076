//! Processors: what AWS calls the steps of a `ProcessingConfiguration`, one [`Transform`] for each of its types.
//!
//! ```text
//! source → [KPL de-aggregation] → [Decompression → CloudWatchLogProcessing] → [RecordDeAggregation] → [Lambda]
//!        → [MetadataExtraction] → [AppendDelimiterToRecord] → buffer of the partition
//! ```
//!
//! This is the order in which they run, whatever order a configuration lists them in; a description shows the list as it was
//! given. AWS documents KPL → `RecordDeAggregation` → Lambda → partition keys; the places of the others follow from what they
//! need: an envelope can only be opened once it is unpacked, and a delimiter must not be seen by a query.
//!
//! | Type | File | Makes of a record |
//! |---|---|---|
//! | `Decompression` | [`decompression`] | its bytes unpacked |
//! | `CloudWatchLogProcessing` | [`cloudwatch`] | the messages of its log events |
//! | `RecordDeAggregation` | [`deaggregation`] | one record for each part |
//! | `Lambda` | here: parameters only | what a function answers; the service builds it |
//! | `MetadataExtraction` | [`extraction`], [`jq`] | itself, with partition keys |
//! | `AppendDelimiterToRecord` | [`delimiter`] | itself and a delimiter |
//!
//! [`PROCESSORS`] is the table of them and [`parse`] reads a configuration against it; [`kpl`] is ready for sources, whose
//! records it takes apart before all processors.
//!
//! A processor is pure and promises: each record goes exactly one way, in order; a failure shows the original bytes; no record
//! stops it, no bytes make it panic, and no record makes it run without end.

pub mod chain;
pub mod cloudwatch;
pub mod deaggregation;
pub mod decompression;
pub mod delimiter;
pub mod extraction;
pub mod jq;
pub mod json;
pub mod kpl;
mod spec;

pub use chain::{Chain, Facts, LambdaParameters, parse};
pub use spec::{Context, PROCESSORS, ParameterSpec, Parameters, ProcessorSpec, ProcessorType};

use crate::records::{Arrived, Fates, Records};

/// Builds a processor of its parameters for a stream.
pub type Build = fn(&Parameters, &Context) -> Result<Box<dyn Transform>, String>;

/// One processor of a stream, at work on the caller's thread.
pub trait Transform: Send {
    /// Takes `records` on. Each goes exactly one way: into the result, into `fates` as a failure, or it is counted there as
    /// dropped. Those in the result keep their order. `arrived` is what the records came from.
    ///
    /// The first processor of a stream may leave records ([`Fates::left`]), of which it would make too much at once.
    fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records;
}
