//! What happens to records between the log and the object: processors, modules, partitions, the error output, the backup.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Bucket, Hydrant, Setup, Stream};

/// A service that delivers into the embedded directory.
pub(crate) struct Bench {
    pub(crate) bucket: Bucket,
    pub(crate) hydrant: Hydrant,
    pub(crate) data: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::started(|setup| setup).await
    }

    /// The same with more settings.
    pub(crate) async fn started(more: impl FnOnce(Setup) -> Setup) -> Self {
        let data = tempfile::tempdir().expect("a directory");
        let bucket = Bucket::new(&data.path().join("objects"), "bucket");
        let hydrant = Hydrant::start(&more(Setup::new(data.path()))).await;
        Self { bucket, hydrant, data }
    }

    /// Entries of the error output below `prefix`, with what they are about.
    pub(crate) fn entries(&self, prefix: &str) -> Vec<(Value, String)> {
        let entry = |line: &String| {
            let entry: Value = serde_json::from_str(line).expect("JSON");
            let raw = base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str().expect("text")).expect("base64");
            (entry, String::from_utf8(raw).expect("text"))
        };
        self.bucket.lines(prefix).iter().map(entry).collect()
    }
}

pub(crate) fn processors(processors: &[Value]) -> Value {
    json!({ "Enabled": true, "Processors": processors })
}

pub(crate) fn processor(kind: &str, parameters: &[(&str, &str)]) -> Value {
    let parameters: Vec<Value> =
        parameters.iter().map(|(name, value)| json!({ "ParameterName": name, "ParameterValue": value })).collect();
    json!({ "Type": kind, "Parameters": parameters })
}

/// A stream whose objects lie under the values of `query`'s keys.
fn partitioned(name: &str, prefix: &str, query: &str) -> Stream {
    let extraction =
        processor("MetadataExtraction", &[("MetadataExtractionQuery", query), ("JsonParsingEngine", "JQ-1.6")]);
    Stream::new(name)
        .with("Prefix", prefix)
        .with("ErrorOutputPrefix", format!("{name}-errors/!{{firehose:error-output-type}}/"))
        .with("DynamicPartitioningConfiguration", json!({ "Enabled": true }))
        .with("ProcessingConfiguration", processors(&[extraction]))
        .interval(900.0)
}

#[tokio::test]
async fn records_leave_under_their_keys_and_those_without_go_to_the_error_output_once() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&partitioned("s", "s/who=!{partitionKeyFromQuery:who}/", "{who:.who}")).await;
    let mut put: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut failed = Vec::new();
    let mut lines = String::new();
    for number in 0..300 {
        let who = ["ann", "bob", "../x", "", "a/../../b", "c//d", "tab\\u0009", "."][number % 8];
        let line = format!("{{\"number\":{number},\"who\":\"{who}\"}}\n");
        if number % 8 < 2 {
            put.entry(format!("s/who={who}/")).or_default().push(line.trim_end().to_owned());
        } else {
            failed.push(line.clone());
        }
        lines.push_str(&line);
    }
    let long = format!("{{\"who\":\"{}\"}}\n", "w".repeat(2000));
    let other = ["not JSON\n", "{\"number\":1}\n", "[1]\n", long.as_str()];
    lines.push_str(&other.concat());
    failed.extend(other.map(str::to_owned));
    client.put_lines("s", &lines).await;
    client.flush("s").await;
    for (prefix, lines) in &put {
        assert_eq!(&bench.bucket.lines(prefix), lines, "{prefix}");
    }
    let keys = bench.bucket.keys("");
    assert!(
        keys.iter()
            .all(|key| key.starts_with("s/who=ann/") || key.starts_with("s/who=bob/") || key.starts_with("s-errors/"))
    );
    assert!(!bench.data.path().join("objects/x").exists() && !bench.data.path().join("x").exists());
    let mut told: Vec<String> = bench.entries("s-errors/").into_iter().map(|(_, raw)| raw).collect();
    told.sort();
    failed.sort();
    assert_eq!(told, failed);
    for (entry, raw) in bench.entries("s-errors/") {
        assert!(entry["errorCode"].as_str().is_some_and(|code| code.starts_with("DynamicPartitioning.")), "{entry}");
        assert_eq!(entry["attemptsMade"], 1, "{raw}");
        assert!(entry["arrivalTimestamp"].is_u64() && entry["attemptEndingTimestamp"].is_u64(), "{entry}");
    }
    let counted = client.metric("hydrant_error_output_records_total", &["stream=\"s\""]).await;
    assert_eq!(counted, failed.len() as u64);
    let of = ["stream=\"s\"", "processor=\"MetadataExtraction\""];
    assert_eq!(client.metric("hydrant_processor_records_in_total", &of).await, 304);
    let refused = client.metric("hydrant_processor_failed_records_total", &of).await;
    assert_eq!(client.metric("hydrant_processor_records_out_total", &of).await, 304 - refused);
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn partitions_wait_across_a_restart_and_leave_whole() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&partitioned("s", "s/!{partitionKeyFromQuery:p}/", "{p:.p}")).await;
    let line = |number: usize| format!("{{\"number\":{number},\"p\":{}}}\n", number % 50);
    client.put_lines("s", &(0..500).map(line).collect::<String>()).await;
    // Long enough for the first stretch to be processed; nothing is due.
    crate::harness::until("the records' log is read", async || {
        let status = client.status("s").await;
        (status["cursors"][0]["waitingRecords"] == 500).then_some(())
    })
    .await;
    bench.hydrant.terminate().await;
    let hydrant = Hydrant::start(&Setup::new(bench.data.path())).await;
    hydrant.client.put_lines("s", &(500..1000).map(line).collect::<String>()).await;
    hydrant.client.flush("s").await;
    assert_eq!(bench.bucket.keys("s/").len(), 50, "one object a partition");
    for partition in 0..50 {
        let expected: Vec<String> = (0..1000)
            .filter(|number| number % 50 == partition)
            .map(|number| line(number).trim_end().to_owned())
            .collect();
        assert_eq!(bench.bucket.lines(&format!("s/{partition}/")), expected);
    }
    let status = hydrant.client.status("s").await;
    assert_eq!(status["cursors"][0]["deliveredRecords"], 1000, "{status}");
    assert_eq!(status["cursors"][0]["waitingRecords"], 0, "{status}");
    hydrant.terminate().await;
}

#[tokio::test]
async fn source_records_are_backed_up_as_they_arrived() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let backup = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/delivery", "BucketARN": "arn:aws:s3:::bucket",
        "Prefix": "backup/", "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 900},
    });
    let delimiter = processor("AppendDelimiterToRecord", &[("Delimiter", "\\n")]);
    client
        .create(
            &Stream::new("s")
                .with("S3BackupMode", "Enabled")
                .with("S3BackupConfiguration", backup)
                .with("ProcessingConfiguration", processors(&[delimiter])),
        )
        .await;
    let (status, answer) = client.post("/streams/s/records?newline=false", "text/plain", "a\nb\nc").await;
    assert_eq!(status, 200, "{answer}");
    client.flush("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"a\nb\nc\n");
    assert_eq!(bench.bucket.only("backup/").bytes, b"abc");
    let status = client.status("s").await;
    let cursors: Vec<&str> =
        status["cursors"].as_array().expect("cursors").iter().filter_map(|it| it["cursor"].as_str()).collect();
    assert_eq!(cursors, ["main", "backup"]);
    bench.hydrant.terminate().await;
}

/// The module `clicks`, for a service whose data are there.
pub(crate) fn give_module(data: &Path) {
    let modules = data.join("modules");
    std::fs::create_dir_all(&modules).expect("a directory");
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("transforms/guest/prebuilt/clicks.wasm");
    std::fs::copy(module, modules.join("clicks.wasm")).expect("copied");
}

#[tokio::test]
async fn a_module_in_place_of_a_function_changes_records_and_gives_their_partitions() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let lambda = processor("Lambda", &[("LambdaArn", "arn:aws:lambda:us-east-1:000000000000:function:clicks")]);
    let stream = Stream::new("s")
        .with("Prefix", "s/!{partitionKeyFromLambda:country}/")
        .with("ErrorOutputPrefix", "s-errors/!{firehose:error-output-type}/")
        .with("DynamicPartitioningConfiguration", json!({ "Enabled": true }))
        .with("ProcessingConfiguration", processors(&[lambda]))
        .interval(900.0);
    let refused = client.call("CreateDeliveryStream", &stream.request()).await.expect_err("there is no such module");
    assert_eq!(refused.code, "InvalidArgumentException");
    assert!(refused.message.contains("clicks.wasm"), "{}", refused.message);
    give_module(bench.data.path());
    client.create(&stream).await;
    let click = |number: usize| {
        let country = ["DE", "FR", ""][number % 3];
        format!("{{\"number\":{number},\"page\":\"/products/1\",\"country\":\"{country}\"}}\n")
    };
    let lines: String = (0..99).map(click).collect();
    client.put_lines("s", &(lines + "no click\n")).await;
    client.flush("s").await;
    for country in ["DE", "FR"] {
        let lines = bench.bucket.lines(&format!("s/{country}/"));
        assert_eq!(lines.len(), 33);
        for line in lines {
            let click: Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!((&click["country"], &click["section"]), (&json!(country), &json!("products")), "{line}");
        }
    }
    let entries = bench.entries("s-errors/processing-failed/");
    let [(entry, raw)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(raw, "no click\n");
    assert_eq!(entry["errorCode"], "Lambda.ProcessingFailedStatus");
    assert_eq!(entry["lambdaARN"], "arn:aws:lambda:us-east-1:000000000000:function:clicks");
    assert_eq!(bench.bucket.keys("").len(), 3, "what is dropped leaves no trace");
    bench.hydrant.terminate().await;
}
