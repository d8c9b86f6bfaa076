//! Growing columns, from which the newest values can be taken off again.

use arrow_buffer::{BooleanBufferBuilder, NullBuffer, NullBufferBuilder};

use super::Deserializer;
use super::error::{Fault, RecordError};
use super::members::Members;
use crate::formats::schema::HiveType;

/// The values of one column, of its items or of its fields.
#[derive(Debug)]
pub(super) struct Column {
    /// As the validity has it, which is too far away to be asked for every value.
    len: usize,
    validity: NullBufferBuilder,
    pub(super) values: Values,
    /// How many values a null of it writes: those of all fields within a struct, else one.
    pub(super) null_values: usize,
}

/// What a column holds. While a value is written it is ahead of the column's length.
#[derive(Debug)]
pub(super) enum Values {
    Boolean(BooleanBufferBuilder),
    TinyInt(Vec<i8>),
    SmallInt(Vec<i16>),
    Int(Vec<i32>),
    BigInt(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal {
        unscaled: Vec<i128>,
        precision: u8,
        scale: u8,
    },
    /// `string`, `char`, `varchar`.
    Text {
        bytes: Bytes,
        most_chars: Option<usize>,
    },
    Binary(Bytes),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    List(Ends, Box<Column>),
    Map(Box<MapValues>),
    Struct(Box<StructValues>),
}

/// Byte strings one behind the other.
#[derive(Debug)]
pub(super) struct Bytes {
    pub(super) ends: Ends,
    pub(super) bytes: Vec<u8>,
}

/// Where each value ends, after a 0.
#[derive(Debug)]
pub(super) struct Ends(pub(super) Vec<i32>);

#[derive(Debug)]
pub(super) struct MapValues {
    pub(super) ends: Ends,
    pub(super) keys: Column,
    pub(super) values: Column,
}

#[derive(Debug)]
pub(super) struct StructValues {
    pub(super) members: Members,
    pub(super) fields: Vec<Column>,
}

impl Column {
    pub(super) fn new(hive_type: &HiveType, deserializer: &Deserializer) -> Self {
        let values = match hive_type {
            HiveType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            HiveType::TinyInt => Values::TinyInt(Vec::new()),
            HiveType::SmallInt => Values::SmallInt(Vec::new()),
            HiveType::Int => Values::Int(Vec::new()),
            HiveType::BigInt => Values::BigInt(Vec::new()),
            HiveType::Float => Values::Float(Vec::new()),
            HiveType::Double => Values::Double(Vec::new()),
            HiveType::Decimal { precision, scale } => {
                Values::Decimal { unscaled: Vec::new(), precision: *precision, scale: *scale }
            }
            HiveType::String => Values::Text { bytes: Bytes::new(), most_chars: None },
            HiveType::Char(length) | HiveType::Varchar(length) => {
                Values::Text { bytes: Bytes::new(), most_chars: Some(usize::from(*length)) }
            }
            HiveType::Binary => Values::Binary(Bytes::new()),
            HiveType::Date => Values::Date(Vec::new()),
            HiveType::Timestamp => Values::Timestamp(Vec::new()),
            HiveType::Array(item) => Values::List(Ends::new(), Box::new(Self::new(item, deserializer))),
            HiveType::Map(key, value) => Values::Map(Box::new(MapValues {
                ends: Ends::new(),
                keys: Self::new(key, deserializer),
                values: Self::new(value, deserializer),
            })),
            HiveType::Struct(fields) => {
                let types = fields.iter().map(|field| (field.name.as_str(), &field.hive_type));
                Values::Struct(Box::new(StructValues::new(types, deserializer, false)))
            }
        };
        let null_values = match &values {
            Values::Struct(fields) => 1 + fields.fields.iter().map(|field| field.null_values).sum::<usize>(),
            _ => 1,
        };
        Self { len: 0, validity: NullBufferBuilder::new(0), values, null_values }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Ends the value that was written to [`Self::values`].
    #[inline]
    pub(super) fn written(&mut self) {
        self.len += 1;
        self.validity.append_non_null();
    }

    /// Empties the validity; the values have to go with it.
    pub(super) fn take_validity(&mut self) -> Option<NullBuffer> {
        self.len = 0;
        // A record that was refused may have left a mask without nulls, and writers count its bytes.
        self.validity.finish().filter(|nulls| nulls.null_count() > 0)
    }

    pub(super) fn push_null(&mut self) {
        match &mut self.values {
            Values::Boolean(bits) => bits.append(false),
            Values::TinyInt(list) => list.push(0),
            Values::SmallInt(list) => list.push(0),
            Values::Int(list) | Values::Date(list) => list.push(0),
            Values::BigInt(list) | Values::Timestamp(list) => list.push(0),
            Values::Float(list) => list.push(0.0),
            Values::Double(list) => list.push(0.0),
            Values::Decimal { unscaled, .. } => unscaled.push(0),
            Values::Text { bytes, .. } | Values::Binary(bytes) => bytes.ends.push_empty(),
            Values::List(ends, _) => ends.push_empty(),
            Values::Map(map) => map.ends.push_empty(),
            Values::Struct(fields) => fields.fields.iter_mut().for_each(Self::push_null),
        }
        self.len += 1;
        self.validity.append_null();
    }

    /// Takes off everything behind the first `len` values, a half-written one too.
    pub(super) fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Boolean(bits) => bits.truncate(len),
            Values::TinyInt(list) => list.truncate(len),
            Values::SmallInt(list) => list.truncate(len),
            Values::Int(list) | Values::Date(list) => list.truncate(len),
            Values::BigInt(list) | Values::Timestamp(list) => list.truncate(len),
            Values::Float(list) => list.truncate(len),
            Values::Double(list) => list.truncate(len),
            Values::Decimal { unscaled, .. } => unscaled.truncate(len),
            Values::Text { bytes, .. } | Values::Binary(bytes) => {
                let end = bytes.ends.truncate(len);
                bytes.bytes.truncate(end);
            }
            Values::List(ends, item) => {
                let end = ends.truncate(len);
                item.truncate(end);
            }
            Values::Map(map) => {
                let end = map.ends.truncate(len);
                map.keys.truncate(end);
                map.values.truncate(end);
            }
            Values::Struct(fields) => fields.fields.iter_mut().for_each(|field| field.truncate(len)),
        }
        self.len = self.len.min(len);
        self.validity.truncate(len);
    }

    /// Bytes that the values take.
    pub(super) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Boolean(bits) => bits.len() / 8,
            Values::TinyInt(list) => list.len(),
            Values::SmallInt(list) => size_of_val(list.as_slice()),
            Values::Int(list) | Values::Date(list) => size_of_val(list.as_slice()),
            Values::BigInt(list) | Values::Timestamp(list) => size_of_val(list.as_slice()),
            Values::Float(list) => size_of_val(list.as_slice()),
            Values::Double(list) => size_of_val(list.as_slice()),
            Values::Decimal { unscaled, .. } => size_of_val(unscaled.as_slice()),
            Values::Text { bytes, .. } | Values::Binary(bytes) => bytes.ends.bytes() + bytes.bytes.len(),
            Values::List(ends, item) => ends.bytes() + item.bytes(),
            Values::Map(map) => map.ends.bytes() + map.keys.bytes() + map.values.bytes(),
            Values::Struct(fields) => fields.bytes(),
        };
        values + self.validity.as_slice().map_or(0, <[u8]>::len)
    }
}

impl StructValues {
    /// `top` is whether the struct is the row itself.
    pub(super) fn new<'a>(
        types: impl Iterator<Item = (&'a str, &'a HiveType)> + Clone,
        deserializer: &Deserializer,
        top: bool,
    ) -> Self {
        let fields = types.clone().map(|(_, hive_type)| Column::new(hive_type, deserializer)).collect();
        Self { members: Members::new(types.map(|(name, _)| name), deserializer, top), fields }
    }

    pub(super) fn bytes(&self) -> usize {
        self.fields.iter().map(Column::bytes).sum()
    }

    /// Gives a null to each field that has none of row `row` yet; gives the number of values that these are.
    pub(super) fn complete(&mut self, row: usize) -> usize {
        let mut values = 0;
        for field in self.fields.iter_mut().filter(|field| field.len() == row) {
            field.push_null();
            values += field.null_values;
        }
        values
    }
}

impl Bytes {
    fn new() -> Self {
        Self { ends: Ends::new(), bytes: Vec::new() }
    }

    /// Value number `at`.
    pub(super) fn nth(&self, at: usize) -> &[u8] {
        let end = |at: usize| self.ends.0.get(at).and_then(|end| usize::try_from(*end).ok()).unwrap_or(0);
        self.bytes.get(end(at)..end(at + 1)).unwrap_or_default()
    }
}

impl Ends {
    fn new() -> Self {
        Self(vec![0])
    }

    pub(super) fn last(&self) -> usize {
        self.0.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
    }

    #[inline]
    pub(super) fn push(&mut self, end: usize) -> Result<(), Fault> {
        let end = i32::try_from(end).map_err(|_| too_much())?;
        self.0.push(end);
        Ok(())
    }

    fn push_empty(&mut self) {
        self.0.push(self.0.last().copied().unwrap_or(0));
    }

    /// Keeps the ends of `len` values and gives the last of them.
    fn truncate(&mut self, len: usize) -> usize {
        self.0.truncate(len + 1);
        self.last()
    }

    fn bytes(&self) -> usize {
        size_of_val(self.0.as_slice())
    }
}

#[cold]
fn too_much() -> Fault {
    RecordError::malformed_data("A column holds more than 2 GiB")
}
