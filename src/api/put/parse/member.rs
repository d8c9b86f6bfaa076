//! Members of a put as JSON gave them, before anything is held against the model.
//!
//! A wrong type is kept as a value, not raised at once: a later member of the same name may still replace it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::{MAX_RECORDS, Refusal};

/// What stood where a `T` belongs.
#[derive(Debug, Default)]
pub(super) enum Given<T> {
    /// Absent or `null`, which the service takes for the same.
    #[default]
    Nothing,
    /// What belongs there.
    Value(T),
    /// Another JSON type; the words in which the service refuses it.
    Wrong(&'static str),
}

/// The members of both operations; each looks at its own.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) name: Given<Cow<'a, str>>,
    pub(super) record: Given<Entry<'a>>,
    pub(super) records: Given<List<'a>>,
}

/// One record.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    pub(super) data: Given<Blob<'a>>,
}

/// Base64 as it was sent.
#[derive(Debug)]
pub(super) struct Blob<'a>(pub(super) Cow<'a, str>);

/// The records of a batch.
#[derive(Debug, Default)]
pub(super) struct List<'a> {
    /// The first records, as many as a batch may have.
    pub(super) entries: Vec<Given<Entry<'a>>>,
    /// How many there are.
    pub(super) count: usize,
}

impl<T> Given<T> {
    /// The value, nothing, or the refusal of a wrong type at `path`.
    pub(super) fn or_wrong(self, path: &str) -> Result<Option<T>, Refusal> {
        self.or_wrong_at(|| path.to_owned())
    }

    /// The same, where making the path is worth avoiding.
    pub(super) fn or_wrong_at(self, path: impl Fn() -> String) -> Result<Option<T>, Refusal> {
        match self {
            Self::Nothing => Ok(None),
            Self::Value(value) => Ok(Some(value)),
            Self::Wrong(words) => Err(Refusal::Serialization(format!("{words} (at '{}')", path()))),
        }
    }
}

/// A type that a member can have; every method that is not overridden is the wrong type.
trait Shape<'de>: Sized {
    /// Words for a scalar where this type belongs.
    fn wrong_scalar(scalar: Scalar) -> &'static str;

    fn text(_text: Cow<'de, str>) -> Given<Self> {
        Given::Wrong(Self::wrong_scalar(Scalar::Text))
    }

    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Given<Self>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Given::Wrong("Start of list found where not expected"))
    }

    fn structure<A: MapAccess<'de>>(mut members: A) -> Result<Given<Self>, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Given::Wrong("Start of structure or map found where not expected"))
    }
}

#[derive(Clone, Copy, Debug)]
enum Scalar {
    Text,
    Number,
    True,
    False,
}

impl<'de> Shape<'de> for Cow<'de, str> {
    fn wrong_scalar(scalar: Scalar) -> &'static str {
        match scalar {
            Scalar::Text | Scalar::Number => "NUMBER_VALUE can not be converted to a String",
            Scalar::True => "TRUE_VALUE can not be converted to a String",
            Scalar::False => "FALSE_VALUE can not be converted to a String",
        }
    }

    fn text(text: Self) -> Given<Self> {
        Given::Value(text)
    }
}

impl<'de> Shape<'de> for Blob<'de> {
    fn wrong_scalar(scalar: Scalar) -> &'static str {
        match scalar {
            Scalar::Text | Scalar::Number => "NUMBER_VALUE can not be converted to a Blob",
            Scalar::True => "TRUE_VALUE can not be converted to a Blob",
            Scalar::False => "FALSE_VALUE can not be converted to a Blob",
        }
    }

    fn text(text: Cow<'de, str>) -> Given<Self> {
        Given::Value(Self(text))
    }
}

impl<'de> Shape<'de> for Entry<'de> {
    fn wrong_scalar(_scalar: Scalar) -> &'static str {
        EXPECTED_STRUCTURE
    }

    fn structure<A: MapAccess<'de>>(mut members: A) -> Result<Given<Self>, A::Error> {
        let mut entry = Self::default();
        while let Some(name) = members.next_key::<Text<'de>>()? {
            match name.0.as_ref() {
                "Data" => entry.data = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Given::Value(entry))
    }
}

impl<'de> Shape<'de> for List<'de> {
    fn wrong_scalar(_scalar: Scalar) -> &'static str {
        "Expected list or null"
    }

    fn list<A: SeqAccess<'de>>(mut items: A) -> Result<Given<Self>, A::Error> {
        let mut list = Self::default();
        while list.count < MAX_RECORDS {
            match items.next_element()? {
                Some(entry) => list.entries.push(entry),
                None => return Ok(Given::Value(list)),
            }
            list.count += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            list.count += 1;
        }
        Ok(Given::Value(list))
    }
}

impl<'de> Shape<'de> for Request<'de> {
    fn wrong_scalar(_scalar: Scalar) -> &'static str {
        EXPECTED_STRUCTURE
    }

    fn structure<A: MapAccess<'de>>(mut members: A) -> Result<Given<Self>, A::Error> {
        let mut request = Self::default();
        while let Some(name) = members.next_key::<Text<'de>>()? {
            match name.0.as_ref() {
                "DeliveryStreamName" => request.name = members.next_value()?,
                "Record" => request.record = members.next_value()?,
                "Records" => request.records = members.next_value()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Given::Value(request))
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData))
    }
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Shape<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Given<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Given<T>, E> {
        Ok(Given::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Given<T>, E> {
        Ok(Given::Wrong(T::wrong_scalar(if value { Scalar::True } else { Scalar::False })))
    }

    fn visit_i64<E>(self, _value: i64) -> Result<Given<T>, E> {
        Ok(Given::Wrong(T::wrong_scalar(Scalar::Number)))
    }

    fn visit_u64<E>(self, _value: u64) -> Result<Given<T>, E> {
        Ok(Given::Wrong(T::wrong_scalar(Scalar::Number)))
    }

    fn visit_f64<E>(self, _value: f64) -> Result<Given<T>, E> {
        Ok(Given::Wrong(T::wrong_scalar(Scalar::Number)))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Given<T>, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Given<T>, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Given<T>, A::Error> {
        T::list(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Given<T>, A::Error> {
        T::structure(members)
    }
}

/// A member's name, borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Words for anything but `{` where a structure belongs.
const EXPECTED_STRUCTURE: &str = "Expected structure or null";
