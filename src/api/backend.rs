//! What the API needs of the rest of the service.
//!
//! The service implements it over its streams, tests over a table. The API knows nothing of logs, roads or files.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

use super::error::{ApiError, Cause};
use super::put::{Records, StreamTag};
pub use crate::log::Appended;
use crate::telemetry::StreamMetrics;

/// The service, as the API sees it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// The stream of this name, in whatever state it is. On the hot path.
    fn stream(&self, name: &str) -> Option<Arc<dyn PutTarget>>;

    /// Answers an operation of the control plane.
    ///
    /// # Errors
    /// As the API's model says; [`ApiError::unknown_operation`] for one that is not known.
    async fn control(&self, operation: &str, request: Value) -> Result<Value, ApiError>;

    /// What every stream does, by name; their tables are left out.
    fn statuses(&self) -> Vec<StreamStatus>;

    /// What one stream does.
    fn status(&self, name: &str) -> Option<StreamStatus>;

    /// Cuts what waits and has it delivered. With `wait` returns when everything that was accepted before is delivered, or when
    /// the time is over.
    ///
    /// # Errors
    /// There is no such stream, or the order could not be kept.
    async fn flush(&self, name: &str, wait: Option<Duration>) -> Result<Flushed, OrderError>;

    /// Holds delivery, or releases it.
    ///
    /// # Errors
    /// There is no such stream, or the order could not be kept.
    async fn pause(&self, name: &str, paused: bool) -> Result<(), OrderError>;

    /// Why requests should not come here now; empty where they should. Never because of a destination.
    fn not_ready(&self) -> Vec<String>;

    /// Whether streams are still being brought back after a start: one that is not found may be there in a moment.
    fn is_recovering(&self) -> bool;

    /// The account that streams are said to be under.
    fn account(&self) -> &str;
}

/// Where records are put.
#[async_trait]
pub trait PutTarget: Send + Sync {
    /// What its `RecordId`s say of the stream; computed once.
    fn tag(&self) -> StreamTag;

    /// Where what it accepts is counted; the API does the counting.
    fn metrics(&self) -> &StreamMetrics;

    /// Why nothing can be put here at present, whatever it is.
    fn refuses(&self) -> Option<Refused>;

    /// Takes all of `records`, at least one, or none; they are as durable as the stream promises when it returns.
    ///
    /// # Errors
    /// Nothing was accepted.
    async fn put(&self, records: Records) -> Result<Appended, PutError>;
}

/// Why a stream takes no records at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is being deleted.
    Deleting,
    /// It reads from a source of its own.
    NotDirectPut,
}

/// Why records were not taken.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The stream takes none; it may have been deleted meanwhile.
    #[error("the stream takes no records")]
    Refused(Refused),
    /// No room: disk budget, free space, a log that cannot be written at present. Trying again later may help.
    #[error("no room: {0}")]
    SlowDown(Cow<'static, str>),
    /// The producer is over its rate.
    #[error("over the rate of the stream")]
    RateLimited,
    /// A fault of the service.
    #[error("taking records")]
    Failed(#[source] Cause),
}

/// How a flush ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// It was ordered; nobody waited.
    Ordered,
    /// Everything is delivered.
    Delivered,
    /// The time was over first; delivery goes on.
    StillWaiting,
}

/// Why an order to a stream came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such stream.
    #[error("no such stream")]
    NoSuchStream,
    /// A fault of the service.
    #[error("the order could not be kept")]
    Failed(#[source] Cause),
}

/// What a stream does: one element of `GET /streams`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamStatus {
    /// Its name. A deleted stream that still delivers may share it with the one that took it.
    pub name: String,
    /// Names this creation of the stream, and its folder in the data directory.
    pub id: String,
    /// AWS's `DeliveryStreamStatus`.
    pub status: String,
    /// Version of its configuration.
    pub version: u64,
    /// Whether delivery is held.
    pub paused: bool,
    /// Bytes of its logs on disk.
    pub log_bytes: u64,
    /// Bytes that they may have.
    pub disk_budget_bytes: u64,
    /// Bytes of them that were set aside as damaged.
    pub quarantined_bytes: u64,
    /// What its records become rows of; `None` where they do not, before the first ones did, and among all streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaStatus>,
    /// Its readers, the main one first.
    pub cursors: Vec<CursorStatus>,
}

/// The table that the records of a stream become rows of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaStatus {
    /// Names the columns: another table has another one.
    pub id: String,
    /// In the order of the files.
    pub columns: Vec<ColumnStatus>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnStatus {
    /// Lower case.
    pub name: String,
    /// Hive's name of its type, such as `array<int>`.
    #[serde(rename = "type")]
    pub hive_type: String,
}

/// What one reader of a stream's logs does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CursorStatus {
    /// `main`, `backup` or `errors`.
    pub cursor: &'static str,
    /// Kind of its destination.
    pub destination: String,
    /// Records not delivered yet.
    pub waiting_records: u64,
    /// Their bytes.
    pub waiting_bytes: u64,
    /// Age of the oldest one.
    pub oldest_age_seconds: Option<f64>,
    /// The last error, until something is delivered after it.
    pub last_error: Option<LastError>,
    /// Seconds until the next attempt, where one waits.
    pub next_retry_seconds: Option<f64>,
    /// Objects that the destination refuses for their own sake; they wait and hold up nobody.
    pub parked: u64,
    /// Records delivered since the stream was created; so are the next two.
    pub delivered_records: u64,
    /// Their bytes, before any stage.
    pub delivered_bytes: u64,
    /// Objects delivered.
    pub delivered_objects: u64,
}

/// The last error of a reader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// A code of the destination's table.
    pub code: String,
    /// What the destination said.
    pub message: String,
    /// When, milliseconds since the Unix epoch.
    pub at: u64,
}
