//! The file's types, and the columns that write them, of an Arrow schema.
//!
//! Types and columns are numbered as they come when each is followed by those below it, from the root, which is 0.

use arrow_array::types::{BinaryType, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, Utf8Type};
use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::bloom::Bloom;
use super::column::{Column, Shape};
use super::integers::Integers;
use super::leaves::{Booleans, Bytes, Dates, Decimals, Direct, Floats, Keyed, Leaf, Timestamps, Whole};
use super::proto::{Type, TypeKind};
use super::statistics::Kind;
use super::{Compression, FormatVersion, Options};
use crate::formats::FormatError;

/// The root column of a file of `fields`, and the types of all columns.
pub(super) fn root(fields: &Fields, options: &Options) -> Result<(Column, Vec<Type>), FormatError> {
    if fields.is_empty() {
        return Err(FormatError::schema("(root)", "a file must have at least one column"));
    }
    check_blooms(fields, options)?;
    let mut making = Making { options, types: Vec::new() };
    let root = making.structure(fields, "")?;
    Ok((root, making.types))
}

struct Making<'a> {
    options: &'a Options,
    types: Vec<Type>,
}

impl Making<'_> {
    fn column(&mut self, field: &Field, path: &str) -> Result<Column, FormatError> {
        match field.data_type() {
            DataType::Struct(fields) if fields.is_empty() => {
                Err(FormatError::schema(path, "a struct must have at least one field in ORC"))
            }
            DataType::Struct(fields) => self.structure(fields, &format!("{path}.")),
            DataType::List(item) => self.items(TypeKind::List, &[item.as_ref()], path),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(pair) => {
                    let pair: Vec<_> = pair.iter().map(AsRef::as_ref).collect();
                    self.items(TypeKind::Map, &pair, path)
                }
                _ => Err(FormatError::schema(path, "a map without key and value")),
            },
            _ => self.leaf(field, path),
        }
    }

    fn structure(&mut self, fields: &Fields, prefix: &str) -> Result<Column, FormatError> {
        let at = self.add(Type { kind: Some(TypeKind::Struct.into()), ..Type::default() });
        let mut children = Vec::new();
        for field in fields {
            let number = self.next();
            children.push(self.column(field, &format!("{prefix}{}", field.name()))?);
            if let Some(own) = self.types.get_mut(at) {
                own.subtypes.push(number);
                own.field_names.push(field.name().clone());
            }
        }
        Ok(Column::new(Shape::Struct, Kind::Plain, None, children, self.options.compression))
    }

    fn items(&mut self, kind: TypeKind, fields: &[&Field], path: &str) -> Result<Column, FormatError> {
        let at = self.add(Type { kind: Some(kind.into()), ..Type::default() });
        let mut children = Vec::new();
        for field in fields {
            let number = self.next();
            children.push(self.column(field, &format!("{path}.{}", field.name()))?);
            if let Some(own) = self.types.get_mut(at) {
                own.subtypes.push(number);
            }
        }
        let (version, compression) = (self.options.format_version, self.options.compression);
        let shape = Shape::Items(version, Integers::unsigned(version, compression));
        Ok(Column::new(shape, Kind::collections(), None, children, compression))
    }

    fn leaf(&mut self, field: &Field, path: &str) -> Result<Column, FormatError> {
        let (version, compression) = (self.options.format_version, self.options.compression);
        let own = leaf_type(field, path)?;
        let (leaf, kind) = encoder(field.data_type(), self.options, version, compression)
            .ok_or_else(|| FormatError::schema(path, format!("no ORC type for {}", field.data_type())))?;
        self.add(own);
        let bloom = self
            .wants_bloom(path)
            .then(|| Bloom::new(self.options.row_index_stride, self.options.bloom_filter_false_positive_probability));
        Ok(Column::new(Shape::Leaf(leaf), kind, bloom, Vec::new(), compression))
    }

    fn wants_bloom(&self, path: &str) -> bool {
        self.options.bloom_filter_columns.iter().any(|name| name.eq_ignore_ascii_case(path))
    }

    fn add(&mut self, one: Type) -> usize {
        self.types.push(one);
        self.types.len() - 1
    }

    /// Number of the type that is added next.
    fn next(&self) -> u32 {
        u32::try_from(self.types.len()).unwrap_or(u32::MAX)
    }
}

fn leaf_type(field: &Field, path: &str) -> Result<Type, FormatError> {
    let mut own = Type::default();
    let kind = match field.data_type() {
        DataType::Boolean => TypeKind::Boolean,
        DataType::Int8 => TypeKind::Byte,
        DataType::Int16 => TypeKind::Short,
        DataType::Int32 => TypeKind::Int,
        DataType::Int64 => TypeKind::Long,
        DataType::Float32 => TypeKind::Float,
        DataType::Float64 => TypeKind::Double,
        DataType::Binary => TypeKind::Binary,
        DataType::Date32 => TypeKind::Date,
        DataType::Timestamp(TimeUnit::Nanosecond, None) => TypeKind::Timestamp,
        DataType::Utf8 => text_type(field, path, &mut own)?,
        DataType::Decimal128(precision, scale) => {
            own.precision = Some((*precision).into());
            let scale = u32::try_from(*scale);
            own.scale = Some(scale.map_err(|_| FormatError::schema(path, "a decimal of negative scale"))?);
            TypeKind::Decimal
        }
        other => return Err(FormatError::schema(path, format!("no ORC type for {other}"))),
    };
    own.kind = Some(kind.into());
    Ok(own)
}

/// string, or what the field's metadata calls it: `char(n)`, `varchar(n)`.
fn text_type(field: &Field, path: &str, own: &mut Type) -> Result<TypeKind, FormatError> {
    let hive = field.metadata().get(HIVE_TYPE).map_or("string", String::as_str).to_ascii_lowercase();
    let (name, length) = hive.split_once('(').map_or((hive.as_str(), None), |(name, rest)| (name, Some(rest)));
    let kind = match name.trim() {
        "char" => TypeKind::Char,
        "varchar" => TypeKind::Varchar,
        _ => return Ok(TypeKind::String),
    };
    let length = length.and_then(|length| length.trim().strip_suffix(')')?.trim().parse().ok());
    own.maximum_length = Some(length.ok_or_else(|| FormatError::schema(path, format!("{hive} is no type")))?);
    Ok(kind)
}

fn encoder(
    data_type: &DataType,
    options: &Options,
    version: FormatVersion,
    compression: Compression,
) -> Option<(Box<dyn Leaf>, Kind)> {
    let made: (Box<dyn Leaf>, Kind) = match data_type {
        DataType::Boolean => (Box::new(Booleans::new(compression)), Kind::Booleans(0)),
        DataType::Int8 => (Box::new(Bytes::new(compression)), Kind::integers()),
        DataType::Int16 => (Box::new(Whole::<Int16Type>::new(version, compression)), Kind::integers()),
        DataType::Int32 => (Box::new(Whole::<Int32Type>::new(version, compression)), Kind::integers()),
        DataType::Int64 => (Box::new(Whole::<Int64Type>::new(version, compression)), Kind::integers()),
        DataType::Float32 => (Box::new(Floats::<Float32Type>::new(compression)), Kind::floats()),
        DataType::Float64 => (Box::new(Floats::<Float64Type>::new(compression)), Kind::floats()),
        DataType::Binary => (Box::new(Direct::<BinaryType>::new(version, compression)), Kind::Binaries(0)),
        DataType::Date32 => (Box::new(Dates::new(version, compression)), Kind::Dates(None)),
        DataType::Timestamp(..) => (Box::new(Timestamps::new(version, compression)), Kind::Timestamps(None)),
        DataType::Decimal128(_, scale) => {
            (Box::new(Decimals::new(*scale, version, compression)), Kind::decimals(*scale))
        }
        DataType::Utf8 if options.dictionary_key_threshold > 0.0 => {
            (Box::new(Keyed::new(options.dictionary_key_threshold, version, compression)), Kind::texts())
        }
        DataType::Utf8 => (Box::new(Direct::<Utf8Type>::new(version, compression)), Kind::texts()),
        _ => return None,
    };
    Some(made)
}

/// Each column that is to have a bloom filter must be one of the table that can.
fn check_blooms(fields: &Fields, options: &Options) -> Result<(), FormatError> {
    for name in &options.bloom_filter_columns {
        let named = fields.iter().find(|field| field.name().eq_ignore_ascii_case(name));
        let can = named.is_some_and(|field| {
            !matches!(
                field.data_type(),
                DataType::Boolean | DataType::Struct(_) | DataType::List(_) | DataType::Map(..)
            )
        });
        if !can {
            let rule = "columns of the table that are neither boolean nor array, map or struct";
            return Err(FormatError::Option { field: "BloomFilterColumns", rule, value: name.clone() });
        }
    }
    Ok(())
}

/// Metadata of a field: its Hive type, where Arrow's says less.
const HIVE_TYPE: &str = "hive.type";
