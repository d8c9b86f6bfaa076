//! The demo's two delivery streams: what a request says of each.

use serde_json::{Value, json};

use super::objects::Form;

/// A delivery stream, by what it is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    /// Records as they are, packed: lines in folders of the hour.
    Clicks,
    /// Records through a transform module, which gives each its partition; columns in folders of what the clicks are about.
    Shop,
}

impl Stream {
    /// In the order in which they are shown.
    pub(super) const ALL: [Self; 2] = [Self::Clicks, Self::Shop];

    /// Its name, and its folder in the bucket.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Shop => "shop",
        }
    }

    /// What its objects are.
    pub(super) fn form(self) -> Form {
        match self {
            Self::Clicks => Form::Lines,
            Self::Shop => Form::Rows,
        }
    }

    /// What is said when it has been created.
    pub(super) fn summary(self) -> String {
        let prefix = self.prefix();
        match self {
            Self::Clicks => format!("GZIP, {BUFFER_MIB} MiB or {BUFFER_SECONDS} s, prefix {prefix}"),
            Self::Shop => format!("Parquet by way of the module modules/clicks.wasm, prefix {prefix}"),
        }
    }

    /// What is said when all records are there.
    pub(super) fn promise(self) -> &'static str {
        match self {
            Self::Clicks => "each that was accepted, exactly once, byte for byte",
            Self::Shop => "each that was accepted, exactly once, in the folder of its country and section",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Clicks => "clicks/!{timestamp:yyyy/MM/dd/HH}/",
            Self::Shop => "shop/country=!{partitionKeyFromLambda:country}/section=!{partitionKeyFromLambda:section}/",
        }
    }

    /// The request that creates it.
    pub(super) fn request(self) -> Value {
        let mut destination = json!({
            "RoleARN": "arn:aws:iam::000000000000:role/demo",
            "BucketARN": format!("arn:aws:s3:::{BUCKET}"),
            "Prefix": self.prefix(),
            "ErrorOutputPrefix": "errors/!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd/HH}/",
        });
        let members = match self {
            Self::Clicks => json!({
                "BufferingHints": {"SizeInMBs": BUFFER_MIB, "IntervalInSeconds": BUFFER_SECONDS},
                "CompressionFormat": "GZIP",
            }),
            Self::Shop => json!({
                "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "Lambda", "Parameters": [{
                    "ParameterName": "LambdaArn",
                    "ParameterValue": "arn:aws:lambda:us-east-1:000000000000:function:clicks",
                }]}]},
                "DynamicPartitioningConfiguration": {"Enabled": true},
                // Without SchemaConfiguration the table is inferred.
                "DataFormatConversionConfiguration": {
                    "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
                    "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {}}},
                },
            }),
        };
        if let (Value::Object(destination), Value::Object(members)) = (&mut destination, members) {
            destination.extend(members);
        }
        json!({
            "DeliveryStreamName": self.name(),
            "DeliveryStreamType": "DirectPut",
            "ExtendedS3DestinationConfiguration": destination,
        })
    }
}

/// The bucket; a directory.
pub(super) const BUCKET: &str = "demo";
const BUFFER_MIB: u64 = 1;
const BUFFER_SECONDS: u64 = 60;
