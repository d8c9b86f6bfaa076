//! The places that hydrant delivers to.
//!
//! | Module | What |
//! |---|---|
//! | [`s3`] | objects in S3 and everything that speaks its protocol |
//! | [`mod@file`] | the same objects as files in a directory, where no S3 is configured |
//! | [`note`] | what both keep with an intent in the ledger, and which addresses an intent may have reached |
//!
//! A sink delivers intents ([`hydrant_model::Sink`]); a spec ([`hydrant_model::SinkSpec`]) tells the service how the API speaks of
//! its kind. Credentials come from the service. Nothing here sleeps, repeats, or starts tasks: when a delivery is tried again is
//! the service's decision. Every sink passes the suite in `tests/conformance`, which runs over a table of servers.

pub mod file;
pub mod note;
pub mod s3;

use hydrant_model::{BodyError, DeliveryError, Outcome, SinkSpec};

/// Every kind of destination that the API knows. The service derives its tables from these; the file sink stands in for S3 where no
/// endpoint is configured and has no words of its own in the API.
pub static SPECS: &[&SinkSpec] = &[&s3::SPEC];

/// The records could not be read or a note not be kept: nothing that the destination is to blame for.
fn broken_off(error: &BodyError) -> Outcome {
    Outcome::Retry { error: DeliveryError::internal(error.to_string()), after: None }
}
