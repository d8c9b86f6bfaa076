//! Lists, maps and structs.

use std::collections::HashSet;

use super::column::{Column, Ends, MapValues, StructValues, Values};
use super::cursor::Cursor;
use super::error::{Fault, RecordError, Shown};
use super::fill::Filler;
use super::members::NOBODY;

impl Filler {
    /// An array, or, with OpenX, anything else as the only item.
    pub(super) fn list(
        &mut self,
        cursor: &mut Cursor<'_>,
        first: u8,
        ends: &mut Ends,
        item: &mut Column,
        depth: usize,
    ) -> Result<(), Fault> {
        if first != b'[' {
            if !self.openx {
                return Err(RecordError::malformed_data("java.io.IOException: Start of Array expected"));
            }
            self.value(cursor, item, depth)?;
        } else if cursor.open(b']') {
            loop {
                self.value(cursor, item, depth + 1)?;
                if !cursor.another(b']')? {
                    break;
                }
            }
        }
        ends.push(item.len())
    }

    /// An object whose keys are data.
    pub(super) fn map(
        &mut self,
        cursor: &mut Cursor<'_>,
        first: u8,
        map: &mut MapValues,
        depth: usize,
    ) -> Result<(), Fault> {
        if first != b'{' {
            return Err(self.no_object(cursor, first, depth));
        }
        let start = *cursor;
        let before = map.keys.len();
        let unique = if self.wary {
            false
        } else {
            self.entries(cursor, map, None, depth)?;
            unique(&map.keys, before)
        };
        if !unique {
            // Once more, with all but the last entry of each key left out. Maps within are looked through at once: else each
            // level would double the work.
            let mut again = start;
            map.keys.truncate(before);
            map.values.truncate(before);
            let last = self.last_entries(&mut again, &mut map.keys, depth)?;
            map.keys.truncate(before);
            let outer = std::mem::replace(&mut self.wary, true);
            *cursor = start;
            let written = self.entries(cursor, map, Some(&last), depth);
            self.wary = outer;
            written?;
        }
        map.ends.push(map.keys.len())
    }

    /// Writes the entries of the object that comes next; of those given by `only`, in order, if it is there.
    fn entries(
        &mut self,
        cursor: &mut Cursor<'_>,
        map: &mut MapValues,
        only: Option<&[bool]>,
        depth: usize,
    ) -> Result<(), Fault> {
        if !cursor.open(b'}') {
            return Ok(());
        }
        let mut wanted = only.map(<[bool]>::iter);
        loop {
            let wanted = wanted.as_mut().is_none_or(|wanted| wanted.next().copied().unwrap_or(false));
            self.entry_key(cursor, wanted.then_some(&mut map.keys))?;
            if wanted {
                self.value(cursor, &mut map.values, depth + 1)?;
            } else {
                cursor.skip(depth + 1)?;
            }
            if !cursor.another(b'}')? {
                return Ok(());
            }
        }
    }

    /// Which entries of the object that comes next are the last of their key. Writes all keys to `keys`.
    fn last_entries(&mut self, cursor: &mut Cursor<'_>, keys: &mut Column, depth: usize) -> Result<Vec<bool>, Fault> {
        let before = keys.len();
        if cursor.open(b'}') {
            loop {
                self.entry_key(cursor, Some(keys))?;
                cursor.skip(depth + 1)?;
                if !cursor.another(b'}')? {
                    break;
                }
            }
        }
        let mut later = HashSet::new();
        let mut last: Vec<bool> = (before..keys.len()).rev().map(|at| later.insert(Key::of(keys, at))).collect();
        last.reverse();
        Ok(last)
    }

    fn entry_key(&mut self, cursor: &mut Cursor<'_>, keys: Option<&mut Column>) -> Result<(), Fault> {
        if cursor.look() != b'"' {
            return Err(cursor.expected("a key"));
        }
        let key = cursor.key()?;
        if let Some(keys) = keys {
            if key.escaped {
                let mut plain = Vec::new();
                key.write(&mut plain);
                self.key(&plain, keys)?;
            } else {
                self.key(key.raw, keys)?;
            }
        }
        cursor.colon()
    }

    /// An object or, with OpenX, an array with a value for each field; row number `row` of the struct.
    pub(super) fn structure(
        &mut self,
        cursor: &mut Cursor<'_>,
        first: u8,
        fields: &mut StructValues,
        row: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        match first {
            b'{' => self.object(cursor, fields, row, depth),
            b'[' if self.openx && !self.inferred => self.positional(cursor, fields, row, depth),
            _ => Err(self.no_object(cursor, first, depth)),
        }
    }

    /// The object that comes next, as row number `row` of `fields`.
    pub(super) fn object(
        &mut self,
        cursor: &mut Cursor<'_>,
        fields: &mut StructValues,
        row: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        let StructValues { members, fields: columns } = fields;
        let mut filled = 0;
        let mut before = NOBODY;
        let mut more = cursor.open(b'}');
        while more {
            if cursor.look() != b'"' {
                return Err(cursor.expected("a key"));
            }
            let member = members.find(cursor, &mut before)?;
            cursor.colon()?;
            let place = member.and_then(|member| Some((member, columns.get_mut(member.field)?)));
            match place {
                Some((member, column)) if column.len() == row || members.replaces(member) => {
                    if column.len() == row {
                        filled += 1;
                    } else {
                        column.truncate(row);
                    }
                    self.value(cursor, column, depth + 1).map_err(|fault| fault.within(members.name(member.field)))?;
                    members.filled(member);
                }
                _ => cursor.skip(depth + 1)?,
            }
            more = cursor.another(b'}')?;
        }
        if filled < columns.len() {
            let missing = fields.complete(row);
            self.missing(missing)?;
        }
        Ok(())
    }

    fn positional(
        &mut self,
        cursor: &mut Cursor<'_>,
        fields: &mut StructValues,
        row: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut more = cursor.open(b']');
        let mut at = 0;
        while more {
            match fields.fields.get_mut(at) {
                Some(column) => {
                    self.value(cursor, column, depth + 1).map_err(|fault| fault.within(fields.members.name(at)))?;
                }
                None => cursor.skip(depth + 1)?,
            }
            at += 1;
            more = cursor.another(b']')?;
        }
        let missing = fields.complete(row);
        self.missing(missing)
    }

    /// The error that the value that comes next is no object.
    #[cold]
    fn no_object(&self, cursor: &mut Cursor<'_>, first: u8, depth: usize) -> Fault {
        if !self.openx {
            return RecordError::malformed_data("java.io.IOException: Start of Object expected");
        }
        let start = cursor.position();
        if let Err(fault) = cursor.skip(depth) {
            return fault;
        }
        let raw = cursor.since(start);
        let (class, value) = match first {
            b'"' => ("java.lang.String", raw.get(1..raw.len() - 1).unwrap_or(raw)),
            b't' | b'f' => ("java.lang.Boolean", raw),
            b'[' => ("org.openx.data.jsonserde.json.JSONArray", raw),
            _ if raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) => ("java.lang.Double", raw),
            _ => ("java.lang.Long", raw),
        };
        RecordError::mismatch(format_args!("Data is not JSONObject  but {class} with value {}", Shown(value)))
    }
}

/// A key of a map as it is written, for comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'a> {
    Bytes(&'a [u8]),
    Number(i128),
}

impl<'a> Key<'a> {
    /// Key number `at` of a column.
    fn of(keys: &'a Column, at: usize) -> Self {
        let whole = |value: Option<i64>| Self::Number(value.unwrap_or(0).into());
        match &keys.values {
            Values::Text { bytes, .. } | Values::Binary(bytes) => Self::Bytes(bytes.nth(at)),
            Values::Boolean(bits) => Self::Number(i128::from(bits.get_bit(at))),
            Values::TinyInt(list) => whole(list.get(at).map(|value| i64::from(*value))),
            Values::SmallInt(list) => whole(list.get(at).map(|value| i64::from(*value))),
            Values::Int(list) | Values::Date(list) => whole(list.get(at).map(|value| i64::from(*value))),
            Values::BigInt(list) | Values::Timestamp(list) => whole(list.get(at).copied()),
            Values::Float(list) => Self::Number(list.get(at).map_or(0, |value| value.to_bits()).into()),
            Values::Double(list) => Self::Number(list.get(at).map_or(0, |value| value.to_bits()).into()),
            Values::Decimal { unscaled, .. } => Self::Number(unscaled.get(at).copied().unwrap_or(0)),
            Values::List(..) | Values::Map(_) | Values::Struct(_) => Self::Number(0),
        }
    }
}

/// Whether no two of the keys from number `from` on are equal.
fn unique(keys: &Column, from: usize) -> bool {
    let range = from..keys.len();
    if range.len() <= FEW_KEYS {
        return range.clone().all(|at| (at + 1..range.end).all(|later| Key::of(keys, at) != Key::of(keys, later)));
    }
    let mut seen = HashSet::with_capacity(range.len());
    range.into_iter().all(|at| seen.insert(Key::of(keys, at)))
}

/// Up to so many keys, comparing each with each is faster than hashing.
const FEW_KEYS: usize = 8;
