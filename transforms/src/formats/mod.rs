//! Record format conversion: columns out of JSON, and columnar files out of columns.
//!
//! ```text
//! records ──► json::Decoder ──► RecordBatch ──► ColumnWriter ──► the bytes of a file
//!                 ▲
//!  schema::TableSchema ◄── type strings, Glue tables, CREATE TABLE, Inference
//! ```
//!
//! A [`ColumnWriter`] is opened for one object, fed record batches of one schema (1,000 to 2,000 rows are where it is fast)
//! and ended once. Like everything in this room it does no I/O: the bytes of the file are there to be taken ([`Pieces`]), a row
//! group or stripe at a time, and depend on the batches and the options only.
//!
//! [`conversion`] is all of it at once, as a stream's configuration asks for it: records in, a file out.
//!
//! Contract: <https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html>.

#[cfg(test)]
#[path = "../../examples/columnar/arrays.rs"]
mod arrays;
mod batches;
pub mod conversion;
pub mod json;
pub mod orc;
pub mod parquet;
mod pieces;
#[cfg(test)]
#[path = "../../examples/columnar/samples.rs"]
mod samples;
pub mod schema;
#[cfg(test)]
mod values;

use arrow_array::RecordBatch;

pub use self::pieces::Pieces;

/// Writes one columnar file.
///
/// A writer that is dropped before [`end`](Self::end) leaves bytes behind that no reader takes for a file: both formats
/// have their directory at the end.
pub trait ColumnWriter: Send {
    /// Adds the rows of `batch`. What is ready of the file is in [`made`](Self::made): mostly nothing more, and a whole row group or
    /// stripe when one is full or the memory limit is reached.
    ///
    /// # Errors
    /// [`FormatError::Batch`] where the batch has another schema than the file; [`FormatError::Engine`], after which the file
    /// cannot be finished; [`FormatError::Finished`].
    fn add(&mut self, batch: &RecordBatch) -> Result<(), FormatError>;

    /// Ends the file: the rows kept back, and its directory. A file of no rows is a valid file with a schema.
    ///
    /// # Errors
    /// [`FormatError::Engine`], [`FormatError::Finished`].
    fn end(&mut self) -> Result<(), FormatError>;

    /// What is ready of the file and was not taken yet.
    fn made(&mut self) -> &mut Pieces;

    /// Bytes held now, those that are ready included.
    fn memory_bytes(&self) -> usize;

    /// [`add`](Self::add), and appends to `out` all that is ready. Changes nothing that is already in `out`.
    ///
    /// # Errors
    /// As `add`.
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.add(batch)?;
        self.made().take(usize::MAX, out);
        Ok(())
    }

    /// [`end`](Self::end), and appends to `out` all that is left.
    ///
    /// # Errors
    /// As `end`.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), FormatError> {
        self.end()?;
        self.made().take(usize::MAX, out);
        Ok(())
    }
}

/// Why a columnar file cannot be written, or read back.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// An option is outside its range or not supported; the same options fail again.
    #[error("{field} must be {rule}, not {value}")]
    Option {
        /// The API's name of the option.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
        /// What it is.
        value: String,
    },
    /// The schema has a column that the format cannot hold; the same schema fails again.
    #[error("column {column}: {problem}")]
    Schema {
        /// Path of the column, its parts separated by dots.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A batch is not of the file's schema: a fault of the caller, not of the records.
    #[error("the batch does not fit the file: {0}")]
    Batch(String),
    /// The file has been finished, or has failed, before.
    #[error("the file is finished already")]
    Finished,
    /// The engine refused data that it must take: a fault of the engine or of memory, not of the records.
    #[error("writing {format}")]
    Engine {
        /// Which format.
        format: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What should be a columnar file is none, or one that is damaged.
    #[error("reading {format}")]
    Unreadable {
        /// Which format.
        format: &'static str,
        /// What its reader said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl FormatError {
    /// A [`FormatError::Schema`].
    pub(crate) fn schema(column: &str, problem: impl Into<String>) -> Self {
        Self::Schema { column: column.to_owned(), problem: problem.into() }
    }

    /// A [`FormatError::Engine`] of `format`.
    pub(crate) fn engine(format: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Engine { format, source: source.into() }
    }
}

/// Who wrote a file, as both formats name it in their directories.
pub(crate) const CREATED_BY: &str = concat!("hydrant version ", env!("CARGO_PKG_VERSION"));
