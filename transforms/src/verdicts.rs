//! What a function of the user's says of a batch of records, a module's or a Lambda's, put into effect.
//!
//! | Said of a record | Becomes of it |
//! |---|---|
//! | `Ok` | its new bytes go on, with the partition keys that the prefix wants of it |
//! | `Dropped` | counted, gone |
//! | `ProcessingFailed` | failure, `Lambda.ProcessingFailedStatus` |
//! | nothing | failure, `Lambda.MissingRecordId` |
//! | something twice | failure, `Lambda.DuplicatedRecordId` |
//! | `Ok` without data | failure, `Lambda.InvalidReturnFormat` |
//!
//! What is said of records that were not asked about is ignored. Answers come in any order; records keep theirs.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use hydrant_model::KeySource;

use crate::records::{Building, ErrorOutput, Failure, Fates, Record, Records};

/// What was said of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes on with other bytes.
    Ok {
        /// Its new bytes.
        data: &'a [u8],
        /// Names and values of partition keys; of two of the same name the last counts.
        keys: Vec<(&'a str, &'a str)>,
    },
    /// It goes on as it is.
    Unchanged {
        /// As for `Ok`.
        keys: Vec<(&'a str, &'a str)>,
    },
    /// It is not to be delivered.
    Dropped,
    /// The function could not make anything of it.
    Failed {
        /// Why, in the function's words.
        message: Option<&'a str>,
    },
    /// `Ok`, but with null where the data should be.
    NullData,
}

/// What was said of each record of a batch.
#[derive(Debug)]
pub struct Answers<'a> {
    slots: Vec<Slot<'a>>,
}

#[derive(Clone, Debug)]
enum Slot<'a> {
    Missing,
    One(Verdict<'a>),
    Several,
}

impl<'a> Answers<'a> {
    /// Nothing said yet of `records` records.
    pub fn expected(records: usize) -> Self {
        Self { slots: vec![Slot::Missing; records] }
    }

    /// Adds what is said of the record at `at`; of one that was not asked about it is ignored.
    pub fn put(&mut self, at: usize, verdict: Verdict<'a>) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = match slot {
                Slot::Missing => Slot::One(verdict),
                Slot::One(_) | Slot::Several => Slot::Several,
            };
        }
    }

    /// How many records they are about.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether they are about none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// For each record in order its one verdict, or what is wrong with what was said.
    pub fn judged(self) -> impl ExactSizeIterator<Item = Result<Verdict<'a>, Fault<'a>>> {
        self.slots.into_iter().map(|slot| match slot {
            Slot::One(Verdict::Failed { message }) => Err(Fault::Status(message)),
            Slot::One(Verdict::NullData) => Err(Fault::NullData),
            Slot::One(verdict) => Ok(verdict),
            Slot::Missing => Err(Fault::Missing),
            Slot::Several => Err(Fault::Duplicated),
        })
    }
}

/// Why a record fails by what was said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault<'a> {
    /// `ProcessingFailed`, with the function's own words if it gave some.
    Status(Option<&'a str>),
    /// Nothing was said.
    Missing,
    /// More than one thing was said.
    Duplicated,
    /// `Ok` without data.
    NullData,
    /// The results of this stretch would fill more memory than any stretch may.
    TooMuch,
}

impl Fault<'_> {
    /// AWS's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Status(_) => "Lambda.ProcessingFailedStatus",
            Self::Missing => "Lambda.MissingRecordId",
            Self::Duplicated => "Lambda.DuplicatedRecordId",
            Self::NullData => "Lambda.InvalidReturnFormat",
            Self::TooMuch => FUNCTION_ERROR,
        }
    }

    /// AWS's text, and behind it what the function said.
    pub fn message(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status(None | Some("")) => PROCESSING_FAILED,
            Self::Status(Some(message)) => return format!("{PROCESSING_FAILED}: {}", shortened(message)).into(),
            Self::Missing => MISSING,
            Self::Duplicated => DUPLICATED,
            Self::NullData => NULL_DATA,
            Self::TooMuch => return format!("{FUNCTION_ERROR_TEXT} {TOO_MUCH}").into(),
        })
    }
}

/// Records of which verdicts are put into effect, batch after batch in their order.
#[derive(Debug)]
pub struct Settling<'r> {
    before: &'r Records,
    building: Building,
    /// Index of the first record of which nothing has been put into effect yet.
    next: usize,
    /// Bytes of keys so far.
    texts: usize,
}

impl<'r> Settling<'r> {
    /// Begins with the first of `records`, and takes over what they keep for error entries.
    pub fn new(records: &'r mut Records) -> Self {
        let bytes = records.bytes();
        let building = Records::instead_of(records, bytes);
        Self { before: records, building, next: 0, texts: 0 }
    }

    /// The records as they came.
    pub fn before(&self) -> &'r Records {
        self.before
    }

    /// Puts into effect what was said of the next records, as many as `answers` is about, at attempt number `attempts`.
    pub fn answered(&mut self, answers: Answers<'_>, attempts: u32, fates: &mut Fates) {
        for judged in answers.judged() {
            let at = self.next;
            let Some((record, bytes)) = self.before.get(at) else { return };
            self.next += 1;
            let settled = match judged {
                Ok(Verdict::Ok { data, keys }) => {
                    push(&mut self.building, &mut self.texts, self.before, at, data, &keys)
                }
                Ok(Verdict::Unchanged { keys }) => {
                    push(&mut self.building, &mut self.texts, self.before, at, bytes, &keys)
                }
                Ok(Verdict::Dropped) => {
                    fates.dropped += 1;
                    fates.dropped_bytes += bytes.len() as u64;
                    Ok(())
                }
                Ok(Verdict::Failed { message }) => Err(Fault::Status(message)),
                Ok(Verdict::NullData) => Err(Fault::NullData),
                Err(fault) => Err(fault),
            };
            if let Err(fault) = settled {
                fates.failures.push(failure(record, fault.code(), fault.message(), attempts));
            }
        }
    }

    /// Fails the next `records` records with `code` and `message`, after `attempts` attempts.
    pub fn failed(
        &mut self,
        records: usize,
        code: &'static str,
        message: Cow<'static, str>,
        attempts: u32,
        fates: &mut Fates,
    ) {
        for message in std::iter::repeat_n(message, records) {
            let Some((record, _)) = self.before.get(self.next) else { return };
            self.next += 1;
            fates.failures.push(failure(record, code, message, attempts));
        }
    }

    /// What goes on. Records of which nothing was put into effect fail as missing, so that none is ever lost.
    pub fn done(mut self, fates: &mut Fates) -> Records {
        let forgotten = self.before.len().saturating_sub(self.next);
        self.answered(Answers::expected(forgotten), 1, fates);
        self.building.done()
    }
}

/// Puts into effect what was said of all of `records` at the first attempt.
pub fn settle(mut records: Records, answers: Answers<'_>, fates: &mut Fates) -> Records {
    let mut settling = Settling::new(&mut records);
    settling.answered(answers, 1, fates);
    settling.done(fates)
}

fn push(
    building: &mut Building,
    texts: &mut usize,
    before: &Records,
    at: usize,
    data: &[u8],
    keys: &[(&str, &str)],
) -> Result<(), Fault<'static>> {
    let wanted = before.wanted();
    let given = || {
        let of_lambda = wanted.iter().enumerate().filter(|(_, wanted)| wanted.source == KeySource::Lambda);
        of_lambda.filter_map(|(key, wanted)| {
            let (_, value) = keys.iter().rev().find(|(name, _)| *name == wanted.name)?;
            Some((key, *value))
        })
    };
    let text: usize = if keys.is_empty() { 0 } else { given().map(|(_, value)| value.len()).sum() };
    if building.len() + data.len() > RESULT_BYTES || *texts + text > RESULT_BYTES {
        return Err(Fault::TooMuch);
    }
    let Some((record, _)) = before.get(at) else { return Ok(()) };
    building.push(data, record.origin, Some((before, at)));
    if !keys.is_empty() {
        *texts += text;
        given().for_each(|(key, value)| building.set_key(key, value));
    }
    Ok(())
}

fn failure(record: Record, code: &'static str, message: Cow<'static, str>, attempts: u32) -> Failure {
    let output = ErrorOutput::Processing;
    Failure { origin: record.origin, output, code: Cow::Borrowed(code), message, attempts, raw: None }
}

/// The beginning of a text from outside, as much as an error entry may show.
pub(crate) fn shortened(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MESSAGE_BYTES)).unwrap_or_default()
}

/// AWS's code for a function that ended badly.
pub const FUNCTION_ERROR: &str = "Lambda.FunctionError";
/// AWS's text to it.
pub const FUNCTION_ERROR_TEXT: &str = "The Lambda function was successfully invoked but it returned an error result.";

const PROCESSING_FAILED: &str = "ProcessingFailed status set for record";
const MISSING: &str =
    "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.";
const DUPLICATED: &str = "Multiple records were returned with the same record Id. Ensure that the Lambda function returns unique record Ids for each record.";
const NULL_DATA: &str = "The data field cannot be null when the SourceType is DirectPut or KinesisStreamAsSource and processing result is Ok. The value field cannot be null when the SourceType is MSKAsSource and processing result is Ok.";
const TOO_MUCH: &str = "The results of one stretch of records are larger than 1 GiB";

/// Longest message of a function's own.
const MESSAGE_BYTES: usize = 1024;
/// Positions in a buffer of records are 32 bits wide.
const RESULT_BYTES: usize = 1 << 30;
