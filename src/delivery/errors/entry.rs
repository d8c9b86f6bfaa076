//! Error entries as AWS writes them: a line of JSON about each record.
//!
//! | Kind | Members, in this order |
//! |---|---|
//! | format conversion | `attemptsMade arrivalTimestamp lastErrorCode lastErrorMessage attemptEndingTimestamp rawData sequenceNumber subSequenceNumber dataCatalogTable` |
//! | everything else | `rawData errorCode errorMessage attemptsMade arrivalTimestamp attemptEndingTimestamp`, and `lambdaARN` where a function was asked |
//!
//! `rawData` is base64, timestamps are milliseconds since the Unix epoch, as numbers. Sources:
//! <https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html#data-transformation-failure-handling>,
//! <https://docs.aws.amazon.com/firehose/latest/dev/record-format-conversion-error-handling.html>.

use hydrant_transforms::records::{ErrorOutput, Failure};
use serde_json::{Value, json};

use crate::catalog::EntryFacts;
use crate::delivery::ledger::GivenUp;

/// When things happened to a record, milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Times {
    /// It arrived.
    pub(in crate::delivery) arrival_ms: u64,
    /// The last attempt ended.
    pub(in crate::delivery) ended_ms: u64,
}

/// The entry about the record that `failure` is of and `raw` is; a newline ends it.
pub(in crate::delivery) fn entry(facts: &EntryFacts, failure: &Failure, raw: &[u8], times: Times) -> Vec<u8> {
    let raw = base64_simd::STANDARD.encode_to_string(raw);
    let mut entry = match failure.output {
        ErrorOutput::FormatConversion => json!({
            "attemptsMade": failure.attempts,
            "arrivalTimestamp": times.arrival_ms,
            "lastErrorCode": failure.code,
            "lastErrorMessage": failure.message,
            "attemptEndingTimestamp": times.ended_ms,
            "rawData": raw,
            "sequenceNumber": null,
            "subSequenceNumber": null,
            "dataCatalogTable": facts.table,
        }),
        _ => plain(&raw, (&failure.code, &failure.message, failure.attempts), times),
    };
    let asked = facts.lambda_arn.as_ref().filter(|_| failure.code.starts_with("Lambda."));
    if let (Some(arn), Some(members)) = (asked, entry.as_object_mut()) {
        members.insert("lambdaARN".to_owned(), json!(arn));
    }
    line(&entry)
}

/// The entry about the record `raw`, whose object was given up; a newline ends it.
pub(in crate::delivery) fn undelivered(given_up: &GivenUp, raw: &[u8], arrival_ms: u64) -> Vec<u8> {
    let raw = base64_simd::STANDARD.encode_to_string(raw);
    let times = Times { arrival_ms, ended_ms: given_up.at_ms };
    line(&plain(&raw, (&given_up.code, &given_up.message, given_up.attempts), times))
}

fn plain(raw: &str, (code, message, attempts): (&str, &str, u32), times: Times) -> Value {
    json!({
        "rawData": raw,
        "errorCode": code,
        "errorMessage": message,
        "attemptsMade": attempts,
        "arrivalTimestamp": times.arrival_ms,
        "attemptEndingTimestamp": times.ended_ms,
    })
}

fn line(entry: &Value) -> Vec<u8> {
    let mut line = entry.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use hydrant_transforms::records::{Origin, Raw};

    use super::*;

    fn failure(output: ErrorOutput, code: &'static str) -> Failure {
        Failure {
            origin: Origin { source: 0, part: 0, raw: Raw::Arrived },
            output,
            code: code.into(),
            message: "why \"it\" failed".into(),
            attempts: 4,
            raw: None,
        }
    }

    const TIMES: Times = Times { arrival_ms: 1_789_000_000_001, ended_ms: 1_789_000_000_002 };

    #[test]
    fn a_function_s_failure_is_told_as_aws_tells_it() {
        let facts = EntryFacts { lambda_arn: Some("arn:aws:lambda:f".into()), table: None };
        let line = entry(&facts, &failure(ErrorOutput::Processing, "Lambda.FunctionError"), b"hi", TIMES);
        assert_eq!(
            String::from_utf8(line).expect("text"),
            "{\"rawData\":\"aGk=\",\"errorCode\":\"Lambda.FunctionError\",\"errorMessage\":\"why \\\"it\\\" failed\",\
             \"attemptsMade\":4,\"arrivalTimestamp\":1789000000001,\"attemptEndingTimestamp\":1789000000002,\
             \"lambdaARN\":\"arn:aws:lambda:f\"}\n"
        );
        let line = entry(&facts, &failure(ErrorOutput::MetadataExtraction, "DynamicPartitioning.X"), b"", TIMES);
        let told: Value = serde_json::from_slice(&line).expect("JSON");
        assert!(told.get("lambdaARN").is_none() && told["rawData"] == "");
    }

    #[test]
    fn a_record_whose_object_was_given_up_is_told_with_what_the_destination_said() {
        let (code, message) = ("S3.InvalidRequest".to_owned(), "no".to_owned());
        let given_up = GivenUp { code, message, attempts: 11, at_ms: 1_789_000_000_009, is_named: false };
        assert_eq!(
            String::from_utf8(undelivered(&given_up, b"hi", 1_789_000_000_001)).expect("text"),
            "{\"rawData\":\"aGk=\",\"errorCode\":\"S3.InvalidRequest\",\"errorMessage\":\"no\",\"attemptsMade\":11,\
             \"arrivalTimestamp\":1789000000001,\"attemptEndingTimestamp\":1789000000009}\n"
        );
    }

    #[test]
    fn a_conversion_s_failure_names_its_table() {
        let facts = EntryFacts { lambda_arn: None, table: Some(json!({"databaseName": "d", "tableName": "t"})) };
        let line = entry(&facts, &failure(ErrorOutput::FormatConversion, "DataFormatConversion.X"), b"{", TIMES);
        let told: Value = serde_json::from_slice(&line).expect("JSON");
        let names: Vec<&str> = told.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "attemptsMade",
                "arrivalTimestamp",
                "lastErrorCode",
                "lastErrorMessage",
                "attemptEndingTimestamp",
                "rawData",
                "sequenceNumber",
                "subSequenceNumber",
                "dataCatalogTable"
            ]
        );
        assert_eq!(told["dataCatalogTable"]["tableName"], "t");
    }
}
