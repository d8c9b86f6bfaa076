//! `CloudWatchLogProcessing`: the envelopes of CloudWatch Logs subscriptions.
//!
//! ```text
//! {"messageType":"DATA_MESSAGE","owner":…,"logEvents":[{"id":…,"timestamp":…,"message":"a"},{…"message":"b"}]}  →  a\nb\n
//! ```
//!
//! With `DataMessageExtraction` a record is replaced by its messages, a line feed behind each; without, an envelope passes as it
//! is. Control messages, which CloudWatch sends to see whether somebody is there, are dropped: they hold nothing, and AWS's
//! users know them for failing every query that comes behind. What is no envelope fails, and its error entry shows the record as
//! it arrived.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Context, Parameters, Transform};
use crate::records::{Arrived, ErrorOutput, Failure, Fates, Records};

/// Opens CloudWatch's envelopes.
#[derive(Clone, Copy, Debug)]
pub struct CloudWatchLogs {
    extract: bool,
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of the table")]
pub(super) fn build(parameters: &Parameters, _context: &Context) -> Result<Box<dyn Transform>, String> {
    let extract = parameters.given("DataMessageExtraction").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok(Box::new(CloudWatchLogs { extract }))
}

impl CloudWatchLogs {
    /// Takes the messages out, or leaves envelopes as they are.
    pub fn new(extract: bool) -> Self {
        Self { extract }
    }
}

impl Transform for CloudWatchLogs {
    fn apply(&mut self, mut records: Records, _arrived: &Arrived, fates: &mut Fates) -> Records {
        let room = records.bytes();
        let mut made = Records::instead_of(&mut records, room);
        for (at, (record, bytes)) in records.iter().enumerate() {
            match open(bytes) {
                Ok(Envelope { kind: Kind::ControlMessage, .. }) => {
                    fates.dropped += 1;
                    fates.dropped_bytes += u64::try_from(bytes.len()).unwrap_or_default();
                }
                Ok(_) if !self.extract => made.push(bytes, record.origin, Some((&records, at))),
                Ok(envelope) => {
                    made.push(b"", record.origin, Some((&records, at)));
                    for event in &envelope.events {
                        made.extend(event.message.as_bytes());
                        made.extend(b"\n");
                    }
                }
                Err(message) => fates.failures.push(Failure {
                    origin: record.origin,
                    output: ErrorOutput::Decompression,
                    code: NO_ENVELOPE.into(),
                    message: message.into(),
                    attempts: 1,
                    raw: None,
                }),
            }
        }
        made.done()
    }
}

/// As much of an envelope as is looked at.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "messageType")]
    kind: Kind,
    #[serde(rename = "logEvents", default, borrow)]
    events: Vec<Event<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Kind {
    DataMessage,
    ControlMessage,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    message: Cow<'a, str>,
}

fn open(bytes: &[u8]) -> Result<Envelope<'_>, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("The record is no envelope of CloudWatch Logs: {error}"))
}

const NO_ENVELOPE: &str = "CloudWatchLogProcessing.InvalidEnvelope";
