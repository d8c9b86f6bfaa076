//! Delivery streams as tests want them.

use std::fmt::Display;

use serde_json::{Value, json};

/// A stream to create: into the bucket `bucket` under a prefix that is its name, cut when told to.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    name: String,
    destination: Value,
    settings: Vec<(&'static str, String)>,
}

impl Stream {
    pub(crate) fn new(name: &str) -> Self {
        let destination = json!({
            "RoleARN": "arn:aws:iam::000000000000:role/delivery",
            "BucketARN": "arn:aws:s3:::bucket",
            "Prefix": format!("{name}/"),
        });
        Self { name: name.to_owned(), destination, settings: Vec::new() }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A member of the S3 destination.
    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.destination[member] = value.into();
        self
    }

    /// A setting that AWS has no word for.
    pub(crate) fn setting(mut self, name: &'static str, value: impl Display) -> Self {
        self.settings.push((name, format!("{value}")));
        self
    }

    /// Cut after this many seconds.
    pub(crate) fn interval(self, seconds: f64) -> Self {
        self.setting("BufferIntervalInSeconds", seconds)
    }

    /// Cut at this many mebibytes.
    pub(crate) fn size(self, mebibytes: f64) -> Self {
        self.setting("BufferSizeInMBs", mebibytes)
    }

    /// The request that creates it.
    pub(crate) fn request(&self) -> Value {
        let tags =
            self.settings.iter().map(|(name, value)| json!({ "Key": format!("hydrant:{name}"), "Value": value }));
        let mut request = json!({
            "DeliveryStreamName": self.name,
            "ExtendedS3DestinationConfiguration": self.destination,
        });
        let tags: Vec<_> = tags.collect();
        if !tags.is_empty() {
            request["Tags"] = tags.into();
        }
        request
    }

    /// The file that defines it.
    pub(crate) fn file(&self) -> String {
        let mut document = json!({
            "DeliveryStreamName": self.name,
            "ExtendedS3DestinationConfiguration": self.destination,
        });
        for (name, value) in &self.settings {
            // Numbers as numbers: a file is not made of tags.
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into());
            document["Hydrant"][*name] = value;
        }
        document.to_string()
    }
}
