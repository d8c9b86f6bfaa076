//! Records that say who they are: `#<id> <length>\n`, then as many bytes of anything; or, where they become rows, JSON whose `id`
//! does.

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

/// Number of a record, unique in a history; zero is none.
pub(super) type Id = u64;

/// Whether no stage takes the record, where there are stages.
pub(super) fn is_poison(id: Id) -> bool {
    id % 1_000_000 >= POISON
}

/// Ids from here on, below the next million, are those of poison.
pub(super) const POISON: Id = 900_000;

/// The record `id`, followed by `filler`.
pub(super) fn make(id: Id, filler: &[u8]) -> Vec<u8> {
    let mut record = format!("#{id} {}\n", filler.len()).into_bytes();
    record.extend_from_slice(filler);
    record
}

/// The record `id` as JSON, followed by `filler` as text. Whether it fits a table that has a type for `v` depends on the type.
pub(super) fn make_json(id: Id, filler: &[u8]) -> Vec<u8> {
    let v = match id % 5 {
        0 => "\"text\"",
        1 => "[true]",
        _ => "7",
    };
    let filler = base64_simd::STANDARD.encode_to_string(filler);
    format!("{{\"id\":{id},\"v\":{v},\"filler\":\"{filler}\"}}").into_bytes()
}

/// Whether it depends on the table whether the JSON record is a row of it.
pub(super) fn is_doubtful(id: Id) -> bool {
    !is_poison(id)
}

/// The records of an error object's entries, in order. One may have two only where `twice`.
pub(super) fn parse_entries(object: &[u8], twice: bool) -> Result<Vec<Id>, String> {
    let mut ids = Vec::new();
    for line in object.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let entry: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        let raw = entry["rawData"].as_str().ok_or("an entry without its record")?;
        let raw = base64_simd::STANDARD.decode_to_vec(raw).map_err(|error| error.to_string())?;
        for id in parse(&raw)? {
            if ids.contains(&id) && !twice {
                return Err(format!("the entry of record {id} is there twice"));
            }
            ids.push(id);
        }
    }
    Ok(ids)
}

/// The records of an object, in order.
pub(super) fn parse(object: &[u8]) -> Result<Vec<Id>, String> {
    let ids = match object.first() {
        Some(b'P') => parse_rows(object)?,
        Some(b'{') => parse_json(object)?,
        _ => return parse_marked(object),
    };
    for (at, id) in ids.iter().enumerate() {
        if ids.iter().skip(at + 1).any(|other| other == id) {
            return Err(format!("record {id} is there twice"));
        }
    }
    Ok(ids)
}

fn parse_rows(object: &[u8]) -> Result<Vec<Id>, String> {
    let said = |error: parquet::errors::ParquetError| error.to_string();
    let reader = SerializedFileReader::new(Bytes::copy_from_slice(object)).map_err(said)?;
    let rows = reader.get_row_iter(None).map_err(said)?;
    rows.map(|row| Ok(row.map_err(said)?.get_long(0).map_err(said)?.cast_unsigned())).collect()
}

fn parse_json(object: &[u8]) -> Result<Vec<Id>, String> {
    let records = serde_json::Deserializer::from_slice(object).into_iter::<serde_json::Value>();
    let id = |record: serde_json::Value| record["id"].as_u64().ok_or_else(|| "a record without its id".to_owned());
    records.map(|record| record.map_err(|error| error.to_string()).and_then(id)).collect()
}

fn parse_marked(mut object: &[u8]) -> Result<Vec<Id>, String> {
    let mut ids = Vec::new();
    while !object.is_empty() {
        let end = object.iter().take(40).position(|byte| *byte == b'\n').ok_or("a record without its head")?;
        let (head, rest) = object.split_at(end + 1);
        let head = std::str::from_utf8(head).map_err(|error| error.to_string())?;
        let numbers =
            head.strip_prefix('#').and_then(|head| head.trim_end().split_once(' ')).ok_or("a head of another kind")?;
        let id = numbers.0.parse().map_err(|_| "an id that is no number")?;
        let length: usize = numbers.1.parse().map_err(|_| "a length that is no number")?;
        object = rest.get(length..).ok_or("a record that is cut off")?;
        if ids.contains(&id) {
            return Err(format!("record {id} is there twice"));
        }
        ids.push(id);
    }
    Ok(ids)
}
