//! A file being written: first rows kept until the dictionaries are decided, then one row group at a time.

use std::mem::{replace, swap};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression as Codec, GzipLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion as Version};
use parquet::schema::types::SchemaDescriptor;

use super::{Compression, MIB, Options, WriterVersion, dictionary, schema, stored};
use crate::formats::{CREATED_BY, ColumnWriter, FormatError, Pieces, batches};

/// Writes one Parquet file.
pub(super) struct Writer {
    options: Options,
    memory_limit: usize,
    /// Of the batches that come.
    given: SchemaRef,
    /// Of the batches that are stored.
    stored: SchemaRef,
    descriptor: SchemaDescriptor,
    state: State,
    made: Pieces,
    /// Bytes of the values in the open row group, decoded.
    in_group: usize,
}

enum State {
    /// The first rows, until there are enough of them to judge the columns by.
    Looking {
        batches: Vec<RecordBatch>,
        rows: usize,
        bytes: usize,
    },
    /// The engine. It has no bytes of its own between two calls: for each call it is given those that are made.
    Writing(Box<ArrowWriter<Pieces>>),
    Finished,
}

impl Writer {
    pub(super) fn new(given: &SchemaRef, options: &Options, memory_limit: usize) -> Result<Self, FormatError> {
        let stored = stored::schema(given, options.timestamps);
        let descriptor = schema::descriptor(stored.fields().iter().map(AsRef::as_ref))?;
        let (options, given) = (options.clone(), Arc::clone(given));
        let state = State::Looking { batches: Vec::new(), rows: 0, bytes: 0 };
        Ok(Self { options, memory_limit, given, stored, descriptor, state, made: Pieces::default(), in_group: 0 })
    }

    fn take(&mut self, slice: RecordBatch) -> Result<(), FormatError> {
        match &mut self.state {
            State::Looking { batches, rows, bytes } => {
                *rows += slice.num_rows();
                *bytes += batches::bytes(&slice);
                batches.push(slice);
                // A column of the sample is a fraction of what the engine holds of it later.
                if *rows < ROWS_LOOKED_AT && *bytes < (self.memory_limit / 4).min(MOST_LOOKED_AT) {
                    return Ok(());
                }
                self.begin()
            }
            State::Writing(_) => self.encode(&slice),
            State::Finished => Err(FormatError::Finished),
        }
    }

    /// Opens the engine and gives it the rows that were kept.
    fn begin(&mut self) -> Result<(), FormatError> {
        let State::Looking { batches, .. } = replace(&mut self.state, State::Finished) else {
            return Err(FormatError::Finished);
        };
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties(&batches))
            .with_parquet_schema(self.descriptor.clone())
            .with_skip_arrow_metadata(true);
        let engine =
            ArrowWriter::try_new_with_options(Pieces::default(), Arc::clone(&self.stored), options).map_err(engine)?;
        self.state = State::Writing(Box::new(engine));
        batches.into_iter().try_for_each(|batch| self.encode(&batch))
    }

    fn encode(&mut self, slice: &RecordBatch) -> Result<(), FormatError> {
        let (memory_limit, block) = (self.memory_limit, self.options.block_size_bytes);
        self.in_group += batches::bytes(slice);
        // Many columns take much before they hold much; a row group of a few rows would give none of that back for long.
        let is_worth = self.in_group >= LEAST_GROUP.min(memory_limit / 2);
        let flushed = self.with_engine(|engine| {
            engine.write(slice)?;
            // What the next slice adds must still fit.
            let is_full = is_worth && engine.memory_size() >= memory_limit - memory_limit / 8;
            let ends = is_full || engine.in_progress_size() >= block;
            if ends { engine.flush().map(|()| true) } else { Ok(false) }
        })?;
        if flushed {
            self.in_group = 0;
        }
        Ok(())
    }

    /// Lends the engine what is made, to add to. After an error the file cannot be finished.
    fn with_engine<T>(
        &mut self,
        work: impl FnOnce(&mut ArrowWriter<Pieces>) -> Result<T, ParquetError>,
    ) -> Result<T, FormatError> {
        let State::Writing(engine) = &mut self.state else {
            return Err(FormatError::Finished);
        };
        swap(engine.inner_mut(), &mut self.made);
        let done = work(engine).and_then(|done| engine.sync().map(|()| done).map_err(ParquetError::from));
        swap(engine.inner_mut(), &mut self.made);
        done.map_err(|error| {
            self.state = State::Finished;
            self::engine(error)
        })
    }

    fn properties(&self, first: &[RecordBatch]) -> WriterProperties {
        let options = &self.options;
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_writer_version(match options.writer_version {
                WriterVersion::V1 => Version::PARQUET_1_0,
                WriterVersion::V2 => Version::PARQUET_2_0,
            })
            .set_compression(match options.compression {
                Compression::Uncompressed => Codec::UNCOMPRESSED,
                Compression::Gzip => Codec::GZIP(GzipLevel::default()),
                Compression::Snappy => Codec::SNAPPY,
            })
            .set_data_page_size_limit(options.page_size_bytes)
            // A dictionary past this costs more memory than it saves space, whatever the pages are.
            .set_dictionary_page_size_limit(options.page_size_bytes.min(MIB))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            // Row groups are closed by what they hold.
            .set_max_row_group_row_count(None);
        let columns = self.descriptor.columns();
        let pays = match options.enable_dictionary_compression {
            Some(enabled) => vec![enabled; columns.len()],
            None => dictionary::pays(first),
        };
        let mut left = MOST_DICTIONARIES;
        for (column, pays) in columns.iter().zip(pays) {
            let has_one = pays && left > 0;
            left -= usize::from(has_one);
            properties = properties.set_column_dictionary_enabled(column.path().clone(), has_one);
        }
        properties.build()
    }
}

impl ColumnWriter for Writer {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        batches::check(batch, &self.given)?;
        let batch = stored::batch(batch, &self.stored).map_err(|error| FormatError::Batch(error.to_string()))?;
        batches::slices(&batch, SLICE_ROWS).try_for_each(|slice| self.take(slice))
    }

    fn end(&mut self) -> Result<(), FormatError> {
        if matches!(self.state, State::Looking { .. }) {
            self.begin()?;
        }
        self.with_engine(|engine| engine.finish().map(|_| ()))?;
        self.state = State::Finished;
        Ok(())
    }

    fn made(&mut self) -> &mut Pieces {
        &mut self.made
    }

    fn memory_bytes(&self) -> usize {
        let held = match &self.state {
            State::Looking { bytes, .. } => *bytes,
            State::Writing(engine) => held(engine),
            State::Finished => 0,
        };
        held + self.made.memory_bytes()
    }
}

/// The open row group, and the directory entries of those that are written.
fn held(engine: &ArrowWriter<Pieces>) -> usize {
    let columns = engine.flushed_row_groups().iter().map(RowGroupMetaData::num_columns).sum::<usize>();
    engine.memory_size() + columns * CHUNK_ENTRY_BYTES
}

fn engine(error: ParquetError) -> FormatError {
    FormatError::engine("Parquet", error)
}

/// Rows given to the engine at a time: what the cache holds of ordinary rows.
const SLICE_ROWS: usize = 2_048;

/// Rows that dictionaries are decided by.
const ROWS_LOOKED_AT: usize = 10_000;

/// Bytes of them.
const MOST_LOOKED_AT: usize = 8 * MIB;

/// Values that a row group has at least, decoded, where the limit is not smaller: readers like few large ones, and each has a
/// directory entry for every column.
const LEAST_GROUP: usize = 16 * MIB;

/// Leaf columns with a dictionary: its table is 70 KiB from the first value on.
const MOST_DICTIONARIES: usize = 100;

/// Directory entry of a column chunk, with statistics.
const CHUNK_ENTRY_BYTES: usize = 640;
