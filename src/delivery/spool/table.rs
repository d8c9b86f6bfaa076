//! Which partitions wait: one entry of fixed size each, whatever waits in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Range;
use std::time::Duration;

use hydrant_model::{Hints, Offset};
use tokio::time::Instant;

use super::PartitionId;
use super::slice::Head;
use crate::log::Mark;

/// A partition that waits for an intent: its slices are a chain that begins with the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) struct Waiting {
    /// Head of the newest slice.
    pub(in crate::delivery) newest: Mark,
    /// No slice of it lies below.
    pub(in crate::delivery) first: Offset,
    /// Slices in the chain.
    pub(in crate::delivery) slices: u32,
    /// What they take on disk beside their records.
    overhead: u32,
    pub(in crate::delivery) records: u64,
    pub(in crate::delivery) bytes: u64,
    /// No record that it was made of lies below this offset of the records' log.
    pub(in crate::delivery) source: Offset,
    /// Since when it waits: milliseconds on the table's own clock, less than zero for what is older than the table.
    since_ms: i64,
}

/// The waiting partitions of one stream.
pub(in crate::delivery) struct Table {
    began: Instant,
    partitions: HashMap<PartitionId, Waiting>,
    /// By the oldest record, which is by age: but for records of earlier processes, where the wall clock was set.
    ages: BTreeSet<(Offset, PartitionId)>,
    /// What the partitions whose lowest slice lies at or above an offset take on disk. Not the order of their ages: records that
    /// are processed again, because the ledger's entry about them is damaged, are older than others and lie higher in the spool; so
    /// do slices that were written once more.
    firsts: BTreeMap<Offset, u64>,
    /// Those that no intent could be made of, until when.
    resting: HashMap<PartitionId, Instant>,
    /// Those that have reached `size_bytes`.
    large: VecDeque<PartitionId>,
    /// The size that was in force last.
    size_bytes: u64,
    records: u64,
    bytes: u64,
}

/// As much as is taken up at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    pub(super) bytes: u64,
    pub(super) slices: u32,
}

/// What makes partitions due, beside their size.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Urgency {
    pub(in crate::delivery) hints: Hints,
    /// Whatever was made of a record below leaves now.
    pub(in crate::delivery) flush_to: Offset,
    /// The oldest leaves now, to make room.
    pub(in crate::delivery) pressed: bool,
}

impl Table {
    pub(in crate::delivery) fn new(now: Instant) -> Self {
        Self {
            began: now,
            partitions: HashMap::new(),
            ages: BTreeSet::new(),
            firsts: BTreeMap::new(),
            resting: HashMap::new(),
            large: VecDeque::new(),
            size_bytes: u64::MAX,
            records: 0,
            bytes: 0,
        }
    }

    /// Adds a slice whose head begins the frame `at`, and which was `age` old at `now`.
    pub(in crate::delivery) fn add(&mut self, at: Mark, head: &Head, age: Duration, now: Instant, size_bytes: u64) {
        self.measure(size_bytes);
        let since_ms = self.elapsed_ms(now).saturating_sub(millis(age));
        let slice = Waiting::one(at, head, since_ms);
        let earlier = self.take(head.partition);
        let before = earlier.map_or(0, |earlier| earlier.bytes);
        let waiting = earlier.map_or(slice, |earlier| earlier.and(slice));
        self.insert(head.partition, waiting);
        if before < size_bytes && waiting.bytes >= size_bytes {
            self.large.push_back(head.partition);
        }
    }

    /// Finds those that have reached a size that was lowered.
    fn measure(&mut self, size_bytes: u64) {
        if size_bytes < self.size_bytes {
            let reached = size_bytes..self.size_bytes;
            let reached = self.partitions.iter().filter(|(_, waiting)| reached.contains(&waiting.bytes));
            let mut reached: Vec<_> = reached.map(|(partition, waiting)| (waiting.source, *partition)).collect();
            reached.sort_unstable();
            self.large.extend(reached.into_iter().map(|(_, partition)| partition));
        }
        self.size_bytes = size_bytes;
    }

    fn insert(&mut self, partition: PartitionId, waiting: Waiting) {
        self.records += waiting.records;
        self.bytes += waiting.bytes;
        self.ages.insert((waiting.source, partition));
        *self.firsts.entry(waiting.first).or_default() += waiting.disk_bytes();
        self.partitions.insert(partition, waiting);
    }

    /// Head of the newest slice of a partition that waits.
    pub(in crate::delivery) fn newest(&self, partition: PartitionId) -> Option<Mark> {
        self.partitions.get(&partition).map(|waiting| waiting.newest)
    }

    /// A partition that is due, or how long until one is; for ever if none waits.
    pub(in crate::delivery) fn due(&mut self, urgency: &Urgency, now: Instant) -> Result<PartitionId, Duration> {
        self.resting.retain(|_, until| *until > now);
        self.measure(urgency.hints.size_bytes);
        while let Some(partition) = self.large.front().copied() {
            if self.resting.contains_key(&partition) {
                // It is due by its age, or when something is added to it.
                self.large.pop_front();
                continue;
            }
            if self.partitions.get(&partition).is_some_and(|waiting| waiting.bytes >= urgency.hints.size_bytes) {
                return Ok(partition);
            }
            // It has left, or the size in force is another one now.
            self.large.pop_front();
        }
        let oldest = self.ages.iter().find(|(_, partition)| !self.resting.contains_key(partition)).copied();
        let rest = self.resting.values().min().map_or(Duration::MAX, |until| *until - now);
        let Some((source, partition)) = oldest else { return Err(rest) };
        let waiting = self.partitions.get(&partition);
        let age = waiting.map_or(Duration::MAX, |waiting| self.age(waiting, now));
        if urgency.pressed || source < urgency.flush_to || age >= urgency.hints.interval {
            return Ok(partition);
        }
        Err(urgency.hints.interval.saturating_sub(age).min(rest))
    }

    /// Takes a partition out: whoever does makes an intent of it.
    pub(in crate::delivery) fn take(&mut self, partition: PartitionId) -> Option<Waiting> {
        let waiting = self.partitions.remove(&partition)?;
        self.ages.remove(&(waiting.source, partition));
        // No chain takes nothing.
        if let Some(bytes) = self.firsts.get_mut(&waiting.first) {
            *bytes -= waiting.disk_bytes();
            if *bytes == 0 {
                self.firsts.remove(&waiting.first);
            }
        }
        self.records -= waiting.records;
        self.bytes -= waiting.bytes;
        Some(waiting)
    }

    /// Takes one back in that was taken out; whatever was added meanwhile is chained to it.
    pub(in crate::delivery) fn put_back(&mut self, partition: PartitionId, earlier: Waiting, not_before: Instant) {
        self.resting.insert(partition, not_before);
        let later = self.take(partition);
        self.insert(partition, later.map_or(earlier, |later| earlier.and(later)));
    }

    /// What partitions take on disk, all their slices, whose lowest lies there.
    pub(super) fn disk_bytes(&self, firsts: Range<Offset>) -> u64 {
        self.firsts.range(firsts).map(|(_, bytes)| bytes).sum()
    }

    /// Partitions whose lowest slice lies below `to`, lowest first: at least one and then no more than `most`. Those that are due
    /// are left out.
    pub(super) fn lowest(&self, to: Offset, most: Most, hints: &Hints, now: Instant) -> Vec<(PartitionId, Waiting)> {
        let is_due = |waiting: &Waiting| waiting.bytes >= hints.size_bytes || self.age(waiting, now) >= hints.interval;
        let stays = |(partition, waiting): &(&PartitionId, &Waiting)| {
            waiting.first < to && (!is_due(waiting) || self.resting.contains_key(partition))
        };
        let found = self.partitions.iter().filter(stays);
        let mut found: Vec<_> = found.map(|(partition, waiting)| (*partition, *waiting)).collect();
        found.sort_unstable_by_key(|(partition, waiting)| (waiting.first, *partition));
        let (mut bytes, mut slices) = (0, 0);
        let within = found.iter().take_while(|(_, waiting)| {
            let first = bytes == 0;
            bytes += waiting.disk_bytes();
            slices += waiting.slices;
            first || bytes <= most.bytes && slices <= most.slices
        });
        found.truncate(within.count());
        found
    }

    /// Whether a partition waits, and is what it `was`.
    pub(super) fn is_still(&self, partition: PartitionId, was: &Waiting) -> bool {
        let is = self.partitions.get(&partition);
        is.is_some_and(|is| (is.newest, is.slices) == (was.newest, was.slices))
    }

    /// What waits of a partition lies in these slices now, oldest first.
    pub(super) fn lies<'a>(&mut self, partition: PartitionId, slices: impl Iterator<Item = &'a (Mark, Head)>) {
        let slices = slices.map(|(at, head)| Waiting::one(*at, head, i64::MAX));
        let now = slices.reduce(Waiting::and);
        if let Some(now) = now
            && let Some(Waiting { records, bytes, source, since_ms, .. }) = self.take(partition)
        {
            self.insert(partition, Waiting { records, bytes, source, since_ms, ..now });
        }
    }

    /// Whether a partition waits.
    pub(in crate::delivery) fn has(&self, partition: PartitionId) -> bool {
        self.partitions.contains_key(&partition)
    }

    /// How many partitions wait.
    pub(in crate::delivery) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Records and bytes that wait.
    pub(in crate::delivery) fn waiting(&self) -> (u64, u64) {
        (self.records, self.bytes)
    }

    /// How long the oldest has waited.
    pub(in crate::delivery) fn oldest_age(&self, now: Instant) -> Option<Duration> {
        let (_, partition) = self.ages.first()?;
        self.partitions.get(partition).map(|waiting| self.age(waiting, now))
    }

    fn age(&self, waiting: &Waiting, now: Instant) -> Duration {
        let age_ms = self.elapsed_ms(now).saturating_sub(waiting.since_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or_default())
    }

    fn elapsed_ms(&self, now: Instant) -> i64 {
        millis(now - self.began)
    }

    /// No record that something waiting was made of lies below this offset of the records' log.
    pub(in crate::delivery) fn source(&self) -> Option<Offset> {
        self.ages.first().map(|(source, _)| *source)
    }

    /// No waiting slice lies below.
    pub(in crate::delivery) fn first(&self) -> Option<Offset> {
        self.firsts.first_key_value().map(|(first, _)| *first)
    }
}

impl Waiting {
    /// What waits in one slice.
    fn one(at: Mark, head: &Head, since_ms: i64) -> Self {
        let Head { records, bytes, source, .. } = *head;
        let overhead = u32::try_from(head.disk_bytes() - bytes).unwrap_or(u32::MAX);
        Self { newest: at, first: head.at_least, slices: 1, overhead, records, bytes, source, since_ms }
    }

    /// About what it takes on disk.
    pub(in crate::delivery) fn disk_bytes(&self) -> u64 {
        self.bytes + u64::from(self.overhead)
    }

    /// What waits when `later` is chained to this.
    fn and(self, later: Self) -> Self {
        Self {
            newest: later.newest,
            first: self.first.min(later.first),
            slices: self.slices + later.slices,
            overhead: self.overhead.saturating_add(later.overhead),
            records: self.records + later.records,
            bytes: self.bytes + later.bytes,
            source: self.source.min(later.source),
            since_ms: self.since_ms.min(later.since_ms),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use hydrant_model::SetId;

    use super::*;
    use crate::clock::Clock;

    fn mark(offset: u64) -> Mark {
        Mark { offset: Offset(offset), position: 8 * offset }
    }

    fn head(partition: u128, bytes: u64, source: u64) -> Head {
        Head {
            run: SetId([0; 16]),
            at_least: Offset(source),
            previous: None,
            partition: PartitionId(partition),
            records: 1,
            bytes,
            oldest_ms: 0,
            source: Offset(source),
            version: 1,
            schema: None,
            keys: Vec::new(),
        }
    }

    fn urgency(size_bytes: u64, seconds: u64) -> Urgency {
        let hints = Hints { size_bytes, interval: Duration::from_secs(seconds) };
        Urgency { hints, flush_to: Offset(0), pressed: false }
    }

    #[tokio::test(start_paused = true)]
    async fn size_and_age_are_each_partition_s_own() {
        let start = Clock::simulated(1).now();
        let mut table = Table::new(start);
        table.add(mark(0), &head(1, 60, 0), Duration::ZERO, start, 100);
        table.add(mark(2), &head(2, 60, 0), Duration::ZERO, start, 100);
        assert_eq!(table.due(&urgency(100, 60), start), Err(Duration::from_mins(1)));
        table.add(mark(4), &head(2, 60, 9), Duration::ZERO, start, 100);
        assert_eq!(table.due(&urgency(100, 60), start), Ok(PartitionId(2)));
        let taken = table.take(PartitionId(2)).expect("it waits");
        assert_eq!((taken.newest, taken.slices, taken.bytes, taken.first), (mark(4), 2, 120, Offset(0)));
        assert_eq!(table.due(&urgency(100, 60), start), Err(Duration::from_mins(1)));
        let later = start + Duration::from_mins(1);
        assert_eq!(table.due(&urgency(100, 60), later), Ok(PartitionId(1)));
        assert_eq!((table.first(), table.source()), (Some(Offset(0)), Some(Offset(0))));
        table.take(PartitionId(1));
        assert_eq!((table.len(), table.waiting(), table.first()), (0, (0, 0), None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_and_a_full_disk_take_the_oldest_first() {
        let start = Clock::simulated(1).now();
        let mut table = Table::new(start);
        table.add(mark(0), &head(7, 1, 50), Duration::from_secs(9), start, 100);
        table.add(mark(2), &head(8, 1, 60), Duration::from_secs(4), start, 100);
        let flushed = Urgency { flush_to: Offset(51), ..urgency(100, 60) };
        assert_eq!(table.due(&flushed, start), Ok(PartitionId(7)));
        table.take(PartitionId(7));
        assert_eq!(table.due(&flushed, start), Err(Duration::from_secs(56)));
        assert_eq!(table.due(&Urgency { pressed: true, ..flushed }, start), Ok(PartitionId(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn records_that_are_processed_again_do_not_hide_what_lies_below_them() {
        let start = Clock::simulated(1).now();
        let mut table = Table::new(start);
        let at = |at_least: u64, partition, source| Head { at_least: Offset(at_least), ..head(partition, 1, source) };
        table.add(mark(0), &at(0, 1, 100), Duration::ZERO, start, 100);
        // Out of a hole: older, and higher in the spool.
        table.add(mark(60), &at(50, 2, 7), Duration::from_secs(9), start, 100);
        assert_eq!((table.first(), table.source()), (Some(Offset(0)), Some(Offset(7))));
        // Of a partition that waits already.
        table.add(mark(80), &at(70, 1, 3), Duration::from_secs(20), start, 100);
        assert_eq!((table.first(), table.source()), (Some(Offset(0)), Some(Offset(3))));
        assert_eq!(table.oldest_age(start), Some(Duration::from_secs(20)));
        let taken = table.take(PartitionId(1)).expect("it waits");
        assert_eq!((table.first(), table.source()), (Some(Offset(50)), Some(Offset(7))));
        table.put_back(PartitionId(1), taken, start);
        assert_eq!((table.first(), table.source()), (Some(Offset(0)), Some(Offset(3))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_size_that_is_lowered_holds_for_what_waits_already() {
        let start = Clock::simulated(1).now();
        let mut table = Table::new(start);
        for (partition, bytes) in [(1, 60), (2, 20), (3, 80)] {
            table.add(
                mark(0),
                &head(partition, bytes, u64::try_from(partition).expect("small")),
                Duration::ZERO,
                start,
                100,
            );
        }
        assert_eq!(table.due(&urgency(100, 60), start), Err(Duration::from_mins(1)));
        for partition in [1, 3] {
            assert_eq!(table.due(&urgency(50, 60), start), Ok(PartitionId(partition)));
            table.take(PartitionId(partition));
        }
        assert_eq!(table.due(&urgency(50, 60), start), Err(Duration::from_mins(1)));
        // Raised, it holds for them as well.
        table.add(mark(2), &head(2, 30, 9), Duration::ZERO, start, 100);
        assert_eq!(table.due(&urgency(100, 60), start), Err(Duration::from_mins(1)));
        assert_eq!(table.due(&urgency(50, 60), start), Ok(PartitionId(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn partitions_that_are_moved_are_those_that_lie_lowest_and_stay_what_they_were() {
        let start = Clock::simulated(1).now();
        let mut table = Table::new(start);
        for (at, partition) in [(0, 1), (2, 2), (4, 1), (6, 3), (8, 4)] {
            let bytes = if partition == 4 { 900 } else { 10 };
            table.add(mark(at), &head(partition, bytes, at), Duration::from_secs(at), start, 500);
        }
        let all = table.disk_bytes(Offset(0)..Offset(9));
        assert_eq!(all, 4 * head(1, 10, 0).disk_bytes() + head(4, 900, 0).disk_bytes());
        let lowest = |table: &Table, to, bytes, seconds| -> Vec<u128> {
            let hints = Hints { size_bytes: 500, interval: Duration::from_secs(seconds) };
            let found = table.lowest(Offset(to), Most { bytes, slices: 3 }, &hints, start);
            found.into_iter().map(|(partition, _)| partition.0).collect()
        };
        // Its slices are bounded, its bytes are; the last one is large enough to leave, and so is what is old enough.
        assert_eq!(lowest(&table, 9, 10_000, 60), [1, 2]);
        assert_eq!(lowest(&table, 9, 1, 60), [1]);
        assert_eq!(lowest(&table, 2, 10_000, 60), [1]);
        assert_eq!(lowest(&table, 9, 10_000, 5), [1, 2]);
        assert_eq!(lowest(&table, 9, 10_000, 2), [1; 0]);
        let was = *table.partitions.get(&PartitionId(1)).expect("it waits");
        let moved = [(mark(20), Head { at_least: Offset(20), ..head(1, 20, 0) })];
        assert!(table.is_still(PartitionId(1), &was));
        table.lies(PartitionId(1), moved.iter());
        assert!(!table.is_still(PartitionId(1), &was));
        let is = table.take(PartitionId(1)).expect("it waits");
        assert_eq!((is.newest, is.first, is.slices), (mark(20), Offset(20), 1));
        assert_eq!((is.records, is.bytes, is.source, is.since_ms), (was.records, was.bytes, was.source, was.since_ms));
        assert_eq!(table.first(), Some(Offset(2)));
    }

    #[test]
    fn an_entry_is_small() {
        let first = size_of::<(Offset, u64)>();
        assert!(size_of::<(PartitionId, Waiting)>() + size_of::<(Offset, PartitionId)>() + first <= 128);
    }
}
