//! Records through a module.

use super::abi::Input;
use super::attempts::{Attempts, Take};
use super::fault::Fault;
use super::pool::Pool;
use crate::records::{Arrived, Fates, Record, Records};
use crate::verdicts::{Answers, Settling};

/// A module in the place of a Lambda function.
#[derive(Debug)]
pub struct WasmTransform {
    pool: Pool,
    batch_bytes: usize,
    attempts: Attempts,
}

impl WasmTransform {
    /// Records go to an instance of `pool` in calls of at most `batch_bytes`, what their headers take included, and at least
    /// one record. `retries` is AWS's `NumberOfRetries`: with 0 nothing is tried again, else what is told in `attempts`.
    pub fn new(pool: Pool, batch_bytes: usize, retries: u32) -> Self {
        Self { pool, batch_bytes, attempts: Attempts::new(retries > 0) }
    }

    /// Takes `records` through the module; each goes exactly one way. Holds the thread.
    ///
    /// A failure's attempts are the calls that its record was part of.
    pub fn apply(&self, mut records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        let settling = Settling::new(&mut records);
        let before = settling.before();
        let inputs: Vec<_> =
            before.iter().map(|(record, data)| Input { arrival_ms: arrival(arrived, record), data }).collect();
        let mut settle = Settle { settling, fates };
        let mut rest = &inputs[..];
        while !rest.is_empty() {
            let (call, behind) = rest.split_at(Input::fitting(rest, self.batch_bytes));
            self.attempts.run(&self.pool, call, &mut settle);
            rest = behind;
        }
        let Settle { settling, fates } = settle;
        settling.done(fates)
    }

    /// Where its instances come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

fn arrival(arrived: &Arrived, record: Record) -> u64 {
    arrived.source(record.origin.source).map_or(0, |source| source.arrival_ms)
}

struct Settle<'r, 'f> {
    settling: Settling<'r>,
    fates: &'f mut Fates,
}

impl Take for Settle<'_, '_> {
    fn answered(&mut self, answers: Answers<'_>, attempts: u32) {
        self.settling.answered(answers, attempts, self.fates);
    }

    fn failed(&mut self, records: usize, fault: &Fault, attempts: u32) {
        self.settling.failed(records, fault.code(), fault.message(), attempts, self.fates);
    }
}
