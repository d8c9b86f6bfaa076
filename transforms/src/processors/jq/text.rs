//! Values from and to text, as jq 1.6 reads and writes them.

use std::rc::Rc;

use super::fuel::spend;
use super::value::{BYTES_A_STEP, Members, Value};
use crate::processors::json::{Quoted, Scalar, Scanner};

/// Reads one JSON value; `None` if `text` is anything else.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut scanner = Scanner::new(text.as_bytes());
    let value = value(&mut scanner, 0)?;
    scanner.at_end().then_some(value)
}

fn value(scanner: &mut Scanner<'_>, depth: usize) -> Option<Value> {
    match scanner.peek()? {
        b'{' => {
            let mut members = Members::default();
            scanner.object(depth, |scanner, key| {
                // The last of equal keys counts, in the place of the first.
                members.insert(Rc::from(plain(key)), value(scanner, depth + 2)?);
                Some(())
            })?;
            Some(Value::object(members))
        }
        b'[' => {
            let mut items = Vec::new();
            scanner.array(depth, |scanner| {
                items.push(value(scanner, depth + 1)?);
                Some(())
            })?;
            Some(Value::list(items))
        }
        b'"' => scanner.string().map(|quoted| Value::Text(Rc::from(plain(quoted)))),
        _ => Some(match scanner.literal()? {
            Scalar::Bool(bool) => Value::Bool(bool),
            Scalar::Number(digits) => Value::Number(double(digits)),
            _ => Value::Null,
        }),
    }
}

fn plain(quoted: Quoted<'_>) -> String {
    if quoted.escaped { quoted.text() } else { String::from_utf8_lossy(quoted.raw).into_owned() }
}

/// The double that a JSON number is read as; the largest one where it is beyond.
pub(crate) fn double(digits: &[u8]) -> f64 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// Appends a number as jq 1.6 prints it: the fewest digits that read as the same double; with an exponent of two digits or more
/// where it is smaller than 10^-4 or needs more than fifteen zeros.
pub(crate) fn push_number(number: f64, out: &mut String) {
    use std::fmt::Write;

    if number.is_nan() {
        out.push_str("null");
        return;
    }
    let scientific = format!("{:e}", number.clamp(f64::MIN, f64::MAX));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |mantissa| ("-", mantissa));
    let digits = mantissa.replace('.', "");
    out.push_str(sign);
    // Digits before the point.
    let point = 1 + exponent.parse::<i32>().unwrap_or_default();
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    if number == 0.0 {
        out.push('0');
    } else if point <= -4 || point > count + 15 {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{dot}{rest}e{:+03}", point - 1);
    } else if let Ok(whole) = usize::try_from(point)
        && whole > 0
    {
        let (before, after) = digits.split_at(whole.min(digits.len()));
        out.push_str(before);
        out.extend(std::iter::repeat_n('0', whole - before.len()));
        if !after.is_empty() {
            let _ = write!(out, ".{after}");
        }
    } else {
        let zeros = usize::try_from(-point).unwrap_or_default();
        let _ = write!(out, "0.{:0<zeros$}{digits}", "");
    }
}

/// The value as compact JSON.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    push_json(value, &mut out);
    out
}

fn push_json(value: &Value, out: &mut String) {
    spend(1);
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Value::Number(number) => push_number(*number, out),
        Value::Text(text) => push_quoted(text, out),
        Value::List(list) => {
            out.push('[');
            for (at, item) in list.items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_json(item, out);
            }
            out.push(']');
        }
        Value::Object(object) => {
            out.push('{');
            for (at, (key, member)) in object.members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                push_quoted(key, out);
                out.push(':');
                push_json(member, out);
            }
            out.push('}');
        }
    }
}

fn push_quoted(text: &str, out: &mut String) {
    use std::fmt::Write;

    spend(text.len() / BYTES_A_STEP);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '\u{7f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_jq_prints_them() {
        // Each was printed by Debian's jq 1.6.
        for (number, printed) in [
            ("1.0", "1"),
            ("1e2", "100"),
            ("100000000000000000000", "1e+20"),
            ("1e17", "1e+17"),
            ("1e16", "1e+16"),
            ("1e15", "1000000000000000"),
            ("1.25e17", "125000000000000000"),
            ("1e-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("12345678901234567890", "12345678901234567000"),
            ("0.1", "0.1"),
            ("1.5e300", "1.5e+300"),
            ("1e1000", "1.7976931348623157e+308"),
            ("-1e1000", "-1.7976931348623157e+308"),
            ("-0", "-0"),
            ("3.0e-7", "3e-07"),
            ("123456789.123", "123456789.123"),
            ("9007199254740993", "9007199254740992"),
            ("0.30000000000000004", "0.30000000000000004"),
        ] {
            let mut out = String::new();
            push_number(double(number.as_bytes()), &mut out);
            assert_eq!(out, printed, "{number}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        assert_eq!(
            json(&read(r#"{"a":1,"b":[{}],"a":"\u0001é\ud83d\ude00"}"#).unwrap()),
            "{\"a\":\"\\u0001é😀\",\"b\":[{}]}"
        );
        assert!(read("{}{}").is_none());
    }
}
