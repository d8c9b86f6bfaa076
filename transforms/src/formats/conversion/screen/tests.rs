use std::sync::Arc;

use hydrant_model::{Birth, Offset, RecordIdentity};
use proptest::prelude::*;

use super::*;
use crate::formats::conversion::{Converter, Format, most_memory};
use crate::formats::json::Deserializer;
use crate::formats::parquet;
use crate::records::{Arrived, Source, Span};

fn conversion(schema: SchemaSource) -> Conversion {
    Conversion { schema, deserializer: Deserializer::default(), format: Format::Parquet(parquet::Options::default()) }
}

fn named() -> SchemaSource {
    let text = || "x".to_owned();
    SchemaSource::Table { catalog_id: None, database: text(), table: text(), region: None, version: None, role: text() }
}

fn arrived(records: &[&str]) -> Arrived {
    let mut bytes = Vec::new();
    let sources = records.iter().zip(0..).map(|(record, offset)| {
        let start = u32::try_from(bytes.len()).expect("small");
        bytes.extend_from_slice(record.as_bytes());
        let span = Span { start, end: u32::try_from(bytes.len()).expect("small") };
        let identity = RecordIdentity { birth: Birth([0; 16]), offset: Offset(offset), sub_index: 0 };
        Source { span, arrival_ms: 0, identity }
    });
    let sources = sources.collect();
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

/// What the screen lets through, and the codes of the others.
fn screened(screen: &mut Screen, records: &[&str]) -> (Vec<String>, Vec<String>) {
    let arrived = arrived(records);
    let mut fates = Fates::default();
    let through = screen.apply(Records::of(&arrived, Arc::default()), &mut fates);
    let texts = through.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned());
    (texts.collect(), fates.failures.iter().map(|failure| failure.code.to_string()).collect())
}

const PARSE_ERROR: &str = "DataFormatConversion.ParseError";
const MALFORMED: &str = "DataFormatConversion.MalformedData";

#[test]
fn what_does_not_fit_the_table_is_set_aside_and_the_order_is_kept() {
    let table = TableSchema::from_ddl("CREATE TABLE t (a int, b string)").expect("a table");
    let mut screen = Screen::new(&conversion(named()), Some(table.clone()));
    let (through, refused) = screened(&mut screen, &[r#"{"a":1}"#, r#"{"a":"x"}"#, "{", r#"{"b":"y","c":1}"#]);
    assert_eq!(through, [r#"{"a":1}"#, r#"{"b":"y","c":1}"#]);
    assert_eq!(refused, [MALFORMED, PARSE_ERROR]);
    assert_eq!(screen.schema(), Some(&table), "a table that is named does not grow");
}

#[test]
fn an_inferred_table_grows_with_each_lot_and_holds_later_ones_to_its_types() {
    let mut screen = Screen::new(&conversion(SchemaSource::Inferred), None);
    assert_eq!(screened(&mut screen, &["{}", "{"]).1, ["DataFormatConversion.InvalidSchema", PARSE_ERROR]);
    assert_eq!(screen.schema(), None);
    assert_eq!(screened(&mut screen, &["{}", r#"{"a":1}"#]).0.len(), 2);
    let (through, refused) = screened(&mut screen, &[r#"{"b":"x"}"#, r#"{"a":"no number"}"#]);
    assert_eq!((through, refused), (vec![r#"{"b":"x"}"#.to_owned()], vec![MALFORMED.to_owned()]));
    let names: Vec<_> = screen.schema().expect("a table").columns().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn what_would_become_another_value_does_not_fit_a_type_that_was_inferred() {
    let mut screen = Screen::new(&conversion(SchemaSource::Inferred), None);
    assert_eq!(screened(&mut screen, &[r#"{"b":{"c":1}}"#]).0.len(), 1);
    assert_eq!(screened(&mut screen, &[r#"{"b":[1,"a"]}"#]).1, [MALFORMED]);
    assert_eq!(screened(&mut screen, &[r#"{"b":{"c":1.5}}"#]).1, [MALFORMED], "half of it would be lost");
    let table = TableSchema::from_ddl("CREATE TABLE t (b struct<c:int>)").expect("a table");
    let mut screen = Screen::new(&conversion(named()), Some(table));
    assert_eq!(screened(&mut screen, &[r#"{"b":[1,"a"]}"#]).0.len(), 1);
}

proptest! {
    /// The promise that the spool rests on: what was let through once fits every later file.
    #[test]
    fn what_was_let_through_fits_the_table_that_the_stream_ends_up_with(
        lots in prop::collection::vec(prop::collection::vec(record(), 1..6), 1..6)
    ) {
        let conversion = conversion(SchemaSource::Inferred);
        let mut screen = Screen::new(&conversion, None);
        let mut through = Vec::new();
        for lot in &lots {
            let lot: Vec<&str> = lot.iter().map(String::as_str).collect();
            let (kept, refused) = screened(&mut screen, &lot);
            prop_assert_eq!(kept.len() + refused.len(), lot.len());
            through.extend(kept);
        }
        let limit = most_memory(&conversion, screen.schema());
        let mut converter = Converter::new(&conversion, screen.schema(), limit).expect("a converter");
        for record in through {
            prop_assert!(converter.push(record.as_bytes()).is_ok(), "{}", record);
        }
    }
}

fn record() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("1.5".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("\"x\"".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just("[1,\"a\"]".to_owned()),
        Just("{}".to_owned()),
        Just("{\"c\":1}".to_owned()),
        Just("{\"c\":[{}],\"D\":2}".to_owned()),
        Just("{".to_owned()),
    ];
    let member = (prop_oneof![Just("a"), Just("A"), Just("b"), Just("")], value);
    prop::collection::vec(member, 0..4).prop_map(|members| {
        let members: Vec<_> = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}
