use super::*;

fn read(body: &str) -> Option<(String, Vec<Vec<u8>>)> {
    let put = batch(body.as_bytes(), Limits::default()).or_else(|| record(body.as_bytes(), Limits::default()))?;
    Some((put.stream.to_string(), put.records.iter().map(<[u8]>::to_vec).collect()))
}

#[test]
fn the_bodies_of_well_known_clients_are_known() {
    let ab = Some(("s".to_owned(), vec![b"A".to_vec(), b"AB".to_vec()]));
    // boto3 and the AWS CLI: a space after each colon and comma.
    assert_eq!(read(r#"{"DeliveryStreamName": "s", "Records": [{"Data": "QQ=="}, {"Data": "QUI="}]}"#), ab);
    // SDKs for Java, JavaScript, Go and Rust.
    assert_eq!(read(r#"{"DeliveryStreamName":"s","Records":[{"Data":"QQ=="},{"Data":"QUI="}]}"#), ab);
    assert_eq!(read(r#"{"Records":[{"Data":"QQ=="},{"Data":"QUI="}],"DeliveryStreamName":"s"}"#), ab);
    // By hand, on several lines.
    assert_eq!(
        read(
            "{\n\t\"DeliveryStreamName\" : \"s\",\r\n \"Records\" : [ {\"Data\":\"QQ==\"} ,\n{ \"Data\":\"QUI=\" } ] }\n"
        ),
        ab
    );
    let a = Some(("s".to_owned(), vec![b"A".to_vec()]));
    assert_eq!(read(r#"{"DeliveryStreamName": "s", "Record": {"Data": "QQ=="}}"#), a);
    assert_eq!(read(r#"{"Record":{"Data":"QQ=="},"DeliveryStreamName":"s"}"#), a);
    assert_eq!(read(r#"{"DeliveryStreamName":"s","Record":{"Data":""}}"#), Some(("s".to_owned(), vec![vec![]])));
}

#[test]
fn what_is_not_plain_is_left_to_the_parser() {
    for body in [
        "",
        "{}",
        r#"{"DeliveryStreamName":"s","Record":{"Data":"\u0051Q=="}}"#,
        r#"{"DeliveryStreamName":"\u0073","Record":{"Data":"QQ=="}}"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ==","Data":"QQ=="}}"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":null}}"#,
        r#"{"DeliveryStreamName":"s","Records":[]}"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ=="},"DeliveryStreamName":"s"}"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ=="}}x"#,
        r#"{"DeliveryStreamName":"s","Record":{"Data":"QQ=="}"#,
        r#"{"DeliveryStreamName":"","Record":{"Data":"QQ=="}}"#,
        r#"{"DeliveryStreamName":"s","Records":[{"Data":"QQ=="},]}"#,
    ] {
        assert_eq!(read(body), None, "{body}");
    }
}
