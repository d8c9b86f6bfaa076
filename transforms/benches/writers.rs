//! What writing columnar files costs: bytes of JSON, as the click records came, per second of CPU, and how many times smaller
//! the files are.
//!
//! `cargo bench -p hydrant-transforms --bench writers`. The ratio stands in the name of each line, and behind it the most that
//! the writer said to hold; throughput is JSON. Records are columns already when the clock starts.

mod clicks;
mod cpu_time;

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, StructArray,
    TimestampNanosecondArray,
};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hydrant_transforms::formats::{ColumnWriter, orc, parquet};
use serde_json::Value;

use crate::cpu_time::CpuTime;

fn writers(criterion: &mut Criterion<CpuTime>) {
    let input = clicks::clicks(1, INPUT_BYTES);
    let schema = schema();
    let records: Vec<_> = input.split(|byte| *byte == b'\n').filter(|record| !record.is_empty()).collect();
    let batches: Vec<_> = records.chunks(BATCH_ROWS).map(|records| batch(&schema, records)).collect();
    let mut group = criterion.benchmark_group("writers");
    group.throughput(Throughput::Bytes(input.len() as u64));
    for (name, options) in parquets() {
        let limit = parquet::most_memory(&options, &schema);
        let open = || parquet::open(&schema, &options, limit).expect("the options are valid");
        measure(&mut group, &format!("parquet {name}"), open, &batches, input.len());
    }
    for (name, options) in orcs() {
        let limit = orc::most_memory(&options, &schema);
        let open = || orc::open(&schema, &options, limit).expect("the options are valid");
        measure(&mut group, &format!("orc {name}"), open, &batches, input.len());
    }
    group.finish();
}

fn parquets() -> [(&'static str, parquet::Options); 6] {
    use parquet::{Compression, Options, WriterVersion};

    let usual = Options::default;
    [
        ("snappy", usual()),
        ("snappy, all dictionaries", Options { enable_dictionary_compression: Some(true), ..usual() }),
        ("snappy, no dictionaries", Options { enable_dictionary_compression: Some(false), ..usual() }),
        ("snappy v2", Options { writer_version: WriterVersion::V2, ..usual() }),
        ("uncompressed", Options { compression: Compression::Uncompressed, ..usual() }),
        ("gzip", Options { compression: Compression::Gzip, ..usual() }),
    ]
}

fn orcs() -> [(&'static str, orc::Options); 5] {
    use orc::{Compression, Options};

    let usual = Options::default;
    [
        ("snappy", usual()),
        ("snappy, dictionaries", Options { dictionary_key_threshold: 0.5, ..usual() }),
        ("snappy, bloom filter", Options { bloom_filter_columns: vec!["id".to_owned()], ..usual() }),
        ("none", Options { compression: Compression::None, ..usual() }),
        ("zlib", Options { compression: Compression::Zlib, ..usual() }),
    ]
}

fn measure(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    open: impl Fn() -> Box<dyn ColumnWriter>,
    batches: &[RecordBatch],
    input_bytes: usize,
) {
    let mut out = Vec::with_capacity(input_bytes);
    let most = write(open(), batches, &mut out);
    // Sizes far below 2^52 and shown to two digits.
    #[expect(clippy::cast_precision_loss, reason = "figures shown to two digits")]
    let told = format!("ratio {:.2}, {:.1} MB held", input_bytes as f64 / out.len() as f64, most as f64 / 1e6);
    group.bench_function(BenchmarkId::new(name, told), |bencher| {
        bencher.iter(|| {
            out.clear();
            write(open(), batches, &mut out);
            black_box(out.len())
        });
    });
}

/// The most that the writer held between two batches.
fn write(mut writer: Box<dyn ColumnWriter>, batches: &[RecordBatch], out: &mut Vec<u8>) -> usize {
    let mut most = 0;
    for batch in batches {
        writer.write(batch, out).expect("batches of the schema");
        most = most.max(writer.memory_bytes());
    }
    writer.finish(out).expect("the file is whole");
    most
}

/// As a table over the click records has it.
fn schema() -> SchemaRef {
    let text = || DataType::Utf8;
    let device = [("os", text()), ("br", text()), ("w", DataType::Int32), ("mobile", DataType::Boolean)];
    let columns = [
        ("id", text()),
        ("ts", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("customer_id", DataType::Int64),
        ("session_id", text()),
        ("type", text()),
        ("page", text()),
        ("ref", text()),
        ("sku", text()),
        ("category", text()),
        ("qty", DataType::Int32),
        ("price", DataType::Float64),
        ("currency", text()),
        ("country", text()),
        ("lang", text()),
        ("ip", text()),
        ("ab", text()),
        ("bot", DataType::Boolean),
        ("duration_ms", DataType::Int32),
        ("device", DataType::Struct(fields(device))),
        ("ver", text()),
    ];
    Arc::new(Schema::new(fields(columns)))
}

fn fields<const N: usize>(columns: [(&str, DataType); N]) -> Fields {
    columns.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect()
}

fn batch(schema: &SchemaRef, records: &[&[u8]]) -> RecordBatch {
    let parsed = |record: &&[u8]| serde_json::from_slice(record).expect("a record is JSON");
    let rows: Vec<Value> = records.iter().map(parsed).collect();
    let rows: Vec<_> = rows.iter().collect();
    RecordBatch::try_new(Arc::clone(schema), arrays(schema.fields(), &rows)).expect("arrays of the schema's types")
}

fn arrays(fields: &Fields, rows: &[&Value]) -> Vec<ArrayRef> {
    let columns = fields.iter().map(|field| {
        let values: Vec<_> = rows.iter().map(|row| row.get(field.name()).unwrap_or(&Value::Null)).collect();
        array(field.data_type(), &values)
    });
    columns.collect()
}

fn array(data_type: &DataType, values: &[&Value]) -> ArrayRef {
    let integers = || values.iter().map(|value| value.as_i64());
    match data_type {
        DataType::Utf8 => Arc::new(values.iter().map(|value| value.as_str()).collect::<StringArray>()),
        DataType::Int64 => Arc::new(integers().collect::<Int64Array>()),
        DataType::Int32 => Arc::new(integers().map(|value| value?.try_into().ok()).collect::<Int32Array>()),
        DataType::Float64 => Arc::new(values.iter().map(|value| value.as_f64()).collect::<Float64Array>()),
        DataType::Boolean => Arc::new(values.iter().map(|value| value.as_bool()).collect::<BooleanArray>()),
        DataType::Timestamp(..) => {
            let nanos = integers().map(|millis| Some(millis? * 1_000_000));
            Arc::new(nanos.collect::<TimestampNanosecondArray>())
        }
        DataType::Struct(fields) => Arc::new(StructArray::new(fields.clone(), arrays(fields, values), None)),
        other => panic!("{other} is in no click record"),
    }
}

const INPUT_BYTES: usize = 128 * 1024 * 1024;

/// What the columns of a batch take is what the cache holds.
const BATCH_ROWS: usize = 1_024;

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(10);
    targets = writers
}
criterion_main!(benches);
