//! What the rows of a table look like: columns with Hive types.
//!
//! | A schema comes from | By |
//! |---|---|
//! | a Glue table, as `GetTable` answers | [`TableSchema::from_glue`] |
//! | a Hive `CREATE TABLE` statement | [`TableSchema::from_ddl`] |
//! | a file that holds one of the two | [`TableSchema::from_definition`] |
//! | records | [`Inference`] |
//! | its own JSON, as a ledger keeps it | serde |
//!
//! The JSON is `{"columns":[{"name":"a","type":"array<int>"}]}`: types are their Hive text, which nests without nesting the
//! JSON. Names are lower case, those of struct fields too, as Hive has them.

mod arrow;
mod ddl;
mod glue;
mod hive_type;
mod inference;
mod lexer;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

pub use arrow::HIVE_TYPE;
pub use hive_type::{HiveType, MAX_TYPE_DEPTH, StructField};
pub use inference::Inference;

/// The columns of a table, in order. Holds at least one, and no name twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TableSchema {
    columns: Vec<Column>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Column {
    /// Lower case.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub hive_type: HiveType,
}

/// Why a schema is refused. In AWS's words all of them are `DataFormatConversion.InvalidSchema`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The text is not what it should be.
    #[error("line {line}: expected {expected}, found {found}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What would have been right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A column's type is no type, or one that cannot be written.
    #[error("column {column:?}: {reason}")]
    Type {
        /// The column.
        column: String,
        /// What is wrong with its type, naming it.
        reason: String,
    },
    /// A type is wrong that belongs to no column.
    #[error("{0}")]
    BareType(String),
    /// Two columns, or two fields of one struct, differ in nothing but case.
    #[error("column {0:?} is there twice (case does not count)")]
    Duplicate(String),
    /// A column without a name.
    #[error("a column has no name")]
    NoName,
    /// Nothing to write.
    #[error("the table has no columns")]
    NoColumns,
    /// More than [`MAX_COLUMNS`].
    #[error("the table has {0} columns and struct fields; at most {MAX_COLUMNS} are possible")]
    TooMany(usize),
    /// A Glue table that is not one.
    #[error("the table's JSON: {0}")]
    Glue(String),
}

impl TableSchema {
    /// A table of these columns; their names become lower case.
    ///
    /// # Errors
    /// A name that is empty or there twice, no column, or more than [`MAX_COLUMNS`].
    pub fn new(columns: impl IntoIterator<Item = (String, HiveType)>) -> Result<Self, SchemaError> {
        let columns: Vec<_> =
            columns.into_iter().map(|(name, hive_type)| Column { name: name.to_lowercase(), hive_type }).collect();
        if columns.is_empty() {
            return Err(SchemaError::NoColumns);
        }
        let count = size(&columns);
        if count > MAX_COLUMNS {
            return Err(SchemaError::TooMany(count));
        }
        let mut names = HashSet::new();
        for column in &columns {
            if column.name.is_empty() {
                return Err(SchemaError::NoName);
            }
            if !names.insert(column.name.as_str()) {
                return Err(SchemaError::Duplicate(column.name.clone()));
            }
        }
        Ok(Self { columns })
    }

    /// Columns, and fields within structs.
    pub fn size(&self) -> usize {
        size(&self.columns)
    }

    /// The table that a file defines: Glue's JSON where it begins with `{`, else a `CREATE TABLE` statement.
    pub fn from_definition(text: &str) -> Result<Self, SchemaError> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') { Self::from_glue(text) } else { Self::from_ddl(text) }
    }

    /// The table that Glue describes: the JSON of a `Table` object, or of an answer of `GetTable` or `GetTableVersion`.
    ///
    /// Partition keys are not part of the rows.
    pub fn from_glue(json: &str) -> Result<Self, SchemaError> {
        glue::parse(json)
    }

    /// The table that a Hive `CREATE TABLE` statement creates.
    ///
    /// What stands behind the columns (`PARTITIONED BY`, `ROW FORMAT`, `STORED AS`, `LOCATION`, `TBLPROPERTIES` …) is checked
    /// for its form and not used.
    pub fn from_ddl(statement: &str) -> Result<Self, SchemaError> {
        ddl::parse(statement)
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name, which is lower case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Names the content: equal for equal schemas, everywhere and in every version.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.to_string()).into()
    }

    /// What Arrow calls it.
    pub fn arrow(&self) -> Arc<arrow_schema::Schema> {
        arrow::schema(self)
    }
}

/// The columns as the statement that makes them would have them, one a line.
impl fmt::Display for TableSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for column in &self.columns {
            write!(f, "{between}{} {}", hive_type::Name(&column.name), column.hive_type)?;
            between = ",\n";
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for TableSchema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            columns: Vec<StoredColumn>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct StoredColumn {
            name: String,
            r#type: HiveType,
        }
        let stored = Stored::deserialize(deserializer)?;
        Self::new(stored.columns.into_iter().map(|column| (column.name, column.r#type)))
            .map_err(serde::de::Error::custom)
    }
}

fn size(columns: &[Column]) -> usize {
    columns.iter().map(|column| 1 + column.hive_type.fields_within()).sum()
}

/// The most columns a table may have, those within structs counted.
pub const MAX_COLUMNS: usize = 10_000;

/// The most that are inferred. Records with a key for each user would otherwise make a table that no reader wants, and whose every
/// column is paid for with every record.
pub const MAX_INFERRED: usize = 1_000;

#[cfg(test)]
mod tests;
