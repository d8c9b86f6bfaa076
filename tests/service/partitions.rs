//! Partitions: values that come from data and want to be part of a path, and as many partitions as there are records.
//!
//! `HYDRANT_MANY_PARTITIONS` is how many of them wait at once in the tests of memory and work: 3,000 unless told. 100,000 are promised,
//! too, and take as long as that many objects on the disk; `benches` has a run of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Hydrant, POLL, Stream, until};
use crate::processing::{Bench, give_module, processor, processors};

/// A stream with this prefix whose partition keys come from a query, or from a module.
fn stream(name: &str, prefix: &str) -> Stream {
    let by_module = prefix.contains("FromLambda");
    let keys = if by_module {
        processor("Lambda", &[("LambdaArn", "arn:aws:lambda:us-east-1:000000000000:function:clicks")])
    } else {
        processor(
            "MetadataExtraction",
            &[("MetadataExtractionQuery", "{country:.country}"), ("JsonParsingEngine", "JQ-1.6")],
        )
    };
    Stream::new(name)
        .with("Prefix", prefix)
        .with("ErrorOutputPrefix", format!("errors/{name}/!{{firehose:error-output-type}}/"))
        .with("DynamicPartitioningConfiguration", json!({ "Enabled": true }))
        .with("ProcessingConfiguration", processors(&[keys]))
}

/// Values that no part of a path may have.
fn refused() -> Vec<String> {
    let mut values: Vec<String> = [
        "..",
        ".",
        "../../x",
        "a/../../../x",
        "./x",
        "x/.",
        "x/..",
        "/",
        "//",
        "/etc/x",
        "a//b",
        "a/",
        "\0",
        "a\0b",
        "a\tb",
        "\n",
        "\r\n",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
        "\u{9f}",
    ]
    .map(str::to_owned)
    .into();
    // The last two are parts of a key as S3 has it, and too long for a name on a disk.
    values.extend([2_000, 513, 512 - "whole/".len() - "/".len(), 256].map(|length| "x".repeat(length)));
    // Few enough characters for a prefix, too many bytes for a key.
    values.push("年".repeat(400));
    values
}

/// Values that look worse than they are, and are legal in a key of S3.
fn safe() -> Vec<String> {
    let values = [
        "ann",
        "a=b",
        "country=DE",
        "a/b",
        "a/b/c=d/e",
        "...",
        "..x",
        "x..",
        ".hidden",
        "..\\..\\x",
        "C:\\x",
        "%2e%2e%2f",
        "~",
        "$HOME",
        "`id`",
        "*?[",
        "'\"",
        " ",
        "grüße",
        "🦆",
        "e\u{301}",
        "\u{202e}",
        "\u{feff}",
        "con",
        "-rf",
        "bucket",
        "errors/x",
        "!{timestamp:yyyy}",
    ];
    let mut values: Vec<String> = values.map(str::to_owned).into();
    // As long as a name on disk may be.
    values.push("x".repeat(255 - "p=".len()));
    values
}

/// Every file below `root`, as a path from there.
fn files(root: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            // Not through links.
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
            } else {
                let path = entry.path();
                found.insert(path.strip_prefix(root).expect("below").to_str().expect("text").to_owned());
            }
        }
    }
    found
}

#[tokio::test]
async fn whatever_a_partition_key_says_nothing_is_written_outside_and_each_record_is_in_one_place() {
    let bench = Bench::new().await;
    give_module(bench.data.path());
    let client = &bench.hydrant.client;
    // In the middle of a segment, behind a folder, and at the very front of the key; from either source.
    let streams = [
        ("mid", "mid/p=!{partitionKeyFromQuery:country}/"),
        ("whole", "whole/!{partitionKeyFromQuery:country}/"),
        ("front", "!{partitionKeyFromQuery:country}/"),
        ("last", "last/!{partitionKeyFromQuery:country}"),
        ("module", "module/!{partitionKeyFromLambda:country}/"),
        ("module-front", "!{partitionKeyFromLambda:country}/"),
    ];
    let (refused, safe) = (refused(), safe());
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    let mut failing: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (name, prefix) in streams {
        client.create(&stream(name, prefix).interval(900.0)).await;
        let mut lines = String::new();
        let line = |value: &str, at: usize| {
            format!("{}\n", json!({ "page": "/x", "country": value, "id": format!("{name} {at}") }))
        };
        for (at, value) in safe.iter().enumerate() {
            // Where a stream's own name follows at once, it is part of the segment, which a disk has no room for.
            if name == "last" && value.len() > 100 {
                lines.push_str(&line(value, at));
                failing.entry(name).or_default().insert(line(value, at));
                continue;
            }
            let start = prefix.find("!{").expect("a key");
            wanted.insert(format!("{name} {at}"), format!("{}{value}", &prefix[..start]));
            lines.push_str(&line(value, at));
        }
        // An empty value is dropped by the module's own verdict.
        let empty = if prefix.contains("FromLambda") { None } else { Some(String::new()) };
        for (at, value) in refused.iter().chain(&empty).enumerate() {
            let line = line(value, 1_000 + at);
            lines.push_str(&line);
            failing.entry(name).or_default().insert(line);
        }
        client.put_lines(name, &lines).await;
        client.flush(name).await;
    }
    nothing_is_outside(&bench);
    let delivered = delivered(&bench);
    assert_eq!(delivered.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (id, key) in &delivered {
        assert!(key.starts_with(&wanted[id]), "{id}: {key} instead of {}", wanted[id]);
    }
    for (name, _) in streams {
        let told: Vec<String> = bench.entries(&format!("errors/{name}/")).into_iter().map(|(_, raw)| raw).collect();
        assert_eq!(told.len(), failing[name].len(), "{name}: once each");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), failing[name], "{name}");
        // An empty value is no value, which the processor says.
        let empty = u64::from(!name.starts_with("module"));
        assert_eq!(refused_by_grouping(client, name).await, failing[name].len() as u64 - empty, "{name}");
    }
    bench.hydrant.terminate().await;
}

/// Records of a stream that no partition could be named after.
async fn refused_by_grouping(client: &Client, name: &str) -> u64 {
    let stream = format!("stream=\"{name}\"");
    let labels = ["processor=\"DynamicPartitioning\"", &stream];
    client.metric("hydrant_processor_failed_records_total", &labels).await
}

/// Whatever lies in the data directory is the service's own, or lies below the bucket.
fn nothing_is_outside(bench: &Bench) {
    for path in files(bench.data.path()) {
        let own = ["artifacts/", "compiled/", "lock", "modules/clicks.wasm", "pool/", "streams/", "objects/bucket/"];
        assert!(own.iter().any(|own| path.starts_with(own)), "{path}");
    }
    assert!(!Path::new("/etc/x").exists());
}

/// Which object each record is in.
fn delivered(bench: &Bench) -> BTreeMap<String, String> {
    let mut delivered = BTreeMap::new();
    for object in bench.bucket.objects("").into_iter().filter(|object| !is_of_errors(&object.key)) {
        for line in std::str::from_utf8(&object.bytes).expect("text").lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let id = record["id"].as_str().expect("an id").to_owned();
            assert_eq!(delivered.insert(id.clone(), object.key.clone()), None, "{id} is there twice");
        }
    }
    delivered
}

/// A partition may be called `errors/x`; the error output of a stream has two folders more.
fn is_of_errors(key: &str) -> bool {
    key.starts_with("errors/") && key.contains("-failed/")
}

/// What a process took at most, as its metrics say.
#[derive(Debug, Default)]
struct Peak {
    memory: u64,
    files: u64,
}

impl Peak {
    async fn look(&mut self, client: &Client) {
        self.memory = self.memory.max(client.metric("process_resident_memory_bytes", &[]).await);
        self.files = self.files.max(client.metric("process_open_fds", &[]).await);
    }
}

/// How many partitions wait.
fn many() -> u64 {
    std::env::var("HYDRANT_MANY_PARTITIONS").map_or(3_000, |text| text.parse().expect("a number"))
}

/// Waits until so many records have been looked at for their keys.
async fn processed(client: &Client, records: u64, peak: &mut Peak) {
    let deadline = Instant::now() + LONGEST;
    while client.metric("hydrant_processor_records_in_total", &["processor=\"MetadataExtraction\""]).await < records {
        peak.look(client).await;
        assert!(Instant::now() < deadline, "they are never processed: {}", client.status("s").await);
        tokio::time::sleep(POLL).await;
    }
    peak.look(client).await;
}

/// Flushes, and looks meanwhile.
async fn flush(hydrant: &Hydrant, name: &str, peak: &mut Peak) {
    let client = &hydrant.client;
    let deadline = Instant::now() + LONGEST;
    loop {
        // Each call waits for a while and says that it is not done.
        let (status, answer) = client.post(&format!("/streams/{name}/flush?wait=2"), "text/plain", "").await;
        peak.look(client).await;
        if status == 200 {
            return;
        }
        assert_eq!(status, 504, "{answer}");
        assert!(Instant::now() < deadline, "it is never done: {}", client.status(name).await);
    }
}

/// Of each partition how many lines its objects have; each line is what `line` gives for its number.
fn counted(bench: &Bench, folder: &str, line: impl Fn(u64) -> String) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for object in bench.bucket.objects(folder) {
        let partition = object.key[folder.len()..].split('/').next().expect("a partition").to_owned();
        for text in std::str::from_utf8(&object.bytes).expect("text").lines() {
            let record: Value = serde_json::from_str(text).expect("JSON");
            let number = record["n"].as_u64().expect("a number");
            assert!(seen.insert(number), "{number} is there twice");
            assert_eq!((text, record["country"].as_str()), (line(number).trim_end(), Some(&*partition)));
            *counts.entry(partition.clone()).or_default() += 1;
        }
    }
    counts
}

async fn put(client: &Client, name: &str, numbers: std::ops::Range<u64>, line: impl Fn(u64) -> String) {
    let numbers: Vec<u64> = numbers.collect();
    for some in numbers.chunks(2_000) {
        client.put_lines(name, &some.iter().map(|number| line(*number)).collect::<String>()).await;
    }
}

#[tokio::test]
async fn partitions_that_wait_take_little_memory_each() {
    let many = many();
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    // Records are grouped after a sixteenth of the time that partitions may wait.
    client.create(&stream("s", "s/!{partitionKeyFromQuery:country}/").interval(80.0)).await;
    let mut peak = Peak::default();
    peak.look(client).await;
    let before = peak.memory;
    let line = |number: u64| format!("{{\"n\":{number},\"country\":\"p{}\"}}\n", number % many);
    // Each waits with a slice of the first half, and one of the second.
    for half in 1..=2 {
        put(client, "s", (half - 1) * many..half * many, line).await;
        processed(client, half * many, &mut peak).await;
    }
    println!("{many} partitions wait: {before} bytes before, then {peak:?}");
    flush(&bench.hydrant, "s", &mut peak).await;
    println!("and when they have left: {peak:?}");
    assert!(peak.memory <= before + MOST_WAITING + many * MOST_FOR_EACH, "{before} bytes before, then {peak:?}");
    assert!(peak.files < MOST_FILES, "{peak:?}");
    let counts = counted(&bench, "s/", line);
    assert_eq!(counts.len() as u64, many);
    assert!(counts.values().all(|count| *count == 2), "two records each");
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn a_fast_partition_beside_thousands_of_cold_ones_leaves_and_holds_nothing() {
    const HOT: u64 = 30_000;
    let cold = many();
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    client.create(&stream("s", "s/!{partitionKeyFromQuery:country}/").size(2.0).interval(900.0)).await;
    let mut peak = Peak::default();
    peak.look(client).await;
    let before = peak.memory;
    let padding = "x".repeat(900);
    let line = |number: u64| match number {
        number if number < cold => format!("{{\"n\":{number},\"country\":\"cold{number}\"}}\n"),
        _ => format!("{{\"n\":{number},\"country\":\"hot\",\"padding\":\"{padding}\"}}\n"),
    };
    // Every put must be taken: `put_lines` fails where one is not.
    put(client, "s", 0..cold, line).await;
    for part in 0..10 {
        put(client, "s", cold + part * HOT / 10..cold + (part + 1) * HOT / 10, line).await;
        peak.look(client).await;
    }
    // A pass gives it slices of some mebibytes, of which one is enough for an object.
    until("most of the fast one has left", async || {
        peak.look(client).await;
        let left: usize = bench.bucket.objects("s/hot/").iter().map(|object| object.bytes.len()).sum();
        (left as u64 > HOT * 900 / 2).then_some(())
    })
    .await;
    let left = bench.bucket.keys("s/cold");
    assert!(left.is_empty(), "the cold ones wait for their time: {} left", left.len());
    // What is processed is no longer needed in the records' log.
    let records = bench.data.path().join("streams");
    until("the records' log is trimmed", async || {
        peak.look(client).await;
        // A log gives its space back once it has gone quiet, and it is looked at when something happens.
        let held: u64 = files(&records)
            .iter()
            .filter(|path| path.contains("/records/"))
            .map(|path| length(&records.join(path)))
            .sum();
        (held < (HOT * 900) / 2).then_some(())
    })
    .await;
    flush(&bench.hydrant, "s", &mut peak).await;
    println!("{before} bytes before, then {peak:?}");
    assert!(peak.memory <= before + MOST_LEAVING + cold * MOST_FOR_EACH, "{before} bytes before, then {peak:?}");
    assert!(peak.files < MOST_FILES, "{peak:?}");
    let counts = counted(&bench, "s/", line);
    assert_eq!(counts.len() as u64, cold + 1);
    assert_eq!(counts["hot"], HOT);
    assert!(counts.iter().all(|(name, count)| name == "hot" || *count == 1));
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn cold_partitions_beside_a_fast_one_wait_for_their_time_on_a_small_disk() {
    const HOT: u64 = 18_000;
    const PARTS: u64 = 12;
    // Without rewriting, that is more than the half of the disk budget at which the oldest leave early.
    const BYTES: usize = 9_000;
    let cold = 200;
    let bench = Bench::new().await;
    let client = &bench.hydrant.client;
    let stream = stream("s", "s/!{partitionKeyFromQuery:country}/").size(4.0).interval(900.0);
    client.create(&stream.setting("DiskBudgetInMBs", 256)).await;
    let padding = "x".repeat(BYTES);
    let line = |number: u64| match number {
        number if number < cold => format!("{{\"n\":{number},\"country\":\"cold{number}\"}}\n"),
        _ => format!("{{\"n\":{number},\"country\":\"hot\",\"padding\":\"{padding}\"}}\n"),
    };
    put(client, "s", 0..cold, line).await;
    let mut peak = Peak::default();
    for part in 0..PARTS {
        let to = cold + (part + 1) * HOT / PARTS;
        put(client, "s", cold + part * HOT / PARTS..to, line).await;
        // Every put must be taken, and is faster than the query. What a pass does not begin for waits a while.
        processed(client, to - PASS_BYTES / BYTES as u64, &mut peak).await;
    }
    until("most of the fast one has left", async || {
        let left: usize = bench.bucket.objects("s/hot/").iter().map(|object| object.bytes.len()).sum();
        (left as u64 > HOT * BYTES as u64 / 10 * 9).then_some(())
    })
    .await;
    let left = bench.bucket.keys("s/cold");
    assert!(left.is_empty(), "the cold ones wait for their time: {} left", left.len());
    let rewritten = client.metric("hydrant_spool_rewritten_bytes_total", &["stream=\"s\""]).await;
    assert!((1..HOT * BYTES as u64 / 10).contains(&rewritten), "{rewritten} bytes were written once more");
    flush(&bench.hydrant, "s", &mut peak).await;
    let counts = counted(&bench, "s/", line);
    assert_eq!((counts.len() as u64, counts["hot"]), (cold + 1, HOT));
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn work_grows_with_the_bytes_and_not_with_the_partitions() {
    const RECORDS: u64 = 40_000;
    let many = many();
    let bench = Bench::new().await;
    let padding = "x".repeat(900);
    let mut read = Vec::new();
    for (name, partitions) in [("few", 20), ("many", many)] {
        let client = &bench.hydrant.client;
        let line = |number: u64| {
            let partition = number % partitions;
            format!("{{\"n\":{number},\"country\":\"p{partition}\",\"padding\":\"{padding}\"}}\n")
        };
        client.create(&stream(name, &format!("{name}/!{{partitionKeyFromQuery:country}}/")).interval(900.0)).await;
        let before = bench.hydrant.read_bytes();
        put(client, name, 0..RECORDS, line).await;
        flush(&bench.hydrant, name, &mut Peak::default()).await;
        read.push(bench.hydrant.read_bytes() - before);
        assert_eq!(counted(&bench, &format!("{name}/"), line).len() as u64, partitions);
    }
    println!("{RECORDS} records: {read:?} bytes read for 20 and for {many} partitions");
    // Puts, the records' log, the spool: three times their bytes. Each partition's slices, some from each pass, have a head.
    assert!(read[0] <= 4 * RECORDS * 1_000, "{read:?}");
    assert!(read[1] <= read[0] + many * MOST_READ_FOR_EACH, "{read:?}");
    bench.hydrant.terminate().await;
}

fn length(file: &Path) -> u64 {
    // It may have gone meanwhile.
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// What passes and the allocator may hold where nothing but short records waits.
const MOST_WAITING: u64 = 40 << 20;
/// And what they hold with deliveries of full objects.
const MOST_LEAVING: u64 = 96 << 20;
/// For each partition that waits, an entry of the table and of the ledger, and what finds them.
const MOST_FOR_EACH: u64 = 1024;
/// For each partition that leaves, heads of its slices, and of the segments that they are in.
const MOST_READ_FOR_EACH: u64 = 48 << 10;
/// Files that a process may have open, whatever waits.
const MOST_FILES: u64 = 150;
const LONGEST: Duration = Duration::from_mins(30);
/// What a pass takes on at most.
const PASS_BYTES: u64 = 8 << 20;
