//! Producers that go on through crashes, and what must be true of their records afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hydrant_model::Compression;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::harness::{Bucket, Client};
use crate::unpack::unpack;

/// Streams that the load goes to.
pub(super) const STREAMS: [&str; 5] = ["small", "zipped", "os", "large", "parted"];

/// Ids of what was put.
#[derive(Default)]
pub(super) struct Book {
    pub(super) tried: BTreeSet<String>,
    pub(super) acknowledged: BTreeSet<String>,
}

/// Producers at work.
pub(super) struct Load {
    client: watch::Sender<Option<Client>>,
    flood: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    book: Arc<Mutex<Book>>,
    producers: JoinSet<()>,
}

/// How a producer puts.
#[derive(Clone, Copy)]
enum Door {
    PutRecord,
    PutRecordBatch,
    PlainHttp,
}

impl Load {
    pub(super) fn new() -> Self {
        let (client, follow) = watch::channel(None);
        let (flood, stop) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let book = Arc::<Mutex<Book>>::default();
        let mut producers = JoinSet::new();
        for (name, stream, door, records, padding, pause) in [
            ("a", "small", Door::PutRecord, 1, 100, 5),
            ("b", "small", Door::PutRecordBatch, 20, 100, 10),
            ("c", "small", Door::PlainHttp, 20, 100, 10),
            ("d", "zipped", Door::PutRecordBatch, 5, 200, 20),
            ("e", "os", Door::PlainHttp, 10, 300, 5),
            ("f", "os", Door::PutRecord, 1, 300, 5),
            ("g", "large", Door::PlainHttp, 12, 50_000, 100),
            ("h", "parted", Door::PlainHttp, 20, 100, 10),
            ("i", "parted", Door::PutRecordBatch, 20, 100, 10),
        ] {
            let producer = Producer {
                name,
                stream,
                door,
                records,
                padding,
                pause: Duration::from_millis(pause),
                follow: follow.clone(),
                flood: Arc::clone(&flood),
                stop: Arc::clone(&stop),
                book: Arc::clone(&book),
            };
            producers.spawn(producer.produce());
        }
        Self { client, flood, stop, book, producers }
    }

    /// From now on everything is put here.
    pub(super) fn turn_to(&self, client: &Client) {
        self.client.send_replace(Some(client.clone()));
    }

    /// Whether the large stream gets as much as it takes.
    pub(super) fn flood(&self, flood: bool) {
        self.flood.store(flood, Ordering::Relaxed);
    }

    /// Stops the producers.
    pub(super) async fn end(mut self) -> Book {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.producers.join_next().await {
            ended.expect("a producer");
        }
        std::mem::take(&mut *self.book.lock().expect("a lock"))
    }
}

struct Producer {
    name: &'static str,
    stream: &'static str,
    door: Door,
    records: u64,
    padding: usize,
    pause: Duration,
    follow: watch::Receiver<Option<Client>>,
    flood: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    book: Arc<Mutex<Book>>,
}

impl Producer {
    async fn produce(self) {
        let mut next = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            let client = self.follow.borrow().clone();
            if let Some(client) = client {
                let ids: Vec<_> = (next..next + self.records).map(|id| format!("{}{id}", self.name)).collect();
                next += self.records;
                self.book.lock().expect("a lock").tried.extend(ids.iter().cloned());
                let accepted = self.put(&client, &ids).await;
                self.book.lock().expect("a lock").acknowledged.extend(accepted);
            }
            if !(self.stream == "large" && self.flood.load(Ordering::Relaxed)) {
                tokio::time::sleep(self.pause).await;
            }
        }
    }

    fn line(&self, id: &str) -> String {
        let line = line(id, self.padding);
        if self.stream == "parted" { parted(id, &line) } else { line }
    }

    /// Puts records of these ids once; gives back which were acknowledged.
    async fn put(&self, client: &Client, ids: &[String]) -> Vec<String> {
        let all = || ids.to_vec();
        match self.door {
            Door::PutRecord => {
                let record = record(&self.line(&ids[0]));
                let request = json!({ "DeliveryStreamName": self.stream, "Record": record });
                match client.try_call("PutRecord", &request).await {
                    Ok(Ok(answer)) if answer["RecordId"].is_string() => all(),
                    _ => Vec::new(),
                }
            }
            Door::PutRecordBatch => {
                let records: Vec<_> = ids.iter().map(|id| record(&self.line(id))).collect();
                let request = json!({ "DeliveryStreamName": self.stream, "Records": records });
                let Ok(Ok(answer)) = client.try_call("PutRecordBatch", &request).await else { return Vec::new() };
                let entries = answer["RequestResponses"].as_array().expect("entries");
                let accepted = ids.iter().zip(entries).filter(|(_, entry)| entry["RecordId"].is_string());
                accepted.map(|(id, _)| id.clone()).collect()
            }
            Door::PlainHttp => {
                let lines: String = ids.iter().map(|id| self.line(id)).collect();
                match client.try_post(&format!("/streams/{}/records", self.stream), "text/plain", lines).await {
                    Ok((200, answer)) if answer["accepted"] == ids.len() => all(),
                    _ => Vec::new(),
                }
            }
        }
    }
}

fn record(line: &str) -> Value {
    json!({ "Data": base64_simd::STANDARD.encode_to_string(line) })
}

/// A record that shows whether it is whole.
fn line(id: &str, padding: usize) -> String {
    format!("{id} {} {id}\n", "x".repeat(padding))
}

/// A record with a partition: of eleven, one has none that an object can be named after.
fn parted(id: &str, line: &str) -> String {
    let number: u64 = id.get(1..).and_then(|digits| digits.parse().ok()).expect("a letter and a number");
    let partition = if number.is_multiple_of(11) { "..".to_owned() } else { format!("p{}", number % 7) };
    format!("{}\n", json!({ "p": partition, "line": line.trim_end() }))
}

/// The line in a record with a partition, or in the error entry about it.
fn unparted(text: &str) -> String {
    let mut record: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:.200}"));
    if let Some(raw) = record["rawData"].as_str() {
        let raw = base64_simd::STANDARD.decode_to_vec(raw).expect("base64");
        record = serde_json::from_slice(&raw).expect("a record");
        assert_eq!(record["p"], "..", "a record that could be delivered is in the error output");
    }
    record["line"].as_str().expect("a line").to_owned()
}

/// Every acknowledged record in exactly one object, every other in at most one, each one whole.
pub(super) fn check(bucket: &Bucket, book: &Book) {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut backed_up: BTreeMap<String, String> = BTreeMap::new();
    let mut twice = Vec::new();
    for object in bucket.objects("") {
        let found = if object.key.starts_with("backup/") { &mut backed_up } else { &mut found };
        let gzip = object.key.rsplit('.').next() == Some("gz");
        let compression = if gzip { Compression::Gzip } else { Compression::Uncompressed };
        let mut bytes = Vec::new();
        unpack(compression, &object.bytes, &mut |piece| bytes.extend_from_slice(piece));
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.ends_with('\n'), "{} ends within a record", object.key);
        for line in text.lines() {
            let line = if line.starts_with('{') { unparted(line) } else { line.to_owned() };
            let (id, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no record in {}: {line:.100}", object.key));
            let (padding, end) = rest.rsplit_once(' ').expect("a whole record");
            assert!(
                end == id && padding.bytes().all(|byte| byte == b'x'),
                "half a record in {}: {line:.100}",
                object.key
            );
            if let Some(before) = found.insert(id.to_owned(), object.key.clone()) {
                twice.push(format!("{id} in {before} and {}", object.key));
            }
        }
    }
    let parted = book.acknowledged.iter().filter(|id| id.starts_with(['h', 'i']));
    let missing: Vec<_> = parted.filter(|id| !backed_up.contains_key(*id)).collect();
    assert!(missing.is_empty(), "{} records not backed up: {:?}", missing.len(), &missing[..missing.len().min(20)]);
    let invented: Vec<_> = found.keys().filter(|id| !book.tried.contains(*id)).collect();
    let lost: Vec<_> = book.acknowledged.iter().filter(|id| !found.contains_key(*id)).collect();
    assert!(twice.is_empty(), "{} records twice: {:?}", twice.len(), &twice[..twice.len().min(20)]);
    assert!(lost.is_empty(), "{} acknowledged records lost: {:?}", lost.len(), &lost[..lost.len().min(20)]);
    assert!(invented.is_empty(), "{invented:?}");
    println!(
        "{} records tried, {} acknowledged, {} delivered, each once",
        book.tried.len(),
        book.acknowledged.len(),
        found.len()
    );
}
