//! The runs, by name.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::client::{Done, drive};
use crate::load::{Kind, Request, requests};
use crate::report::Figures;
use crate::server::{Server, Stream};
use crate::shape::Shape;
use crate::swallow::{Swallowed, Swallower};
use crate::tally::Tally;

/// One run.
pub(crate) struct Run {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    plan: Plan,
}

enum Plan {
    Load(Load),
    /// Two hundred full streams that are flushed at once after an outage, while ten buckets stall.
    Backlog,
    /// Objects of rows that are made at once, while nothing else is done: so many.
    Writers(Kind, Shape, usize),
}

/// Puts to streams, and what is measured of it.
#[derive(Clone, Copy)]
struct Load {
    kind: Kind,
    streams: usize,
    connections: usize,
    megabytes: u64,
    /// Whether delivery is part of what is measured; otherwise nothing is delivered before the measurement is over.
    delivers: bool,
    compression: &'static str,
    shape: Shape,
    settings: &'static [(&'static str, &'static str)],
}

const PUT: Load = Load {
    kind: Kind::Batch,
    streams: 1,
    connections: 16,
    megabytes: 2000,
    delivers: false,
    compression: "UNCOMPRESSED",
    shape: Shape::Bytes,
    settings: &[],
};
const ROAD: Load = Load { delivers: true, megabytes: 1500, ..PUT };
const GZIP: Load = Load { compression: "GZIP", megabytes: 1000, ..ROAD };

/// Every run, in the order in which `all` takes them.
pub(crate) static RUNS: [Run; 24] = [
    run("batch", "PutRecordBatch of 500 x 410 B, durable, nothing delivered", PUT),
    run("ndjson", "4 MiB of NDJSON, durable, nothing delivered", Load { kind: Kind::Ndjson, connections: 4, ..PUT }),
    run(
        "putrecord256",
        "PutRecord of 1 KiB on 256 connections, durable, nothing delivered",
        Load { kind: Kind::Record, connections: 256, megabytes: 200, ..PUT },
    ),
    run(
        "putrecord64streams",
        "the same over 64 streams",
        Load { kind: Kind::Record, connections: 256, streams: 64, megabytes: 200, ..PUT },
    ),
    run("raw", "PutRecordBatch to uncompressed objects of 128 MiB", ROAD),
    run("gzip1", "PutRecordBatch to GZIP, one member, level 1", Load { settings: &[("GzipLevel", "1")], ..GZIP }),
    run("gzip2", "the same at level 2", Load { settings: &[("GzipLevel", "2")], ..GZIP }),
    run("gzip6", "the same at level 6", Load { settings: &[("GzipLevel", "6")], ..GZIP }),
    run(
        "gzipmany1",
        "PutRecordBatch to GZIP, independent members, level 1",
        Load { settings: &[("GzipMembers", "many"), ("GzipLevel", "1")], ..GZIP },
    ),
    run("gzipmany6", "the same at level 6", Load { settings: &[("GzipMembers", "many"), ("GzipLevel", "6")], ..GZIP }),
    run("rss16", "16 producers of batches on one stream, delivered as GZIP: peak memory", GZIP),
    run(
        "rss16ndjson",
        "16 producers of 4 MiB bodies on one stream, delivered as GZIP: peak memory",
        Load { kind: Kind::Ndjson, ..GZIP },
    ),
    run("keys3", "PutRecordBatch to objects by three partition keys", Load { shape: Shape::Keys, ..ROAD }),
    run(
        "echo",
        "PutRecordBatch through a module that gives records back",
        Load { shape: Shape::Module("echo"), ..ROAD },
    ),
    run("edit", "the same through one that edits them", Load { shape: Shape::Module("edit"), ..ROAD }),
    run("parquet", "PutRecordBatch to Parquet, snappy", Load { shape: Shape::Rows, ..ROAD }),
    run(
        "partitions5000",
        "PutRecordBatch to 5,000 partitions that wait together: peak memory",
        Load { shape: Shape::Customers, megabytes: 500, ..ROAD },
    ),
    run(
        "partitions100000",
        "PutRecordBatch to 100,000 partitions that wait together: peak memory",
        Load { shape: Shape::Moments, megabytes: 200, ..ROAD },
    ),
    writers(
        "writer",
        "one Parquet object of 100 MB of clicks, 20 columns, snappy: peak memory",
        Kind::Ndjson,
        Shape::Rows,
        1,
    ),
    writers("writers8", "eight of them at once", Kind::Ndjson, Shape::Rows, 8),
    writers("writertext", "one of random text", Kind::Texts, Shape::Texts("SNAPPY"), 1),
    writers("writerstext8", "eight of them at once", Kind::Texts, Shape::Texts("SNAPPY"), 8),
    writers("writersplain8", "the same uncompressed", Kind::Texts, Shape::Texts("UNCOMPRESSED"), 8),
    Run {
        name: "rss200",
        about: "200 streams of 8 MiB flushed at once after an outage, 10 stalled buckets: peak memory",
        plan: Plan::Backlog,
    },
];

const fn run(name: &'static str, about: &'static str, load: Load) -> Run {
    Run { name, about, plan: Plan::Load(load) }
}

const fn writers(name: &'static str, about: &'static str, kind: Kind, shape: Shape, objects: usize) -> Run {
    Run { name, about, plan: Plan::Writers(kind, shape, objects) }
}

impl Run {
    /// Takes the run once, with `share` of its bytes.
    pub(crate) fn take(&self, share: f64) -> anyhow::Result<Figures> {
        match &self.plan {
            Plan::Load(load) => load.take(share),
            Plan::Backlog => backlog(),
            Plan::Writers(kind, rows, objects) => write(*kind, *rows, *objects),
        }
    }
}

impl Load {
    fn take(&self, share: f64) -> anyhow::Result<Figures> {
        let s3 = Swallower::start()?;
        let server = Server::start(s3.address, self.shape)?;
        let names: Vec<String> = (0..self.streams).map(|number| format!("bench-{number}")).collect();
        for name in &names {
            let buffer = if self.delivers { (128 << 20, 900) } else { (5 << 30, 86_400) };
            server.create(&Stream {
                name,
                bucket: "bench",
                compression: self.compression,
                buffer,
                shape: self.shape,
                settings: self.settings,
            })?;
        }
        let requests = self.requests(&names);
        let each = requests.first().context("a load without requests")?.tally.bytes;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share"
        )]
        let total = (self.megabytes as f64 * 1e6 * share) as u64 / each;
        // The first segments of a log are slow ones, on purpose.
        let warm = drive(server.address, &requests, self.connections, (total / 20).max(64))?;
        let (user, kernel) = server.cpu()?;
        let started = Instant::now();
        let done = drive(server.address, &requests, self.connections, total)?;
        let mut cpu = server.cpu()?;
        let mut took = done.took;
        for name in &names {
            server.flush(name, Some(PATIENCE))?;
        }
        if self.delivers {
            cpu = server.cpu()?;
            took = started.elapsed();
        }
        let mut put = warm.put;
        put += done.put;
        let delivered = delivered(&s3, put, self.shape)?;
        Ok(figures(
            &done,
            took,
            (cpu.0.saturating_sub(user), cpu.1.saturating_sub(kernel)),
            server.peak_rss()?,
            put,
            delivered,
        ))
    }

    fn requests(&self, names: &[String]) -> Vec<Request> {
        let each = match self.kind {
            // As many different records as there are partitions, and more.
            Kind::Batch if self.shape == Shape::Moments => 1000,
            Kind::Batch => 64,
            Kind::Ndjson | Kind::Texts => 4,
            Kind::Record => 4096 / names.len(),
        };
        let mut of_streams: Vec<_> = names.iter().map(|name| requests(self.kind, name, each).into_iter()).collect();
        (0..each).flat_map(|_| of_streams.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()).collect()
    }
}

fn write(kind: Kind, shape: Shape, objects: usize) -> anyhow::Result<Figures> {
    let s3 = Swallower::start()?;
    // All of them find room.
    let server = Server::start_with(s3.address, shape, &["--delivery-memory", "4GiB"])?;
    let names: Vec<String> = (0..objects).map(|number| format!("bench-{number}")).collect();
    let (mut put, mut done) = (Tally::default(), Done::default());
    for name in &names {
        server.create(&Stream {
            name,
            bucket: "bench",
            compression: "UNCOMPRESSED",
            buffer: HELD,
            shape,
            settings: &[],
        })?;
        let requests = requests(kind, name, 24);
        done = drive(server.address, &requests, 1, requests.len() as u64)?;
        put += done.put;
    }
    // What was freed is given back while nothing is done.
    std::thread::sleep(Duration::from_secs(5));
    let (before, begun, started) = (server.rss_from_here()?, server.cpu()?, Instant::now());
    for name in &names {
        server.flush(name, None)?;
    }
    for name in &names {
        server.flush(name, Some(PATIENCE))?;
    }
    let (peak, cpu) = (server.peak_rss()?, server.cpu()?);
    let each = (peak - before) / 1_000_000 / objects as u64;
    println!("    {} MB before, {each} MB more for each of {objects} while they are written", before / 1_000_000);
    let delivered = delivered(&s3, put, shape)?;
    ensure!(delivered.objects == objects, "{} objects", delivered.objects);
    let cpu = (cpu.0.saturating_sub(begun.0), cpu.1.saturating_sub(begun.1));
    done.put = put;
    Ok(figures(&done, started.elapsed(), cpu, peak, put, delivered))
}

fn backlog() -> anyhow::Result<Figures> {
    let s3 = Swallower::start()?;
    s3.set_outage(true);
    let server = Server::start(s3.address, Shape::Bytes)?;
    let stalled: HashSet<String> = (0..STALLED).map(|number| format!("stalled-{number}")).collect();
    let names: Vec<String> = (0..STREAMS).map(|number| format!("bench-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let bucket = if number < STALLED { format!("stalled-{number}") } else { "bench".to_owned() };
        server.create(&Stream {
            name,
            bucket: &bucket,
            compression: "GZIP",
            buffer: HELD,
            shape: Shape::Bytes,
            settings: &[],
        })?;
    }
    let (user, kernel) = server.cpu()?;
    let mut put = Tally::default();
    let mut last = Done::default();
    for name in &names {
        last = drive(server.address, &requests(Kind::Ndjson, name, 2), 2, 2)?;
        put += last.put;
    }
    let filled = server.peak_rss()?;
    let started = Instant::now();
    for name in &names {
        server.flush(name, None)?;
    }
    // Every stream has met the outage by then.
    std::thread::sleep(Duration::from_secs(3));
    s3.set_stalled(stalled);
    s3.set_outage(false);
    for name in names.iter().skip(STALLED) {
        server.flush(name, Some(PATIENCE))?;
    }
    let drained = server.peak_rss()?;
    println!(
        "    peak RSS: {} MB when filled, {} MB when {} streams were delivered after {:.0} s",
        filled / 1_000_000,
        drained / 1_000_000,
        STREAMS - STALLED,
        started.elapsed().as_secs_f64()
    );
    s3.set_stalled(HashSet::new());
    for name in names.iter().take(STALLED) {
        server.flush(name, Some(PATIENCE))?;
    }
    let cpu = server.cpu()?;
    let delivered = delivered(&s3, put, Shape::Bytes)?;
    last.put = put;
    Ok(figures(
        &last,
        started.elapsed(),
        (cpu.0.saturating_sub(user), cpu.1.saturating_sub(kernel)),
        server.peak_rss()?,
        put,
        delivered,
    ))
}

fn figures(
    done: &Done,
    took: Duration,
    cpu: (Duration, Duration),
    peak_rss: u64,
    put: Tally,
    delivered: Swallowed,
) -> Figures {
    Figures {
        measured: done.put,
        requests: done.latencies.len() as u64,
        took,
        user: cpu.0,
        kernel: cpu.1,
        peak_rss,
        p50: done.percentile(0.5),
        p99: done.percentile(0.99),
        slowed_down: done.slowed_down,
        put,
        delivered,
    }
}

/// Waits until what was delivered is tallied; all of it is there, since hydrant said so.
fn delivered(s3: &Swallower, put: Tally, shape: Shape) -> anyhow::Result<Swallowed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(swallowed) = s3.swallowed()? {
            let same = if shape.keeps_bytes() { swallowed.tally == put } else { swallowed.tally.has_ids_of(&put) };
            ensure!(same, "delivered is not what was put: {:?} of {put:?}", swallowed.tally);
            return Ok(swallowed);
        }
        ensure!(Instant::now() < deadline, "objects are still being tallied");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Nothing leaves before it is told to.
const HELD: (u64, u64) = (128 << 20, 86_400);
const STREAMS: usize = 200;
const STALLED: usize = 10;
const PATIENCE: Duration = Duration::from_mins(5);
