//! What a run showed, as a line.

use std::fmt;
use std::time::Duration;

use crate::swallow::Swallowed;
use crate::tally::Tally;

/// The figures of one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// What was put while it was measured.
    pub(crate) measured: Tally,
    /// In how many requests.
    pub(crate) requests: u64,
    /// How long that took.
    pub(crate) took: Duration,
    /// CPU time of hydrant in user code.
    pub(crate) user: Duration,
    /// And in the kernel.
    pub(crate) kernel: Duration,
    /// Most memory at a time, in bytes.
    pub(crate) peak_rss: u64,
    /// Half of the durable answers took at most this.
    pub(crate) p50: Duration,
    /// Nearly all of them.
    pub(crate) p99: Duration,
    /// Answers that told to come again.
    pub(crate) slowed_down: u64,
    /// All that was put, warm-up included.
    pub(crate) put: Tally,
    /// What arrived: the same.
    pub(crate) delivered: Swallowed,
}

impl Figures {
    /// CPU seconds per gigabyte of payload.
    pub(crate) fn cpu_per_gb(&self) -> f64 {
        self.cpu().as_secs_f64() / gigabytes(self.measured.bytes)
    }

    /// CPU time per request.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu().as_secs_f64() * 1e6 / lossy(self.requests)
    }

    fn cpu(&self) -> Duration {
        self.user + self.kernel
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let gigabytes = gigabytes(self.measured.bytes);
        write!(
            f,
            "{:.3} CPU s/GB ({:.3} user {:.3} kernel) {:.1} us/request  {:.0} rec/s {:.0} MB/s  peak RSS {:.0} MB  \
             p50 {:.2} ms p99 {:.2} ms  slow-downs {}  {} records put and delivered, {} objects, {:.2} times smaller, {} rewritten",
            self.cpu_per_gb(),
            self.user.as_secs_f64() / gigabytes,
            self.kernel.as_secs_f64() / gigabytes,
            self.cpu_per_request(),
            lossy(self.measured.records) / seconds,
            gigabytes * 1e3 / seconds,
            lossy(self.peak_rss) / 1e6,
            self.p50.as_secs_f64() * 1e3,
            self.p99.as_secs_f64() * 1e3,
            self.slowed_down,
            self.put.records,
            self.delivered.objects,
            lossy(self.put.bytes) / lossy(self.delivered.packed_bytes),
            self.delivered.rewritten,
        )
    }
}

fn gigabytes(bytes: u64) -> f64 {
    lossy(bytes) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
fn lossy(number: u64) -> f64 {
    number as f64
}
