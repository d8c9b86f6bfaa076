//! What the file holds in place of what the batches have: timestamps in the file's unit.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, RecordBatch, StructArray, TimestampMicrosecondArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use super::TimestampUnit;

/// The schema that batches of `schema` are stored under.
pub(super) fn schema(schema: &Schema, unit: TimestampUnit) -> SchemaRef {
    Arc::new(Schema::new(fields(schema.fields(), unit)))
}

fn fields(all: &Fields, unit: TimestampUnit) -> Fields {
    all.iter().map(|one| field(one, unit)).collect()
}

fn field(field: &Field, unit: TimestampUnit) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, None) if unit == TimestampUnit::Micros => {
            DataType::Timestamp(TimeUnit::Microsecond, None)
        }
        DataType::List(item) => DataType::List(self::field(item, unit)),
        DataType::Struct(inner) => DataType::Struct(fields(inner, unit)),
        DataType::Map(entries, sorted) => DataType::Map(self::field(entries, unit), *sorted),
        other => other.clone(),
    };
    Arc::new(field.clone().with_data_type(data_type))
}

/// `batch` under the schema that [`schema`] made of its own.
pub(super) fn batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| array(column, field.data_type())).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// `given` as an array of `wanted`. What is the same already is shared, not copied.
fn array(given: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if given.data_type() == wanted {
        return Ok(Arc::clone(given));
    }
    match wanted {
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            let micros: TimestampMicrosecondArray =
                given.as_primitive::<TimestampNanosecondType>().unary(|nanos| nanos.div_euclid(1_000));
            Ok(Arc::new(micros))
        }
        DataType::List(item) => {
            let (_, offsets, values, nulls) = given.as_list::<i32>().clone().into_parts();
            let values = array(&values, item.data_type())?;
            Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
        }
        DataType::Map(entries, sorted) => {
            let (_, offsets, pairs, nulls, _) = given.as_map().clone().into_parts();
            let pairs = array(&(Arc::new(pairs) as ArrayRef), entries.data_type())?;
            let pairs = pairs.as_struct().clone();
            Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted)?))
        }
        DataType::Struct(wanted) => {
            let (_, columns, nulls) = given.as_struct().clone().into_parts();
            let columns = columns.iter().zip(wanted).map(|(column, field)| array(column, field.data_type()));
            Ok(Arc::new(StructArray::try_new(wanted.clone(), columns.collect::<Result<_, _>>()?, nulls)?))
        }
        // Only names and metadata differ, which arrays of these types do not have.
        _ => Ok(Arc::clone(given)),
    }
}
