//! A file being written: header, stripes, and the directories at its end.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use prost::Message;

use super::column::Column;
use super::proto::{CalendarKind, CompressionKind, Footer, Metadata, PostScript, StripeInformation, Type};
use super::stream::{CHUNK_BYTES, Packer};
use super::{Compression, FormatVersion, Options, stripe, types};
use crate::formats::{CREATED_BY, ColumnWriter, FormatError, Pieces, batches};

/// Writes one ORC file.
pub(super) struct Writer {
    options: Options,
    memory_limit: usize,
    schema: SchemaRef,
    types: Vec<Type>,
    root: Column,
    packer: Packer,
    /// Of the row group and of the stripe under way.
    group_rows: usize,
    stripe_rows: usize,
    rows: u64,
    /// Bytes of the file that are out.
    written: u64,
    stripes: Vec<StripeInformation>,
    metadata: Metadata,
    /// Estimate of what the directories under way take.
    directory_bytes: usize,
    made: Pieces,
    finished: bool,
}

impl Writer {
    pub(super) fn new(schema: &SchemaRef, options: &Options, memory_limit: usize) -> Result<Self, FormatError> {
        let (root, types) = types::root(schema.fields(), options)?;
        Ok(Self {
            options: options.clone(),
            memory_limit,
            schema: Arc::clone(schema),
            types,
            root,
            packer: Packer::new(options.compression)?,
            group_rows: 0,
            stripe_rows: 0,
            rows: 0,
            written: 0,
            stripes: Vec::new(),
            metadata: Metadata::default(),
            directory_bytes: 0,
            made: Pieces::default(),
            finished: false,
        })
    }

    /// Takes rows that are all of the row group under way.
    fn take(&mut self, slice: &RecordBatch) -> Result<(), FormatError> {
        let rows = slice.num_rows();
        self.root.write_root(slice.columns(), rows);
        pack(&mut self.root, &mut self.packer)?;
        self.group_rows += rows;
        self.stripe_rows += rows;
        let held = self.held();
        // What the next slice adds must still fit.
        if held >= self.options.stripe_size_bytes || held >= self.memory_limit - self.memory_limit / 8 {
            return self.end_stripe();
        }
        if self.group_rows == self.options.row_index_stride {
            self.end_group()?;
        }
        Ok(())
    }

    fn end_group(&mut self) -> Result<(), FormatError> {
        self.root.end_group();
        pack(&mut self.root, &mut self.packer)?;
        self.root.begin_group();
        self.group_rows = 0;
        Ok(())
    }

    fn end_stripe(&mut self) -> Result<(), FormatError> {
        if self.stripe_rows == 0 {
            return Ok(());
        }
        if self.group_rows > 0 {
            self.end_group()?;
        }
        self.begin();
        let ended = stripe::end(&mut self.root, &mut self.packer, &mut self.made)?;
        let information = StripeInformation {
            offset: Some(self.written),
            number_of_rows: Some(self.stripe_rows as u64),
            ..ended.information
        };
        self.written += ended.bytes;
        self.rows += self.stripe_rows as u64;
        self.stripe_rows = 0;
        self.directory_bytes += ended.statistics.encoded_len() * 2;
        self.stripes.push(information);
        self.metadata.stripe_stats.push(ended.statistics);
        Ok(())
    }

    /// The header, before anything else.
    fn begin(&mut self) {
        if self.written == 0 {
            self.made.extend_from_slice(MAGIC);
            self.written = MAGIC.len() as u64;
        }
    }

    /// The directories, behind the last stripe.
    fn end_file(&mut self) -> Result<(), FormatError> {
        self.end_stripe()?;
        self.begin();
        let mut statistics = Vec::new();
        self.root.each(&mut |column| {
            statistics.push(column.statistics());
            Ok(())
        })?;
        let footer = Footer {
            header_length: Some(MAGIC.len() as u64),
            content_length: Some(self.written),
            stripes: std::mem::take(&mut self.stripes),
            types: std::mem::take(&mut self.types),
            number_of_rows: Some(self.rows),
            statistics,
            row_index_stride: u32::try_from(self.options.row_index_stride).ok(),
            writer: Some(WRITER),
            calendar: Some(CalendarKind::ProlepticGregorian.into()),
            software_version: Some(CREATED_BY.to_owned()),
        };
        let metadata_length = self.packer.section(&self.metadata, &mut self.made)?;
        let footer_length = self.packer.section(&footer, &mut self.made)?;
        let kind = match self.options.compression {
            Compression::None => CompressionKind::None,
            Compression::Zlib => CompressionKind::Zlib,
            Compression::Snappy => CompressionKind::Snappy,
        };
        let postscript = PostScript {
            footer_length: Some(footer_length),
            compression: Some(kind.into()),
            compression_block_size: Some(CHUNK_BYTES as u64),
            version: match self.options.format_version {
                FormatVersion::V0_11 => vec![0, 11],
                FormatVersion::V0_12 => vec![0, 12],
            },
            metadata_length: Some(metadata_length),
            writer_version: Some(WRITER_VERSION),
            magic: Some("ORC".to_owned()),
        };
        let postscript = postscript.encode_to_vec();
        self.made.extend_from_slice(&postscript);
        let length = u8::try_from(postscript.len()).map_err(|error| FormatError::engine("ORC", error))?;
        self.made.extend_from_slice(&[length]);
        Ok(())
    }

    fn held(&self) -> usize {
        self.root.memory_bytes() + self.packer.memory_bytes() + self.directory_bytes
    }
}

impl ColumnWriter for Writer {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        if self.finished {
            return Err(FormatError::Finished);
        }
        batches::check(batch, &self.schema)?;
        for slice in batches::slices(batch, self.options.row_index_stride) {
            let mut rest = slice;
            while rest.num_rows() > 0 {
                let room = (self.options.row_index_stride - self.group_rows).min(rest.num_rows());
                let taken = self.take(&rest.slice(0, room));
                // Streams that an engine failed in are not whole.
                taken.inspect_err(|_| self.finished = true)?;
                rest = rest.slice(room, rest.num_rows() - room);
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), FormatError> {
        if std::mem::replace(&mut self.finished, true) {
            return Err(FormatError::Finished);
        }
        self.end_file()
    }

    fn made(&mut self) -> &mut Pieces {
        &mut self.made
    }

    fn memory_bytes(&self) -> usize {
        self.made.memory_bytes() + if self.finished { 0 } else { self.held() }
    }
}

/// Packs the whole chunks of every stream.
fn pack(column: &mut Column, packer: &mut Packer) -> Result<(), FormatError> {
    column.each(&mut |column| column.streams().into_iter().try_for_each(|(_, stream)| stream.pack(packer)))
}

const MAGIC: &[u8] = b"ORC";

/// No number of the list of writers: this one is not on it, and readers take all that they do not know for up to date.
const WRITER: u32 = u32::MAX;

/// The rules of that list's first writer which this one keeps: statistics of timestamps in UTC (6), bounds of long strings and
/// nanoseconds (7, 8), and no encryption (9).
const WRITER_VERSION: u32 = 9;
