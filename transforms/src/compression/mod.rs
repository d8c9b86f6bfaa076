//! Packing: a stream of record bytes becomes the bytes of an object.
//!
//! An [`Encoder`] is opened for one object, fed slices of any size (64 KiB to 1 MiB is where it is fast) and finished once.
//! It appends what is ready to the caller's buffer and never looks at single records. The packed bytes depend on the input
//! and the [`Options`] only: not on how the input was cut into slices, not on the capacity of the caller's buffer, not on
//! clock or chance. An object of no records is a valid, empty container, and an object may pass 4 GiB in every container.

pub(crate) mod blocks;
pub(crate) mod deflate;
pub mod gzip;
pub mod hadoop;
pub mod snappy;
pub mod uncompressed;
pub mod zip;

use hydrant_model::Compression;

pub use gzip::{DEFAULT_GZIP_LEVEL, GzipMembers};

/// Packs one object.
///
/// An encoder that is dropped before [`finish`](Self::finish) leaves a truncated object behind, which no reader takes for a
/// whole one (but for the uncompressed codec, which has no container, and the two snappy ones, which have no end mark).
pub trait Encoder: Send {
    /// Packs `input` after what was written before, and appends to `out` the packed bytes that are ready; some may be kept
    /// back. Grows `out` as needed and changes nothing that is already in it.
    ///
    /// # Errors
    /// [`Error::Engine`]; the object cannot be finished then.
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;

    /// Appends what was kept back and the container's end. Takes the encoder, so that nothing can be written afterwards.
    ///
    /// # Errors
    /// [`Error::Engine`].
    fn finish(self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error>;
}

/// What a stream's settings and an intent say about packing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// 1 (fastest) to 9 (smallest); GZIP only.
    pub gzip_level: u32,
    /// How a GZIP object is divided.
    pub gzip_members: GzipMembers,
    /// Name of the one entry of a ZIP archive: 1 to 255 ASCII letters, digits, `-`, `_` and `.`, no dot first. Hydrant gives
    /// it a UUID.
    pub entry_name: String,
    /// Milliseconds since the Unix epoch: the time that GZIP and ZIP carry. It comes from the records, never from the clock.
    pub time_ms: u64,
}

impl Options {
    /// The default level and one member, with what has no default.
    pub fn new(entry_name: impl Into<String>, time_ms: u64) -> Self {
        Self {
            gzip_level: DEFAULT_GZIP_LEVEL,
            gzip_members: GzipMembers::default(),
            entry_name: entry_name.into(),
            time_ms,
        }
    }
}

/// One line of the table of codecs.
#[derive(Clone, Copy, Debug)]
pub struct Codec {
    /// What the API calls it.
    pub compression: Compression,
    /// The most bytes that an encoder with these options holds at any time, the caller's `out` not counted.
    pub memory_bytes: fn(&Options) -> usize,
    /// The most bytes that an input of so many bytes has when packed, whatever the options and however the data resists.
    pub most_bytes: fn(u64) -> u64,
    /// Opens an encoder for one object. Fails with [`Error::Option`] only, and only on options that the codec reads.
    pub open: fn(&Options) -> Result<Box<dyn Encoder>, Error>,
}

/// Why an object cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is outside its range; the same options fail again.
    #[error("{field} must be {rule}, not {value:?}")]
    Option {
        /// The field of [`Options`].
        field: &'static str,
        /// What it must be.
        rule: &'static str,
        /// What it is.
        value: String,
    },
    /// The engine refused data that it must take: a fault of the engine or of memory, not of the records.
    #[error("compressing with {engine}")]
    Engine {
        /// Which engine.
        engine: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// An [`Error::Engine`] of `engine`.
    pub(crate) fn engine(engine: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine { engine, source: source.into() }
    }
}

/// `input` packed in one go.
#[cfg(test)]
fn packed(codec: &Codec, options: &Options, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = (codec.open)(options).unwrap();
    encoder.write(input, &mut out).unwrap();
    encoder.finish(&mut out).unwrap();
    out
}
