//! The API through a real socket, over a table of streams.

#![expect(clippy::disallowed_methods, reason = "tests run a real server")]

mod admin;
mod aws;
mod bodies;
mod connections;
mod plain;
mod sdk;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hydrant_model::{Birth, Offset, StreamId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backend::{
    Appended, ColumnStatus, CursorStatus, Flushed, LastError, OrderError, PutError, PutTarget, Refused, SchemaStatus,
    StreamStatus,
};
use super::put::{Records, StreamTag};
use super::{ApiError, ApiSettings, Backend, serve};
use crate::telemetry::{StreamMetrics, Telemetry};
use wire::Wire;

/// A server over a table of streams.
struct World {
    address: SocketAddr,
    table: Arc<Table>,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

/// Streams by name.
struct Table {
    streams: Mutex<HashMap<String, Arc<Target>>>,
    telemetry: Arc<Telemetry>,
    not_ready: Mutex<Vec<String>>,
    recovering: AtomicBool,
    controlled: Mutex<Vec<(String, Value)>>,
    paused: Mutex<Vec<(String, bool)>>,
}

struct Target {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<Vec<Vec<u8>>>>,
    metrics: StreamMetrics,
    /// A put has begun.
    begun: Notify,
    /// Puts wait for a permit of it.
    gate: Semaphore,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Good,
    Deleting,
    DeletedMeanwhile,
    Sourced,
    Full,
    RateLimited,
    Broken,
    Gated,
}

const NAME: &str = "clicks";

impl World {
    async fn new() -> Self {
        Self::with(ApiSettings::default()).await
    }

    async fn with(settings: ApiSettings) -> Self {
        let telemetry = Arc::new(Telemetry::new());
        let table = Arc::new(Table {
            streams: Mutex::default(),
            telemetry: Arc::clone(&telemetry),
            not_ready: Mutex::default(),
            recovering: AtomicBool::new(false),
            controlled: Mutex::default(),
            paused: Mutex::default(),
        });
        table.add(NAME, Mood::Good);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let backend: Arc<dyn Backend> = Arc::clone(&table) as _;
        let server = tokio::spawn(serve(listener, backend, telemetry, settings, shutdown.clone()));
        Self { address, table, shutdown, server }
    }

    async fn connect(&self) -> Wire {
        Wire::connect(self.address).await
    }

    fn target(&self, name: &str) -> Arc<Target> {
        Arc::clone(&self.table.streams.lock()[name])
    }

    /// What was put to the stream, request by request.
    fn taken(&self) -> Vec<Vec<Vec<u8>>> {
        self.target(NAME).taken.lock().clone()
    }

    fn set(&self, mood: Mood) {
        *self.target(NAME).mood.lock() = mood;
    }
}

impl Table {
    fn add(&self, name: &str, mood: Mood) {
        let target = Target {
            mood: Mutex::new(mood),
            taken: Mutex::default(),
            metrics: self.telemetry.for_stream(name),
            begun: Notify::new(),
            gate: Semaphore::new(0),
        };
        self.streams.lock().insert(name.to_owned(), Arc::new(target));
    }
}

#[async_trait]
impl Backend for Table {
    fn stream(&self, name: &str) -> Option<Arc<dyn PutTarget>> {
        self.streams.lock().get(name).map(|target| Arc::clone(target) as _)
    }

    async fn control(&self, operation: &str, request: Value) -> Result<Value, ApiError> {
        match operation {
            "ListDeliveryStreams" => {
                self.controlled.lock().push((operation.to_owned(), request));
                Ok(json!({ "DeliveryStreamNames": [NAME], "HasMoreDeliveryStreams": false }))
            }
            "DescribeDeliveryStream" => {
                let name = request.get("DeliveryStreamName").and_then(Value::as_str).unwrap_or_default();
                Err(ApiError::no_such_stream(name, self.account()))
            }
            "StartDeliveryStreamEncryption" => {
                Err(ApiError::exception("InvalidKMSResourceException", "no key").with_code("KMSDisabledException"))
            }
            "DeleteDeliveryStream" => Err(ApiError::internal("the secret cause")),
            other => Err(ApiError::unknown_operation(other)),
        }
    }

    fn statuses(&self) -> Vec<StreamStatus> {
        self.status(NAME).map(|status| StreamStatus { schema: None, ..status }).into_iter().collect()
    }

    fn status(&self, name: &str) -> Option<StreamStatus> {
        (name == NAME).then(|| StreamStatus {
            log_bytes: 1,
            disk_budget_bytes: 2,
            quarantined_bytes: 0,
            schema: Some(SchemaStatus {
                id: "0b".to_owned(),
                columns: vec![ColumnStatus { name: "page".to_owned(), hive_type: "string".to_owned() }],
            }),
            name: NAME.to_owned(),
            id: "0a".to_owned(),
            status: "ACTIVE".to_owned(),
            version: 3,
            paused: false,
            cursors: vec![CursorStatus {
                cursor: "main",
                destination: "S3".to_owned(),
                waiting_records: 7,
                waiting_bytes: 70,
                parked: 0,
                oldest_age_seconds: Some(1.5),
                last_error: Some(LastError { code: "S3.NoSuchBucket".into(), message: "no".into(), at: 9 }),
                next_retry_seconds: None,
                delivered_records: 1,
                delivered_bytes: 2,
                delivered_objects: 3,
            }],
        })
    }

    async fn flush(&self, name: &str, wait: Option<Duration>) -> Result<Flushed, OrderError> {
        match (name, wait) {
            (NAME, None) => Ok(Flushed::Ordered),
            (NAME, Some(wait)) if wait < Duration::from_secs(1) => Ok(Flushed::StillWaiting),
            (NAME, Some(_)) => Ok(Flushed::Delivered),
            ("broken", _) => Err(OrderError::Failed("the secret cause".into())),
            _ => Err(OrderError::NoSuchStream),
        }
    }

    async fn pause(&self, name: &str, paused: bool) -> Result<(), OrderError> {
        if name != NAME {
            return Err(OrderError::NoSuchStream);
        }
        self.paused.lock().push((name.to_owned(), paused));
        Ok(())
    }

    fn not_ready(&self) -> Vec<String> {
        self.not_ready.lock().clone()
    }

    fn is_recovering(&self) -> bool {
        self.recovering.load(Ordering::Relaxed)
    }

    fn account(&self) -> &'static str {
        "000000000000"
    }
}

#[async_trait]
impl PutTarget for Target {
    fn tag(&self) -> StreamTag {
        StreamTag::of(StreamId([7; 16]))
    }

    fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    fn refuses(&self) -> Option<Refused> {
        match *self.mood.lock() {
            Mood::Deleting => Some(Refused::Deleting),
            Mood::Sourced => Some(Refused::NotDirectPut),
            _ => None,
        }
    }

    async fn put(&self, records: Records) -> Result<Appended, PutError> {
        self.begun.notify_one();
        let mood = *self.mood.lock();
        match mood {
            Mood::Full => return Err(PutError::SlowDown("the disk is full".into())),
            Mood::RateLimited => return Err(PutError::RateLimited),
            Mood::Broken => return Err(PutError::Failed("the secret cause".into())),
            Mood::DeletedMeanwhile => return Err(PutError::Refused(Refused::Deleting)),
            Mood::Gated => self.gate.acquire().await.unwrap().forget(),
            Mood::Good | Mood::Deleting | Mood::Sourced => {}
        }
        let mut taken = self.taken.lock();
        let before: usize = taken.iter().map(Vec::len).sum();
        taken.push(records.iter().map(<[u8]>::to_vec).collect());
        Ok(Appended { birth: Birth([1; 16]), first: Offset(1000 + before as u64), position: 0 })
    }
}

/// A PutRecordBatch of `records`.
fn batch(records: &[&[u8]]) -> Vec<u8> {
    let records: Vec<Value> = records.iter().map(|record| json!({ "Data": base64(record) })).collect();
    json!({ "DeliveryStreamName": NAME, "Records": records }).to_string().into_bytes()
}

/// A PutRecord of `record`.
fn record(record: &[u8]) -> Vec<u8> {
    json!({ "DeliveryStreamName": NAME, "Record": { "Data": base64(record) } }).to_string().into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
