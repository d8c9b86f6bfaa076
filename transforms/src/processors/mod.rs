//! Processors: what AWS calls the steps of a `ProcessingConfiguration`.

use crate::records::{Arrived, Fates, Records};

/// One processor of a stream, at work on the caller's thread.
pub trait Transform: Send {
    /// Takes `records` on. Each goes exactly one way: into the result, into `fates` as a failure, or it is counted there as
    /// dropped. Those in the result keep their order. `arrived` is what the records came from.
    fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records;
}
