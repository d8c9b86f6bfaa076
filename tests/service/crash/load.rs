//! Producers that go on through crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::records;
use crate::harness::Client;

/// What was put.
#[derive(Default)]
pub(super) struct Book {
    pub(super) tried: BTreeMap<String, Put>,
    pub(super) acknowledged: BTreeSet<String>,
}

/// A record of a stream.
pub(super) struct Put {
    pub(super) stream: &'static str,
    pub(super) number: u64,
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
            ("j", "clicks", Door::PlainHttp, 20, 100, 10),
            ("k", "clicks", Door::PutRecord, 1, 100, 10),
            ("l", "grown", Door::PutRecordBatch, 20, 100, 20),
            ("m", "orc", Door::PlainHttp, 12, 50_000, 100),
            ("n", "packed", Door::PutRecordBatch, 20, 100, 20),
            ("o", "packed", Door::PutRecord, 1, 100, 20),
            ("p", "shelved", Door::PlainHttp, 20, 100, 20),
            ("q", "sorted", Door::PutRecordBatch, 20, 100, 20),
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
                let numbers = next..next + self.records;
                next += self.records;
                let put = |number| (self.id(number), Put { stream: self.stream, number });
                self.book.lock().expect("a lock").tried.extend(numbers.clone().map(put));
                let accepted = self.put(&client, &numbers.collect::<Vec<_>>()).await;
                let accepted = accepted.into_iter().map(|number| self.id(number));
                self.book.lock().expect("a lock").acknowledged.extend(accepted);
            }
            if !(self.stream == "large" && self.flood.load(Ordering::Relaxed)) {
                tokio::time::sleep(self.pause).await;
            }
        }
    }

    fn id(&self, number: u64) -> String {
        format!("{}{number}", self.name)
    }

    fn record(&self, number: u64) -> Value {
        let bytes = records::bytes(self.stream, &self.id(number), number, self.padding);
        json!({ "Data": base64_simd::STANDARD.encode_to_string(&bytes) })
    }

    fn line(&self, number: u64) -> String {
        records::record(self.stream, &self.id(number), number, self.padding)
    }

    /// Puts records of these numbers once; gives back which were acknowledged.
    async fn put(&self, client: &Client, numbers: &[u64]) -> Vec<u64> {
        let all = || numbers.to_vec();
        match self.door {
            Door::PutRecord => {
                let record = self.record(numbers[0]);
                let request = json!({ "DeliveryStreamName": self.stream, "Record": record });
                match client.try_call("PutRecord", &request).await {
                    Ok(Ok(answer)) if answer["RecordId"].is_string() => all(),
                    _ => Vec::new(),
                }
            }
            Door::PutRecordBatch => {
                let records: Vec<_> = numbers.iter().map(|number| self.record(*number)).collect();
                let request = json!({ "DeliveryStreamName": self.stream, "Records": records });
                let Ok(Ok(answer)) = client.try_call("PutRecordBatch", &request).await else { return Vec::new() };
                let entries = answer["RequestResponses"].as_array().expect("entries");
                let accepted = numbers.iter().zip(entries).filter(|(_, entry)| entry["RecordId"].is_string());
                accepted.map(|(number, _)| *number).collect()
            }
            Door::PlainHttp => {
                let lines: String = numbers.iter().map(|number| self.line(*number)).collect();
                match client.try_post(&format!("/streams/{}/records", self.stream), "text/plain", lines).await {
                    Ok((200, answer)) if answer["accepted"] == numbers.len() => all(),
                    _ => Vec::new(),
                }
            }
        }
    }
}
