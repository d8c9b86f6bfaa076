//! Deletion while producers put, delivery under a steady load, a ledger that cannot be written, an address that was left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Bucket, Hydrant, Setup, Stream, s3, until, until_true};
use crate::server::{Fault, Server};

struct Bench {
    server: Server,
    bucket: Bucket,
    data: TempDir,
    setup: Setup,
}

impl Bench {
    fn new() -> Self {
        let (server, bucket) = s3();
        let data = tempfile::tempdir().expect("a directory");
        let setup = Setup::new(data.path()).s3(&server.url);
        Self { server, bucket, data, setup }
    }

    /// Every line of every object.
    fn lines(&self) -> Vec<String> {
        let objects = self.bucket.objects("");
        objects
            .iter()
            .flat_map(|object| String::from_utf8_lossy(&object.bytes).lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_while_a_stream_is_deleted_is_delivered() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..72 {
        let name = format!("s{round}");
        hydrant.client.create(&Stream::new(&name)).await;
        // A stream that has nothing to deliver yet is drained at once; so its first puts come about when the deletion does.
        let puts: Vec<_> = (0..4)
            .map(|put| {
                let (client, path) = (hydrant.client.clone(), format!("/streams/{name}/records"));
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_micros(200 * put)).await;
                    let record = format!("record {round} {put}");
                    let (status, _) = client.post(&path, "text/plain", record.clone()).await;
                    (status == 200).then_some(record)
                })
            })
            .collect();
        // However slow the machine is, some deletions come in the middle.
        tokio::time::sleep(Duration::from_micros(400 * (round % 12))).await;
        hydrant.client.delete(&name).await;
        for put in puts {
            acknowledged.extend(put.await.expect("no panic"));
        }
        hydrant.client.gone(&name).await;
    }
    assert!(!acknowledged.is_empty(), "nothing was acknowledged");
    let delivered: BTreeSet<_> = bench.lines().into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&delivered).collect();
    assert!(lost.is_empty(), "{} of {} were acknowledged and lost: {lost:?}", lost.len(), acknowledged.len());
    hydrant.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_at_level_os_delivers_while_producers_never_pause() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.create(&Stream::new("os").setting("Durability", "os").size(0.2).interval(0.5)).await;
    let stop = Arc::new(AtomicBool::new(false));
    let producers: Vec<_> = (0..8)
        .map(|_| {
            let (client, stop) = (hydrant.client.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    client.put_lines("os", "a record\n").await;
                }
            })
        })
        .collect();
    until("objects under a load that never pauses", async || {
        (hydrant.client.metric("hydrant_delivered_objects_total", &["stream=\"os\""]).await >= 3).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for producer in producers {
        producer.await.expect("no panic");
    }
    hydrant.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_that_cannot_be_written_holds_up_its_own_stream_only() {
    let bench = Bench::new();
    let setup = bench.setup.clone().arg("--shutdown-timeout", "2").expects("ledger").expects("cannot be written");
    let setup = setup.expects("writing the log").expects("segment.new").expects("at the deadline");
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.create(&Stream::new("broken").setting("Durability", "os").interval(0.0)).await;
    hydrant.terminate().await;
    let streams = std::fs::read_dir(bench.data.path().join("streams")).expect("the streams");
    let ledger = streams.map(|entry| entry.expect("a stream").path().join("ledger")).next().expect("one stream");
    // In the way of the segment that each start begins.
    std::fs::create_dir(ledger.join("segment.new")).expect("a directory");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    for number in 0..200 {
        client.put_lines("broken", &format!("{number}\n")).await;
    }
    until("a service that says it is not ready", async || (client.get("/ready").await.0 == 503).then_some(())).await;
    let (status, _) = client.post("/streams/broken/flush", "text/plain", "").await;
    assert!(status < 500, "{status}");
    client.delete("broken").await;
    client.create(&Stream::new("healthy").interval(0.0)).await;
    client.put_lines("healthy", "as ever\n").await;
    bench.bucket.wait_for("healthy/", 1).await;
    hydrant.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_left_and_forbids_to_look_is_asked_on() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup).await;
    hydrant.client.create(&Stream::new("s").interval(0.0)).await;
    // The object is made, and nobody hears of it.
    bench.server.fail("PutObject", Fault::DoAndHang);
    hydrant.client.put_lines("s", "once\n").await;
    bench.server.until_done("PutObject", 1).await;
    hydrant.kill().await;
    bench.server.judge(Some(Box::new(|seen| {
        (seen.operation == "HeadObject").then(|| Fault::error(403, "InvalidAccessKeyId", "not here"))
    })));
    let asked = bench.server.count("HeadObject", false);
    let other = Server::start();
    other.make_bucket("bucket");
    let setup = Setup::new(bench.data.path()).s3(&other.url).expects("an object was not delivered");
    let hydrant = Hydrant::start(&setup).await;
    until_true("the old address is asked again and again", || bench.server.count("HeadObject", false) >= asked + 3)
        .await;
    assert_eq!(other.count("PutObject", false), 0, "it may be there twice");
    bench.server.judge(None);
    until("the delivery", async || {
        (hydrant.client.status("s").await["cursors"][0]["waitingRecords"] == json!(0)).then_some(())
    })
    .await;
    assert_eq!((bench.lines(), other.count("PutObject", false)), (vec!["once".to_owned()], 0));
    hydrant.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_missing_is_a_warning_once_and_shown_until_it_is_there() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup.clone().expects("an object was not delivered")).await;
    hydrant.client.create(&Stream::new("s").with("BucketARN", "arn:aws:s3:::missing").interval(0.0).size(0.001)).await;
    for _ in 0..20 {
        hydrant.client.put_lines("s", &("x".repeat(1100) + "\n")).await;
    }
    until_true("several attempts", || bench.server.count("PutObject", false) >= 12).await;
    let warnings = hydrant.log_text().lines().filter(|line| line.contains(" WARN ")).count();
    assert_eq!(warnings, 1, "{}", hydrant.log_text());
    let status = hydrant.client.status("s").await;
    assert_eq!(status["cursors"][0]["lastError"]["code"], "S3.NoSuchBucket", "{status}");
    bench.server.make_bucket("missing");
    hydrant.client.flush("s").await;
    hydrant.terminate().await;
}
