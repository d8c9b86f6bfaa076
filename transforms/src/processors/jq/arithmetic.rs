//! Operators between values, by the rules of jq 1.6.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::ops::Math;

use super::fuel::spend;
use super::value::{BYTES_A_STEP, Members, Value, items, members};

pub(super) type Error = jaq_core::Error<Value>;
pub(super) type ValR = jaq_core::ValR<Value>;

impl Add for Value {
    type Output = ValR;

    fn add(self, other: Self) -> ValR {
        Ok(match (self, other) {
            (Self::Null, other) => other,
            (one, Self::Null) => one,
            (Self::Number(one), Self::Number(other)) => Self::from(one + other),
            (Self::Text(one), Self::Text(other)) => {
                spend((one.len() + other.len()) / BYTES_A_STEP);
                Self::text(&[&*one, &*other].concat())
            }
            (Self::List(one), Self::List(other)) => {
                let mut all = items(one);
                all.extend(items(other));
                Self::list(all)
            }
            (Self::Object(one), Self::Object(other)) => {
                let mut all = members(one);
                all.extend(members(other));
                Self::object(all)
            }
            (one, other) => return Err(Error::math(one, Math::Add, other)),
        })
    }
}

impl Sub for Value {
    type Output = ValR;

    fn sub(self, other: Self) -> ValR {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Ok(Self::from(one - other)),
            (Self::List(one), Self::List(other)) => {
                let mut left = items(one);
                left.retain(|item| !other.items.contains(item));
                Ok(Self::list(left))
            }
            (one, other) => Err(Error::math(one, Math::Sub, other)),
        }
    }
}

impl Mul for Value {
    type Output = ValR;

    fn mul(self, other: Self) -> ValR {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Ok(Self::from(one * other)),
            (Self::Text(text), Self::Number(times)) | (Self::Number(times), Self::Text(text)) => {
                Ok(if times > 0.0 { repeated(&text, times) } else { Self::Null })
            }
            (Self::Object(one), Self::Object(other)) => Ok(merged(one, other)),
            (one, other) => Err(Error::math(one, Math::Mul, other)),
        }
    }
}

/// A text so many times, and at least once.
fn repeated(text: &str, times: f64) -> Value {
    let times = whole(times - 1.0).saturating_add(1).max(1);
    let times = usize::try_from(times).unwrap_or(usize::MAX);
    // Paid for before it is made.
    spend(text.len().saturating_mul(times) / BYTES_A_STEP);
    Value::text(&text.repeat(times))
}

fn merged(one: Rc<super::value::Object>, other: Rc<super::value::Object>) -> Value {
    let mut all: Members = members(one);
    for (key, value) in members(other) {
        let value = match (all.get_mut(&key).map(std::mem::take), value) {
            (Some(Value::Object(one)), Value::Object(other)) => merged(one, other),
            (_, value) => value,
        };
        all.insert(key, value);
    }
    Value::object(all)
}

impl Div for Value {
    type Output = ValR;

    fn div(self, other: Self) -> ValR {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) if other != 0.0 => Ok(Self::from(one / other)),
            (Self::Text(text), Self::Text(separator)) => Ok(split(&text, &separator)),
            (one, other) => Err(Error::math(one, Math::Div, other)),
        }
    }
}

fn split(text: &str, separator: &str) -> Value {
    if text.is_empty() {
        return Value::list(Vec::new());
    }
    if separator.is_empty() {
        return text.chars().map(|character| Value::text(character.encode_utf8(&mut [0; 4]))).collect();
    }
    text.split(separator).map(Value::text).collect()
}

impl Rem for Value {
    type Output = ValR;

    fn rem(self, other: Self) -> ValR {
        if let (Self::Number(one), Self::Number(other)) = (&self, &other)
            && whole(*other) != 0
        {
            let left = whole(*one).wrapping_rem(whole(*other));
            return Ok(Self::from(isize::try_from(left).unwrap_or_default()));
        }
        Err(Error::math(self, Math::Rem, other))
    }
}

impl Neg for Value {
    type Output = ValR;

    fn neg(self) -> ValR {
        match self {
            Self::Number(number) => Ok(Self::from(-number)),
            other => Err(Error::typ(other, "number")),
        }
    }
}

/// A double without what is behind its point; the nearest that there is.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and what is no number becomes 0")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}
