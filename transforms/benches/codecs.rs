//! What packing costs: bytes of click records per second of CPU, and how many times smaller they get.
//!
//! `cargo bench -p hydrant-transforms`. The ratio stands in the name of each line; throughput is input.

mod clicks;
mod cpu_time;

use std::hint::black_box;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hydrant_model::Compression;
use hydrant_transforms::codec;
use hydrant_transforms::compression::{Codec, GzipMembers, Options};

use crate::cpu_time::CpuTime;

fn codecs(criterion: &mut Criterion<CpuTime>) {
    let input = clicks::clicks(1, INPUT_BYTES);
    let mut group = criterion.benchmark_group("codecs");
    group.throughput(Throughput::Bytes(input.len() as u64));
    for (members, engine, levels) in [
        (GzipMembers::One, "gzip zlib-rs", &[1, 2, 3, 4, 5, 6, 9][..]),
        (GzipMembers::Many, "gzip libdeflate", &[1, 2, 3, 4, 5, 6, 9][..]),
    ] {
        for &level in levels {
            let options = Options { gzip_level: level, gzip_members: members, ..options() };
            measure(&mut group, &format!("{engine} {level}"), codec(Compression::Gzip), &options, &input);
        }
    }
    for compression in [Compression::Zip, Compression::Snappy, Compression::HadoopSnappy] {
        measure(&mut group, compression.name(), codec(compression), &options(), &input);
    }
    group.finish();
}

fn measure(group: &mut BenchmarkGroup<'_, CpuTime>, name: &str, codec: &Codec, options: &Options, input: &[u8]) {
    let mut out = Vec::with_capacity(input.len());
    pack(codec, options, input, &mut out);
    // Sizes far below 2^52 and shown to two digits.
    #[expect(clippy::cast_precision_loss, reason = "a ratio shown to two digits")]
    let ratio = input.len() as f64 / out.len() as f64;
    group.bench_function(BenchmarkId::new(name, format!("ratio {ratio:.2}")), |bencher| {
        bencher.iter(|| {
            out.clear();
            pack(codec, options, input, &mut out);
            black_box(out.len())
        });
    });
}

fn pack(codec: &Codec, options: &Options, input: &[u8], out: &mut Vec<u8>) {
    let mut encoder = (codec.open)(options).expect("the options are valid");
    for slice in input.chunks(SLICE_BYTES) {
        encoder.write(slice, out).expect("the engine takes every input");
    }
    encoder.finish(out).expect("the engine takes every input");
}

fn options() -> Options {
    Options::new("5abf82da-0000-4000-8000-000000000001", 1_785_000_000_000)
}

const INPUT_BYTES: usize = 32 * 1024 * 1024;
const SLICE_BYTES: usize = 256 * 1024;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = codecs
}
criterion_main!(benches);
