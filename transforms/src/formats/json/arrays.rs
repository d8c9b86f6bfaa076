//! Columns as Arrow arrays. The vectors are handed over, not copied.

use std::mem::take;
use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampNanosecondType,
};
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Fields};

use super::column::{Bytes, Column, Ends, Values};

/// Takes the values out of `columns`, which have `fields` for Arrow.
pub(super) fn arrays(columns: &mut [Column], fields: &Fields) -> Result<Vec<ArrayRef>, ArrowError> {
    columns.iter_mut().zip(fields).map(|(column, field)| array(column, field.data_type())).collect()
}

fn array(column: &mut Column, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let len = column.len();
    let nulls = column.take_validity();
    Ok(match (&mut column.values, data_type) {
        (Values::Boolean(bits), _) => Arc::new(BooleanArray::new(bits.finish(), nulls)),
        (Values::TinyInt(list), _) => primitive::<Int8Type>(list, nulls)?,
        (Values::SmallInt(list), _) => primitive::<Int16Type>(list, nulls)?,
        (Values::Int(list), _) => primitive::<Int32Type>(list, nulls)?,
        (Values::BigInt(list), _) => primitive::<Int64Type>(list, nulls)?,
        (Values::Float(list), _) => primitive::<Float32Type>(list, nulls)?,
        (Values::Double(list), _) => primitive::<Float64Type>(list, nulls)?,
        (Values::Date(list), _) => primitive::<Date32Type>(list, nulls)?,
        (Values::Timestamp(list), _) => primitive::<TimestampNanosecondType>(list, nulls)?,
        (Values::Decimal { unscaled, precision, scale }, _) => {
            let array = Decimal128Array::try_new(again(unscaled).into(), nulls)?;
            let scale = i8::try_from(*scale).unwrap_or(i8::MAX);
            Arc::new(array.with_precision_and_scale(*precision, scale)?)
        }
        (Values::Text { bytes, .. }, _) => {
            let (ends, bytes) = handed(bytes);
            Arc::new(StringArray::try_new(ends, bytes, nulls)?)
        }
        (Values::Binary(bytes), _) => {
            let (ends, bytes) = handed(bytes);
            Arc::new(BinaryArray::try_new(ends, bytes, nulls)?)
        }
        (Values::List(ends, item), DataType::List(field)) => {
            let items = array(item, field.data_type())?;
            Arc::new(ListArray::try_new(Arc::clone(field), offsets(ends), items, nulls)?)
        }
        (Values::Map(map), DataType::Map(field, sorted)) => {
            let DataType::Struct(entry) = field.data_type() else { return Err(misfit(data_type)) };
            let [key, value] = entry.as_ref() else { return Err(misfit(data_type)) };
            let both = vec![array(&mut map.keys, key.data_type())?, array(&mut map.values, value.data_type())?];
            let entries = StructArray::try_new(entry.clone(), both, None)?;
            Arc::new(MapArray::try_new(Arc::clone(field), offsets(&mut map.ends), entries, nulls, *sorted)?)
        }
        (Values::Struct(fields), DataType::Struct(arrow)) => {
            let inner = arrays(&mut fields.fields, arrow)?;
            Arc::new(StructArray::try_new_with_length(arrow.clone(), inner, nulls, len)?)
        }
        (Values::List(..) | Values::Map(_) | Values::Struct(_), _) => return Err(misfit(data_type)),
    })
}

fn misfit(data_type: &DataType) -> ArrowError {
    ArrowError::SchemaError(format!("the column is none of {data_type}"))
}

fn primitive<T: ArrowPrimitiveType>(
    list: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(PrimitiveArray::<T>::try_new(ScalarBuffer::from(again(list)), nulls)?))
}

fn handed(values: &mut Bytes) -> (OffsetBuffer<i32>, Buffer) {
    (offsets(&mut values.ends), Buffer::from_vec(again(&mut values.bytes)))
}

fn offsets(ends: &mut Ends) -> OffsetBuffer<i32> {
    let all = again(&mut ends.0);
    ends.0.push(0);
    OffsetBuffer::new(ScalarBuffer::from(all))
}

/// Takes the values out of `list` and leaves room for as many more: batches of a stream resemble each other.
fn again<T>(list: &mut Vec<T>) -> Vec<T> {
    let room = Vec::with_capacity(list.len());
    let mut taken = take(list);
    *list = room;
    // A large record that was refused leaves much room behind, and a batch may be kept for long.
    if taken.capacity() / 4 > taken.len().max(FEW) {
        taken.shrink_to_fit();
    }
    taken
}

/// Values whose room is not worth giving back.
const FEW: usize = 1_024;
