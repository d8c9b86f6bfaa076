//! What texts become in columns of other types: OpenX's rules, and those of keys of maps.

use super::column::{Column, Values};
use super::error::{Fault, RecordError, Shown};
use super::fill::{self, Filler};
use super::{number, timestamp};

impl Filler {
    /// Adds `key`, a text without escapes, to the keys of a map.
    pub(super) fn key(&self, key: &[u8], column: &mut Column) -> Result<(), Fault> {
        match &mut column.values {
            Values::Text { bytes, most_chars } => {
                let folded_already = key.iter().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
                if self.fold_keys && !folded_already {
                    let folded = std::str::from_utf8(key).unwrap_or_default().to_lowercase();
                    bytes.bytes.extend_from_slice(folded.as_bytes());
                } else {
                    bytes.bytes.extend_from_slice(key);
                }
                if let Some(most) = *most_chars {
                    fill::clip(bytes, most);
                }
                bytes.ends.push(bytes.bytes.len())?;
            }
            Values::BigInt(list) => list.push(whole(key)?),
            Values::Int(list) => list.push(narrow(key, "int")?),
            Values::SmallInt(list) => list.push(narrow(key, "smallint")?),
            Values::TinyInt(list) => list.push(narrow(key, "tinyint")?),
            Values::Double(list) => list.push(double(key)?),
            Values::Float(list) => list.push(float(key)?),
            Values::Boolean(bits) => bits.append(boolean(key)?),
            Values::Decimal { unscaled, precision, scale } => unscaled.push(decimal(key, *precision, *scale)?),
            Values::Timestamp(list) => list.push(self.timestamp_text(key)?),
            Values::Date(list) => list.push(date(key)?),
            Values::Binary(bytes) => {
                base64(key, &mut bytes.bytes)?;
                bytes.ends.push(bytes.bytes.len())?;
            }
            Values::List(..) | Values::Map(_) | Values::Struct(_) => {
                return Err(RecordError::mismatch("A key cannot be nested"));
            }
        }
        column.written();
        Ok(())
    }
}

/// As `Long.parseLong`: a sign and digits.
pub(super) fn whole(text: &[u8]) -> Result<i64, Fault> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let number = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'));
    number.and_then(|digits| digits.parse().ok()).ok_or_else(|| no_number(text))
}

fn narrow<T: TryFrom<i64>>(text: &[u8], hive_type: &str) -> Result<T, Fault> {
    T::try_from(whole(text)?).map_err(|_| fill::out_of_range(text, hive_type))
}

/// As `Double.parseDouble`, but for hexadecimal ones and suffixes.
pub(super) fn double(text: &[u8]) -> Result<f64, Fault> {
    let Some(special) = special(text.trim_ascii()) else {
        let value: f64 = literal(text)?.parse().map_err(|_| no_number(text))?;
        return if value.is_finite() { Ok(value) } else { Err(fill::out_of_range(text, "double")) };
    };
    Ok(special)
}

/// As `Float.parseFloat`, with the same exceptions.
pub(super) fn float(text: &[u8]) -> Result<f32, Fault> {
    let Some(special) = special(text.trim_ascii()) else {
        let value: f32 = literal(text)?.parse().map_err(|_| no_number(text))?;
        return if value.is_finite() { Ok(value) } else { Err(fill::out_of_range(text, "float")) };
    };
    Ok(if special.is_nan() {
        f32::NAN
    } else if special > 0.0 {
        f32::INFINITY
    } else {
        f32::NEG_INFINITY
    })
}

fn special(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" | b"+Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// A decimal number, without the space around it.
fn literal(text: &[u8]) -> Result<&str, Fault> {
    let trimmed = text.trim_ascii();
    if !number::is_decimal(trimmed) {
        return Err(no_number(text));
    }
    std::str::from_utf8(trimmed).map_err(|_| no_number(text))
}

pub(super) fn decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Fault> {
    fill::decimal(literal(text)?.as_bytes(), precision, scale)
}

pub(super) fn boolean(text: &[u8]) -> Result<bool, Fault> {
    if text.eq_ignore_ascii_case(b"true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"false") {
        Ok(false)
    } else {
        Err(RecordError::mismatch(format_args!("\"{}\" is neither true nor false", Shown(text))))
    }
}

pub(super) fn date(text: &[u8]) -> Result<i32, Fault> {
    timestamp::date(text)
        .ok_or_else(|| RecordError::mismatch(format_args!("\"{}\" is no date of the form yyyy-[M]M-[d]d", Shown(text))))
}

pub(super) fn base64(text: &[u8], to: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = base64_simd::forgiving_decode_to_vec(text)
        .map_err(|_| RecordError::mismatch(format_args!("\"{}\" is not base64", Shown(text))))?;
    to.extend_from_slice(&bytes);
    Ok(())
}

/// In the words of Java's `NumberFormatException`.
#[cold]
fn no_number(text: &[u8]) -> Fault {
    RecordError::mismatch(format_args!("For input string: \"{}\"", Shown(text)))
}
