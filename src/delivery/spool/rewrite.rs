//! Rewriting: what waits low in the spool is written once more behind its end, so that the dead bytes around it are given back.
//!
//! ```text
//!  before:  │ cold │ · · · · · · │ cold │ · · · · · · │ hot │         dots have left
//!  after:                                             │ hot │ cold    all below is trimmed
//! ```
//!
//! A log is trimmed from its front, so a partition that waits for hours pins whatever others have written behind it. It is moved out
//! of the way when the segments of a stretch hold more than twice what must be copied to empty them: what is given back then
//! pays for the copy, and a stretch that is mostly alive is left alone. Partitions move whole, lowest first, some mebibytes at a time
//! between two passes, and their slices are merged on the way; one that lies low and is large moves as well, in slices of a bounded
//! size, since it pins no less.
//!
//! The new slices belong to a run that nobody knows until one entry of the ledger says that they count and the old ones do not: a
//! crash leaves either. Partitions may leave all the while. Of one that has, the copy does not count; none is held up for being
//! copied. Nothing can be chained to one meanwhile, because passes wait for the end.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hydrant_model::{Buffer, Hints, Offset, OffsetRange, SetId};
use tokio::time::Instant;

use super::slice::Head;
use super::table::{Most, Waiting};
use super::{Chained, PartitionId, Spool, chain, hull};
use crate::delivery::ledger::{Ledger, Rewritten, SliceAt};
use crate::delivery::memory::Grant;
use crate::delivery::stream::Stream;
use crate::log::{AppendError, Log, Mark, Payload, ReadError, Reader};

/// What was written and copied in this process, and what could not be.
#[derive(Debug)]
pub(super) struct Upkeep {
    /// Bytes of slices that passes have written, and what was there at the start.
    written: u64,
    /// Bytes of slices that were written once more.
    copied: u64,
    /// Partitions with a damaged slice. They leave as they are, and pin what lies behind them until then.
    stuck: Vec<(PartitionId, Waiting)>,
}

/// What is to be written once more.
#[derive(Debug)]
pub(in crate::delivery) struct Lowest {
    /// Partitions, and what they are; lowest first.
    pub(in crate::delivery) chains: Vec<(PartitionId, Waiting)>,
    /// Segments are given back until there, when it and perhaps more is done.
    to: Offset,
}

/// A rewriting that is to be made.
pub(in crate::delivery) struct Rewriting {
    pub(in crate::delivery) stream: Arc<Stream>,
    pub(in crate::delivery) run: SetId,
    pub(in crate::delivery) lowest: Lowest,
}

/// What was written once more, and synced.
pub(in crate::delivery) struct Copied {
    run: SetId,
    /// What the partitions that were copied were, and the heads of their slices.
    whole: HashMap<PartitionId, (Waiting, Vec<Offset>)>,
    stuck: Vec<(PartitionId, Waiting)>,
    /// The new slices, those of a partition one behind the other.
    written: Vec<(Mark, Head)>,
    pub(in crate::delivery) bytes: u64,
}

impl Upkeep {
    /// So many bytes are there.
    pub(super) fn new(written: u64) -> Self {
        Self { written, copied: 0, stuck: Vec::new() }
    }
}

impl Spool {
    /// What is written once more next; nothing where that does not pay by `worth` bytes. What is being sent lies from `sent_from`
    /// on.
    pub(in crate::delivery) fn to_rewrite(
        &self,
        sent_from: Option<Offset>,
        worth: u64,
        hints: &Hints,
        now: Instant,
    ) -> Option<Lowest> {
        let to = self.worth_emptying(sent_from, worth)?;
        let chains = self.table.lock().lowest(to, STEP, hints, now);
        (!chains.is_empty()).then_some(Lowest { chains, to })
    }

    /// Until where it pays to empty the spool. Costs as little as there are segments and passes whose slices wait, however many
    /// partitions do.
    pub(in crate::delivery) fn worth_emptying(&self, sent_from: Option<Offset>, worth: u64) -> Option<Offset> {
        let (mut upkeep, table) = (self.upkeep.lock(), self.table.lock());
        upkeep.stuck.retain(|(partition, was)| table.is_still(*partition, was));
        let stuck = upkeep.stuck.iter().map(|(_, was)| was.first);
        let (low, pinned) = (table.first()?, sent_from.into_iter().chain(stuck).min());
        let most = upkeep.written.saturating_sub(upkeep.copied);
        let stretch = Stretch { low, pinned: pinned.unwrap_or(Offset(u64::MAX)), worth, most };
        stretch.end(&self.log.segment_ends(), |firsts| table.disk_bytes(firsts))
    }

    /// A pass has written slices of so many bytes.
    pub(in crate::delivery) fn note_written(&self, bytes: u64) {
        self.upkeep.lock().written += bytes;
    }

    /// Lets what was copied wait where it lies now, and tells what the ledger must say at the same time; `None` if nothing of it
    /// waits any more.
    pub(in crate::delivery) fn move_to(&self, copied: Copied) -> Option<Rewritten> {
        let Copied { run, whole, stuck, written, bytes } = copied;
        let (mut upkeep, mut table) = (self.upkeep.lock(), self.table.lock());
        upkeep.copied += bytes;
        upkeep.stuck.extend(stuck);
        let (mut slices, mut versions, mut schemas) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for pieces in written.chunk_by(|(_, one), (_, other)| one.partition == other.partition) {
            let Some((_, head)) = pieces.first() else { continue };
            let is_still = |(was, _): &&(Waiting, Vec<Offset>)| table.is_still(head.partition, was);
            if let Some((_, old)) = whole.get(&head.partition).filter(is_still) {
                slices.extend_from_slice(old);
                versions.insert(head.version);
                schemas.extend(head.schema);
                table.lies(head.partition, pieces.iter());
            } else {
                // It has left, or could not be read to its end: these are a copy of what is elsewhere.
                slices.extend(pieces.iter().map(|(at, _)| at.offset));
            }
        }
        let spool = hull(written.iter().map(|(at, head)| OffsetRange { from: at.offset, to: end(*at, head) }));
        let (versions, schemas): (Vec<_>, Vec<_>) = (versions.into_iter().collect(), schemas.into_iter().collect());
        (!versions.is_empty()).then_some(Rewritten { run, spool, slices, versions, schemas })
    }
}

/// Behind the last record of a slice.
fn end(at: Mark, head: &Head) -> Offset {
    at.offset.plus(head.records + 1)
}

/// What decides how far the spool is emptied.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    /// Nothing waits below.
    low: Offset,
    /// What lies from here on cannot be moved.
    pinned: Offset,
    /// So much more is to be given back than is copied twice over.
    worth: u64,
    /// Not more than this is copied: no byte that was written is copied more than once, all in all.
    most: u64,
}

impl Stretch {
    /// The end of the shortest stretch of segments that it pays to empty; `cost` tells what must be copied for that of the
    /// partitions whose lowest slices lie there. Copying pays for itself: it costs at most half of what it gives back.
    fn end(&self, segments: &[(Offset, u64)], cost: impl Fn(Range<Offset>) -> u64) -> Option<Offset> {
        let (mut freed, mut copied, mut from) = (0, 0, self.low);
        for (end, bytes) in segments.iter().copied().filter(|(end, _)| *end > self.low) {
            if end > self.pinned {
                return None;
            }
            freed += bytes;
            copied += cost(from..end);
            from = end;
            if copied > self.most {
                return None;
            }
            if freed >= copied.saturating_mul(2).saturating_add(self.worth) {
                return Some(end);
            }
        }
        None
    }
}

impl Rewriting {
    /// Copies. Dropped or failed, it has named nothing, and everything waits where it lay.
    pub(in crate::delivery) async fn make(self) -> Result<Copied, String> {
        let Self { stream, run, lowest: Lowest { chains, to } } = self;
        let _grant: Grant = stream.shop.memory.take(HELD_BYTES).await;
        let log = stream.spool.log().clone();
        let losses = log.losses();
        let sealed = log.clone();
        stream.shop.workers.run(move || sealed.seal_below(to)).await;
        let mut copying = Copying {
            ledger: Arc::clone(&stream.ledger),
            at_least: log.synced().offset,
            reader: None,
            chains: chains.into_iter(),
            current: None,
            lot: Vec::new(),
            copied: Copied { run, whole: HashMap::new(), stuck: Vec::new(), written: Vec::new(), bytes: 0 },
            log: log.clone(),
        };
        let mut more = true;
        while more {
            let gathered = stream.shop.workers.run(move || copying.gather()).await;
            (copying, more) = gathered.map_err(|error| error.to_string())?;
            copying.write().await.map_err(|error| error.to_string())?;
        }
        log.sync().await.map_err(|error| error.to_string())?;
        if log.losses() != losses {
            return Err("a write to the spool was lost".to_owned());
        }
        Ok(copying.copied)
    }
}

/// A copy under way.
struct Copying {
    log: Log,
    ledger: Arc<Ledger>,
    at_least: Offset,
    reader: Option<Reader>,
    chains: std::vec::IntoIter<(PartitionId, Waiting)>,
    current: Option<Chain>,
    /// What is written next: partitions in the order of `chains`.
    lot: Vec<Slice>,
    copied: Copied,
}

/// The partition that is being copied.
struct Chain {
    partition: PartitionId,
    was: Waiting,
    heads: Vec<Offset>,
    rest: std::iter::Peekable<std::vec::IntoIter<(SliceAt, Head)>>,
    /// Bytes of the records in `rest`.
    left: u64,
}

/// A slice that is not written yet.
struct Slice {
    head: Head,
    /// When its oldest frame arrived.
    arrival_ms: u64,
    /// The head's first; its bytes are filled in at the end.
    lengths: Vec<u32>,
    body: Buffer,
}

impl Copying {
    /// Reads as much as is written at once; whether there is more.
    fn gather(mut self) -> Result<(Self, bool), ReadError> {
        let mut bytes = 0;
        loop {
            let Some(chain) = &mut self.current else {
                let Some((partition, was)) = self.chains.next() else { return Ok((self, false)) };
                self.begin(partition, was)?;
                continue;
            };
            let Some((_, head)) = chain.rest.peek() else {
                let Some(Chain { partition, was, heads, .. }) = self.current.take() else { continue };
                self.copied.whole.insert(partition, (was, heads));
                continue;
            };
            if bytes > 0 && bytes + head.disk_bytes() > LOT_BYTES {
                return Ok((self, true));
            }
            let room = chain.left.min(LOT_BYTES.saturating_sub(bytes)).max(head.bytes);
            bytes += head.disk_bytes();
            chain.left = chain.left.saturating_sub(head.bytes);
            if let Some((at, head)) = chain.rest.next()
                && !self.copy(at, &head, room)?
                && let Some(Chain { partition, was, .. }) = self.current.take()
            {
                self.lot.retain(|slice| slice.head.partition != partition);
                self.copied.stuck.push((partition, was));
            }
        }
    }

    fn begin(&mut self, partition: PartitionId, was: Waiting) -> Result<(), ReadError> {
        let Chained { slices, is_whole } = chain(&self.log, &self.ledger, partition, &was)?;
        if is_whole && slices.len() == usize::try_from(was.slices).unwrap_or(usize::MAX) {
            let heads = slices.iter().map(|(at, _)| at.head).collect();
            let rest = slices.into_iter().peekable();
            self.current = Some(Chain { partition, was, heads, rest, left: was.bytes });
        } else {
            // A slice is damaged; or it has left meanwhile, and this is forgotten at once.
            self.copied.stuck.push((partition, was));
        }
        Ok(())
    }

    /// Adds a slice to the partition's, which is given `room` bytes at first; `false` if not all of it can be read.
    fn copy(&mut self, at: SliceAt, head: &Head, room: u64) -> Result<bool, ReadError> {
        if self.lot.last().is_none_or(|last| last.head.partition != head.partition) {
            self.lot.push(Slice::begin(head, room));
        }
        let Some(slice) = self.lot.last_mut() else { return Ok(false) };
        let (from, to) = (at.head.plus(1), at.head.plus(1 + at.records));
        let reader = match &mut self.reader {
            Some(reader) => {
                reader.go_to(at.mark(), from, to);
                reader
            }
            None => self.reader.insert(self.log.read_marked(at.mark(), from, to)),
        };
        let before = (slice.lengths.len(), slice.body.len());
        while let Some(view) = reader.next()? {
            slice.arrival_ms = slice.arrival_ms.min(view.arrival_ms);
            slice.lengths.extend(view.lengths());
            slice.body.extend_from_slice(view.body);
        }
        let read = (slice.lengths.len() - before.0, slice.body.len() - before.1);
        slice.head.records += head.records;
        slice.head.bytes += head.bytes;
        slice.head.oldest_ms = slice.head.oldest_ms.min(head.oldest_ms);
        slice.head.source = slice.head.source.min(head.source);
        Ok((read.0 as u64, read.1 as u64) == (head.records, head.bytes))
    }

    /// Appends what was gathered, and waits until each slice has its place.
    async fn write(&mut self) -> Result<(), AppendError> {
        let mut answers = Vec::with_capacity(self.lot.len());
        for slice in std::mem::take(&mut self.lot) {
            // A partition that goes on from the lot before.
            let previous = self.copied.written.last().filter(|(_, head)| head.partition == slice.head.partition);
            let previous = previous.map(|(at, _)| *at);
            let head = Head { run: self.copied.run, at_least: self.at_least, previous, ..slice.head };
            self.copied.bytes += head.disk_bytes();
            let payload = Payload { lengths: slice.lengths, body: Bytes::from_owner(filled(slice.body, &head)) };
            answers.push((head, self.log.submit_again(payload, slice.arrival_ms)?));
        }
        for (head, answer) in answers {
            let mark = answer.await.unwrap_or(Err(AppendError::Closed))?.mark();
            self.copied.written.push((mark, head));
        }
        Ok(())
    }
}

impl Slice {
    /// An empty one, of the partition that `head` is of, with its head and room for records of so many bytes.
    fn begin(head: &Head, room: u64) -> Self {
        let (oldest_ms, source) = (u64::MAX, Offset(u64::MAX));
        let head = Head { records: 0, bytes: 0, oldest_ms, source, ..head.clone() };
        let encoded = head.encode();
        let mut body = Buffer::with_capacity(encoded.len() + usize::try_from(room).unwrap_or_default());
        body.extend_from_slice(&encoded);
        let lengths = vec![u32::try_from(encoded.len()).unwrap_or(u32::MAX)];
        Self { head, arrival_ms: u64::MAX, lengths, body }
    }
}

/// The records with their head, which is as long as it was when it was begun: only the keys make it longer.
fn filled(mut body: Buffer, head: &Head) -> Buffer {
    let head = head.encode();
    if let Some(room) = body.get_mut(..head.len()) {
        room.copy_from_slice(&head);
    }
    body
}

/// Written between two passes.
const STEP: Most = Most { bytes: 8 << 20, slices: 4096 };
/// Written at once, unless a slice is larger.
const LOT_BYTES: u64 = 4 << 20;
/// What is held at most: a lot, a slice that a pass has made, and a reader's window.
const HELD_BYTES: usize = 14 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(worth: u64) -> Stretch {
        Stretch { low: Offset(5), pinned: Offset(u64::MAX), worth, most: u64::MAX }
    }

    /// Segments of ten offsets and a hundred bytes each.
    fn segments(count: u64) -> Vec<(Offset, u64)> {
        (1..=count).map(|number| (Offset(10 * number), 100)).collect()
    }

    /// Chains of these bytes, by their lowest slice.
    fn chains(list: &[(u64, u64)]) -> impl Fn(Range<Offset>) -> u64 {
        move |firsts| list.iter().filter(|(first, _)| firsts.contains(&Offset(*first))).map(|(_, bytes)| bytes).sum()
    }

    #[test]
    fn the_shortest_stretch_that_pays_is_emptied() {
        let cold = chains(&[(5, 10), (12, 10), (55, 10)]);
        assert_eq!(stretch(50).end(&segments(9), &cold), Some(Offset(10)));
        assert_eq!(stretch(100).end(&segments(9), &cold), Some(Offset(20)));
        assert_eq!(stretch(500).end(&segments(9), &cold), Some(Offset(60)));
        assert_eq!(stretch(500).end(&segments(5), &cold), None);
        // What is empty already gives nothing more back.
        assert_eq!(Stretch { low: Offset(12), ..stretch(100) }.end(&segments(2), &cold), None);
    }

    #[test]
    fn what_is_mostly_alive_is_copied_only_where_dead_bytes_behind_it_pay_for_that() {
        let alive = chains(&[(5, 90), (12, 90), (22, 90)]);
        assert_eq!(stretch(1).end(&segments(5), &alive), None);
        assert_eq!(stretch(1).end(&segments(6), &alive), Some(Offset(60)));
        assert_eq!(Stretch { most: 269, ..stretch(1) }.end(&segments(6), &alive), None);
    }

    #[test]
    fn what_cannot_be_moved_ends_every_stretch() {
        let cold = chains(&[(5, 10)]);
        for (pinned, end) in [(9, None), (10, Some(Offset(10))), (30, Some(Offset(10)))] {
            assert_eq!(Stretch { pinned: Offset(pinned), ..stretch(1) }.end(&segments(5), &cold), end, "{pinned}");
        }
    }
}
