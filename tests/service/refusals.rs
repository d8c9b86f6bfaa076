//! What each stage cannot take: under which type of the error output, with which code, and how it is counted.

use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use serde_json::{Value, json};

use crate::harness::Stream;
use crate::processing::{Bench, give_module, processor, processors};
use crate::subscription::packed;

/// A stream with these processors, partitioned by `p` where one of them takes it out.
fn processed(name: &str, list: &[Value]) -> Stream {
    let by_partition = list.iter().any(|processor| processor["Type"] == "MetadataExtraction");
    let prefix = if by_partition { format!("{name}/!{{partitionKeyFromQuery:p}}/") } else { format!("{name}/") };
    Stream::new(name)
        .with("Prefix", prefix)
        .with("ErrorOutputPrefix", format!("{name}-errors/!{{firehose:error-output-type}}/"))
        .with("DynamicPartitioningConfiguration", json!({ "Enabled": by_partition }))
        .with("ProcessingConfiguration", processors(list))
        .interval(900.0)
}

fn extraction() -> Value {
    processor("MetadataExtraction", &[("MetadataExtractionQuery", "{p:.p}"), ("JsonParsingEngine", "JQ-1.6")])
}

/// Rows of a table of two columns.
fn converting(stream: Stream) -> Stream {
    let conversion = json!({
        "SchemaConfiguration": {"RoleARN": "arn:aws:iam::000000000000:role/r", "DatabaseName": "d", "TableName": "rows"},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
    });
    stream.with("DataFormatConversionConfiguration", conversion)
}

fn give_table(bench: &Bench) {
    let schemas = bench.data.path().join("schemas");
    std::fs::create_dir_all(&schemas).expect("a directory");
    std::fs::write(schemas.join("d.rows.sql"), "CREATE TABLE rows (p string, n int)").expect("written");
}

/// Entries of a stream's error output: under which type, with which code, about which bytes.
fn told(bench: &Bench, name: &str) -> Vec<(String, String, Vec<u8>)> {
    let prefix = format!("{name}-errors/");
    let mut told = Vec::new();
    for key in bench.bucket.keys(&prefix) {
        let kind = key[prefix.len()..].split('/').next().expect("a type").to_owned();
        for line in bench.bucket.lines(&key) {
            let entry: Value = serde_json::from_str(&line).expect("JSON");
            let raw = base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str().expect("text")).expect("base64");
            told.push((kind.clone(), entry["errorCode"].as_str().expect("a code").to_owned(), raw));
        }
    }
    told
}

#[tokio::test]
async fn each_stage_tells_what_it_cannot_take_under_its_type_and_code() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    give_module(bench.data.path());
    give_table(&bench);
    let gunzip = processor("Decompression", &[("CompressionFormat", "GZIP")]);
    let logs = processor("CloudWatchLogProcessing", &[("DataMessageExtraction", "true")]);
    let objects = processor("RecordDeAggregation", &[("SubRecordType", "JSON")]);
    let lines = processor("RecordDeAggregation", &[("SubRecordType", "DELIMITED"), ("Delimiter", "Cg==")]);
    let lambda = processor("Lambda", &[("LambdaArn", "arn:aws:lambda:us-east-1:000000000000:function:clicks")]);
    let extraction_failed = ("metadata-extraction-failed", "DynamicPartitioning.MetadataExtractionFailed");
    let too_many = ("metadata-extraction-failed", "DynamicPartitioning.DeAggregationRecordCountLimitExceeded");
    let many = |part: &str| part.repeat(501).into_bytes();
    for (number, (list, raw, (kind, code))) in [
        (vec![gunzip.clone()], b"plain".to_vec(), ("decompression-failed", "Decompression.InvalidData")),
        (vec![gunzip, logs], packed(b"{}"), ("decompression-failed", "CloudWatchLogProcessing.InvalidEnvelope")),
        (vec![objects.clone(), extraction()], b"no JSON".to_vec(), extraction_failed),
        (vec![objects, extraction()], many("{\"p\":\"a\"}"), too_many),
        (vec![lines, extraction()], many("{\"p\":\"a\"}\n"), too_many),
        (vec![extraction()], b"no JSON".to_vec(), extraction_failed),
        (vec![extraction()], b"{\"p\":\"..\"}".to_vec(), ("partitioning-failed", extraction_failed.1)),
        (vec![lambda], b"no click".to_vec(), ("processing-failed", "Lambda.ProcessingFailedStatus")),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("s{number}");
        client.create(&processed(&name, &list)).await;
        let record = Record::builder().data(Blob::new(raw.clone())).build().expect("a record");
        client.sdk().put_record().delivery_stream_name(&name).record(record).send().await.expect("accepted");
        client.flush(&name).await;
        assert_eq!(told(&bench, &name), [(kind.to_owned(), code.to_owned(), raw)], "{list:?}");
    }
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn what_processors_and_the_conversion_take_is_counted_in_records_bytes_codes_and_time() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    give_table(&bench);
    client.create(&converting(processed("s", &[extraction()]))).await;
    let good = "{\"p\":\"a\",\"n\":1}\n";
    let (unread, misfit) = ("no JSON\n", "{\"p\":\"a\",\"n\":\"x\"}\n");
    client.put_lines("s", &[good.repeat(10).as_str(), unread, misfit].concat()).await;
    client.flush("s").await;
    let (bytes, unread, misfit) = (10 * good.len() as u64, unread.len() as u64, misfit.len() as u64);
    for (processor, wanted, code) in [
        (
            "MetadataExtraction",
            [12, bytes + unread + misfit, 11, bytes + misfit],
            "DynamicPartitioning.MetadataExtractionFailed",
        ),
        ("DynamicPartitioning", [10, bytes, 10, bytes], ""),
        ("DataFormatConversion", [11, bytes + misfit, 10, bytes], "DataFormatConversion.MalformedData"),
    ] {
        let label = format!("processor=\"{processor}\"");
        let of = ["stream=\"s\"", label.as_str()];
        for (name, wanted) in ["records_in", "bytes_in", "records_out", "bytes_out"].iter().zip(wanted) {
            let counted = client.metric(&format!("hydrant_processor_{name}_total"), &of).await;
            assert_eq!(counted, wanted, "{processor} {name}");
        }
        let code_label = format!("code=\"{code}\"");
        let failed = client.metric("hydrant_processor_failed_records_total", &[of[0], of[1], &code_label]).await;
        assert_eq!(failed, u64::from(!code.is_empty()), "{processor}");
        let (_, text) = client.get("/metrics").await;
        let series = format!("hydrant_processor_seconds_total{{{label},stream=\"s\"}} ");
        let seconds = text.lines().find_map(|line| line.strip_prefix(&series)).expect("it is there");
        assert!(seconds.parse::<f64>().expect("a number") > 0.0, "{processor}");
    }
    client.delete("s").await;
    client.gone("s").await;
    let (_, text) = client.get("/metrics").await;
    assert!(!text.lines().any(|line| line.contains("stream=\"s\"")), "{text}");
    bench.hydrant.terminate().await;
}
