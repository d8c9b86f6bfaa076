//! Giving up an object that the destination refuses for its own sake, or that has failed for as long as `RetryOptions` of dynamic
//! partitioning say, where they were given: its records go to the error output.
//!
//! ```text
//! refused ten times, while ten others are taken, or tried for long enough
//!     ─► asked once more: it is not there ─► ledger: gave up, synced ─► records through the same stages ─► errors log, synced
//!     ─► ledger: these are its entries ─► commit
//! ```
//!
//! What is given up is never sent again, whatever happens, so that no record is both in an object and in the error output. It is
//! therefore not given up while a request that may have made it visible may still be on its way. A destination that refuses
//! everything proves nothing about one object, and objects of the error output and of the backup are never given up.

use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{BodyError, DeliveryError, Offset, Receipt};
use hydrant_transforms::records::{Arrived, Fates, Raw, Records};
use tokio::time::Instant;

use super::body::failed;
use super::errors::{ErrorsLog, Set, undelivered};
use super::form::Form;
use super::lane::TROUBLE_RETRY;
use super::ledger::{Closed, Entry, Failures, GivenUp, Lacking, State};
use super::patience::Patience;
use super::send::{READER_BYTES, Send, Step};
use super::stages::{Failing, StagesMaker};
use crate::failpoint::{self, Phase};

/// How often the destination has refused an object for its own sake.
#[derive(Debug)]
pub(super) struct Refusals {
    times: u32,
    /// The first one: when it was, and how many objects of the stream the destination had taken.
    first: Option<(Instant, u64)>,
    /// When an attempt last ended in a way that nobody knows.
    doubted: Option<Instant>,
}

impl Refusals {
    /// None yet; an earlier process may have sent something until `doubted`.
    pub(super) fn new(doubted: Option<Instant>) -> Self {
        Self { times: 0, first: None, doubted }
    }

    /// Nobody knows how an attempt ended.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.doubted = Some(now);
    }

    /// Notes one, when the destination has taken `delivered` objects of the stream; whether they are enough, where the disk has
    /// room or is `pressed` by what waits.
    pub(super) fn note(&mut self, delivered: u64, now: Instant, pressed: bool) -> bool {
        self.times += 1;
        let (_, before) = *self.first.get_or_insert((now, delivered));
        // Were it asked for more where no more is taken in, because what is refused fills the disk, it would wait for ever.
        let others = if pressed { 1 } else { OTHERS_TAKEN };
        let is_proven = self.times >= REFUSALS && delivered - before >= others;
        is_proven && self.is_certain(now)
    }

    /// Whether no request that may still make the object visible can be on its way.
    pub(super) fn is_certain(&self, now: Instant) -> bool {
        self.doubted.is_none_or(|doubted| now - doubted >= LATE_AFTER)
    }

    /// How long the object has been refused.
    pub(super) fn lasted(&self, now: Instant) -> Duration {
        self.first.map_or(Duration::ZERO, |(since, _)| now - since)
    }
}

impl Send {
    /// Has the ledger say that nothing of the intent is sent any more.
    pub(super) async fn give_up(&mut self, error: &DeliveryError, attempts: u32) -> Result<(), Closed> {
        let (code, message) = (error.code.clone(), error.message.clone());
        let at_ms = self.stream.shop.clock.wall_ms();
        let given_up = GivenUp { code, message, attempts, at_ms, is_named: false };
        tracing::warn!(
            stream = %self.stream.name, intent = self.open.intent.id.0, key = %self.open.intent.object.key,
            records = self.open.intent.records, code = %error.code, message = %error.message, attempts,
            "an object is given up; its records go to the error output"
        );
        self.stream.ledger.record(Entry::GaveUp { intent: self.open.intent.id, given_up: given_up.clone() }).await?;
        self.open.given_up = Some(given_up);
        Ok(())
    }

    /// Puts the records of an intent that was given up into the errors log, unless they are there.
    pub(super) async fn lay_down(&mut self, patience: &mut Patience) -> Result<Step, Closed> {
        let id = self.open.intent.id;
        let is_named = |state: &State| state.open.get(&id.0)?.given_up.as_ref().map(|given_up| given_up.is_named);
        if self.stream.ledger.with(is_named) == Some(true) {
            self.lacking = Lacking { object: true, ..self.lacking };
            return Ok(Step::Done(Receipt { bytes: 0 }));
        }
        match self.write_down().await {
            Ok(Some((mut sets, lacking))) => {
                let mut failures: Vec<Failures> = Vec::new();
                for set in &mut sets {
                    match set.finish().await {
                        Ok(more) => failures.extend(more),
                        Err(error) => return Ok(self.not_laid_down(patience, error.to_string())),
                    }
                }
                failpoint::reach(Phase::GivenUp);
                self.stream.boards.get(self.open.cursor).to_error_output(&failures);
                self.stream.ledger.record(Entry::Failed { intent: Some(id), given_up: true, failures }).await?;
                self.lacking = Lacking { object: true, ..lacking };
                self.stream.stir();
                Ok(Step::Done(Receipt { bytes: 0 }))
            }
            Ok(None) => Ok(Step::Stopping),
            Err(reason) => Ok(self.not_laid_down(patience, reason)),
        }
    }

    fn not_laid_down(&mut self, patience: &mut Patience, message: String) -> Step {
        let error = DeliveryError::internal(message);
        self.wait(patience, &error, Some(TROUBLE_RETRY))
    }

    /// Writes the entries about what would have been in the object; `None` if the road is stopping.
    async fn write_down(&self) -> Result<Option<(Vec<Set>, Lacking)>, String> {
        let stream = &self.stream;
        let Some(given_up) = self.open.given_up.clone() else { return Ok(None) };
        let shape = stream.plan(self.open.shape);
        let shape = shape.ok_or_else(|| format!("configuration version {} is missing", self.open.shape))?;
        let rows = self.rows(&shape);
        let (_, held) = self.made_bytes(&shape, rows.as_ref());
        let Some(_grant) = stream.unless_stopping(stream.shop.memory.take(READER_BYTES + held)).await else {
            return Ok(None);
        };
        let (frames, stages, source) = self.frames(&shape)?;
        let form = match &rows {
            Some(rows) => rows.open(stream).map_err(|error| error.to_string())?,
            None => Form::Nothing,
        };
        let failing = Failing::new(&stream.errors, self.has_named_failures(), source);
        let most_bytes = stream.current().objects.hints.size_bytes;
        let laid_down = LaidDown { given_up, errors: Arc::clone(&stream.errors), source, most_bytes, sets: Vec::new() };
        let maker = StagesMaker::new(stream, frames, (stages, &shape.processing), failing, form).laying_down(laid_down);
        let done = stream.shop.workers.run(move || maker.lay_down()).await;
        done.map(Some).map_err(|error| error.to_string())
    }
}

/// Entries about records that would be in an object.
pub(super) struct LaidDown {
    given_up: GivenUp,
    errors: Arc<ErrorsLog>,
    /// Where the records came from, if what is read are offsets of the spool.
    source: Option<Offset>,
    /// An error object takes whole sets: what was too large for one object is several of them.
    most_bytes: u64,
    sets: Vec<Set>,
}

impl LaidDown {
    /// Adds an entry for each of `records` that is not among the `unfit`: once, with the bytes that it
    /// arrived with, or those that it has in the spool, below which the records' log may be gone.
    pub(super) fn add(&mut self, records: &Records, unfit: &Fates, arrived: &Arrived) -> Result<(), BodyError> {
        let mut last = None;
        let mut unfit = unfit.failures.iter().map(|failure| failure.origin).peekable();
        for (record, _) in records.iter() {
            let origin = record.origin;
            if unfit.next_if_eq(&origin).is_some() || (origin.raw == Raw::Arrived && last == Some(origin.source)) {
                continue;
            }
            last = Some(origin.source);
            let source = arrived.source(origin.source);
            let arrival_ms = source.map_or(0, |source| source.arrival_ms);
            let offset = self.source.or_else(|| source.map(|source| source.identity.offset)).unwrap_or_default();
            let entry = undelivered(&self.given_up, records.raw(arrived, origin), arrival_ms);
            self.set()?.add(OUTPUT, &entry, offset, arrival_ms).map_err(failed)?;
        }
        Ok(())
    }

    /// The set that the next entry belongs to.
    fn set(&mut self) -> Result<&mut Set, BodyError> {
        if let Some(full) = self.sets.last_mut().filter(|set| set.bytes() >= self.most_bytes) {
            full.write().map_err(failed)?;
            self.sets.push(self.errors.begin());
        } else if self.sets.is_empty() {
            self.sets.push(self.errors.begin());
        }
        self.sets.last_mut().ok_or_else(|| failed("no set"))
    }

    /// What was added.
    pub(super) fn done(self) -> Vec<Set> {
        self.sets
    }
}

/// AWS has no name for it, because it tries again for a day and then drops the records; this follows its other names.
const OUTPUT: &str = "s3-failed";
/// An object is given up when it has been refused so often, about once a minute,
const REFUSALS: u32 = 10;
/// and so many others of the stream were taken since the first time: more than may have been on their way then.
const OTHERS_TAKEN: u64 = 10;
/// And when so much time has passed since an attempt whose outcome nobody knew: the request may have been on its way until then.
const LATE_AFTER: Duration = Duration::from_mins(15);
