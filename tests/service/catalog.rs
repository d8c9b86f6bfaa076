//! Which streams there are: names, stream files, folders that cannot be read, and what `check` says of them.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Bucket, Hydrant, Setup, Stream, checked, refused, until};
use crate::server::Server;

/// A data directory and a folder of stream files, delivering into the embedded directory.
struct Bench {
    data: tempfile::TempDir,
    files: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a directory"), files: tempfile::tempdir().expect("a directory") }
    }

    /// Without the folder of stream files.
    fn bare(&self) -> Setup {
        Setup::new(self.data.path())
    }

    fn setup(&self) -> Setup {
        self.bare().arg("--streams", &self.files.path().display().to_string())
    }

    /// Starts and looks whether the line `one`, which was put to this stream before, is delivered.
    async fn delivers(&self, stream: &str) {
        let hydrant = Hydrant::start(&self.setup()).await;
        hydrant.client.flush(stream).await;
        let bucket = Bucket::new(&self.data.path().join("objects"), "bucket");
        assert_eq!(bucket.only(&format!("{stream}/")).bytes, b"one\n");
        hydrant.terminate().await;
    }

    fn write(&self, file: &str, stream: &Stream) {
        std::fs::write(self.files.path().join(file), stream.file()).expect("written");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries.map(|it| it.expect("an entry").file_name().display().to_string()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn asking_whether_a_destination_can_be_reached_changes_nothing() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(bench.data.path()), Vec::<String>::new(), "a data directory that nobody used");
    // Beside a service that is at work.
    let hydrant = Hydrant::start(&bench.setup()).await;
    let half_written = bench.data.path().join("objects/.incoming/half-written");
    std::fs::write(&half_written, "half").expect("written");
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::read(&half_written).expect("still there"), b"half");
    hydrant.terminate().await;
    // What is in the way is told.
    std::fs::write(bench.data.path().join("objects/bucket"), "a file").expect("written");
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("s.json: ExtendedS3DestinationConfiguration: File.NotADirectory: "), "{said}");
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named_and_is_no_fault_where_it_will_be_made() {
    let bench = Bench::new();
    let server = Server::start();
    bench.write("s.json", &Stream::new("s"));
    let setup = bench.setup().s3(&server.url);
    let (code, said) = checked(&setup, &["--reach"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("s3://bucket at {}", server.url)), "{said}");
    let (code, said) = checked(&setup, &["--reach", "--create-buckets"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(server.root.path()), Vec::<String>::new(), "it is not made by asking");
}

#[tokio::test]
async fn a_data_directory_that_is_a_file_is_told_once() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let (code, said) = refused(&Setup::new(file.path())).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains(&file.path().display().to_string()), "{said}");
    assert_eq!(said.matches("os error").count(), 1, "{said}");
}

/// The only stream's `stream.json`.
fn stream_json(bench: &Bench) -> PathBuf {
    let folders = names(&bench.data.path().join("streams"));
    assert_eq!(folders.len(), 1, "{folders:?}");
    bench.data.path().join("streams").join(&folders[0]).join("stream.json")
}

#[tokio::test]
async fn the_name_of_a_stream_of_a_later_format_is_not_given_away() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.bare()).await;
    hydrant.client.create(&Stream::new("n1")).await;
    hydrant.client.put_lines("n1", "one\n").await;
    hydrant.terminate().await;
    let path = stream_json(&bench);
    let good = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, good.replace("\"format\": 1", "\"format\": 2")).expect("written");
    let setup = bench.setup().expects("a stream is not started").expects("a stream file was not applied");
    bench.write("n1.json", &Stream::new("n1"));
    let hydrant = Hydrant::start(&setup).await;
    let refusal = hydrant.client.call("CreateDeliveryStream", &Stream::new("n1").request()).await.expect_err("taken");
    assert_eq!((refusal.status, refusal.code.as_str()), (400, "ResourceInUseException"));
    assert!(refusal.message.contains("already exists and could not be started"), "{}", refusal.message);
    hydrant.client.create(&Stream::new("other")).await;
    // `start` waited for /ready: one damaged stream keeps no traffic from the others.
    assert_eq!(hydrant.client.metric("hydrant_streams_damaged", &[]).await, 1);
    hydrant.terminate().await;
    std::fs::write(&path, good).expect("written");
    bench.delivers("n1").await;
}

#[tokio::test]
async fn while_a_streams_name_cannot_be_read_none_is_created() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup()).await;
    hydrant.client.put_lines("s", "one\n").await;
    hydrant.terminate().await;
    let path = stream_json(&bench);
    let good = std::fs::read(&path).expect("a file");
    std::fs::write(&path, "garbage").expect("written");
    let expected = ["a stream is not started", "no stream can be created until", "a stream file was not applied"];
    let hydrant = Hydrant::start(&expected.into_iter().fold(bench.setup(), Setup::expects)).await;
    let refusal = hydrant.client.call("CreateDeliveryStream", &Stream::new("t").request()).await.expect_err("refused");
    assert_eq!(refusal.code, "ResourceInUseException");
    assert!(refusal.message.contains("whose name cannot be read"), "{}", refusal.message);
    hydrant.terminate().await;
    assert_eq!(stream_json(&bench), path, "no second folder");
    std::fs::write(&path, good).expect("written");
    bench.delivers("s").await;
}

#[tokio::test]
async fn strict_rules_are_awss_own() {
    let bench = Bench::new();
    let setup = bench.bare().flag("--strict");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    for (setting, value) in [("BufferSizeInMBs", "4000"), ("BufferIntervalInSeconds", "86400"), ("OnDelete", "drain")] {
        let request = Stream::new("wide").setting(setting, value).request();
        let refusal = client.call("CreateDeliveryStream", &request).await.expect_err("refused");
        assert_eq!(refusal.code, "InvalidArgumentException");
        assert!(refusal.message.contains(&format!("tag hydrant:{setting}: ")), "{}", refusal.message);
    }
    // Created over a moment, in which nothing can be done with it.
    client.create(&Stream::new("s")).await;
    assert_eq!(client.describe("s").await.expect("a stream")["DeliveryStreamStatus"], "CREATING");
    assert_eq!(client.post("/streams/s/records", "text/plain", "early").await.0, 404);
    let name = json!({ "DeliveryStreamName": "s" });
    let refusal = client.call("DeleteDeliveryStream", &name).await.expect_err("not yet");
    assert_eq!(refusal.code, "ResourceInUseException");
    until("ACTIVE", async || {
        (client.describe("s").await.expect("a stream")["DeliveryStreamStatus"] == "ACTIVE").then_some(())
    })
    .await;
    let wide = json!({ "DeliveryStreamName": "s", "Tags": [{ "Key": "hydrant:RetryForever", "Value": "true" }] });
    assert_eq!(client.call("TagDeliveryStream", &wide).await.expect_err("refused").code, "InvalidArgumentException");
    // Deletion drops what waits.
    client.put_lines("s", "one\n").await;
    client.delete("s").await;
    client.gone("s").await;
    assert!(!bench.data.path().join("objects/bucket").exists(), "it was delivered");
    hydrant.terminate().await;
    bench.write("wide.json", &Stream::new("wide").setting("BufferSizeInMBs", "4000"));
    let (code, said) = checked(&bench.setup().flag("--strict"), &[]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("Hydrant.BufferSizeInMBs: must be a whole number from 1 to 128 under --strict"), "{said}");
}

#[tokio::test]
async fn a_stream_file_that_names_another_stream_is_refused() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup().expects("a stream file was not applied")).await;
    bench.write("s.json", &Stream::new("renamed"));
    hydrant.hang_up();
    let reported = || std::future::ready(hydrant.log_text().contains("cannot change from s to renamed").then_some(()));
    until("the report", reported).await;
    assert!(hydrant.client.describe("renamed").await.is_none());
    hydrant.terminate().await;
    let (code, said) = refused(&bench.setup()).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("s.json: DeliveryStreamName: cannot change from s to renamed: "), "{said}");
    // Another file takes over the first.
    bench.write("t.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup()).await;
    assert!(hydrant.client.describe("s").await.is_some() && hydrant.client.describe("renamed").await.is_some());
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_stream_file_that_went_away_is_reported_at_a_start_and_a_faulty_one_is_not_gone() {
    let bench = Bench::new();
    bench.write("gone.json", &Stream::new("gone"));
    bench.write("faulty.json", &Stream::new("faulty"));
    let hydrant = Hydrant::start(&bench.setup()).await;
    hydrant.terminate().await;
    std::fs::remove_file(bench.files.path().join("gone.json")).expect("removed");
    let setup = bench.setup().expects("its stream file went away").expects("a stream file was not applied");
    let hydrant = Hydrant::start(&setup).await;
    let reports = |stream: &str| {
        let log = hydrant.log_text();
        log.lines().filter(|line| line.contains("its stream file went away") && line.ends_with(stream)).count()
    };
    assert_eq!((reports("stream=gone"), reports("stream=faulty")), (1, 0));
    std::fs::write(bench.files.path().join("faulty.json"), "{").expect("written");
    hydrant.hang_up();
    until("the second report", || std::future::ready((reports("stream=gone") == 2).then_some(()))).await;
    assert_eq!(reports("stream=faulty"), 0);
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_deleted_stream_whose_file_remains_comes_back_and_says_so() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let hydrant = Hydrant::start(&bench.setup().expects("is created again at the next start or reload")).await;
    hydrant.client.delete("s").await;
    hydrant.client.gone("s").await;
    assert!(hydrant.log_text().contains("is created again at the next start or reload"), "{}", hydrant.log_text());
    hydrant.terminate().await;
    let hydrant = Hydrant::start(&bench.setup()).await;
    assert!(hydrant.client.describe("s").await.is_some());
    hydrant.terminate().await;
}

/// What `GET /streams` says of each stream: name, status, records that wait.
async fn listed(hydrant: &Hydrant) -> Vec<(String, String, u64)> {
    let (_, body) = hydrant.client.get("/streams").await;
    let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let streams = body["streams"].as_array().expect("a list").iter();
    let waiting = |stream: &serde_json::Value| stream["cursors"][0]["waitingRecords"].as_u64().expect("a number");
    streams.map(|stream| (text(&stream["name"]), text(&stream["status"]), waiting(stream))).collect()
}

#[tokio::test]
async fn a_stream_that_drains_behind_its_successor_is_seen_and_can_be_forced() {
    let bench = Bench::new();
    let server = Server::start();
    let setup = bench.bare().s3(&server.url).expects("an object was not delivered");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    for lines in ["1\n", "2\n2\n"] {
        client.create(&Stream::new("s")).await;
        client.put_lines("s", lines).await;
        client.delete("s").await;
    }
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "3\n3\n3\n").await;
    let entry = |status: &str, waiting| ("s".to_owned(), status.to_owned(), waiting);
    let mut streams = listed(&hydrant).await;
    assert_eq!(streams.remove(0), entry("ACTIVE", 3));
    streams.sort_unstable();
    assert_eq!(streams, [entry("DELETING", 1), entry("DELETING", 2)]);
    assert_eq!(client.metric("hydrant_waiting_bytes", &["stream=\"s\""]).await, 12, "all of them");
    // The name goes back to those that still drain.
    let deletion = json!({ "DeliveryStreamName": "s", "AllowForceDelete": true });
    client.call("DeleteDeliveryStream", &deletion).await.expect("deleted");
    until("all are gone", async || listed(&hydrant).await.is_empty().then_some(())).await;
    assert_eq!(names(&bench.data.path().join("streams")), Vec::<String>::new());
    hydrant.terminate().await;
}

#[tokio::test]
async fn the_name_of_a_stream_that_is_gone_goes_back_to_one_that_still_drains() {
    let bench = Bench::new();
    let server = Server::start();
    let hydrant = Hydrant::start(&bench.bare().s3(&server.url).expects("an object was not delivered")).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s")).await;
    client.put_lines("s", "1\n").await;
    client.delete("s").await;
    client.create(&Stream::new("s").setting("OnDelete", "discard")).await;
    client.delete("s").await;
    until("the first is seen again", async || (listed(&hydrant).await.len() == 1).then_some(())).await;
    assert_eq!(client.status("s").await["cursors"][0]["waitingRecords"], 1);
    assert_eq!(client.describe("s").await.expect("a stream")["DeliveryStreamStatus"], "DELETING");
    server.make_bucket("bucket");
    client.gone("s").await;
    assert_eq!(Bucket::new(server.root.path(), "bucket").only("s/").bytes, b"1\n");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_deleted_stream_that_cannot_drain_ends_at_its_deadline_and_says_what_it_drops() {
    let bench = Bench::new();
    let server = Server::start();
    let setup = bench.bare().s3(&server.url).expects("an object was not delivered").expects("before its deadline");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s").setting("DrainDeadlineInSeconds", 0)).await;
    client.create(&Stream::new("patient")).await;
    for name in ["s", "patient"] {
        client.put_lines(name, "1\n").await;
        client.delete(name).await;
    }
    client.gone("s").await;
    let log = hydrant.log_text();
    let dropped = log.lines().find(|line| line.contains("before its deadline and drops it")).expect("a warning");
    assert!(dropped.contains("stream=s ") && dropped.contains("records=1 "), "{dropped}");
    assert_eq!(listed(&hydrant).await, [("patient".to_owned(), "DELETING".to_owned(), 1)]);
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_deletion_that_could_not_be_stored_did_not_happen() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.bare().expects("a request failed")).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s")).await;
    // In the way of the temporary file.
    let in_the_way = stream_json(&bench).with_file_name("stream.json.new");
    std::fs::create_dir(&in_the_way).expect("made");
    let name = json!({ "DeliveryStreamName": "s" });
    assert_eq!(client.call("DeleteDeliveryStream", &name).await.expect_err("not stored").status, 500);
    assert_eq!(client.describe("s").await.expect("a stream")["DeliveryStreamStatus"], "ACTIVE");
    client.put_lines("s", "one\n").await;
    std::fs::remove_dir(&in_the_way).expect("removed");
    client.delete("s").await;
    client.gone("s").await;
    let bucket = Bucket::new(&bench.data.path().join("objects"), "bucket");
    assert_eq!(bucket.only("s/").bytes, b"one\n");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_creation_that_failed_leaves_no_folder() {
    let bench = Bench::new();
    let hydrant =
        Hydrant::start(&bench.bare().expects("a request failed").expects("what a failed creation left")).await;
    let streams = bench.data.path().join("streams");
    let mut failures = 0;
    // Fewer open files than a creation takes, at each of its steps.
    for spare in 0..20 {
        hydrant.client.describe("s").await;
        hydrant.spare_files(spare);
        let created = hydrant.client.call("CreateDeliveryStream", &Stream::new("s").request()).await;
        hydrant.limit_files(1024);
        if created.is_ok() {
            break;
        }
        failures += 1;
        // One whose removal failed too is removed at the next start.
        let left: Vec<_> = names(&streams).into_iter().filter(|name| !name.ends_with(".removed")).collect();
        assert_eq!(left, Vec::<String>::new(), "with {spare} files");
    }
    assert!((1..20).contains(&failures), "{failures}");
    hydrant.client.put_lines("s", "one\n").await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn what_could_never_be_put_or_delivered_is_refused_at_once() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.bare()).await;
    let client = &hydrant.client;
    for name in [".", ".."] {
        let refusal = client.call("CreateDeliveryStream", &Stream::new(name).request()).await.expect_err("refused");
        assert_eq!(refusal.code, "InvalidArgumentException");
        assert!(refusal.message.contains("DeliveryStreamName must not be"), "{}", refusal.message);
    }
    let long = "p".repeat(300);
    let refusal = client.call("CreateDeliveryStream", &Stream::new("s").with("Prefix", long.as_str()).request()).await;
    let refusal = refusal.expect_err("refused");
    assert_eq!(refusal.code, "InvalidArgumentException");
    assert!(refusal.message.starts_with("Prefix makes keys that cannot be files"), "{}", refusal.message);
    client.create(&Stream::new("s")).await;
    let update = json!({
        "DeliveryStreamName": "s", "CurrentDeliveryStreamVersionId": "1", "DestinationId": "destinationId-000000000001",
        "ExtendedS3DestinationUpdate": { "ErrorOutputPrefix": format!("{long}/") },
    });
    assert!(client.call("UpdateDestination", &update).await.is_err());
    hydrant.terminate().await;
    bench.write("s.json", &Stream::new("s").with("Prefix", long.as_str()));
    assert_eq!(checked(&bench.setup(), &[]).await.0, 1);
    // An S3 server takes it.
    let (code, said) = checked(&bench.setup().s3("http://127.0.0.1:1"), &[]).await;
    assert_eq!(code, 0, "{said}");
}
