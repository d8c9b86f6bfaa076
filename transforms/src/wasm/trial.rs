//! What a module makes of some records, and whether it is a function of them.
//!
//! hydrant may hand a record to a module in any company, more than once, and to an instance of any age. A module that answers
//! otherwise then is not what its author thinks: it counts, remembers, or looks at its neighbours.

use super::abi::Input;
use super::attempts::{Attempts, Take};
use super::fault::{Fault, TIMED_OUT};
use super::limits::Start;
use super::module::Module;
use super::pool::Pool;
use crate::verdicts::{self, Answers, Verdict};

/// What became of the records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Of each record in order, in calls as the service makes them.
    pub fates: Vec<Fate>,
    /// Where another way to ask gave another fate; at most one for each record.
    pub differences: Vec<Difference>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Ok {
        /// As what.
        data: Vec<u8>,
        /// Names and values of all its partition keys.
        keys: Vec<(String, String)>,
    },
    /// It is dropped.
    Dropped,
    /// It goes to the error output.
    Failed {
        /// AWS's code.
        code: &'static str,
        /// What the error entry says.
        message: String,
    },
}

/// A record whose fate is not a function of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Index of the record.
    pub record: usize,
    /// How the module was asked when it answered otherwise.
    pub way: Way,
    /// What it answered.
    pub fate: Fate,
}

/// A way to ask a module about records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A second time, on the instance that has answered already.
    Again,
    /// One record a call, on one instance.
    Singly,
    /// In calls half as large, last half first, on one instance.
    Halves,
    /// Each record on an instance of its own; the first thousand only.
    Fresh,
}

impl Way {
    /// What one reads of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Again => "asked a second time",
            Self::Singly => "asked one by one",
            Self::Halves => "asked in halves, the last one first",
            Self::Fresh => "asked on a fresh instance",
        }
    }
}

/// Runs `module` over `records`, which arrived at `arrival_ms`, in calls of at most `batch_bytes`; then again in other ways,
/// but for the records that took the module past its deadline.
pub fn trial<R: AsRef<[u8]>>(
    module: &Module,
    start: &Start,
    records: &[R],
    arrival_ms: u64,
    batch_bytes: usize,
) -> Trial {
    let inputs: Vec<_> = records.iter().map(|data| Input { arrival_ms, data: data.as_ref() }).collect();
    let pool = || Pool::new(module.clone(), start.clone());
    let used = pool();
    let fates = ask(&used, &calls(&inputs, batch_bytes));
    let in_time: Vec<_> = (0..inputs.len()).filter(|at| !fates.get(*at).is_some_and(Fate::is_late)).collect();
    let inputs: Vec<_> = in_time.iter().filter_map(|at| inputs.get(*at).copied()).collect();
    let mut trial = Trial { fates, differences: Vec::new() };
    trial.hold_against(Way::Again, &in_time, ask(&used, &calls(&inputs, batch_bytes)));
    trial.hold_against(Way::Singly, &in_time, ask(&pool(), &inputs.chunks(1).collect::<Vec<_>>()));
    let halves = pool();
    let middle = inputs.len() / 2;
    let ((first, last), (first_inputs, last_inputs)) = (in_time.split_at(middle), inputs.split_at(middle));
    for (records, inputs) in [(last, last_inputs), (first, first_inputs)] {
        trial.hold_against(Way::Halves, records, ask(&halves, &calls(inputs, batch_bytes / 2)));
    }
    for (record, input) in in_time.chunks(1).zip(inputs.chunks(1)).take(FRESH) {
        trial.hold_against(Way::Fresh, record, ask(&pool(), &[input]));
    }
    trial.differences.sort_by_key(|difference| difference.record);
    trial
}

impl Trial {
    /// Whether every record went on or was dropped, whatever the way.
    pub fn is_clean(&self) -> bool {
        self.differences.is_empty() && !self.fates.iter().any(|fate| matches!(fate, Fate::Failed { .. }))
    }

    /// Notes where `fates`, of these records, differ.
    fn hold_against(&mut self, way: Way, records: &[usize], fates: Vec<Fate>) {
        for (record, fate) in records.iter().copied().zip(fates) {
            let is_same = self.fates.get(record).is_some_and(|usual| usual.is_same_as(&fate));
            if !is_same && !self.differences.iter().any(|difference| difference.record == record) {
                self.differences.push(Difference { record, way, fate });
            }
        }
    }
}

impl Fate {
    /// Whether the module took too long.
    fn is_late(&self) -> bool {
        matches!(self, Self::Failed { code, .. } if *code == TIMED_OUT)
    }

    /// Whether both are one fate. The text that goes with a trap is not part of it: it may tell of the whole call.
    fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Failed { code, message }, Self::Failed { code: other_code, message: other_message }) => {
                let is_verdict = *code == verdicts::Fault::Status(None).code();
                code == other_code && (!is_verdict || message == other_message)
            }
            _ => self == other,
        }
    }
}

/// The calls that the service would make.
fn calls<'i, 'd>(inputs: &'i [Input<'d>], batch_bytes: usize) -> Vec<&'i [Input<'d>]> {
    let mut calls = Vec::new();
    let mut rest = inputs;
    while !rest.is_empty() {
        let (call, behind) = rest.split_at(Input::fitting(rest, batch_bytes));
        calls.push(call);
        rest = behind;
    }
    calls
}

fn ask(pool: &Pool, calls: &[&[Input<'_>]]) -> Vec<Fate> {
    let attempts = Attempts::new(true);
    let mut fates = Vec::new();
    for call in calls {
        attempts.run(pool, call, &mut Note { inputs: call, taken: 0, fates: &mut fates });
    }
    fates
}

struct Note<'n> {
    inputs: &'n [Input<'n>],
    taken: usize,
    fates: &'n mut Vec<Fate>,
}

impl Take for Note<'_> {
    fn answered(&mut self, answers: Answers<'_>, _: u32) {
        for judged in answers.judged() {
            let data = self.inputs.get(self.taken).map_or(&[][..], |input| input.data);
            self.taken += 1;
            self.fates.push(match judged {
                Ok(Verdict::Ok { data, keys }) => Fate::ok(data, &keys),
                Ok(Verdict::Unchanged { keys }) => Fate::ok(data, &keys),
                Ok(Verdict::Dropped) => Fate::Dropped,
                Ok(Verdict::Failed { message }) => Fate::failed(verdicts::Fault::Status(message)),
                Ok(Verdict::NullData) => Fate::failed(verdicts::Fault::NullData),
                Err(fault) => Fate::failed(fault),
            });
        }
    }

    fn failed(&mut self, records: usize, fault: &Fault, _: u32) {
        self.taken += records;
        let fate = Fate::Failed { code: fault.code(), message: fault.message().into_owned() };
        self.fates.extend(std::iter::repeat_n(fate, records));
    }
}

impl Fate {
    fn ok(data: &[u8], keys: &[(&str, &str)]) -> Self {
        let keys = keys.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self::Ok { data: data.to_vec(), keys }
    }

    fn failed(fault: verdicts::Fault<'_>) -> Self {
        Self::Failed { code: fault.code(), message: fault.message().into_owned() }
    }
}

const FRESH: usize = 1000;
