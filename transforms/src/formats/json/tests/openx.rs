//! OpenX's rules.

use serde_json::json;

use super::*;

fn options(convert_dots: bool, case_insensitive: bool, mappings: &[(&str, &str)]) -> Deserializer {
    let mappings = mappings.iter().map(|(column, key)| ((*column).to_owned(), (*key).to_owned())).collect();
    Deserializer::OpenX { convert_dots, case_insensitive, mappings }
}

#[test]
fn dots_in_keys_become_underscores_where_that_is_asked_for() {
    let record = r#"{"a.b":1,"s":{"c.d":2}}"#;
    let columns = "a_b int, s struct<c_d:int>";
    assert_eq!(rows(columns, options(true, true, &[]), record), Ok(vec![json!({"a_b": 1, "s": {"c_d": 2}})]));
    assert_eq!(rows(columns, options(false, true, &[]), record), Ok(vec![json!({"a_b": null, "s": {"c_d": null}})]));
}

#[test]
fn keys_match_in_whatever_case_unless_case_counts() {
    let record = r#"{"Name":"x","TYPE":"y","low":"z"}"#;
    let columns = "name string, type string, low string";
    let all = json!({"name": "x", "type": "y", "low": "z"});
    assert_eq!(rows(columns, options(false, true, &[]), record), Ok(vec![all]));
    let some = json!({"name": null, "type": null, "low": "z"});
    assert_eq!(rows(columns, options(false, false, &[]), record), Ok(vec![some]));
}

#[test]
fn an_exact_key_wins_over_one_that_resembles_it_wherever_it_stands() {
    for record in [r#"{"A":1,"a":2}"#, r#"{"a":2,"A":1}"#, r#"{"a":3,"A":1,"a":2,"A":4}"#] {
        assert_eq!(rows("a int", Deserializer::default(), record), Ok(vec![json!({"a": 2})]), "{record}");
    }
    assert_eq!(rows("a int", Deserializer::default(), r#"{"A":1,"\u0041":2}"#), Ok(vec![json!({"a": 2})]));
}

#[test]
fn mapped_columns_take_their_values_from_other_keys() {
    let mapped = options(false, true, &[("TS", "Timestamp"), ("b", "a")]);
    let record = r#"{"timestamp":1,"ts":2,"a":3,"b":4}"#;
    assert_eq!(rows("ts int, b int", mapped.clone(), record), Ok(vec![json!({"ts": 1, "b": 3})]));
    // Fields of structs are found under both names.
    let record = r#"{"s":{"Timestamp":1},"t":{"ts":2}}"#;
    let columns = "s struct<ts:int>, t struct<ts:int>";
    assert_eq!(rows(columns, mapped, record), Ok(vec![json!({"s": {"ts": 1}, "t": {"ts": 2}})]));
}

#[test]
fn keys_of_maps_become_lower_case_and_the_last_of_equal_ones_stays() {
    assert_eq!(openx("map<string,int>", r#"{"Aé":1,"É":2}"#), Ok(json!([["aé", 1], ["é", 2]])));
    assert_eq!(openx("map<string,int>", r#"{"A":1,"b":2,"a":3}"#), Ok(json!([["b", 2], ["a", 3]])));
    let kept = value("map<string,int>", options(false, false, &[]), r#"{"A":1,"a":3}"#);
    assert_eq!(kept, Ok(json!([["A", 1], ["a", 3]])));
    assert_eq!(openx("map<int,boolean>", r#"{"1":true,"+1":false,"2":null}"#), Ok(json!([[1, false], [2, null]])));
    assert_eq!(
        malformed(openx("map<int,int>", r#"{"x":1}"#)),
        "Data does not match the schema. For input string: \"x\""
    );
}

#[test]
fn maps_of_many_keys_keep_the_last_of_equal_ones_too() {
    let entries: Vec<String> =
        (0..40).map(|at| format!("\"k{}\":[{{\"x\":{at}}},{{\"x\":{at},\"X\":7}}]", at % 20)).collect();
    let shown = openx("map<string,array<map<string,int>>>", &format!("{{{}}}", entries.join(","))).expect("it fits");
    let wanted: Vec<Value> = (20..40).map(|at| json!([format!("k{}", at % 20), [[["x", at]], [["x", 7]]]])).collect();
    assert_eq!(shown, json!(wanted));
}

#[test]
fn duplicate_keys_in_maps_within_maps_do_not_double_the_work_at_each_level() {
    const LEVELS: usize = 40;
    let hive_type = format!("{}int{}", "map<string,".repeat(LEVELS), ">".repeat(LEVELS));
    let text = format!("{}7{}", "{\"k\":null,\"k\":".repeat(LEVELS), "}".repeat(LEVELS));
    let wanted = (0..LEVELS).fold(json!(7), |within, _| json!([["k", within]]));
    assert_eq!(openx(&hive_type, &text), Ok(wanted));
}

#[test]
fn a_missing_key_is_null_and_an_undeclared_one_dropped() {
    let record = r#"{"x":{"deep":[1,{"a":5}]},"b":2,"y":"}"}"#;
    assert_eq!(
        rows("a int, b int, s struct<c:int>, l array<int>, m map<string,int>", Deserializer::default(), record),
        Ok(vec![json!({"a": null, "b": 2, "s": null, "l": null, "m": null})])
    );
}

#[test]
fn strings_become_numbers_where_they_are_some() {
    assert_eq!(openx("int", r#""123""#), Ok(json!(123)));
    assert_eq!(openx("bigint", r#""-9223372036854775808""#), Ok(json!(i64::MIN)));
    assert_eq!(openx("smallint", r#""+7""#), Ok(json!(7)));
    assert_eq!(openx("double", r#"" 1.5e3 ""#), Ok(json!(1500.0)));
    assert_eq!(openx("double", r#""-Infinity""#), Ok(json!("-inf")));
    assert_eq!(openx("float", r#""NaN""#), Ok(json!("NaN")));
    assert_eq!(openx("decimal(5,2)", r#""12.345""#), Ok(json!("12.35")));
    for hive_type in ["tinyint", "smallint", "int", "bigint", "float", "double", "decimal(5,2)"] {
        let message = malformed(openx(hive_type, r#""oops""#));
        assert_eq!(message, "Data does not match the schema. For input string: \"oops\"", "{hive_type}");
        for text in ["", " ", "1 2", "0x1", "++1", "inf", "1_000"] {
            malformed(openx(hive_type, &format!("\"{text}\"")));
        }
    }
    for text in ["1.5", " 1", "9223372036854775808"] {
        malformed(openx("bigint", &format!("\"{text}\"")));
    }
}

#[test]
fn an_error_names_the_column_and_the_field() {
    let record = r#"{"s":{"l":[{"a":1},{"a":"oops"}]}}"#;
    let error = rows("s struct<l:array<struct<a:int>>>", Deserializer::default(), record).expect_err("it does not fit");
    assert_eq!(error.column.as_deref(), Some("s.l.a"));
    assert_eq!(
        error.to_string(),
        "DataFormatConversion.MalformedData: Data does not match the schema. For input string: \"oops\""
    );
}

#[test]
fn numbers_and_booleans_become_text_as_they_stand() {
    for text in ["42", "-0", "1.50", "1E+2", "123456789012345678901234567890", "true", "false"] {
        assert_eq!(openx("string", text), Ok(json!(text)));
    }
}

#[test]
fn objects_and_arrays_become_the_text_of_their_json() {
    for text in [r#"{"A": [1, {"b":"\u00e9"}]}"#, "[]", r#"[1 ,"x"]"#, "{}"] {
        assert_eq!(openx("string", text), Ok(json!(text)));
    }
    assert_eq!(
        rows("c string", Deserializer::default(), r#"{"c":{"a":tru}}"#).map_err(|error| error.code),
        Err(PARSE_ERROR)
    );
}

#[test]
fn a_value_for_an_array_becomes_its_only_item() {
    assert_eq!(openx("array<int>", "7"), Ok(json!([7])));
    assert_eq!(openx("array<int>", r#""7""#), Ok(json!([7])));
    assert_eq!(openx("array<array<int>>", "[1,[2,null],null]"), Ok(json!([[1], [2, null], null])));
    assert_eq!(openx("array<struct<a:int>>", r#"{"a":1}"#), Ok(json!([{"a": 1}])));
    assert_eq!(openx("array<int>", "null"), Ok(json!(null)));
    assert_eq!(openx("array<int>", "[]"), Ok(json!([])));
}

#[test]
fn an_array_for_a_struct_goes_by_position() {
    assert_eq!(openx("struct<a:int,b:string>", r#"[1,"x"]"#), Ok(json!({"a": 1, "b": "x"})));
    assert_eq!(openx("struct<a:int,b:string>", "[1]"), Ok(json!({"a": 1, "b": null})));
    assert_eq!(openx("struct<a:int,b:string>", "[]"), Ok(json!({"a": null, "b": null})));
    assert_eq!(openx("struct<a:int,b:string>", r#"[1,"x",{"more":[]}]"#), Ok(json!({"a": 1, "b": "x"})));
}

#[test]
fn a_scalar_for_a_struct_or_map_is_refused_in_javas_words() {
    for hive_type in ["struct<a:int>", "map<string,int>"] {
        for (text, class) in [
            ("42", "java.lang.Long with value 42"),
            ("-1.5", "java.lang.Double with value -1.5"),
            (r#""x""#, "java.lang.String with value x"),
            ("true", "java.lang.Boolean with value true"),
        ] {
            let wanted = format!("Data does not match the schema. Data is not JSONObject  but {class}");
            assert_eq!(malformed(openx(hive_type, text)), wanted);
        }
    }
    malformed(openx("map<string,int>", "[1]"));
}

#[test]
fn an_empty_object_for_a_struct_is_a_struct_of_nulls() {
    assert_eq!(openx("struct<a:int,b:struct<c:int>>", "{}"), Ok(json!({"a": null, "b": null})));
    assert_eq!(openx("map<string,int>", "{}"), Ok(json!([])));
}

#[test]
fn text_that_is_too_long_is_cut_to_characters() {
    for hive_type in ["char(3)", "varchar(3)"] {
        assert_eq!(openx(hive_type, r#""abcdef""#), Ok(json!("abc")));
        assert_eq!(openx(hive_type, r#""äöüß""#), Ok(json!("äöü")));
        assert_eq!(openx(hive_type, r#""a\ud83d\ude00bc""#), Ok(json!("a😀b")));
        assert_eq!(openx(hive_type, r#""ab""#), Ok(json!("ab")));
        assert_eq!(openx(hive_type, "12345"), Ok(json!("123")));
        assert_eq!(openx(&format!("map<{hive_type},int>"), r#"{"İxx":1}"#), Ok(json!([["i\u{307}x", 1]])));
        assert_eq!(openx(&format!("map<{hive_type},int>"), r#"{"äöüß":1}"#), Ok(json!([["äöü", 1]])));
    }
}

#[test]
fn whole_numbers_keep_to_their_range() {
    for (hive_type, least, most) in [
        ("tinyint", i64::from(i8::MIN), i64::from(i8::MAX)),
        ("smallint", i64::from(i16::MIN), i64::from(i16::MAX)),
        ("int", i64::from(i32::MIN), i64::from(i32::MAX)),
        ("bigint", i64::MIN, i64::MAX),
    ] {
        for fits in [least, most, 0, -1] {
            assert_eq!(openx(hive_type, &fits.to_string()), Ok(json!(fits)));
        }
        for past in [i128::from(least) - 1, i128::from(most) + 1] {
            let message = malformed(openx(hive_type, &past.to_string()));
            assert!(message.contains("out of range"), "{message}");
        }
    }
}

#[test]
fn fractions_of_whole_numbers_are_cut_off() {
    for (text, whole) in [("1.9", 1), ("-1.9", -1), ("1.5e1", 15), ("-0.5", 0), ("123456789e-7", 12), ("1e-400", 0)] {
        assert_eq!(openx("int", text), Ok(json!(whole)), "{text}");
        assert_eq!(hive("int", text), Ok(json!(whole)), "{text}");
    }
    assert_eq!(openx("bigint", "9007199254740993.0"), Ok(json!(9_007_199_254_740_993_i64)));
    malformed(openx("int", "1e10"));
    malformed(openx("bigint", "1e400"));
}

#[test]
fn doubles_and_floats_are_the_closest_there_are() {
    for text in
        ["0.1", "-12.34", "1e23", "9007199254740993", "5e-324", "1.7976931348623157e308", "123456789012345678901"]
    {
        assert_eq!(openx("double", text), Ok(json!(text.parse::<f64>().expect("a double"))), "{text}");
    }
    assert_eq!(openx("float", "16777217.1"), Ok(json!(16_777_218.0)));
    for (hive_type, text) in [("double", "1e309"), ("float", "1e39"), ("double", "\"-1e309\""), ("float", "\"1e39\"")] {
        assert!(malformed(openx(hive_type, text)).contains("out of range"));
    }
    assert!(openx("double", "-0.0").expect("a double").as_f64().expect("a double").is_sign_negative());
}

#[test]
fn decimals_are_exact_rounded_half_up_and_never_null_for_being_too_large() {
    for (text, decimal) in [
        ("1", "1.00"),
        ("1.005", "1.01"),
        ("-1.005", "-1.01"),
        ("1.0049999999999999999999999999999999999999", "1.00"),
        ("0.005", "0.01"),
        ("0.0049", "0.00"),
        ("5e-3", "0.01"),
        ("4e-4", "0.00"),
        ("1.2e2", "120.00"),
        ("999.994", "999.99"),
        ("0e999", "0.00"),
    ] {
        assert_eq!(openx("decimal(5,2)", text), Ok(json!(decimal)), "{text}");
        assert_eq!(hive("decimal(5,2)", text), Ok(json!(decimal)), "{text}");
    }
    for text in ["1000", "999.995", "1e3", "-1e400"] {
        assert!(malformed(openx("decimal(5,2)", text)).contains("out of range for decimal(5,2)"));
    }
    let longest = "12345678901234567890123456789012345678";
    assert_eq!(openx("decimal(38,0)", longest), Ok(json!(longest)));
    malformed(openx("decimal(38,0)", &format!("{longest}0")));
    malformed(openx("decimal(38,0)", &format!("{}.5", "9".repeat(38))));
}

#[test]
fn booleans_are_booleans_and_their_texts() {
    for (text, boolean) in [("true", true), ("false", false), ("\"True\"", true), ("\"FALSE\"", false)] {
        assert_eq!(openx("boolean", text), Ok(json!(boolean)));
        assert_eq!(hive("boolean", text), Ok(json!(boolean)));
    }
    for text in ["1", "\"yes\"", "\"\"", "[true]", "{}"] {
        malformed(openx("boolean", text));
        malformed(hive("boolean", text));
    }
}

#[test]
fn binary_is_base64() {
    assert_eq!(openx("binary", r#""AP9/""#), Ok(json!("00ff7f")));
    assert_eq!(openx("binary", r#""AP8""#), Ok(json!("00ff")));
    assert_eq!(hive("binary", r#""AP8=""#), Ok(json!("00ff")));
    assert_eq!(openx("binary", r#""""#), Ok(json!("")));
    malformed(openx("binary", r#""A*""#));
    malformed(openx("binary", "12"));
}

#[test]
fn null_is_null_in_every_column() {
    for hive_type in [
        "boolean",
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "float",
        "double",
        "decimal(38,10)",
        "string",
        "char(1)",
        "varchar(2)",
        "binary",
        "date",
        "timestamp",
        "array<int>",
        "map<string,int>",
        "struct<a:array<int>>",
    ] {
        assert_eq!(openx(hive_type, "null"), Ok(json!(null)), "{hive_type}");
        assert_eq!(hive(hive_type, "null"), Ok(json!(null)), "{hive_type}");
    }
}
