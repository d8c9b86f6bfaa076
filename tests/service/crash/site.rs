//! An S3 server, a data directory, and streams of every kind.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::check::check;
use super::load::Book;
use super::records::STREAMS;
use crate::harness::{Bucket, Hydrant, Setup, Stream, s3};
use crate::processing::{give_module, processor, processors};
use crate::scripted::{Reply, Request, Server as Scripted};
use crate::server::Server;

/// What is killed, and what it delivers to.
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) bucket: Bucket,
    pub(super) setup: Setup,
    _data: TempDir,
}

impl Site {
    pub(super) async fn new() -> Self {
        let (server, bucket) = s3();
        let data = tempfile::tempdir().expect("a directory");
        provide(data.path());
        // A request of a killed process can be carried out after the next one has asked for its object: then the second one
        // finds it made, and asks again.
        let setup = Setup::new(data.path()).s3(&server.url).expects("S3.PreconditionFailed");
        let setup = setup.arg("--lambda-endpoint", &Scripted::start(judged).url());
        let setup = setup.arg("--glue-endpoint", &Scripted::start(table).url());
        let site = Self { server, bucket, setup, _data: data };
        let hydrant = Hydrant::start(&site.setup).await;
        for stream in [
            Stream::new("small").size(0.02).interval(0.3),
            Stream::new("zipped").with("CompressionFormat", "GZIP").interval(0.0),
            Stream::new("os").setting("Durability", "os").with("CompressionFormat", "Snappy").size(0.05).interval(0.2),
            Stream::new("large").size(6.0).interval(900.0),
            parted().with("CompressionFormat", "HADOOP_SNAPPY"),
            clicks(),
            grown(),
            orc(),
            packed(),
            shelved(),
            sorted(),
        ] {
            hydrant.client.create(&stream).await;
        }
        hydrant.terminate().await;
        site
    }

    /// What the service logs, rightly, while its destination fails.
    pub(super) fn in_trouble(mut self) -> Self {
        self.setup = self.setup.env("HYDRANT_S3_TIMEOUT", "1");
        for text in ["an object was not delivered", "at the deadline", "cannot be aborted"] {
            self.setup = self.setup.expects(text);
        }
        self
    }

    /// Delivers everything and holds it against what was put.
    pub(super) async fn check(self, book: &Book) {
        self.server.judge(None);
        let hydrant = Hydrant::start(&self.setup).await;
        for stream in STREAMS {
            hydrant.client.flush(stream).await;
            let stream = format!("stream=\"{stream}\"");
            assert_eq!(hydrant.client.metric("hydrant_quarantined_bytes_total", &[&stream]).await, 0);
        }
        check(&self.bucket, book);
        hydrant.terminate().await;
        // Its id is in the ledger before its first part leaves, so an upload that nobody knows of has none; a lifecycle rule is
        // what ends it. All others were ended; a part that its server took up late may still lie there.
        let ended = |upload: &str| {
            let asked = format!("uploadId={upload}");
            ["AbortMultipartUpload", "CompleteMultipartUpload"]
                .iter()
                .any(|operation| self.server.seen_of(operation).iter().any(|seen| seen.query.contains(&asked)))
        };
        for upload in self.server.open_uploads() {
            let name = upload.to_string_lossy();
            if let Some((_, of)) = name.split_once(".upload_id-")
                && let Some((id, _)) = of.split_once(".part-")
            {
                assert!(ended(id), "a part was left behind: {name}");
            }
        }
    }
}

/// The module and the tables that streams name.
fn provide(data: &Path) {
    give_module(data);
    let schemas = data.join("schemas");
    std::fs::create_dir_all(&schemas).expect("a directory");
    let clicks = "CREATE TABLE clicks (id string, country string, section string, n bigint, line string)";
    std::fs::write(schemas.join("lake.clicks.sql"), clicks).expect("written");
    let heavy = "CREATE TABLE heavy (id string, n decimal(20,0), line string, tags array<string>)";
    std::fs::write(schemas.join("lake.heavy.sql"), heavy).expect("written");
}

/// A stream with partitions, an error output and a backup of source records.
pub(super) fn parted() -> Stream {
    backed_up(partitioned(), "UNCOMPRESSED").interval(0.8)
}

/// The stream with a backup of its source records.
fn backed_up(stream: Stream, compression: &str) -> Stream {
    let backup = json!({
        "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", "Prefix": format!("backup/{}/", stream.name()),
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "CompressionFormat": compression,
    });
    stream.with("S3BackupMode", "Enabled").with("S3BackupConfiguration", backup)
}

/// The same without a backup, and without hints.
pub(super) fn partitioned() -> Stream {
    by_query("parted", "{p:.p}")
}

/// A stream with partitions by `p` of `query`.
fn by_query(name: &str, query: &str) -> Stream {
    let parameters = [("MetadataExtractionQuery", query), ("JsonParsingEngine", "JQ-1.6")];
    failing(Stream::new(name))
        .with("Prefix", format!("{name}/!{{partitionKeyFromQuery:p}}/"))
        .with("DynamicPartitioningConfiguration", json!({"Enabled": true}))
        .with("ProcessingConfiguration", processors(&[processor("MetadataExtraction", &parameters)]))
}

/// Partitions of ORC with a table that Glue has.
fn shelved() -> Stream {
    let conversion = conversion(Some("shelved"), &json!({"OrcSerDe": {"Compression": "SNAPPY"}}));
    by_query("shelved", "{p:.tags[1]}").with("DataFormatConversionConfiguration", conversion).size(0.3).interval(0.8)
}

/// Partitions of Parquet with a table that is inferred, and grows.
fn sorted() -> Stream {
    let conversion = conversion(None, &json!({"ParquetSerDe": {"Compression": "UNCOMPRESSED"}}));
    by_query("sorted", "{p:type}").with("DataFormatConversionConfiguration", conversion).size(0.3).interval(0.8)
}

/// A module that drops, refuses and gives partition keys, then rows of a table, and a backup: every stage that there is.
fn clicks() -> Stream {
    let lambda = processor("Lambda", &[("LambdaArn", "arn:aws:lambda:us-east-1:000000000000:function:clicks")]);
    backed_up(failing(Stream::new("clicks")), "ZIP")
        .with("Prefix", "clicks/!{partitionKeyFromLambda:country}/!{partitionKeyFromLambda:section}/")
        .with("DynamicPartitioningConfiguration", json!({"Enabled": true}))
        .with("ProcessingConfiguration", processors(&[lambda]))
        .with("DataFormatConversionConfiguration", conversion(Some("clicks"), &json!({"ParquetSerDe": {}})))
        .interval(0.8)
}

/// Rows of a table that is inferred, and grows.
fn grown() -> Stream {
    let conversion = conversion(None, &json!({"ParquetSerDe": {"Compression": "GZIP"}}));
    failing(Stream::new("grown")).with("DataFormatConversionConfiguration", conversion).size(0.1).interval(0.5)
}

/// ORC, of which the objects are uploaded in parts.
fn orc() -> Stream {
    let conversion = conversion(Some("heavy"), &json!({"OrcSerDe": {"Compression": "NONE"}}));
    failing(Stream::new("orc")).with("DataFormatConversionConfiguration", conversion).size(7.0).interval(5.0)
}

/// A subscription of CloudWatch Logs whose messages are taken apart and go through a function behind an endpoint.
fn packed() -> Stream {
    let listed = [
        processor("Decompression", &[("CompressionFormat", "GZIP")]),
        processor("CloudWatchLogProcessing", &[("DataMessageExtraction", "true")]),
        processor("RecordDeAggregation", &[("SubRecordType", "JSON")]),
        processor("Lambda", &[("LambdaArn", "arn:aws:lambda:us-east-1:000000000000:function:judge")]),
        processor("AppendDelimiterToRecord", &[]),
    ];
    failing(Stream::new("packed"))
        .with("ProcessingConfiguration", processors(&listed))
        .with("CompressionFormat", "ZIP")
        .size(0.05)
        .interval(0.5)
}

/// Glue, with one table.
fn table(request: &Request) -> Reply {
    let asked: Value = serde_json::from_slice(&request.body).expect("a question");
    assert_eq!(asked, json!({"DatabaseName": "lake", "Name": "shelved"}));
    let column = |(name, kind): (&str, &str)| json!({"Name": name, "Type": kind});
    let columns = [("id", "string"), ("n", "decimal(20,0)"), ("line", "string"), ("tags", "array<string>")].map(column);
    Reply::json(200, &json!({"Table": {"Name": "shelved", "StorageDescriptor": {"Columns": columns}}}).to_string())
}

/// The function: it drops what says so, refuses what says so, and gives back the rest.
fn judged(request: &Request) -> Reply {
    let event: Value = serde_json::from_slice(&request.body).expect("an event");
    let judge = |record: &Value| {
        let data = record["data"].as_str().expect("text");
        let bytes = base64_simd::STANDARD.decode_to_vec(data).expect("base64");
        let document: Value = serde_json::from_slice(&bytes).expect("JSON");
        json!({ "recordId": record["recordId"], "result": document["verdict"], "data": data })
    };
    let records: Vec<Value> = event["records"].as_array().expect("records").iter().map(judge).collect();
    let body = json!({ "records": records }).to_string();
    // Who asked may have been killed.
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    Reply::Raw((head + &body).into_bytes())
}

/// The stream with an error output of its own.
fn failing(stream: Stream) -> Stream {
    let name = stream.name().to_owned();
    stream.with("ErrorOutputPrefix", format!("errors/{name}/!{{firehose:error-output-type}}/"))
}

fn conversion(table: Option<&str>, serializer: &Value) -> Value {
    let mut conversion = json!({
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": serializer},
    });
    if let Some(table) = table {
        conversion["SchemaConfiguration"] = json!({"RoleARN": ROLE, "DatabaseName": "lake", "TableName": table});
    }
    conversion
}

const ROLE: &str = "arn:aws:iam::000000000000:role/delivery";
