//! The functions that a query may call: jaq's, but for those that are not functions of their input, and ours where jaq's are
//! not like those of jq 1.6.

use jaq_core::data::JustLut;
use jaq_core::native::{self, Fun, bome, unary, v};
use jaq_core::{RunPtr, load};

use super::arithmetic::{Error, ValR, whole};
use super::deletion::delete_paths;
use super::fuel::spend;
use super::paths::occurrences;
use super::text;
use super::value::{BYTES_A_STEP, Value};

pub(super) type Data = JustLut<Value>;

/// Definitions in jq's own language.
pub(super) fn definitions() -> impl Iterator<Item = load::parse::Def<&'static str>> {
    let ours = load::parse(include_str!("library.jq"), |parser| parser.defs()).unwrap_or_default();
    // Those of what is not there would not compile, and those of what is ours would go before it.
    let theirs = jaq_core::defs().chain(jaq_std::defs()).filter(|theirs| {
        let replaced = |ours: &Ours| (ours.0, ours.1) == (theirs.name, theirs.args.len());
        !IMPURE.contains(&theirs.name) && !OURS.iter().any(replaced)
    });
    theirs.chain(ours)
}

/// Functions that are not written in jq.
pub(super) fn functions() -> impl Iterator<Item = Fun<Data>> {
    let theirs = jaq_core::funs::<Data>().chain(jaq_std::funs::<Data>());
    let ours: Vec<_> =
        OURS.iter().map(|(name, arguments, run)| native::run::<Data>((*name, v(*arguments), *run))).collect();
    let replaced = |name: &str| OURS.iter().any(|(ours, ..)| *ours == name);
    theirs.filter(move |(name, ..)| !IMPURE.contains(name) && !replaced(name)).chain(ours)
}

/// Functions of jq, and of jaq in their place, that see or do something beside their input.
pub(super) const IMPURE: &[&str] = &[
    "now",
    "env",
    "input",
    "inputs",
    "debug",
    "debug_empty",
    "stderr",
    "stderr_empty",
    "input_filename",
    "input_line_number",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
    "get_search_list",
    "modulemeta",
];

type Ours = (&'static str, usize, RunPtr<Data>);

const OURS: &[Ours] = &[
    ("fromjson", 0, |cv| bome(from_json(&cv.1))),
    ("tojson", 0, |cv| bome(Ok(Value::text(&text::json(&cv.1))))),
    ("number_of_text", 0, |cv| bome(number_of(&cv.1))),
    ("length", 0, |cv| bome(length(&cv.1))),
    ("nan", 0, |_| bome(Ok(Value::from(f64::NAN)))),
    ("infinite", 0, |_| bome(Ok(Value::from(f64::INFINITY)))),
    ("isnan", 0, |cv| bome(Ok(Value::from(number(&cv.1).is_ok_and(f64::is_nan))))),
    ("reverse", 0, |cv| bome(reversed(cv.1))),
    ("contains", 1, |cv| unary(cv, |one, other| contains(&one, &other).map(Value::from))),
    ("has", 1, |cv| unary(cv, |one, key| has(&one, &key))),
    ("indices", 1, |cv| unary(cv, |one, wanted| indices(&one, &wanted))),
    ("ltrimstr", 1, |cv| unary(cv, |one, prefix| Ok(trimmed(one, &prefix, |text, prefix| text.strip_prefix(prefix))))),
    ("rtrimstr", 1, |cv| unary(cv, |one, suffix| Ok(trimmed(one, &suffix, |text, suffix| text.strip_suffix(suffix))))),
    ("delpaths", 1, |cv| unary(cv, |one, paths| delete_paths(one, &paths))),
    ("encode_uri", 0, |cv| bome(encode_uri(&cv.1))),
    ("range", 3, |mut cv| {
        let (by, to, from) = (cv.0.pop_var(), cv.0.pop_var(), cv.0.pop_var());
        match (number(&from), number(&to), number(&by)) {
            (Ok(from), Ok(to), Ok(by)) => Box::new(range(from, to, by).map(|number| Ok(Value::from(number)))),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => bome(Err(error)),
        }
    }),
];

fn from_json(value: &Value) -> ValR {
    let Value::Text(json) = value else { return Err(Error::typ(value.clone(), "string")) };
    spend(json.len());
    text::read(json).ok_or_else(|| Error::str(format_args!("cannot parse {value} as JSON")))
}

/// A text is read less strictly than JSON: `05`, `.5` and `+5` are numbers too.
fn number_of(value: &Value) -> ValR {
    if let Value::Text(digits) = value {
        spend(digits.len());
        let digits = digits.trim_matches([' ', '\t', '\n', '\r']);
        let known = digits.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        if let Some(number) = digits.parse::<f64>().ok().filter(|_| known) {
            return Ok(Value::from(number));
        }
    }
    Err(Error::str(format_args!("{value} cannot be parsed as a number")))
}

fn number(value: &Value) -> Result<f64, Error> {
    match value {
        Value::Number(number) => Ok(*number),
        other => Err(Error::typ(other.clone(), "number")),
    }
}

fn length(value: &Value) -> ValR {
    Ok(match value {
        Value::Null => Value::from(0_usize),
        Value::Number(number) => Value::from(number.abs()),
        Value::Text(text) => {
            spend(text.len() / BYTES_A_STEP);
            Value::from(text.chars().count())
        }
        Value::List(list) => Value::from(list.items.len()),
        Value::Object(object) => Value::from(object.members.len()),
        Value::Bool(_) => return Err(Error::str(format_args!("boolean ({value}) has no length"))),
    })
}

fn reversed(value: Value) -> ValR {
    match value {
        Value::List(list) => Ok(super::value::items(list).into_iter().rev().collect()),
        // As many elements as its length says.
        empty if length(&empty).is_ok_and(|length| length == Value::from(0_usize)) => Ok(Value::list(Vec::new())),
        other => Err(Error::typ(other, "array")),
    }
}

fn contains(one: &Value, other: &Value) -> Result<bool, Error> {
    spend(1);
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, wanted) in &other.members {
                let Some(value) = one.members.get(key) else { return Ok(false) };
                if !contains(value, wanted)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::List(one), Value::List(other)) => {
            for wanted in &other.items {
                let mut found = false;
                for item in &one.items {
                    // Inside of arrays, kinds that differ are not the same; outside they are a mistake.
                    found |= std::mem::discriminant(item) == std::mem::discriminant(wanted) && contains(item, wanted)?;
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Text(one), Value::Text(other)) => {
            spend(one.len() / BYTES_A_STEP);
            Ok(one.contains(&**other))
        }
        _ if std::mem::discriminant(one) == std::mem::discriminant(other) => Ok(one == other),
        _ => Err(Error::str(format_args!("{one} and {other} cannot have their containment checked"))),
    }
}

fn has(value: &Value, key: &Value) -> ValR {
    match (value, key) {
        (Value::Object(object), Value::Text(key)) => Ok(Value::from(object.members.contains_key(key))),
        (Value::Null, Value::Text(_) | Value::Number(_)) => Ok(Value::from(false)),
        (Value::List(list), Value::Number(at)) => {
            let at = usize::try_from(whole(*at)).ok();
            Ok(Value::from(at.is_some_and(|at| at < list.items.len())))
        }
        _ => Err(Error::str(format_args!("cannot check whether {value} has key {key}"))),
    }
}

/// In a text these are bytes, as in jq 1.6.
fn indices(value: &Value, wanted: &Value) -> ValR {
    match (value, wanted) {
        (Value::Null, wanted) if !matches!(wanted, Value::List(_)) => Ok(Value::Null),
        (Value::Text(_), Value::Text(wanted)) if wanted.is_empty() => Ok(Value::Null),
        (Value::Text(text), Value::Text(wanted)) => {
            spend(text.len());
            let places = (0..text.len())
                .filter(|at| text.as_bytes().get(*at..).is_some_and(|rest| rest.starts_with(wanted.as_bytes())));
            Ok(places.map(Value::from).collect())
        }
        (Value::List(list), Value::List(wanted)) => Ok(occurrences(&list.items, &wanted.items)),
        (Value::List(list), wanted) => Ok(occurrences(&list.items, std::slice::from_ref(wanted))),
        _ => Err(Error::index(value.clone(), wanted.clone())),
    }
}

fn trimmed(value: Value, what: &Value, trim: for<'t> fn(&'t str, &str) -> Option<&'t str>) -> Value {
    match (&value, what) {
        (Value::Text(text), Value::Text(what)) => match trim(text, what) {
            Some(left) => Value::text(left),
            None => value,
        },
        _ => value,
    }
}

fn encode_uri(value: &Value) -> ValR {
    use std::fmt::Write;

    let Value::Text(text) = value else { return Err(Error::typ(value.clone(), "string")) };
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    Ok(Value::text(&out))
}

fn range(from: f64, to: f64, by: f64) -> impl Iterator<Item = f64> {
    let mut next = from;
    std::iter::from_fn(move || {
        let inside = if by > 0.0 {
            next < to
        } else if by < 0.0 {
            next > to
        } else {
            next < to
        };
        let number = next;
        next += by;
        inside.then_some(number)
    })
}

impl jaq_std::ValT for Value {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self {
            Self::List(list) => {
                spend(list.items.len());
                Ok(super::value::items(list).into_iter().collect())
            }
            other => Err(other),
        }
    }

    fn is_int(&self) -> bool {
        matches!(self, Self::Number(number) if number.fract() == 0.0)
    }

    fn as_isize(&self) -> Option<isize> {
        match self {
            Self::Number(number) if number.fract() == 0.0 => isize::try_from(whole(*number)).ok(),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        number(self).ok()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => {
                // Whoever asks looks at all of it, with an automaton at worst.
                spend(text.len() / 8);
                Some(text.as_bytes())
            }
            _ => None,
        }
    }

    fn as_sub_str(&self, sub: &[u8]) -> Self {
        Self::bytes(sub)
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Self::bytes(bytes.as_ref())
    }
}
