//! What must not happen: two processes on one directory, silent loss, a dead destination that reaches further than its stream.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use serde_json::json;

use crate::harness::{Bucket, Client, Hydrant, Refusal, Setup, Stream, refused, s3, until, until_true};
use crate::server::{Fault, error_xml};

/// Log lines about deliveries that fail belong to tests with a destination that fails.
const NOT_DELIVERED: &str = "an object was not delivered";

/// Every line exactly once, in whatever objects.
fn assert_lines(bucket: &Bucket, prefix: &str, expected: impl IntoIterator<Item = String>) {
    let mut counts: BTreeMap<String, i32> = BTreeMap::new();
    for line in bucket.lines(prefix) {
        *counts.entry(line).or_default() += 1;
    }
    for line in expected {
        *counts.entry(line).or_default() -= 1;
    }
    counts.retain(|_, count| *count != 0);
    assert!(counts.is_empty(), "too often or missing: {counts:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused() {
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path());
    let hydrant = Hydrant::start(&setup).await;
    let (code, said) = refused(&setup).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("another hydrant uses"), "{said}");
    hydrant.client.create(&Stream::new("s")).await;
    hydrant.terminate().await;
    Hydrant::start(&setup).await.terminate().await;
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused_without_insecure() {
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).listen("0.0.0.0:0");
    let (code, said) = refused(&setup).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("insecure"), "{said}");
    Hydrant::start(&setup.flag("--insecure")).await.terminate().await;
}

#[tokio::test]
async fn unknown_settings_and_wrong_values_are_refused_all_at_once() {
    let data = tempfile::tempdir().expect("a directory");
    let config = data.path().join("settings.toml");
    std::fs::write(&config, "disk_budgett = \"1GiB\"\nfree_space_floor = \"much\"\n").expect("written");
    let (code, said) = refused(&Setup::new(data.path()).arg("--config", &config.display().to_string())).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("disk_budgett") && said.contains("free_space_floor"), "{said}");
}

#[tokio::test]
async fn idle_connections_take_no_file_from_logs_and_uploads() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let hydrant = Hydrant::start(&Setup::new(data.path()).s3(&server.url).open_files("-n 200")).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s")).await;
    let address = client.url.strip_prefix("http://").expect("an address").to_owned();
    let mut idle = Vec::new();
    for _ in 0..260 {
        idle.push(tokio::net::TcpStream::connect(&address).await.expect("a connection"));
    }
    // A client without connections of its own, so that it waits behind the idle ones.
    let client = Client::new(client.url.clone());
    for line in 0..20 {
        client.put_lines("s", &format!("line {line:02}\n")).await;
    }
    client.flush("s").await;
    assert_lines(&bucket, "s/", (0..20).map(|line| format!("line {line:02}")));
    drop(idle);
    hydrant.terminate().await;
}

#[tokio::test]
async fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let data = tempfile::tempdir().expect("a directory");
    let hydrant = Hydrant::start(&Setup::new(data.path()).open_files("-S -n 100 && ulimit -H -n 500")).await;
    assert_eq!(hydrant.client.metric("process_max_fds", &[]).await, 500);
    hydrant.terminate().await;
}

#[tokio::test]
async fn damage_costs_its_records_and_nothing_else() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url).expects("records in the log are damaged and were set aside");
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.create(&Stream::new("s")).await;
    for line in 0..100 {
        hydrant.client.put_lines("s", &format!("line {line:02}\n")).await;
    }
    hydrant.terminate().await;
    let segment = only_segment(data.path());
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let at = bytes.windows(7).position(|bytes| bytes == b"line 42").expect("the record");
    bytes[at + 5] ^= 1;
    std::fs::write(&segment, bytes).expect("damaged");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    client.put_lines("s", "behind\n").await;
    client.flush("s").await;
    let expected = (0..100).filter(|line| *line != 42).map(|line| format!("line {line:02}"));
    assert_lines(&bucket, "s/", expected.chain(["behind".to_owned()]));
    let quarantine = segment.parent().expect("a directory").join("quarantine");
    let kept: Vec<_> =
        std::fs::read_dir(&quarantine).expect("quarantine").map(|entry| entry.expect("an entry").path()).collect();
    let kept = |kind: &str| kept.iter().find(|path| path.extension().is_some_and(|found| found == kind)).cloned();
    let bytes = std::fs::read(kept("bytes").expect("the bytes")).expect("bytes");
    assert!(bytes.windows(4).any(|bytes| bytes == b"line"), "the record's bytes are kept");
    let note: serde_json::Value =
        serde_json::from_slice(&std::fs::read(kept("json").expect("a note")).expect("a note")).expect("JSON");
    assert_eq!((&note["from"], &note["to"]), (&json!(42), &json!(43)), "{note}");
    assert!(client.metric("hydrant_quarantined_bytes_total", &[r#"stream="s""#]).await > 0);
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_torn_tail_is_no_damage() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url);
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.create(&Stream::new("s")).await;
    hydrant.client.put_lines("s", "one\n").await;
    hydrant.kill().await;
    let segment = only_segment(data.path());
    let mut bytes = std::fs::read(&segment).expect("a segment");
    let torn = bytes[4096..4096 + 60].to_vec();
    bytes.extend(torn);
    std::fs::write(&segment, bytes).expect("torn");
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.flush("s").await;
    assert_eq!(bucket.only("s/").bytes, b"one\n");
    assert!(!segment.parent().expect("a directory").join("quarantine").is_dir());
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_dead_destination_costs_its_budget_and_no_other_stream() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url).expects(NOT_DELIVERED);
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    let dead = Stream::new("dead").with("BucketARN", "arn:aws:s3:::missing").setting("DiskBudgetInMBs", 3);
    client.create(&dead.interval(0.1).size(0.25)).await;
    client.create(&Stream::new("alive").interval(0.1)).await;
    let line = |number: usize| format!("{number:06} {}", "x".repeat(90_000));
    let mut accepted = Vec::new();
    let refusal = until("the budget", async || {
        let data = line(accepted.len());
        let data = base64_simd::STANDARD.encode_to_string(format!("{data}\n"));
        let request = json!({ "DeliveryStreamName": "dead", "Record": { "Data": data } });
        match client.call("PutRecord", &request).await {
            Ok(_) => accepted.push(line(accepted.len())),
            Err(refusal) => return Some(refusal),
        }
        None
    })
    .await;
    let slow_down = Refusal { status: 503, code: "ServiceUnavailableException".into(), message: "Slow down.".into() };
    assert_eq!(refusal, slow_down);
    assert!(accepted.len() > 20, "{} of 3 MiB", accepted.len());
    let request = client.sdk().put_record_batch().delivery_stream_name("dead");
    let record = || Record::builder().data(Blob::new(line(999_999))).build().expect("a record");
    let answer = request.records(record()).records(record()).send().await.expect("an answer for each record");
    assert_eq!(answer.failed_put_count(), 2);
    for entry in answer.request_responses() {
        let said = (entry.error_code(), entry.error_message());
        assert_eq!(said, (Some("ServiceUnavailableException"), Some("Slow down.")));
        assert_eq!(entry.record_id(), None);
    }
    let (status, answer) = client.post("/streams/dead/records", "text/plain", line(999_999)).await;
    assert_eq!(status, 503, "{answer}");
    client.put_lines("alive", "one\n").await;
    bucket.wait_for("alive/", 1).await;
    let error = until("the error", async || {
        let status = client.status("dead").await;
        status["cursors"][0]["lastError"].as_object().cloned()
    })
    .await;
    assert_eq!(error["code"], "S3.NoSuchBucket", "{error:?}");
    assert_eq!(client.get("/ready").await.0, 200, "a dead destination is no reason");
    server.make_bucket("missing");
    client.flush("dead").await;
    assert_lines(&Bucket::new(server.root.path(), "missing"), "dead/", accepted);
    until("puts", async || (client.post("/streams/dead/records", "text/plain", line(0)).await.0 == 200).then_some(()))
        .await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn an_object_that_alone_is_refused_waits_without_the_others() {
    for (status, code) in [(400, "EntityTooLarge"), (403, "AccessDenied")] {
        let (server, bucket) = s3();
        let data = tempfile::tempdir().expect("a directory");
        let hydrant = Hydrant::start(&Setup::new(data.path()).s3(&server.url).expects(NOT_DELIVERED)).await;
        let client = &hydrant.client;
        client.create(&Stream::new("s")).await;
        let mut refused: Option<String> = None;
        server.judge(Some(Box::new(move |seen| {
            let refused = refused.get_or_insert_with(|| seen.path.clone());
            (seen.operation == "PutObject" && seen.path == *refused).then(|| Fault::error(status, code, "not this one"))
        })));
        for line in 0..8 {
            client.put_lines("s", &format!("{line}\n")).await;
            assert_eq!(client.post("/streams/s/flush", "text/plain", "").await.0, 202);
            if line == 0 {
                server.until("PutObject", 1).await;
            } else {
                bucket.wait_for("s/", line).await;
            }
        }
        let error = &client.status("s").await["cursors"][0]["lastError"];
        assert_eq!(error["code"], format!("S3.{code}"), "{error}");
        server.judge(None);
        hydrant.terminate().await;
        // What was parked is tried again at the start.
        let hydrant = Hydrant::start(&Setup::new(data.path()).s3(&server.url)).await;
        hydrant.client.flush("s").await;
        assert_lines(&bucket, "s/", (0..8).map(|line| line.to_string()));
        hydrant.terminate().await;
    }
}

#[tokio::test]
async fn what_nobody_knows_is_asked_for_before_it_is_sent_again() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url).env("HYDRANT_S3_TIMEOUT", "1").expects(NOT_DELIVERED);
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    let inside = Fault::Answer { status: 200, header: None, body: error_xml("InternalError", "inside") };
    let large = "x".repeat(999_999) + "\n";
    for (name, operation, fault) in [
        ("a", "PutObject", Fault::DoAndClose),
        ("b", "PutObject", Fault::DoAndHang),
        ("c", "PutObject", Fault::DoAndAnswer { status: 500, body: error_xml("InternalError", "but done") }),
        ("d", "PutObject", Fault::CloseUnread),
        ("e", "PutObject", Fault::error(500, "InternalError", "not done")),
        ("f", "CompleteMultipartUpload", Fault::DoAndClose),
        ("g", "CompleteMultipartUpload", Fault::DoAndHang),
        ("h", "CompleteMultipartUpload", inside),
        ("i", "UploadPart", Fault::Close),
        ("j", "CreateMultipartUpload", Fault::error(503, "SlowDown", "slower")),
    ] {
        client.create(&Stream::new(name).size(64.0).interval(900.0)).await;
        server.fail(operation, fault);
        let lines: Vec<String> =
            if operation == "PutObject" { vec![format!("{name}\n")] } else { vec![large.clone(); 11] };
        for line in &lines {
            client.put_lines(name, line).await;
        }
        client.flush(name).await;
        let object = bucket.only(&format!("{name}/"));
        assert!(object.bytes == lines.concat().as_bytes(), "{name}: {} bytes", object.bytes.len());
    }
    until_true("uploads are aborted", || server.open_uploads().is_empty()).await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_server_that_asks_to_slow_down_is_left_alone_for_so_long() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let hydrant = Hydrant::start(&Setup::new(data.path()).s3(&server.url).expects(NOT_DELIVERED)).await;
    hydrant.client.create(&Stream::new("s")).await;
    let body = error_xml("SlowDown", "Please reduce your request rate.");
    server.fail("PutObject", Fault::Answer { status: 503, header: Some(("retry-after", "2")), body });
    hydrant.client.put_lines("s", "one\n").await;
    let start = std::time::Instant::now();
    hydrant.client.flush("s").await;
    assert!(start.elapsed().as_millis() >= 1900, "came back after {:?}", start.elapsed());
    assert_eq!(bucket.only("s/").bytes, b"one\n");
    assert_eq!(server.seen_of("PutObject").len(), 2);
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_stop_with_waiting_records_loses_and_repeats_nothing() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url);
    for round in 0..4 {
        let hydrant = Hydrant::start(&setup).await;
        if round == 0 {
            hydrant.client.create(&Stream::new("disk").size(0.01)).await;
            hydrant.client.create(&Stream::new("os").size(0.01).setting("Durability", "os")).await;
        }
        for name in ["disk", "os"] {
            for line in 0..300 {
                hydrant.client.put_lines(name, &format!("{round} {line} {}\n", "x".repeat(90))).await;
            }
        }
        hydrant.terminate().await;
    }
    let hydrant = Hydrant::start(&setup).await;
    for name in ["disk", "os"] {
        hydrant.client.flush(name).await;
        let put = (0..4).flat_map(|round| (0..300).map(move |line| format!("{round} {line} {}", "x".repeat(90))));
        assert_lines(&bucket, &format!("{name}/"), put);
    }
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_dead_destination() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url).expects(NOT_DELIVERED);
    server.judge(Some(Box::new(|_| Some(Fault::Hang))));
    let patient = setup.clone().arg("--shutdown-timeout", "1").expects("at the deadline");
    let hydrant = Hydrant::start(&patient).await;
    hydrant.client.create(&Stream::new("s").interval(0.0)).await;
    hydrant.client.put_lines("s", "one\n").await;
    server.until("PutObject", 1).await;
    hydrant.terminate().await;
    server.judge(None);
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.flush("s").await;
    assert_eq!(bucket.only("s/").bytes, b"one\n");
    hydrant.terminate().await;
}

/// The one segment of records below a data directory.
fn only_segment(data: &Path) -> PathBuf {
    let mut found = Vec::new();
    for stream in std::fs::read_dir(data.join("streams")).expect("streams") {
        let records = stream.expect("an entry").path().join("records");
        let segments = std::fs::read_dir(records).expect("records").map(|entry| entry.expect("an entry").path());
        found.extend(segments.filter(|path| path.extension().is_some_and(|kind| kind == "log")));
    }
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}
