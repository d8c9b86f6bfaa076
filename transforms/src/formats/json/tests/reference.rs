//! The decoder against a naive one: a tree of values, walked by the rules as the contract's table has them.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::formats::schema::{HiveType, StructField};

/// Draws from bytes that proptest chose, and noughts when they have run out.
struct Draw<'a>(std::slice::Iter<'a, u8>);

impl Draw<'_> {
    fn below(&mut self, end: u8) -> u8 {
        self.0.next().copied().unwrap_or(0) % end
    }

    fn name(&mut self) -> String {
        ["a", "b", "c", "d_e", "long_enough_for_more_than_eight"][usize::from(self.below(5))].to_owned()
    }

    fn hive_type(&mut self, depth: u8) -> HiveType {
        match self.below(if depth == 0 { 10 } else { 16 }) {
            0 => HiveType::String,
            1 => HiveType::BigInt,
            2 => HiveType::Double,
            3 => HiveType::Boolean,
            4 => HiveType::TinyInt,
            5 => HiveType::Int,
            6 => HiveType::Decimal { precision: 7, scale: 2 },
            7 => HiveType::Varchar(3),
            8 => HiveType::SmallInt,
            9 => HiveType::Float,
            10 | 11 => HiveType::Array(Box::new(self.hive_type(depth - 1))),
            12 => HiveType::Map(Box::new(HiveType::String), Box::new(self.hive_type(depth - 1))),
            13 => HiveType::Map(Box::new(HiveType::Int), Box::new(self.hive_type(depth - 1))),
            _ => HiveType::Struct(self.fields(depth - 1)),
        }
    }

    fn fields(&mut self, depth: u8) -> Vec<StructField> {
        let mut fields: Vec<StructField> = Vec::new();
        for _ in 0..=self.below(4) {
            let name = self.name();
            if fields.iter().all(|field| field.name != name) {
                fields.push(StructField { name, hive_type: self.hive_type(depth) });
            }
        }
        fields
    }

    /// A value that mostly fits.
    fn value(&mut self, hive_type: &HiveType, depth: u8) -> Value {
        match (self.below(24), hive_type) {
            (0, _) => Value::Null,
            (1, _) => self.anything(depth),
            (_, HiveType::Boolean) => json!(self.below(2) == 0),
            (_, HiveType::Array(item)) => {
                let count = self.below(4);
                (0..count).map(|_| self.value(item, depth.saturating_sub(1))).collect()
            }
            (_, HiveType::Map(_, item)) => {
                let count = self.below(4);
                let entries = (0..count).map(|_| {
                    let key = if self.below(2) == 0 { json!(self.below(9)).to_string() } else { self.name() };
                    (key, self.value(item, depth.saturating_sub(1)))
                });
                entries.collect::<Map<_, _>>().into()
            }
            (_, HiveType::Struct(fields)) => self.object(fields, depth.saturating_sub(1)),
            (_, HiveType::String | HiveType::Varchar(_)) => json!(self.text()),
            (drawn, _) => {
                let whole = i64::from(self.below(250)) - 125;
                match drawn {
                    2 => json!(whole.to_string()),
                    3 => json!(whole * 1_000_003),
                    // Quarters, which are exact and print short.
                    4 => json!(f64::from(i32::try_from(whole).expect("small")) / 4.0),
                    5 => json!(format!("{whole}.5")),
                    _ => json!(whole),
                }
            }
        }
    }

    fn object(&mut self, fields: &[StructField], depth: u8) -> Value {
        let mut object = Map::new();
        for field in fields {
            match self.below(12) {
                0 => {}
                1 => {
                    object.insert(field.name.to_uppercase(), self.value(&field.hive_type, depth));
                }
                _ => {
                    object.insert(field.name.clone(), self.value(&field.hive_type, depth));
                }
            }
        }
        if self.below(3) == 0 {
            object.insert("undeclared".to_owned(), self.anything(2));
        }
        object.into()
    }

    fn text(&mut self) -> String {
        ["", "x", "true", "12", "-3.5", "é😀", "a \"quoted\" \\ text\n\twith more than eight", "\u{1}"]
            [usize::from(self.below(8))]
        .to_owned()
    }

    fn anything(&mut self, depth: u8) -> Value {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => json!(self.below(200)),
            1 => json!(self.text()),
            2 => json!(true),
            3 => json!(-0.25),
            4 => (0..self.below(3)).map(|_| self.anything(depth - 1)).collect(),
            _ => json!({self.name(): self.anything(depth - 1)}),
        }
    }
}

/// What OpenX makes of `value`, shown as [`shown`] shows it; nothing where it does not fit.
fn reference(hive_type: &HiveType, value: &Value) -> Option<Value> {
    if value.is_null() {
        return Some(Value::Null);
    }
    let whole = |least: i64, most: i64| {
        let number = match value {
            Value::Number(number) if number.is_f64() => {
                number.as_f64().map(f64::trunc).and_then(|number| format!("{number}").parse().ok())?
            }
            Value::Number(number) => number.as_i64()?,
            Value::String(text) => text.parse().ok()?,
            _ => return None,
        };
        (least..=most).contains(&number).then(|| json!(number))
    };
    let number = || match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if text.parse::<f64>().is_ok() => Some(text.clone()),
        _ => None,
    };
    match hive_type {
        HiveType::Boolean => match value {
            Value::Bool(boolean) => Some(json!(boolean)),
            Value::String(text) => text.parse::<bool>().ok().map(|boolean| json!(boolean)),
            _ => None,
        },
        HiveType::TinyInt => whole(-128, 127),
        HiveType::SmallInt => whole(-32_768, 32_767),
        HiveType::Int => whole(i32::MIN.into(), i32::MAX.into()),
        HiveType::BigInt => whole(i64::MIN, i64::MAX),
        HiveType::Double => Some(json!(number()?.parse::<f64>().ok()?)),
        HiveType::Float => Some(json!(f64::from(number()?.parse::<f32>().ok()?))),
        HiveType::Decimal { .. } => hundredths(&number()?),
        HiveType::String | HiveType::Varchar(_) => {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let most = if *hive_type == HiveType::String { usize::MAX } else { 3 };
            Some(json!(text.chars().take(most).collect::<String>()))
        }
        HiveType::Array(item) => {
            let items = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            items.iter().map(|value| reference(item, value)).collect()
        }
        HiveType::Map(key, item) => {
            let mut entries: Vec<(Value, Value)> = Vec::new();
            for (name, value) in value.as_object()? {
                let key = reference(key, &json!(name.to_lowercase()))?;
                entries.retain(|(earlier, _)| *earlier != key);
                entries.push((key, reference(item, value)?));
            }
            Some(entries.into_iter().map(|(key, value)| json!([key, value])).collect())
        }
        HiveType::Struct(fields) => fields_of(fields, value),
        _ => unreachable!("never drawn"),
    }
}

/// A decimal of scale 2, in which quarters and halves are exact in a double.
fn hundredths(number: &str) -> Option<Value> {
    let hundredths = number.parse::<f64>().ok()? * 100.0;
    (hundredths.abs() < 1e7)
        .then(|| json!(format!("{:.2}", hundredths / 100.0)).to_string().replace("-0.00", "0.00"))
        .and_then(|text| serde_json::from_str(&text).ok())
}

fn fields_of(fields: &[StructField], value: &Value) -> Option<Value> {
    let mut row = Map::new();
    for (at, field) in fields.iter().enumerate() {
        let member = match value {
            Value::Array(items) => items.get(at),
            Value::Object(object) => object.get(&field.name).or_else(|| object.get(&field.name.to_uppercase())),
            _ => return None,
        };
        row.insert(field.name.clone(), member.map_or(Some(Value::Null), |value| reference(&field.hive_type, value))?);
    }
    Some(row.into())
}

/// The same object, written as differently as JSON allows: spaces, escapes, and each member a second time before.
fn respelled(value: &Value, draw: &mut Draw<'_>, to: &mut String) {
    let space =
        |draw: &mut Draw<'_>, to: &mut String| to.push_str(["", "", " ", "\n\t", "  \r\n"][usize::from(draw.below(5))]);
    space(draw, to);
    match value {
        Value::String(text) => quoted(text, draw, to),
        Value::Array(items) => {
            to.push('[');
            for (at, item) in items.iter().enumerate() {
                to.push_str(if at == 0 { "" } else { "," });
                respelled(item, draw, to);
            }
            space(draw, to);
            to.push(']');
        }
        Value::Object(members) => {
            to.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                to.push_str(if at == 0 { "" } else { "," });
                for twice in 0..=draw.below(2) {
                    to.push_str(if twice == 0 { "" } else { "," });
                    space(draw, to);
                    quoted(key, draw, to);
                    space(draw, to);
                    to.push(':');
                    respelled(value, draw, to);
                    space(draw, to);
                }
            }
            space(draw, to);
            to.push('}');
        }
        scalar => to.push_str(&scalar.to_string()),
    }
    space(draw, to);
}

fn quoted(text: &str, draw: &mut Draw<'_>, to: &mut String) {
    if draw.below(2) == 0 {
        to.push_str(&json!(text).to_string());
        return;
    }
    to.push('"');
    for unit in text.encode_utf16() {
        write!(to, "\\u{unit:04X}").expect("a string takes every text");
    }
    to.push('"');
}

fn table(fields: &[StructField]) -> TableSchema {
    TableSchema::new(fields.iter().map(|field| (field.name.clone(), field.hive_type.clone()))).expect("names differ")
}

proptest! {
    #[test]
    fn rows_are_those_of_a_naive_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut draw = Draw(bytes.iter());
        let fields = draw.fields(3);
        let mut decoder = Decoder::new(&table(&fields), Deserializer::default());
        let mut wanted = Vec::new();
        for _ in 0..6 {
            let object = draw.object(&fields, 3);
            let decoded = decoder.decode(object.to_string().as_bytes());
            if let Some(row) = fields_of(&fields, &object) {
                prop_assert_eq!(decoded, Ok(1), "{}", object);
                wanted.push(row);
            } else {
                prop_assert_eq!(decoded.map_err(|error| error.code), Err(MALFORMED_DATA), "{}", object);
            }
        }
        prop_assert_eq!(shown_rows(&decoder.take()), wanted);
    }

    #[test]
    fn how_a_record_is_spelled_does_not_matter(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        // Hive's deserializer, because OpenX's shows in columns of text how objects were spelled.
        let mut draw = Draw(bytes.iter());
        let fields = draw.fields(3);
        let decoder = || Decoder::new(&table(&fields), Deserializer::Hive { timestamp_formats: Vec::new() });
        let (mut plain, mut other) = (decoder(), decoder());
        for _ in 0..4 {
            let object = draw.object(&fields, 3);
            let mut spelled = String::new();
            respelled(&object, &mut draw, &mut spelled);
            let one = plain.decode(object.to_string().as_bytes());
            prop_assert_eq!(one, other.decode(spelled.as_bytes()), "{}", spelled);
        }
        let (plain, other) = (shown_rows(&plain.take()), shown_rows(&other.take()));
        prop_assert_eq!(plain, other);
    }
}
