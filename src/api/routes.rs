//! Which path is what.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::error::{ErrorStatus, Problem, shown};

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// The Firehose API.
    Aws,
    /// Records of a stream, as plain HTTP.
    Records(&'a str),
    /// Deliver what waits.
    Flush(&'a str),
    /// Hold delivery.
    Pause(&'a str),
    /// Release delivery.
    Resume(&'a str),
    /// What all streams do.
    Streams,
    /// What one stream does.
    Stream(&'a str),
    /// Whether the process lives.
    Health,
    /// Whether requests should come here.
    Ready,
    /// Metrics.
    Metrics,
}

impl<'a> Route<'a> {
    pub(super) fn of(path: &'a str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let route = match (segments.next()?, segments.next(), segments.next()) {
            ("", None, None) => Self::Aws,
            ("health", None, None) => Self::Health,
            ("ready", None, None) => Self::Ready,
            ("metrics", None, None) => Self::Metrics,
            ("streams", None, None) => Self::Streams,
            ("streams", Some(name), None) if !name.is_empty() => Self::Stream(name),
            ("streams", Some(name), Some("records")) => Self::Records(name),
            ("streams", Some(name), Some("flush")) => Self::Flush(name),
            ("streams", Some(name), Some("pause")) => Self::Pause(name),
            ("streams", Some(name), Some("resume")) => Self::Resume(name),
            _ => return None,
        };
        segments.next().is_none().then_some(route)
    }

    /// What requests to it are counted under; of the AWS API this is known only with the operation.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Aws => UNKNOWN,
            Self::Records(_) => "PostRecords",
            Self::Flush(_) => "Flush",
            Self::Pause(_) => "Pause",
            Self::Resume(_) => "Resume",
            Self::Streams | Self::Stream(_) => "Status",
            Self::Health => "Health",
            Self::Ready => "Ready",
            Self::Metrics => "Metrics",
        }
    }

    pub(super) fn check_method(self, method: &Method) -> Result<(), Problem> {
        let (allowed, allow) = match self {
            Self::Aws | Self::Records(_) | Self::Flush(_) | Self::Pause(_) | Self::Resume(_) => {
                (method == Method::POST, "POST")
            }
            _ => (method == Method::GET || method == Method::HEAD, "GET, HEAD"),
        };
        if allowed {
            return Ok(());
        }
        let message = format!("{} is not a method of this path, {allow} is", shown(method.as_str()));
        let problem = Problem::new(ErrorStatus::MethodNotAllowed, "method_not_allowed", message);
        Err(Problem { allow: Some(allow), ..problem })
    }
}

/// A path with what is percent-encoded decoded. A segment that would be another path then, or no text, stays as it is: nothing
/// has such a name.
pub(super) fn decoded(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let segments: Vec<Cow<'_, str>> = path
        .split('/')
        .map(|segment| match percent_decode_str(segment).decode_utf8() {
            Ok(decoded) if !decoded.contains('/') => decoded,
            _ => Cow::Borrowed(segment),
        })
        .collect();
    Cow::Owned(segments.join("/"))
}

/// The operation's known name, where it is known.
pub(super) fn known_operation(name: &str) -> &'static str {
    OPERATIONS.iter().find(|known| **known == name).copied().unwrap_or(UNKNOWN)
}

pub(super) fn not_found(path: &str) -> Problem {
    Problem::new(ErrorStatus::NotFound, "not_found", format!("there is nothing at {}", shown(path)))
}

/// The operation of a request that names none that is known.
pub(super) const UNKNOWN: &str = "Unknown";

/// Everything that requests are counted under. The operations of the API first, the frequent ones before.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_Operations.html>
pub(super) const OPERATIONS: [&str; 21] = [
    "PutRecordBatch",
    "PutRecord",
    "CreateDeliveryStream",
    "DeleteDeliveryStream",
    "DescribeDeliveryStream",
    "ListDeliveryStreams",
    "ListTagsForDeliveryStream",
    "StartDeliveryStreamEncryption",
    "StopDeliveryStreamEncryption",
    "TagDeliveryStream",
    "UntagDeliveryStream",
    "UpdateDestination",
    "PostRecords",
    "Flush",
    "Pause",
    "Resume",
    "Status",
    "Health",
    "Ready",
    "Metrics",
    UNKNOWN,
];
