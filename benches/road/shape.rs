//! What a run's stream makes of its records.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// What becomes of records between the log and the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing.
    Bytes,
    /// They are partitioned by three members.
    Keys,
    /// They are partitioned by five thousand values.
    Customers,
    /// They are partitioned by a hundred thousand.
    Moments,
    /// A module takes each one on.
    Module(&'static str),
    /// Rows of a Parquet file.
    Rows,
    /// Rows of a Parquet file of twenty columns of text, packed like this.
    Texts(&'static str),
}

impl Shape {
    /// Whether objects have the bytes that were put.
    pub(crate) fn keeps_bytes(self) -> bool {
        matches!(self, Self::Bytes | Self::Keys | Self::Customers | Self::Moments | Self::Module("echo"))
    }

    /// Adds to the destination what makes records so.
    pub(crate) fn configure(self, destination: &mut Value) {
        let members = match self {
            Self::Bytes => json!({}),
            Self::Keys => partitioned("{country:.country,type:.type,ab:.ab}", &["country", "type", "ab"]),
            Self::Customers => partitioned("{customer:(.customer_id%5000)}", &["customer"]),
            Self::Moments => partitioned("{moment:(.ts%100000)}", &["moment"]),
            Self::Module(name) => {
                let arn = format!("arn:aws:lambda:us-east-1:000000000000:function:{name}");
                processors(&[("Lambda", "LambdaArn", &arn)])
            }
            Self::Rows => rows("clicks", "SNAPPY"),
            Self::Texts(compression) => rows("texts", compression),
        };
        if let (Some(destination), Value::Object(members)) = (destination.as_object_mut(), members) {
            destination.extend(members);
        }
    }
}

fn rows(table: &str, compression: &str) -> Value {
    json!({"DataFormatConversionConfiguration": {
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "bench", "TableName": table},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": compression}}},
    }})
}

fn partitioned(query: &str, keys: &[&str]) -> Value {
    let query = ("MetadataExtraction", "MetadataExtractionQuery", query);
    let mut members = processors(&[query]);
    let prefix: Vec<_> = keys.iter().map(|key| format!("{key}=!{{partitionKeyFromQuery:{key}}}/")).collect();
    if let Some(processors) = members.pointer_mut("/ProcessingConfiguration/Processors/0/Parameters") {
        *processors = json!([
            {"ParameterName": "MetadataExtractionQuery", "ParameterValue": query.2},
            {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
        ]);
    }
    if let Some(members) = members.as_object_mut() {
        members.insert("Prefix".to_owned(), prefix.concat().into());
        members.insert("ErrorOutputPrefix".to_owned(), "errors/!{firehose:error-output-type}/".into());
        members.insert("DynamicPartitioningConfiguration".to_owned(), json!({"Enabled": true}));
    }
    members
}

fn processors(given: &[(&str, &str, &str)]) -> Value {
    let processors = given.iter().map(
        |(kind, name, value)| json!({"Type": kind, "Parameters": [{"ParameterName": name, "ParameterValue": value}]}),
    );
    json!({"ProcessingConfiguration": {"Enabled": true, "Processors": processors.collect::<Vec<_>>()}})
}

/// Puts into a data directory what shapes need: tables, and modules.
pub(crate) fn furnish(data: &Path, shape: Shape) -> anyhow::Result<()> {
    let (schemas, modules) = (data.join("schemas"), data.join("modules"));
    std::fs::create_dir_all(&schemas)?;
    std::fs::create_dir_all(&modules)?;
    std::fs::write(schemas.join("bench.clicks.sql"), CLICKS)?;
    let columns: Vec<_> = (1..TEXT_COLUMNS).map(|number| format!("c{number} string")).collect();
    std::fs::write(schemas.join("bench.texts.sql"), format!("CREATE TABLE texts (id string, {})", columns.join(", ")))?;
    match shape {
        Shape::Module("echo") => {
            std::fs::write(modules.join("echo.wasm"), crate::guests::judging(crate::guests::ECHO))?;
        }
        Shape::Module(name) => {
            let from = std::env::var_os("HYDRANT_BENCH_MODULES").map(PathBuf::from);
            let from = from.unwrap_or_else(|| PathBuf::from("transforms/guest/target/modules"));
            let file = from.join(format!("{name}.wasm"));
            ensure!(file.is_file(), "{} is missing; transforms/guest/build.sh --rust builds it", file.display());
            std::fs::copy(&file, modules.join(format!("{name}.wasm"))).context("copying a module")?;
        }
        _ => {}
    }
    Ok(())
}

/// Columns of a table of texts.
pub(crate) const TEXT_COLUMNS: u64 = 20;
const ROLE: &str = "arn:aws:iam::000000000000:role/bench";
const CLICKS: &str = "CREATE TABLE clicks (
    id string, ts bigint, customer_id bigint, session_id string, type string, page string, ref string, sku string,
    category string, qty int, price double, currency string, country string, lang string, ip string, ab string, bot boolean,
    duration_ms int, device struct<os:string,br:string,w:int,mobile:boolean>, ver string)";
