//! What the demo asks of the service, as any producer would: the Firehose API over its socket, unsigned because a service on
//! loopback asks for no keys.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::Error;
use crate::cli::client::Client;
use crate::clock::Clock;

/// Creates the stream and waits until it is active.
pub(super) async fn create_stream(client: &Client, clock: &Clock) -> Result<(), Error> {
    let destination = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/demo",
        "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
        "Prefix": PREFIX,
        "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/",
        "BufferingHints": {"SizeInMBs": BUFFER_MIB, "IntervalInSeconds": BUFFER_SECONDS},
        "CompressionFormat": "GZIP",
    });
    let request = json!({
        "DeliveryStreamName": STREAM,
        "DeliveryStreamType": "DirectPut",
        "ExtendedS3DestinationConfiguration": destination,
    });
    call::<Value>(client, "CreateDeliveryStream", &request).await?;
    for _ in 0..PATIENCE {
        let answer: Value = call(client, "DescribeDeliveryStream", &json!({"DeliveryStreamName": STREAM})).await?;
        let status = answer.pointer("/DeliveryStreamDescription/DeliveryStreamStatus").and_then(Value::as_str);
        match status {
            Some("ACTIVE") => return Ok(()),
            Some("CREATING") => clock.sleep(PAUSE).await,
            other => return Err(Error::Failed(format!("the delivery stream is {}", other.unwrap_or("not described")))),
        }
    }
    Err(Error::Failed("the delivery stream is still being created".to_owned()))
}

/// Puts `records`, at most [`MAX_BATCH_RECORDS`]; those that are told to slow down come again.
pub(super) async fn put_batch(client: &Client, mut records: Vec<String>, clock: &Clock) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        let encoded = records.iter().map(|record| json!({"Data": base64_simd::STANDARD.encode_to_string(record)}));
        let request = json!({"DeliveryStreamName": STREAM, "Records": encoded.collect::<Vec<Value>>()});
        let answer: BatchAnswer = call(client, "PutRecordBatch", &request).await?;
        if answer.request_responses.len() != records.len() {
            let (told, sent) = (answer.request_responses.len(), records.len());
            return Err(Error::Failed(format!("PutRecordBatch answered for {told} records where {sent} were sent")));
        }
        let fates = records.into_iter().zip(answer.request_responses);
        records = fates.filter(|(_, fate)| fate.error_code.is_some()).map(|(record, _)| record).collect();
        if records.is_empty() {
            return Ok(());
        }
        clock.sleep(PAUSE).await;
    }
    Err(Error::Failed("PutRecordBatch was told to slow down for too long".to_owned()))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchAnswer {
    request_responses: Vec<Fate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fate {
    error_code: Option<String>,
}

async fn call<T: serde::de::DeserializeOwned>(client: &Client, operation: &str, request: &Value) -> Result<T, Error> {
    let request = client
        .request(Method::POST, &[])?
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("Firehose_20150804.{operation}"))
        .body(request.to_string());
    client.json(request).await
}

/// The delivery stream.
pub(super) const STREAM: &str = "clicks";
/// The bucket; a directory.
pub(super) const BUCKET: &str = "demo";
/// Where in the bucket.
pub(super) const PREFIX: &str = "clicks/!{timestamp:yyyy/MM/dd/HH}/";
/// Buffering hint.
pub(super) const BUFFER_MIB: u64 = 1;
/// Buffering hint.
pub(super) const BUFFER_SECONDS: u64 = 60;
/// AWS's limit.
pub(super) const MAX_BATCH_RECORDS: u64 = 500;

/// Times [`PAUSE`] is half a minute.
const PATIENCE: u32 = 150;
const PAUSE: Duration = Duration::from_millis(200);
