//! A look into a file that was written.

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::formats::FormatError;

/// The rows of a Parquet file, in their order: each an object with a member for each column.
///
/// All of them at once, and at the speed of a reader of single values: for looking at what was written, not for processing it.
///
/// # Errors
/// [`FormatError::Unreadable`].
pub fn rows(file: Bytes) -> Result<Vec<Value>, FormatError> {
    let unreadable = |error: ParquetError| FormatError::Unreadable { format: "Parquet", source: error.into() };
    let reader = SerializedFileReader::new(file).map_err(unreadable)?;
    let rows = reader.get_row_iter(None).map_err(unreadable)?;
    rows.map(|row| Ok(row.map_err(unreadable)?.to_json_value())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::formats::json::{Decoder, Deserializer};
    use crate::formats::parquet::{Options, open};
    use crate::formats::schema::TableSchema;

    #[test]
    fn rows_are_objects_of_all_columns_and_nesting() {
        let table = "CREATE TABLE t (n bigint, yes boolean, at struct<x:double,names:array<string>>)";
        let mut decoder = Decoder::new(&TableSchema::from_ddl(table).unwrap(), Deserializer::default());
        decoder
            .decode(br#"{"n":9007199254740993,"yes":true,"at":{"x":0.5,"names":["a","b"]}} {"at":{"names":[]}}"#)
            .unwrap();
        let mut file = Vec::new();
        let mut writer = open(&decoder.schema(), &Options::default(), usize::MAX).unwrap();
        writer.write(&decoder.take(), &mut file).unwrap();
        writer.finish(&mut file).unwrap();
        let expected = [
            json!({"n": 9_007_199_254_740_993_i64, "yes": true, "at": {"x": 0.5, "names": ["a", "b"]}}),
            json!({"n": null, "yes": null, "at": {"x": null, "names": []}}),
        ];
        assert_eq!(rows(Bytes::copy_from_slice(&file)).unwrap(), expected);
        file.truncate(file.len() / 2);
        for damaged in [file, b"PAR1".to_vec(), Vec::new()] {
            assert_eq!(rows(damaged.into()).unwrap_err().to_string(), "reading Parquet");
        }
    }
}
