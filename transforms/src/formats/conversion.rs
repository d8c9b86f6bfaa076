//! Record format conversion as one thing: from a `DataFormatConversionConfiguration` to the files that it asks for.
//!
//! ```text
//! configuration ── parse ──► Conversion ─┐
//!                                        ├─► Converter: push ─► columns ─► batch ─► drain, finish ─► the bytes of a file
//! schema, as the service found it ───────┘         └──► RecordError ─► failure ─► the error output
//! ```
//!
//! | File | What is in it |
//! |---|---|
//! | here | what a configuration asks for |
//! | [`configuration`](parse) | reading it, by AWS's rules and in its words |
//! | [`converter`](Converter) | records in, a file out |
//! | [`screen`](Screen) | which records a file would take, and what table they are of |
//!
//! Where the schema comes from is only named here ([`SchemaSource`]): asking Glue, reading a table's file and inferring from
//! records are the service's.

mod configuration;
mod converter;
mod rows;
mod screen;

use hydrant_model::{Compression, Hints, Misfit};
use serde_json::{Value, json};

pub use configuration::{is_enabled, parse};
pub use converter::{Converter, failure, most_memory};
pub use screen::{Screen, infer, schema_id};

use super::{json as records, orc, parquet};

/// A `DataFormatConversionConfiguration` that is enabled.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// Which table the rows are of.
    pub schema: SchemaSource,
    /// Whose rules records are read by.
    pub deserializer: records::Deserializer,
    /// What is written.
    pub format: Format,
}

/// A columnar file with its options.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// `ParquetSerDe`
    Parquet(parquet::Options),
    /// `OrcSerDe`
    Orc(orc::Options),
}

/// Where a stream's table comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaSource {
    /// From the records: there is no `SchemaConfiguration`. Not under `--strict`.
    Inferred,
    /// `SchemaConfiguration`
    Table {
        /// `CatalogId`; where it is not given, the stream's account.
        catalog_id: Option<String>,
        /// `DatabaseName`
        database: String,
        /// `TableName`
        table: String,
        /// `Region`; where it is not given, the stream's.
        region: Option<String>,
        /// `VersionId`; `None` is `LATEST`, also where it is not given.
        version: Option<u64>,
        /// `RoleARN`
        role: String,
    },
}

impl Format {
    /// What an object's key ends in when the destination names no `FileExtension`.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet(_) => ".parquet",
            Self::Orc(_) => ".orc",
        }
    }
}

impl SchemaSource {
    /// The member `dataCatalogTable` of error entries, for a stream of this account and region; null where there is no table.
    ///
    /// Source: <https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-error-handling.html>
    pub fn table_facts(&self, account: &str, region: &str) -> Value {
        let Self::Table { catalog_id, database, table, region: other_region, version, role } = self else {
            return Value::Null;
        };
        json!({
            "catalogId": catalog_id.as_deref().unwrap_or(account),
            "databaseName": database,
            "tableName": table,
            "region": other_region.as_deref().unwrap_or(region),
            "versionId": version.map_or_else(|| LATEST.to_owned(), |version| version.to_string()),
            "roleArn": role,
        })
    }

    /// Refuses a role of another account than the stream's.
    ///
    /// # Errors
    /// AWS's message, with `RoleARN`.
    pub fn check_role(&self, account: &str) -> Result<(), Misfit> {
        match self {
            Self::Table { role, .. } if role.split(':').nth(4) != Some(account) => Err(Misfit::of(
                "DataFormatConversionConfiguration.SchemaConfiguration.RoleARN",
                "Cross-account pass role is not allowed.",
            )),
            Self::Table { .. } | Self::Inferred => Ok(()),
        }
    }
}

/// Holds the other members of a destination to what an enabled conversion asks of them. AWS does so before it looks at the
/// conversion's own members.
///
/// Buffers may be small but for `strict`: whoever wants small files early is free to have them.
///
/// # Errors
/// The first rule that is broken, by AWS's message. The message about sizes is in no document but quoted in
/// <https://github.com/hashicorp/terraform-provider-aws> (tests of `aws_kinesis_firehose_delivery_stream`).
pub fn check_destination(compression: Compression, hints: Hints, strict: bool) -> Result<(), Misfit> {
    if compression != Compression::Uncompressed {
        return Err(Misfit::of("CompressionFormat", COMPRESSED));
    }
    if strict && hints.size_bytes < LEAST_BUFFER_BYTES {
        return Err(Misfit::of("BufferingHints.SizeInMBs", SMALL_BUFFER));
    }
    Ok(())
}

/// `VersionId` of whatever version is the newest.
const LATEST: &str = "LATEST";

const LEAST_BUFFER_BYTES: u64 = 64 * 1024 * 1024;
const SMALL_BUFFER: &str = "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.";
const COMPRESSED: &str =
    "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is enabled";

#[cfg(test)]
mod tests;
