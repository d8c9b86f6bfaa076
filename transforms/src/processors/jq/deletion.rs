//! `delpaths` as jq 1.6 has it: each path means what it meant before anything was deleted, and what is not there stays away.

use std::collections::BTreeSet;
use std::rc::Rc;

use jaq_core::val::ValT;

use super::arithmetic::{Error, ValR};
use super::fuel::spend;
use super::paths::{bounds, place, put};
use super::value::{Members, Value, items, members};

/// `value` without what lies at `paths`, an array of arrays of keys.
pub(super) fn delete_paths(value: Value, paths: &Value) -> ValR {
    let Value::List(list) = paths else { return Err(Error::str("Paths must be specified as an array")) };
    let mut sorted = Vec::new();
    for path in &list.items {
        let Value::List(path) = path else { return Err(Error::str("Path must be specified as an array")) };
        spend(1 + path.items.len());
        sorted.push(path.items.as_slice());
    }
    sorted.sort();
    match sorted.first() {
        None => Ok(value),
        Some([]) => Ok(Value::Null),
        Some(_) => delete(value, &sorted, 0),
    }
}

/// The same of sorted paths that have the same first `depth` keys, which lead to `value`.
fn delete(mut value: Value, paths: &[&[Value]], depth: usize) -> ValR {
    let mut whole = Vec::new();
    for alike in paths.chunk_by(|one, other| one.get(depth) == other.get(depth)) {
        spend(alike.len());
        // The shortest comes first.
        let Some((first, key)) = alike.first().and_then(|first| Some((first, first.get(depth)?))) else { continue };
        if first.len() == depth + 1 {
            whole.push(key);
            continue;
        }
        let inner = value.clone().index(key)?;
        if !matches!(inner, Value::Null) {
            value = set(value, key, delete(inner, alike, depth + 1)?)?;
        }
    }
    delete_keys(value, &whole)
}

fn set(value: Value, key: &Value, inner: Value) -> ValR {
    match (value, key) {
        (Value::Object(object), Value::Text(key)) => {
            let mut members = members(object);
            members.insert(Rc::clone(key), inner);
            Ok(Value::object(members))
        }
        (Value::List(list), Value::Number(at)) => {
            let at = place(*at, list.items.len());
            Ok(at.map_or(Value::Null, |at| put(items(list), at, inner)))
        }
        (Value::List(list), Value::Object(ends)) => {
            let (from, to) = bounds(ends.members.get("start")..ends.members.get("end"), list.items.len())?;
            let Value::List(inner) = inner else { return Err(Error::typ(inner, "array")) };
            let mut all = items(list);
            all.splice(from..to, items(inner));
            Ok(Value::list(all))
        }
        (value, key) => Err(Error::index(value, key.clone())),
    }
}

fn delete_keys(value: Value, keys: &[&Value]) -> ValR {
    if keys.is_empty() {
        return Ok(value);
    }
    match value {
        Value::Null => Ok(Value::Null),
        Value::Object(object) => {
            let mut gone = BTreeSet::new();
            for key in keys {
                let Value::Text(key) = key else {
                    return Err(Error::str("Cannot delete field at object index of array"));
                };
                gone.insert(&**key);
            }
            let kept: Members = members(object).into_iter().filter(|(key, _)| !gone.contains(&**key)).collect();
            Ok(Value::object(kept))
        }
        Value::List(list) => {
            let length = list.items.len();
            let mut gone = vec![false; length];
            for key in keys {
                let (from, to) = match key {
                    Value::Number(at) => place(*at, length).map_or((0, 0), |at| (at, at.saturating_add(1))),
                    Value::Object(ends) => bounds(ends.members.get("start")..ends.members.get("end"), length)?,
                    _ => return Err(Error::str("Cannot delete field at array index")),
                };
                spend(1 + to.min(length).saturating_sub(from));
                if let Some(range) = gone.get_mut(from..to.min(length)) {
                    range.fill(true);
                }
            }
            let kept = items(list).into_iter().zip(gone).filter(|(_, gone)| !gone).map(|(item, _)| item);
            Ok(Value::list(kept.collect()))
        }
        other => Err(Error::str(format_args!("Cannot delete fields from {other}"))),
    }
}
