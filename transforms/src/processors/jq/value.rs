//! Values of jq 1.6: numbers are doubles, texts are UTF-8, objects keep the order of their members.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;

use super::fuel::{give_up, spend};
use super::text;

/// A JSON value.
#[derive(Debug, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<str>),
    List(Rc<List>),
    Object(Rc<Object>),
}

/// Elements, and how deep containers lie in them.
#[derive(Debug)]
pub(crate) struct List {
    pub(super) items: Vec<Value>,
    depth: u32,
}

/// Members, and how deep containers lie in them.
#[derive(Debug)]
pub(crate) struct Object {
    pub(super) members: Members,
    depth: u32,
}

pub(crate) type Members = IndexMap<Rc<str>, Value>;

impl Value {
    pub(super) fn text(text: &str) -> Self {
        spend(1 + text.len() / BYTES_A_STEP);
        Self::Text(text.into())
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        spend(1 + items.len() / ITEMS_A_STEP);
        let depth = deeper(items.iter());
        Self::List(Rc::new(List { items, depth }))
    }

    pub(super) fn object(members: Members) -> Self {
        spend(1 + members.len() / ITEMS_A_STEP);
        let depth = deeper(members.values());
        Self::Object(Rc::new(Object { members, depth }))
    }

    /// Bytes that should be UTF-8.
    pub(super) fn bytes(bytes: &[u8]) -> Self {
        Self::text(&String::from_utf8_lossy(bytes))
    }

    fn depth(&self) -> u32 {
        match self {
            Self::List(list) => list.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// What kinds are compared by: null, false, true, numbers, texts, arrays, objects.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Number(_) => 3,
            Self::Text(_) => 4,
            Self::List(_) => 5,
            Self::Object(_) => 6,
        }
    }
}

/// The depth of a container of these; gives up past what destructors can take down again.
fn deeper<'v>(values: impl Iterator<Item = &'v Value>) -> u32 {
    let depth = 1 + values.map(Value::depth).max().unwrap_or_default();
    if depth > DEEPEST {
        give_up();
    }
    depth
}

/// Elements of a list, without a copy where nobody else has it.
pub(super) fn items(list: Rc<List>) -> Vec<Value> {
    Rc::try_unwrap(list).map_or_else(|list| list.items.clone(), |list| list.items)
}

/// Members of an object, without a copy where nobody else has it.
pub(super) fn members(object: Rc<Object>) -> Members {
    Rc::try_unwrap(object).map_or_else(|object| object.members.clone(), |object| object.members)
}

impl Clone for Value {
    fn clone(&self) -> Self {
        spend(1);
        match self {
            Self::Null => Self::Null,
            Self::Bool(bool) => Self::Bool(*bool),
            Self::Number(number) => Self::Number(*number),
            Self::Text(text) => Self::Text(Rc::clone(text)),
            Self::List(list) => Self::List(Rc::clone(list)),
            Self::Object(object) => Self::Object(Rc::clone(object)),
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        spend(1);
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => compare(*one, *other),
            (Self::Text(one), Self::Text(other)) => {
                spend(one.len().min(other.len()) / BYTES_A_STEP);
                one.cmp(other)
            }
            (Self::List(one), Self::List(other)) => one.items.cmp(&other.items),
            (Self::Object(one), Self::Object(other)) => sorted(one).cmp(&sorted(other)),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

/// A double that is none lies below all others and is, for the sake of sorting, equal to itself.
fn compare(one: f64, other: f64) -> Ordering {
    one.partial_cmp(&other).unwrap_or_else(|| other.is_nan().cmp(&one.is_nan()))
}

/// Objects are compared by their sorted keys, and then by their values.
fn sorted(object: &Object) -> (Vec<&str>, Vec<&Value>) {
    spend(object.members.len());
    let mut members: Vec<_> = object.members.iter().map(|(key, value)| (&**key, value)).collect();
    members.sort_unstable_by_key(|(key, _)| *key);
    members.into_iter().unzip()
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Value {}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::json(self))
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        spend(1);
        Self::Bool(bool)
    }
}

impl From<isize> for Value {
    fn from(number: isize) -> Self {
        spend(1);
        Self::Number(double(number))
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::from(isize::try_from(number).unwrap_or(isize::MAX))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        spend(1);
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::text(&text)
    }
}

impl From<jaq_core::val::Range<Self>> for Value {
    fn from(range: jaq_core::val::Range<Self>) -> Self {
        let ends = [("start", range.start), ("end", range.end)];
        Self::object(ends.into_iter().filter_map(|(name, end)| Some((Rc::from(name), end?))).collect())
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(values: I) -> Self {
        let mut items = Vec::new();
        for value in values {
            spend(1);
            items.push(value);
        }
        Self::list(items)
    }
}

#[expect(clippy::cast_precision_loss, reason = "all numbers of jq 1.6 are doubles")]
fn double(number: isize) -> f64 {
    number as f64
}

/// How deep a query may nest containers; what is read lies no deeper than [`super::super::json::DEEPEST`].
const DEEPEST: u32 = 1000;

/// Bytes that are moved for one step.
pub(super) const BYTES_A_STEP: usize = 64;
const ITEMS_A_STEP: usize = 8;
