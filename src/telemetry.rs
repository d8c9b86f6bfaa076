//! Every metric, named once.
//!
//! Counters are resolved where a stream, a destination or an operation is set up, never on the hot path. Levels (what waits,
//! what a log takes) are asked for when somebody scrapes, so that nothing is kept up to date for nobody. Labels are bounded:
//! operations and statuses are those of the API, streams and destinations those that exist, and of the codes a destination
//! answers with the first [`MAX_CODES`] of a stream are told apart. What belongs to a stream goes when the stream goes.

mod levels;
mod process;
mod processing;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

pub use levels::{CursorLevels, Levels, StreamLevels};
pub use processing::Taken;

use processing::ByProcessor;

/// All metrics of the process; made once and shared.
pub struct Telemetry {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    log_sync_seconds: Histogram,
    by_stream: Arc<ByStream>,
    by_processor: Arc<ByProcessor>,
    levels: OnceLock<Box<dyn Fn() -> Levels + Send + Sync>>,
}

/// Counters of one operation of the API.
pub struct OperationMetrics {
    name: &'static str,
    requests: IntCounterVec,
    /// One for each of [`STATUSES`], resolved when it is first needed: a series that never counted is not shown.
    by_status: Vec<OnceLock<IntCounter>>,
    seconds: Histogram,
}

/// Counters of what comes in to one stream; cheap to clone.
#[derive(Clone)]
pub struct StreamMetrics {
    records_in: IntCounter,
    bytes_in: IntCounter,
}

/// Counters of what leaves one stream for one destination; cheap to clone.
#[derive(Clone)]
pub struct DeliveryMetrics {
    stream: Arc<str>,
    destination: Arc<str>,
    by_stream: Arc<ByStream>,
    by_processor: Arc<ByProcessor>,
    delivered: OnceLock<Delivered>,
}

/// Counters of what was delivered; resolved, they are shown.
#[derive(Clone)]
struct Delivered {
    records: IntCounter,
    bytes: IntCounter,
    objects: IntCounter,
    possible_duplicates: IntCounter,
    possible_losses: IntCounter,
}

/// The counters that have a stream as label, and which series of them there are.
struct ByStream {
    records_in: IntCounterVec,
    bytes_in: IntCounterVec,
    delivered_records: IntCounterVec,
    delivered_bytes: IntCounterVec,
    delivered_objects: IntCounterVec,
    delivery_failures: IntCounterVec,
    possible_duplicates: IntCounterVec,
    possible_losses: IntCounterVec,
    error_output_records: IntCounterVec,
    spool_rewritten_bytes: IntCounterVec,
    series: Mutex<HashMap<Arc<str>, Series>>,
}

/// Label values in use with one stream.
#[derive(Default)]
struct Series {
    destinations: HashSet<Arc<str>>,
    codes: HashSet<(Arc<str>, String)>,
    error_types: HashSet<String>,
}

impl Telemetry {
    /// Metrics that have counted nothing.
    pub fn new() -> Self {
        let registry = Registry::new();
        let telemetry = Self {
            requests: counters("hydrant_requests_total", "Requests answered.", &["operation", "status"]),
            request_seconds: histograms(
                "hydrant_request_seconds",
                "Time from the end of a request's head to its answer, the body's way over the network included.",
                &["operation"],
            ),
            log_sync_seconds: histogram("hydrant_log_sync_seconds", "Time of a log's write and sync."),
            by_stream: Arc::new(ByStream::new()),
            by_processor: Arc::new(ByProcessor::new()),
            levels: OnceLock::new(),
            registry,
        };
        let of_streams = telemetry.by_stream.vectors().map(|vector| Box::new(vector.clone()) as Box<dyn Collector>);
        let others: [Box<dyn Collector>; 4] = [
            Box::new(telemetry.requests.clone()),
            Box::new(telemetry.request_seconds.clone()),
            Box::new(telemetry.log_sync_seconds.clone()),
            Box::new(process::Process::new()),
        ];
        for collector in of_streams.into_iter().chain(others).chain(telemetry.by_processor.collectors()) {
            telemetry.registry.register(collector).expect("every metric has a name of its own");
        }
        telemetry
    }

    /// The counters of an operation. The names must come from a fixed list.
    pub fn operation(&self, name: &'static str) -> OperationMetrics {
        OperationMetrics {
            name,
            requests: self.requests.clone(),
            by_status: STATUSES.iter().map(|_| OnceLock::new()).collect(),
            seconds: self.request_seconds.with_label_values(&[name]),
        }
    }

    /// The counters of what comes in to a stream.
    pub fn for_stream(&self, name: &str) -> StreamMetrics {
        let stream: Arc<str> = name.into();
        self.by_stream.series.lock().entry(stream).or_default();
        StreamMetrics {
            records_in: self.by_stream.records_in.with_label_values(&[name]),
            bytes_in: self.by_stream.bytes_in.with_label_values(&[name]),
        }
    }

    /// The counters of what leaves a stream for a destination.
    pub fn delivery(&self, stream: &str, destination: &str) -> DeliveryMetrics {
        let metrics = self.delivery_if_any(stream, destination);
        metrics.counters();
        metrics
    }

    /// The same for a destination that most streams have nothing for: it is shown when there was something.
    pub fn delivery_if_any(&self, stream: &str, destination: &str) -> DeliveryMetrics {
        let by_stream = Arc::clone(&self.by_stream);
        let (stream, destination): (Arc<str>, Arc<str>) = (stream.into(), destination.into());
        by_stream.series.lock().entry(Arc::clone(&stream)).or_default().destinations.insert(Arc::clone(&destination));
        self.by_processor.know(&stream);
        DeliveryMetrics {
            by_processor: Arc::clone(&self.by_processor),
            delivered: OnceLock::new(),
            stream,
            destination,
            by_stream,
        }
    }

    /// Notes how long one write and sync of a log took.
    pub fn log_synced(&self, took: Duration) {
        self.log_sync_seconds.observe(took.as_secs_f64());
    }

    /// Where levels are read at each scrape. Only the first call counts.
    pub fn read_levels_with(&self, read: impl Fn() -> Levels + Send + Sync + 'static) {
        if self.levels.set(Box::new(read)).is_err() {
            tracing::warn!("a second source of levels was given to the metrics; the first one stays");
        }
    }

    /// Removes every series of a stream. Handles that are still held count for nobody from now on.
    pub fn forget_stream(&self, name: &str) {
        self.by_stream.forget(name);
        self.by_processor.forget(name);
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut families = self.registry.gather();
        if let Some(read) = self.levels.get() {
            families.extend(levels::families(&read()));
        }
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "metrics cannot be written");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl OperationMetrics {
    /// Counts one answer.
    pub fn answered(&self, status: u16, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        let resolve = || self.requests.with_label_values(&[self.name, &status.to_string()]);
        match STATUSES.iter().position(|known| *known == status).and_then(|at| self.by_status.get(at)) {
            Some(counter) => counter.get_or_init(resolve).inc(),
            None => resolve().inc(),
        }
    }
}

impl StreamMetrics {
    /// Counts records that were taken in, and their bytes.
    pub fn accepted(&self, records: usize, bytes: usize) {
        self.records_in.inc_by(records as u64);
        self.bytes_in.inc_by(bytes as u64);
    }
}

impl DeliveryMetrics {
    /// Counts records that went to the error output, under the type of their entry there.
    pub fn to_error_output(&self, error_type: &str, records: u64) {
        let mut all = self.by_stream.series.lock();
        if let Some(series) = all.get_mut(&self.stream) {
            let shown = bounded(&mut series.error_types, error_type.to_owned(), |other| other);
            self.by_stream.error_output_records.with_label_values(&[&*self.stream, &shown]).inc_by(records);
        }
    }

    /// Counts what a processor did to some records. The names must come from a fixed list.
    pub fn taken(&self, processor: &'static str, taken: &Taken) {
        self.by_processor.taken(&self.stream, processor, taken);
    }

    /// Counts objects, or whatever the destination takes at a time, that were delivered.
    pub fn delivered(&self, records: u64, bytes: u64, objects: u64) {
        let delivered = self.counters();
        delivered.records.inc_by(records);
        delivered.bytes.inc_by(bytes);
        delivered.objects.inc_by(objects);
    }

    /// Counts bytes of the stream's spool that were written there once more, to make room; shown when there were some.
    pub fn spool_rewritten(&self, bytes: u64) {
        let all = self.by_stream.series.lock();
        if all.contains_key(&self.stream) {
            self.by_stream.spool_rewritten_bytes.with_label_values(&[&*self.stream]).inc_by(bytes);
        }
    }

    /// Counts an attempt that failed, by the code in the destination's table.
    pub fn failed(&self, code: &str) {
        let mut all = self.by_stream.series.lock();
        if let Some(series) = all.get_mut(&self.stream) {
            let key = |code| (Arc::clone(&self.destination), code);
            let (_, shown) = bounded(&mut series.codes, key(code.to_owned()), key);
            let labels = [&*self.stream, &*self.destination, &shown];
            self.by_stream.delivery_failures.with_label_values(&labels).inc();
        }
    }

    /// Counts a delivery that may have arrived twice.
    pub fn possible_duplicate(&self) {
        self.counters().possible_duplicates.inc();
    }

    /// Counts damage that may have cost records that were accepted.
    pub fn possible_loss(&self) {
        self.counters().possible_losses.inc();
    }

    fn counters(&self) -> &Delivered {
        self.delivered.get_or_init(|| {
            let (by_stream, labels) = (&self.by_stream, [&*self.stream, &*self.destination]);
            Delivered {
                records: by_stream.delivered_records.with_label_values(&labels),
                bytes: by_stream.delivered_bytes.with_label_values(&labels),
                objects: by_stream.delivered_objects.with_label_values(&labels),
                possible_duplicates: by_stream.possible_duplicates.with_label_values(&labels),
                possible_losses: by_stream.possible_losses.with_label_values(&labels),
            }
        })
    }
}

impl ByStream {
    fn new() -> Self {
        let delivered = &["stream", "destination"];
        Self {
            records_in: counters("hydrant_records_in_total", "Records accepted.", &["stream"]),
            bytes_in: counters("hydrant_bytes_in_total", "Bytes of records accepted.", &["stream"]),
            delivered_records: counters("hydrant_delivered_records_total", "Records delivered.", delivered),
            delivered_bytes: counters("hydrant_delivered_bytes_total", "Bytes delivered, as sent.", delivered),
            delivered_objects: counters("hydrant_delivered_objects_total", "Objects delivered.", delivered),
            delivery_failures: counters(
                "hydrant_delivery_failures_total",
                "Attempts to deliver that failed.",
                &["stream", "destination", "code"],
            ),
            possible_duplicates: counters(
                "hydrant_possible_duplicates_total",
                "Deliveries that may have arrived twice.",
                delivered,
            ),
            possible_losses: counters(
                "hydrant_possible_losses_total",
                "Times that damage on the disk may have cost records that were accepted.",
                delivered,
            ),
            error_output_records: counters(
                "hydrant_error_output_records_total",
                "Records that went to the error output.",
                &["stream", "type"],
            ),
            spool_rewritten_bytes: counters(
                "hydrant_spool_rewritten_bytes_total",
                "Bytes of processed records that were written to the spool once more, to make room.",
                &["stream"],
            ),
            series: Mutex::default(),
        }
    }

    fn vectors(&self) -> [&IntCounterVec; 10] {
        [
            &self.records_in,
            &self.bytes_in,
            &self.delivered_records,
            &self.delivered_bytes,
            &self.delivered_objects,
            &self.delivery_failures,
            &self.possible_duplicates,
            &self.possible_losses,
            &self.error_output_records,
            &self.spool_rewritten_bytes,
        ]
    }

    fn forget(&self, stream: &str) {
        let mut all = self.series.lock();
        let Some(series) = all.remove(stream) else { return };
        // A series that never counted is not there: that is what the errors say.
        let drop_series = |vector: &IntCounterVec, labels: &[&str]| drop(vector.remove_label_values(labels));
        drop_series(&self.records_in, &[stream]);
        drop_series(&self.bytes_in, &[stream]);
        drop_series(&self.spool_rewritten_bytes, &[stream]);
        for destination in &series.destinations {
            drop_series(&self.delivered_records, &[stream, destination]);
            drop_series(&self.delivered_bytes, &[stream, destination]);
            drop_series(&self.delivered_objects, &[stream, destination]);
            drop_series(&self.possible_duplicates, &[stream, destination]);
            drop_series(&self.possible_losses, &[stream, destination]);
        }
        for (destination, code) in &series.codes {
            drop_series(&self.delivery_failures, &[stream, destination, code]);
        }
        for error_type in &series.error_types {
            drop_series(&self.error_output_records, &[stream, error_type]);
        }
    }
}

/// `value` if it is known or there is room for one more; else what `other` makes of [`OTHER`].
fn bounded<T: Eq + std::hash::Hash + Clone>(known: &mut HashSet<T>, value: T, other: impl Fn(String) -> T) -> T {
    let shown = if known.contains(&value) || known.len() < MAX_CODES { value } else { other(OTHER.to_owned()) };
    known.insert(shown.clone());
    shown
}

fn counters(name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    IntCounterVec::new(Opts::new(name, help), labels).expect("names are valid and labels differ")
}

fn histograms(name: &str, help: &str, labels: &[&str]) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
    HistogramVec::new(options, labels).expect("names are valid, labels differ, buckets ascend")
}

fn histogram(name: &str, help: &str) -> Histogram {
    let options = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
    Histogram::with_opts(options).expect("the name is valid and buckets ascend")
}

/// Statuses that the API answers with.
const STATUSES: [u16; 15] = [200, 202, 400, 401, 403, 404, 405, 408, 409, 413, 415, 429, 500, 503, 504];

/// Seconds, from a sync on a fast disk to a delivery that was waited for.
const BUCKETS: [f64; 18] =
    [50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0];

/// Codes of a stream, of all its destinations together, that are told apart.
pub const MAX_CODES: usize = 50;

/// The label of every further one.
const OTHER: &str = "Other";

#[cfg(test)]
mod tests;
