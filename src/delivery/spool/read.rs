//! Reading the spool: the slices of a partition, the object that they make, and what waits at a start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hydrant_model::{BodyError, Offset};

use super::slice::Head;
use super::table::Waiting;
use super::{PartitionId, waits};
use crate::clock::Clock;
use crate::delivery::body::{Maker, Packer, failed};
use crate::delivery::ledger::{Ledger, SliceAt};
use crate::log::{Log, ReadError, Reader};

/// The slices of a partition that waits, oldest first. They are fewer than it has where one of them is damaged: those behind that
/// cannot be reached from here. A slice that has left, or is another's, is where a chain ends that was broken before.
///
/// # Errors
/// The disk failed.
pub(in crate::delivery) fn chain(
    log: &Log,
    ledger: &Ledger,
    partition: PartitionId,
    waiting: &Waiting,
) -> Result<Vec<(SliceAt, Head)>, ReadError> {
    let mut found = Vec::new();
    let mut at = Some(waiting.newest);
    for _ in 0..waiting.slices {
        let Some(head_at) = at else { break };
        let mut reader = log.read_closely(head_at, head_at.plus(1));
        let head = reader.next()?.and_then(|view| Head::decode(view.body));
        let is_of_it = |head: &Head| head.partition == partition && waits(ledger, head.run, head_at);
        let Some(head) = head.filter(is_of_it) else { break };
        at = head.previous;
        found.push((SliceAt { head: head_at, records: head.records }, head));
    }
    found.reverse();
    Ok(found)
}

/// Gives every slice that waits for an intent to `found`, in the order of the spool, until it has `ended`.
///
/// # Errors
/// The disk failed.
pub(in crate::delivery) fn scan(
    log: &Log,
    ledger: &Ledger,
    ended: &AtomicBool,
    mut found: impl FnMut(Offset, Head),
) -> Result<(), ReadError> {
    let (from, to) = ledger.with(|state| (state.spool.below.max(log.first()), state.spool.end()));
    let mut reader = log.read(from, to.min(log.synced().offset));
    while !ended.load(Ordering::Relaxed)
        && let Some(view) = reader.next()?
    {
        // What is appended at once begins with its head, and with a frame.
        let length = view.lengths().next().and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let head = view.body.get(..length).and_then(Head::decode);
        if let Some(head) = head.filter(|head| view.first >= head.at_least && waits(ledger, head.run, view.first)) {
            found(view.first, head);
        }
    }
    Ok(())
}

/// Makes an object of slices, in their order.
pub(in crate::delivery) struct SlicesMaker {
    log: Log,
    rest: std::vec::IntoIter<SliceAt>,
    reader: Option<Reader>,
    packer: Packer,
}

impl SlicesMaker {
    /// The records of `slices` in `log`, packed by `packer`.
    pub(in crate::delivery) fn new(log: Log, slices: Vec<SliceAt>, packer: Packer) -> Self {
        Self { log, rest: slices.into_iter(), reader: None, packer }
    }

    /// The reader of the slice that is next; `None` behind the last one.
    fn reader(&mut self) -> Result<Option<&mut Reader>, BodyError> {
        loop {
            if let Some(reader) = &mut self.reader
                && reader.is_at_end().map_err(failed)?
            {
                self.reader = None;
            }
            if self.reader.is_some() {
                return Ok(self.reader.as_mut());
            }
            let Some(slice) = self.rest.next() else { return Ok(None) };
            let first = slice.head.plus(1);
            self.reader = Some(self.log.read_closely(first, first.plus(slice.records)));
        }
    }
}

impl Maker for SlicesMaker {
    fn is_empty(&mut self) -> Result<bool, BodyError> {
        Ok(self.reader()?.is_none())
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if self.reader()?.is_none() {
            self.packer.finish(out)?;
            return Ok(false);
        }
        let Some(reader) = &mut self.reader else { return Ok(true) };
        if let Some(view) = reader.next().map_err(failed)? {
            self.packer.write(view.body, out)?;
        }
        Ok(true)
    }
}

/// How old the oldest record of a slice is: by the monotonic clock if it arrived in this process, else by the wall clock, which may
/// have been set meanwhile, and then no older than `most`.
pub(in crate::delivery) fn age(records: &Log, clock: &Clock, head: &Head, most: Duration) -> Duration {
    match records.arrived(head.source) {
        Some(arrived) => clock.now() - arrived,
        None => Duration::from_millis(clock.wall_ms().saturating_sub(head.oldest_ms)).min(most),
    }
}
