//! Hive's Parquet schema of an Arrow schema.

use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit as ParquetUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::formats::FormatError;

/// The file's schema: the root group that Hive writes, and below it a column for each of `fields`, which are already as
/// [`stored`](super::stored) makes them.
pub(super) fn descriptor<'a>(fields: impl Iterator<Item = &'a Field>) -> Result<SchemaDescriptor, FormatError> {
    let columns = fields.map(|field| column(field, field.name())).collect::<Result<Vec<_>, _>>()?;
    if columns.is_empty() {
        return Err(FormatError::schema("(root)", "a file must have at least one column"));
    }
    let root = Type::group_type_builder("hive_schema").with_fields(columns).build().map_err(engine)?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}

/// The type of `field`; `path` is for messages.
fn column(field: &Field, path: &str) -> Result<Arc<Type>, FormatError> {
    match field.data_type() {
        DataType::List(item) => {
            let bag = group("bag", vec![column(item, path)?], Repetition::REPEATED, None, ConvertedType::NONE)?;
            group(field.name(), vec![bag], repetition(field), Some(LogicalType::List), ConvertedType::LIST)
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(FormatError::schema(path, "a map without key and value"));
            };
            let pair = pair.iter().map(|field| column(field, &format!("{path}.{}", field.name())));
            let pair = pair.collect::<Result<_, _>>()?;
            let map = group("map", pair, Repetition::REPEATED, None, ConvertedType::MAP_KEY_VALUE)?;
            group(field.name(), vec![map], repetition(field), Some(LogicalType::Map), ConvertedType::MAP)
        }
        DataType::Struct(fields) if fields.is_empty() => {
            Err(FormatError::schema(path, "a struct must have at least one field in Parquet"))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| column(field, &format!("{path}.{}", field.name())));
            group(field.name(), fields.collect::<Result<_, _>>()?, repetition(field), None, ConvertedType::NONE)
        }
        _ => leaf(field, path),
    }
}

fn leaf(field: &Field, path: &str) -> Result<Arc<Type>, FormatError> {
    let (physical, logical) = match field.data_type() {
        DataType::Boolean => (Physical::BOOLEAN, None),
        DataType::Int8 => (Physical::INT32, Some(LogicalType::integer(8, true))),
        DataType::Int16 => (Physical::INT32, Some(LogicalType::integer(16, true))),
        DataType::Int32 => (Physical::INT32, None),
        DataType::Int64 => (Physical::INT64, None),
        DataType::Float32 => (Physical::FLOAT, None),
        DataType::Float64 => (Physical::DOUBLE, None),
        DataType::Utf8 => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        DataType::Binary => (Physical::BYTE_ARRAY, None),
        DataType::Date32 => (Physical::INT32, Some(LogicalType::Date)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            (Physical::INT64, Some(LogicalType::timestamp(false, ParquetUnit::MICROS)))
        }
        DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            (Physical::INT64, Some(LogicalType::timestamp(false, ParquetUnit::NANOS)))
        }
        DataType::Decimal128(precision, scale) => return decimal(field, *precision, *scale, path),
        other => return Err(FormatError::schema(path, format!("no Parquet type for {other}"))),
    };
    let built = Type::primitive_type_builder(field.name(), physical)
        .with_repetition(repetition(field))
        .with_logical_type(logical)
        .build();
    Ok(Arc::new(built.map_err(engine)?))
}

/// Hive writes every precision as a byte array of fixed length, never as INT32 or INT64.
fn decimal(field: &Field, precision: u8, scale: i8, path: &str) -> Result<Arc<Type>, FormatError> {
    let length = decimal_bytes(precision);
    let (precision, scale) = (i32::from(precision), i32::from(scale));
    let built = Type::primitive_type_builder(field.name(), Physical::FIXED_LEN_BYTE_ARRAY)
        .with_repetition(repetition(field))
        .with_length(length)
        .with_logical_type(Some(LogicalType::decimal(scale, precision)))
        .with_precision(precision)
        .with_scale(scale)
        .build();
    Ok(Arc::new(built.map_err(|error| FormatError::schema(path, error.to_string()))?))
}

/// Bytes of the shortest two's complement that holds every decimal of so many digits.
fn decimal_bytes(precision: u8) -> i32 {
    let largest = 10_i128.checked_pow(precision.into()).map_or(i128::MAX, |power| power - 1);
    let bits = i128::BITS - largest.leading_zeros() + 1;
    i32::try_from(bits.div_ceil(8)).unwrap_or(16)
}

fn group(
    name: &str,
    fields: Vec<Arc<Type>>,
    repetition: Repetition,
    logical: Option<LogicalType>,
    converted: ConvertedType,
) -> Result<Arc<Type>, FormatError> {
    let built = Type::group_type_builder(name)
        .with_fields(fields)
        .with_repetition(repetition)
        .with_converted_type(converted)
        .with_logical_type(logical)
        .build();
    Ok(Arc::new(built.map_err(engine)?))
}

fn repetition(field: &Field) -> Repetition {
    if field.is_nullable() { Repetition::OPTIONAL } else { Repetition::REQUIRED }
}

fn engine(error: ParquetError) -> FormatError {
    FormatError::engine("Parquet", error)
}
