//! Records as plain HTTP: `POST /streams/{name}/records`. All of a body or nothing.

pub mod split;

use std::fmt::Write;

use hydrant_model::RecordIdentity;
use hyper::StatusCode;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::json;

use super::Api;
use super::answer::{self, Answer};
use super::aws::LONG_BODY;
use super::backend::{Appended, PutError, Refused};
use super::body::{BodyError, Inbound};
use super::error::{ErrorStatus, Problem, shown};
use super::put::{RecordIds, Records};
use super::query::Query;
use split::{Format, SplitError, split};

/// Answers a request with records for stream `name`.
pub(super) async fn answer(api: &Api, inbound: &mut Inbound, name: &str) -> Answer {
    post(api, inbound, name).await.unwrap_or_else(|problem| answer::problem(&problem))
}

async fn post(api: &Api, inbound: &mut Inbound, name: &str) -> Result<Answer, Problem> {
    let format = format_of(&inbound.head)?;
    let newline = Query::of(&inbound.head.uri, &["newline"])?.boolean("newline")?.unwrap_or(true);
    let target = api.backend.stream(name).ok_or_else(|| Problem::no_such_stream(name))?;
    if let Some(refused) = target.refuses() {
        return Err(refusal(refused, name));
    }
    let received = api.bodies.read(inbound, api.settings.max_body_bytes).await?;
    let caller = api.authenticator.authenticate(&inbound.head, &received.sent)?;
    caller.may("PutRecordBatch", Some(name))?;
    let body = received.bytes.clone();
    let mut booking = received.into_booking();
    let records = divide(body, format, newline, api.settings.max_record_bytes).await?;
    // The log makes a table of the lengths.
    booking.resize(records.body.capacity() + 2 * size_of::<u32>() * records.lengths.capacity()).await?;
    let (count, bytes) = (records.len(), records.body.len());
    let Appended { birth, first, .. } = target.put(records).await.map_err(|error| not_put(error, name))?;
    target.metrics().accepted(count, bytes);
    let last = first.plus(u64::try_from(count).unwrap_or(u64::MAX).saturating_sub(1));
    let [first, last] = [first, last].map(|offset| {
        let mut id = Vec::with_capacity(RecordIds::TEXT_LENGTH);
        RecordIds::new(target.tag(), RecordIdentity { birth, offset, sub_index: 0 }).write_next(&mut id);
        String::from_utf8_lossy(&id).into_owned()
    });
    Ok(answer::json(StatusCode::OK, &json!({ "accepted": count, "firstRecordId": first, "lastRecordId": last })))
}

/// Divides a body; a long one where it holds up nobody.
async fn divide(body: bytes::Bytes, format: Format, newline: bool, max_record: usize) -> Result<Records, Problem> {
    let is_long = body.len() > LONG_BODY;
    let divide = move || split(body.into(), format, newline, max_record);
    let divided =
        if is_long { tokio::task::spawn_blocking(divide).await.map_err(Problem::internal)? } else { divide() };
    Ok(divided?)
}

fn format_of(head: &Parts) -> Result<Format, Problem> {
    let given = head.headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let essence = given.as_deref().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let known = TYPES.iter().find(|(name, ..)| essence.eq_ignore_ascii_case(name));
    known.map(|(_, format, _)| *format).ok_or_else(|| {
        let mut message = match &given {
            Some(given) => format!("Content-Type {} is not taken. ", shown(given)),
            None => "Content-Type is missing. ".to_owned(),
        };
        message.push_str("It must be one of");
        for (at, (name, _, records)) in TYPES.iter().enumerate() {
            let separator = if at == 0 { ":" } else { ";" };
            // Writing to a string does not fail.
            let _ = write!(message, "{separator} {name} ({records})");
        }
        message.push_str(". With curl: curl --data-binary @FILE -H 'Content-Type: application/x-ndjson' URL");
        Problem::new(ErrorStatus::UnsupportedMediaType, "unsupported_media_type", message).in_field("Content-Type")
    })
}

fn refusal(refused: Refused, name: &str) -> Problem {
    match refused {
        Refused::Deleting => Problem::no_such_stream(name),
        Refused::NotDirectPut => {
            let message = format!("stream {name} reads from a source of its own and takes no records");
            Problem::new(ErrorStatus::Conflict, "not_direct_put", message)
        }
    }
}

fn not_put(error: PutError, name: &str) -> Problem {
    match error {
        PutError::Refused(refused) => refusal(refused, name),
        PutError::SlowDown(reason) => {
            tracing::debug!(stream = name, %reason, "records were refused");
            Problem::slow_down()
        }
        PutError::RateLimited => {
            Problem::new(ErrorStatus::TooManyRequests, "rate_limited", format!("over the rate of stream {name}"))
        }
        PutError::Failed(cause) => Problem::internal(cause),
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge { .. } => Self::new(ErrorStatus::TooLarge, "too_large", message),
            BodyError::NoRoom => Self::slow_down(),
            BodyError::TooSlow => Self::new(ErrorStatus::RequestTimeout, "too_slow", message),
            BodyError::Aborted(_) => Self::new(ErrorStatus::BadRequest, "bad_body", message),
            BodyError::UnknownEncoding(_) => {
                Self::new(ErrorStatus::UnsupportedMediaType, "unsupported_encoding", message).in_field(ENCODING_FIELD)
            }
            BodyError::WrongEncoding(_) => {
                Self::new(ErrorStatus::BadRequest, "bad_body", message).in_field(ENCODING_FIELD)
            }
            BodyError::Failed(cause) => Self::internal(cause),
        }
    }
}

impl From<SplitError> for Problem {
    fn from(error: SplitError) -> Self {
        match error.status() {
            413 => Self::new(ErrorStatus::TooLarge, "record_too_large", error.to_string()),
            _ => Self::new(ErrorStatus::BadRequest, "bad_body", error.to_string()),
        }
    }
}

const ENCODING_FIELD: &str = "Content-Encoding";

/// Content types, and what is a record in them.
const TYPES: [(&str, Format, &str); 5] = [
    ("application/x-ndjson", Format::JsonLines, "each line is a record and must be JSON"),
    ("application/jsonl", Format::JsonLines, "the same"),
    ("text/plain", Format::TextLines, "each line is a record"),
    ("application/json", Format::Json, "each element of an array is a record, any other value is one"),
    ("application/octet-stream", Format::Octets, "the body is one record"),
];
