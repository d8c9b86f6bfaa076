//! Parquet, by the `parquet` crate, with Hive's schema shapes and bounded memory.
//!
//! | Hive type | Stored as |
//! |---|---|
//! | boolean | BOOLEAN |
//! | tinyint, smallint, int | INT32 with `INT_8`, `INT_16`, nothing |
//! | bigint | INT64 |
//! | float, double | FLOAT, DOUBLE |
//! | decimal(p,s) | `FIXED_LEN_BYTE_ARRAY` with `DECIMAL(p,s)`, as short as the precision allows |
//! | string, char(n), varchar(n) | `BYTE_ARRAY` with UTF8 |
//! | binary | `BYTE_ARRAY` |
//! | date | INT32 with DATE |
//! | timestamp | INT64 with TIMESTAMP, see [`TimestampUnit`] |
//! | `array<T>` | LIST group, `bag` / `array_element` |
//! | `map<K,V>` | MAP group, `map` / `key`, `value` |
//! | `struct<…>` | group |
//!
//! Every column is optional but the keys of maps, which the format wants required. Names and shapes of lists and maps are
//! those that Hive writes, which a table over files of both writers needs; all readers know them.
//!
//! **Memory.** A writer holds one row group, compressed but for the pages being filled, and closes it at `BlockSizeBytes`
//! (encoded) or when it reaches its memory limit, whichever is first; at default options it is always the limit. Statistics
//! are kept by column chunk; page indexes are not written: they cost a sixth of the speed.
//!
//! **Dictionaries.** Left to itself, a writer looks at the first rows (10,000 or what a part of its memory holds) and gives a
//! dictionary to the columns whose values repeat: ids, addresses and measurements would only fill one in vain, and doing
//! without is half as fast again. `EnableDictionaryCompression`, where it is set, decides for all columns.
//!
//! Source: <https://parquet.apache.org/docs/file-format/>,
//! <https://docs.aws.amazon.com/firehose/latest/APIReference/API_ParquetSerDe.html>

mod dictionary;
mod rows;
mod schema;
mod stored;
mod writer;

use arrow_schema::{Schema, SchemaRef};

pub use self::rows::rows;
use super::{ColumnWriter, FormatError, batches};

/// What AWS calls `ParquetSerDe`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `BlockSizeBytes`: encoded bytes at which a row group is closed, if the memory limit has not closed it before. At least
    /// 64 MiB.
    pub block_size_bytes: usize,
    /// `PageSizeBytes`: bytes at which a page is closed, before compression. At least 64 KiB.
    pub page_size_bytes: usize,
    /// `Compression`.
    pub compression: Compression,
    /// `EnableDictionaryCompression`: all columns or none; `None` decides by each column's first values.
    pub enable_dictionary_compression: Option<bool>,
    /// `MaxPaddingBytes`: accepted and without effect. It aligns row groups with the blocks of HDFS, and the objects here are
    /// not in HDFS; AWS's reference says the same of it.
    pub max_padding_bytes: usize,
    /// `WriterVersion`.
    pub writer_version: WriterVersion,
    /// Not an option of AWS.
    pub timestamps: TimestampUnit,
}

/// How pages are packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Uncompressed,
    /// GZIP: smallest, slowest.
    Gzip,
    /// Snappy.
    #[default]
    Snappy,
}

/// Which page format and encodings are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriterVersion {
    /// Plain and dictionary encodings, pages of version 1: what every reader knows.
    #[default]
    V1,
    /// Delta encodings, pages of version 2.
    V2,
}

/// How a timestamp is stored: an INT64 of this unit since 1970, of no time zone (`isAdjustedToUTC=false`), as Hive's type is.
///
/// AWS writes INT96, which is deprecated, has no order for statistics, and makes queries by time read everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampUnit {
    /// Microseconds; digits behind the sixth are cut off (towards the past). Default, because Spark refuses files with
    /// nanoseconds as a whole, and Hive, Redshift and older Presto read such columns wrong or not at all, while the digits are
    /// hardly ever there.
    #[default]
    Micros,
    /// Nanoseconds: exact, for `DuckDB`, Arrow, Trino and others that read them.
    Nanos,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            block_size_bytes: 256 * MIB,
            page_size_bytes: MIB,
            compression: Compression::default(),
            enable_dictionary_compression: None,
            max_padding_bytes: 0,
            writer_version: WriterVersion::default(),
            timestamps: TimestampUnit::default(),
        }
    }
}

impl Options {
    /// Holds the options to their ranges.
    ///
    /// # Errors
    /// [`FormatError::Option`].
    pub fn check(&self) -> Result<(), FormatError> {
        let at_least = |field, value: usize, least: usize, rule| {
            let value = (value < least).then(|| value.to_string());
            value.map_or(Ok(()), |value| Err(FormatError::Option { field, rule, value }))
        };
        at_least("BlockSizeBytes", self.block_size_bytes, 64 * MIB, "at least 67108864")?;
        at_least("PageSizeBytes", self.page_size_bytes, 64 * KIB, "at least 65536")
    }
}

/// Opens a file of `schema`, whose row groups are closed before the writer holds more than about `memory_limit` bytes;
/// [`most_memory`] is a good one, and below it row groups get smaller than readers like.
///
/// # Errors
/// [`FormatError::Option`]; [`FormatError::Schema`] for types that have no place in the table above and for structs without
/// fields.
pub fn open(schema: &SchemaRef, options: &Options, memory_limit: usize) -> Result<Box<dyn ColumnWriter>, FormatError> {
    options.check()?;
    Ok(Box::new(writer::Writer::new(schema, options, memory_limit)?))
}

/// What a writer should be allowed to hold: grows with the leaf columns of `schema`, each of which has a page and maybe a
/// dictionary at hand, and ends at 64 MiB until the leaf columns alone need more.
///
/// It is what a writer with this limit holds at most, as long as a single row is small beside it.
pub fn most_memory(options: &Options, schema: &Schema) -> usize {
    let leaves = batches::leaves(schema.fields());
    // A page under way and its like in the dictionary; larger pages are bounded by the limit, not by their option.
    let leaf = options.page_size_bytes.clamp(512 * KIB, MIB);
    let wanted = 16 * MIB + leaves.saturating_mul(leaf);
    wanted.min(64 * MIB).max(leaves.saturating_mul(LEAST_LEAF))
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a leaf column costs before it has any value: hash table of a dictionary, buffers.
const LEAST_LEAF: usize = 192 * KIB;

#[cfg(test)]
mod tests;
