//! Values out of batches, for tests: what a reader made of a file, whatever its arrays are laid out like.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, TimeUnit};

use super::samples::Value;

/// Every row, written out: so that one not-a-number is like another.
pub(crate) fn rows(batches: &[RecordBatch]) -> Vec<String> {
    let rows = batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| (batch, row)));
    rows.map(|(batch, row)| {
        let values: Vec<_> = batch.columns().iter().map(|column| value(column, row)).collect();
        format!("{values:?}")
    })
    .collect()
}

/// The value of `array` at `row`.
pub(crate) fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => integer::<Int8Type>(array, row),
        DataType::Int16 => integer::<Int16Type>(array, row),
        DataType::Int32 => integer::<Int32Type>(array, row),
        DataType::Int64 => integer::<Int64Type>(array, row),
        DataType::Date32 => integer::<Date32Type>(array, row),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => integer::<TimestampNanosecondType>(array, row),
        DataType::Timestamp(TimeUnit::Microsecond, _) => integer::<TimestampMicrosecondType>(array, row),
        DataType::Decimal128(..) => integer::<Decimal128Type>(array, row),
        DataType::Float32 => Value::Float(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        DataType::List(_) => Value::List(all(&array.as_list::<i32>().value(row))),
        DataType::Map(..) => {
            let pairs = array.as_map().value(row);
            Value::Map(all(pairs.column(0)).into_iter().zip(all(pairs.column(1))).collect())
        }
        DataType::Struct(_) => {
            Value::Struct(array.as_struct().columns().iter().map(|column| value(column, row)).collect())
        }
        other => panic!("{other} is no Hive type"),
    }
}

fn all(array: &ArrayRef) -> Vec<Value> {
    (0..array.len()).map(|row| value(array, row)).collect()
}

fn integer<T: ArrowPrimitiveType<Native: Into<i128>>>(array: &ArrayRef, row: usize) -> Value {
    Value::Int(array.as_primitive::<T>().value(row).into())
}
