//! HTTP in: the Firehose API, and what stands beside it.
//!
//! ```text
//!  socket ─► server ─► routes ─┬─► aws ──────► body ─► put: parse ─► backend ─► answer
//!                              ├─► plain ────► body ─► split ──────► backend ─► answer
//!                              └─► admin: flush, pause, status, health, metrics
//! ```
//!
//! What it promises:
//! - A success answer to a put is given after the backend said that the records are durable.
//! - A refusal never closes a connection whose request was not read: the rest of the body is read and thrown away, within
//!   bounds, so that the client gets the answer and may go on; a longer one is still read after the answer, before closing.
//! - Bodies take no more memory than their budget, whoever sends them, however slowly and however well compressed.
//!
//! What it relies on: [`Backend`], which the service implements.

mod admin;
mod answer;
mod auth;
mod aws;
pub mod backend;
mod body;
mod error;
pub mod plain;
pub mod put;
mod query;
mod routes;
mod server;
mod socket;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};

pub use auth::{Authenticator, Caller};
pub use backend::Backend;
pub use error::{ApiError, Cause, ErrorStatus};
pub use server::serve;

use crate::clock::Clock;
use crate::telemetry::{OperationMetrics, Telemetry};
use answer::{Answer, RequestIds};
use body::{Bodies, Inbound};
use error::Problem;
use routes::{OPERATIONS, Route, UNKNOWN};

/// Every number of the API's socket.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Bytes of one record; the AWS API takes at most 1,024,000 whatever this says.
    pub max_record_bytes: usize,
    /// Bytes of a plain HTTP body, after decompression.
    pub max_body_bytes: usize,
    /// Bytes of the body of an AWS put, after decompression. A batch of 4 MiB has 5.6 MB in base64; the rest is read so that what
    /// is too long is told so in the words of the API.
    pub max_request_bytes: usize,
    /// Bytes that all bodies together may hold, read and decoded.
    pub body_memory: usize,
    /// How long a request waits for its share of that.
    pub body_memory_wait: Duration,
    /// How long a client may take for the head of its next request; an idle connection is closed after it.
    pub head_timeout: Duration,
    /// How long a body may take and still be booked whole before it has come. Shorter than `body_memory_wait`, so that who waits
    /// for room gets that of clients that stall.
    pub body_quick: Duration,
    /// How long a client may pause within a body.
    pub body_pause: Duration,
    /// A body must come at this many bytes a second, after a first `body_pause`.
    pub min_bytes_per_second: u32,
    /// How long a body may take in all.
    pub body_deadline: Duration,
    /// Bytes of a refused body that are read and thrown away, so that the connection can go on.
    pub max_discarded_bytes: usize,
    /// Connections at the same time; a further one waits until one of them ends, which the oldest is asked to.
    pub max_connections: usize,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            max_record_bytes: 1_024_000,
            max_body_bytes: 16 << 20,
            max_request_bytes: 16 << 20,
            body_memory: 64 << 20,
            body_memory_wait: Duration::from_secs(1),
            head_timeout: Duration::from_mins(1),
            body_quick: Duration::from_millis(500),
            body_pause: Duration::from_secs(20),
            min_bytes_per_second: 32 << 10,
            body_deadline: Duration::from_mins(2),
            max_discarded_bytes: 64 << 20,
            max_connections: 4096,
        }
    }
}

/// What all connections share.
struct Api {
    backend: Arc<dyn Backend>,
    telemetry: Arc<Telemetry>,
    operations: HashMap<&'static str, OperationMetrics>,
    authenticator: Box<dyn Authenticator>,
    bodies: Bodies,
    ids: RequestIds,
    settings: ApiSettings,
    clock: Clock,
}

impl Api {
    fn new(backend: Arc<dyn Backend>, telemetry: Arc<Telemetry>, mut settings: ApiSettings) -> Self {
        let clock = Clock::system();
        let most = settings.body_memory.max(FULL_BATCH_BYTES);
        settings.max_request_bytes = settings.max_request_bytes.min(most);
        Self {
            operations: OPERATIONS.iter().map(|name| (*name, telemetry.operation(name))).collect(),
            authenticator: Box::new(auth::Open),
            bodies: Bodies::new(&settings, clock.clone()),
            ids: RequestIds::new(&clock),
            backend,
            telemetry,
            settings,
            clock,
        }
    }

    /// Answers one request.
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let started = self.clock.now();
        let mut inbound = Inbound::new(request);
        let (operation, mut answer) = self.handle(&mut inbound).await;
        if !inbound.settle(&self.bodies).await {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(metrics) = self.operations.get(operation).or_else(|| self.operations.get(UNKNOWN)) {
            metrics.answered(answer.status().as_u16(), self.clock.now() - started);
        }
        answer
    }

    /// The answer, and the operation that it is counted under.
    async fn handle(&self, inbound: &mut Inbound) -> (&'static str, Answer) {
        // The path is only as long as a request line may be; owning it leaves the request free to be read from.
        let uri = inbound.head.uri.clone();
        let path = routes::decoded(uri.path());
        let Some(route) = Route::of(&path) else {
            return (UNKNOWN, answer::problem(&routes::not_found(&path)));
        };
        if let Err(problem) = route.check_method(&inbound.head.method) {
            return (route.operation(), answer::problem(&problem));
        }
        let needs_streams = !matches!(route, Route::Health | Route::Ready | Route::Metrics);
        if needs_streams && self.backend.is_recovering() {
            return (route.operation(), self.recovering(&route));
        }
        match route {
            Route::Aws => aws::answer(self, inbound).await,
            Route::Records(name) => (route.operation(), plain::answer(self, inbound, name).await),
            _ => (route.operation(), admin::answer(self, inbound, route).await),
        }
    }

    /// Asks to come back: "no such stream" would be final to a producer, and a name would seem free that is taken.
    fn recovering(&self, route: &Route<'_>) -> Answer {
        match route {
            Route::Aws => answer::aws_error(&self.ids, &ApiError::slow_down()),
            _ => answer::problem(&Problem::recovering()),
        }
    }
}

/// A PutRecordBatch of 4 MiB in base64, with room for white space and escapes.
const FULL_BATCH_BYTES: usize = 8 << 20;
