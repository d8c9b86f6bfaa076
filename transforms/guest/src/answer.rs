//! What is said of a record, written where the host reads it.

use std::fmt::Display;

use serde::Serialize;

/// What is to be said of one record. Each method that returns [`Answered`] says it.
#[derive(Debug)]
pub struct Answer<'a> {
    to: &'a mut Answers,
}

/// Proof that something was said of the record.
#[derive(Debug)]
#[must_use = "return it: it stands for what was said"]
pub struct Answered(());

/// What a transform may return.
pub trait Reply {
    /// The text that the record fails with, if it was not answered.
    fn into_failure(self) -> Option<String>;
}

impl Reply for Answered {
    fn into_failure(self) -> Option<String> {
        None
    }
}

impl<E: Display> Reply for Result<Answered, E> {
    fn into_failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

impl Answer<'_> {
    /// Gives the record a partition key, `!{partitionKeyFromLambda:name}` in a prefix. Of two of the same name the last counts.
    /// A record that is dropped or fails has none.
    pub fn key(&mut self, name: &str, value: impl AsRef<str>) -> &mut Self {
        let value = value.as_ref();
        self.to.key_count = self.to.key_count.checked_add(1).expect("a record has at most 65,535 partition keys");
        for text in [name, value] {
            self.to.keys.extend_from_slice(&length(text.len()));
        }
        self.to.keys.extend_from_slice(name.as_bytes());
        self.to.keys.extend_from_slice(value.as_bytes());
        self
    }

    /// The record goes on as `data`.
    pub fn ok(self, data: impl AsRef<[u8]>) -> Answered {
        self.ok_with(|bytes| bytes.extend_from_slice(data.as_ref()))
    }

    /// The record goes on as what `write` appends to the bytes it is given. It must not touch those before.
    pub fn ok_with(self, write: impl FnOnce(&mut Vec<u8>)) -> Answered {
        let start = self.to.begin(OK);
        write(&mut self.to.bytes);
        self.to.end(start)
    }

    /// The record goes on as this JSON and a line feed.
    pub fn json(self, value: &impl Serialize) -> Result<Answered, serde_json::Error> {
        let start = self.to.begin(OK);
        serde_json::to_writer(&mut self.to.bytes, value)?;
        self.to.bytes.push(b'\n');
        Ok(self.to.end(start))
    }

    /// The record goes on as it is. Costs less than [`Answer::ok`] with its bytes.
    pub fn unchanged(self) -> Answered {
        let start = self.to.begin(UNCHANGED);
        self.to.end(start)
    }

    /// The record is not delivered.
    pub fn dropped(self) -> Answered {
        self.to.forget_keys();
        let start = self.to.begin(DROPPED);
        self.to.end(start)
    }

    /// The record goes to the error output, with this text.
    pub fn failed(self, message: impl Display) -> Answered {
        self.to.fail(&message.to_string())
    }
}

/// The answers about the records of one request, as bytes.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) bytes: Vec<u8>,
    /// Where the answer about the present record begins, and the record.
    at: usize,
    id: u32,
    keys: Vec<u8>,
    key_count: u16,
}

impl Answers {
    /// Begins with the answers about `records` records.
    pub(crate) fn start(&mut self, records: u32) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&VERSION.to_le_bytes());
        self.bytes.extend_from_slice(&records.to_le_bytes());
    }

    /// Has `transform` answer about record `id`.
    pub(crate) fn about<R: Reply>(&mut self, id: u32, transform: impl FnOnce(Answer<'_>) -> R) {
        (self.at, self.id) = (self.bytes.len(), id);
        self.forget_keys();
        if let Some(message) = transform(Answer { to: self }).into_failure() {
            self.bytes.truncate(self.at);
            let Answered(()) = self.fail(&message);
        }
    }

    fn fail(&mut self, message: &str) -> Answered {
        self.forget_keys();
        let start = self.begin(FAILED);
        self.bytes.extend_from_slice(message.as_bytes());
        self.end(start)
    }

    fn begin(&mut self, verdict: u8) -> usize {
        self.bytes.extend_from_slice(&self.id.to_le_bytes());
        self.bytes.extend_from_slice(&[verdict, 0]);
        self.bytes.extend_from_slice(&self.key_count.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.len()
    }

    /// Ends the answer whose data begins at `start`.
    fn end(&mut self, start: usize) -> Answered {
        let bytes = self.bytes.len() - start;
        self.bytes[start - 4..start].copy_from_slice(&length(bytes));
        self.bytes.extend_from_slice(&self.keys);
        Answered(())
    }

    fn forget_keys(&mut self) {
        self.keys.clear();
        self.key_count = 0;
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("the memory of a module ends at 4 GiB").to_le_bytes()
}

const VERSION: u32 = 1;
pub(crate) const OK: u8 = 0;
pub(crate) const UNCHANGED: u8 = 1;
pub(crate) const DROPPED: u8 = 2;
pub(crate) const FAILED: u8 = 3;
