//! What records become in an object: their bytes one behind the other, packed, or the rows of a columnar file.

use std::sync::Arc;

use hydrant_model::BodyError;
use hydrant_transforms::formats::FormatError;
use hydrant_transforms::formats::conversion::{Conversion, Converter, failure, most_memory};
use hydrant_transforms::formats::schema::TableSchema;
use hydrant_transforms::records::{Fates, Records};

use super::body::{Packer, failed};
use super::stages::Counting;
use super::stream::Stream;

/// What records become.
pub(super) enum Form {
    /// Their bytes.
    Packed {
        /// Packs them.
        packer: Packer,
        /// Whether there were any.
        any: bool,
    },
    /// Rows.
    Rows(Box<Rows>),
    /// Nothing: they leave another way.
    Nothing,
}

/// Rows of one file.
pub(super) struct Rows {
    stream: Arc<Stream>,
    converter: Converter,
}

/// How a file of rows is made.
pub(super) struct RowsPlan {
    conversion: Conversion,
    schema: Option<Arc<TableSchema>>,
}

impl RowsPlan {
    /// A file of `schema`, where there is one: else no record fits.
    pub(super) fn new(conversion: &Conversion, schema: Option<Arc<TableSchema>>) -> Self {
        Self { conversion: conversion.clone(), schema }
    }

    /// The most that making it holds: a row group, or stripe, of one column is there twice when it is full.
    pub(super) fn memory_bytes(&self) -> usize {
        self.writer_bytes() * 2
    }

    /// By the number of columns, as long as others have a share.
    fn writer_bytes(&self) -> usize {
        most_memory(&self.conversion, self.schema.as_deref()).min(MOST_WRITER_BYTES)
    }

    /// Opens the file.
    pub(super) fn open(&self, stream: &Arc<Stream>) -> Result<Form, FormatError> {
        let converter = Converter::new(&self.conversion, self.schema.as_deref(), self.writer_bytes())?;
        Ok(Form::Rows(Box::new(Rows { stream: Arc::clone(stream), converter })))
    }
}

impl Form {
    /// Packed by `packer`.
    pub(super) fn packed(packer: Packer) -> Self {
        Self::Packed { packer, any: false }
    }

    /// Appends what is made and held back, as far as that is more than nothing: a little, so that it is not there twice.
    pub(super) fn give(&mut self, out: &mut Vec<u8>) -> bool {
        let Self::Rows(rows) = self else { return false };
        let made = rows.converter.made();
        let any = !made.is_empty();
        made.take(1, out);
        any
    }

    /// Adds records, and says which have no place in the object. What becomes of rows is [given](Self::give) later.
    pub(super) fn add(&mut self, records: &Records, out: &mut Vec<u8>) -> Result<Fates, BodyError> {
        match self {
            Self::Packed { packer, any } => {
                *any |= !records.is_empty();
                records.runs().try_for_each(|run| packer.write(run, out)).map(|()| Fates::default())
            }
            Self::Rows(rows) => rows.add(records),
            Self::Nothing => Ok(Fates::default()),
        }
    }

    /// Whether nothing has found its place in the object yet.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Packed { any, .. } => !any,
            Self::Rows(rows) => rows.converter.rows() == 0,
            Self::Nothing => true,
        }
    }

    /// Writes the object's end; of rows it is [given](Self::give) later.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), BodyError> {
        match self {
            Self::Packed { packer, .. } => packer.finish(out),
            Self::Rows(rows) => rows.converter.end().map_err(failed),
            Self::Nothing => Ok(()),
        }
    }
}

impl Rows {
    fn add(&mut self, records: &Records) -> Result<Fates, BodyError> {
        let counting = Counting::begin(&self.stream, CONVERSION, records);
        let (before, mut fates) = (self.converter.made().len(), Fates::default());
        let (mut taken, mut taken_bytes) = (0, 0);
        for (record, bytes) in records.iter() {
            match self.converter.push(bytes) {
                Ok(_) => (taken, taken_bytes) = (taken + 1, taken_bytes + bytes.len()),
                Err(error) => fates.failures.push(failure(&error, record.origin)),
            }
            self.converter.encode().map_err(failed)?;
        }
        let file_bytes = self.converter.made().len() - before;
        tracing::trace!(stream = %self.stream.name, taken, taken_bytes, file_bytes, "converted");
        counting.end_with((taken, taken_bytes as u64), &fates);
        Ok(fates)
    }
}

/// As metrics name it.
pub(super) const CONVERSION: &str = "DataFormatConversion";

/// What a writer holds at most: enough for row groups of a hundred megabytes of JSON.
const MOST_WRITER_BYTES: usize = 24 << 20;
