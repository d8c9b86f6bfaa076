//! Levels: what is read from the rooms when somebody scrapes.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec, Opts};

/// A reading of everything that is a level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// Each stream, deleted ones that still drain included.
    pub streams: Vec<StreamLevels>,
    /// Streams that could not be started.
    pub streams_damaged: u64,
    /// Bytes that deliveries hold.
    pub delivery_memory_bytes: u64,
}

/// What there is to say of one stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamLevels {
    /// Its name.
    pub stream: String,
    /// Bytes of its logs on disk.
    pub log_bytes: u64,
    /// Whether an append can be expected to be answered.
    pub log_writable: bool,
    /// Bytes set aside as damaged, as far as their files are still there.
    pub quarantined_bytes: u64,
    /// Its readers.
    pub cursors: Vec<CursorLevels>,
}

/// What waits for one reader of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CursorLevels {
    /// `main`, `backup` or `errors`.
    pub cursor: &'static str,
    /// Bytes not delivered yet.
    pub waiting_bytes: u64,
    /// Age of the oldest record that waits; zero where none does.
    pub oldest_waiting: Duration,
}

/// The levels as families of metrics.
pub(super) fn families(levels: &Levels) -> Vec<MetricFamily> {
    let log_bytes = gauges("hydrant_log_bytes", "Bytes of the stream's logs on disk.", &["stream"]);
    let writable = gauges("hydrant_log_writable", "1 while the log can be written, else 0.", &["stream"]);
    let quarantined = IntCounterVec::new(
        Opts::new("hydrant_quarantined_bytes_total", "Bytes of the log that were set aside as damaged."),
        &["stream"],
    )
    .expect("the name is valid and labels differ");
    let waiting = gauges("hydrant_waiting_bytes", "Bytes that wait to be delivered.", &["stream", "cursor"]);
    let oldest = GaugeVec::new(
        Opts::new("hydrant_oldest_waiting_seconds", "Age of the oldest record that waits, 0 where none does."),
        &["stream", "cursor"],
    )
    .expect("the name is valid and labels differ");
    let memory =
        IntGauge::new("hydrant_delivery_memory_bytes", "Bytes that deliveries hold.").expect("the name is valid");
    memory.set(signed(levels.delivery_memory_bytes));
    let damaged = IntGauge::new("hydrant_streams_damaged", "Streams that could not be started; the log says why.")
        .expect("the name is valid");
    damaged.set(signed(levels.streams_damaged));
    for stream in &levels.streams {
        let name = stream.stream.as_str();
        log_bytes.with_label_values(&[name]).set(signed(stream.log_bytes));
        writable.with_label_values(&[name]).set(i64::from(stream.log_writable));
        quarantined.with_label_values(&[name]).inc_by(stream.quarantined_bytes);
        for cursor in &stream.cursors {
            waiting.with_label_values(&[name, cursor.cursor]).set(signed(cursor.waiting_bytes));
            oldest.with_label_values(&[name, cursor.cursor]).set(cursor.oldest_waiting.as_secs_f64());
        }
    }
    let collectors: [&dyn Collector; 7] = [&log_bytes, &writable, &quarantined, &waiting, &oldest, &damaged, &memory];
    let families = collectors.into_iter().flat_map(Collector::collect);
    families.filter(|family| !family.get_metric().is_empty()).collect()
}

fn gauges(name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), labels).expect("names are valid and labels differ")
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
