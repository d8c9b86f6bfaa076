//! Writes columnar files of every Hive type for other people's readers: `columnar DIRECTORY`.
//!
//! For each number of rows, `rows-N.ndjson` has the values (see [`json`]), and beside it lie Parquet and ORC files of those
//! rows, in every compression and version, whose names say what they are.

#![expect(clippy::indexing_slicing, reason = "rows and tables whose lengths are written here")]

mod arrays;
mod json;
mod samples;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use hydrant_transforms::formats::{ColumnWriter, orc, parquet};

use crate::samples::Value;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let directory = std::env::args_os().nth(1).map(PathBuf::from).ok_or("the directory to write to is missing")?;
    fs::create_dir_all(&directory)?;
    let schema = samples::schema();
    for count in [0, 1, 30_000] {
        let rows = samples::rows(1, count);
        write_values(&directory.join(format!("rows-{count}.ndjson")), &schema, &rows)?;
        let batches: Vec<_> = rows.chunks(1_500).map(|rows| arrays::batch(&schema, rows)).collect();
        for (name, options) in parquets() {
            let writer = parquet::open(&schema, &options, MEMORY_LIMIT)?;
            write_file(&directory.join(format!("{count}-{name}.parquet")), writer, &batches)?;
        }
        for (name, options) in orcs() {
            let writer = orc::open(&schema, &options, MEMORY_LIMIT)?;
            write_file(&directory.join(format!("{count}-{name}.orc")), writer, &batches)?;
        }
    }
    Ok(())
}

fn parquets() -> Vec<(String, parquet::Options)> {
    use parquet::{Compression, Options, TimestampUnit, WriterVersion};

    let mut all = Vec::new();
    for (name, compression) in
        [("none", Compression::Uncompressed), ("gzip", Compression::Gzip), ("snappy", Compression::Snappy)]
    {
        for (version, writer_version) in [("v1", WriterVersion::V1), ("v2", WriterVersion::V2)] {
            let options = Options { compression, writer_version, ..Options::default() };
            all.push((format!("{name}-{version}"), options));
        }
    }
    let nanos = Options { timestamps: TimestampUnit::Nanos, ..Options::default() };
    all.push(("nanos".to_owned(), nanos));
    for (name, enabled) in [("dictionaries", true), ("plain", false)] {
        all.push((name.to_owned(), Options { enable_dictionary_compression: Some(enabled), ..Options::default() }));
    }
    all
}

fn orcs() -> Vec<(String, orc::Options)> {
    use orc::{Compression, FormatVersion, Options};

    let mut all = Vec::new();
    for (name, compression) in
        [("none", Compression::None), ("zlib", Compression::Zlib), ("snappy", Compression::Snappy)]
    {
        for (version, format_version) in [("v11", FormatVersion::V0_11), ("v12", FormatVersion::V0_12)] {
            for (strings, dictionary_key_threshold) in [("direct", 0.0), ("keyed", 0.8), ("allkeyed", 1.0)] {
                let bloom_filter_columns = BLOOMED.iter().map(|name| (*name).to_owned()).collect();
                let options = Options {
                    compression,
                    format_version,
                    dictionary_key_threshold,
                    bloom_filter_columns,
                    row_index_stride: 1_000,
                    ..Options::default()
                };
                all.push((format!("{name}-{version}-{strings}"), options));
            }
        }
    }
    all
}

fn write_values(path: &Path, schema: &SchemaRef, rows: &[Vec<Value>]) -> Result<(), Failure> {
    let mut file = std::io::BufWriter::new(fs::File::create(path)?);
    for row in rows {
        serde_json::to_writer(&mut file, &json::json(schema.fields(), row))?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn write_file(path: &Path, mut writer: Box<dyn ColumnWriter>, batches: &[RecordBatch]) -> Result<(), Failure> {
    let mut out = Vec::new();
    for batch in batches {
        writer.write(batch, &mut out)?;
    }
    writer.finish(&mut out)?;
    Ok(fs::write(path, out)?)
}

/// Little, so that there are several row groups and stripes.
const MEMORY_LIMIT: usize = 5 * 1024 * 1024;

/// Columns with bloom filters: one of each type that can have one.
const BLOOMED: &[&str] = &[
    "id", "tiny", "small", "whole", "real", "exact", "price", "huge", "word", "letters", "title", "raw", "day",
    "moment",
];
