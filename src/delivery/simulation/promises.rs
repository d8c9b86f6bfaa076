//! What was promised, and whether it is kept.

use std::collections::{BTreeMap, BTreeSet};

use hydrant_model::Offset;
use tokio::sync::oneshot::Receiver;

use super::record::{self, Id};
use super::sink::{Book, Shore};
use super::table::Becoming;
use crate::delivery::ledger::{Contents, State};
use crate::delivery::tests::Walking;
use crate::log::{AppendError, Appended};

/// What producers and the stream's owner were told.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn for itself")]
pub(super) struct Promises {
    /// Whether records wait in the spool when they are read.
    spooled: bool,
    becoming: Becoming,
    /// Whether objects may be given up, and their records be in the error output.
    cursed: bool,
    /// Whether records of further partitions may be in the error output.
    pub(super) capped: bool,
    /// Whether source records are backed up.
    pub(super) backed_up: bool,
    /// An entry of the ledger was damaged: records may be processed again, behind later ones.
    pub(super) damaged: bool,
    /// The shape asked for last, and the one known to be in force.
    pub(super) shape: u64,
    pub(super) settled_shape: u64,
    records: BTreeMap<Id, Promise>,
    waiting: Vec<Waiting>,
    /// Acknowledged records that were not seen delivered, by offset.
    undelivered: BTreeMap<u64, Id>,
    /// Acknowledged records, delivered or not, by offset.
    acknowledged: BTreeMap<u64, Id>,
}

#[derive(Clone, Copy, Debug)]
struct Promise {
    /// The first shape that it may have.
    least_shape: u64,
    /// The last one; known once it is acknowledged.
    most_shape: Option<u64>,
    /// Where it was acknowledged.
    offset: Option<Offset>,
    /// It must be delivered.
    kept: bool,
}

struct Waiting {
    /// `None` for an empty record, which nobody can tell from another.
    ids: Vec<Option<Id>>,
    synced: bool,
    answer: Receiver<Result<Appended, AppendError>>,
}

impl Promises {
    pub(super) fn new(backed_up: bool, spooled: bool, becoming: Becoming, cursed: bool) -> Self {
        Self { spooled, becoming, cursed, backed_up, ..Self::default() }
    }

    /// Records were submitted; without an answer they were refused at once.
    pub(super) fn put(
        &mut self,
        ids: Vec<Option<Id>>,
        synced: bool,
        answer: Option<Receiver<Result<Appended, AppendError>>>,
    ) {
        let promise = Promise { least_shape: self.settled_shape, most_shape: None, offset: None, kept: false };
        self.records.extend(ids.iter().flatten().map(|id| (*id, promise)));
        if let Some(answer) = answer {
            self.waiting.push(Waiting { ids, synced, answer });
        }
    }

    /// Takes in the answers that have come.
    pub(super) fn hear(&mut self, shore: &Shore) {
        let found = &shore.state.lock().found;
        let Self { records, undelivered, acknowledged, shape, .. } = self;
        self.waiting.retain_mut(|waiting| {
            let appended = match waiting.answer.try_recv() {
                Ok(Ok(appended)) => appended,
                Err(tokio::sync::oneshot::error::TryRecvError::Empty) => return true,
                Ok(Err(_)) | Err(_) => return false,
            };
            for (id, offset) in waiting.ids.iter().zip(appended.first.0..) {
                let Some(promise) = id.and_then(|id| records.get_mut(&id)) else { continue };
                promise.most_shape = Some(*shape);
                promise.offset = Some(Offset(offset));
                promise.kept = waiting.synced;
                let Some(id) = id.filter(|_| waiting.synced) else { continue };
                acknowledged.insert(offset, id);
                if !found.contains_key(&id) {
                    undelivered.insert(offset, id);
                }
            }
            false
        });
    }

    /// A process ended; what was not answered never will be.
    pub(super) fn begin_life(&mut self) {
        self.waiting.clear();
    }

    /// What every start must find: no acknowledged record trimmed before it was delivered, and the records of each open intent.
    pub(super) fn check_start(&mut self, walking: &Walking, shore: &Shore) -> Result<(), String> {
        let log = &walking.log;
        let open = walking.handle.stream.ledger.with(|state| state.open.clone());
        self.undelivered.retain(|_, id| !shore.state.lock().found.contains_key(id));
        let below = |(offset, id): &(&u64, &Id)| **offset < log.first().0 && !self.waits_elsewhere(**id);
        if let Some((offset, id)) = self.undelivered.iter().find(below) {
            return Err(format!("the log begins at {:?} and record {id} at {offset} is not delivered", log.first()));
        }
        // An intent whose commit is damaged is open, and its records may be gone: its object is there when it is asked for.
        for open in open.values().filter(|open| open.contents == Contents::Records && !self.damaged) {
            let range = open.intent.range;
            let mut reader = log.read(range.from, range.to);
            let mut offsets = BTreeSet::new();
            while let Some(view) = reader.next().map_err(|error| format!("{range}: {error}"))? {
                offsets.extend((view.first.0..).zip(view.lengths()).map(|(offset, _)| offset));
            }
            // Delivered ones too: the intent is open because its commit was not synced, and nothing may rest on that.
            let mut waiting = self.acknowledged.range(range.from.0..range.to.0);
            if let Some((offset, id)) = waiting.find(|(offset, _)| !offsets.contains(offset)) {
                return Err(format!("record {id} at {offset} of the open intent {range} cannot be read"));
            }
        }
        Ok(())
    }

    /// Whether a record may have left the records' log without being delivered: it lies in the spool or the errors log.
    fn waits_elsewhere(&self, id: Id) -> bool {
        self.spooled || self.cursed || record::is_poison(id) || self.is_doubtful(id)
    }

    /// Whether it depends on the table of the moment whether the record becomes a row or an error entry.
    fn is_doubtful(&self, id: Id) -> bool {
        self.becoming != Becoming::Bytes && record::is_doubtful(id)
    }

    /// No acknowledged record below the mark waits.
    pub(super) fn check_low_water(&mut self, walking: &Walking, shore: &Shore) -> Result<(), String> {
        let mut state = shore.state.lock();
        let broken = std::mem::take(&mut state.broken);
        if let Some(broken) = broken.into_iter().next() {
            return Err(broken);
        }
        self.undelivered.retain(|_, id| !state.found.contains_key(id));
        let stream = &walking.handle.stream;
        let (low_water, delivered_to) = (stream.ledger.with(State::low_water), stream.delivered_to());
        if let Some((offset, id)) = self.undelivered.iter().find(|(_, id)| !self.waits_elsewhere(**id))
            && *offset < low_water.0
        {
            return Err(format!("record {id} at {offset} is below the low-water mark {low_water:?} and not delivered"));
        }
        if let Some((offset, id)) = self.undelivered.first_key_value()
            && *offset < delivered_to.0
        {
            return Err(format!("record {id} at {offset} is below {delivered_to:?} and not delivered"));
        }
        let mut below = self.acknowledged.range(..low_water.0).filter(|_| self.backed_up);
        match below.find(|(_, id)| !state.backed_up.contains_key(id)) {
            Some((offset, id)) => Err(format!("record {id} at {offset} is below {low_water:?} and not backed up")),
            None => Ok(()),
        }
    }

    /// Every record that was acknowledged is in an object, in order, under its shape; the shore has seen to the rest.
    pub(super) fn check_delivered(&self, shore: &Shore) -> Result<(), String> {
        let state = shore.state.lock();
        for (id, promise) in &self.records {
            if promise.kept && !state.found.contains_key(id) {
                return Err(format!("record {id} was acknowledged and is nowhere: {promise:?}"));
            }
            if promise.kept && self.backed_up && !state.backed_up.contains_key(id) {
                return Err(format!("record {id} was acknowledged and is not backed up: {promise:?}"));
            }
        }
        for (key, ids) in &state.objects {
            // What was to be in an object, and only that, may be in the output of those that were given up.
            let in_errors = Book::of(key) == Book::Errors
                && !(self.cursed && key.starts_with(GIVEN_UP))
                && !(self.capped && key.starts_with(TOO_MANY));
            let out_of_place = |id: Id| !self.is_doubtful(id) && record::is_poison(id) != in_errors;
            let poison = ids.iter().find(|id| out_of_place(**id));
            if let Some(id) = poison.filter(|_| Book::of(key) != Book::Backup) {
                return Err(format!("record {id} is in {key}"));
            }
            if Book::of(key) != Book::Main {
                continue;
            }
            let shape = key.split('/').next().and_then(|shape| shape.parse::<u64>().ok());
            let shape = shape.ok_or_else(|| format!("{key} has no shape"))?;
            let mut last = None;
            for id in ids {
                let promise = self.records.get(id).ok_or_else(|| format!("{key} holds {id}, which nobody put"))?;
                if shape < promise.least_shape || promise.most_shape.is_some_and(|most| shape > most) {
                    return Err(format!("record {id} left as {key}: {promise:?}"));
                }
                if promise.offset.is_some() && promise.offset <= last && !self.damaged {
                    return Err(format!("{key} is not in the order of the log: {ids:?}"));
                }
                last = promise.offset.or(last);
            }
        }
        Ok(())
    }
}

/// When all is delivered and quiet, the log takes no space that it could give back.
pub(super) fn check_quiet(walking: &Walking) -> Result<(), String> {
    let stream = &walking.handle.stream;
    let (open, low_water) = stream.ledger.with(|state| (state.open.len(), state.low_water()));
    let errors = stream.errors.log();
    let spool = stream.spool.log();
    let spool_low_water = stream.ledger.with(|state| stream.spool.low_water(state));
    if !stream.spool.is_empty() || spool.can_trim(spool_low_water) || spool.disk_bytes() > MOST_QUIET_BYTES {
        return Err(format!("a quiet spool takes {} bytes", spool.disk_bytes()));
    }
    let (failures, errors_low_water) = (stream.ledger.with(|state| state.failures.len()), errors.synced().offset);
    if failures > 0 || errors.can_trim(errors_low_water) || errors.disk_bytes() > MOST_QUIET_BYTES + ONE_WRITE {
        return Err(format!("{failures} sets wait and a quiet errors log takes {} bytes", errors.disk_bytes()));
    }
    let log = &walking.log;
    if open > 0 || low_water < log.synced().offset {
        return Err(format!("{open} intents are open at {low_water:?} of {:?}", log.synced()));
    }
    if log.can_trim(low_water) || log.disk_bytes() > MOST_QUIET_BYTES {
        return Err(format!("a quiet log takes {} bytes", log.disk_bytes()));
    }
    let (cut, synced) = (stream.ledger.with(|state| state.main.cut_bytes), log.synced().bytes);
    if cut != synced {
        return Err(format!("all is delivered, and {cut} of {synced} bytes are cut"));
    }
    if stream.ledger.is_unsettled() {
        return Err("a quiet ledger is not synced".to_owned());
    }
    Ok(())
}

const TOO_MANY: &str = "errors/activePartitionExceeded/";
const GIVEN_UP: &str = "errors/s3-failed/";
/// One growing segment that is not full yet, or a pool segment.
const MOST_QUIET_BYTES: u64 = 128 << 10;
/// Entries written at once make a segment as large as they are.
const ONE_WRITE: u64 = 256 << 10;
