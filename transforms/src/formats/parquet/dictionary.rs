//! Which columns a dictionary pays for, told from their first values.

use std::hash::{DefaultHasher, Hash, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::ToByteSlice;
use arrow_schema::{DataType, TimeUnit};

/// For each leaf column, in the order of the file's columns, whether its values repeat in `batches`: at most half of them are
/// different. A column that has shown no value yet gets a dictionary; it costs nothing while it is empty.
pub(super) fn pays(batches: &[RecordBatch]) -> Vec<bool> {
    let mut leaves: Vec<Seen> = Vec::new();
    for batch in batches {
        let mut at = 0;
        for column in batch.columns() {
            look(column, &mut leaves, &mut at);
        }
    }
    leaves.into_iter().map(Seen::repeats).collect()
}

/// Hashes of values, those of null left out.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// Adds up to as many as are still wanted.
    fn add<T: AsRef<[u8]>>(&mut self, values: impl Iterator<Item = T>) {
        let room = MOST_VALUES.saturating_sub(self.0.len());
        self.0.extend(values.take(room).map(|value| hash(value.as_ref())));
    }

    fn repeats(mut self) -> bool {
        let all = self.0.len();
        self.0.sort_unstable();
        self.0.dedup();
        self.0.len() * 2 <= all
    }
}

/// Adds the values of the leaves of `array` to theirs; `at` counts the leaves.
fn look(array: &ArrayRef, leaves: &mut Vec<Seen>, at: &mut usize) {
    match array.data_type() {
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| look(column, leaves, at)),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            look(&within(list.value_offsets(), list.values()), leaves, at);
        }
        DataType::Map(..) => {
            let map = array.as_map();
            look(&within(map.value_offsets(), map.keys()), leaves, at);
            look(&within(map.value_offsets(), map.values()), leaves, at);
        }
        _ => {
            if leaves.len() <= *at {
                leaves.resize_with(*at + 1, Seen::default);
            }
            if let Some(seen) = leaves.get_mut(*at) {
                look_at_leaf(array, seen);
            }
            *at += 1;
        }
    }
}

/// The part of `values` that the lists between the offsets have; a slice of a list array keeps all values.
fn within(offsets: &[i32], values: &ArrayRef) -> ArrayRef {
    let bound = |offset: Option<&i32>| offset.and_then(|offset| usize::try_from(*offset).ok()).unwrap_or(0);
    let (first, last) = (bound(offsets.first()), bound(offsets.last()));
    values.slice(first, last.saturating_sub(first))
}

fn look_at_leaf(array: &ArrayRef, seen: &mut Seen) {
    match array.data_type() {
        DataType::Utf8 => seen.add(array.as_string::<i32>().iter().flatten()),
        DataType::Binary => seen.add(array.as_binary::<i32>().iter().flatten()),
        DataType::Int8 => look_at_primitive::<Int8Type>(array, seen),
        DataType::Int16 => look_at_primitive::<Int16Type>(array, seen),
        DataType::Int32 => look_at_primitive::<Int32Type>(array, seen),
        DataType::Int64 => look_at_primitive::<Int64Type>(array, seen),
        DataType::Float32 => look_at_primitive::<Float32Type>(array, seen),
        DataType::Float64 => look_at_primitive::<Float64Type>(array, seen),
        DataType::Date32 => look_at_primitive::<Date32Type>(array, seen),
        DataType::Decimal128(..) => look_at_primitive::<Decimal128Type>(array, seen),
        DataType::Timestamp(TimeUnit::Microsecond, _) => look_at_primitive::<TimestampMicrosecondType>(array, seen),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => look_at_primitive::<TimestampNanosecondType>(array, seen),
        // The format has no dictionaries of booleans; other types do not get here.
        _ => {}
    }
}

fn look_at_primitive<T: ArrowPrimitiveType>(array: &ArrayRef, seen: &mut Seen) {
    let room = MOST_VALUES.saturating_sub(seen.0.len());
    let values = array.as_primitive::<T>().iter().flatten().take(room);
    seen.0.extend(values.map(|value| hash(value.to_byte_slice())));
}

/// The same in every process: which columns get dictionaries must be a function of the records.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Of a column: enough to judge it by. Rows bound the columns, this the lists within them.
const MOST_VALUES: usize = 10_000;
