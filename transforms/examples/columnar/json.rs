//! NDJSON of sample rows.

use arrow_schema::{DataType, Fields};
use serde_json::{Value as Json, json};

use super::samples::{Value, pair};

/// A row as an object: decimals as unscaled numbers in strings, bytes in hexadecimal, dates as days, timestamps as nanoseconds,
/// maps as lists of pairs.
pub(crate) fn json(fields: &Fields, row: &[Value]) -> Json {
    let members =
        fields.iter().zip(row).map(|(field, value)| (field.name().clone(), json_of(field.data_type(), value)));
    Json::Object(members.collect())
}

fn json_of(data_type: &DataType, value: &Value) -> Json {
    match (data_type, value) {
        (_, Value::Null) => Json::Null,
        (_, Value::Bool(value)) => json!(value),
        (DataType::Decimal128(..), Value::Int(value)) => json!(value.to_string()),
        (_, Value::Int(value)) => json!(i64::try_from(*value).expect("only decimals are wider")),
        (_, Value::Float(value)) if value.is_finite() => json!(value),
        (_, Value::Float(value)) => json!(value.to_string()),
        (_, Value::Text(value)) => json!(value),
        (_, Value::Bytes(value)) => json!(hex::encode(value)),
        (DataType::List(item), Value::List(values)) => {
            Json::Array(values.iter().map(|value| json_of(item.data_type(), value)).collect())
        }
        (DataType::Map(entries, _), Value::Map(pairs)) => {
            let (key, item) = pair(entries);
            Json::Array(pairs.iter().map(|(k, v)| json!([json_of(key, k), json_of(item, v)])).collect())
        }
        (DataType::Struct(fields), Value::Struct(values)) => json(fields, values),
        (data_type, value) => panic!("{value:?} is no {data_type}"),
    }
}
