//! What is put arrives: through every door, cut by every rule, under the right name, in every container.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::{
    BufferingHints, CompressionFormat, DeliveryStreamStatus, ExtendedS3DestinationConfiguration, Record,
};
use hydrant_model::Compression;
use regex::Regex;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Bucket, Hydrant, Setup, Stream, s3};
use crate::server::Server;
use crate::unpack::unpack;

/// A service in front of an S3 server.
struct Bench {
    server: Server,
    bucket: Bucket,
    hydrant: Hydrant,
    _data: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let (server, bucket) = s3();
        let data = tempfile::tempdir().expect("a directory");
        let hydrant = Hydrant::start(&Setup::new(data.path()).s3(&server.url)).await;
        Self { server, bucket, hydrant, _data: data }
    }

    async fn end(self) {
        self.hydrant.terminate().await;
        assert_eq!(self.server.open_uploads(), Vec::<std::path::PathBuf>::new());
    }
}

fn record(data: impl Into<Vec<u8>>) -> Record {
    Record::builder().data(Blob::new(data)).build().expect("a record")
}

/// Bytes that are no text and that no two of are equal.
fn bytes(number: usize, len: usize) -> Vec<u8> {
    let mut state = u64::try_from(number).expect("small") + 1;
    std::iter::repeat_with(|| hydrant::clock::splitmix(&mut state).to_le_bytes()).flatten().take(len).collect()
}

/// A line of JSON for each number.
fn numbers(numbers: std::ops::Range<u32>) -> String {
    let lines: Vec<_> = numbers.map(|number| format!("{{\"number\":{number}}}\n")).collect();
    lines.concat()
}

#[tokio::test]
async fn records_of_the_sdk_arrive_byte_for_byte_in_their_order() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s")).await;
    let sdk = client.sdk();
    let mut put = Vec::new();
    let mut ids = BTreeSet::new();
    for number in 0..3 {
        let data = bytes(number, 100 + number);
        put.extend_from_slice(&data);
        let answer = sdk.put_record().delivery_stream_name("s").record(record(data)).send().await.expect("accepted");
        ids.insert(answer.record_id().to_owned());
        assert_eq!(answer.encrypted(), Some(false));
    }
    for batch in 0..5 {
        let records: Vec<_> = (0..500).map(|number| bytes(1000 * batch + number, (number * 7) % 300)).collect();
        put.extend(records.concat());
        let request = sdk.put_record_batch().delivery_stream_name("s");
        let answer =
            request.set_records(Some(records.into_iter().map(record).collect())).send().await.expect("accepted");
        assert_eq!(answer.failed_put_count(), 0);
        ids.extend(answer.request_responses().iter().map(|entry| entry.record_id().expect("an id").to_owned()));
    }
    assert_eq!(ids.len(), 2503, "ids are unique");
    client.flush("s").await;
    assert!(bench.bucket.only("s/").bytes == put, "the object is what was put");
    let seen = &bench.server.seen_of("PutObject")[0];
    assert_eq!(seen.headers["content-type"], "application/octet-stream");
    assert_eq!(seen.headers.get("content-encoding"), None);
    bench.end().await;
}

#[tokio::test]
async fn plain_http_keeps_lines_and_tells_what_it_took() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s")).await;
    let path = "/streams/s/records";
    for (content_type, body, accepted) in [
        ("application/x-ndjson", "{\"a\":1}\n\n{\"a\":2}", 2),
        ("text/plain", "no json\n", 1),
        ("application/json", "[1, {\"b\": [2]}]", 2),
        ("application/json", "{\"c\": 3}", 1),
        ("application/octet-stream", "raw", 1),
    ] {
        let (status, answer) = client.post(path, content_type, body).await;
        assert_eq!((status, answer["accepted"].as_u64()), (200, Some(accepted)), "{content_type}: {answer}");
        assert!(answer["firstRecordId"].is_string() && answer["lastRecordId"].is_string(), "{answer}");
    }
    for (content_type, body, refused) in
        [("application/x-ndjson", "{\"a\":1}\n{", 400), ("application/x-www-form-urlencoded", "a=1", 415)]
    {
        let (status, answer) = client.post(path, content_type, body).await;
        assert_eq!(status, refused, "{answer}");
        assert!(answer["error"]["message"].is_string(), "{answer}");
    }
    assert_eq!(client.post("/streams/none/records", "text/plain", "x").await.0, 404);
    client.flush("s").await;
    let text = String::from_utf8(bench.bucket.only("s/").bytes).expect("text");
    assert_eq!(text, "{\"a\":1}\n{\"a\":2}\nno json\n1\n{\"b\": [2]}\n{\"c\": 3}\nraw");
    bench.end().await;
}

#[tokio::test]
async fn a_batch_is_cut_by_the_record_that_reaches_the_size() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s").size(0.125).interval(900.0)).await;
    let line = format!("{}\n", "x".repeat(999));
    let mut put = String::new();
    for _ in 0..4 {
        client.put_lines("s", &line.repeat(200)).await;
        put += &line.repeat(200);
    }
    // 800 records of 1,000 bytes; 132 of them reach 131,072.
    let cut = bench.bucket.wait_for("s/", 6).await;
    assert_eq!(cut.iter().map(|object| object.bytes.len()).collect::<Vec<_>>(), [132_000; 6]);
    client.flush("s").await;
    let all: usize = bench.bucket.objects("s/").iter().map(|object| object.bytes.len()).sum();
    assert_eq!(all, put.len());
    bench.end().await;
}

#[tokio::test]
async fn a_batch_is_cut_when_its_oldest_record_is_old_enough() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s").interval(1.5)).await;
    let start = Instant::now();
    client.put_lines("s", "one\n").await;
    client.put_lines("s", "two\n").await;
    bench.bucket.wait_for("s/", 1).await;
    assert!(start.elapsed() >= Duration::from_millis(1400), "cut after {:?}", start.elapsed());
    client.put_lines("s", "three\n").await;
    bench.bucket.wait_for("s/", 2).await;
    let objects = bench.bucket.objects("s/");
    let texts: BTreeSet<_> = objects.iter().map(|object| object.bytes.as_slice()).collect();
    assert_eq!(texts, BTreeSet::from([b"one\ntwo\n".as_slice(), b"three\n"]));
    bench.end().await;
}

#[tokio::test]
async fn with_an_interval_of_zero_records_leave_at_once() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s").with("BufferingHints", json!({ "SizeInMBs": 5, "IntervalInSeconds": 0 }))).await;
    for count in 1..=3 {
        client.put_lines("s", &format!("{count}\n")).await;
        bench.bucket.wait_for("s/", count).await;
    }
    bench.end().await;
}

#[tokio::test]
async fn a_flush_waits_for_delivery_or_says_that_it_is_not_done() {
    let mut bench = Bench::new().await;
    let client = bench.hydrant.client.clone();
    client.create(&Stream::new("s")).await;
    client.flush("s").await;
    assert_eq!(bench.bucket.keys("s/"), Vec::<String>::new(), "nothing waits, nothing is made");
    client.put_lines("s", "one\n").await;
    assert_eq!(client.post("/streams/s/pause", "text/plain", "").await.0, 202);
    assert_eq!(client.post("/streams/s/flush?wait=0.2", "text/plain", "").await.0, 504);
    assert_eq!(client.post("/streams/s/flush", "text/plain", "").await.0, 202);
    assert_eq!(bench.bucket.keys("s/"), Vec::<String>::new());
    assert_eq!(client.post("/streams/s/resume", "text/plain", "").await.0, 202);
    client.flush("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"one\n");
    assert_eq!(client.post("/streams/none/flush", "text/plain", "").await.0, 404);
    assert!(!bench.hydrant.has_ended());
    bench.end().await;
}

#[tokio::test]
async fn every_container_holds_what_was_put() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    for (format, compression, extension, encoding) in [
        ("UNCOMPRESSED", Compression::Uncompressed, "", None),
        ("GZIP", Compression::Gzip, ".gz", Some("gzip")),
        ("ZIP", Compression::Zip, ".zip", Some("zip")),
        ("Snappy", Compression::Snappy, ".snappy", Some("snappy-java")),
        ("HADOOP_SNAPPY", Compression::HadoopSnappy, ".snappy", Some("hadoop-snappy")),
    ] {
        let name = format.to_lowercase();
        client.create(&Stream::new(&name).with("CompressionFormat", format)).await;
        let put = numbers(0..20_000);
        client.put_lines(&name, &put).await;
        client.flush(&name).await;
        let object = bench.bucket.only(&format!("{name}/"));
        let mut got = Vec::new();
        unpack(compression, &object.bytes, &mut |piece| got.extend_from_slice(piece));
        assert!(got == put.as_bytes(), "{format}");
        let (_, end) = object.key.split_at(object.key.len() - extension.len());
        assert_eq!(end, extension, "{}", object.key);
        let seen = bench.server.seen_of("PutObject");
        let seen = seen.last().expect("a request");
        assert_eq!(seen.headers.get("content-encoding").map(|value| value.to_str().expect("text")), encoding);
        assert_eq!(seen.headers["content-type"], "application/octet-stream");
    }
    bench.end().await;
}

#[tokio::test]
async fn gzip_can_be_many_members_at_any_level() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let stream =
        Stream::new("s").with("CompressionFormat", "GZIP").setting("GzipMembers", "many").setting("GzipLevel", 9);
    client.create(&stream).await;
    let put = numbers(0..100_000);
    client.put_lines("s", &put).await;
    client.flush("s").await;
    let object = bench.bucket.only("s/");
    let mut got = Vec::new();
    unpack(Compression::Gzip, &object.bytes, &mut |piece| got.extend_from_slice(piece));
    assert!(got == put.as_bytes());
    bench.end().await;
}

#[tokio::test]
async fn a_key_is_prefix_name_version_time_and_uuid() {
    const NAME: &str = r"-1-\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let error_prefix = "e/!{firehose:error-output-type}/";
    let by_time = "t/y=!{timestamp:yyyy}/'!{timestamp:'day'-DDD}'/!{firehose:random-string}/";
    for (name, stream, key) in [
        ("plain", Stream::new("plain").with("Prefix", "legacy"), r"legacy\d{4}/\d\d/\d\d/\d\d/plain"),
        ("none", Stream::new("none").with("Prefix", ""), r"\d{4}/\d\d/\d\d/\d\d/none"),
        (
            "expr",
            Stream::new("expr").with("Prefix", by_time).with("ErrorOutputPrefix", error_prefix),
            r"t/y=\d{4}/'day-\d{3}'/[0-9A-Za-z-]{11}/expr",
        ),
    ] {
        client.create(&stream).await;
        client.put_lines(name, "x\n").await;
        client.flush(name).await;
        let expected = Regex::new(&format!("^{key}{NAME}$")).expect("a pattern");
        let keys = bench.bucket.keys("");
        assert_eq!(keys.iter().filter(|key| expected.is_match(key)).count(), 1, "{name}: {keys:?}");
    }
    bench.end().await;
}

#[tokio::test]
async fn names_follow_the_time_zone_and_the_extension() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    // Two zones that are never in the same hour, one of them never on the hour of UTC.
    let prefix = "!{timestamp:yyyy-MM-dd-HH-mm}/";
    for (name, zone) in [("utc", "UTC"), ("nepal", "Asia/Kathmandu")] {
        let stream = Stream::new(name)
            .with("Prefix", format!("{name}/{prefix}"))
            .with("ErrorOutputPrefix", "e/!{firehose:error-output-type}/")
            .with("CustomTimeZone", zone)
            .with("CompressionFormat", "GZIP")
            .with("FileExtension", ".custom.log");
        client.create(&stream).await;
        client.put_lines(name, "x\n").await;
        client.flush(name).await;
    }
    let time = |key: &str, zone| {
        let (at, rest) = key.split_once('/').and_then(|(_, rest)| rest.split_once('/')).expect("a prefix");
        assert!(rest.ends_with(".custom.log"), "{key}");
        // The name repeats what the prefix says.
        assert!(rest.contains(&format!("-1-{at}-")), "{key}");
        let at = jiff::civil::DateTime::strptime("%Y-%m-%d-%H-%M", at).expect("a time");
        at.in_tz(zone).expect("a zone").timestamp()
    };
    let utc = time(&bench.bucket.only("utc/").key, "UTC");
    let nepal = time(&bench.bucket.only("nepal/").key, "Asia/Kathmandu");
    assert!((nepal - utc).get_seconds().abs() <= 120, "{utc} {nepal}");
    let mut got = Vec::new();
    unpack(Compression::Gzip, &bench.bucket.only("utc/").bytes, &mut |piece| got.extend_from_slice(piece));
    assert_eq!(got, b"x\n", "an extension says nothing of the container");
    bench.end().await;
}

#[tokio::test]
async fn an_object_larger_than_a_part_is_sent_in_parts() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s").size(16.0).interval(900.0)).await;
    let mut put = Vec::new();
    for number in 0..17 {
        let body = bytes(number, 1_000_000);
        put.extend_from_slice(&body);
        assert_eq!(client.post("/streams/s/records", "application/octet-stream", body).await.0, 200);
    }
    bench.bucket.wait_for("s/", 1).await;
    client.flush("s").await;
    let all: Vec<u8> = bench.bucket.only("s/").bytes;
    assert!(all == put, "{} bytes of {}", all.len(), put.len());
    assert_eq!(bench.server.seen_of("CompleteMultipartUpload").len(), 1);
    assert!(bench.server.seen_of("UploadPart").len() >= 3);
    assert_eq!(bench.server.seen_of("PutObject").len(), 0);
    bench.end().await;
}

#[tokio::test]
async fn many_streams_at_once_keep_apart() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let work = (0..24).map(|number| async move {
        let name = format!("s{number:02}");
        client.create(&Stream::new(&name).interval(0.2)).await;
        for line in 0..20 {
            client.put_lines(&name, &format!("{name} {line}\n")).await;
        }
        client.flush(&name).await;
        name
    });
    for name in futures_util::future::join_all(work).await {
        let lines: BTreeSet<_> = bench.bucket.lines(&format!("{name}/")).into_iter().collect();
        let put: BTreeSet<_> = (0..20).map(|line| format!("{name} {line}")).collect();
        assert_eq!(lines, put);
        let records: usize = bench.bucket.lines(&format!("{name}/")).len();
        assert_eq!(records, 20, "none twice");
    }
    bench.end().await;
}

#[tokio::test]
async fn without_an_endpoint_objects_are_files() {
    let data = tempfile::tempdir().expect("a directory");
    let hydrant = Hydrant::start(&Setup::new(data.path())).await;
    let bucket = Bucket::new(&data.path().join("objects"), "bucket");
    hydrant.client.create(&Stream::new("s").with("CompressionFormat", "GZIP").interval(0.2)).await;
    hydrant.client.put_lines("s", "one\ntwo\n").await;
    let object = bucket.wait_for("s/", 1).await.remove(0);
    assert_eq!(object.key.rsplit('.').next(), Some("gz"), "{}", object.key);
    let mut got = Vec::new();
    unpack(Compression::Gzip, &object.bytes, &mut |piece| got.extend_from_slice(piece));
    assert_eq!(got, b"one\ntwo\n");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_deleted_stream_delivers_what_it_holds() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "one\n").await;
    client.delete("s").await;
    client.gone("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"one\n");
    client.create(&Stream::new("d").setting("OnDelete", "discard")).await;
    client.put_lines("d", "one\n").await;
    client.delete("d").await;
    client.gone("d").await;
    assert_eq!(bench.bucket.keys("d/"), Vec::<String>::new());
    bench.end().await;
}

#[tokio::test]
async fn the_sdk_creates_describes_lists_tags_and_deletes() {
    let bench = Bench::new().await;
    let sdk = bench.hydrant.client.sdk();
    let destination = ExtendedS3DestinationConfiguration::builder()
        .role_arn("arn:aws:iam::000000000000:role/delivery")
        .bucket_arn("arn:aws:s3:::bucket")
        .prefix("s/")
        .compression_format(CompressionFormat::Gzip)
        .buffering_hints(BufferingHints::builder().size_in_mbs(1).interval_in_seconds(60).build())
        .build()
        .expect("a destination");
    let create =
        sdk.create_delivery_stream().delivery_stream_name("s").extended_s3_destination_configuration(destination);
    let created = Box::pin(create.clone().send()).await.expect("created");
    let again = Box::pin(create.send()).await.expect_err("taken").into_service_error();
    assert!(again.is_resource_in_use_exception(), "{again:?}");
    let description = sdk.describe_delivery_stream().delivery_stream_name("s").send().await.expect("described");
    let description = description.delivery_stream_description().expect("a description");
    assert_eq!(Some(description.delivery_stream_arn()), created.delivery_stream_arn());
    assert_eq!(description.delivery_stream_status(), &DeliveryStreamStatus::Active);
    let s3 = description.destinations()[0].extended_s3_destination_description().expect("S3");
    assert_eq!(s3.compression_format(), &CompressionFormat::Gzip);
    let tag = aws_sdk_firehose::types::Tag::builder().key("team").value("a").build().expect("a tag");
    sdk.tag_delivery_stream().delivery_stream_name("s").tags(tag).send().await.expect("tagged");
    let tags = sdk.list_tags_for_delivery_stream().delivery_stream_name("s").send().await.expect("listed");
    assert_eq!(tags.tags()[0].key(), "team");
    let names = sdk.list_delivery_streams().send().await.expect("listed");
    assert_eq!(names.delivery_stream_names(), ["s"]);
    let missing = sdk.put_record().delivery_stream_name("none").record(record("x")).send().await.expect_err("missing");
    assert!(missing.into_service_error().is_resource_not_found_exception());
    sdk.delete_delivery_stream().delivery_stream_name("s").send().await.expect("deleted");
    bench.hydrant.client.gone("s").await;
    bench.end().await;
}

#[tokio::test]
async fn metrics_and_status_count_what_went_through() {
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "one\ntwo\n").await;
    let stream = r#"stream="s""#;
    assert_eq!(client.metric("hydrant_records_in_total", &[stream]).await, 2);
    assert_eq!(client.metric("hydrant_bytes_in_total", &[stream]).await, 8);
    assert_eq!(client.metric("hydrant_waiting_bytes", &[stream]).await, 8);
    client.flush("s").await;
    assert_eq!(client.metric("hydrant_waiting_bytes", &[stream]).await, 0);
    assert_eq!(client.metric("hydrant_delivered_records_total", &[stream]).await, 2);
    assert_eq!(client.metric("hydrant_delivered_objects_total", &[stream]).await, 1);
    let object = bench.bucket.only("s/");
    assert_eq!(object.bytes.len(), 8);
    assert!(client.metric("process_resident_memory_bytes", &[]).await > 0);
    bench.end().await;
}
