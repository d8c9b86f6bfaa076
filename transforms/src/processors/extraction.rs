//! `MetadataExtraction`: partition keys from the record, by a query in jq.
//!
//! The record must be one JSON object and the query must give one object for it. Texts, numbers and booleans become the key's
//! text, as jq prints them; null, nothing, an empty text, an object or an array fail the record. So do a query that fails, that
//! gives no result or several, and one that takes too many steps. Members that the prefix has no place for are not looked at.

use super::jq::{Found, Layout, Query, Refusal};
use super::{Context, Parameters, Transform};
use crate::records::{Arrived, ErrorOutput, Failure, Fates, Origin, Records};

/// Takes partition keys from records.
#[derive(Debug)]
pub struct Extraction {
    query: Query,
    /// Places of the keys among those wanted, with their names.
    keys: Vec<(usize, String)>,
    /// The outputs of the simple form of the query that the keys are, if all of them are there.
    outputs: Option<Vec<usize>>,
}

pub(super) fn check_query(text: &str) -> Result<(), String> {
    Query::compile(text).map(drop)
}

pub(super) fn build(parameters: &Parameters, context: &Context) -> Result<Box<dyn Transform>, String> {
    let query = parameters.given("MetadataExtractionQuery").unwrap_or_default();
    Ok(Box::new(Extraction::new(query, context)?))
}

/// The keys that a query gives, where they are spelled out.
pub(super) fn keys_of(query: &str) -> Option<Vec<String>> {
    Query::compile(query).ok()?.keys().map(<[String]>::to_vec)
}

impl Extraction {
    /// Asks `query` for the keys that `context` wants of it.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub fn new(query: &str, context: &Context) -> Result<Self, String> {
        let query = Query::compile(query)?;
        let keys: Vec<_> = context.keys_from_query().map(|(at, name)| (at, name.to_owned())).collect();
        let outputs = query.simple().and_then(|simple| keys.iter().map(|(_, name)| simple.output(name)).collect());
        Ok(Self { query, keys, outputs })
    }

    /// The same without the short way for simple queries: for those who compare both.
    #[must_use]
    pub fn interpreted(self) -> Self {
        Self { outputs: None, ..self }
    }

    /// Whether simple records take the short way.
    pub fn is_simple(&self) -> bool {
        self.outputs.is_some()
    }

    /// Appends the texts of the keys, and where each ends.
    fn read<'r>(&self, record: &'r [u8], room: &mut Room<'r>) -> Result<(), Refusal> {
        let begin = (room.texts.len(), room.ends.len());
        if self.read_simply(record, room).is_some() {
            return Ok(());
        }
        room.texts.truncate(begin.0);
        room.ends.truncate(begin.1);
        let names: Vec<_> = self.keys.iter().map(|(_, name)| name.as_str()).collect();
        for text in self.query.ask(record, &names)? {
            room.texts.push_str(&text);
            room.ends.push(room.texts.len());
        }
        Ok(())
    }

    fn read_simply<'r>(&self, record: &'r [u8], room: &mut Room<'r>) -> Option<()> {
        let (outputs, simple) = (self.outputs.as_ref()?, self.query.simple()?);
        simple.find(simdutf8::basic::from_utf8(record).ok()?, &mut room.layout, &mut room.found)?;
        // All of them, since one that the prefix has no place for can fail the record too.
        for output in outputs {
            simple.push(*output, &room.found, &mut room.texts)?;
            room.ends.push(room.texts.len());
        }
        (!room.found.contains(&Found::Odd)).then_some(())
    }
}

/// What records are read into, a stretch at a time.
#[derive(Default)]
struct Room<'r> {
    layout: Layout,
    found: Vec<Found<'r>>,
    texts: String,
    /// Ends of the texts, as many a record as there are keys.
    ends: Vec<usize>,
}

impl Transform for Extraction {
    fn apply(&mut self, mut records: Records, _arrived: &Arrived, fates: &mut Fates) -> Records {
        let mut room = Room::default();
        let mut failed = vec![false; records.len()];
        for ((record, bytes), failed) in records.iter().zip(&mut failed) {
            if let Err(refusal) = self.read(bytes, &mut room) {
                *failed = true;
                fates.failures.push(failure(record.origin, &refusal));
            }
        }
        let Room { texts, ends, .. } = room;
        let (mut ends, mut begin) = (ends.into_iter(), 0);
        for (at, _) in failed.iter().enumerate().filter(|(_, failed)| !**failed) {
            for (key, _) in &self.keys {
                let end = ends.next().unwrap_or(begin);
                records.set_key(at, *key, texts.get(begin..end).unwrap_or_default());
                begin = end;
            }
        }
        records.retain(|at, _| failed.get(at) == Some(&false));
        records
    }
}

fn failure(origin: Origin, refusal: &Refusal) -> Failure {
    Failure {
        origin,
        output: ErrorOutput::MetadataExtraction,
        code: "DynamicPartitioning.MetadataExtractionFailed".into(),
        message: refusal.to_string().into(),
        attempts: 1,
        raw: None,
    }
}
