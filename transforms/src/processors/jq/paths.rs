//! Looking into values and changing parts of them: what jaq asks of a type of values.

use std::rc::Rc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::{Range, ValT, ValX};

use super::arithmetic::{Error, ValR, whole};
use super::fuel::spend;
use super::value::{BYTES_A_STEP, Members, Value, items, members};

impl ValT for Value {
    fn from_num(digits: &str) -> ValR {
        Ok(Self::from(super::text::double(digits.as_bytes())))
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(pairs: I) -> ValR {
        let mut all = Members::default();
        for (key, value) in pairs {
            spend(1);
            match key {
                Self::Text(key) => all.insert(key, value),
                key => return Err(Error::typ(key, "object key")),
            };
        }
        Ok(Self::object(all))
    }

    fn key_values(self) -> BoxIter<'static, jaq_core::ValR<(Self, Self), Self>> {
        spend(1);
        match self {
            Self::List(list) => {
                Box::new(items(list).into_iter().enumerate().map(|(at, item)| Ok((Self::from(at), item))))
            }
            Self::Object(object) => {
                Box::new(members(object).into_iter().map(|(key, value)| Ok((Self::Text(key), value))))
            }
            other => box_once(Err(Error::typ(other, "array or object"))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR>> {
        spend(1);
        match self {
            Self::List(list) => Box::new(items(list).into_iter().map(|value| Ok(paid(value)))),
            Self::Object(object) => Box::new(members(object).into_values().map(|value| Ok(paid(value)))),
            other => box_once(Err(Error::typ(other, "array or object"))),
        }
    }

    fn index(self, index: &Self) -> ValR {
        spend(1);
        match (&self, index) {
            (Self::Null, Self::Text(_) | Self::Number(_)) => {
                // A path into nothing can be made longer and longer, and jaq takes it down recursively.
                spend(STEPS_INTO_NOTHING);
                Ok(Self::Null)
            }
            (Self::Object(object), Self::Text(key)) => Ok(object.members.get(key).cloned().unwrap_or_default()),
            // There is nothing between two elements.
            (Self::List(_), Self::Number(at)) if at.fract() != 0.0 => Ok(Self::Null),
            (Self::List(list), Self::Number(at)) => {
                Ok(place(*at, list.items.len()).and_then(|at| list.items.get(at)).cloned().unwrap_or_default())
            }
            (Self::List(list), Self::List(wanted)) => Ok(occurrences(&list.items, &wanted.items)),
            (Self::List(_) | Self::Text(_) | Self::Null, Self::Object(ends)) => {
                self.range(ends.members.get("start")..ends.members.get("end"))
            }
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn range(self, range: Range<&Self>) -> ValR {
        spend(STEPS_INTO_NOTHING);
        match &self {
            Self::Null => bounds(range, 0).map(|_| Self::Null),
            Self::List(list) => {
                let (from, to) = bounds(range, list.items.len())?;
                Ok(Self::list(list.items.get(from..to).unwrap_or_default().to_vec()))
            }
            Self::Text(text) => {
                spend(text.len() / BYTES_A_STEP);
                let (from, to) = bounds(range, text.chars().count())?;
                let (from, to) = (byte_of(text, from), byte_of(text, to));
                Ok(Self::text(text.get(from..to).unwrap_or_default()))
            }
            _ => Err(Error::typ(self, "array or string")),
        }
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        spend(1);
        match self {
            Self::List(list) => items(list).into_iter().filter_map(|item| f(item).next()).collect(),
            Self::Object(object) => {
                let changed = members(object)
                    .into_iter()
                    .filter_map(|(key, value)| f(value).next().map(|value| value.map(|value| (key, value))));
                Ok(Self::object(changed.collect::<Result<_, _>>()?))
            }
            other => opt.fail(other, |other| Error::typ(other, "array or object").into()),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        spend(1);
        match (self, index) {
            // What is taken out of nothing leaves nothing.
            (Self::Null, Self::Text(key)) => Ok(match f(Self::Null).next().transpose()? {
                Some(value) => Self::object([(Rc::clone(key), value)].into_iter().collect()),
                None => Self::Null,
            }),
            (Self::Null, Self::Number(at)) => match (place(*at, 0), f(Self::Null).next().transpose()?) {
                (Some(at), Some(value)) => Ok(put(Vec::new(), at, value)),
                (None, Some(_)) => opt.fail(Self::Null, |_| Error::str(NEGATIVE).into()),
                (_, None) => Ok(Self::Null),
            },
            (Self::Object(object), Self::Text(key)) => change_member(members(object), key, f),
            (Self::List(list), Self::Number(at)) => change_item(items(list), *at, opt, f),
            (one @ (Self::Null | Self::List(_)), Self::Object(ends)) => {
                one.map_range(ends.members.get("start")..ends.members.get("end"), opt, f)
            }
            (other, _) => opt.fail(other, |other| Error::index(other, index.clone()).into()),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        spend(1);
        let mut all = match self {
            Self::Null => Vec::new(),
            Self::List(list) => items(list),
            other => return opt.fail(other, |other| Error::typ(other, "array").into()),
        };
        let (from, to) = bounds(range, all.len())?;
        let part = Self::list(all.get(from..to).unwrap_or_default().to_vec());
        let instead = match f(part).next().transpose()? {
            None => Vec::new(),
            Some(Self::List(list)) => items(list),
            Some(other) => return Err(Error::typ(other, "array").into()),
        };
        all.splice(from..to, instead);
        Ok(Self::list(all))
    }

    fn as_bool(&self) -> bool {
        spend(1);
        !matches!(self, Self::Null | Self::Bool(false))
    }

    fn into_string(self) -> Self {
        match self {
            Self::Text(_) => self,
            other => Self::text(&super::text::json(&other)),
        }
    }
}

fn paid(value: Value) -> Value {
    spend(1);
    value
}

fn change_member<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut all: Members,
    key: &Rc<str>,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let before = all.get_mut(key).map(std::mem::take).unwrap_or_default();
    match f(before).next().transpose()? {
        Some(value) => all.insert(Rc::clone(key), value),
        None => all.shift_remove(key),
    };
    Ok(Value::object(all))
}

fn change_item<'a, I: Iterator<Item = ValX<'a, Value>>>(
    mut all: Vec<Value>,
    at: f64,
    opt: Opt,
    f: impl Fn(Value) -> I,
) -> ValX<'a, Value> {
    let Some(at) = place(at, all.len()) else {
        return opt.fail(Value::list(all), |_| Error::str(NEGATIVE).into());
    };
    let before = all.get_mut(at).map(std::mem::take).unwrap_or_default();
    if let Some(value) = f(before).next().transpose()? {
        return Ok(put(all, at, value));
    }
    if at < all.len() {
        all.remove(at);
    }
    Ok(Value::list(all))
}

/// The list with `value` at that place, and nulls before it where it was shorter.
pub(super) fn put(mut all: Vec<Value>, at: usize, value: Value) -> Value {
    if at >= all.len() {
        spend(at - all.len());
        all.resize_with(at + 1, Value::default);
    }
    if let Some(slot) = all.get_mut(at) {
        *slot = value;
    }
    Value::list(all)
}

/// The place that an index means, counted from the end where it is negative.
pub(super) fn place(index: f64, length: usize) -> Option<usize> {
    let at = whole(index.floor());
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    usize::try_from(if at < 0 { at.saturating_add(length) } else { at }).ok().filter(|_| !index.is_nan())
}

/// The places that a slice means: its begin rounded down, its end rounded up.
pub(super) fn bounds(range: Range<&Value>, length: usize) -> Result<(usize, usize), Error> {
    let end = |bound: Option<&Value>, open: usize, round: fn(f64) -> f64| match bound {
        None | Some(Value::Null) => Ok(open),
        Some(Value::Number(at)) => {
            let at = whole(round(*at));
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let at = if at < 0 { at.saturating_add(length) } else { at };
            Ok(usize::try_from(at.clamp(0, length)).unwrap_or_default())
        }
        Some(_) => Err(Error::str("Start and end indices of an array slice must be numbers")),
    };
    let (from, to) = (end(range.start, 0, f64::floor)?, end(range.end, length, f64::ceil)?);
    Ok((from, to.max(from)))
}

fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

/// Where `wanted` begins in `list`.
pub(super) fn occurrences(list: &[Value], wanted: &[Value]) -> Value {
    if wanted.is_empty() {
        return Value::Null;
    }
    let windows = list.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| *window == wanted).map(|(at, _)| Value::from(at)).collect()
}

const NEGATIVE: &str = "Out of bounds negative array index";
const STEPS_INTO_NOTHING: usize = 200;
