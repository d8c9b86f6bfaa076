//! The process itself, under the names that every exporter uses.
//!
//! Source: <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use procfs::WithCurrentSystemInfo;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};

/// Reads `/proc/self` at each scrape; where there is none, says nothing.
pub(super) struct Process {
    cpu_seconds: Counter,
    start_seconds: Gauge,
    resident_bytes: IntGauge,
    virtual_bytes: IntGauge,
    open_fds: IntGauge,
    max_fds: IntGauge,
    threads: IntGauge,
}

impl Process {
    pub(super) fn new() -> Self {
        let gauge = |name, help| IntGauge::new(name, help).expect("the name is valid");
        Self {
            cpu_seconds: Counter::new("process_cpu_seconds_total", "User and system CPU time in seconds.")
                .expect("the name is valid"),
            start_seconds: Gauge::new("process_start_time_seconds", "Start of the process since the Unix epoch.")
                .expect("the name is valid"),
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory in bytes."),
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory in bytes."),
            open_fds: gauge("process_open_fds", "Open file descriptors."),
            max_fds: gauge("process_max_fds", "Most file descriptors that may be open."),
            threads: gauge("process_threads", "Threads of the process."),
        }
    }

    fn collectors(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu_seconds,
            &self.start_seconds,
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.open_fds,
            &self.max_fds,
            &self.threads,
        ]
    }

    fn read(&self) -> procfs::ProcResult<()> {
        let process = procfs::process::Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second();
        let cpu = seconds(stat.utime + stat.stime, ticks);
        // A counter cannot be set; the difference to what it shows never is negative but by rounding.
        self.cpu_seconds.inc_by((cpu - self.cpu_seconds.get()).max(0.0));
        let booted = procfs::boot_time_secs()?;
        self.start_seconds.set(seconds(booted * ticks + stat.starttime, ticks));
        self.resident_bytes.set(i64::try_from(stat.rss_bytes().get()).unwrap_or(i64::MAX));
        self.virtual_bytes.set(i64::try_from(stat.vsize).unwrap_or(i64::MAX));
        self.threads.set(stat.num_threads);
        self.open_fds.set(i64::try_from(process.fd_count()?).unwrap_or(i64::MAX));
        if let procfs::process::LimitValue::Value(most) = process.limits()?.max_open_files.soft_limit {
            self.max_fds.set(i64::try_from(most).unwrap_or(i64::MAX));
        }
        Ok(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Err(error) = self.read() {
            tracing::debug!(%error, "the process cannot be read from /proc");
            return Vec::new();
        }
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "ticks since 1970 fit the mantissa")]
fn seconds(ticks: u64, per_second: u64) -> f64 {
    ticks as f64 / per_second as f64
}
