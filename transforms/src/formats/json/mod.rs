//! JSON records into columns.
//!
//! A record's bytes are read once, from left to right, and each value is written straight into the column that it belongs to:
//! there is no tree of JSON values. A record that does not fit leaves no trace.
//!
//! | File | What is in it |
//! |---|---|
//! | `cursor` `skip` `number` | reading JSON |
//! | `members` | which column a key belongs to |
//! | `column` `arrays` | growing columns, and Arrow arrays made of them |
//! | `fill` `nested` `text` | what becomes of which value in which column, by the rules of both deserializers |
//! | `timestamp` `joda` `calendar` | times |
//!
//! # What AWS leaves open
//!
//! A value that does not fit never becomes null or another value silently; its record goes to the error output. So:
//!
//! - Numbers past their column's range are refused, whole numbers, doubles and decimals alike (Java wraps the first, makes the
//!   second infinite; Hive makes the last null). `NaN` and `Infinity` are values of OpenX strings for `double` and `float`.
//! - A fraction in a column of whole numbers is cut off, as Java's `longValue` does. As text (`"1.5"`) it is refused, as
//!   `Long.parseLong` does.
//! - A decimal's digits that are too many behind the point are rounded, half up.
//! - `boolean` takes `true`, `false` and, in any case, the texts of these.
//! - `binary` takes base64 text, with or without padding.
//! - Numbers, objects and arrays become text as they stand in the record, white space included.
//! - `char` is not padded.
//! - A duplicate key's last value counts, in maps too.
//! - In OpenX, mappings of columns hold for fields of structs too, which are found under their own names as well.
//! - A record may leave out four million values (2²²): each takes memory, and two bytes of JSON can leave out thousands.
//! - An object or array that is too much for a column's type is refused by both deserializers.
//! - What is not the form of a `timestamp` or `date`, or no day of the calendar: refused. See `timestamp` for the forms; a Hive
//!   deserializer tries its formats in order, then `java.sql.Timestamp`'s.

mod arrays;
mod calendar;
mod column;
mod cursor;
mod error;
mod fill;
mod joda;
mod members;
mod nested;
mod number;
mod skip;
mod text;
mod timestamp;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;

use column::StructValues;
pub(crate) use cursor::{Cursor, Text};
pub(crate) use error::Fault;
pub use error::{MALFORMED_DATA, PARSE_ERROR, RecordError};
pub use joda::{PatternError, TimestampFormat};
use skip::check;

use crate::formats::schema::TableSchema;

/// Whose rules values are read by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deserializer {
    /// OpenX's: takes what can be made to fit.
    OpenX {
        /// Whether a dot in a key is an underscore in the column's name (`ConvertDotsInJsonKeysToUnderscores`).
        convert_dots: bool,
        /// Whether keys match in whatever case (`CaseInsensitive`); then keys of maps become lower case.
        case_insensitive: bool,
        /// The keys of columns, by column, where they are not called the same (`ColumnToJsonKeyMappings`).
        mappings: BTreeMap<String, String>,
    },
    /// Hive's: takes what fits.
    Hive {
        /// How timestamps may be written, beside `yyyy-MM-dd HH:mm:ss[.f]`; tried in order (`TimestampFormats`).
        timestamp_formats: Vec<TimestampFormat>,
    },
}

/// OpenX's, with AWS's defaults.
impl Default for Deserializer {
    fn default() -> Self {
        Self::OpenX { convert_dots: false, case_insensitive: true, mappings: BTreeMap::new() }
    }
}

/// Makes rows of records, and columns of rows.
#[derive(Debug)]
pub struct Decoder {
    arrow: SchemaRef,
    row: StructValues,
    rows: usize,
    filler: fill::Filler,
}

impl Decoder {
    /// A decoder without any rows.
    pub fn new(schema: &TableSchema, mut deserializer: Deserializer) -> Self {
        if let Deserializer::OpenX { mappings, .. } = &mut deserializer {
            *mappings =
                std::mem::take(mappings).into_iter().map(|(column, key)| (column.to_lowercase(), key)).collect();
        }
        let types = schema.columns().iter().map(|column| (column.name.as_str(), &column.hive_type));
        let row = StructValues::new(types, &deserializer, true);
        Self { arrow: schema.arrow(), row, rows: 0, filler: fill::Filler::new(deserializer) }
    }

    /// Its types were inferred, and not declared: a fraction for a whole number is refused and not cut off, and so is a list for a
    /// struct, whose fields are in the order in which they were met.
    #[must_use]
    pub fn inferred(mut self) -> Self {
        self.filler.inferred = true;
        self
    }

    /// Adds a row for each JSON object of the record, of which there is at least one, and gives their number.
    ///
    /// [`Self::take`] the rows long before a column holds 2 GiB.
    ///
    /// # Errors
    /// The record is not JSON, or does not fit; no row of it is added.
    pub fn decode(&mut self, record: &[u8]) -> Result<usize, RecordError> {
        let before = self.rows;
        match self.add(record) {
            Ok(()) => Ok(self.rows - before),
            Err(fault) => {
                self.row.fields.iter_mut().for_each(|column| column.truncate(before));
                self.rows = before;
                // What is not JSON at all is told as such, wherever it was noticed first that it does not fit.
                let not_json = || check(record).err().filter(Fault::is_parse_error);
                let malformed = if fault.is_parse_error() { None } else { not_json() };
                Err(malformed.unwrap_or(fault).into())
            }
        }
    }

    fn add(&mut self, record: &[u8]) -> Result<(), Fault> {
        if simdutf8::basic::from_utf8(record).is_err() {
            return Err(RecordError::malformed_data("The record is not UTF-8"));
        }
        self.filler.begin();
        let mut cursor = Cursor::new(record);
        if cursor.at_end() {
            return Err(RecordError::malformed_data("The record is empty"));
        }
        while !cursor.at_end() {
            match cursor.look() {
                b'{' => self.filler.object(&mut cursor, &mut self.row, self.rows, 0)?,
                b'[' => {
                    return Err(RecordError::malformed_data("The record is an array; only JSON objects become rows"));
                }
                _ => {
                    return Err(RecordError::malformed_data(
                        "The record is a primitive; only JSON objects become rows",
                    ));
                }
            }
            self.rows += 1;
        }
        Ok(())
    }

    /// Rows since the last [`Self::take`].
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Forgets these rows.
    pub fn clear(&mut self) {
        self.row.fields.iter_mut().for_each(|column| column.truncate(0));
        self.rows = 0;
    }

    /// Bytes of these rows in memory; what is set aside for them may be twice as much. Looks at every column: ask now and then, not for each record.
    pub fn bytes(&self) -> usize {
        self.row.bytes()
    }

    /// Their Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.arrow)
    }

    /// Takes the rows.
    pub fn take(&mut self) -> RecordBatch {
        let options = RecordBatchOptions::new().with_row_count(Some(std::mem::take(&mut self.rows)));
        arrays::arrays(&mut self.row.fields, self.arrow.fields())
            .and_then(|arrays| RecordBatch::try_new_with_options(Arc::clone(&self.arrow), arrays, &options))
            .expect("every column was made for its field, holds as many values as there are rows, and text is UTF-8")
    }
}

#[cfg(test)]
mod tests;
