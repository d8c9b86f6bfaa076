//! What the demo asks of the service, as any producer would: the Firehose API over its socket, unsigned because a service on
//! loopback asks for no keys.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::streams::Stream;
use crate::cli::Error;
use crate::cli::client::Client;
use crate::cli::streams::Stream as Status;
use crate::clock::Clock;

/// Creates a stream and waits until it is active.
pub(super) async fn create(client: &Client, stream: Stream, clock: &Clock) -> Result<(), Error> {
    call::<Value>(client, "CreateDeliveryStream", &stream.request()).await?;
    let named = json!({"DeliveryStreamName": stream.name()});
    for _ in 0..PATIENCE {
        let answer: Value = call(client, "DescribeDeliveryStream", &named).await?;
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
pub(super) async fn put_batch(
    client: &Client,
    stream: Stream,
    mut records: Vec<String>,
    clock: &Clock,
) -> Result<(), Error> {
    for _ in 0..PATIENCE {
        let encoded = records.iter().map(|record| json!({"Data": base64_simd::STANDARD.encode_to_string(record)}));
        let request = json!({"DeliveryStreamName": stream.name(), "Records": encoded.collect::<Vec<Value>>()});
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

/// What the records of a stream became rows of: each column with its type.
pub(super) async fn columns(client: &Client, stream: Stream) -> Result<Vec<String>, Error> {
    let status: Status = client.json(client.request(Method::GET, &["streams", stream.name()])?).await?;
    let columns = status.schema.map(|schema| schema.columns).unwrap_or_default();
    Ok(columns.into_iter().map(|column| format!("{} {}", column.name, column.hive_type)).collect())
}

/// AWS's limit.
pub(super) const MAX_BATCH_RECORDS: u64 = 500;

/// Times [`PAUSE`] is half a minute.
const PATIENCE: u32 = 150;
const PAUSE: Duration = Duration::from_millis(200);
