//! The process killed, again and again, under load: at random moments, at named phases, between the requests of an upload, and
//! with a destination that is away, slow or lying meanwhile.
//!
//! Every record has an id of its own and is put once. Afterwards each acknowledged one lies under exactly one object name, one
//! that was not acknowledged under at most one, and no object holds half a record.

mod load;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use hydrant::clock::splitmix;
use hydrant::failpoint::Phase;
use serde_json::json;
use tempfile::TempDir;

use self::load::{Book, Load, check};
use crate::harness::{Bucket, Hydrant, Setup, Stream, s3};
use crate::server::{Fault, Seen, Server, error_xml};

/// An S3 server, a data directory, and streams of every kind.
struct Site {
    server: Server,
    bucket: Bucket,
    setup: Setup,
    _data: TempDir,
}

impl Site {
    async fn new() -> Self {
        let (server, bucket) = s3();
        let data = tempfile::tempdir().expect("a directory");
        // A request of a killed process can be carried out after the next one has asked for its object: then the second one
        // finds it made, and asks again.
        let setup = Setup::new(data.path()).s3(&server.url).expects("S3.PreconditionFailed");
        let site = Self { server, bucket, setup, _data: data };
        let hydrant = Hydrant::start(&site.setup).await;
        for stream in [
            Stream::new("small").size(0.02).interval(0.3),
            Stream::new("zipped").with("CompressionFormat", "GZIP").interval(0.0),
            Stream::new("os").setting("Durability", "os").size(0.05).interval(0.2),
            Stream::new("large").size(6.0).interval(900.0),
            parted(),
        ] {
            hydrant.client.create(&stream).await;
        }
        hydrant.terminate().await;
        site
    }

    /// What the service logs, rightly, while its destination fails.
    fn in_trouble(mut self) -> Self {
        self.setup = self.setup.env("HYDRANT_S3_TIMEOUT", "1");
        for text in ["an object was not delivered", "at the deadline", "cannot be aborted"] {
            self.setup = self.setup.expects(text);
        }
        self
    }

    /// Delivers everything and holds it against what was put.
    async fn check(self, book: &Book) {
        self.server.judge(None);
        let hydrant = Hydrant::start(&self.setup).await;
        for stream in load::STREAMS {
            hydrant.client.flush(stream).await;
            let stream = format!("stream=\"{stream}\"");
            assert_eq!(hydrant.client.metric("hydrant_quarantined_bytes_total", &[&stream]).await, 0);
        }
        check(&self.bucket, book);
        hydrant.terminate().await;
        // Its id is in the ledger before its first part leaves, so an upload that nobody knows of has none; a lifecycle rule is
        // what ends it. All others were ended; a part that its server took up late may still lie there.
        let ended = |upload: &str| {
            let asked = format!("uploadId={upload}");
            ["AbortMultipartUpload", "CompleteMultipartUpload"]
                .iter()
                .any(|operation| self.server.seen_of(operation).iter().any(|seen| seen.query.contains(&asked)))
        };
        for upload in self.server.open_uploads() {
            let name = upload.to_string_lossy();
            if let Some((_, of)) = name.split_once(".upload_id-")
                && let Some((id, _)) = of.split_once(".part-")
            {
                assert!(ended(id), "a part was left behind: {name}");
            }
        }
    }
}

/// A stream with everything: partitions, an error output, a backup of source records.
fn parted() -> Stream {
    let parameters = json!([
        {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{p:.p}"},
        {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
    ]);
    let backup = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/delivery", "BucketARN": "arn:aws:s3:::bucket", "Prefix": "backup/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1},
    });
    Stream::new("parted")
        .with("Prefix", "parted/!{partitionKeyFromQuery:p}/")
        .with("ErrorOutputPrefix", "errors/!{firehose:error-output-type}/")
        .with("DynamicPartitioningConfiguration", json!({"Enabled": true}))
        .with(
            "ProcessingConfiguration",
            json!({
                "Enabled": true, "Processors": [{"Type": "MetadataExtraction", "Parameters": parameters}],
            }),
        )
        .with("S3BackupMode", "Enabled")
        .with("S3BackupConfiguration", backup)
        .interval(0.8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_nothing_is_lost_and_nothing_doubled() {
    let site = Site::new().await;
    let seed = seed();
    let book = kill_at_random(&site, kills(), seed, async |_| {}).await;
    site.check(&book).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_in_front_of_a_failing_destination_the_same_holds() {
    let site = Site::new().await.in_trouble();
    let seed = seed();
    let mut chance = seed ^ 1;
    site.server.judge(Some(Box::new(move |seen| trouble(&mut chance, seen))));
    let mut away = seed ^ 2;
    let book = kill_at_random(&site, kills(), seed, async |site| {
        // Sometimes the whole server is gone for a while.
        if splitmix(&mut away).is_multiple_of(4) {
            site.server.go_away().await;
            tokio::time::sleep(Duration::from_millis(splitmix(&mut away) % 700)).await;
            site.server.come_back();
        }
    })
    .await;
    site.check(&book).await;
}

/// Starts, lets it work for a moment, kills; as often as asked.
async fn kill_at_random(site: &Site, kills: u64, seed: u64, mut meanwhile: impl AsyncFnMut(&Site)) -> Book {
    println!("HYDRANT_CRASH_SEED={seed} repeats the choices of this run");
    let mut state = seed;
    let load = Load::new();
    for kill in 0..kills {
        let hydrant = Hydrant::spawn(&site.setup).await;
        load.turn_to(&hydrant.client);
        // Some are killed while they recover.
        if kill % 8 != 0 {
            hydrant.ready().await;
        }
        meanwhile(site).await;
        let work = 100 + splitmix(&mut state) % 900;
        tokio::time::sleep(Duration::from_millis(work)).await;
        hydrant.kill().await;
    }
    let book = load.end().await;
    println!("{kills} kills at random moments; {} records acknowledged", book.acknowledged.len());
    assert!(book.acknowledged.len() as u64 > kills, "there was no load");
    book
}

/// What goes wrong with a request in a bad hour.
fn trouble(chance: &mut u64, seen: &Seen) -> Option<Fault> {
    let late = Duration::from_millis(splitmix(chance) % 1500);
    let fault = match splitmix(chance) % 100 {
        0..5 => Fault::error(500, "InternalError", "We encountered an internal error."),
        5..8 => {
            let body = error_xml("SlowDown", "Please reduce your request rate.");
            Fault::Answer { status: 503, header: Some(("retry-after", "0")), body }
        }
        8..10 => Fault::DoAndClose,
        10..12 => Fault::DoAndHang,
        12..14 => Fault::Close,
        14..16 => Fault::CloseUnread,
        16..18 => Fault::DoAndAnswerAfter(late),
        18..20 => Fault::Stall(late),
        20..21 => Fault::Hang,
        21..22 => Fault::HangUnread,
        22..24 => Fault::DoAndAnswer { status: 500, body: error_xml("InternalError", "and yet it is done") },
        24..26 if seen.operation == "CompleteMultipartUpload" => Fault::error(200, "InternalError", "inside a 200"),
        _ => return None,
    };
    Some(fault)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_each_named_phase_nothing_is_lost_and_nothing_doubled() {
    let site = Site::new().await;
    let load = Load::new();
    let mut kills = BTreeMap::new();
    for round in [1, 2, 9] {
        for phase in Phase::ALL {
            let times = round.min(most_times(phase));
            let setup = site.setup.clone().env("HYDRANT_CRASH_AT", &format!("{}:{times}", phase.name()));
            load.flood(phase == Phase::PoolTaken);
            let hydrant = Hydrant::spawn(&setup).await;
            load.turn_to(&hydrant.client);
            hydrant.killed_itself(phase.name()).await;
            *kills.entry(phase.name()).or_insert(0) += 1;
        }
    }
    let book = load.end().await;
    println!("kills per phase: {kills:#?}; {} records acknowledged", book.acknowledged.len());
    site.check(&book).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_the_requests_of_an_upload_it_is_made_once() {
    let site = Site::new().await;
    let load = Load::new();
    let mut kills = BTreeMap::new();
    for _ in 0..3 {
        for (phase, operation, done, fault) in [
            ("upload asked for", "CreateMultipartUpload", true, Fault::DoAndHang),
            ("part under way", "UploadPart", false, Fault::HangUnread),
            ("part received", "UploadPart", false, Fault::Hang),
            ("part stored", "UploadPart", true, Fault::DoAndHang),
            ("complete received", "CompleteMultipartUpload", false, Fault::Hang),
            ("complete done", "CompleteMultipartUpload", true, Fault::DoAndHang),
            ("object done", "PutObject", true, Fault::DoAndHang),
        ] {
            let hydrant = Hydrant::start(&site.setup).await;
            let before = site.server.count(operation, done);
            let held = operation;
            site.server.judge(Some(Box::new(move |seen| (seen.operation == held).then(|| fault.clone()))));
            load.turn_to(&hydrant.client);
            if done {
                site.server.until_done(operation, before + 1).await;
            } else {
                site.server.until(operation, before + 1).await;
            }
            hydrant.kill().await;
            site.server.judge(None);
            *kills.entry(phase).or_insert(0) += 1;
        }
    }
    let book = load.end().await;
    println!("kills per phase: {kills:#?}; {} records acknowledged", book.acknowledged.len());
    site.check(&book).await;
}

/// How often a phase is reached soon: a segment begins with each start of each stream, and then only when it is full.
fn most_times(phase: Phase) -> u64 {
    match phase {
        Phase::PoolTaken => 1,
        Phase::RecordsProved | Phase::LedgerProved => 3,
        _ => u64::MAX,
    }
}

/// Kills of one run at random moments.
fn kills() -> u64 {
    let text = std::env::var("HYDRANT_CRASH_KILLS").unwrap_or_else(|_| "100".into());
    text.parse().expect("HYDRANT_CRASH_KILLS is a number")
}

/// Chosen anew for each run unless one is to be repeated.
fn seed() -> u64 {
    let fresh = || RandomState::new().build_hasher().finish();
    std::env::var("HYDRANT_CRASH_SEED").map_or_else(|_| fresh(), |text| text.parse().expect("a number"))
}
