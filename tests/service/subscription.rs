//! The whole road of processing at once: a subscription of CloudWatch Logs becomes partitioned Parquet in S3.

use std::collections::BTreeMap;
use std::io::Write;

use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{
    CloudWatchLoggingOptions, DataFormatConversionConfiguration, Deserializer, DynamicPartitioningConfiguration,
    ExtendedS3DestinationConfiguration, InputFormatConfiguration, OpenXJsonSerDe, OutputFormatConfiguration,
    ParquetSerDe, ProcessingConfiguration, Processor, ProcessorParameter, ProcessorParameterName, ProcessorType,
    Record, SchemaConfiguration, Serializer,
};
use flate2::write::GzEncoder;
use hydrant_transforms::formats::parquet;
use serde_json::{Value, json};

use crate::harness::{Bucket, Client, Hydrant, Setup, s3};

const ROLE: &str = "arn:aws:iam::000000000000:role/delivery";
const DDL: &str = "CREATE TABLE log (number bigint, at timestamp, message string, request struct<path:string,ms:int>)";

fn processor(kind: ProcessorType, parameters: &[(ProcessorParameterName, &str)]) -> Processor {
    let parameter = |(name, value): &(ProcessorParameterName, &str)| {
        let parameter = ProcessorParameter::builder().parameter_name(name.clone()).parameter_value(*value);
        parameter.build().expect("a parameter")
    };
    let parameters = parameters.iter().map(parameter).collect();
    Processor::builder().r#type(kind).set_parameters(Some(parameters)).build().expect("a processor")
}

/// Opened, cut into its events if `apart`, by service and level, as rows of a table.
fn destination(apart: bool) -> ExtendedS3DestinationConfiguration {
    use ProcessorParameterName as Name;
    let mut processors = vec![
        processor(ProcessorType::Decompression, &[(Name::CompressionFormat, "GZIP")]),
        processor(ProcessorType::CloudWatchLogProcessing, &[(Name::DataMessageExtraction, "true")]),
        processor(
            ProcessorType::MetadataExtraction,
            &[(Name::MetadataExtractionQuery, "{service:.service,level:.level}"), (Name::JsonParsingEngine, "JQ-1.6")],
        ),
    ];
    if apart {
        processors.insert(2, processor(ProcessorType::RecordDeAggregation, &[(Name::SubRecordType, "JSON")]));
    }
    let processing = ProcessingConfiguration::builder().enabled(true).set_processors(Some(processors)).build();
    let table = SchemaConfiguration::builder().role_arn(ROLE).database_name("ops").table_name("log").build();
    let deserializer = Deserializer::builder().open_x_json_ser_de(OpenXJsonSerDe::builder().build()).build();
    let serializer = Serializer::builder().parquet_ser_de(ParquetSerDe::builder().build()).build();
    let conversion = DataFormatConversionConfiguration::builder()
        .enabled(true)
        .schema_configuration(table)
        .input_format_configuration(InputFormatConfiguration::builder().deserializer(deserializer).build())
        .output_format_configuration(OutputFormatConfiguration::builder().serializer(serializer).build());
    ExtendedS3DestinationConfiguration::builder()
        .role_arn(ROLE)
        .bucket_arn("arn:aws:s3:::bucket")
        .prefix("logs/service=!{partitionKeyFromQuery:service}/level=!{partitionKeyFromQuery:level}/")
        .error_output_prefix("errors/!{firehose:error-output-type}/")
        .cloud_watch_logging_options(CloudWatchLoggingOptions::builder().enabled(false).build())
        .dynamic_partitioning_configuration(DynamicPartitioningConfiguration::builder().enabled(true).build())
        .processing_configuration(processing)
        .data_format_conversion_configuration(conversion.build())
        .build()
        .expect("a destination")
}

/// What CloudWatch sends for some messages: an envelope, packed.
fn envelope(kind: &str, messages: &[String]) -> Vec<u8> {
    let event = |(number, message): (usize, &String)| json!({"id": format!("{number:056}"), "timestamp": 1_783_951_509_000_u64, "message": message});
    let events: Vec<_> = messages.iter().enumerate().map(event).collect();
    let envelope = json!({
        "messageType": kind, "owner": "123456789012", "logGroup": "/shop/api", "logStream": "i-1",
        "subscriptionFilters": ["all"], "logEvents": events,
    });
    packed(envelope.to_string().as_bytes())
}

pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packing = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packing.write_all(bytes).expect("memory");
    packing.finish().expect("memory")
}

fn service(number: usize) -> &'static str {
    ["cart", "checkout", "search"][number % 3]
}

fn level(number: usize) -> &'static str {
    ["info", "error"][number / 3 % 2]
}

/// What a program logged.
fn message(number: usize) -> String {
    json!({
        "number": number, "at": format!("2026-07-13T14:05:{:02}Z", number % 60), "level": level(number),
        "message": format!("line\n\"{number}\" ключ"), "request": {"path": format!("/{number}"), "ms": number % 900},
        "service": service(number), "host": "not in the table",
    })
    .to_string()
}

async fn put(client: &Client, records: &[Vec<u8>]) {
    let record = |data: &Vec<u8>| Record::builder().data(Blob::new(data.clone())).build().expect("a record");
    for batch in records.chunks(100) {
        let request = client.sdk().put_record_batch().delivery_stream_name("logs");
        let answer = request.set_records(Some(batch.iter().map(record).collect())).send().await.expect("accepted");
        assert_eq!(answer.failed_put_count(), 0);
    }
}

/// Entries of the error output: code and original bytes, in some order.
fn failed(bucket: &Bucket, kind: &str) -> Vec<(String, Vec<u8>)> {
    let entry = |line: &String| {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        let code = entry["errorCode"].as_str().or_else(|| entry["lastErrorCode"].as_str()).expect("a code").to_owned();
        (code, base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str().expect("text")).expect("base64"))
    };
    let mut entries: Vec<_> = bucket.lines(&format!("errors/{kind}/")).iter().map(entry).collect();
    entries.sort();
    entries
}

/// The one failure of its kind.
#[track_caller]
fn only_failure(bucket: &Bucket, kind: &str, code: &str, raw: &[u8]) {
    let failed = failed(bucket, kind);
    let [(told, rejected)] = failed.as_slice() else { panic!("{kind}: {failed:?}") };
    assert!(told.starts_with(code) && rejected == raw, "{kind}: {told}, {}", String::from_utf8_lossy(rejected));
}

/// Each message below `count` is a row, once, in the folder of its service and level, with the columns of the table.
#[track_caller]
fn rows_are_messages(bucket: &Bucket, count: usize) {
    let mut rows: BTreeMap<u64, (String, Value)> = BTreeMap::new();
    for object in bucket.objects("logs/") {
        let (folder, name) = object.key.rsplit_once('/').expect("a folder");
        assert!(name.starts_with("logs-1-") && name.ends_with(".parquet"), "{name}");
        for row in parquet::rows(object.bytes.into()).expect("Parquet") {
            let number = row["number"].as_u64().expect("a number");
            assert_eq!(rows.insert(number, (folder.to_owned(), row)), None, "{number} is there twice");
        }
    }
    assert_eq!(rows.len(), count);
    for (number, (at_number, (folder, row))) in rows.iter().enumerate() {
        assert_eq!(*at_number, number as u64);
        assert_eq!(*folder, format!("logs/service={}/level={}", service(number), level(number)));
        let logged: Value = serde_json::from_str(&message(number)).expect("JSON");
        let columns: Vec<&String> = row.as_object().expect("a row").keys().collect();
        assert_eq!(columns, ["number", "at", "message", "request"]);
        assert_eq!((&row["message"], &row["request"]), (&logged["message"], &logged["request"]));
        let at: String = row["at"].to_string().chars().filter(char::is_ascii_digit).collect();
        let logged_at: String = logged["at"].to_string().chars().filter(char::is_ascii_digit).collect();
        assert!(at.starts_with(&logged_at), "{} is not {}", row["at"], logged["at"]);
    }
}

/// A service with the table, and its data.
async fn started(s3: &str, apart: bool) -> (Hydrant, Setup, tempfile::TempDir) {
    let data = tempfile::tempdir().expect("a directory");
    let schemas = data.path().join("schemas");
    std::fs::create_dir(&schemas).expect("a directory");
    std::fs::write(schemas.join("ops.log.sql"), DDL).expect("written");
    let setup = Setup::new(data.path()).s3(s3);
    let hydrant = Hydrant::start(&setup).await;
    let create = hydrant.client.sdk().create_delivery_stream().delivery_stream_name("logs");
    Box::pin(create.extended_s3_destination_configuration(destination(apart)).send()).await.expect("created");
    (hydrant, setup, data)
}

#[tokio::test]
async fn a_subscription_of_cloudwatch_logs_becomes_partitioned_parquet() {
    let (server, bucket) = s3();
    let (hydrant, setup, _data) = started(&server.url, true).await;
    // Envelopes of 1 to 7 events, and between them what CloudWatch and others send besides.
    let mut envelopes = vec![envelope("CONTROL_MESSAGE", &["CWL CONTROL MESSAGE: Checking health".to_owned()])];
    let mut next = 0;
    while next < 3000 {
        let until = (next + 1 + next % 7).min(3000);
        envelopes.push(envelope("DATA_MESSAGE", &(next..until).map(message).collect::<Vec<_>>()));
        next = until;
    }
    let not_packed = b"{\"service\":\"cart\",\"level\":\"info\"}".to_vec();
    let no_envelope = packed(b"{\"service\":\"cart\",\"level\":\"info\"}");
    let no_level = json!({"number": 1, "service": "cart"}).to_string();
    let no_number = json!({"number": "many", "service": "cart", "level": "info"}).to_string();
    let mixed = envelope("DATA_MESSAGE", &[no_level.clone(), message(3000), no_number.clone()]);
    let (half, rest) = envelopes.split_at(envelopes.len() / 2);
    put(&hydrant.client, half).await;
    put(&hydrant.client, &[not_packed.clone(), no_envelope.clone(), mixed]).await;
    // Partitions and failures wait across a restart.
    hydrant.terminate().await;
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    put(client, rest).await;
    client.flush("logs").await;

    rows_are_messages(&bucket, 3001);
    let decompression = failed(&bucket, "decompression-failed");
    let raw: Vec<_> = decompression.iter().map(|(_, raw)| raw.clone()).collect();
    assert_eq!(
        (raw.len(), raw.contains(&not_packed), raw.contains(&no_envelope)),
        (2, true, true),
        "{decompression:?}"
    );
    // What was taken apart fails by itself: its neighbours are rows.
    let (kind, code, raw) = ("metadata-extraction-failed", "DynamicPartitioning.", &no_level);
    only_failure(&bucket, kind, code, raw.as_bytes());
    only_failure(&bucket, "format-conversion-failed", "DataFormatConversion.", no_number.as_bytes());
    assert_eq!(bucket.lines("errors/").len(), 4, "each once");

    let schema = &client.status("logs").await["schema"]["columns"];
    assert_eq!(schema[3], json!({"name": "request", "type": "struct<path:string,ms:int>"}), "{schema}");
    hydrant.terminate().await;
    assert_eq!(server.open_uploads(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn an_event_that_is_not_taken_apart_fails_as_the_packed_envelope_it_came_in() {
    let (server, bucket) = s3();
    let (hydrant, _, _data) = started(&server.url, false).await;
    let one = |message: String| envelope("DATA_MESSAGE", &[message]);
    let no_level = one(json!({"number": 1, "service": "cart"}).to_string());
    let no_number = one(json!({"number": "many", "service": "cart", "level": "info"}).to_string());
    let mut envelopes: Vec<_> = (0..100).map(message).map(one).collect();
    envelopes.extend([no_level.clone(), no_number.clone()]);
    put(&hydrant.client, &envelopes).await;
    hydrant.client.flush("logs").await;
    rows_are_messages(&bucket, 100);
    only_failure(&bucket, "metadata-extraction-failed", "DynamicPartitioning.", &no_level);
    only_failure(&bucket, "format-conversion-failed", "DataFormatConversion.", &no_number);
    hydrant.terminate().await;
}
