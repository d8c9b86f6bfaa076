//! What must be true of the objects when everything is delivered.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use bytes::Bytes;
use hydrant_model::Compression;
use orc_rust::ArrowReaderBuilder;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;

use super::load::Book;
use super::records::{BACKED_UP, Fate, column, fate};
use crate::harness::{Bucket, ObjectFile};
use crate::unpack::unpack;

/// Every acknowledged record in exactly one object, every other in at most one, each one whole and where it must be.
pub(super) fn check(bucket: &Bucket, book: &Book) {
    let (backed_up, mut found) = (places(bucket, true), places(bucket, false));
    let mut wrong = Vec::new();
    let mut fates = BTreeMap::new();
    for (id, of) in &book.tried {
        let place = found.remove(id);
        let acknowledged = book.acknowledged.contains(id);
        let (kind, right) = match (fate(of.stream, of.number), &place) {
            (Fate::Delivered(prefix), Some(key)) => ("delivered", key.starts_with(&prefix)),
            (Fate::Delivered(_), None) => ("delivered", !acknowledged),
            (Fate::Failed(prefix), Some(key)) => ("failed", key.starts_with(&prefix)),
            (Fate::Failed(_), None) => ("failed", !acknowledged),
            (Fate::Dropped, place) => ("dropped", place.is_none()),
        };
        if !right {
            wrong.push(format!("{id} of {}, acknowledged: {acknowledged}, to be {kind}, is in {place:?}", of.stream));
        }
        if acknowledged {
            if BACKED_UP.contains(&of.stream) && !backed_up.contains_key(id) {
                wrong.push(format!("{id} is not backed up"));
            }
            *fates.entry((of.stream, kind)).or_insert(0) += 1;
        }
    }
    assert!(wrong.is_empty(), "{} records: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    assert!(found.is_empty(), "nobody put {found:?}");
    for seen in [
        ("clicks", "dropped"),
        ("clicks", "failed"),
        ("grown", "failed"),
        ("orc", "failed"),
        ("packed", "dropped"),
        ("packed", "failed"),
        ("parted", "failed"),
        ("shelved", "failed"),
        ("sorted", "failed"),
    ] {
        assert!(fates.contains_key(&seen), "there was no {seen:?}: {fates:?}");
    }
    println!("{} records tried, {} acknowledged, each once: {fates:?}", book.tried.len(), book.acknowledged.len());
}

/// In which object each record is, of the backup's or of all others.
fn places(bucket: &Bucket, backup: bool) -> BTreeMap<String, String> {
    let mut places = BTreeMap::new();
    let mut twice = Vec::new();
    for object in bucket.objects("").iter().filter(|object| object.key.starts_with("backup/") == backup) {
        for line in lines(object) {
            let id = whole(&line, &object.key).to_owned();
            if let Some(before) = places.insert(id, object.key.clone()) {
                twice.push(format!("{line:.20} in {before} and {}", object.key));
            }
        }
    }
    assert!(twice.is_empty(), "{} records twice: {:?}", twice.len(), &twice[..twice.len().min(20)]);
    places
}

/// The id in a record that is whole.
fn whole<'a>(line: &'a str, key: &str) -> &'a str {
    let (id, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no record in {key}: {line:.100}"));
    let (padding, end) = rest.rsplit_once(' ').expect("a whole record");
    assert!(end == id && padding.bytes().all(|byte| byte == b'x'), "half a record in {key}: {line:.100}");
    id
}

/// The records in an object, or those that its entries are about.
fn lines(object: &ObjectFile) -> Vec<String> {
    match object.key.rsplit_once('.') {
        Some((_, "parquet")) => parquet_lines(object),
        Some((_, "orc")) => orc_lines(object),
        _ => text_lines(object, compression(&object.key)),
    }
}

/// Entries of the error output are packed as their stream's objects are, and have no extension.
fn compression(key: &str) -> Compression {
    match key.strip_prefix("errors/").unwrap_or(key).split('/').next() {
        Some("zipped") => Compression::Gzip,
        Some("os") => Compression::Snappy,
        Some("parted") => Compression::HadoopSnappy,
        Some("packed") => Compression::Zip,
        Some("backup") if key.starts_with("backup/clicks/") => Compression::Zip,
        _ => Compression::Uncompressed,
    }
}

fn text_lines(object: &ObjectFile, compression: Compression) -> Vec<String> {
    let mut bytes = Vec::new();
    unpack(compression, &object.bytes, &mut |piece| bytes.extend_from_slice(piece));
    let text = String::from_utf8(bytes).expect("text");
    assert!(text.ends_with('\n'), "{} ends within a record", object.key);
    let line = |line: &str| if line.starts_with(['{', '[']) { line_of(line, &object.key) } else { line.to_owned() };
    text.lines().map(line).collect()
}

/// The line in a record, or in the record that an entry of the error output is about.
fn line_of(text: &str, key: &str) -> String {
    let record: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{key}: {error}: {text:.200}"));
    if let Some(raw) = record["rawData"].as_str() {
        assert!(key.starts_with("errors/"), "{key}");
        let raw = base64_simd::STANDARD.decode_to_vec(raw).expect("base64");
        return line_of(std::str::from_utf8(&raw).expect("text"), "a record");
    }
    assert!(!key.starts_with("errors/"), "{key}");
    // A list around it is what one stream does not take.
    let record = record.get(0).unwrap_or(&record);
    record["line"].as_str().unwrap_or_else(|| panic!("{key}: {text:.200}")).to_owned()
}

/// The lines of rows, whose other columns must agree.
fn parquet_lines(object: &ObjectFile) -> Vec<String> {
    let reader = SerializedFileReader::new(Bytes::from(object.bytes.clone()));
    let reader = reader.unwrap_or_else(|error| panic!("{}: {error}", object.key));
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| {
        let row = row.unwrap_or_else(|error| panic!("{}: {error}", object.key));
        let line = text(&row, "line");
        let (id, number) = (text(&row, "id"), number(&text(&row, "id")));
        assert!(line.starts_with(&format!("{id} ")), "{}: {row}", object.key);
        let mut of_number = "n".to_owned();
        if !object.key.starts_with("clicks/") {
            of_number = column(number);
            let others = row.get_column_iter().filter(|(name, _)| name.starts_with("column_") && **name != of_number);
            assert!(others.into_iter().all(|(_, value)| *value == Field::Null), "{}: {row}", object.key);
        }
        assert_eq!(value(&row, &of_number), Field::Long(number.cast_signed()), "{}: {row}", object.key);
        line
    })
    .collect()
}

fn value(row: &Row, name: &str) -> Field {
    let found = row.get_column_iter().find(|(column, _)| *column == name);
    found.unwrap_or_else(|| panic!("no column {name} in {row}")).1.clone()
}

fn text(row: &Row, name: &str) -> String {
    match value(row, name) {
        Field::Str(text) => text,
        other => panic!("{name} is {other}"),
    }
}

fn orc_lines(object: &ObjectFile) -> Vec<String> {
    let reader = ArrowReaderBuilder::try_new(Bytes::from(object.bytes.clone()));
    let batches = reader.unwrap_or_else(|error| panic!("{}: {error}", object.key)).build();
    let mut lines = Vec::new();
    for batch in batches {
        let batch = batch.unwrap_or_else(|error| panic!("{}: {error}", object.key));
        let of = |name: &str| batch.column_by_name(name).expect("a column");
        let (ids, texts) = (of("id").as_string::<i32>(), of("line").as_string::<i32>());
        let (numbers, tags) = (of("n").as_primitive::<Decimal128Type>(), of("tags").as_list::<i32>());
        for at in 0..batch.num_rows() {
            let (id, line, tags) = (ids.value(at), texts.value(at), tags.value(at));
            assert!(line.starts_with(&format!("{id} ")), "{}: {id}", object.key);
            assert_eq!(numbers.value(at), i128::from(number(id)), "{}: {id}", object.key);
            let tags = tags.as_string::<i32>();
            let shelf = object.key.strip_prefix("shelved/").and_then(|rest| Some(rest.split_once('/')?.0));
            assert_eq!(tags.iter().collect::<Vec<_>>(), [Some(id), shelf], "{id}");
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The number in an id: what follows its producer's letter.
fn number(id: &str) -> u64 {
    id.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{id} is no letter and number"))
}
