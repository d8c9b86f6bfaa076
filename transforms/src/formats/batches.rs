//! What both writers ask of a batch: is it of the file's schema, and how much of it can be taken at a time.

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields, Schema};

use super::FormatError;

/// Refuses a batch whose columns are not those of `schema`, by number and type. Names are the schema's affair.
pub(crate) fn check(batch: &RecordBatch, schema: &Schema) -> Result<(), FormatError> {
    let (given, wanted) = (batch.num_columns(), schema.fields().len());
    if given != wanted {
        return Err(FormatError::Batch(format!("{given} columns in place of {wanted}")));
    }
    for (array, field) in batch.columns().iter().zip(schema.fields()) {
        if !array.data_type().equals_datatype(field.data_type()) {
            let (name, given, wanted) = (field.name(), array.data_type(), field.data_type());
            return Err(FormatError::Batch(format!("column {name} is {given} in place of {wanted}")));
        }
    }
    Ok(())
}

/// Cuts `batch` into slices of at most `rows` rows and about [`SLICE_BYTES`] each (but at least one row), so that what a writer
/// holds grows by little between two looks at its limit.
pub(crate) fn slices(batch: &RecordBatch, rows: usize) -> impl Iterator<Item = RecordBatch> {
    let total = batch.num_rows();
    let pieces = bytes(batch).div_ceil(SLICE_BYTES).max(1);
    let step = total.div_ceil(pieces).min(rows).max(1);
    (0..total).step_by(step).map(move |start| batch.slice(start, step.min(total - start)))
}

/// Bytes of the rows of `batch`; of arrays that share their buffers with others, their own part where that can be told.
pub(crate) fn bytes(batch: &RecordBatch) -> usize {
    let of_array =
        |array: &ArrayRef| array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size());
    batch.columns().iter().map(of_array).sum()
}

/// Leaf columns below `fields`: what both formats encode, and what their memory is booked by.
pub(crate) fn leaves(fields: &Fields) -> usize {
    fields.iter().map(|field| leaves_of(field.data_type())).sum()
}

fn leaves_of(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item) => leaves_of(item.data_type()),
        DataType::Map(entries, _) => leaves_of(entries.data_type()),
        DataType::Struct(fields) => leaves(fields),
        _ => 1,
    }
}

/// A megabyte is a few thousand ordinary rows.
const SLICE_BYTES: usize = 1024 * 1024;
