//! Records of `MetadataExtraction`, for queries that need no interpreter.

use std::cell::RefCell;

use serde_json::Value;

use crate::jq_query::Asked;
use crate::records::Way;

thread_local! {
    /// Queries that are simple in every way that there is.
    static SIMPLE: RefCell<[Asked; 3]> = RefCell::new([
        Asked::new("{a: .a}", &["a"]),
        Asked::new("{a: .a, b: .b.c, d: .d}", &["a", "b", "d"]),
        Asked::new("{a: .a | tostring, b: .b.c // \"none\", c: .b}", &["a", "b", "c"]),
    ]);
}

/// Runs a record for queries of the short way.
pub fn check(data: &[u8]) {
    let [way, _, _] = SIMPLE.with_borrow_mut(|queries| {
        queries.each_mut().map(|query| {
            assert!(query.is_simple());
            query.agree(data)
        })
    });
    // What jq takes beyond JSON, or reads in its own way, is left out: numbers past a double, lone surrogates.
    let Ok(Value::Object(object)) = serde_json::from_slice(data) else { return };
    if let (Way::On(_, keys), Some(Value::String(text))) = (&way, object.get("a")) {
        assert_eq!(keys[0].as_deref(), Some(text.as_str()));
    }
    let is_key = |value: &Value| match value {
        Value::String(text) => !text.is_empty(),
        Value::Number(_) | Value::Bool(_) => true,
        _ => false,
    };
    assert_eq!(matches!(way, Way::On(..)), object.get("a").is_some_and(is_key), "{way:?}");
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    "\"a\":",
    "\"b\":{",
    "\"c\":",
    "\"d\":",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\\"",
    "\\u0061",
    "\\ud83d\\ude00",
    "\\udc00",
    "1e5",
    "-0",
    "0.1",
    "1e400",
    "123456789012345678",
    "1.0",
    "true",
    "false",
    "null",
    " ",
    "\t",
    "é",
    "\\",
    "\u{1}",
    "[[[[",
];
