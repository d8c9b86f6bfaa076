//! JSON records into columns: all of a record or nothing, and whatever came before it.

use std::collections::BTreeMap;

use hydrant_transforms::formats::json::{Decoder, Deserializer, TimestampFormat};
use hydrant_transforms::formats::schema::TableSchema;

/// Runs records (0xFE stands between them) through a decoder for the columns of a `CREATE TABLE`, with the options of a byte.
pub fn check(data: &[u8]) {
    let [columns, options, records] = crate::parts(data);
    let Some(columns) = crate::text(columns) else { return };
    let Ok(schema) = TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")) else { return };
    let options = deserializer(options.first().copied().unwrap_or_default());
    let decoder = || Decoder::new(&schema, options.clone());
    let (mut all, mut good, mut rows) = (decoder(), decoder(), 0);
    for record in records.split(|byte| *byte == 0xFE) {
        let mut alone = decoder();
        let (fate, fate_alone) = (all.decode(record), alone.decode(record));
        assert_eq!(fate, fate_alone, "what came before it does not matter");
        let made = fate.unwrap_or(0);
        if fate_alone.is_ok() {
            assert!(made > 0, "a record that is taken is a row at least");
            assert_eq!(good.decode(record), Ok(made));
        }
        rows += made;
        assert_eq!((alone.rows(), all.rows()), (made, rows), "rows are counted");
    }
    // Bits that say which values are null may stay behind, once there are some.
    assert!(all.bytes() >= good.bytes(), "what is there is counted");
    let (all, good) = (all.take(), good.take());
    assert_eq!((all.num_rows(), all.num_columns()), (rows, schema.columns().len()));
    assert_eq!(all, good, "a record that was refused leaves no trace");
}

fn deserializer(options: u8) -> Deserializer {
    let mappings: BTreeMap<_, _> = [("a".to_owned(), "x".to_owned())].into();
    if options & 1 == 0 {
        let mappings = if options & 8 == 0 { BTreeMap::new() } else { mappings };
        return Deserializer::OpenX { convert_dots: options & 2 == 0, case_insensitive: options & 4 == 0, mappings };
    }
    let formats = ["millis", "yyyy-MM-dd'T'HH:mm:ss.SSSZ", "EEE MMM dd HH:mm:ss yyyy"];
    let formats = formats.map(|format| TimestampFormat::parse(format).expect("a format"));
    Deserializer::Hive { timestamp_formats: formats.into_iter().take(usize::from(options >> 1) % 4).collect() }
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    "a int",
    "b string",
    ",",
    "array<",
    "map<string,",
    "struct<x:",
    ">",
    "decimal(9,2)",
    "timestamp",
    "date",
    "binary",
    "char(3)",
    "double",
    "boolean",
    "tinyint",
    "{\"a\":",
    "\"b\":",
    "\"x\":",
    "}",
    "[",
    "]",
    "null",
    "true",
    "\"true\"",
    "1.5",
    "-1e30",
    "99999999999999999999",
    "\"2020-02-30 00:00:00\"",
    "\"2020-02-29T10:20:30.123Z\"",
    "1600000000000",
    "\"\\ud83d\\ude00\"",
    "\"YWI=\"",
    "{}",
    "\"",
    "\\",
    "é",
    " ",
    "\n",
    "\"A\":1",
    "\"a.b\":",
    "NaN",
    "\"NaN\"",
];
