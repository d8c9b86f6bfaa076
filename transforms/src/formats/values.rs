//! For the tests of both writers: values out of batches, whatever their arrays are laid out like, and batches to write.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::ColumnWriter;
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

/// An id of its own for each row, a word of three, and a string of its own.
pub(crate) fn numbers(rows: i64) -> (SchemaRef, Vec<RecordBatch>) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("kind", DataType::Utf8, true),
        Field::new("name", DataType::Utf8, true),
    ]));
    let ids: Vec<_> = (0..rows).collect();
    let batch = |ids: &[i64]| {
        let id = Int64Array::from(ids.to_vec());
        let kind: StringArray = ids.iter().map(|id| Some(["a", "b", "c"][usize::try_from(id % 3).unwrap()])).collect();
        let name: StringArray = ids.iter().map(|id| Some(name(*id))).collect();
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(id), Arc::new(kind), Arc::new(name)]).unwrap()
    };
    let batches = ids.chunks(1_000).map(batch).collect();
    (schema, batches)
}

/// The string of the row with this id.
pub(crate) fn name(id: i64) -> String {
    format!("{:x}", id.wrapping_mul(0x9E37_79B9))
}

/// Lists of which one is null and has values below it all the same; the first batch is a slice of the second. Beside
/// them what the rows are.
pub(crate) fn below_nulls() -> (SchemaRef, [RecordBatch; 2], [&'static str; 5]) {
    let item = Arc::new(Field::new("array_element", DataType::Int64, true));
    let offsets = OffsetBuffer::from_lengths([2, 2, 1]);
    let items = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]));
    let list = ListArray::new(item, offsets, items, Some(vec![true, false, true].into()));
    let schema = Arc::new(Schema::new(vec![Field::new("l", list.data_type().clone(), true)]));
    let whole = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(list)]).unwrap();
    let (pair, single) = ("[List([Int(1), Int(2)])]", "[List([Int(5)])]");
    (schema, [whole.slice(1, 2), whole], ["[Null]", single, pair, "[Null]", single])
}

/// The file that `writer` makes of `batches`.
pub(crate) fn file(mut writer: Box<dyn ColumnWriter>, batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    for batch in batches {
        writer.write(batch, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    out
}
