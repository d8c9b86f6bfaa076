//! Record format conversion: JSON records into columns.
//!
//! ```text
//! records ──► json::Decoder ──► RecordBatch ──► a columnar file
//!                 ▲
//!  schema::TableSchema ◄── type strings, Glue tables, CREATE TABLE, Inference
//! ```
//!
//! Contract: the pages on record format conversion of the Amazon Data Firehose developer guide,
//! <https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion.html>.

pub mod json;
pub mod schema;
