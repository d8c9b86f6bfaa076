//! What the parts of the road cost by themselves, in CPU time per byte of payload: scan, frame, cut, read, prefix.
//!
//! `cargo bench --bench parts`. Codecs have a benchmark of their own in `hydrant-transforms`; `road` measures the whole.

#[path = "../../transforms/benches/clicks.rs"]
mod clicks;
#[path = "../../transforms/benches/cpu_time.rs"]
mod cpu_time;
mod nothing;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hydrant::api::plain::split::{Format, split};
use hydrant::api::put::{Limits, Put};
use hydrant::clock::Clock;
use hydrant::log::{
    Account, Disk, Durability, InlineCommitters, Log, LogSettings, Payload, Placement, Pool, PoolSettings, RealDisk,
    Rolling, Use, Workshop,
};
use hydrant_model::{
    Expression, Namespaces, Offset, PartitionKeys, PrefixContext, Seed, StreamId, StreamNameParts, TimeZone, object_key,
};

use crate::cpu_time::CpuTime;
use crate::nothing::Nowhere;

/// Finding and decoding the records of a PutRecordBatch.
fn scan(criterion: &mut Criterion<CpuTime>) {
    let records = batch(1);
    let texts = records.lengths.iter().scan(0, |at, length| {
        let start = *at;
        *at += *length as usize;
        let data = base64_simd::STANDARD.encode_to_string(records.body.get(start..*at).unwrap_or_default());
        Some(format!(r#"{{"Data":"{data}"}}"#))
    });
    let records: Vec<String> = texts.collect();
    let body = format!(r#"{{"DeliveryStreamName":"bench","Records":[{}]}}"#, records.join(","));
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Bytes(batch(1).body.len() as u64));
    group.bench_function("scan PutRecordBatch of 500", |bencher| {
        bencher.iter(|| {
            Put::from_batch_body(black_box(body.as_bytes()), Limits::default()).expect("a batch").records.len()
        });
    });
    group.finish();
}

/// Dividing a body of NDJSON into records, each checked to be JSON.
fn split_lines(criterion: &mut Criterion<CpuTime>) {
    let body = clicks::clicks(1, 4 << 20);
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("split 4 MiB of NDJSON", |bencher| {
        bencher.iter_batched(
            || body.clone(),
            |body| split(body, Format::JsonLines, true, usize::MAX).expect("JSON"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// Everything between the decoded records and the write: checksums, headers, gathering, places, answers.
fn frame(criterion: &mut Criterion<CpuTime>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let records = batch(1);
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Bytes(records.body.len() as u64));
    let log = open(Arc::new(Nowhere), Path::new("/nowhere"));
    group.bench_function("frame and commit to a disk that keeps nothing", |bencher| {
        bencher.iter(|| {
            let append = log.append(records.clone(), Durability::Synced, Placement::Behind);
            runtime.block_on(append).expect("a disk that takes everything")
        });
    });
    group.finish();
}

/// Walking a log's headers to the record with which a batch is full, and reading its records back.
fn cut_and_read(criterion: &mut Criterion<CpuTime>) {
    let dir = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let log = open(Arc::new(RealDisk), dir.path());
    let bytes = runtime.block_on(async {
        let mut bytes = 0;
        for seed in 0..320 {
            let records = batch(seed);
            bytes += records.body.len() as u64;
            log.append(records, Durability::Written, Placement::Behind).await.expect("room");
        }
        log.sync().await.expect("synced");
        bytes
    });
    let end = log.synced().offset;
    let mut group = criterion.benchmark_group("parts");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("cut 64 MiB of batches", |bencher| {
        bencher.iter(|| {
            let mut walker = log.walk(Offset(0));
            let mut records = 0;
            while let Some(frame) = walker.frame().expect("readable").filter(|frame| frame.first < end) {
                records += frame.next.0 - frame.first.0;
                walker.pass().expect("readable");
            }
            assert_eq!(records, end.0);
        });
    });
    group.bench_function("read 64 MiB of batches", |bencher| {
        bencher.iter(|| {
            let mut reader = log.read(Offset(0), end);
            let mut read = 0;
            while let Some(view) = reader.next().expect("readable") {
                read += view.body.len() as u64;
            }
            assert_eq!(read, bytes);
        });
    });
    group.finish();
}

/// Making the key of an object.
fn prefix(criterion: &mut Criterion<CpuTime>) {
    let source = "logs/!{timestamp:yyyy}/!{timestamp:MM}/!{timestamp:dd}/!{firehose:random-string}/";
    let expression =
        Expression::parse(source, Namespaces::Prefix { dynamic_partitioning: false }).expect("an expression");
    let zone = TimeZone::utc();
    let context = PrefixContext {
        oldest_ms: 1_785_000_000_000,
        zone: &zone,
        seed: Seed([7; 16]),
        error_output_type: None,
        partition_keys: PartitionKeys::default(),
    };
    let name = StreamNameParts { stream: "bench", version: 1, extension: ".gz" };
    criterion.benchmark_group("parts").bench_function("prefix and key of an object", |bencher| {
        bencher.iter(|| object_key("bucket", black_box(&expression), &context, &name).expect("a key"));
    });
}

/// 500 click records.
fn batch(seed: u64) -> Payload {
    let text = clicks::clicks(seed, 500 * 500);
    let records: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').take(500).collect();
    Payload {
        lengths: records.iter().map(|record| u32::try_from(record.len()).expect("short")).collect(),
        body: records.concat().into(),
    }
}

fn open(disk: Arc<dyn Disk>, dir: &Path) -> Log {
    let settings = PoolSettings { keep: 0, reserve: 0, ..PoolSettings::default() };
    let pool = Pool::open(Arc::clone(&disk), dir.join("pool"), settings).expect("a pool");
    let workshop = Workshop { disk, pool, committers: Arc::new(InlineCommitters), clock: Clock::system() };
    let settings = LogSettings {
        dir: dir.join("records"),
        stream: StreamId([1; 16]),
        used_as: Use::Records,
        rolling: Rolling::ByItself,
    };
    Log::open(workshop, settings, Account::new(u64::MAX / 2), Offset(0), hydrant::log::Position::default())
        .expect("a log")
        .0
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(20);
    targets = scan, split_lines, frame, cut_and_read, prefix
}
criterion_main!(benches);
