//! Reading the spool: the slices of a partition, the object that they make, and what waits at a start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::slice::Head;
use super::table::Waiting;
use super::{PartitionId, waits};
use crate::clock::Clock;
use crate::delivery::body::Frames;
use crate::delivery::ledger::{Ledger, SliceAt};
use crate::log::{FrameView, Log, Mark, ReadError, Reader};

/// The slices of a partition that waits.
pub(in crate::delivery) struct Chained {
    /// Oldest first.
    pub(in crate::delivery) slices: Vec<(SliceAt, Head)>,
    /// Whether there are no others: those behind a damaged head cannot be reached from here.
    pub(in crate::delivery) is_whole: bool,
}

/// The slices of a partition that waits. A slice that has left is where a chain ends. Not after as many as were counted: of a slice
/// whose records are damaged, and which nobody counts after a restart, the head leads on to those behind it.
///
/// # Errors
/// The disk failed.
pub(in crate::delivery) fn chain(
    log: &Log,
    ledger: &Ledger,
    partition: PartitionId,
    waiting: &Waiting,
) -> Result<Chained, ReadError> {
    let mut found = Vec::new();
    let mut at = Some(waiting.newest);
    let mut walker = log.walk_marked(waiting.newest);
    let mut is_whole = true;
    let has_left = |mark: &Mark| ledger.with(|state| mark.offset < state.spool.below);
    while let Some(mark) = at.filter(|mark| !has_left(mark)) {
        walker.go_to(mark);
        let frame = match walker.frame() {
            // Since it was asked whether it has left.
            Err(ReadError::Trimmed(_)) => break,
            frame => frame?,
        };
        // Its records are read when they are sent, and set aside then if they are damaged.
        let there = frame.is_some_and(|frame| frame.first == mark.offset);
        let head = if there { Head::decode(walker.first_record()?) } else { None };
        is_whole = head.as_ref().is_some_and(|head| head.partition == partition);
        let Some(head) = head.filter(|head| is_whole && waits(ledger, head.run, mark.offset)) else { break };
        // Chains lead back.
        at = head.previous.filter(|previous| previous.offset < mark.offset);
        found.push((SliceAt { head: mark.offset, records: head.records, position: mark.position }, head));
    }
    found.reverse();
    Ok(Chained { slices: found, is_whole })
}

/// Gives every slice that waits for an intent to `found`, in the order of the spool, until it has `ended`.
///
/// # Errors
/// The disk failed.
pub(in crate::delivery) fn scan(
    log: &Log,
    ledger: &Ledger,
    ended: &AtomicBool,
    mut found: impl FnMut(Mark, Head),
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
            found(view.mark, head);
        }
    }
    Ok(())
}

/// The records of slices, in their order.
pub(in crate::delivery) struct SliceFrames {
    log: Log,
    rest: std::vec::IntoIter<SliceAt>,
    reader: Option<Reader>,
}

impl SliceFrames {
    /// The records of `slices` in `log`.
    pub(in crate::delivery) fn new(log: Log, slices: Vec<SliceAt>) -> Self {
        Self { log, rest: slices.into_iter(), reader: None }
    }

    /// Goes on to the next slice where this one is at its end.
    fn advance(&mut self) -> Result<(), ReadError> {
        loop {
            if let Some(reader) = &mut self.reader
                && !reader.is_at_end()?
            {
                return Ok(());
            }
            let Some(slice) = self.rest.next() else {
                self.reader = None;
                return Ok(());
            };
            let (mark, from) = (slice.mark(), slice.head.plus(1));
            let to = from.plus(slice.records);
            match &mut self.reader {
                Some(reader) => reader.go_to(mark, from, to),
                None => self.reader = Some(self.log.read_marked(mark, from, to)),
            }
        }
    }
}

impl Frames for SliceFrames {
    fn is_at_end(&mut self) -> Result<bool, ReadError> {
        self.advance()?;
        Ok(self.reader.is_none())
    }

    fn next(&mut self) -> Result<Option<FrameView<'_>>, ReadError> {
        self.advance()?;
        self.reader.as_mut().map_or(Ok(None), Reader::next)
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
