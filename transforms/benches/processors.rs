//! What processors cost: CPU of click records, 410 bytes each.
//!
//! `cargo bench -p hydrant-transforms --bench processors`. Extraction is of three keys, by the short way for simple queries and by
//! the interpreter.

mod clicks;
mod cpu_time;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};
use hydrant_transforms::processors::deaggregation::DeAggregation;
use hydrant_transforms::processors::extraction::Extraction;
use hydrant_transforms::processors::{Context, Transform};
use hydrant_transforms::records::{Arrived, Fates, Records, Source, Span, WantedKey};

use crate::cpu_time::CpuTime;

fn extraction(criterion: &mut Criterion<CpuTime>) {
    let arrived = each_line(clicks::clicks(1, INPUT_BYTES));
    let names = ["country", "type", "os"];
    let wanted: Arc<[WantedKey]> =
        names.iter().map(|name| WantedKey { source: KeySource::Query, name: (*name).to_owned() }).collect();
    let context = Context { wanted: Arc::clone(&wanted) };
    let compiled = |query| Extraction::new(query, &context).expect("the query is valid");
    let mut group = criterion.benchmark_group("three keys");
    group.throughput(Throughput::Elements(arrived.sources.len() as u64));
    for (name, mut extraction) in [
        ("short way", compiled(SIMPLE)),
        ("interpreter", compiled(SIMPLE).interpreted()),
        ("interpreter, with functions", compiled(FUNCTIONS)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(&mut extraction, &arrived, &wanted));
        });
    }
    group.finish();
}

fn de_aggregation(criterion: &mut Criterion<CpuTime>) {
    let input = clicks::clicks(1, INPUT_BYTES);
    let records = each_line(input.clone()).sources.len();
    let arrived = each_hundred_lines(input);
    let wanted = Arc::from([]);
    let mut group = criterion.benchmark_group("de-aggregation");
    group.throughput(Throughput::Elements(records as u64));
    for (name, mut transform) in
        [("JSON", DeAggregation::Json), ("line feeds", DeAggregation::Delimited(b"\n".to_vec()))]
    {
        group.bench_function(name, |bencher| bencher.iter(|| run(&mut transform, &arrived, &wanted)));
    }
    group.finish();
}

fn run(transform: &mut impl Transform, arrived: &Arrived, wanted: &Arc<[WantedKey]>) {
    let mut fates = Fates::default();
    let records = transform.apply(Records::of(arrived, Arc::clone(wanted)), arrived, &mut fates);
    assert!(fates.failures.is_empty() && !records.is_empty());
    black_box(records);
}

fn each_line(input: Vec<u8>) -> Arrived {
    in_records(input, 1)
}

fn each_hundred_lines(input: Vec<u8>) -> Arrived {
    in_records(input, 100)
}

fn in_records(input: Vec<u8>, lines: usize) -> Arrived {
    let mut sources = Vec::new();
    let mut start = 0;
    let ends = input.iter().zip(1..).filter(|(byte, _)| **byte == b'\n').map(|(_, end)| end);
    let ends: Vec<u32> = ends.collect();
    for lines in ends.chunks(lines) {
        let end = lines.last().copied().unwrap_or(start);
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(0), sub_index: 0 };
        sources.push(Source { span: Span { start, end }, arrival_ms: 0, identity });
        start = end;
    }
    Arrived { bytes: Arc::new(input.into()), sources }
}

const SIMPLE: &str = "{country: .country, type: .type, os: .device.os}";
const FUNCTIONS: &str = "{country: (.country | ascii_downcase), type: .type[0:2], os: (.device.os // \"none\")}";
const INPUT_BYTES: usize = 4 * 1024 * 1024;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = extraction, de_aggregation
}
criterion_main!(benches);
