//! Records in, a columnar file out.

use std::borrow::Cow;

use arrow_array::RecordBatch;
use arrow_schema::Schema;

use super::rows::Rows;
use super::{Conversion, Format};
use crate::formats::json::RecordError;
use crate::formats::schema::TableSchema;
use crate::formats::{ColumnWriter, FormatError, Pieces, batches, orc, parquet};
use crate::records::{ErrorOutput, Failure, Origin};

/// Makes one file of records.
///
/// The bytes depend on the records that were taken, their order, the schema, the conversion and the memory limit only: not on
/// when [`drain`](Self::drain) was called, nor on records in between that were refused. So a second attempt at an object makes
/// the same again.
pub struct Converter {
    decoded: Rows,
    writer: Box<dyn ColumnWriter>,
    /// Rows at which a batch is cut.
    batch_rows: usize,
    /// Bytes of the records whose rows the decoder has.
    pending_bytes: usize,
    /// Batches that are cut and not yet written.
    ready: Vec<RecordBatch>,
    rows: u64,
}

impl Converter {
    /// Opens a file of `schema`, which takes no record while there is none, that is made with about `memory_limit` bytes:
    /// [`most_memory`] is a good limit, and below it the file's parts get smaller than readers like.
    ///
    /// # Errors
    /// [`FormatError::Option`], such as a bloom filter for a column that is not in `schema`; [`FormatError::Schema`].
    pub fn new(
        conversion: &Conversion,
        schema: Option<&TableSchema>,
        memory_limit: usize,
    ) -> Result<Self, FormatError> {
        let decoded = Rows::new(conversion, schema);
        let arrow = decoded.schema();
        let limit = memory_limit.saturating_sub(pending_memory(&arrow));
        let writer = match &conversion.format {
            Format::Parquet(options) => parquet::open(&arrow, options, limit)?,
            Format::Orc(options) => orc::open(&arrow, options, limit)?,
        };
        let batch_rows = batch_rows(&arrow);
        Ok(Self { decoded, writer, batch_rows, pending_bytes: 0, ready: Vec::new(), rows: 0 })
    }

    /// Takes the rows of `record`, one for each JSON object in it, and gives their number. All or nothing.
    ///
    /// They stay in memory until [`encode`](Self::encode) or [`drain`](Self::drain) is called: call it after each record, or after a
    /// few. A file that is finished takes rows no more, which the next `encode` or `end` tells.
    ///
    /// # Errors
    /// The record is not JSON, or does not fit the schema; see [`failure`].
    pub fn push(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        let rows = self.decoded.push(record)?;
        self.rows += rows as u64;
        self.pending_bytes += record.len();
        // Here and not in `drain`, so that where a batch ends does not depend on when that is called.
        if self.decoded.len() >= self.batch_rows || self.pending_bytes >= BATCH_BYTES {
            self.cut();
        }
        Ok(rows)
    }

    /// Gives the batches that are full to the file. What is ready of it is in [`made`](Self::made): mostly nothing more, and a
    /// whole row group or stripe when one is full.
    ///
    /// # Errors
    /// [`FormatError::Engine`], after which the file cannot be finished; [`FormatError::Finished`].
    pub fn encode(&mut self) -> Result<(), FormatError> {
        self.ready.drain(..).try_for_each(|batch| self.writer.add(&batch))
    }

    /// Ends the file. A file of no rows is a valid file with a schema.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn end(&mut self) -> Result<(), FormatError> {
        if self.decoded.len() > 0 {
            self.cut();
        }
        self.encode()?;
        self.writer.end()
    }

    /// What is ready of the file and was not taken yet. Take it before there is more: a row group is a good part of what is held.
    pub fn made(&mut self) -> &mut Pieces {
        self.writer.made()
    }

    /// [`encode`](Self::encode), and appends to `out` what is ready. Changes nothing that is already in `out`.
    ///
    /// # Errors
    /// As `encode`.
    pub fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.encode()?;
        self.made().take(usize::MAX, out);
        Ok(())
    }

    /// [`end`](Self::end), and appends to `out` all that is left of the file.
    ///
    /// # Errors
    /// As `end`.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.end()?;
        self.made().take(usize::MAX, out);
        Ok(())
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes held now, those that are ready included. Looks at every column: ask now and then, not for each record.
    pub fn memory_bytes(&self) -> usize {
        let ready: usize = self.ready.iter().map(batches::bytes).sum();
        self.decoded.bytes() + ready + self.writer.memory_bytes()
    }

    fn cut(&mut self) {
        self.pending_bytes = 0;
        self.ready.push(self.decoded.take());
    }
}

/// What a converter should be allowed to hold, and holds at most when it is drained after each record, as long as the rows of a
/// single record are small beside it.
pub fn most_memory(conversion: &Conversion, schema: Option<&TableSchema>) -> usize {
    let arrow = Rows::new(conversion, schema).schema();
    let writer = match &conversion.format {
        Format::Parquet(options) => parquet::most_memory(options, &arrow),
        Format::Orc(options) => orc::most_memory(options, &arrow),
    };
    writer.saturating_add(pending_memory(&arrow))
}

/// What becomes of a record that [`Converter::push`] refuses. The column, which AWS does not tell, stands behind AWS's words.
pub fn failure(error: &RecordError, origin: Origin) -> Failure {
    let message = match &error.column {
        Some(column) => format!("{} (column {column})", error.message),
        None => error.message.clone(),
    };
    Failure {
        origin,
        output: ErrorOutput::FormatConversion,
        code: Cow::Borrowed(error.code),
        message: Cow::Owned(message),
        attempts: 1,
        raw: None,
    }
}

/// Rows at which a batch of `schema` is cut: fewer where there are very many columns, most of which are empty in most rows.
fn batch_rows(schema: &Schema) -> usize {
    (BATCH_VALUES / batches::leaves(schema.fields()).max(1)).clamp(1, BATCH_ROWS)
}

/// What a batch takes before it is written: values of records that are mostly digits or text, and as many nulls as there is
/// room for, in lists that may have grown to twice of what they need.
fn pending_memory(schema: &Schema) -> usize {
    let values = batch_rows(schema).saturating_mul(batches::leaves(schema.fields()));
    (4 * BATCH_BYTES).saturating_add(values.saturating_mul(2 * WIDEST_VALUE))
}

/// Rows of a batch: what the cache holds of ordinary rows.
const BATCH_ROWS: usize = 1_024;

/// Bytes of records in a batch, but for the last record.
const BATCH_BYTES: usize = 1024 * 1024;

/// Values in a batch.
const BATCH_VALUES: usize = 256 * 1024;

/// A decimal; strings and lists are counted as what they are made of.
const WIDEST_VALUE: usize = 16;

#[cfg(test)]
mod tests;
