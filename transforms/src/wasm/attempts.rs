//! What becomes of a call that fails: another attempt on a fresh instance, then halves of it, so that a record which breaks
//! the module fails alone and its neighbours go on.
//!
//! AWS sends the same batch again and then fails all of it. A module is a function of its records, so the same batch would
//! fail in the same way, and a part of it may be asked about instead.
//!
//! | Attempt | Instance |
//! |---|---|
//! | the first | any |
//! | the second, if that one had been used before | fresh: what it remembered may be to blame |
//! | then each half, and halves of halves down to one record | fresh |
//!
//! How much is tried is bounded: see [`Attempts::run`].

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::abi::Input;
use super::fault::Fault;
use super::pool::Pool;
use crate::verdicts::Answers;

/// Takes what became of a call's records, from the first to the last, each once.
pub(super) trait Take {
    /// The module answered about the next records.
    fn answered(&mut self, answers: Answers<'_>, attempts: u32);
    /// The next `records` records fail.
    fn failed(&mut self, records: usize, fault: &Fault, attempts: u32);
}

/// How hard to try.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Whether anything is tried again at all.
    again: bool,
    /// Whether the last call that failed used up everything it may without one answer: then the module, not a record, is
    /// broken, and no more than one attempt is made until it answers again.
    hopeless: AtomicBool,
}

struct Part {
    range: Range<usize>,
    attempts: u32,
    fresh: bool,
}

impl Attempts {
    pub(super) fn new(again: bool) -> Self {
        Self { again, hopeless: AtomicBool::new(false) }
    }

    /// Asks about `inputs`. After 256 attempts that failed, or 16 that took their whole deadline, nothing is taken apart any
    /// more: the parts that wait, fewer than 32, are tried once each.
    pub(super) fn run(&self, pool: &Pool, inputs: &[Input<'_>], take: &mut impl Take) {
        let mut patience = if self.hopeless.load(Ordering::Relaxed) { 0 } else { PATIENCE };
        let mut was_answered = false;
        let mut waiting = vec![Part { range: 0..inputs.len(), attempts: 0, fresh: false }];
        while let Some(part) = waiting.pop() {
            let attempts = part.attempts + 1;
            let asked = inputs.get(part.range.clone()).unwrap_or_default();
            let (fault, was_fresh) = match pool.lend(part.fresh) {
                Err(fault) => (fault, true),
                Ok(mut lent) => match lent.instance.call(asked) {
                    Ok(answers) => {
                        take.answered(answers, attempts);
                        lent.give_back();
                        was_answered = true;
                        continue;
                    }
                    Err(fault) => (fault, lent.is_fresh),
                },
            };
            patience = patience.saturating_sub(if matches!(fault, Fault::Deadline(_)) { PATIENCE / 16 } else { 1 });
            if !self.again || patience == 0 || !fault.may_help() {
                take.failed(asked.len(), &fault, attempts);
            } else if !was_fresh {
                waiting.push(Part { fresh: true, attempts, ..part });
            } else if asked.len() > 1 && fault.depends_on_records() {
                let middle = part.range.start + asked.len() / 2;
                waiting.push(Part { range: middle..part.range.end, attempts, fresh: true });
                waiting.push(Part { range: part.range.start..middle, attempts, fresh: true });
            } else {
                take.failed(asked.len(), &fault, attempts);
            }
        }
        if was_answered {
            self.hopeless.store(false, Ordering::Relaxed);
        } else if patience == 0 {
            self.hopeless.store(true, Ordering::Relaxed);
        }
    }
}

const PATIENCE: u32 = 256;
