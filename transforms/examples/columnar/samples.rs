//! Rows of every Hive type, the same for the same seed: extremes first, then chance.
//!
//! Made as plain values, of which both Arrow batches and NDJSON are made, so that what a reader finds in a file can be held
//! against what it should be.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

/// One value of any type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// Integers, unscaled decimals, days, nanoseconds.
    Int(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Struct(Vec<Value>),
}

/// A column of every type, and lists, maps and structs within each other to depth 3.
pub(crate) fn schema() -> SchemaRef {
    let text = DataType::Utf8;
    let place = structure(&[("lat", DataType::Float64), ("name", text.clone()), ("code", DataType::Int16)]);
    let attributes = map(text.clone(), list(DataType::Int64));
    let deep = list(structure(&[("name", text.clone()), ("attributes", attributes), ("at", timestamp())]));
    let columns = [
        ("id", DataType::Int64),
        ("flag", DataType::Boolean),
        ("tiny", DataType::Int8),
        ("small", DataType::Int16),
        ("whole", DataType::Int32),
        ("big", DataType::Int64),
        ("real", DataType::Float32),
        ("exact", DataType::Float64),
        ("price", DataType::Decimal128(10, 2)),
        ("huge", DataType::Decimal128(38, 10)),
        ("word", text.clone()),
        ("kind", text.clone()),
        ("letters", text.clone()),
        ("title", text.clone()),
        ("nothing", text.clone()),
        ("raw", DataType::Binary),
        ("day", DataType::Date32),
        ("moment", timestamp()),
        ("tags", list(text.clone())),
        ("counts", map(text.clone(), DataType::Int32)),
        ("place", place.clone()),
        ("places", map(DataType::Int32, place)),
        ("deep", deep),
    ];
    let fields = columns.into_iter().map(|(name, data_type)| {
        let field = Field::new(name, data_type, true);
        match name {
            "letters" => field.with_metadata([("hive.type".to_owned(), "char(5)".to_owned())].into()),
            "title" => field.with_metadata([("hive.type".to_owned(), "varchar(20)".to_owned())].into()),
            _ => field,
        }
    });
    Arc::new(Schema::new(fields.collect::<Fields>()))
}

/// So many rows, one value a column; ids count up from 0.
pub(crate) fn rows(seed: u64, count: usize) -> Vec<Vec<Value>> {
    let schema = schema();
    let mut chance = Chance(seed);
    (0..count)
        .map(|row| {
            let values = schema.fields().iter().map(|field| match field.name().as_str() {
                "id" => Value::Int(row as i128),
                "nothing" => Value::Null,
                "kind" => Value::Text(["view", "click", "buy", "größe"][chance.below(4)].to_owned()),
                name => value(field.data_type(), limit(name), &mut chance, shape(row)),
            });
            values.collect()
        })
        .collect()
}

/// Which values a row has.
#[derive(Clone, Copy, PartialEq)]
enum RowShape {
    Least,
    Most,
    Nulls,
    Empty,
    Chance,
}

fn shape(row: usize) -> RowShape {
    match row {
        0 => RowShape::Least,
        1 => RowShape::Most,
        2 => RowShape::Nulls,
        3 => RowShape::Empty,
        _ => RowShape::Chance,
    }
}

/// Characters of a string column.
fn limit(column: &str) -> usize {
    match column {
        "letters" => 5,
        "title" => 20,
        _ => 40,
    }
}

fn value(data_type: &DataType, limit: usize, chance: &mut Chance, shape: RowShape) -> Value {
    if shape == RowShape::Nulls || shape == RowShape::Chance && chance.below(7) == 0 {
        return Value::Null;
    }
    let within = |chance: &mut Chance, least: i128, most: i128| match shape {
        RowShape::Least => Value::Int(least),
        RowShape::Most => Value::Int(most),
        RowShape::Empty | RowShape::Nulls => Value::Int(0),
        RowShape::Chance => Value::Int(chance.between(least, most)),
    };
    match data_type {
        DataType::Boolean => Value::Bool(shape == RowShape::Most || shape == RowShape::Chance && chance.below(3) == 0),
        DataType::Int8 => within(chance, i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => within(chance, i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => within(chance, i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => within(chance, i64::MIN.into(), i64::MAX.into()),
        DataType::Float32 => single(chance, shape),
        DataType::Float64 => double(chance, shape),
        DataType::Decimal128(digits, _) => {
            let most = 10_i128.pow(u32::from(*digits)) - 1;
            within(chance, -most, most)
        }
        DataType::Utf8 => Value::Text(text(limit, chance, shape)),
        DataType::Binary => Value::Bytes(text(limit, chance, shape).bytes().map(|byte| byte ^ 0x95).collect()),
        // 1582-10-15, before which calendars differ, to 9999-12-31.
        DataType::Date32 => within(chance, -141_427, 2_932_896),
        // 1677-09-21 00:12:44, the first whole second, to 2262: readers of ORC compute with whole seconds before they add the rest.
        DataType::Timestamp(..) => moment(within(chance, -9_223_372_036_000_000_000, i64::MAX.into())),
        DataType::List(item) => {
            Value::List((0..items(chance, shape)).map(|_| value(item.data_type(), limit, chance, shape)).collect())
        }
        DataType::Map(entries, _) => {
            let (key, item) = pair(entries);
            let keys = (0..items(chance, shape)).map(|at| match key {
                DataType::Utf8 => Value::Text(format!("k{at}")),
                _ => Value::Int(at as i128),
            });
            let keys: Vec<_> = keys.collect();
            Value::Map(keys.into_iter().map(|key| (key, value(item, limit, chance, shape))).collect())
        }
        DataType::Struct(fields) => {
            Value::Struct(fields.iter().map(|field| value(field.data_type(), limit, chance, shape)).collect())
        }
        other => panic!("{other} is no Hive type"),
    }
}

/// ORC cannot hold the second before 1970 but for its first millisecond.
fn moment(value: Value) -> Value {
    match value {
        Value::Int(nanos) if (-1_000_000_000..0).contains(&nanos) => Value::Int(nanos - 1_000_000_000),
        other => other,
    }
}

fn single(chance: &mut Chance, shape: RowShape) -> Value {
    let value = match shape {
        RowShape::Least => f32::MIN,
        RowShape::Most => f32::MAX,
        RowShape::Empty | RowShape::Nulls => 0.0,
        RowShape::Chance => match chance.below(50) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => f32::MIN_POSITIVE,
            _ => f32::from(chance.short()) / 64.0,
        },
    };
    Value::Float(f64::from(value))
}

fn double(chance: &mut Chance, shape: RowShape) -> Value {
    Value::Float(match shape {
        RowShape::Least => f64::MIN,
        RowShape::Most => f64::MAX,
        RowShape::Empty | RowShape::Nulls => 0.0,
        RowShape::Chance => match chance.below(50) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => f64::MIN_POSITIVE,
            _ => f64::from(chance.short()) * f64::from(chance.short()) / 1_000.0,
        },
    })
}

fn text(limit: usize, chance: &mut Chance, shape: RowShape) -> String {
    match shape {
        RowShape::Least => "\u{1}".repeat(limit.min(3)),
        RowShape::Most => "\u{10FFFF}".repeat(limit),
        RowShape::Empty | RowShape::Nulls => String::new(),
        RowShape::Chance if chance.below(8) == 0 => String::new(),
        RowShape::Chance => {
            let length = chance.below(limit) + 1;
            (0..length).map(|_| LETTERS[chance.below(LETTERS.len())]).collect()
        }
    }
}

fn items(chance: &mut Chance, shape: RowShape) -> usize {
    match shape {
        RowShape::Least => 1,
        RowShape::Most => 3,
        RowShape::Empty | RowShape::Nulls => 0,
        RowShape::Chance => chance.below(4),
    }
}

/// Types of key and value of a map.
pub(crate) fn pair(entries: &Field) -> (&DataType, &DataType) {
    let DataType::Struct(fields) = entries.data_type() else { panic!("a map has entries") };
    (fields[0].data_type(), fields[1].data_type())
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, None)
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("array_element", item, true)))
}

fn map(key: DataType, value: DataType) -> DataType {
    let pair = [Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("map", DataType::Struct(pair.into_iter().collect()), false)), false)
}

fn structure(fields: &[(&str, DataType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, data_type)| Field::new(*name, data_type.clone(), true)).collect())
}

/// splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }

    fn short(&mut self) -> i16 {
        i16::try_from(self.between(-32_768, 32_767)).expect("within its range")
    }

    /// Wide ranges give small numbers half of the time.
    fn between(&mut self, least: i128, most: i128) -> i128 {
        let wide = i128::from(self.next()) << 63 | i128::from(self.next());
        if least < -500 && most > 500 && self.below(2) == 0 {
            return wide % 500;
        }
        match most.checked_sub(least) {
            Some(span) => least + wide.rem_euclid(span + 1),
            // Decimals of 38 digits: more than half of what 128 bits hold.
            None => wide % (most + 1),
        }
    }
}

const LETTERS: &[char] = &['a', 'b', 'Z', ' ', '"', '\\', '\n', 'ß', '日', '本', '€', '𝄞', '\u{7f}', '0', '9'];
