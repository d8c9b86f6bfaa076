//! What the API's room asks for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::Service;
use super::draining::by_name;
use super::running::Running;
use crate::api::backend::{Appended, Flushed, OrderError, PutError, PutTarget, Refused, StreamStatus};
use crate::api::put::{Records, StreamTag};
use crate::api::{ApiError, Backend};
use crate::catalog;
use crate::log::{AppendError, Durability, Payload, Placement};
use crate::telemetry::{Levels, StreamMetrics};

#[async_trait]
impl PutTarget for Running {
    fn tag(&self) -> StreamTag {
        self.tag
    }

    fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    fn refuses(&self) -> Option<Refused> {
        // A stream that is being created takes no more than one that is being deleted.
        (self.deleting.load(Ordering::Relaxed) || self.is_creating()).then_some(Refused::Deleting)
    }

    async fn put(&self, records: Records) -> Result<Appended, PutError> {
        let payload = Payload { lengths: records.lengths, body: records.body.into() };
        let durability = self.durability();
        if tokio::time::timeout(BEGINNING, self.handle.begun()).await.is_err() {
            return Err(PutError::SlowDown("the ledger of the new stream cannot be written yet".into()));
        }
        let appended =
            self.log.append(payload, durability, Placement::Behind).await.map_err(|error| put_error(&error))?;
        if durability == Durability::Written {
            self.handle.written();
        }
        Ok(appended)
    }
}

/// The producer is told to slow down whatever keeps the log from taking records now: each of these passes.
fn put_error(error: &AppendError) -> PutError {
    match error {
        AppendError::Budget { .. } | AppendError::Full(_) | AppendError::Failed(_) | AppendError::Sealed => {
            PutError::SlowDown(error.to_string().into())
        }
        AppendError::Closed => PutError::Refused(Refused::Deleting),
    }
}

#[async_trait]
impl Backend for Service {
    fn stream(&self, name: &str) -> Option<Arc<dyn PutTarget>> {
        self.inner.streams.read().get(name).map(|running| Arc::clone(running) as Arc<dyn PutTarget>)
    }

    async fn control(&self, operation: &str, request: Value) -> Result<Value, ApiError> {
        match self.answer_control(operation, &request).await {
            Some(answer) => answer.map_err(api_error),
            None => Err(ApiError::unknown_operation(operation)),
        }
    }

    fn statuses(&self) -> Vec<StreamStatus> {
        self.everyone().iter().map(|running| running.status()).collect()
    }

    fn status(&self, name: &str) -> Option<StreamStatus> {
        let running = self.inner.streams.read().get(name).map(Arc::clone)?;
        Some(running.detail())
    }

    async fn flush(&self, name: &str, wait: Option<Duration>) -> Result<Flushed, OrderError> {
        let running = self.inner.streams.read().get(name).map(Arc::clone).ok_or(OrderError::NoSuchStream)?;
        // What was answered at level `os` becomes readable by a sync.
        running.log.sync().await.map_err(|error| OrderError::Failed(error.into()))?;
        let to = running.log.synced().offset;
        running.handle.flush(to);
        let Some(wait) = wait else { return Ok(Flushed::Ordered) };
        match tokio::time::timeout(wait, running.handle.delivered(to)).await {
            Ok(()) => Ok(Flushed::Delivered),
            Err(_) => Ok(Flushed::StillWaiting),
        }
    }

    async fn pause(&self, name: &str, paused: bool) -> Result<(), OrderError> {
        let running = self.inner.streams.read().get(name).map(Arc::clone).ok_or(OrderError::NoSuchStream)?;
        match tokio::time::timeout(LEDGER_PATIENCE, running.handle.pause(paused)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(OrderError::Failed("delivery is ending".into())),
            Err(_) => Err(OrderError::Failed("the ledger cannot be written; it is done when it can".into())),
        }
    }

    fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.is_recovering() {
            reasons.push("recovery is running".into());
        }
        if self.inner.workshop.pool.is_low() {
            reasons.push("free space is below --free-space-floor".into());
        }
        let streams = self.inner.streams.read();
        let unwritable = streams.values().filter(|running| !running.is_writable());
        reasons.extend(unwritable.map(|running| format!("the log of {} cannot be written", running.name)));
        reasons
    }

    fn is_recovering(&self) -> bool {
        self.inner.recovering.load(Ordering::Relaxed)
    }

    fn account(&self) -> &str {
        &self.inner.place.account
    }
}

fn api_error(error: catalog::Error) -> ApiError {
    match error.exception() {
        "InternalFailure" => ApiError::internal(error),
        exception => ApiError::exception(exception, error.to_string()),
    }
}

impl Service {
    /// A reading for whoever scrapes.
    pub(super) fn levels(&self) -> Levels {
        Levels {
            streams: by_name(self.everyone().iter().map(|running| running.levels())),
            streams_damaged: self.inner.damaged.lock().len() as u64,
            delivery_memory_bytes: self.inner.shop.memory.used() as u64,
        }
    }
}

/// How long a record waits for the first entry of a new stream's ledger.
const BEGINNING: Duration = Duration::from_secs(5);
/// How long somebody waits for an entry of a ledger before being told that it cannot be written.
pub(super) const LEDGER_PATIENCE: Duration = Duration::from_secs(10);
