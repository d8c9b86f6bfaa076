//! Hive's rules, where they are not OpenX's.

use serde_json::json;

use super::*;

const HIVE: Deserializer = Deserializer::Hive { timestamp_formats: Vec::new() };

#[test]
fn columns_match_in_whatever_case_and_keys_of_maps_are_kept() {
    let record = r#"{"A":1,"S":{"B":2},"m":{"K":3,"k":4}}"#;
    assert_eq!(
        rows("a int, s struct<b:int>, m map<string,int>", HIVE, record),
        Ok(vec![json!({"a": 1, "s": {"b": 2}, "m": [["K", 3], ["k", 4]]})])
    );
    assert_eq!(rows("a int", HIVE, r#"{"a":1,"A":2}"#), Ok(vec![json!({"a": 2})]));
    assert_eq!(rows("a_b int", HIVE, r#"{"a.b":1}"#), Ok(vec![json!({"a_b": null})]));
    assert_eq!(hive("map<bigint,string>", r#"{"5":"x"}"#), Ok(json!([[5, "x"]])));
}

#[test]
fn a_missing_key_is_null_and_an_undeclared_one_dropped() {
    assert_eq!(rows("a int, b int", HIVE, r#"{"x":[{}],"b":2}"#), Ok(vec![json!({"a": null, "b": 2})]));
}

#[test]
fn a_string_for_a_number_is_refused_in_jacksons_words() {
    for hive_type in ["tinyint", "smallint", "int", "bigint", "float", "double"] {
        let wanted = "Current token (VALUE_STRING) not numeric, can not use numeric value accessors";
        assert_eq!(malformed(hive(hive_type, r#""1""#)), wanted);
        let wanted = "Current token (VALUE_TRUE) not numeric, can not use numeric value accessors";
        assert_eq!(malformed(hive(hive_type, "true")), wanted);
        let wanted = "Current token (START_OBJECT) not numeric, can not use numeric value accessors";
        assert_eq!(malformed(hive(hive_type, "{}")), wanted);
    }
    assert_eq!(hive("decimal(5,2)", r#""1.5""#), Ok(json!("1.50")));
}

#[test]
fn a_number_or_boolean_for_a_string_becomes_text() {
    for text in ["42", "1.50", "true"] {
        assert_eq!(hive("string", text), Ok(json!(text)));
    }
}

#[test]
fn an_object_or_array_for_a_string_is_refused() {
    for text in ["{}", r#"{"a":1}"#, "[]", "[1]"] {
        let wanted = "One or more fields have incorrect format. Exception when validating field (root)";
        assert_eq!(malformed(hive("string", text)), wanted);
    }
}

#[test]
fn anything_else_for_an_array_is_refused() {
    for text in ["1", r#""x""#, "{}", "true"] {
        assert_eq!(malformed(hive("array<int>", text)), "java.io.IOException: Start of Array expected");
    }
    assert_eq!(hive("array<int>", "[1,null]"), Ok(json!([1, null])));
}

#[test]
fn anything_else_for_a_struct_or_map_is_refused() {
    for hive_type in ["struct<a:int>", "map<string,int>"] {
        for text in ["42", r#""x""#, "[1]", "false"] {
            assert_eq!(malformed(hive(hive_type, text)), "java.io.IOException: Start of Object expected");
        }
    }
    assert_eq!(hive("struct<a:int>", "{}"), Ok(json!({"a": null})));
}

#[test]
fn text_that_is_too_long_is_cut_to_characters() {
    for hive_type in ["char(2)", "varchar(2)"] {
        assert_eq!(hive(hive_type, r#""äöü""#), Ok(json!("äö")));
    }
}
