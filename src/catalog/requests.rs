//! The operations that only name, list or delete streams.

use hydrant_model::constraint::{Faults, Pattern, Text};
use serde_json::{Value, json};

use super::form::STREAM_TYPE_TEXT;
use super::rulebook::{STREAM_NAME_TEXT, read_request, stream_name};
use super::{Error, StreamType};

/// `DescribeDeliveryStream`; its `Limit` and `ExclusiveStartDestinationId` are checked and mean nothing, as in AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeStream {
    /// The stream.
    pub name: String,
}

/// `DeleteDeliveryStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteStream {
    /// The stream.
    pub name: String,
    /// `AllowForceDelete`.
    pub force: bool,
}

/// `ListDeliveryStreams`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListStreams {
    /// Most names of one answer.
    pub limit: usize,
    /// The listing starts after this name, whether or not there is such a stream.
    pub after: Option<String>,
    /// Only streams of this type.
    pub stream_type: Option<StreamType>,
}

impl DescribeStream {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let mut name = String::new();
        if let Some(request) = read_request(request, &mut faults) {
            name = stream_name(&request, &mut faults);
            request.integer("Limit", 1, 10_000, &mut faults);
            request.text("ExclusiveStartDestinationId", &DESTINATION_ID_TEXT, &mut faults);
        }
        Error::verdict(&faults)?;
        Ok(Self { name })
    }
}

impl DeleteStream {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let (mut name, mut force) = (String::new(), None);
        if let Some(request) = read_request(request, &mut faults) {
            name = stream_name(&request, &mut faults);
            force = request.boolean("AllowForceDelete", &mut faults);
        }
        Error::verdict(&faults)?;
        Ok(Self { name, force: force.unwrap_or(false) })
    }
}

impl ListStreams {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let (mut limit, mut after, mut stream_type) = (None, None, None);
        if let Some(request) = read_request(request, &mut faults) {
            limit = request.integer("Limit", 1, 10_000, &mut faults);
            after = request.text("ExclusiveStartDeliveryStreamName", &STREAM_NAME_TEXT, &mut faults);
            stream_type = request.text("DeliveryStreamType", &STREAM_TYPE_TEXT, &mut faults);
        }
        Error::verdict(&faults)?;
        Ok(Self {
            limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(10),
            after: after.map(str::to_owned),
            stream_type: stream_type.and_then(StreamType::from_name),
        })
    }

    /// The answer, from all streams in any order.
    pub fn page<'s>(&self, streams: impl IntoIterator<Item = (&'s str, StreamType)>) -> Value {
        let wanted = |(name, stream_type): &(&str, StreamType)| {
            self.after.as_deref().is_none_or(|after| *name > after)
                && self.stream_type.is_none_or(|wanted| wanted == *stream_type)
        };
        let mut names: Vec<&str> = streams.into_iter().filter(wanted).map(|(name, _)| name).collect();
        names.sort_unstable();
        let has_more = names.len() > self.limit;
        names.truncate(self.limit);
        json!({"DeliveryStreamNames": names, "HasMoreDeliveryStreams": has_more})
    }
}

/// `DestinationId`.
pub(super) const DESTINATION_ID_TEXT: Text = Text::length(1, 100).matching(&DESTINATION_ID);

static DESTINATION_ID: Pattern = Pattern::new("[a-zA-Z0-9-]+");
