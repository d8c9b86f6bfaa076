//! Format conversion, from a request to the table: what is accepted, stored and described, and where tables are found.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Client, Hydrant, Refusal, Setup, Stream, checked, refused, until_true};
use crate::scripted::{Reply, Request, Server};

const ROLE: &str = "arn:aws:iam::000000000000:role/delivery";
const CONVERSION: &str = "DataFormatConversionConfiguration";
const DDL: &str = "CREATE TABLE clicks (page string, at timestamp)";

/// A data directory with its schemas.
struct Bench {
    data: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let bench = Self { data: tempfile::tempdir().expect("a directory") };
        for folder in ["schemas", "files"] {
            std::fs::create_dir_all(bench.data.path().join(folder)).expect("a directory");
        }
        bench
    }

    fn setup(&self) -> Setup {
        Setup::new(self.data.path())
    }

    /// The same with stream files.
    fn with_files(&self) -> Setup {
        self.setup().arg("--streams", self.files().to_str().expect("text"))
    }

    fn files(&self) -> PathBuf {
        self.data.path().join("files")
    }

    fn schema(&self, name: &str, text: &str) -> PathBuf {
        write(&self.data.path().join("schemas").join(name), text)
    }
}

fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).expect("written");
    path.to_owned()
}

fn table(name: &str) -> Value {
    json!({ "RoleARN": ROLE, "DatabaseName": "sales", "TableName": name })
}

fn conversion() -> Value {
    json!({
        "SchemaConfiguration": table("clicks"),
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}}
    })
}

/// The conversion with another value at `pointer`.
fn conversion_with(pointer: &str, value: Value) -> Value {
    let mut conversion = conversion();
    *conversion.pointer_mut(pointer).expect("a member") = value;
    conversion
}

fn stream(name: &str) -> Stream {
    Stream::new(name).with(CONVERSION, conversion())
}

async fn refusal(client: &Client, stream: &Stream) -> Refusal {
    client.call("CreateDeliveryStream", &stream.request()).await.expect_err("refused")
}

async fn described(client: &Client, name: &str) -> Value {
    client.describe(name).await.expect("a stream")["Destinations"][0]["ExtendedS3DestinationDescription"].take()
}

async fn update(client: &Client, name: &str, version: &str, update: &Value) -> Result<Value, Refusal> {
    let request = json!({
        "DeliveryStreamName": name, "CurrentDeliveryStreamVersionId": version,
        "DestinationId": "destinationId-000000000001", "ExtendedS3DestinationUpdate": update,
    });
    client.call("UpdateDestination", &request).await
}

#[tokio::test]
async fn a_converting_stream_is_stored_with_its_defaults_and_survives_a_restart() {
    let bench = Bench::new();
    bench.schema("sales.clicks.sql", DDL);
    let hydrant = Hydrant::start(&bench.setup()).await;
    let backup = json!({ "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket", "Prefix": "raw/" });
    hydrant.client.create(&stream("s").with("S3BackupMode", "Enabled").with("S3BackupConfiguration", backup)).await;
    let before = described(&hydrant.client, "s").await;
    let mut expected = conversion();
    expected["Enabled"] = json!(true);
    assert_eq!(before[CONVERSION], expected);
    assert_eq!(before["BufferingHints"], json!({"SizeInMBs": 128, "IntervalInSeconds": 300}));
    assert_eq!(before["S3BackupDescription"]["BufferingHints"], json!({"SizeInMBs": 5, "IntervalInSeconds": 300}));
    assert_eq!(before["CompressionFormat"], "UNCOMPRESSED");
    hydrant.terminate().await;
    // Whatever the rules are then.
    let hydrant = Hydrant::start(&bench.setup().flag("--strict")).await;
    assert_eq!(described(&hydrant.client, "s").await, before);
    hydrant.terminate().await;
}

#[tokio::test]
async fn each_rule_is_told_by_its_message() {
    let bench = Bench::new();
    bench.schema("sales.clicks.sql", DDL);
    let hydrant = Hydrant::start(&bench.setup().flag("--strict")).await;
    let hints = |megabytes: u64| json!({ "SizeInMBs": megabytes, "IntervalInSeconds": 300 });
    let (input, output) = ("/InputFormatConfiguration", "/OutputFormatConfiguration");
    let (deserializer, serializer) =
        ("/InputFormatConfiguration/Deserializer", "/OutputFormatConfiguration/Serializer");
    let converting = |conversion: Value| Stream::new("s").with(CONVERSION, conversion);
    let orc = |options: Value| json!({ "OrcSerDe": options });
    for (stream, message) in [
        (
            stream("s").with("CompressionFormat", "GZIP"),
            "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is enabled",
        ),
        (
            stream("s").with("BufferingHints", hints(63)),
            "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.",
        ),
        (converting(conversion_with(input, Value::Null)), "InputFormatConfiguration must not be null"),
        (converting(conversion_with(output, Value::Null)), "OutputFormatConfiguration must not be null"),
        (converting(conversion_with("/SchemaConfiguration", Value::Null)), "SchemaConfiguration must not be null"),
        (converting(conversion_with(deserializer, json!({}))), "Deserializer must not be null"),
        (converting(conversion_with(serializer, json!({}))), "Serializer must not be null"),
        (
            converting(conversion_with(deserializer, json!({"OpenXJsonSerDe": {}, "HiveJsonSerDe": {}}))),
            "More than one deserializer specified. Only one may be chosen.",
        ),
        (
            converting(conversion_with(serializer, json!({"OrcSerDe": {}, "ParquetSerDe": {}}))),
            "More than one serializer specified. Only one may be chosen.",
        ),
        (
            converting(conversion_with(deserializer, json!({"HiveJsonSerDe": {"TimestampFormats": ["yyyy-'MM"]}}))),
            "Invalid deserializer option(s): ",
        ),
        (converting(conversion_with(serializer, orc(json!({"EnablePadding": true})))), "EnablePadding must be "),
        (
            converting(conversion_with("/SchemaConfiguration/RoleARN", Value::Null)),
            "SchemaConfiguration.RoleArn must not be null or empty",
        ),
        (
            converting(conversion_with("/SchemaConfiguration/RoleARN", json!("arn:aws:iam::111111111111:role/other"))),
            "Cross-account pass role is not allowed.",
        ),
        (
            converting(conversion_with(serializer, orc(json!({"BloomFilterColumns": ["other"]})))),
            "Table sales.clicks: BloomFilterColumns must be ",
        ),
    ] {
        let told = refusal(&hydrant.client, &stream).await;
        assert_eq!(told.code, "InvalidArgumentException", "{message}");
        assert!(told.message.starts_with(message), "{} instead of {message}", told.message);
    }
    let constrained = conversion_with(serializer, json!({"ParquetSerDe": {"PageSizeBytes": 1}}));
    assert_eq!(refusal(&hydrant.client, &converting(constrained)).await.code, "ValidationException");
    hydrant.terminate().await;
}

#[tokio::test]
async fn what_is_off_is_not_looked_at_and_kept() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup().flag("--strict")).await;
    let mut off = conversion_with("/OutputFormatConfiguration/Serializer", json!({}));
    off["Enabled"] = json!(false);
    hydrant.client.create(&Stream::new("off").with(CONVERSION, off.clone()).with("CompressionFormat", "GZIP")).await;
    let stored = described(&hydrant.client, "off").await;
    let hints = json!({ "SizeInMBs": 5, "IntervalInSeconds": 300 });
    assert_eq!((&stored[CONVERSION], &stored["BufferingHints"]), (&off, &hints));
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_table_must_be_there_when_a_stream_is_created() {
    let bench = Bench::new();
    let hydrant = Hydrant::start(&bench.setup()).await;
    let client = &hydrant.client;
    let told = refusal(client, &stream("s")).await;
    assert_eq!((told.status, told.code.as_str()), (400, "InvalidArgumentException"));
    for part in [
        "EntityNotFoundException",
        "/schemas (sales.clicks or sales/clicks",
        "put sales.clicks.json",
        "--glue-endpoint",
    ] {
        assert!(told.message.contains(part), "{part}: {}", told.message);
    }
    let file = bench.schema("sales.clicks.sql", "CREATE TABLE t (\n  page text\n)");
    let told = refusal(client, &stream("s")).await;
    assert!(told.message.contains("sales.clicks.sql: ") && told.message.contains("page"), "{}", told.message);
    let elsewhere = stream("s").with(CONVERSION, conversion_with("/SchemaConfiguration/TableName", json!("../clicks")));
    let told = refusal(client, &elsewhere).await;
    assert!(told.message.contains("No file can stand in for it"), "{}", told.message);
    assert_eq!(client.describe("s").await, None);
    write(&file, DDL);
    client.create(&stream("s")).await;
    client
        .create(&Stream::new("inferred").with(CONVERSION, {
            let mut inferred = conversion();
            inferred.as_object_mut().expect("members").remove("SchemaConfiguration");
            inferred
        }))
        .await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn an_update_is_merged_and_looks_at_the_table_where_it_changes_the_conversion() {
    let bench = Bench::new();
    let file = bench.schema("sales.clicks.sql", DDL);
    let hydrant = Hydrant::start(&bench.setup()).await;
    let client = &hydrant.client;
    client.create(&stream("s")).await;
    let orc =
        json!({ CONVERSION: {"OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {"Compression": "ZLIB"}}}} });
    update(client, "s", "1", &orc).await.expect("updated");
    let mut expected = conversion();
    expected["Enabled"] = json!(true);
    expected["OutputFormatConfiguration"] = json!({"Serializer": {"OrcSerDe": {"Compression": "ZLIB"}}});
    assert_eq!(described(client, "s").await[CONVERSION], expected);
    let other = json!({ CONVERSION: {"SchemaConfiguration": {"TableName": "orders"}} });
    let told = update(client, "s", "2", &other).await.expect_err("there is no such table");
    assert_eq!(told.code, "InvalidArgumentException");
    assert!(told.message.starts_with("Table sales.orders: Entity Not Found"), "{}", told.message);
    assert_eq!(described(client, "s").await[CONVERSION], expected);
    bench.schema("sales.orders.sql", DDL);
    update(client, "s", "2", &other).await.expect("updated");
    expected["SchemaConfiguration"]["TableName"] = json!("orders");
    assert_eq!(described(client, "s").await[CONVERSION], expected);
    let stale = update(client, "s", "2", &other).await.expect_err("another version");
    assert_eq!(stale.code, "ConcurrentModificationException");
    let compressed = update(client, "s", "3", &json!({"CompressionFormat": "GZIP"})).await.expect_err("refused");
    assert!(compressed.message.contains("must be set to UNCOMPRESSED"), "{}", compressed.message);
    std::fs::remove_file(file).expect("removed");
    std::fs::remove_file(bench.data.path().join("schemas/sales.orders.sql")).expect("removed");
    update(client, "s", "3", &json!({"Prefix": "new/"})).await.expect("the table is not looked at");
    update(client, "s", "4", &json!({ CONVERSION: {"Enabled": false} })).await.expect("nor where it is switched off");
    expected["Enabled"] = json!(false);
    assert_eq!(described(client, "s").await[CONVERSION], expected);
    hydrant.terminate().await;
}

/// Glue with one table, that takes signed questions for it and no others. What it says instead can be put in its way.
fn glue(instead: &Arc<Mutex<Option<(u16, Value)>>>) -> Server {
    let instead = Arc::clone(instead);
    Server::start(move |request: &Request| {
        let header = |name: &str| {
            request.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value.as_str())
        };
        let (status, answer) = if let Some(instead) = instead.lock().expect("a lock").clone() {
            instead
        } else if !header("authorization").contains("/us-east-1/glue/aws4_request") {
            (400, json!({"__type": "MissingAuthenticationTokenException", "message": "Missing Authentication Token"}))
        } else if (request.method.as_str(), request.target.as_str()) != ("POST", "/")
            || header("content-type") != "application/x-amz-json-1.1"
        {
            (404, json!({"__type": "UnknownOperationException"}))
        } else {
            let document: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let columns = json!([{"Name": "page", "Type": "string"}]);
            let table = json!({"Name": "clicks", "StorageDescriptor": {"Columns": columns}});
            match header("x-amz-target") {
                "AWSGlue.GetTable" if document == json!({"DatabaseName": "sales", "Name": "clicks"}) => {
                    (200, json!({ "Table": table }))
                }
                "AWSGlue.GetTableVersion" => {
                    (400, json!({"__type": "EntityNotFoundException", "Message": "Version not found."}))
                }
                _ => (400, json!({"__type": "EntityNotFoundException", "Message": "Entity Not Found"})),
            }
        };
        Reply::json(status, &answer.to_string())
    })
}

#[tokio::test]
async fn what_has_no_file_is_asked_of_glue() {
    let bench = Bench::new();
    let instead = Arc::default();
    let server = glue(&instead);
    let setup = bench.setup().arg("--glue-endpoint", &server.url());
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    let say = |answer: Option<(u16, Value)>| *instead.lock().expect("a lock") = answer;
    let of_table =
        |name: &str| Stream::new("s").with(CONVERSION, conversion_with("/SchemaConfiguration/TableName", json!(name)));
    let told = refusal(client, &of_table("orders")).await;
    assert_eq!(told.code, "InvalidArgumentException");
    assert!(
        told.message.starts_with("Table sales.orders: Entity Not Found (Service: AWSGlue; Status Code: 400; "),
        "{told:?}"
    );
    assert!(told.message.contains("put sales.orders.json there"), "{told:?}");
    let mut third = conversion();
    third["SchemaConfiguration"]["VersionId"] = json!("3");
    let told = refusal(client, &Stream::new("s").with(CONVERSION, third)).await;
    assert!(told.message.starts_with("Table sales.clicks@3: Version not found."), "{told:?}");
    say(Some((400, json!({"__type": "AccessDeniedException", "Message": "not authorized to perform: glue:GetTable"}))));
    let told = refusal(client, &stream("s")).await;
    assert!(
        told.message.contains("Access was denied when calling Glue. ") && told.message.contains("not authorized"),
        "{told:?}"
    );
    say(None);
    let before = server.requests().len();
    client.create(&stream("s")).await;
    client.create(&stream("t")).await;
    assert_eq!(server.requests().len(), before + 1, "one question for both");
    bench.schema("sales.orders.sql", DDL);
    let orders = conversion_with("/SchemaConfiguration/TableName", json!("orders"));
    client.create(&Stream::new("u").with(CONVERSION, orders)).await;
    assert_eq!(server.requests().len(), before + 1, "a file comes first");
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_stream_file_without_its_table_or_module_refuses_the_start_while_the_stream_is_new() {
    let bench = Bench::new();
    let lambda = json!({"Enabled": true, "Processors": [{"Type": "Lambda", "Parameters": [{
        "ParameterName": "LambdaArn", "ParameterValue": "arn:aws:lambda:us-east-1:000000000000:function:clicks"}]}]});
    write(&bench.files().join("s.json"), &stream("s").file());
    write(&bench.files().join("t.json"), &Stream::new("t").with("ProcessingConfiguration", lambda).file());
    let (code, said) = refused(&bench.with_files()).await;
    assert_eq!(code, 3, "{said}");
    let member = "ExtendedS3DestinationConfiguration";
    for part in [
        format!("s.json: {member}.DataFormatConversionConfiguration: Table sales.clicks: Entity Not Found"),
        format!("t.json: {member}.ProcessingConfiguration: LambdaArn "),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let (code, said) = checked(&bench.with_files(), &["--reach"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("s.json: ExtendedS3DestinationConfiguration.DataFormatConversionConfiguration: Table"),
        "{said}"
    );
    std::fs::remove_file(bench.files().join("t.json")).expect("removed");
    let schema = bench.schema("sales.clicks.sql", DDL);
    let (code, said) = checked(&bench.with_files(), &["--reach"]).await;
    assert_eq!(code, 0, "{said}");
    Hydrant::start(&bench.with_files()).await.terminate().await;
    std::fs::remove_file(schema).expect("removed");
    // It is there, and waits.
    let hydrant = Hydrant::start(&bench.with_files().expects("a stream file was not applied")).await;
    assert!(hydrant.client.describe("s").await.is_some());
    write(&bench.files().join("new.json"), &stream("new").file());
    hydrant.hang_up();
    until_true("the file is refused", || {
        hydrant.log_text().contains("new.json: ExtendedS3DestinationConfiguration.Data")
    })
    .await;
    assert_eq!(hydrant.client.describe("new").await, None);
    bench.schema("sales.clicks.sql", DDL);
    hydrant.hang_up();
    until_true("the file is applied", || hydrant.log_text().contains("created from a stream file stream=new")).await;
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_glue_that_cannot_be_reached_refuses_a_request_and_not_the_start() {
    let bench = Bench::new();
    write(&bench.files().join("s.json"), &stream("s").file());
    let setup = bench.with_files().arg("--glue-endpoint", &crate::scripted::nobody());
    let hydrant = Hydrant::start(&setup.expects("records of a new stream wait for what it needs")).await;
    assert!(hydrant.client.describe("s").await.is_some());
    let told = refusal(&hydrant.client, &stream("t")).await;
    assert_eq!(told.code, "InvalidArgumentException");
    assert!(told.message.contains("did not give it"), "{told:?}");
    hydrant.terminate().await;
}

/// The columns that the status of a stream shows, with the table's id.
async fn shown(client: &Client, name: &str) -> Option<(String, Vec<String>)> {
    let schema = client.status(name).await.get("schema").cloned()?;
    let column = |it: &Value| format!("{} {}", it["name"].as_str().expect("text"), it["type"].as_str().expect("text"));
    let columns = schema["columns"].as_array().expect("columns").iter().map(column).collect();
    Some((schema["id"].as_str().expect("text").to_owned(), columns))
}

#[tokio::test]
async fn the_table_in_use_is_shown_and_grows_with_the_records() {
    let bench = Bench::new();
    bench.schema("sales.clicks.sql", DDL);
    let hydrant = Hydrant::start(&bench.setup()).await;
    let client = &hydrant.client;
    let mut inferred = conversion();
    inferred.as_object_mut().expect("members").remove("SchemaConfiguration");
    client.create(&Stream::new("inferred").with(CONVERSION, inferred)).await;
    client.create(&stream("named")).await;
    client.create(&Stream::new("plain")).await;
    for name in ["inferred", "named", "plain"] {
        assert_eq!(shown(client, name).await, None, "nothing became a row yet");
        client.put_lines(name, "{\"page\":\"/\",\"n\":1}\n").await;
        client.flush(name).await;
    }
    assert_eq!(shown(client, "plain").await, None);
    let (_, columns) = shown(client, "named").await.expect("a table");
    assert_eq!(columns, ["page string", "at timestamp"]);
    let (first, columns) = shown(client, "inferred").await.expect("a table");
    assert_eq!(columns, ["page string", "n bigint"]);
    client.put_lines("inferred", "{\"page\":\"/\",\"who\":{\"name\":\"ada\",\"tags\":[\"new\"]},\"n\":2}\n").await;
    client.flush("inferred").await;
    let grown = shown(client, "inferred").await.expect("a table");
    assert_eq!(grown.1, ["page string", "n bigint", "who struct<name:string,tags:array<string>>"]);
    assert_ne!(grown.0, first, "another table has another id");
    let (_, all) = client.get("/streams").await;
    assert!(!all.contains("schema"), "{all}");
    hydrant.terminate().await;

    let hydrant = Hydrant::start(&bench.setup()).await;
    let client = &hydrant.client;
    assert_eq!(shown(client, "inferred").await, Some(grown.clone()), "the table is kept with the stream");
    client.put_lines("inferred", "{\"page\":\"/\"}\n").await;
    client.flush("inferred").await;
    assert_eq!(shown(client, "inferred").await, Some(grown), "what a record leaves out stays");
    client.update("inferred", &json!({ CONVERSION: {"Enabled": false} })).await;
    assert_eq!(shown(client, "inferred").await, None, "records are delivered as they are");
    hydrant.terminate().await;
}
