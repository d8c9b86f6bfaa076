//! What processors do to records, by stream and processor.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::core::Collector;
use prometheus::{CounterVec, IntCounterVec, Opts};

use super::{bounded, counters};

/// What one processor did to some records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that it was given, and their bytes.
    pub came: (u64, u64),
    /// Records that it gave on, and their bytes.
    pub went: (u64, u64),
    /// Records that it dropped.
    pub dropped: u64,
    /// Records that it could not take, by code.
    pub failed: HashMap<String, u64>,
    /// Time that it took.
    pub time: Duration,
}

/// The counters that have a processor as label.
pub(super) struct ByProcessor {
    records_in: IntCounterVec,
    bytes_in: IntCounterVec,
    records_out: IntCounterVec,
    bytes_out: IntCounterVec,
    dropped: IntCounterVec,
    failed: IntCounterVec,
    seconds: CounterVec,
    series: Mutex<HashMap<Arc<str>, Series>>,
}

/// Label values in use with one stream.
#[derive(Default)]
struct Series {
    processors: HashSet<&'static str>,
    codes: HashSet<(&'static str, String)>,
}

impl ByProcessor {
    pub(super) fn new() -> Self {
        let labels = &["stream", "processor"];
        let of = |name, help| counters(name, help, labels);
        let seconds = Opts::new("hydrant_processor_seconds_total", "Time that processors took.");
        Self {
            records_in: of("hydrant_processor_records_in_total", "Records given to a processor, in every attempt."),
            bytes_in: of("hydrant_processor_bytes_in_total", "Their bytes."),
            records_out: of("hydrant_processor_records_out_total", "Records that a processor gave on."),
            bytes_out: of("hydrant_processor_bytes_out_total", "Their bytes."),
            dropped: of("hydrant_processor_dropped_records_total", "Records that a processor dropped."),
            failed: counters(
                "hydrant_processor_failed_records_total",
                "Records that a processor could not take.",
                &["stream", "processor", "code"],
            ),
            seconds: CounterVec::new(seconds, labels).expect("the name is valid and labels differ"),
            series: Mutex::default(),
        }
    }

    pub(super) fn collectors(&self) -> Vec<Box<dyn Collector>> {
        let counts =
            [&self.records_in, &self.bytes_in, &self.records_out, &self.bytes_out, &self.dropped, &self.failed];
        let counts = counts.into_iter().map(|vector| Box::new(vector.clone()) as Box<dyn Collector>);
        counts.chain([Box::new(self.seconds.clone()) as Box<dyn Collector>]).collect()
    }

    /// From now on the stream counts.
    pub(super) fn know(&self, stream: &Arc<str>) {
        self.series.lock().entry(Arc::clone(stream)).or_default();
    }

    pub(super) fn taken(&self, stream: &str, processor: &'static str, taken: &Taken) {
        let mut all = self.series.lock();
        let Some(series) = all.get_mut(stream) else { return };
        series.processors.insert(processor);
        let labels = [stream, processor];
        self.records_in.with_label_values(&labels).inc_by(taken.came.0);
        self.bytes_in.with_label_values(&labels).inc_by(taken.came.1);
        self.records_out.with_label_values(&labels).inc_by(taken.went.0);
        self.bytes_out.with_label_values(&labels).inc_by(taken.went.1);
        self.dropped.with_label_values(&labels).inc_by(taken.dropped);
        self.seconds.with_label_values(&labels).inc_by(taken.time.as_secs_f64());
        for (code, records) in &taken.failed {
            let (_, shown) = bounded(&mut series.codes, (processor, code.clone()), |code| (processor, code));
            self.failed.with_label_values(&[stream, processor, &shown]).inc_by(*records);
        }
    }

    pub(super) fn forget(&self, stream: &str) {
        let mut all = self.series.lock();
        let Some(series) = all.remove(stream) else { return };
        for processor in series.processors {
            // A series that never counted is not there: that is what the errors say.
            let counts = [&self.records_in, &self.bytes_in, &self.records_out, &self.bytes_out, &self.dropped];
            for vector in counts {
                drop(vector.remove_label_values(&[stream, processor]));
            }
            drop(self.seconds.remove_label_values(&[stream, processor]));
        }
        for (processor, code) in series.codes {
            drop(self.failed.remove_label_values(&[stream, processor, &code]));
        }
    }
}
