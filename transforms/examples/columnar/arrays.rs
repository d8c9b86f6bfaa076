//! Arrow batches of sample rows.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray, PrimitiveArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, SchemaRef};

use super::samples::{Value, pair};

/// The Arrow batch of `rows`.
pub(crate) fn batch(schema: &SchemaRef, rows: &[Vec<Value>]) -> RecordBatch {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let values: Vec<_> = rows.iter().map(|row| row[at].clone()).collect();
        array(field.data_type(), &values)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect()).expect("arrays of the schema's types")
}

/// The array of `values`.
pub(crate) fn array(data_type: &DataType, values: &[Value]) -> ArrayRef {
    match data_type {
        DataType::Boolean => Arc::new(values.iter().map(boolean).collect::<BooleanArray>()),
        DataType::Int8 => Arc::new(integers::<Int8Type>(values)),
        DataType::Int16 => Arc::new(integers::<Int16Type>(values)),
        DataType::Int32 => Arc::new(integers::<Int32Type>(values)),
        DataType::Int64 => Arc::new(integers::<Int64Type>(values)),
        DataType::Date32 => Arc::new(integers::<Date32Type>(values)),
        DataType::Timestamp(..) => Arc::new(integers::<TimestampNanosecondType>(values)),
        DataType::Decimal128(precision, scale) => {
            let decimals: Decimal128Array = integers::<Decimal128Type>(values);
            Arc::new(decimals.with_precision_and_scale(*precision, *scale).expect("the schema's precision"))
        }
        DataType::Float32 => {
            Arc::new(values.iter().map(|v| float(v).map(single)).collect::<PrimitiveArray<Float32Type>>())
        }
        DataType::Float64 => Arc::new(values.iter().map(float).collect::<PrimitiveArray<Float64Type>>()),
        DataType::Utf8 => Arc::new(values.iter().map(string).collect::<StringArray>()),
        DataType::Binary => Arc::new(values.iter().map(bytes).collect::<BinaryArray>()),
        DataType::List(item) => {
            let lists: Vec<&[Value]> = values.iter().map(list_items).collect();
            let items = array(item.data_type(), &lists.concat());
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
            Arc::new(ListArray::new(Arc::clone(item), offsets, items, Some(valid(values))))
        }
        DataType::Map(entries, _) => {
            let maps: Vec<&[(Value, Value)]> = values.iter().map(map_pairs).collect();
            let offsets = OffsetBuffer::from_lengths(maps.iter().map(|map| map.len()));
            let (keys, items): (Vec<_>, Vec<_>) = maps.concat().into_iter().unzip();
            let (key, item) = pair(entries);
            let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
            let pairs = StructArray::new(fields.clone(), vec![array(key, &keys), array(item, &items)], None);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, Some(valid(values)), false))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().enumerate().map(|(at, field)| {
                let inner: Vec<_> = values.iter().map(|value| member(value, at)).collect();
                array(field.data_type(), &inner)
            });
            Arc::new(StructArray::new(fields.clone(), columns.collect(), Some(valid(values))))
        }
        other => panic!("{other} is no Hive type"),
    }
}

fn integers<T: ArrowPrimitiveType<Native: TryFrom<i128>>>(values: &[Value]) -> PrimitiveArray<T> {
    let of = |value: &Value| match value {
        Value::Int(value) => T::Native::try_from(*value).ok(),
        _ => None,
    };
    values.iter().map(of).collect()
}

fn boolean(value: &Value) -> Option<bool> {
    if let Value::Bool(value) = value { Some(*value) } else { None }
}

/// Of a value that is one in truth.
#[expect(clippy::cast_possible_truncation, reason = "the samples of this type are made of singles")]
fn single(value: f64) -> f32 {
    value as f32
}

fn float(value: &Value) -> Option<f64> {
    if let Value::Float(value) = value { Some(*value) } else { None }
}

fn string(value: &Value) -> Option<&str> {
    if let Value::Text(value) = value { Some(value) } else { None }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::Bytes(value) = value { Some(value) } else { None }
}

fn list_items(value: &Value) -> &[Value] {
    if let Value::List(values) = value { values } else { &[] }
}

fn map_pairs(value: &Value) -> &[(Value, Value)] {
    if let Value::Map(pairs) = value { pairs } else { &[] }
}

/// A field of a struct. Below a null struct lies a value that no reader may see, where there can be one.
fn member(value: &Value, at: usize) -> Value {
    if let Value::Struct(values) = value { values[at].clone() } else { Value::Text("hidden".to_owned()) }
}

fn valid(values: &[Value]) -> NullBuffer {
    values.iter().map(|value| *value != Value::Null).collect::<Vec<_>>().into()
}
