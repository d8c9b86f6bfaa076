//! Records into rows of a table that is known, or not yet.

use arrow_array::RecordBatch;

use super::{Conversion, SchemaSource};
use crate::formats::json::{Decoder, RecordError};
use crate::formats::schema::{HiveType, TableSchema};

/// A decoder. While no table is known it takes nothing, and says of each record what a table would have said that it had nothing
/// to do with, such as that it is no JSON.
pub(super) struct Rows {
    decoder: Decoder,
    is_known: bool,
}

impl Rows {
    /// No rows yet.
    pub(super) fn new(conversion: &Conversion, schema: Option<&TableSchema>) -> Self {
        let stand_in = || TableSchema::new([(String::from("_"), HiveType::String)]).expect("one column is a table");
        let table = schema.cloned().unwrap_or_else(stand_in);
        let decoder = Decoder::new(&table, conversion.deserializer.clone());
        let is_inferred = conversion.schema == SchemaSource::Inferred;
        let decoder = if is_inferred { decoder.inferred() } else { decoder };
        Self { decoder, is_known: schema.is_some() }
    }

    /// Adds the rows of `record`, all or none.
    pub(super) fn push(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        let rows = self.decoder.decode(record)?;
        if !self.is_known {
            self.decoder.clear();
            return Err(RecordError { code: INVALID_SCHEMA, message: NO_COLUMNS.to_owned(), column: None });
        }
        Ok(rows)
    }

    /// Rows since the last [`Self::take`].
    pub(super) fn len(&self) -> usize {
        self.decoder.rows()
    }

    /// Forgets the rows.
    pub(super) fn clear(&mut self) {
        self.decoder.clear();
    }

    /// See [`Decoder::bytes`].
    pub(super) fn bytes(&self) -> usize {
        self.decoder.bytes()
    }

    /// Their Arrow schema.
    pub(super) fn schema(&self) -> arrow_schema::SchemaRef {
        self.decoder.schema()
    }

    /// Takes the rows.
    pub(super) fn take(&mut self) -> RecordBatch {
        self.decoder.take()
    }
}

const INVALID_SCHEMA: &str = "DataFormatConversion.InvalidSchema";
const NO_COLUMNS: &str = "The schema is inferred, and neither this record nor one before it has a column";
