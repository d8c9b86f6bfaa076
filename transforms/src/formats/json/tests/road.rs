//! Records and batches: what a record may be, what it leaves behind, and how long it may be.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const COLUMNS: &str = "a int, b string, l array<struct<x:int,m:map<string,string>>>, bit boolean, n decimal(9,2)";

fn code(record: &[u8]) -> Result<usize, (&'static str, String)> {
    decoder(COLUMNS, Deserializer::default()).decode(record).map_err(|error| (error.code, error.message))
}

#[test]
fn each_object_of_a_record_becomes_a_row() {
    let wanted = vec![json!({"a": 1}), json!({"a": 2}), json!({"a": null})];
    assert_eq!(rows("a int", Deserializer::default(), "{\"a\":1}{\"a\":2} \r\n\t{}\n"), Ok(wanted));
}

#[test]
fn a_record_that_holds_anything_else_is_refused() {
    for (record, says) in [
        ("", "empty"),
        (" \n\t", "empty"),
        ("[{\"a\":1}]", "array"),
        ("5", "primitive"),
        ("\"x\"", "primitive"),
        ("null", "primitive"),
        ("{\"a\":1} true", "primitive"),
    ] {
        let (code, message) = code(record.as_bytes()).expect_err("no object");
        assert_eq!(code, MALFORMED_DATA, "{record}");
        assert!(message.contains(says), "{message}");
    }
    let (code, message) = code(b"{\"a\":\"\xFF\"}").expect_err("no text");
    assert_eq!((code, message.as_str()), (MALFORMED_DATA, "The record is not UTF-8"));
}

#[test]
fn what_is_not_json_is_a_parse_error_wherever_it_stands() {
    for record in [
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{,}",
        "}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":NaN}",
        "{\"b\":\"\n\"}",
        "{\"b\":\"\\x\"}",
        "{\"b\":\"\\u12g4\"}",
        "{\"b\":\"\\ud800\"}",
        "{\"b\":\"\\ud800\\u0041\"}",
        "{\"b\":\"\\udc00\"}",
        "{\"b\":\"x}",
        "{\"u\":[1,]}",
        "{\"u\":[1 2]}",
        "{\"u\":{\"v\":1,}}",
        "{\"u\":[}",
        "{\"u\":[1}}",
        "{\"u\":tru}",
        "{\"u\":nul",
        "{\"a\":1};",
        "{\"a\":1}\0",
        "{\"u\":\"\u{1}\"}",
        "{\"u\":1.5.5}",
        "{\"u\":-01}",
        "{} {",
        "\u{feff}{\"a\":1}",
        "{\"u\":\"\\",
        "{\"u\":\"\\ud83d\\",
        "{} ]",
        // The first thing wrong is a value that does not fit; that the rest is no JSON says more.
        "{\"a\":\"oops\"",
        "{\"a\":{}} x",
        "{\"a\":[1,]}",
        "5 x",
    ] {
        let (code, message) = code(record.as_bytes()).expect_err(record);
        assert_eq!(code, PARSE_ERROR, "{record}: {message}");
        assert!(message.starts_with("Encountered malformed JSON. Unexpected "), "{message}");
    }
    let (_, message) = code(b"{\"a\":1,}").expect_err("a comma too many");
    assert_eq!(message, "Encountered malformed JSON. Unexpected character '}' at byte 7: expected a key");
}

#[test]
fn escapes_stand_for_their_characters() {
    let record = r#"{"\u0062":"\"\\\/\b\f\n\r\t\u0000\u00e9\u20ac\ud83d\ude00 é€😀 and longer than eight"}"#;
    let wanted = "\"\\/\u{8}\u{c}\n\r\t\0é€😀 é€😀 and longer than eight";
    assert_eq!(rows("b string", Deserializer::default(), record), Ok(vec![json!({"b": wanted})]));
}

#[test]
fn a_duplicate_keys_last_value_counts() {
    for (record, wanted) in [
        (r#"{"a":1,"a":2}"#, json!({"a": 2, "s": null, "l": null})),
        (r#"{"a":1,"a":null}"#, json!({"a": null, "s": null, "l": null})),
        (r#"{"s":{"x":1,"y":2},"s":{"y":3}}"#, json!({"a": null, "s": {"x": null, "y": 3}, "l": null})),
        (r#"{"l":["a","b"],"a":1,"l":["c"]}"#, json!({"a": 1, "s": null, "l": ["c"]})),
        (r#"{"s":null,"\u0073":{"x":7,"x":8}}"#, json!({"a": null, "s": {"x": 8, "y": null}, "l": null})),
    ] {
        let columns = "a int, s struct<x:int,y:int>, l array<string>";
        assert_eq!(rows(columns, Deserializer::default(), record), Ok(vec![wanted]), "{record}");
    }
    // The first one is a value of the object all the same, and must fit.
    malformed(openx("struct<a:int>", r#"{"a":"oops","a":1}"#));
}

#[test]
fn a_bad_record_leaves_the_rows_before_it_as_they_were() {
    let good = r#"{"a":1,"b":"one","l":[{"x":1,"m":{"k":"v"}}],"bit":true,"n":1.5}"#;
    let sparse = r#"{"b":null,"l":null}"#;
    let bad = [
        r#"{"a":2,"b":"two","l":[{"x":2,"m":{"k":"w","j":"u"}},{"x":"oops"}]}"#,
        r#"{"a":2,"b":"two","bit":false,"n":12345678.9}"#,
        r#"{"a":2,"b":"two","l":[null,{"m":{"k":1,"k":2}}]}{"a":3}{"a":[]}"#,
        r#"{"a":2,"b":"two","bit":true"#,
        r#"{"b":"cut off"#,
    ];
    let mut decoder = decoder(COLUMNS, Deserializer::default());
    let mut wanted = Vec::new();
    for record in bad {
        for (more, record) in [(1, good), (1, sparse)] {
            assert_eq!(decoder.decode(record.as_bytes()), Ok(more));
        }
        let bytes = decoder.bytes();
        decoder.decode(record.as_bytes()).expect_err("a bad record");
        // Bitmaps of nulls may have been made.
        assert!((bytes..bytes + 8).contains(&decoder.bytes()), "{record}");
        wanted.push(json!({
            "a": 1, "b": "one", "l": [{"x": 1, "m": [["k", "v"]]}], "bit": true, "n": "1.50"
        }));
        wanted.push(json!({"a": null, "b": null, "l": null, "bit": null, "n": null}));
    }
    assert_eq!(decoder.rows(), wanted.len());
    assert_eq!(shown_rows(&decoder.take()), wanted);
    assert_eq!(decoder.take().num_rows(), 0);
    assert_eq!(decoder.decode(sparse.as_bytes()), Ok(1));
    assert_eq!(shown_rows(&decoder.take()).len(), 1);
}

#[test]
fn nesting_ends_at_512() {
    let nested = |depth: usize| format!("{{\"u\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert_eq!(code(nested(512).as_bytes()), Ok(1));
    let (kind, message) = code(nested(513).as_bytes()).expect_err("too deep");
    assert_eq!((kind, message.as_str()), (MALFORMED_DATA, "The record is nested more than 512 deep"));
    // What stands within declared columns counts too.
    let within =
        |depth: usize| format!("{{\"l\":[{{\"m\":{{\"k\":{}{}}}}}]}}", "[".repeat(depth - 4), "]".repeat(depth - 4));
    assert_eq!(code(within(512).as_bytes()), Ok(1));
    assert_eq!(code(within(513).as_bytes()).map_err(|(code, _)| code), Err(MALFORMED_DATA));
    assert_eq!(code("[".repeat(1_000_000).as_bytes()).map_err(|(code, _)| code), Err(MALFORMED_DATA));
}

#[test]
fn keys_end_at_262144_characters() {
    for key in ["k".repeat(262_144), "é".repeat(262_144), "\\u0041".repeat(262_144)] {
        assert_eq!(code(format!("{{\"{key}\":1}}").as_bytes()), Ok(1));
        assert_eq!(code(format!("{{\"l\":{{\"m\":{{\"{key}\":1}}}}}}").as_bytes()), Ok(1));
        for record in [
            format!("{{\"{key}k\":1}}"),
            format!("{{\"u\":[{{\"{key}k\":1}}]}}"),
            format!("{{\"l\":{{\"m\":{{\"{key}k\":1}}}}}}"),
        ] {
            let (code, message) = code(record.as_bytes()).expect_err("too long");
            assert_eq!(code, MALFORMED_DATA);
            assert!(message.contains("longer than 262144"), "{message}");
        }
    }
}

#[test]
fn members_may_come_go_and_change_places() {
    let mut decoder = decoder("a int, b int, c int, d int", Deserializer::default());
    let mut wanted = Vec::new();
    let keys = ["a", "b", "c", "d", "x", "A", "y"];
    for turn in 0..400_usize {
        let mut row = json!({"a": null, "b": null, "c": null, "d": null});
        let mut members = Vec::new();
        for step in 0..keys.len() {
            let key = keys[(turn * 3 + step * (1 + turn % 6)) % keys.len()];
            if (turn >> step) % 3 == 0
                && !members.iter().any(|member: &String| member.starts_with(&format!("\"{key}\"")))
            {
                members.push(format!("\"{key}\" : {step}"));
                let column = key.to_lowercase();
                let exact = members.iter().any(|member| member.starts_with(&format!("\"{column}\""))) && key != column;
                if row.get(&column).is_some() && !exact {
                    row[column] = json!(step);
                }
            }
        }
        assert_eq!(decoder.decode(format!("{{{}}}", members.join(" , ")).as_bytes()), Ok(1));
        wanted.push(row);
    }
    assert_eq!(shown_rows(&decoder.take()), wanted);
}

#[test]
fn keys_without_end_are_not_remembered_without_end() {
    let mut decoder = decoder("a int", Deserializer::default());
    for at in 0..5000 {
        let record = format!("{{\"k{at}\":[],\"{}{at}\":0,\"a\":{at}}}", "long".repeat(100));
        assert_eq!(decoder.decode(record.as_bytes()), Ok(1));
    }
    assert_eq!(shown_rows(&decoder.take())[4999], json!({"a": 4999}));
}

#[test]
fn the_bytes_of_pending_rows_are_told() {
    let mut decoder = decoder("a bigint, b string", Deserializer::default());
    let empty = decoder.bytes();
    decoder.decode(br#"{"a":1,"b":"12345678"}"#).expect("it fits");
    assert_eq!(decoder.bytes() - empty, 8 + 8 + 4);
    decoder.take();
    assert_eq!(decoder.bytes(), empty);
}

#[test]
fn arrays_have_the_types_that_the_schema_names() {
    let columns = "a boolean, b tinyint, c smallint, d int, e bigint, f float, g double, h decimal(38,10), i string, \
                   j char(3), k varchar(4), l binary, m date, n timestamp, o array<map<string,struct<x:char(2)>>>";
    let schema = TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")).expect("a table");
    let mut decoder = Decoder::new(&schema, Deserializer::default());
    decoder.decode(b"{}").expect("an object");
    let batch = decoder.take();
    assert_eq!(batch.schema(), schema.arrow());
    assert_eq!(batch.num_rows(), 1);
    batch.columns().iter().for_each(|column| column.to_data().validate_full().expect("a sound array"));
}

fn decodes_soundly(record: &[u8]) {
    for deserializer in [Deserializer::default(), Deserializer::Hive { timestamp_formats: Vec::new() }] {
        let mut decoder = decoder(COLUMNS, deserializer);
        let good = br#"{"a":7,"b":"x","l":[{"x":1}],"bit":true}"#;
        decoder.decode(good).expect("a good record");
        let added = decoder.decode(record).unwrap_or(0);
        decoder.decode(good).expect("a good record");
        let batch = decoder.take();
        assert_eq!(batch.num_rows(), added + 2);
        batch.columns().iter().for_each(|column| column.to_data().validate_full().expect("a sound array"));
        let rows = shown_rows(&batch);
        assert_eq!(rows.first(), rows.last());
        assert_eq!(rows[0]["l"], json!([{"x": 1, "m": null}]));
    }
}

#[test]
fn a_record_cannot_fill_memory_with_what_it_leaves_out() {
    let names: Vec<_> = (0..1_024).map(|at| format!("c{at}: int")).collect();
    let (row, inner) = (names.join(",").replace(':', ""), names.join(","));
    let most = fill::MOST_MISSING / 1_024;
    let array = |item: &str, count: usize| format!("{{\"l\":[{}]}}", vec![item; count].join(","));
    for (columns, fits, too_much) in [
        (row, "{}".repeat(most), "{}".repeat(most + 1)),
        (format!("l array<struct<{inner}>>"), array("{}", most), array("{}", most + 1)),
        (format!("l array<struct<{inner}>>"), array("[]", most), array("[]", most + 1)),
        (format!("l array<struct<{inner}>>"), array("null", most), array("null", most + 1)),
        (format!("l array<struct<a:int,s:struct<{inner}>>>"), array("{\"a\":1}", most - 4), array("{\"a\":1}", most)),
    ] {
        let mut decoder = decoder(&columns, Deserializer::default());
        let refused = decoder.decode(too_much.as_bytes()).expect_err("too much");
        assert_eq!(refused.code, MALFORMED_DATA);
        assert_eq!(refused.message, "The record leaves out more than 4194304 values of its rows");
        assert_eq!(decoder.rows(), 0);
        // It does not count for the records that follow.
        for _ in 0..2 {
            let rows = decoder.decode(fits.as_bytes()).expect("it fits");
            assert_eq!(decoder.take().num_rows(), rows);
        }
        // What is no JSON at all is still told as such.
        let refused = decoder.decode(format!("{too_much}!").as_bytes()).expect_err("no JSON");
        assert_eq!(refused.code, PARSE_ERROR);
    }
}

#[test]
fn a_record_that_was_refused_leaves_no_memory_behind() {
    let mut decoder = decoder("a bigint, b string", Deserializer::default());
    let refused = format!("{}!", "{\"a\":1,\"b\":\"0123456789\"}".repeat(100_000));
    decoder.decode(refused.as_bytes()).expect_err("no JSON");
    decoder.decode(b"{\"a\":1}").expect("a row");
    let held = decoder.take().get_array_memory_size();
    assert!(held < 100_000, "{held} bytes for one row");
}

proptest! {
    #[test]
    fn arbitrary_bytes_neither_panic_nor_change_other_rows(record in proptest::collection::vec(any::<u8>(), 0..64)) {
        decodes_soundly(&record);
    }

    #[test]
    fn json_like_bytes_neither_panic_nor_change_other_rows(
        record in proptest::collection::vec(proptest::sample::select(b"{}[]\",:\\u0d8n1-.e abxlm\xC3\xA9".to_vec()), 0..48),
    ) {
        decodes_soundly(&record);
    }

    #[test]
    fn mutated_records_neither_panic_nor_change_other_rows(at in 0..200_usize, byte: u8, cut in 0..200_usize) {
        let mut record = r#"{"a":1,"b":"\ud83d\ude00 é","l":[{"x":1,"m":{"k":"v","k":"w"}},null],"bit":true,"n":1.5e2,"u":[{}]}"#
            .repeat(2)
            .into_bytes();
        if let Some(place) = record.get_mut(at) {
            *place = byte;
        }
        record.truncate(record.len() - cut.min(record.len()));
        decodes_soundly(&record);
    }

    #[test]
    fn a_value_is_json_here_where_it_is_for_serde(
        value in proptest::collection::vec(proptest::sample::select(b"{}[]\",:\\u0d8n1-. \t".to_vec()), 0..24),
    ) {
        let mut cursor = Cursor::new(&value);
        let ours = cursor.skip(0).is_ok() && cursor.at_end();
        let theirs = serde_json::from_slice::<Value>(&value).is_ok();
        prop_assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(&value));
    }
}
