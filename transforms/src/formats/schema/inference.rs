//! A schema made of records.
//!
//! | What a key holds | Type |
//! |---|---|
//! | `true`, `false` | boolean |
//! | whole numbers of 64 bits | bigint |
//! | numbers, at least one with a point or an exponent | double |
//! | strings, dates and timestamps too | string |
//! | objects | struct of their members, however rare |
//! | arrays | array of what their items are |
//! | null, `{}` and `[]` only | string |
//! | any two of these that do not go together, whole numbers past 64 bits, what is nested too deep | string |
//!
//! Nothing becomes a timestamp, for a column that was one for a million records may hold a text in the next. Text that is
//! JSON, as objects in a string column are with OpenX, loses nothing.
//!
//! **A schema that is kept only grows.** Columns, and fields of structs, are added behind the ones that are there; no type ever
//! changes, because readers of the earlier files would break, and a value that does not fit the kept type makes its record a
//! bad one, for the error output, where it is seen. Whoever wants another type says so in a table definition.

mod node;

use std::collections::HashMap;

use node::{Kind, Node, Struct};

use super::{HiveType, MAX_INFERRED, MAX_TYPE_DEPTH, StructField, TableSchema};
use crate::formats::json::{Cursor, Fault, Text};

/// Looks at records and says what their schema is.
#[derive(Clone, Debug)]
pub struct Inference {
    row: Struct,
    /// How many more columns and fields there may be.
    room: usize,
}

impl Default for Inference {
    fn default() -> Self {
        Self { row: Struct::default(), room: MAX_INFERRED }
    }
}

impl Inference {
    /// No records seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the objects of a record into account.
    ///
    /// A record that is not JSON, or holds anything but objects, is skipped, and so are columns past [`MAX_INFERRED`] and keys
    /// without a character.
    pub fn record(&mut self, record: &[u8]) {
        // Half of a broken record must not count, so that it is checked before anything is taken from it.
        if std::str::from_utf8(record).is_err() || !only_objects(record) {
            return;
        }
        let mut cursor = Cursor::new(record);
        while !cursor.at_end() {
            if object(&mut cursor, &mut self.row, &mut self.room, 0).is_err() {
                return;
            }
        }
    }

    /// Keeps `schema`: its columns come first and stay as they are, whatever was and will be seen.
    pub fn merge(&mut self, schema: &TableSchema) {
        let seen = std::mem::take(&mut self.row);
        for column in schema.columns() {
            self.row.insert(column.name.clone(), Node::kept(&column.hive_type));
        }
        self.room = MAX_INFERRED.saturating_sub(self.row.size());
        self.row.absorb(seen, &mut self.room);
    }

    /// The schema of what was seen and kept; none if there are no columns.
    pub fn schema(&self) -> Option<TableSchema> {
        TableSchema::new(self.row.fields().map(|(name, node)| (name.to_owned(), node.hive_type()))).ok()
    }
}

/// Whether the record is what a decoder could make rows of.
fn only_objects(record: &[u8]) -> bool {
    let mut cursor = Cursor::new(record);
    while !cursor.at_end() {
        if cursor.look() != b'{' || cursor.skip(0).is_err() {
            return false;
        }
    }
    true
}

/// Reads the object that comes next. `room` is how many more fields there may be.
fn object(cursor: &mut Cursor<'_>, fields: &mut Struct, room: &mut usize, depth: usize) -> Result<(), Fault> {
    let mut more = cursor.open(b'}');
    let mut guess = 0;
    while more {
        cursor.look();
        let key = cursor.key()?;
        cursor.colon()?;
        match fields.field(key, &mut guess, room) {
            Some(node) => value(cursor, node, room, depth + 1)?,
            None => cursor.skip(depth + 1)?,
        }
        more = cursor.another(b'}')?;
    }
    Ok(())
}

/// Reads the value that comes next, which stands within `depth` others.
fn value(cursor: &mut Cursor<'_>, node: &mut Node, room: &mut usize, depth: usize) -> Result<(), Fault> {
    let kind = match cursor.look() {
        b'{' if depth < MAX_TYPE_DEPTH => {
            return match node.as_struct() {
                Some(fields) => object(cursor, fields, room, depth),
                None => cursor.skip(depth),
            };
        }
        b'[' if depth < MAX_TYPE_DEPTH => {
            let Some(item) = node.as_array() else { return cursor.skip(depth) };
            let mut more = cursor.open(b']');
            while more {
                value(cursor, item, room, depth + 1)?;
                more = cursor.another(b']')?;
            }
            return Ok(());
        }
        b'"' => {
            cursor.string()?;
            Kind::String
        }
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            // Of what no type can hold, a text loses nothing.
            match number.truncated() {
                Some(_) if number.integral => Kind::BigInt,
                _ if !number.integral && number.double().is_finite() => Kind::Double,
                _ => Kind::String,
            }
        }
        b'n' => return cursor.skip(depth),
        b't' | b'f' => {
            cursor.skip(depth)?;
            Kind::Boolean
        }
        _ => {
            cursor.skip(depth)?;
            Kind::String
        }
    };
    node.meet(kind);
    Ok(())
}

#[cfg(test)]
mod tests;
