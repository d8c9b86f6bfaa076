use super::*;

/// `(type, message)` of the refusal.
fn refused(result: Result<Put<'_>, Refusal>) -> (&'static str, String) {
    let refusal = result.unwrap_err();
    (refusal.error_type(), refusal.to_string())
}

fn batch_error(body: &str) -> (&'static str, String) {
    refused(batch(body.as_bytes(), Limits::default()))
}

fn record_error(body: &str) -> (&'static str, String) {
    refused(record(body.as_bytes(), Limits::default()))
}

fn validation(message: &str) -> (&'static str, String) {
    ("ValidationException", message.to_owned())
}

fn serialization(message: &str) -> (&'static str, String) {
    ("SerializationException", message.to_owned())
}

#[test]
fn escapes_mean_the_characters_they_stand_for() {
    let body = r#"{"\u0052ecord":{"Dat\u0061":"\u0051Q\u003d=","x":"\ud800"},"DeliveryStreamName":"\u0061\u002d"}"#;
    let put = record(body.as_bytes(), Limits::default()).unwrap();
    assert_eq!((put.stream.as_ref(), put.records.body.as_slice()), ("a-", b"A".as_slice()));
    let put = record(br#"{"DeliveryStreamName":"s","Record":{"Data":"\/\/\/\/"}}"#, Limits::default()).unwrap();
    assert_eq!(put.records.body, [255, 255, 255]);
}

#[test]
fn of_a_repeated_member_the_last_counts_whatever_stood_before() {
    let body = r#"{"Records":7,"DeliveryStreamName":null,"Records":[{"Data":5,"Data":"!","Data":"QQ=="}],"DeliveryStreamName":"s"}"#;
    let put = batch(body.as_bytes(), Limits::default()).unwrap();
    assert_eq!((put.stream.as_ref(), put.records.body.as_slice()), ("s", b"A".as_slice()));
    assert_eq!(
        record_error(r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ==","Data":null}}"#),
        validation(
            "1 validation error detected: Value at 'record.data' failed to satisfy constraint: Member must not be null"
        )
    );
}

#[test]
fn all_faults_stand_in_one_message() {
    assert_eq!(
        batch_error(r#"{"DeliveryStreamName":"a b","Records":[{"Data":"QQ=="},{},null,{"Data":null}]}"#),
        validation(
            "4 validation errors detected: Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [a-zA-Z0-9_.-]+; Value at 'records.2.member.data' failed to satisfy constraint: Member \
             must not be null; Value at 'records.3.member' failed to satisfy constraint: Member must not be null; Value at \
             'records.4.member.data' failed to satisfy constraint: Member must not be null"
        )
    );
    for body in ["{}", "null", r#"{"Record":null,"Records":null,"x":[1,{"Records":[]}]}"#] {
        let nothing_at = |member| {
            validation(&format!(
                "2 validation errors detected: Value at 'deliveryStreamName' failed to satisfy constraint: Member must not be \
                 null; Value at '{member}' failed to satisfy constraint: Member must not be null"
            ))
        };
        assert_eq!(batch_error(body), nothing_at("records"), "{body}");
        assert_eq!(record_error(body), nothing_at("record"), "{body}");
    }
}

#[test]
fn a_name_has_1_to_64_characters() {
    let error =
        |name: &str| record_error(&format!(r#"{{"DeliveryStreamName":"{name}","Record":{{"Data":"QQ=="}}}}"#)).1;
    assert_eq!(
        error(""),
        "2 validation errors detected: Value '' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [a-zA-Z0-9_.-]+; Value '' at 'deliveryStreamName' failed to satisfy constraint: Member must have \
         length greater than or equal to 1"
    );
    let long = "n".repeat(65);
    assert_eq!(
        error(&long),
        format!(
            "1 validation error detected: Value '{long}' at 'deliveryStreamName' failed to satisfy constraint: Member must have \
             length less than or equal to 64"
        )
    );
    assert!(error(&"é".repeat(1_000_000)).len() < 1000, "a message does not grow with the body");
}

#[test]
fn a_wrong_type_is_named_in_the_words_of_the_service() {
    let data = |value: &str| record_error(&format!(r#"{{"DeliveryStreamName":"s","Record":{{"Data":{value}}}}}"#));
    assert_eq!(data("1"), serialization("NUMBER_VALUE can not be converted to a Blob (at 'record.data')"));
    assert_eq!(data("-1"), data("1"));
    assert_eq!(data("1.5"), data("1"));
    assert_eq!(data("true"), serialization("TRUE_VALUE can not be converted to a Blob (at 'record.data')"));
    assert_eq!(
        data("{\"a\":[]}"),
        serialization("Start of structure or map found where not expected (at 'record.data')")
    );
    assert_eq!(data("[[],{}]"), serialization("Start of list found where not expected (at 'record.data')"));
    let error = |body| batch_error(body);
    assert_eq!(
        error(r#"{"DeliveryStreamName":false,"Records":[]}"#),
        serialization("FALSE_VALUE can not be converted to a String (at 'deliveryStreamName')")
    );
    assert_eq!(
        error(r#"{"DeliveryStreamName":"s","Records":{}}"#),
        serialization("Start of structure or map found where not expected (at 'records')")
    );
    assert_eq!(
        error(r#"{"DeliveryStreamName":"s","Records":"x"}"#),
        serialization("Expected list or null (at 'records')")
    );
    assert_eq!(
        error(r#"{"DeliveryStreamName":"s","Records":[{"Data":""},"x"]}"#),
        serialization("Expected structure or null (at 'records.2.member')")
    );
    assert_eq!(error("[]"), serialization("Start of list found where not expected (at 'body')"));
}

#[test]
fn base64_is_strict_and_the_rule_is_named() {
    let error = |data: &str| {
        let (kind, message) =
            batch_error(&format!(r#"{{"DeliveryStreamName":"","Records":[{{}},{{"Data":"{data}"}}]}}"#));
        assert_eq!(kind, "SerializationException", "comes before constraints");
        message
    };
    assert_eq!(
        error("Foo"),
        "'Foo' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3 (at \
         'records.2.member.data')"
    );
    for (data, wrong) in [("-_-_", "-"), ("QU\\nJ", "\\n"), ("A=BC", "="), ("Q===", "="), ("QQ==QQ==", "=")] {
        let message = error(data);
        assert!(message.contains(&format!("Invalid Base64 character: '{wrong}'")), "{data}: {message}");
    }
    for data in ["QR==", "QUJ="] {
        assert!(error(data).contains("Invalid last non-pad Base64 character detected"), "{data}");
    }
    assert!(error(&"!".repeat(1_000_000)).len() < 300, "a message does not grow with the body");
}

#[test]
fn a_body_that_is_no_json_is_refused_with_the_place() {
    for body in [
        "",
        " ",
        "{",
        "{}x",
        r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ=="}"#,
        "{'a':1}",
        r#"{"a":"\ud800","Record":"\ud800"}"#,
    ] {
        let (kind, message) = record_error(body);
        assert_eq!(kind, "SerializationException", "{body}");
        assert!(message.starts_with("Body is not JSON: ") && message.contains("line 1 column"), "{message}");
    }
    assert_eq!(
        refused(record(b"{\"x\":\"\xFF\"}", Limits::default())),
        serialization("Body is not UTF-8: wrong byte at 6")
    );
}

#[test]
fn a_hostile_body_is_refused_without_much_memory_or_stack() {
    let deep = format!(r#"{{"x":{}}}"#, "[".repeat(1_000_000));
    assert_eq!(record_error(&deep).0, "SerializationException");
    let deep = format!(r#"{{"Record":{}}}"#, r#"{"Data":"#.repeat(100_000));
    assert_eq!(record_error(&deep).0, "SerializationException");
    let many = format!(r#"{{"DeliveryStreamName":"s","Records":[{}1]}}"#, "1,".repeat(1_000_000));
    assert_eq!(batch_error(&many).1, "Expected structure or null (at 'records.1.member')");
}
