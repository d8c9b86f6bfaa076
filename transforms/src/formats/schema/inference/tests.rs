use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::formats::json::{Decoder, Deserializer};

fn inferred(records: &[&str]) -> Vec<String> {
    let mut inference = Inference::new();
    for record in records {
        inference.record(record.as_bytes());
    }
    shown(&inference)
}

fn shown(inference: &Inference) -> Vec<String> {
    inference
        .schema()
        .map(|schema| schema.to_string().split(",\n").map(ToOwned::to_owned).collect())
        .unwrap_or_default()
}

fn schema(columns: &str) -> TableSchema {
    TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")).expect("a table")
}

#[test]
fn values_of_one_kind_have_their_type() {
    for (values, wanted) in [
        ("true", "boolean"),
        ("-5", "bigint"),
        ("9223372036854775807", "bigint"),
        ("1.5", "double"),
        ("1e3", "double"),
        (r#""x""#, "string"),
        (r#""2024-01-01 00:00:00""#, "string"),
        (r#"{"A":1,"b":{"c":true}}"#, "struct<a:bigint,b:struct<c:boolean>>"),
        ("[1,2]", "array<bigint>"),
        (r#"[{"a":1},{"b":"x"}]"#, "array<struct<a:bigint,b:string>>"),
        ("[[1.5]]", "array<array<double>>"),
        ("null", "string"),
        ("{}", "string"),
        ("[]", "string"),
        ("[null]", "string"),
        (r#"{"a":null,"b":[],"c":{}}"#, "struct<a:string,b:string,c:string>"),
        ("9223372036854775808", "string"),
        ("1e999", "string"),
    ] {
        assert_eq!(inferred(&[&format!("{{\"c\":{values}}}")]), [format!("c {wanted}")]);
    }
}

#[test]
fn values_of_two_kinds_widen_or_become_text() {
    for (one, other, wanted) in [
        ("1", "1.5", "double"),
        ("null", "1", "bigint"),
        ("{}", r#"{"a":1}"#, "struct<a:bigint>"),
        ("[]", "[true]", "array<boolean>"),
        ("[1]", "[1.5,null]", "array<double>"),
        (r#"{"a":1}"#, r#"{"b":1,"a":2.5}"#, "struct<a:double,b:bigint>"),
        ("1", r#""x""#, "string"),
        ("1", "true", "string"),
        ("1", "9223372036854775808", "string"),
        ("1.5", "{}", "string"),
        ("[]", "{}", "string"),
        ("[1]", "1", "string"),
        (r#"{"a":1}"#, "[1]", "string"),
        (r#""x""#, r#"{"a":1}"#, "string"),
    ] {
        for (one, other) in [(one, other), (other, one)] {
            let shown = inferred(&[&format!("{{\"c\":{one}}}"), &format!("{{\"c\":{other}}}")]);
            let reordered = wanted.replace("a:double,b:bigint", "b:bigint,a:double");
            assert!(
                shown == [format!("c {wanted}")] || shown == [format!("c {reordered}")],
                "{one} {other}: {shown:?}"
            );
        }
    }
}

#[test]
fn columns_stand_in_the_order_of_their_first_appearance_and_case_does_not_count() {
    assert_eq!(
        inferred(&[r#"{"b":1,"A":2}{"c":true,"a":1.5}"#, r#"{"B":1,"É":"x","":1}"#]),
        ["b bigint", "a double", "c boolean", "`é` string"]
    );
}

#[test]
fn what_the_decoder_refuses_whole_is_skipped() {
    for record in ["", "5", "[1]", "{\"x\":1", "{\"x\":1}[2]", "{\"x\":1} 5", "nonsense", "{\"x\":\"\\ud800\"}"] {
        assert_eq!(inferred(&[record, "{\"a\":1}"]), ["a bigint"], "{record}");
    }
    let mut inference = Inference::new();
    inference.record(b"{\"x\":\"\xFF\"}");
    assert_eq!(inference.schema(), None);
}

#[test]
fn a_kept_schema_gains_columns_and_fields_and_widens_never() {
    let kept = schema("a int, s struct<x:int>, l array<struct<y:date>>, m map<string,int>, d decimal(5,2)");
    let record = r#"{"new":1,"a":"text","s":{"x":1.5,"z":true},"l":[{"y":1,"w":{"v":1}}],"m":{"k":1},"d":1.555}"#;
    let wanted = [
        "a int",
        "s struct<x:int,z:boolean>",
        "l array<struct<y:date,w:struct<v:bigint>>>",
        "m map<string,int>",
        "d decimal(5,2)",
        "new bigint",
    ];
    let mut before = Inference::new();
    before.merge(&kept);
    before.record(record.as_bytes());
    assert_eq!(shown(&before), wanted);
    let mut after = Inference::new();
    after.record(record.as_bytes());
    after.merge(&kept);
    assert_eq!(shown(&after), wanted);
    // What it has become stays, too.
    let mut next = Inference::new();
    next.merge(&after.schema().expect("it has columns"));
    next.record(br#"{"new":1.5,"s":5,"l":"x"}"#);
    assert_eq!(shown(&next), wanted);
    let unchanged = Inference::new();
    assert_eq!(unchanged.schema(), None);
}

#[test]
fn keeping_two_schemas_keeps_the_types_of_the_last_and_all_columns() {
    let mut inference = Inference::new();
    inference.merge(&schema("a int, b date, s struct<x:tinyint>"));
    inference.merge(&schema("b string, s struct<y:date>"));
    inference.record(br#"{"a":"x"}"#);
    assert_eq!(shown(&inference), ["b string", "s struct<y:date,x:tinyint>", "a int"]);
}

#[test]
fn columns_end_at_1000_and_the_rest_is_left_out() {
    let mut record = String::from("{\"s\":{");
    for at in 0..12_000 {
        let comma = if at == 0 { "" } else { "," };
        write!(record, "{comma}\"k{at}\":{at}").expect("a string takes it");
    }
    record.push_str("},\"last\":1}");
    let mut inference = Inference::new();
    inference.record(record.as_bytes());
    inference.record(record.as_bytes());
    let schema = inference.schema().expect("as many as are possible");
    assert_eq!(schema.columns().len(), 1);
    assert!(schema.to_string().ends_with("k998:bigint>"));
}

#[test]
fn what_is_nested_deeper_than_types_may_be_becomes_text() {
    let deep = format!("{{\"c\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    let mut inference = Inference::new();
    inference.record(deep.as_bytes());
    let schema = inference.schema().expect("a column");
    assert!(schema.to_string().contains("array<string>"));
    let stored = serde_json::to_string(&schema).expect("it is plain");
    assert_eq!(serde_json::from_str::<TableSchema>(&stored).expect("it was written"), schema);
    Decoder::new(&schema, Deserializer::default()).decode(deep.as_bytes()).expect("it was made of it");
}

proptest! {
    #[test]
    fn every_record_that_was_seen_fits_what_was_inferred(
        records in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"a\":", "\"b\":", "\"A\":", "1", "2.5", "true", "null", "\"x\"", "{\"a\":1}",
            "[1]", "[{\"b\":null}]", "{}", "[]", "12345678901234567890",
        ]), 0..8), 1..5),
    ) {
        let records: Vec<String> = records.iter().map(|parts| format!("{{\"a\":{}}}", parts.concat())).collect();
        let mut inference = Inference::new();
        let before = inference.schema();
        prop_assert_eq!(before, None);
        for record in &records {
            inference.record(record.as_bytes());
        }
        if let Some(schema) = inference.schema() {
            let mut decoder = Decoder::new(&schema, Deserializer::default());
            for record in &records {
                let mut alone = Inference::new();
                alone.record(record.as_bytes());
                prop_assert_eq!(decoder.decode(record.as_bytes()).is_ok(), alone.schema().is_some(), "{}", record);
            }
        }
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(record in proptest::collection::vec(any::<u8>(), 0..64)) {
        Inference::new().record(&record);
    }
}
