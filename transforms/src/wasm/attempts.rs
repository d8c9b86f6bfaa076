//! What becomes of a call that fails: another attempt on a fresh instance, then halves of it, so that a record which breaks
//! the module fails alone and its neighbours go on.
//!
//! AWS sends the same batch again and then fails all of it. A module is a function of its records, so the same batch would
//! fail in the same way, and a part of it may be asked about instead.
//!
//! | Attempt | Instance | Time |
//! |---|---|---|
//! | the first | any | the deadline |
//! | the second, if that one had been used before: what it remembered may be to blame | fresh | the deadline |
//! | then each half, and halves of halves down to one record | fresh | a sixteenth of the deadline, after an attempt that took all of its time |
//!
//! An attempt that took all of its time goes to halves at once: they get fresh instances anyway. How much is tried is bounded,
//! in time and in number: see [`Attempts::run`].

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::abi::Input;
use super::engine::Engine;
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

/// Records of a call that stand next to each other.
struct Part {
    range: Range<usize>,
    attempts: u32,
    fresh: bool,
    /// What the attempt came to that they were part of last.
    before: Option<Fault>,
}

impl Attempts {
    pub(super) fn new(again: bool) -> Self {
        Self { again, hopeless: AtomicBool::new(false) }
    }

    /// Asks about `inputs`. After 256 attempts that failed nothing is taken apart any more: the parts that wait, fewer than
    /// 32, are tried once each. When three times the deadline has passed, nothing is tried any more: the parts that wait fail
    /// as what they were part of last.
    pub(super) fn run(&self, pool: &Pool, inputs: &[Input<'_>], take: &mut impl Take) {
        let mut patience = Patience::new(pool, self.hopeless.load(Ordering::Relaxed));
        let mut was_answered = false;
        let mut waiting = vec![Part { range: 0..inputs.len(), attempts: 0, fresh: false, before: None }];
        while let Some(part) = waiting.pop() {
            let attempts = part.attempts + 1;
            let asked = inputs.get(part.range.clone()).unwrap_or_default();
            let allowed = match (patience.time_for(part.before.as_ref()), &part.before) {
                (None, Some(before)) => {
                    take.failed(asked.len(), before, part.attempts);
                    continue;
                }
                (allowed, _) => allowed.unwrap_or(patience.deadline),
            };
            let (fault, was_fresh, depends_on_records) = match pool.lend(part.fresh) {
                Err(fault) => (fault, true, false),
                Ok(mut lent) => match lent.instance.call(asked, allowed) {
                    Ok(answers) => {
                        take.answered(answers, attempts);
                        lent.give_back();
                        was_answered = true;
                        continue;
                    }
                    Err(fault) => (fault, lent.is_fresh, true),
                },
            };
            patience.attempts = patience.attempts.saturating_sub(1);
            let halves = asked.len() > 1 && depends_on_records && fault.depends_on_records();
            if !self.again || patience.attempts == 0 || !fault.may_help() {
                take.failed(asked.len(), &fault, attempts);
            } else if halves && (was_fresh || fault.is_late()) {
                let middle = part.range.start + asked.len() / 2;
                let half = |range| Part { range, attempts, fresh: true, before: Some(fault.clone()) };
                waiting.extend([half(middle..part.range.end), half(part.range.start..middle)]);
            } else if !was_fresh {
                waiting.push(Part { fresh: true, attempts, ..part });
            } else {
                take.failed(asked.len(), &fault, attempts);
            }
        }
        if was_answered {
            self.hopeless.store(false, Ordering::Relaxed);
        } else if patience.is_at_end() {
            self.hopeless.store(true, Ordering::Relaxed);
        }
    }
}

/// What may still be done for one call.
struct Patience<'p> {
    pool: &'p Pool,
    /// Attempts that may fail before nothing is taken apart any more.
    attempts: u32,
    deadline: Duration,
    /// The tick that the call began in.
    begun: u64,
}

impl<'p> Patience<'p> {
    fn new(pool: &'p Pool, hopeless: bool) -> Self {
        let (attempts, deadline) = (if hopeless { 0 } else { ATTEMPTS }, pool.module().limits().deadline);
        Self { pool, attempts, deadline, begun: pool.module().engine().passed() }
    }

    /// Time for an attempt at records that were part of one that came to `before`; `None` if there is none left.
    fn time_for(&self, before: Option<&Fault>) -> Option<Duration> {
        let share = self.deadline / SHARES;
        let time = if before.is_some_and(Fault::is_late) { share } else { self.deadline };
        Some(self.left().min(time)).filter(|time| *time >= share)
    }

    fn left(&self) -> Duration {
        let passed = self.pool.module().engine().passed().saturating_sub(self.begun);
        (self.deadline * DEADLINES)
            .saturating_sub(Engine::TICK.saturating_mul(u32::try_from(passed).unwrap_or(u32::MAX)))
    }

    fn is_at_end(&self) -> bool {
        self.attempts == 0 || self.left() < self.deadline / SHARES
    }
}

const ATTEMPTS: u32 = 256;
/// Deadlines that may pass for one call, all its attempts together.
const DEADLINES: u32 = 3;
/// A part has so much less time than a call, once time has been the matter. Modules that are well need milliseconds; and a
/// few hundred records of which one never ends are taken apart in ten attempts.
const SHARES: u32 = 16;
