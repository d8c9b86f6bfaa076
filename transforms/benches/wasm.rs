//! What a module costs: bytes of click records per second of CPU through it, and what a fresh instance takes.
//!
//! `cargo bench -p hydrant-transforms --bench wasm`. The module that edits is built by `transforms/guest/build.sh --rust`,
//! whose folder `HYDRANT_MODULES` names if it is not the usual one.

mod clicks;
mod cpu_time;
#[path = "../src/wasm/tests/guests.rs"]
#[expect(dead_code, reason = "the tests' modules; here only those that give records back")]
mod guests;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};
use hydrant_transforms::records::{Arrived, Fates, Records, Source, Span, WantedKey};
use hydrant_transforms::wasm::{Engine, Limits, Module, Pool, Start, WasmTransform};

use crate::cpu_time::CpuTime;

/// That of the service. With the system's, a third of an echo is pages that the kernel hands out anew each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn wasm(criterion: &mut Criterion<CpuTime>) {
    let engine = Engine::new(None).expect("the compiler works here");
    let arrived = arrived(clicks::clicks(1, INPUT_BYTES));
    let mut group = criterion.benchmark_group("wasm");
    group.throughput(Throughput::Bytes(arrived.bytes.len() as u64));
    let prebuilt = include_bytes!("../guest/prebuilt/clicks.wasm");
    let mut modules = vec![
        ("echo", guests::judging(guests::ECHO)),
        ("unchanged", guests::judging(guests::UNCHANGED)),
        ("keys and a member", prebuilt.to_vec()),
    ];
    match std::fs::read(edit()) {
        Ok(bytes) => modules.push(("typed edit", bytes)),
        Err(error) => eprintln!("typed edit is not measured: {}: {error}", edit().display()),
    }
    for (name, bytes) in &modules {
        let transform = WasmTransform::new(pool(&engine, bytes), BATCH_BYTES, 3);
        assert_eq!(through(&transform, &arrived), arrived.sources.len(), "{name} takes every record");
        group.bench_function(*name, |bencher| bencher.iter(|| black_box(through(&transform, &arrived))));
    }
    group.finish();

    let mut group = criterion.benchmark_group("a fresh instance");
    for (name, bytes) in &modules {
        let pool = pool(&engine, bytes);
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                pool.shrink();
                pool.warm()
            });
        });
    }
    group.finish();
}

fn pool(engine: &Engine, bytes: &[u8]) -> Pool {
    Pool::new(Module::load(engine, bytes, Limits::default()).expect("a module of ours"), Start::default())
}

fn through(transform: &WasmTransform, arrived: &Arrived) -> usize {
    let mut fates = Fates::default();
    let wanted: Arc<[WantedKey]> = [WantedKey { source: KeySource::Lambda, name: "country".to_owned() }].into();
    transform.apply(Records::of(arrived, wanted), arrived, &mut fates).len()
}

fn arrived(bytes: Vec<u8>) -> Arrived {
    let mut start = 0;
    let mut sources = Vec::new();
    for (line, offset) in bytes.split_inclusive(|byte| *byte == b'\n').zip(0..) {
        let end = start + u32::try_from(line.len()).expect("clicks are short");
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span: Span { start, end }, arrival_ms: 1_785_000_000_000, identity });
        start = end;
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

fn edit() -> PathBuf {
    let usual = concat!(env!("CARGO_MANIFEST_DIR"), "/guest/target/modules");
    PathBuf::from(std::env::var("HYDRANT_MODULES").unwrap_or_else(|_| usual.to_owned())).join("edit.wasm")
}

/// Small enough for what is made of it to be memory that the allocator still has.
const INPUT_BYTES: usize = 4 * 1024 * 1024;
const BATCH_BYTES: usize = 1024 * 1024;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = wasm
}
criterion_main!(benches);
