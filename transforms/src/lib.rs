//! What hydrant does to records between the log and the destination.
//!
//! | Table | What is in it | Held to by |
//! |---|---|---|
//! | [`CODECS`] | every way to pack an object ([`compression`]) | `tests/conformance.rs` |
//! | [`PROCESSORS`](processors::PROCESSORS) | every type of a `ProcessingConfiguration` ([`processors`]) | `tests/conformance.rs` |
//! | [`formats`] | columns, and the columnar files that are made of them | `formats/conversion/converter/tests.rs`, which runs over both, and `tests/peers/test_columnar.py` |
//!
//! [`records`] has the words that processors share; [`verdicts`] what a function of the user's says of them, and [`wasm`] runs
//! such a function.
//!
//! A new codec is a file in `compression/`, a line in [`CODECS`] and an arm in [`codec`]; the conformance suite finds it
//! there.
//!
//! The room promises: no I/O (but for the compiled code of modules, see [`wasm::Engine`]), no clock, no chance. What comes out is
//! a function of the bytes that go in and of the options, so that a second attempt at a delivery may pack the same records again.
//! Everything here runs on the caller's thread, but for the parser of queries, which needs a deeper stack when a stream is
//! configured.

pub mod compression;
pub mod formats;
pub mod lambda;
pub mod processors;
pub mod records;
pub mod verdicts;
pub mod wasm;

use hydrant_model::Compression;

use crate::compression::{Codec, gzip, hadoop, snappy, uncompressed, zip};

/// Every codec, one for each [`Compression`].
pub const CODECS: &[Codec] = &[uncompressed::CODEC, gzip::CODEC, zip::CODEC, snappy::CODEC, hadoop::CODEC];

/// The codec that packs as `compression` says.
pub fn codec(compression: Compression) -> &'static Codec {
    match compression {
        Compression::Uncompressed => &uncompressed::CODEC,
        Compression::Gzip => &gzip::CODEC,
        Compression::Zip => &zip::CODEC,
        Compression::Snappy => &snappy::CODEC,
        Compression::HadoopSnappy => &hadoop::CODEC,
    }
}
