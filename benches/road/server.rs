//! The hydrant process that is measured.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use procfs::process::Process;
use serde_json::json;

use crate::client::call;
use crate::load::{aws, plain};
use crate::shape::{Shape, furnish};

/// A running hydrant with a data directory of its own, both gone when dropped.
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    _data: tempfile::TempDir,
}

/// A delivery stream of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its bucket.
    pub(crate) bucket: &'a str,
    /// `UNCOMPRESSED` or `GZIP`.
    pub(crate) compression: &'a str,
    /// Bytes and seconds of its buffer.
    pub(crate) buffer: (u64, u64),
    /// What is made of its records.
    pub(crate) shape: Shape,
    /// Settings of hydrant's own.
    pub(crate) settings: &'a [(&'a str, &'a str)],
}

impl Server {
    /// Starts the binary that was built with this benchmark, or `HYDRANT_BIN`, with `s3` as its only destination.
    pub(crate) fn start(s3: SocketAddr, shape: Shape) -> anyhow::Result<Self> {
        Self::start_with(s3, shape, &[])
    }

    /// The same with further arguments.
    pub(crate) fn start_with(s3: SocketAddr, shape: Shape, more: &[&str]) -> anyhow::Result<Self> {
        let binary = std::env::var_os("HYDRANT_BIN")
            .map(PathBuf::from)
            .or_else(|| option_env!("CARGO_BIN_EXE_hydrant").map(PathBuf::from))
            .context("HYDRANT_BIN must name the binary")?;
        let place = std::env::var_os("HYDRANT_BENCH_DIR")
            .map(PathBuf::from)
            .or_else(|| option_env!("CARGO_TARGET_TMPDIR").map(PathBuf::from))
            .unwrap_or_else(std::env::temp_dir);
        let data =
            tempfile::tempdir_in(&place).with_context(|| format!("making a directory in {}", place.display()))?;
        furnish(data.path(), shape)?;
        let mut child = Command::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--create-buckets", "--disk-budget", "100GiB"])
            .arg("--data")
            .arg(data.path())
            .args(["--s3-endpoint", &format!("http://{s3}")])
            .args(more)
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("RUST_LOG", std::env::var("RUST_LOG").unwrap_or_else(|_| "warn".into()))
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut first = String::new();
        let stdout = child.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut first)?;
        let address =
            first.trim().strip_prefix("listening on http://").context("hydrant did not say where it listens")?;
        let server = Self { address: address.parse()?, child, _data: data };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&self) -> anyhow::Result<()> {
        for _ in 0..500 {
            if call(self.address, b"GET /ready HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")?.0 == 200 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("hydrant did not become ready");
    }

    /// Creates a stream and waits until it takes records.
    pub(crate) fn create(&self, stream: &Stream<'_>) -> anyhow::Result<()> {
        let mebibytes = stream.buffer.0.div_ceil(1 << 20);
        let mut tags = vec![
            json!({"Key": "hydrant:BufferSizeInMBs", "Value": mebibytes.to_string()}),
            json!({"Key": "hydrant:BufferIntervalInSeconds", "Value": stream.buffer.1.to_string()}),
        ];
        let settings = stream.settings.iter();
        tags.extend(settings.map(|(name, value)| json!({"Key": format!("hydrant:{name}"), "Value": value})));
        let mut destination = json!({
            "RoleARN": "arn:aws:iam::000000000000:role/bench",
            "BucketARN": format!("arn:aws:s3:::{}", stream.bucket),
            "BufferingHints": {"SizeInMBs": 128, "IntervalInSeconds": 900},
            "CompressionFormat": stream.compression,
        });
        stream.shape.configure(&mut destination);
        let request = json!({
            "DeliveryStreamName": stream.name,
            "ExtendedS3DestinationConfiguration": destination,
            "Tags": tags,
        });
        self.control("CreateDeliveryStream", &request)?;
        for _ in 0..500 {
            let described = self.control("DescribeDeliveryStream", &json!({"DeliveryStreamName": stream.name}))?;
            if described.contains("\"ACTIVE\"") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("stream {} did not become active", stream.name);
    }

    /// Cuts what waits in a stream; with `wait`, returns when it is delivered.
    pub(crate) fn flush(&self, stream: &str, wait: Option<Duration>) -> anyhow::Result<()> {
        let query = wait.map(|wait| format!("?wait={}", wait.as_secs())).unwrap_or_default();
        let (status, body) = call(self.address, &plain(&format!("/streams/{stream}/flush{query}"), "text/plain", b""))?;
        if !matches!(status, 200 | 202) {
            bail!("a flush was answered {status}: {body}");
        }
        Ok(())
    }

    /// CPU time since it started, in user code and in the kernel.
    pub(crate) fn cpu(&self) -> anyhow::Result<(Duration, Duration)> {
        let stat = self.process()?.stat()?;
        let time = |ticks: u64| Duration::from_millis(ticks * 1000 / procfs::ticks_per_second());
        Ok((time(stat.utime), time(stat.stime)))
    }

    /// The most memory that it had at a time, in bytes.
    pub(crate) fn peak_rss(&self) -> anyhow::Result<u64> {
        Ok(self.process()?.status()?.vmhwm.context("no VmHWM")? << 10)
    }

    /// The memory that it has now, in bytes. From here on [`Self::peak_rss`] tells of what comes.
    pub(crate) fn rss_from_here(&self) -> anyhow::Result<u64> {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").context("forgetting the peak")?;
        Ok(self.process()?.status()?.vmrss.context("no VmRSS")? << 10)
    }

    fn process(&self) -> anyhow::Result<Process> {
        Ok(Process::new(i32::try_from(self.child.id())?)?)
    }

    fn control(&self, operation: &str, request: &serde_json::Value) -> anyhow::Result<String> {
        let (status, body) = call(self.address, &aws(operation, request.to_string().as_bytes()))?;
        if status != 200 {
            bail!("{operation} was answered {status}: {body}");
        }
        Ok(body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What is measured is measured; its data goes with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
