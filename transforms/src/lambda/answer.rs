//! What a function answers.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::verdicts::{Answers, Verdict};

/// Why an answer cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// An answer that was read.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    verdicts: Vec<Said<'a>>,
}

#[derive(Debug)]
struct Said<'a> {
    id: Cow<'a, str>,
    result: Status,
    data: Option<Vec<u8>>,
    keys: Vec<(String, String)>,
}

/// Reads an answer. One that is not as AWS describes it in any part is no answer at all, as with the reader that AWS has: a
/// `result` in other letters, data that is not base64, partition keys that are no texts.
pub(super) fn read(answer: &[u8]) -> Result<Answer<'_>, Unreadable> {
    let envelope: Envelope<'_> = serde_json::from_slice(answer).map_err(|error| Unreadable(error.to_string()))?;
    let verdicts: Result<_, _> = envelope.records.into_iter().map(said).collect();
    Ok(Answer { verdicts: verdicts? })
}

impl Answer<'_> {
    /// Says it of the records that are called `ids`; of others it is ignored.
    pub(super) fn put_into<'s>(&'s self, answers: &mut Answers<'s>, ids: &[String]) {
        let places: HashMap<&str, usize> = ids.iter().zip(0..).map(|(id, at)| (id.as_str(), at)).collect();
        for said in &self.verdicts {
            let Some(at) = places.get(&*said.id) else { continue };
            let verdict = match (said.result, &said.data) {
                (Status::Dropped, _) => Verdict::Dropped,
                (Status::ProcessingFailed, _) => Verdict::Failed { message: None },
                (Status::Ok, None) => Verdict::NullData,
                (Status::Ok, Some(data)) => {
                    let keys = said.keys.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                    Verdict::Ok { data, keys }
                }
            };
            answers.put(*at, verdict);
        }
    }
}

fn said(record: Record<'_>) -> Result<Said<'_>, Unreadable> {
    let id = record.id;
    // What a record that is not delivered should have been is not looked at.
    let (mut data, mut keys) = (None, Vec::new());
    if record.result == Status::Ok {
        if let Some(text) = &record.data {
            let decoded = base64_simd::STANDARD.decode_to_vec(text.as_bytes());
            data = Some(decoded.map_err(|_| Unreadable(format!("data of record {id} is not base64")))?);
        }
        for (name, value) in record.metadata.unwrap_or_default().keys.unwrap_or_default() {
            match value {
                Value::String(text) => keys.push((name, text)),
                Value::Bool(_) | Value::Number(_) => keys.push((name, value.to_string())),
                Value::Null => {}
                _ => return Err(Unreadable(format!("partition key '{name}' of record {id} is no text"))),
            }
        }
    }
    Ok(Said { id, result: record.result, data, keys })
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    records: Vec<Record<'a>>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "recordId", borrow)]
    id: Cow<'a, str>,
    result: Status,
    #[serde(default, borrow)]
    data: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
enum Status {
    Ok,
    Dropped,
    ProcessingFailed,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(rename = "partitionKeys", default)]
    keys: Option<Map<String, Value>>,
}
