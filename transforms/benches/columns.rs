//! What it costs to make columns of click records: bytes of JSON per second of CPU.
//!
//! `cargo bench -p hydrant-transforms --bench columns`. Batches are as large as a writer of columnar files takes them.

mod clicks;
mod cpu_time;

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use hydrant_transforms::formats::json::{Decoder, Deserializer, TimestampFormat};
use hydrant_transforms::formats::schema::{Inference, TableSchema};

use crate::cpu_time::CpuTime;

fn columns(criterion: &mut Criterion<CpuTime>) {
    let input = clicks::clicks(1, INPUT_BYTES);
    let records: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let all = TableSchema::from_ddl(CLICKS).expect("the statement is right");
    let few = all.columns().iter().take(4).map(|column| (column.name.clone(), column.hive_type.clone()));
    let few = TableSchema::new(few).expect("four of the columns");
    let mut group = criterion.benchmark_group("columns");
    group.throughput(Throughput::Bytes(input.len() as u64));
    decode(&mut group, "openx, all columns", &all, Deserializer::default(), &records);
    let hive = Deserializer::Hive { timestamp_formats: vec![TimestampFormat::parse("millis").expect("a format")] };
    decode(&mut group, "hive, all columns", &all, hive, &records);
    decode(&mut group, "openx, 4 columns", &few, Deserializer::default(), &records);
    let changing = without_some(&records);
    let changing: Vec<&[u8]> = changing.iter().map(Vec::as_slice).collect();
    decode(&mut group, "openx, members come and go", &all, Deserializer::default(), &changing);
    group.bench_function("inference", |bencher| {
        bencher.iter(|| {
            let mut inference = Inference::new();
            for record in &records {
                inference.record(record);
            }
            black_box(inference.schema())
        });
    });
    group.finish();
}

fn decode(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    schema: &TableSchema,
    deserializer: Deserializer,
    records: &[&[u8]],
) {
    let mut decoder = Decoder::new(schema, deserializer);
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for batch in records.chunks(BATCH_ROWS) {
                for record in batch {
                    decoder.decode(record).expect("clicks fit their schema");
                }
                black_box(decoder.take());
            }
        });
    });
}

/// The records, each without the members whose turn it is: `ref` of every second, `ab` of every third.
fn without_some(records: &[&[u8]]) -> Vec<Vec<u8>> {
    let without = |record: &[u8], name: &str| {
        let text = std::str::from_utf8(record).expect("clicks are text");
        let start = text.find(&format!("\"{name}\":")).expect("every click has it");
        let end = start + text.get(start..).and_then(|rest| rest.find(',')).expect("it is not the last one");
        [&text[..start], &text[end + 1..]].concat().into_bytes()
    };
    let mut out = Vec::with_capacity(records.len());
    for (at, record) in records.iter().enumerate() {
        let mut record = record.to_vec();
        if at % 2 == 0 {
            record = without(&record, "ref");
        }
        if at % 3 == 0 {
            record = without(&record, "ab");
        }
        out.push(record);
    }
    out
}

const CLICKS: &str = "CREATE TABLE clicks (id string, ts timestamp, customer_id bigint, session_id string, type string,
    page string, ref string, sku string, category string, qty int, price double, currency string, country string,
    lang string, ip string, ab string, bot boolean, duration_ms int,
    device struct<os:string,br:string,w:int,mobile:boolean>, ver string)";
const INPUT_BYTES: usize = 32 * 1024 * 1024;
const BATCH_ROWS: usize = 2048;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = columns
}
criterion_main!(benches);
