//! ORC, by an encoder of our own: no crate writes nested types, decimals, indexes or statistics.
//!
//! | Part of the file | What |
//! |---|---|
//! | header | `ORC` |
//! | stripes | rows, each stripe by itself: index, streams, footer |
//! | metadata | statistics of each stripe |
//! | footer | stripes, types, statistics of the file |
//! | postscript | lengths, compression, versions; and its own length in the last byte |
//!
//! All but header and postscript are compressed, in chunks of 256 KiB.
//!
//! | Hive type | Type | Streams of values |
//! |---|---|---|
//! | boolean | BOOLEAN | bits |
//! | tinyint | BYTE | bytes |
//! | smallint, int, bigint | SHORT, INT, LONG | integers |
//! | float, double | FLOAT, DOUBLE | little-endian |
//! | string, char(n), varchar(n) | STRING, CHAR, VARCHAR | bytes and lengths, or numbers and a dictionary |
//! | binary | BINARY | bytes and lengths |
//! | decimal(p,s) | DECIMAL | varints and scales |
//! | date | DATE | integers: days since 1970 |
//! | timestamp | TIMESTAMP | integers: seconds since 2015 in UTC, and nanoseconds |
//! | `array<T>` | LIST | lengths |
//! | `map<K,V>` | MAP | lengths |
//! | `struct<…>` | STRUCT | none |
//!
//! **Memory.** A writer holds one stripe, packed but for the last chunk of each stream, and closes it at `StripeSizeBytes` or
//! when it reaches its memory limit, whichever is first.
//!
//! **Limits of the format.** A timestamp in the last second before 1970 but not in the first millisecond of it has no form that
//! readers agree on; such a value is moved to the nearest that has, by half a second at most.
//!
//! Source: <https://orc.apache.org/specification/ORCv1/>,
//! <https://docs.aws.amazon.com/firehose/latest/APIReference/API_OrcSerDe.html>

mod bloom;
mod column;
#[cfg(test)]
mod decoding;
mod integers;
mod leaves;
mod proto;
mod runs;
mod statistics;
mod stream;
mod stripe;
mod types;
mod writer;

use arrow_schema::{Schema, SchemaRef};

use super::{ColumnWriter, FormatError, batches};

/// What AWS calls `OrcSerDe`.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// `StripeSizeBytes`: bytes at which a stripe is closed, if the memory limit has not closed it before. At least 8 MiB.
    pub stripe_size_bytes: usize,
    /// `BlockSizeBytes`: accepted and without effect, as nothing is aligned to it. At least 64 MiB.
    pub block_size_bytes: usize,
    /// `RowIndexStride`: rows between two entries of the index. At least 1,000.
    pub row_index_stride: usize,
    /// `EnablePadding`: must be false. It keeps stripes from crossing the blocks of HDFS, and the objects here are not in HDFS.
    pub enable_padding: bool,
    /// `PaddingTolerance`: 0 to 1, without effect without padding.
    pub padding_tolerance: f64,
    /// `Compression`.
    pub compression: Compression,
    /// `BloomFilterColumns`: names of columns that get a bloom filter for each row group, upper and lower case alike.
    pub bloom_filter_columns: Vec<String>,
    /// `BloomFilterFalsePositiveProbability`: above 0, below 1.
    pub bloom_filter_false_positive_probability: f64,
    /// `DictionaryKeyThreshold`: 0 to 1; a string column gets a dictionary where different values are at most this part of the
    /// values, in the first row group of a stripe. 0 is none, 1 is always. Compressed, a dictionary saves little, and a writer
    /// without is much faster.
    pub dictionary_key_threshold: f64,
    /// `FormatVersion`.
    pub format_version: FormatVersion,
}

/// How streams are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Deflate: smallest, slowest.
    Zlib,
    /// Snappy.
    #[default]
    Snappy,
}

/// Which encodings are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatVersion {
    /// That of Hive 0.11: integers in run-length encoding version 1.
    V0_11,
    /// That of Hive 0.12 and everything since.
    #[default]
    V0_12,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stripe_size_bytes: 64 * MIB,
            block_size_bytes: 256 * MIB,
            row_index_stride: 10_000,
            enable_padding: false,
            padding_tolerance: 0.05,
            compression: Compression::default(),
            bloom_filter_columns: Vec::new(),
            bloom_filter_false_positive_probability: 0.05,
            dictionary_key_threshold: 0.0,
            format_version: FormatVersion::default(),
        }
    }
}

impl Options {
    /// Holds the options to their ranges; whether there are columns of the names for bloom filters, [`open`] sees.
    ///
    /// # Errors
    /// [`FormatError::Option`].
    pub fn check(&self) -> Result<(), FormatError> {
        let hold = |held: bool, field, rule, value: &dyn ToString| {
            if held { Ok(()) } else { Err(FormatError::Option { field, rule, value: value.to_string() }) }
        };
        let stride = self.row_index_stride;
        let false_positives = self.bloom_filter_false_positive_probability;
        let part = |value: f64| (0.0..=1.0).contains(&value);
        hold(self.stripe_size_bytes >= 8 * MIB, "StripeSizeBytes", "at least 8388608", &self.stripe_size_bytes)?;
        hold(self.block_size_bytes >= 64 * MIB, "BlockSizeBytes", "at least 67108864", &self.block_size_bytes)?;
        hold(stride >= 1_000 && u32::try_from(stride).is_ok(), "RowIndexStride", "1000 to 4294967295", &stride)?;
        let unpadded = "false: padding aligns stripes with blocks of HDFS, and objects are not in HDFS";
        hold(!self.enable_padding, "EnablePadding", unpadded, &self.enable_padding)?;
        hold(part(self.padding_tolerance), "PaddingTolerance", "0 to 1", &self.padding_tolerance)?;
        let field = "BloomFilterFalsePositiveProbability";
        hold(false_positives > 0.0 && false_positives < 1.0, field, "above 0 and below 1", &false_positives)?;
        hold(part(self.dictionary_key_threshold), "DictionaryKeyThreshold", "0 to 1", &self.dictionary_key_threshold)
    }
}

/// Opens a file of `schema`, whose stripes are closed before the writer holds more than about `memory_limit` bytes;
/// [`most_memory`] is a good one, and below it stripes get smaller than readers like.
///
/// # Errors
/// [`FormatError::Option`]; [`FormatError::Schema`] for types that have no place in the table above and for structs without
/// fields.
pub fn open(schema: &SchemaRef, options: &Options, memory_limit: usize) -> Result<Box<dyn ColumnWriter>, FormatError> {
    options.check()?;
    Ok(Box::new(writer::Writer::new(schema, options, memory_limit)?))
}

/// What a writer should be allowed to hold: grows with the leaf columns of `schema`, each of which has two or three chunks
/// under way, and ends at 64 MiB until the leaf columns alone need more.
///
/// It is what a writer with this limit holds at most, as long as a single row is small beside it.
pub fn most_memory(options: &Options, schema: &Schema) -> usize {
    let leaves = batches::leaves(schema.fields());
    let wanted = (16 * MIB).min(options.stripe_size_bytes) + leaves.saturating_mul(MIB);
    wanted.min(64 * MIB).max(leaves.saturating_mul(LEAST_LEAF))
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a leaf column costs while it has few values.
const LEAST_LEAF: usize = 64 * KIB;

#[cfg(test)]
mod tests;
