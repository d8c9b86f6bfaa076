//! What is appended, how, and what comes back.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hydrant_model::{Birth, Offset};
use tokio::sync::oneshot;

use super::format::payload_crc;
use super::segment::Mark;
use super::{Log, Shared};

/// Records to append: their lengths and all their bytes, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    /// Length of each record in bytes; the sum is `body.len()`.
    pub lengths: Vec<u32>,
    /// The records.
    pub body: Bytes,
}

/// When an append is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After fdatasync: survives power loss.
    Synced,
    /// After the write: survives the end of the process, and power loss once a sync followed (within a second).
    Written,
}

/// Where an append goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Behind the last one.
    Behind,
    /// As the first of a new segment.
    NewSegment,
}

/// Where an append lies: its records have consecutive offsets in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The segment's birth.
    pub birth: Birth,
    /// Offset of the first record.
    pub first: Offset,
    /// Where its first frame begins in the segment's file.
    pub position: u64,
}

impl Appended {
    /// Its first frame.
    pub fn mark(&self) -> Mark {
        Mark { offset: self.first, position: self.position }
    }
}

/// Why an append was not answered with a place. Nothing was accepted; the records may nevertheless be found after a crash.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream's logs have used up their disk budget: come back when delivery has caught up.
    #[error("disk budget of {budget} bytes is used up ({used} in use)")]
    Budget {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        budget: u64,
    },
    /// The volume has no space: come back when there is.
    #[error("no space for the log: {0}")]
    Full(Arc<io::Error>),
    /// Writing or syncing failed; the log goes on in a new segment.
    #[error("writing the log: {0}")]
    Failed(Arc<io::Error>),
    /// The segment is sealed and this log begins a new one only on request.
    #[error("segment is sealed")]
    Sealed,
    /// The log was closed.
    #[error("log is closed")]
    Closed,
}

impl Log {
    /// Appends `payload` and waits until it is as durable as asked.
    ///
    /// The order of calls is the order in the log. A payload without records is a pure sync.
    ///
    /// # Errors
    /// Each [`AppendError`] says when to come back.
    pub async fn append(
        &self,
        payload: Payload,
        durability: Durability,
        placement: Placement,
    ) -> Result<Appended, AppendError> {
        let answer = self.submit(payload, durability, placement)?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Queues `payload` and returns at once; the answer comes through the channel. For whoever must not wait, or must keep an
    /// order of its own.
    ///
    /// # Errors
    /// Budget and closing are told at once.
    ///
    /// # Panics
    /// The lengths do not add up to the body: written, it would make everything behind it unreadable.
    pub fn submit(
        &self,
        payload: Payload,
        durability: Durability,
        placement: Placement,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        self.queue(payload, None, durability, placement)
    }

    /// Queues `payload` as [`Log::submit`] does, behind the last one and not synced: records that lay elsewhere before, and arrived
    /// at `arrival_ms`, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// As [`Log::submit`].
    ///
    /// # Panics
    /// As [`Log::submit`].
    pub fn submit_again(
        &self,
        payload: Payload,
        arrival_ms: u64,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        self.queue(payload, Some(arrival_ms), Durability::Written, Placement::Behind)
    }

    fn queue(
        &self,
        payload: Payload,
        arrival_ms: Option<u64>,
        durability: Durability,
        placement: Placement,
    ) -> Result<oneshot::Receiver<Result<Appended, AppendError>>, AppendError> {
        let account = &self.shared.account;
        let bytes = payload.body.len() as u64;
        let described: u64 = payload.lengths.iter().map(|length| u64::from(*length)).sum();
        assert_eq!(described, bytes, "the lengths of a payload's records add up to its body");
        if !payload.lengths.is_empty() && self.shared.settings.used_as == super::Use::Records {
            if account.used().saturating_add(bytes) > account.budget() {
                self.shared.refused.notify_waiters();
                return Err(AppendError::Budget { used: account.used(), budget: account.budget() });
            }
            if self.shared.workshop.pool.is_low() {
                return Err(AppendError::Full(Arc::new(io::ErrorKind::StorageFull.into())));
            }
        }
        let (answer, receiver) = oneshot::channel();
        let append = Append { pieces: pieces(&payload), payload, arrival_ms, durability, placement, answer };
        let schedule = {
            let mut pending = self.shared.pending.lock();
            if pending.closed && !append.pieces.is_empty() {
                return Err(AppendError::Closed);
            }
            pending.appends.push_back(append);
            !std::mem::replace(&mut pending.scheduled, true)
        };
        if schedule {
            self.shared.workshop.committers.schedule(self.clone());
        }
        Ok(receiver)
    }

    /// Syncs everything that was appended before.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub async fn sync(&self) -> Result<(), AppendError> {
        self.append(Payload::default(), Durability::Synced, Placement::Behind).await.map(|_| ())
    }

    /// Returns when records are refused because the budget is used up.
    pub async fn refused_for_budget(&self) {
        self.shared.refused.notified().await;
    }

    /// How often something was lost that this log had taken: an append refused by the committer, or bytes written and then not
    /// synced because of a failure.
    pub fn losses(&self) -> u64 {
        self.shared.losses.load(Ordering::SeqCst)
    }

    /// Whether something is written and not yet synced.
    pub fn has_unsynced(&self) -> bool {
        self.shared.unsynced.load(Ordering::Relaxed)
    }

    /// Refuses records from now on; what is queued is still committed, and can be synced.
    pub fn close(&self) {
        self.shared.pending.lock().closed = true;
    }

    /// Closes the log and refuses what is queued: nobody is left to commit it.
    pub(super) fn abandon(&self) {
        let queued = {
            let mut pending = self.shared.pending.lock();
            pending.closed = true;
            std::mem::take(&mut pending.appends)
        };
        for append in queued {
            let _ = append.answer.send(Err(AppendError::Closed));
        }
    }
}

impl Shared {
    /// Takes the next group to commit: what is queued, up to a bound.
    pub(super) fn take_group(&self) -> Vec<Append> {
        let mut pending = self.pending.lock();
        let mut bytes = 0;
        let mut count = 0;
        for append in &pending.appends {
            if count > 0 && (bytes + append.payload.body.len() > GROUP_BYTES || count == GROUP_APPENDS) {
                break;
            }
            bytes += append.payload.body.len();
            count += 1;
        }
        pending.appends.drain(..count).collect()
    }

    /// Whether another group waits; if not, the next append schedules the log again.
    pub(super) fn group_waits(&self) -> bool {
        let mut pending = self.pending.lock();
        pending.scheduled = !pending.appends.is_empty();
        pending.scheduled
    }
}

/// What is queued for the committer.
#[derive(Default)]
pub(super) struct Pending {
    appends: VecDeque<Append>,
    scheduled: bool,
    closed: bool,
}

pub(super) struct Append {
    pub(super) payload: Payload,
    pub(super) pieces: Vec<Piece>,
    /// When its records arrived, where that is not now.
    pub(super) arrival_ms: Option<u64>,
    pub(super) durability: Durability,
    pub(super) placement: Placement,
    pub(super) answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// One frame's share of an append. Frames are bounded, so that a reader's buffer and the reach of one damaged byte are.
pub(super) struct Piece {
    pub(super) table: Vec<u8>,
    pub(super) records: u32,
    pub(super) body: Range<usize>,
    pub(super) crc: u32,
}

fn pieces(payload: &Payload) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(1);
    let mut rest = payload.lengths.as_slice();
    let mut start = 0;
    while !rest.is_empty() {
        let (mut records, mut bytes) = (0, 0);
        for length in rest {
            let length = usize::try_from(*length).unwrap_or(usize::MAX);
            if records > 0 && (bytes + length > FRAME_BODY_BYTES || records == FRAME_RECORDS) {
                break;
            }
            bytes += length;
            records += 1;
        }
        let (now, later) = rest.split_at(records);
        rest = later;
        let table: Vec<u8> = now.iter().flat_map(|length| length.to_le_bytes()).collect();
        let body = start..start + bytes;
        let crc = payload_crc([&table, payload.body.get(body.clone()).unwrap_or_default()]);
        start = body.end;
        pieces.push(Piece { table, records: u32::try_from(records).unwrap_or(u32::MAX), body, crc });
    }
    pieces
}

/// A group is bounded so that the first of many waiters does not wait for all of them.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_APPENDS: usize = 1000;
/// A frame holds at most this many body bytes, unless a single record is larger.
pub(super) const FRAME_BODY_BYTES: usize = 1 << 20;
/// And this many records: a table of 256 KiB.
const FRAME_RECORDS: usize = 1 << 16;
