//! Streams that are created, changed, held and deleted while records wait.

use std::path::Path;

use hydrant_model::Compression;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Bucket, Client, Hydrant, Setup, Stream, refused, s3, until};
use crate::server::{Fault, Server};
use crate::unpack::unpack;

/// An S3 server, a folder of stream files, and a service that reads it.
struct Bench {
    server: Server,
    bucket: Bucket,
    files: TempDir,
    data: TempDir,
    setup: Setup,
}

impl Bench {
    fn new() -> Self {
        let (server, bucket) = s3();
        let (files, data) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let setup = Setup::new(data.path()).s3(&server.url).arg("--streams", &files.path().display().to_string());
        Self { server, bucket, files, data, setup }
    }

    fn write(&self, file: &str, stream: &Stream) {
        write(self.files.path(), file, &stream.file());
    }
}

/// Replaces a file in one step, as a careful editor does.
fn write(dir: &Path, file: &str, text: &str) {
    let temporary = dir.join(format!("{file}.new"));
    std::fs::write(&temporary, text).expect("written");
    std::fs::rename(temporary, dir.join(file)).expect("renamed");
}

async fn wait_for_version(client: &Client, name: &str, version: &str) -> Value {
    until("the version", async || client.describe(name).await.filter(|stream| stream["VersionId"] == version)).await
}

fn destination(description: &Value) -> &Value {
    &description["Destinations"][0]["ExtendedS3DestinationDescription"]
}

fn text(compression: Compression, packed: &[u8]) -> String {
    let mut got = Vec::new();
    unpack(compression, packed, &mut |piece| got.extend_from_slice(piece));
    String::from_utf8(got).expect("text")
}

#[tokio::test]
async fn streams_of_files_are_there_when_the_service_is_ready() {
    let bench = Bench::new();
    bench.write("a.json", &Stream::new("a").interval(0.2));
    let yaml = "DeliveryStreamName: b\nExtendedS3DestinationConfiguration:\n  RoleARN: arn:aws:iam::000000000000:role/r\n  \
                BucketARN: arn:aws:s3:::bucket\n  Prefix: b/\n  CompressionFormat: GZIP\nHydrant:\n  BufferIntervalInSeconds: 0.2\n";
    write(bench.files.path(), "b.yaml", yaml);
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.put_lines("a", "one\n").await;
    hydrant.client.put_lines("b", "two\n").await;
    assert_eq!(bench.bucket.wait_for("a/", 1).await[0].bytes, b"one\n");
    assert_eq!(text(Compression::Gzip, &bench.bucket.wait_for("b/", 1).await[0].bytes), "two\n");
    hydrant.terminate().await;
    // Unchanged files change nothing.
    let hydrant = Hydrant::start(&bench.setup).await;
    wait_for_version(&hydrant.client, "a", "1").await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_changed_file_divides_what_came_before_from_what_comes_after() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup).await;
    let client = &hydrant.client;
    client.put_lines("s", "old 1\nold 2\n").await;
    bench.write("s.json", &Stream::new("s").with("Prefix", "s/new/").with("CompressionFormat", "GZIP"));
    hydrant.hang_up();
    let description = wait_for_version(client, "s", "2").await;
    assert_eq!(destination(&description)["CompressionFormat"], "GZIP");
    client.put_lines("s", "new 1\n").await;
    client.flush("s").await;
    let objects = bench.bucket.objects("s/");
    let (new, old): (Vec<_>, Vec<_>) = objects.iter().partition(|object| object.key.starts_with("s/new/"));
    assert_eq!((old.len(), new.len()), (1, 1), "{:?}", bench.bucket.keys("s/"));
    assert_eq!(text(Compression::Uncompressed, &old[0].bytes), "old 1\nold 2\n");
    assert_eq!(text(Compression::Gzip, &new[0].bytes), "new 1\n");
    // AWS's rule: the version in the name is the one in force when the object was decided.
    assert!(new[0].key.contains("/s-2-"), "{}", new[0].key);
    hydrant.terminate().await;
}

#[tokio::test]
async fn waiting_records_keep_their_shape_over_a_restart_and_a_crash() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.put_lines("s", "first\n").await;
    hydrant.terminate().await;
    // Changed while nobody runs.
    bench.write("s.json", &Stream::new("s").with("CompressionFormat", "GZIP"));
    let hydrant = Hydrant::start(&bench.setup).await;
    wait_for_version(&hydrant.client, "s", "2").await;
    hydrant.client.put_lines("s", "second\n").await;
    hydrant.kill().await;
    bench.write("s.json", &Stream::new("s").with("CompressionFormat", "Snappy"));
    let hydrant = Hydrant::start(&bench.setup).await;
    wait_for_version(&hydrant.client, "s", "3").await;
    hydrant.client.put_lines("s", "third\n").await;
    hydrant.client.flush("s").await;
    let objects = bench.bucket.objects("s/");
    assert_eq!(objects.len(), 3, "{:?}", bench.bucket.keys("s/"));
    for object in objects {
        let (compression, expected) = match object.key.rsplit_once('.') {
            Some((_, "gz")) => (Compression::Gzip, "second\n"),
            Some((_, "snappy")) => (Compression::Snappy, "third\n"),
            _ => (Compression::Uncompressed, "first\n"),
        };
        assert_eq!(text(compression, &object.bytes), expected, "{}", object.key);
    }
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_file_changes_only_what_changed_in_it() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.update("s", &json!({ "CompressionFormat": "GZIP" })).await;
    // The same file again, at a reload and at a start.
    hydrant.hang_up();
    hydrant.terminate().await;
    let hydrant = Hydrant::start(&bench.setup).await;
    let description = wait_for_version(&hydrant.client, "s", "2").await;
    assert_eq!(destination(&description)["CompressionFormat"], "GZIP", "the file did not take it back");
    bench.write("s.json", &Stream::new("s").with("Prefix", "other/"));
    hydrant.hang_up();
    let description = wait_for_version(&hydrant.client, "s", "3").await;
    assert_eq!(destination(&description)["Prefix"], "other/");
    assert_eq!(destination(&description)["CompressionFormat"], "GZIP", "another member was changed");
    hydrant.terminate().await;
}

#[tokio::test]
async fn faulty_files_refuse_the_start_with_every_fault() {
    let bench = Bench::new();
    bench.write("good.json", &Stream::new("good"));
    bench.write("bucket.json", &Stream::new("one").with("BucketARN", "not an arn"));
    bench.write("setting.json", &Stream::new("two").setting("Durability", "paper"));
    write(bench.files.path(), "syntax.yaml", "DeliveryStreamName: [");
    let (code, said) = refused(&bench.setup).await;
    assert_eq!(code, 3, "{said}");
    for told in ["bucket.json", "BucketARN", "setting.json", "Durability", "syntax.yaml"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    assert!(!said.contains("good.json"), "{said}");
}

#[tokio::test]
async fn a_faulty_file_at_a_reload_is_reported_and_changes_nothing() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let setup = bench.setup.clone().expects("a stream file was not applied").expects("its stream file went away");
    let hydrant = Hydrant::start(&setup).await;
    bench.write("s.json", &Stream::new("s").with("CompressionFormat", "RAR"));
    bench.write("t.json", &Stream::new("t"));
    hydrant.hang_up();
    wait_for_version(&hydrant.client, "t", "1").await;
    assert!(hydrant.log_text().contains("a stream file was not applied"));
    let description = hydrant.client.describe("s").await.expect("a stream");
    assert_eq!(description["VersionId"], "1");
    std::fs::remove_file(bench.files.path().join("t.json")).expect("removed");
    hydrant.hang_up();
    let reported = || std::future::ready(hydrant.log_text().contains("its stream file went away").then_some(()));
    until("the report", reported).await;
    hydrant.client.put_lines("t", "still there\n").await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_mended_bucket_reaches_the_records_that_wait() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup.clone().expects("an object was not delivered")).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s").with("BucketARN", "arn:aws:s3:::missing").interval(0.1)).await;
    client.put_lines("s", "one\n").await;
    until("the error", async || {
        (client.status("s").await["cursors"][0]["lastError"]["code"] == "S3.NoSuchBucket").then_some(())
    })
    .await;
    client.update("s", &json!({ "BucketARN": "arn:aws:s3:::bucket" })).await;
    client.flush("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"one\n");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_mended_endpoint_reaches_the_records_that_wait_and_doubles_none() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup.clone().expects("an object was not delivered")).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s").interval(0.0)).await;
    // One that got there without an answer, and one that did not get there.
    bench.server.fail("PutObject", Fault::DoAndHang);
    client.put_lines("s", "there\n").await;
    bench.server.until_done("PutObject", 1).await;
    bench.server.judge(Some(Box::new(|_| Some(Fault::Close))));
    client.put_lines("s", "not there\n").await;
    bench.server.until("PutObject", 2).await;
    hydrant.kill().await;
    bench.server.judge(None);
    let other = Server::start();
    other.make_bucket("bucket");
    let hydrant = Hydrant::start(&Setup::new(bench.data.path()).s3(&other.url)).await;
    hydrant.client.flush("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"there\n", "the old server keeps what it has");
    assert_eq!(Bucket::new(other.root.path(), "bucket").only("s/").bytes, b"not there\n");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_name_can_be_taken_while_its_last_owner_drains() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup.clone().expects("an object was not delivered")).await;
    let client = &hydrant.client;
    let old = Stream::new("s").with("BucketARN", "arn:aws:s3:::old").with("Prefix", "old/");
    client.create(&old).await;
    client.put_lines("s", "old\n").await;
    client.delete("s").await;
    let status = client.describe("s").await.expect("draining")["DeliveryStreamStatus"].clone();
    assert_eq!(status, "DELETING");
    assert_eq!(client.post("/streams/s/records", "text/plain", "late").await.0, 404);
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "new\n").await;
    client.flush("s").await;
    assert_eq!(bench.bucket.only("s/").bytes, b"new\n");
    hydrant.kill().await;
    // Both are still there after a crash, and the old one drains when it can.
    let hydrant = Hydrant::start(&bench.setup.clone().expects("an object was not delivered")).await;
    assert_eq!(hydrant.client.describe("s").await.expect("a stream")["DeliveryStreamStatus"], "ACTIVE");
    bench.server.make_bucket("old");
    let drained = Bucket::new(bench.server.root.path(), "old").wait_for("old/", 1).await;
    assert_eq!(drained[0].bytes, b"old\n");
    let streams = bench.data.path().join("streams");
    let one = || std::future::ready((std::fs::read_dir(&streams).expect("streams").count() == 1).then_some(()));
    until("the old stream's files are gone", one).await;
    hydrant.client.put_lines("s", "newer\n").await;
    hydrant.client.flush("s").await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_pause_survives_a_restart() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.create(&Stream::new("s").interval(0.0)).await;
    assert_eq!(hydrant.client.post("/streams/s/pause", "text/plain", "").await.0, 202);
    hydrant.client.put_lines("s", "one\n").await;
    hydrant.terminate().await;
    let hydrant = Hydrant::start(&bench.setup).await;
    let status = hydrant.client.status("s").await;
    assert_eq!(status["paused"], true, "{status}");
    assert_eq!(status["cursors"][0]["waitingRecords"], 1, "{status}");
    hydrant.client.put_lines("s", "two\n").await;
    hydrant.kill().await;
    let hydrant = Hydrant::start(&bench.setup).await;
    assert_eq!(bench.server.seen_of("PutObject").len(), 0, "nothing was sent");
    assert_eq!(hydrant.client.post("/streams/s/resume", "text/plain", "").await.0, 202);
    hydrant.client.flush("s").await;
    assert_eq!(bench.bucket.lines("s/").concat(), "onetwo");
    hydrant.terminate().await;
}

#[tokio::test]
async fn hints_and_budgets_change_at_once() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "one\n").await;
    client.update("s", &json!({ "BufferingHints": { "SizeInMBs": 5, "IntervalInSeconds": 0 } })).await;
    assert_eq!(bench.bucket.wait_for("s/", 1).await[0].bytes, b"one\n");
    hydrant.terminate().await;
}
