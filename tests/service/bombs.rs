//! Records that are more than they look: four dozen that unpack to a thousand times their size, and thousands with a column each.
//! Memory does not grow with what they hold.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use hydrant_model::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::json;

use crate::harness::{Bucket, Hydrant, Setup, Stream, until};
use crate::processing::{processor, processors};
use crate::unpack::unpack;

/// As large as a record may become.
const UNPACKED_BYTES: usize = 10 * 1024 * 1024;
const RECORDS: usize = 48;
/// What they may take: a quarter of what they hold. One lot of them was all of it, several times.
const MOST_BYTES: u64 = (RECORDS * UNPACKED_BYTES / 4) as u64;

/// What they may leave behind.
const MOST_IDLE_BYTES: u64 = 32 << 20;

/// `{"k":"a","v":"   …   "}`
fn bomb() -> Vec<u8> {
    let (head, tail) = (br#"{"k":"a","v":""#, br#""}"#);
    let mut packing = GzEncoder::new(Vec::new(), Level::best());
    packing.write_all(head).expect("memory");
    packing.write_all(&vec![b' '; UNPACKED_BYTES - head.len() - tail.len()]).expect("memory");
    packing.write_all(tail).expect("memory");
    packing.finish().expect("memory")
}

/// A stream that unpacks, into objects that are packed again; by a key of the records, if there is a query.
fn stream(name: &str, query: Option<&str>) -> Stream {
    let mut listed =
        vec![processor("Decompression", &[("CompressionFormat", "GZIP")]), processor("AppendDelimiterToRecord", &[])];
    let mut stream =
        Stream::new(name).with("CompressionFormat", "GZIP").with("ErrorOutputPrefix", format!("errors/{name}/"));
    if let Some(query) = query {
        listed.push(processor(
            "MetadataExtraction",
            &[("MetadataExtractionQuery", query), ("JsonParsingEngine", "JQ-1.6")],
        ));
        stream = stream
            .with("Prefix", format!("{name}/!{{partitionKeyFromQuery:k}}/"))
            .with("DynamicPartitioningConfiguration", json!({ "Enabled": true }));
    }
    stream.with("ProcessingConfiguration", processors(&listed)).interval(900.0)
}

#[tokio::test]
async fn a_batch_of_bombs_takes_as_much_memory_as_a_few_of_them() {
    let data = tempfile::tempdir().expect("a directory");
    let bucket = Bucket::new(&data.path().join("objects"), "bucket");
    let setup = Setup::new(data.path());
    let bomb = bomb();
    let records = vec![json!({ "Data": base64_simd::STANDARD.encode_to_string(&bomb) }); RECORDS];
    for (name, query) in [("together", None), ("apart", Some("{k:.k}"))] {
        let hydrant = Hydrant::start(&setup).await;
        let before = hydrant.peak_bytes();
        hydrant.client.create(&stream(name, query)).await;
        let batch = json!({ "DeliveryStreamName": name, "Records": records });
        let answer = hydrant.client.call("PutRecordBatch", &batch).await.expect("accepted");
        assert_eq!(answer["FailedPutCount"], 0, "{answer}");
        // They are there again when it starts, and it must not be killed by them for ever.
        hydrant.kill().await;
        let hydrant = Hydrant::start(&setup).await;
        hydrant.client.flush(name).await;
        // What was freed is given back while nothing is done.
        until("little memory", async || {
            let resident = hydrant.client.metric("process_resident_memory_bytes", &[]).await;
            (resident <= before + MOST_IDLE_BYTES).then_some(())
        })
        .await;
        let peak = hydrant.peak_bytes();
        println!("{name}: {RECORDS} records of {} bytes: {before} bytes before, {peak} at most", bomb.len());
        assert!(peak <= before + MOST_BYTES, "{name}: {before} bytes before, {peak} at most");
        let came = hydrant.client.metric("hydrant_processor_records_in_total", &["processor=\"Decompression\""]).await;
        assert_eq!(came, RECORDS as u64, "{name}: each is counted once");
        hydrant.terminate().await;
        let (mut lines, mut bytes) = (0, 0);
        for object in bucket.objects(&format!("{name}/")) {
            unpack(Compression::Gzip, &object.bytes, &mut |piece| {
                lines += piece.split(|byte| *byte == b'\n').count() - 1;
                bytes += piece.len();
            });
        }
        assert_eq!((lines, bytes), (RECORDS, RECORDS * (UNPACKED_BYTES + 1)), "{name}");
        assert_eq!(bucket.keys("errors/"), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn a_key_for_each_record_makes_a_table_that_fits_into_memory() {
    let data = tempfile::tempdir().expect("a directory");
    let bucket = Bucket::new(&data.path().join("objects"), "bucket");
    let hydrant = Hydrant::start(&Setup::new(data.path()).expects("as many columns as it may")).await;
    let before = hydrant.peak_bytes();
    let conversion = json!({
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
    });
    let stream = Stream::new("wide").with("DataFormatConversionConfiguration", conversion).interval(900.0);
    hydrant.client.create(&stream).await;
    let lines: Vec<String> = (0..3_000).map(|user| format!("{{\"user_{user}\":{user}}}\n")).collect();
    hydrant.client.put_lines("wide", &lines.concat()).await;
    hydrant.client.flush("wide").await;
    let peak = hydrant.peak_bytes();
    println!("3,000 keys: {before} bytes before, {peak} at most");
    assert!(peak <= before + MOST_BYTES, "{before} bytes before, {peak} at most");
    let object = bucket.only("wide/");
    let reader = SerializedFileReader::new(Bytes::from(object.bytes)).expect("Parquet");
    let file = reader.metadata();
    assert_eq!((file.file_metadata().num_rows(), file.num_row_groups()), (3_000, 1));
    assert_eq!(file.file_metadata().schema().get_fields().len(), 1_000);
    hydrant.terminate().await;
}
