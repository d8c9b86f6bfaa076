//! The process killed, again and again, under load: at random moments, at named phases, between the requests of an upload, and
//! with a destination that is away, slow or lying meanwhile.
//!
//! Every record has an id of its own and is put once. Afterwards each acknowledged one lies under exactly one object name, one
//! that was not acknowledged under at most one, and no object holds half a record. What processing refuses lies in the error
//! output instead, once, and what it drops nowhere.
//!
//! | Module | What is in it |
//! |---|---|
//! | [`site`] | streams of every kind: every compression, partitions, a module, a function, rows in Parquet and ORC, tables of files, of Glue and inferred |
//! | [`records`] | a record of each, and what must become of it |
//! | [`load`] | who puts them |
//! | [`check`] | what became of them |

mod check;
mod load;
mod records;
mod site;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use serde_json::{Value, json};

use self::load::{Book, Load};
use self::records::record;
use self::site::{Site, parted, partitioned};
use crate::harness::{Hydrant, POLL, Setup, s3};
use crate::server::{Fault, Seen, error_xml};
use hydrant::clock::splitmix;
use hydrant::failpoint::Phase;

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
        // Nothing is given up here, and nothing waits while others have left.
        let is_reached = |phase: &Phase| !matches!(phase, Phase::GivenUp | Phase::Rewritten);
        for phase in Phase::ALL.into_iter().filter(is_reached) {
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
async fn killed_while_an_object_is_given_up_its_records_are_in_the_error_output_once() {
    let (server, bucket) = s3();
    server.judge(Some(Box::new(|seen| {
        let denied = seen.operation == "PutObject" && seen.path.contains("/parted/p3/");
        denied.then(|| Fault::error(403, "AccessDenied", "Access Denied"))
    })));
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url).expects("an object was not delivered").expects("is given up");
    let retry = json!({ "Enabled": true, "RetryOptions": { "DurationInSeconds": 1 } });
    let stream = parted().with("DynamicPartitioningConfiguration", retry);
    let hydrant = Hydrant::start(&setup.clone().env("HYDRANT_CRASH_AT", "given-up:1")).await;
    hydrant.client.create(&stream).await;
    let lines: Vec<String> = (1..=70).map(|number| record("parted", &format!("a{number}"), number, 10)).collect();
    hydrant.client.put_lines("parted", &lines.concat()).await;
    hydrant.killed_itself("given-up").await;
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.flush("parted").await;
    let raw = |line: String| {
        let entry: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(entry["errorCode"], "S3.AccessDenied");
        let raw = base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str().expect("text")).expect("base64");
        String::from_utf8(raw).expect("text")
    };
    let mut told: Vec<String> = bucket.lines("errors/parted/s3-failed/").into_iter().map(raw).collect();
    let mut of_p3: Vec<String> = lines.iter().filter(|line| line.contains("\"p\":\"p3\"")).cloned().collect();
    told.sort();
    of_p3.sort();
    assert!(!of_p3.is_empty());
    assert_eq!(told, of_p3);
    assert_eq!(bucket.keys("parted/p3/"), Vec::<String>::new());
    let delivered = bucket.lines("parted/").len() + bucket.lines("errors/parted/partitioning-failed/").len();
    assert_eq!(delivered, 70 - of_p3.len());
    hydrant.terminate().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_the_spool_is_rewritten_each_record_is_delivered_once() {
    let (server, bucket) = s3();
    let data = tempfile::tempdir().expect("a directory");
    let setup = Setup::new(data.path()).s3(&server.url);
    let hydrant = Hydrant::start(&setup).await;
    // A mebibyte that is given back is worth it, and the fast partition leaves a mebibyte at a time.
    hydrant.client.create(&partitioned().setting("DiskBudgetInMBs", 16).size(1.0).interval(900.0)).await;
    let line = |number: usize| {
        let partition = if number.is_multiple_of(50) { format!("cold{number}") } else { "hot".to_owned() };
        format!("{}\n", json!({ "p": partition, "line": format!("{number:06} {}", "x".repeat(2000)) }))
    };
    let (mut next, mut acknowledged) = (0_usize, Vec::new());
    hydrant.terminate().await;
    for times in [1, 2, 1, 3] {
        let hydrant = Hydrant::spawn(&setup.clone().env("HYDRANT_CRASH_AT", &format!("rewritten:{times}"))).await;
        hydrant.ready().await;
        let client = hydrant.client.clone();
        let mut killed = std::pin::pin!(hydrant.killed_itself("rewritten"));
        loop {
            // What was being put when it was killed may have been taken.
            let numbers = next..next + 500;
            next = numbers.end;
            let lines: String = numbers.clone().map(line).collect();
            tokio::select! {
                () = &mut killed => break,
                put = client.try_post("/streams/parted/records", "text/plain", lines) => {
                    if put.is_ok_and(|(status, _)| status == 200) {
                        acknowledged.extend(numbers);
                    }
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.flush("parted").await;
    let number = |line: &String| -> usize {
        let record: Value = serde_json::from_str(line).expect("JSON");
        record["line"].as_str().expect("text")[..6].parse().expect("a number")
    };
    let mut delivered: Vec<usize> = bucket.lines("parted/").iter().map(number).collect();
    delivered.sort_unstable();
    let all = delivered.len();
    delivered.dedup();
    assert_eq!(delivered.len(), all, "some are there twice");
    let lost: Vec<_> = acknowledged.iter().filter(|number| delivered.binary_search(number).is_err()).collect();
    assert!(!acknowledged.is_empty() && lost.is_empty(), "lost of {}: {lost:?}", acknowledged.len());
    hydrant.terminate().await;
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
