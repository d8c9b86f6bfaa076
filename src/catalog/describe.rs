//! What `DescribeDeliveryStream` says.

use serde_json::{Map, Value, json};

use super::{DESTINATION_ID, Error, Rulebook, Stream};

/// Where the service claims to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// `us-east-1` unless settings say otherwise.
    pub region: String,
    /// Twelve digits.
    pub account: String,
}

impl Place {
    /// The ARN of the delivery stream `name`.
    pub fn stream_arn(&self, name: &str) -> String {
        format!("arn:aws:firehose:{}:{}:deliverystream/{name}", self.region, self.account)
    }
}

/// The whole answer of `DescribeDeliveryStream`, for a stream that is in `status`. Tags and secrets are no part of it.
///
/// # Errors
/// The stream's kind of destination is not in the rulebook.
pub fn describe(stream: &Stream, status: &str, place: &Place, rulebook: &Rulebook) -> Result<Value, Error> {
    let definition = &stream.definition;
    let member = &definition.destination.member;
    let spec = rulebook.by_create_member(member).ok_or_else(|| Error::not_supported(member))?;
    let mut destination = Map::from_iter([("DestinationId".to_owned(), json!(DESTINATION_ID))]);
    destination.extend((spec.describe)(&definition.destination.configuration));
    let mut description = Map::from_iter([
        ("DeliveryStreamName".to_owned(), json!(definition.name)),
        ("DeliveryStreamARN".to_owned(), json!(place.stream_arn(&definition.name))),
        ("DeliveryStreamStatus".to_owned(), json!(status)),
        ("DeliveryStreamType".to_owned(), json!(definition.stream_type.name())),
        ("VersionId".to_owned(), json!(stream.version.to_string())),
        ("CreateTimestamp".to_owned(), seconds(stream.created_ms)),
    ]);
    if let Some(updated_ms) = stream.updated_ms {
        description.insert("LastUpdateTimestamp".to_owned(), seconds(updated_ms));
    }
    if let Some(megabytes) = definition.throughput_hint_mbs {
        let source = json!({"DirectPutSourceDescription": {"ThroughputHintInMBs": megabytes}});
        description.insert("Source".to_owned(), source);
    }
    description.insert("Destinations".to_owned(), json!([destination]));
    description.insert("HasMoreDestinations".to_owned(), json!(false));
    Ok(json!({"DeliveryStreamDescription": description}))
}

/// Milliseconds as AWS JSON writes a timestamp: seconds with a fraction.
fn seconds(ms: u64) -> Value {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.parse::<f64>().map_or(Value::Null, |seconds| json!(seconds))
}
