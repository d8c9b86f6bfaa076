//! Large buffers that are used again.
//!
//! Records go through buffers of a mebibyte and objects through parts of five, many a second. An allocator gives memory of that
//! size back to the system and takes it again, and the system clears every page of it each time: a fifth of the work of a stream
//! with processors. So buffers that are dropped are kept for the next, within bounds, until they were of no use for a while
//! ([`Buffer::give_back`]).

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that grow as a `Vec` does, and whose room is used again.
#[derive(Default)]
pub struct Buffer(Vec<u8>);

struct Kept {
    /// What records go through, and what objects are made in: neither takes the other's place.
    small: Idle,
    large: Idle,
    /// Counts the looks for those that are of no use.
    round: u64,
}

/// Buffers that nobody uses just now.
struct Idle {
    most_bytes: usize,
    bytes: usize,
    /// Each with the round since which nobody has used it. The one that was used last is the last.
    list: Vec<(u64, Vec<u8>)>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept::new());

impl Buffer {
    /// An empty one with room for `bytes`, or a little more.
    pub fn with_capacity(bytes: usize) -> Self {
        if bytes < LEAST_BYTES {
            return Self(Vec::with_capacity(bytes));
        }
        Self(kept().take(bytes).unwrap_or_else(|| Vec::with_capacity(bytes.next_multiple_of(STEP_BYTES))))
    }

    /// From now on idle ones take no more than `bytes`: a third of that is for records, two for parts. At first it is 48 MiB, and it
    /// never is more.
    pub fn keep_at_most(bytes: usize) {
        kept().keep_at_most(bytes.min(KEPT_BYTES));
    }

    /// Gives back those that nobody has used since this was called last: now and then, for as long as the process runs.
    pub fn give_back() {
        // They are freed when the lock is.
        let idle = kept().end_round();
        drop(idle);
    }
}

impl Kept {
    const fn new() -> Self {
        Self { small: Idle::new(KEPT_BYTES / 3), large: Idle::new(KEPT_BYTES / 3 * 2), round: 0 }
    }

    /// Those that are too many by that go when the next one is given.
    fn keep_at_most(&mut self, bytes: usize) {
        (self.small.most_bytes, self.large.most_bytes) = (bytes / 3, bytes / 3 * 2);
    }

    fn of(&mut self, capacity: usize) -> &mut Idle {
        if capacity < LARGE_BYTES { &mut self.small } else { &mut self.large }
    }

    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.of(bytes).take(bytes)
    }

    /// Keeps it; gives back those that have to go for that.
    fn give(&mut self, mut buffer: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        buffer.clear();
        let round = self.round;
        self.of(buffer.capacity()).give(round, buffer)
    }

    fn end_round(&mut self) -> [Vec<(u64, Vec<u8>)>; 2] {
        let idle = [self.small.unused(self.round), self.large.unused(self.round)];
        self.round += 1;
        idle
    }
}

impl Idle {
    const fn new(most_bytes: usize) -> Self {
        Self { most_bytes, bytes: 0, list: Vec::new() }
    }

    /// The one that was used last of those that are large enough, and not much larger.
    fn take(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let fits = |(_, idle): &(u64, Vec<u8>)| (bytes..=2 * bytes).contains(&idle.capacity());
        let found = self.list.iter().rposition(fits)?;
        let (_, taken) = self.list.remove(found);
        self.bytes -= taken.capacity();
        Some(taken)
    }

    fn give(&mut self, round: u64, buffer: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
        self.bytes += buffer.capacity();
        self.list.push((round, buffer));
        let mut left = self.bytes;
        let too_many = self.list.iter().take_while(|(_, oldest)| {
            let goes = left > self.most_bytes;
            left -= if goes { oldest.capacity() } else { 0 };
            goes
        });
        let gone = too_many.count();
        self.bytes = left;
        self.list.drain(..gone).collect()
    }

    /// Those that were given before this round.
    fn unused(&mut self, round: u64) -> Vec<(u64, Vec<u8>)> {
        // Whoever was given later was used later.
        let gone = self.list.iter().take_while(|(since, _)| *since < round).count();
        let unused: Vec<_> = self.list.drain(..gone).collect();
        self.bytes -= unused.iter().map(|(_, idle)| idle.capacity()).sum::<usize>();
        unused
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if (LEAST_BYTES..=MOST_BYTES).contains(&self.0.capacity()) {
            let gone = kept().give(std::mem::take(&mut self.0));
            drop(gone);
        }
    }
}

impl From<Vec<u8>> for Buffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.0.len()).field("capacity", &self.0.capacity()).finish()
    }
}

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Smaller ones are the allocator's own.
const LEAST_BYTES: usize = 256 << 10;
/// Sizes differ by no less, so that one serves another's purpose.
const STEP_BYTES: usize = 256 << 10;
/// From here on a buffer is a part's rather than records'.
const LARGE_BYTES: usize = 3 << 20;
/// One that is larger was needed once, for a record that became large; parts of objects take 6.5 MiB, slices 6.
const MOST_BYTES: usize = 8 << 20;
/// Idle ones take no more, or less where somebody says so.
const KEPT_BYTES: usize = 48 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_of(sizes: &[usize]) -> Kept {
        let mut kept = Kept::new();
        for size in sizes {
            assert!(kept.give(Vec::with_capacity(*size)).is_empty());
        }
        kept
    }

    fn capacities(buffers: &[(u64, Vec<u8>)]) -> Vec<usize> {
        buffers.iter().map(|(_, buffer)| buffer.capacity()).collect()
    }

    #[test]
    fn the_last_one_that_fits_is_used_again() {
        let mut kept = kept_of(&[1 << 20, 5 << 19, 1 << 20]);
        let first = kept.small.list.first().map(|(_, idle)| idle.as_ptr());
        let last = kept.small.list.last().map(|(_, idle)| idle.as_ptr());
        assert_eq!(kept.take(900 << 10).map(|taken| taken.as_ptr()), last);
        assert_eq!(kept.take(900 << 10).map(|taken| taken.as_ptr()), first);
        // The one that is left is more than twice as large.
        assert!(kept.take(900 << 10).is_none());
        assert_eq!(kept.small.bytes, 5 << 19);
        assert!(kept.take(2 << 20).is_some_and(|taken| taken.is_empty() && taken.capacity() == 5 << 19));
        assert_eq!((kept.small.bytes, kept.small.list.len()), (0, 0));
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_the_oldest_goes_first() {
        let mut kept = kept_of(&[14 << 20, 8 << 20, 7 << 20, 1 << 20]);
        assert_eq!(capacities(&kept.give(Vec::with_capacity(5 << 20))), [14 << 20]);
        assert_eq!((kept.large.bytes, kept.small.bytes), (20 << 20, 1 << 20));
        kept.keep_at_most(24 << 20);
        assert_eq!(capacities(&kept.give(Vec::with_capacity(4 << 20))), [8 << 20]);
        assert_eq!((kept.large.bytes, kept.small.bytes), (16 << 20, 1 << 20));
    }

    #[test]
    fn what_nobody_used_for_a_round_is_given_back() {
        let mut kept = kept_of(&[1 << 20, 2 << 20, 5 << 20]);
        assert_eq!(kept.end_round().map(|unused| unused.len()), [0, 0]);
        let used = kept.take(2 << 20).expect("one of that size");
        assert!(kept.give(used).is_empty());
        let [small, large] = kept.end_round();
        assert_eq!((capacities(&small), capacities(&large)), (vec![1 << 20], vec![5 << 20]));
        assert_eq!((kept.small.bytes, kept.large.bytes), (2 << 20, 0));
        assert_eq!(kept.end_round().map(|unused| unused.len()), [1, 0]);
    }

    #[test]
    fn a_buffer_holds_what_was_written_to_it_and_nothing_else() {
        for round in 0..3_u8 {
            let mut buffer = Buffer::with_capacity(LEAST_BYTES);
            assert!(buffer.is_empty() && buffer.capacity() >= LEAST_BYTES);
            buffer.extend_from_slice(&[round; 10]);
            assert_eq!(buffer.as_slice(), [round; 10]);
        }
    }
}
