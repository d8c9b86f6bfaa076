//! Writing a value into its column, whatever the record has there.

use super::Deserializer;
use super::calendar::NoTimestamp;
use super::column::{Bytes, Column, Values};
use super::cursor::{Cursor, Text};
use super::error::{Fault, RecordError, Shown};
use super::number::{self, Rounding};
use super::{TimestampFormat, text, timestamp};

/// The rules of a deserializer.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub(super) struct Filler {
    /// OpenX's rules; else Hive's.
    pub(super) openx: bool,
    /// The types were met, and not declared: what would have to become another value does not fit them.
    pub(super) inferred: bool,
    /// Whether keys of maps become lower case.
    pub(super) fold_keys: bool,
    /// Whether maps are looked through for duplicate keys before they are written.
    pub(super) wary: bool,
    timestamp_formats: Vec<TimestampFormat>,
    /// For strings without their escapes.
    pub(super) plain: Vec<u8>,
    /// How many values the record may still leave out.
    room: usize,
}

impl Filler {
    pub(super) fn new(deserializer: Deserializer) -> Self {
        let (openx, fold_keys, timestamp_formats) = match deserializer {
            Deserializer::OpenX { case_insensitive, .. } => (true, case_insensitive, Vec::new()),
            Deserializer::Hive { timestamp_formats } => (false, false, timestamp_formats),
        };
        Self { openx, inferred: false, fold_keys, wary: false, timestamp_formats, plain: Vec::new(), room: 0 }
    }

    /// Begins a record.
    pub(super) fn begin(&mut self) {
        self.room = MOST_MISSING;
    }

    /// Counts values that the record leaves out and that take memory all the same.
    #[inline]
    pub(super) fn missing(&mut self, values: usize) -> Result<(), Fault> {
        self.room = self.room.checked_sub(values).ok_or_else(too_many_missing)?;
        Ok(())
    }

    /// Adds the value that comes next, which stands within `depth` others, to `column`.
    ///
    /// After an error the column may hold a part of the value; truncating takes that off.
    pub(super) fn value(&mut self, cursor: &mut Cursor<'_>, column: &mut Column, depth: usize) -> Result<(), Fault> {
        let first = cursor.look();
        if first == b'n' {
            cursor.word("null")?;
            column.push_null();
            return self.missing(column.null_values - 1);
        }
        let row = column.len();
        match &mut column.values {
            Values::Text { bytes, most_chars } => {
                self.text(cursor, first, &mut bytes.bytes, depth)?;
                if let Some(most) = *most_chars {
                    clip(bytes, most);
                }
                bytes.ends.push(bytes.bytes.len())?;
            }
            Values::BigInt(list) => list.push(self.whole(cursor, first, "bigint")?),
            Values::Int(list) => list.push(self.narrow(cursor, first, "int")?),
            Values::SmallInt(list) => list.push(self.narrow(cursor, first, "smallint")?),
            Values::TinyInt(list) => list.push(self.narrow(cursor, first, "tinyint")?),
            Values::Double(list) => list.push(self.double(cursor, first)?),
            Values::Float(list) => list.push(self.float(cursor, first)?),
            Values::Boolean(bits) => bits.append(self.boolean(cursor, first)?),
            Values::Decimal { unscaled, precision, scale } => {
                unscaled.push(self.decimal(cursor, first, *precision, *scale)?);
            }
            Values::Timestamp(list) => list.push(self.timestamp(cursor, first)?),
            Values::Date(list) => list.push(self.date(cursor, first)?),
            Values::Binary(bytes) => {
                let text = self.string(cursor, first, "binary")?;
                text::base64(text.plain(&mut self.plain), &mut bytes.bytes)?;
                bytes.ends.push(bytes.bytes.len())?;
            }
            Values::List(ends, item) => self.list(cursor, first, ends, item, depth)?,
            Values::Map(map) => self.map(cursor, first, map, depth)?,
            Values::Struct(fields) => self.structure(cursor, first, fields, row, depth)?,
        }
        column.written();
        Ok(())
    }

    #[inline]
    fn text(&mut self, cursor: &mut Cursor<'_>, first: u8, to: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
        if first == b'"' {
            cursor.string()?.write(to);
            return Ok(());
        }
        if !self.openx && matches!(first, b'{' | b'[') {
            return Err(RecordError::malformed_data(
                "One or more fields have incorrect format. Exception when validating field (root)",
            ));
        }
        let start = cursor.position();
        cursor.skip(depth)?;
        to.extend_from_slice(cursor.since(start));
        Ok(())
    }

    /// A whole number. A fraction is cut off where somebody has declared that there is none.
    #[inline]
    fn whole(&mut self, cursor: &mut Cursor<'_>, first: u8, hive_type: &str) -> Result<i64, Fault> {
        match first {
            b'-' | b'0'..=b'9' => {
                let number = cursor.number()?;
                let whole = number.truncated().filter(|_| number.integral || !self.inferred);
                whole.ok_or_else(|| out_of_range(number.raw, hive_type))
            }
            _ => text::whole(self.number_text(cursor, first, hive_type)?.plain(&mut self.plain)),
        }
    }

    fn narrow<T: TryFrom<i64>>(&mut self, cursor: &mut Cursor<'_>, first: u8, hive_type: &str) -> Result<T, Fault> {
        let value = self.whole(cursor, first, hive_type)?;
        T::try_from(value).map_err(|_| out_of_range(value.to_string().as_bytes(), hive_type))
    }

    fn double(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<f64, Fault> {
        if let b'-' | b'0'..=b'9' = first {
            let number = cursor.number()?;
            let value = number.double();
            return if value.is_finite() { Ok(value) } else { Err(out_of_range(number.raw, "double")) };
        }
        text::double(self.number_text(cursor, first, "double")?.plain(&mut self.plain))
    }

    fn float(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<f32, Fault> {
        if let b'-' | b'0'..=b'9' = first {
            let number = cursor.number()?;
            let value = number.float();
            return if value.is_finite() { Ok(value) } else { Err(out_of_range(number.raw, "float")) };
        }
        text::float(self.number_text(cursor, first, "float")?.plain(&mut self.plain))
    }

    fn decimal(&mut self, cursor: &mut Cursor<'_>, first: u8, precision: u8, scale: u8) -> Result<i128, Fault> {
        if let b'-' | b'0'..=b'9' = first {
            return decimal(cursor.number()?.raw, precision, scale);
        }
        // Hive's reader, too, makes decimals of texts.
        text::decimal(self.string(cursor, first, "decimal")?.plain(&mut self.plain), precision, scale)
    }

    fn boolean(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<bool, Fault> {
        match first {
            b't' => cursor.word("true").map(|_| true),
            b'f' => cursor.word("false").map(|_| false),
            _ => text::boolean(self.string(cursor, first, "boolean")?.plain(&mut self.plain)),
        }
    }

    fn timestamp(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<i64, Fault> {
        if let b'-' | b'0'..=b'9' = first {
            let number = cursor.number()?;
            return match number.truncated() {
                Some(whole) if self.openx && number.integral => {
                    timestamp::epoch_whole(whole).map_err(|_| no_timestamp(NoTimestamp::Range, number.raw))
                }
                _ => self.timestamp_text(number.raw),
            };
        }
        let text = self.string(cursor, first, "timestamp")?;
        if text.escaped {
            let mut plain = Vec::new();
            text.write(&mut plain);
            return self.timestamp_text(&plain);
        }
        self.timestamp_text(text.raw)
    }

    /// The nanoseconds since 1970 that `text` means.
    pub(super) fn timestamp_text(&self, text: &[u8]) -> Result<i64, Fault> {
        if self.openx {
            return timestamp::any(text).map_err(|why| no_timestamp(why, text));
        }
        let mut why = NoTimestamp::Form;
        for format in &self.timestamp_formats {
            match format.read(text) {
                Ok(nanoseconds) => return Ok(nanoseconds),
                // A format that takes it says more than the ones that do not.
                Err(NoTimestamp::Range) => why = NoTimestamp::Range,
                Err(NoTimestamp::Form) => {}
            }
        }
        timestamp::sql(text.trim_ascii())
            .map_err(|last| no_timestamp(if last == NoTimestamp::Range { last } else { why }, text))
    }

    fn date(&mut self, cursor: &mut Cursor<'_>, first: u8) -> Result<i32, Fault> {
        text::date(self.string(cursor, first, "date")?.plain(&mut self.plain))
    }

    /// A string in the place of a number, which only OpenX takes.
    #[inline]
    fn number_text<'a>(&self, cursor: &mut Cursor<'a>, first: u8, hive_type: &str) -> Result<Text<'a>, Fault> {
        if self.openx {
            return self.string(cursor, first, hive_type);
        }
        Err(RecordError::malformed_data(format!(
            "Current token ({}) not numeric, can not use numeric value accessors",
            token(first)
        )))
    }

    /// A string; nothing else will do.
    #[inline]
    fn string<'a>(&self, cursor: &mut Cursor<'a>, first: u8, hive_type: &str) -> Result<Text<'a>, Fault> {
        if first == b'"' { cursor.string() } else { Err(self.no_scalar(first, hive_type)) }
    }

    #[cold]
    fn no_scalar(&self, first: u8, hive_type: &str) -> Fault {
        let what = match first {
            b'{' => "An object",
            b'[' => "An array",
            b't' | b'f' => "A boolean",
            _ => "A number",
        };
        if self.openx {
            RecordError::mismatch(format_args!("{what} cannot become {hive_type}"))
        } else {
            RecordError::malformed_data(format!("{what} ({}) cannot become {hive_type}", token(first)))
        }
    }
}

impl<'a> Text<'a> {
    /// The text itself, in `room` where it must be made.
    #[inline]
    fn plain<'t>(self, room: &'t mut Vec<u8>) -> &'t [u8]
    where
        'a: 't,
    {
        if !self.escaped {
            return self.raw;
        }
        room.clear();
        self.write(room);
        room
    }
}

/// A decimal of at most so many digits.
pub(super) fn decimal(literal: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    number::unscaled(literal, i64::from(scale), Rounding::HalfUp)
        .filter(|value| value.unsigned_abs() < 10_u128.pow(u32::from(precision)))
        .ok_or_else(|| out_of_range(literal, &format!("decimal({precision},{scale})")))
}

#[cold]
pub(super) fn out_of_range(number: &[u8], hive_type: &str) -> Fault {
    RecordError::mismatch(format_args!("Number {} is out of range for {hive_type}", Shown(number)))
}

#[cold]
fn too_many_missing() -> Fault {
    RecordError::malformed_data(format!("The record leaves out more than {MOST_MISSING} values of its rows"))
}

#[cold]
fn no_timestamp(why: NoTimestamp, text: &[u8]) -> Fault {
    match why {
        NoTimestamp::Form => RecordError::mismatch(format_args!("Unsupported timestamp format: \"{}\"", Shown(text))),
        NoTimestamp::Range => RecordError::mismatch(format_args!(
            "Timestamp \"{}\" is not between 1677-09-21 00:12:44 and 2262-04-11 23:47:16",
            Shown(text)
        )),
    }
}

/// Jackson's name of the token that begins with `first`.
fn token(first: u8) -> &'static str {
    match first {
        b'"' => "VALUE_STRING",
        b'{' => "START_OBJECT",
        b'[' => "START_ARRAY",
        b't' => "VALUE_TRUE",
        b'f' => "VALUE_FALSE",
        _ => "VALUE_NUMBER",
    }
}

/// Cuts the value that was written behind the last end to `most` characters.
pub(super) fn clip(bytes: &mut Bytes, most: usize) {
    let start = bytes.ends.last();
    let value = bytes.bytes.get(start..).unwrap_or_default();
    if value.len() > most {
        let mut begins = value.iter().enumerate().filter(|(_, byte)| **byte & 0xC0 != 0x80).map(|(at, _)| at);
        let length = begins.nth(most).unwrap_or(value.len());
        bytes.bytes.truncate(start + length);
    }
}

/// Values that one record may leave out: 64 MiB of nulls at most.
pub(super) const MOST_MISSING: usize = 1 << 22;
