//! Dates and timestamps.

use serde_json::json;

use super::*;

/// Nanoseconds since 1970 of a moment in UTC, by another library.
fn at(text: &str) -> i64 {
    let instant: jiff::Timestamp = text.parse().expect("an instant");
    i64::try_from(instant.as_nanosecond()).expect("in range")
}

fn with(formats: &[&str]) -> Deserializer {
    let formats = formats.iter().map(|format| TimestampFormat::parse(format).expect("a format"));
    Deserializer::Hive { timestamp_formats: formats.collect() }
}

#[test]
fn openx_takes_sql_timestamps_with_one_digit_fields() {
    for (text, instant) in [
        ("2024-02-29 03:04:05", "2024-02-29T03:04:05Z"),
        ("2024-2-9 3:4:5", "2024-02-09T03:04:05Z"),
        ("1969-12-31 23:59:59.9", "1969-12-31T23:59:59.9Z"),
        ("2024-12-31 23:59:59.123456789", "2024-12-31T23:59:59.123456789Z"),
    ] {
        assert_eq!(openx("timestamp", &json!(text).to_string()), Ok(json!(at(instant))), "{text}");
        assert_eq!(hive("timestamp", &json!(text).to_string()), Ok(json!(at(instant))), "{text}");
    }
}

#[test]
fn openx_takes_iso_timestamps_with_and_without_an_offset() {
    for (text, instant) in [
        ("2024-02-29T03:04:05", "2024-02-29T03:04:05Z"),
        ("2024-02-29T03:04:05Z", "2024-02-29T03:04:05Z"),
        ("2024-02-29T03:04:05.000000001Z", "2024-02-29T03:04:05.000000001Z"),
        ("2024-01-01T00:30:00+02:00", "2023-12-31T22:30:00Z"),
        ("2024-01-01T00:30:00.5-0130", "2024-01-01T02:00:00.5Z"),
        ("2024-01-01T00:30:00+02", "2023-12-31T22:30:00Z"),
    ] {
        assert_eq!(openx("timestamp", &json!(text).to_string()), Ok(json!(at(instant))), "{text}");
    }
}

#[test]
fn openx_takes_epochs_as_seconds_below_10_to_the_12_and_otherwise_as_milliseconds() {
    for (text, nanoseconds) in [
        ("0", 0_i64),
        ("-1", -1_000_000_000),
        ("1700000000", 1_700_000_000_000_000_000),
        ("1700000000123", 1_700_000_000_123_000_000),
        ("1700000000123.456789", 1_700_000_000_123_456_789),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1.5e-3", 1_500_000),
        ("-0.5", -500_000_000),
        ("1.7e9", 1_700_000_000_000_000_000),
        ("1000000000000", 1_000_000_000_000_000_000),
        ("-1000000000000", -1_000_000_000_000_000_000),
        ("9223372036", 9_223_372_036_000_000_000),
    ] {
        assert_eq!(openx("timestamp", text), Ok(json!(nanoseconds)), "{text}");
        assert_eq!(openx("timestamp", &format!("\"{text}\"")), Ok(json!(nanoseconds)), "{text}");
    }
}

#[test]
fn timestamps_that_64_bits_of_nanoseconds_do_not_reach_are_refused() {
    for text in [
        "\"1677-09-21 00:12:43\"",
        "\"1677-09-21 00:12:43.999999999\"",
        "-9223372036.000000001",
        "\"2262-04-11T23:47:17Z\"",
        "\"9999-12-31 23:59:59\"",
        "999999999999",
        "9223372037",
        "99999999999999999999",
        "1e300",
        "\"-9e18\"",
    ] {
        let message = malformed(openx("timestamp", text));
        assert!(message.contains("is not between 1677"), "{message}");
    }
    malformed(hive("timestamp", "\"2300-01-01 00:00:00\""));
    assert_eq!(openx("timestamp", "\"2262-04-11 23:47:16.854775807\""), Ok(json!(i64::MAX)));
    assert_eq!(openx("timestamp", "\"1677-09-21 00:12:44\""), Ok(json!(-9_223_372_036_000_000_000_i64)));
    assert_eq!(openx("timestamp", "-9223372036"), Ok(json!(-9_223_372_036_000_000_000_i64)));
}

#[test]
fn other_timestamps_are_refused() {
    for text in [
        "2024-01-02",
        "2024-01-02 03:04",
        "2024-01-02 03:04:05Z",
        "2024-1-02T03:04:05Z",
        "2024-01-02T3:04:05Z",
        "2024-01-02T03:04:05.Z",
        "2024-01-02 03:04:05.1234567890",
        "2024-02-30 00:00:00",
        "2024-13-01 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01 23:59:60",
        "24-01-01 00:00:00",
        "20240-01-01 00:00:00",
        "2024-01-02T03:04:05+24:00",
        "2024-01-02T03:04:05+2",
        "now",
        "",
    ] {
        malformed(openx("timestamp", &json!(text).to_string()));
        malformed(hive("timestamp", &json!(text).to_string()));
    }
    for text in ["true", "{}", "[]"] {
        malformed(openx("timestamp", text));
        malformed(hive("timestamp", text));
    }
    // Hive's default takes no epochs and no ISO.
    for text in ["1700000000", "\"1700000000\"", "\"2024-01-02T03:04:05Z\""] {
        malformed(hive("timestamp", text));
    }
}

#[test]
fn dates_are_lenient_in_their_digits_and_no_more() {
    for read in [openx, hive] {
        assert_eq!(read("date", "\"1970-01-01\""), Ok(json!(0)));
        assert_eq!(read("date", "\"1970-1-2\""), Ok(json!(1)));
        assert_eq!(read("date", "\"1969-12-31\""), Ok(json!(-1)));
        assert_eq!(read("date", "\"2024-2-29\""), Ok(json!(19_782)));
        for text in ["\"2023-02-29\"", "\"2024-1\"", "\"2024-01-01 \"", "\"2024-01-001\"", "\"x\"", "19782", "true"] {
            malformed(read("date", text));
        }
    }
}

#[test]
fn hives_formats_are_tried_in_order_and_the_default_last() {
    let formats = with(&["yyyy-MM-dd'T'HH:mm:ss.SSSZ", "dd/MMM/yyyy:HH:mm:ss Z", "millis"]);
    for (text, instant) in [
        ("\"2024-03-04T05:06:07.089+0100\"", "2024-03-04T04:06:07.089Z"),
        ("\"04/Mar/2024:05:06:07 -0200\"", "2024-03-04T07:06:07Z"),
        ("1700000000123", "2023-11-14T22:13:20.123Z"),
        ("\"1700000000123.5\"", "2023-11-14T22:13:20.1235Z"),
        ("-1", "1969-12-31T23:59:59.999Z"),
        ("\"2024-03-04 05:06:07\"", "2024-03-04T05:06:07Z"),
    ] {
        assert_eq!(value("timestamp", formats.clone(), text), Ok(json!(at(instant))), "{text}");
    }
    malformed(value("timestamp", formats.clone(), "\"yesterday\""));
    let message = malformed(value("timestamp", formats, "99999999999999999"));
    assert!(message.contains("is not between 1677"), "{message}");
}
