//! Rows of the contract's tables, one test each; how records are spelled; what is left after errors.

mod hive;
mod openx;
mod reference;
mod road;
mod times;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::{Map, Value, json};

use super::*;

/// A decoder for a table of these columns.
fn decoder(columns: &str, deserializer: Deserializer) -> Decoder {
    let schema = TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")).expect("a table");
    Decoder::new(&schema, deserializer)
}

/// The rows of one record.
fn rows(columns: &str, deserializer: Deserializer, record: &str) -> Result<Vec<Value>, RecordError> {
    let mut decoder = decoder(columns, deserializer);
    let rows = decoder.decode(record.as_bytes())?;
    assert_eq!(rows, decoder.rows());
    Ok(shown_rows(&decoder.take()))
}

/// What becomes of `value` in a column of this type.
fn value(hive_type: &str, deserializer: Deserializer, value: &str) -> Result<Value, RecordError> {
    let rows = rows(&format!("c {hive_type}"), deserializer, &format!("{{\"c\":{value}}}"))?;
    assert_eq!(rows.len(), 1);
    Ok(rows[0]["c"].clone())
}

fn openx(hive_type: &str, text: &str) -> Result<Value, RecordError> {
    value(hive_type, Deserializer::default(), text)
}

fn hive(hive_type: &str, text: &str) -> Result<Value, RecordError> {
    value(hive_type, Deserializer::Hive { timestamp_formats: Vec::new() }, text)
}

/// The message of a value that does not fit.
fn malformed(result: Result<Value, RecordError>) -> String {
    let error = result.expect_err("the value does not fit");
    assert_eq!(error.code, "DataFormatConversion.MalformedData", "{error:?}");
    error.message
}

fn shown_rows(batch: &RecordBatch) -> Vec<Value> {
    (0..batch.num_rows())
        .map(|row| {
            let columns = batch.schema_ref().fields().iter().zip(batch.columns());
            columns.map(|(field, column)| (field.name().clone(), shown(column, row))).collect::<Map<_, _>>().into()
        })
        .collect()
}

/// A value as JSON: bytes in hexadecimal, decimals as text, dates and timestamps as numbers, maps as lists of pairs.
fn shown(array: &dyn Array, at: usize) -> Value {
    if array.is_null(at) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(at)),
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(at)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(at)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(at)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(at))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(at)),
        DataType::Decimal128(..) => json!(array.as_primitive::<Decimal128Type>().value_as_string(at)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(at)),
        DataType::Binary => json!(hex::encode(array.as_binary::<i32>().value(at))),
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(at)),
        DataType::Timestamp(..) => json!(array.as_primitive::<TimestampNanosecondType>().value(at)),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(at);
            (0..items.len()).map(|item| shown(&items, item)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(at);
            let pair = |entry| json!([shown(entries.column(0), entry), shown(entries.column(1), entry)]);
            (0..entries.len()).map(pair).collect()
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().zip(array.as_struct().columns());
            columns.map(|(field, column)| (field.name().clone(), shown(column, at))).collect::<Map<_, _>>().into()
        }
        other => panic!("no column has {other}"),
    }
}

fn float(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!(value.to_string()) }
}
