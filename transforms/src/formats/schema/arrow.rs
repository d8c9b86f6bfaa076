//! A table's columns in Arrow's words.
//!
//! Everything may be null but the keys of maps. What Arrow has no type for stands in the field's metadata under [`HIVE_TYPE`].

use std::collections::HashMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};

use super::{HiveType, TableSchema};

pub(super) fn schema(table: &TableSchema) -> Arc<Schema> {
    let fields = table.columns().iter().map(|column| field(&column.name, &column.hive_type, true));
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

fn field(name: &str, hive_type: &HiveType, nullable: bool) -> Field {
    let field = Field::new(name, data_type(hive_type), nullable);
    match hive_type {
        HiveType::Char(_) | HiveType::Varchar(_) => {
            field.with_metadata(HashMap::from([(HIVE_TYPE.to_owned(), hive_type.to_string())]))
        }
        _ => field,
    }
}

fn data_type(hive_type: &HiveType) -> DataType {
    match hive_type {
        HiveType::Boolean => DataType::Boolean,
        HiveType::TinyInt => DataType::Int8,
        HiveType::SmallInt => DataType::Int16,
        HiveType::Int => DataType::Int32,
        HiveType::BigInt => DataType::Int64,
        HiveType::Float => DataType::Float32,
        HiveType::Double => DataType::Float64,
        HiveType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        HiveType::String | HiveType::Char(_) | HiveType::Varchar(_) => DataType::Utf8,
        HiveType::Binary => DataType::Binary,
        HiveType::Date => DataType::Date32,
        HiveType::Timestamp => DataType::Timestamp(TimeUnit::Nanosecond, None),
        HiveType::Array(item) => DataType::List(Arc::new(field("array_element", item, true))),
        HiveType::Map(key, value) => {
            let entries = Fields::from(vec![field("key", key, false), field("value", value, true)]);
            DataType::Map(Arc::new(Field::new("map", DataType::Struct(entries), false)), false)
        }
        HiveType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|inner| field(&inner.name, &inner.hive_type, true)).collect())
        }
    }
}

/// Key of the field metadata that holds `char(n)` or `varchar(n)`.
pub const HIVE_TYPE: &str = "hive.type";
