//! Random histories of two logs of records and a ledger that share a pool, against a model of what was promised.

use std::collections::{BTreeMap, BTreeSet};

use hydrant_model::{Birth, Offset};
use proptest::prelude::*;
use tokio::sync::oneshot::Receiver;

use super::world::{Read, World, payload, read};
use crate::log::{AppendError, Appended, Durability, Log, Placement, Rolling, Use};

const LOGS: u8 = 3;
const LEDGER: u8 = 2;

#[derive(Clone, Debug)]
enum Op {
    /// Appends that may share a group, awaited together; one of them begins a new segment.
    Append {
        log: u8,
        fresh: Option<u8>,
        appends: Vec<(Vec<Kind>, Level)>,
    },
    Sync(u8),
    /// Everything up to this share of the log is trimmed.
    Trim {
        log: u8,
        share: u8,
    },
    /// Maintenance of the pool.
    Fill,
    /// A read of a part; checks the bytes and stands for an intent: what was seen stays as it is.
    Read {
        log: u8,
        from: u8,
        to: u8,
    },
    FailSync(u8),
    FailWrite(u16),
    Full(u16),
    Space,
    /// The power fails.
    Crash,
    /// The power fails while these are appended, after some changes.
    CrashDuring {
        changes: u8,
        log: u8,
        appends: Vec<(Vec<Kind>, Level)>,
    },
    /// The process ends without a word.
    Kill,
    /// The process ends as it should; `gap` offsets are named by somebody else.
    Clean {
        gap: u8,
    },
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Empty,
    Byte,
    Small(u16),
    /// Bytes of the frame magic all over.
    Magic(u16),
    Large,
}

#[derive(Clone, Copy, Debug)]
enum Level {
    Synced,
    Written,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Empty),
        2 => Just(Kind::Byte),
        12 => (9_u16..400).prop_map(Kind::Small),
        6 => (4000_u16..9000).prop_map(Kind::Small),
        2 => (16_u16..6000).prop_map(Kind::Magic),
    ]
}

fn appends() -> impl Strategy<Value = Vec<(Vec<Kind>, Level)>> {
    let level = prop_oneof![3 => Just(Level::Synced), 1 => Just(Level::Written)];
    let kinds = prop_oneof![
        40 => prop::collection::vec(kind(), 1..6),
        1 => Just(vec![Kind::Small(20), Kind::Large, Kind::Large, Kind::Byte]),
    ];
    prop::collection::vec((kinds, level), 1..6)
}

fn op() -> impl Strategy<Value = Op> {
    let log = || 0..LOGS;
    prop_oneof![
        20 => (log(), prop::option::weighted(0.3, 0..5_u8), appends())
            .prop_map(|(log, fresh, appends)| Op::Append { log, fresh, appends }),
        2 => log().prop_map(Op::Sync),
        5 => (log(), 0..=100_u8).prop_map(|(log, share)| Op::Trim { log, share }),
        3 => Just(Op::Fill),
        3 => (log(), 0..=100_u8, 0..=100_u8).prop_map(|(log, from, to)| Op::Read { log, from, to }),
        3 => (0..4_u8).prop_map(Op::FailSync),
        2 => any::<u16>().prop_map(Op::FailWrite),
        2 => any::<u16>().prop_map(Op::Full),
        2 => Just(Op::Space),
        3 => Just(Op::Crash),
        3 => (0..16_u8, log(), appends()).prop_map(|(changes, log, appends)| Op::CrashDuring { changes, log, appends }),
        2 => Just(Op::Kill),
        2 => (0..3_u8).prop_map(|gap| Op::Clean { gap }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_what_was_answered_is_there_once_and_nothing_is_named_twice(
        seed in any::<u32>(),
        ops in prop::collection::vec(op(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut history = History::new(u64::from(seed));
            for op in &ops {
                history.apply(op).await;
            }
            history.apply(&Op::Crash).await;
            history.check_all();
        });
    }
}

/// The logs and what is known of them.
struct History {
    world: World,
    logs: Vec<Log>,
    known: [Known; LOGS as usize],
    written: u64,
    crashed: bool,
}

#[derive(Default)]
struct Known {
    /// Answered at level `Synced`: must be there until trimmed.
    promised: BTreeMap<u64, Read>,
    /// Every place that was ever given to a record.
    places: BTreeMap<(Birth, u64), Vec<u8>>,
    /// Of appends that failed: may be there, once.
    possible: BTreeSet<Vec<u8>>,
    /// What a read saw in `[trimmed, seen_to)`: stays so.
    seen: BTreeMap<u64, Read>,
    seen_to: u64,
    trimmed: u64,
    /// The ledger's synced-through mark.
    mark: u64,
    /// End of the last append that was answered, in this life.
    last: u64,
}

impl History {
    fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut history = Self { world, logs: Vec::new(), known: Default::default(), written: 0, crashed: false };
        history.reopen(0);
        history
    }

    async fn apply(&mut self, op: &Op) {
        match op {
            Op::Append { log, fresh, appends } => self.append(*log, *fresh, appends).await,
            Op::Sync(log) => {
                let _ = self.logs[usize::from(*log)].sync().await;
            }
            Op::Trim { log, share } => self.trim(*log, *share),
            Op::Fill => {
                self.world.workshop.pool.look_at_space(0).unwrap();
                self.world.workshop.pool.fill();
            }
            Op::Read { log, from, to } => self.read_part(*log, *from, *to),
            Op::FailSync(before) => self.world.disk.fail_sync(u64::from(*before)),
            Op::FailWrite(bytes) => self.world.disk.fail_write(u64::from(*bytes)),
            Op::Full(room) => {
                // A segment begins only with a mebibyte to spare.
                let room = u64::from(*room) + if room % 2 == 0 { 1 << 20 } else { 0 };
                self.world.disk.set_capacity(Some(self.world.disk.used() + room));
            }
            Op::Space => self.world.disk.set_capacity(None),
            Op::Crash => {
                self.crashed = true;
                self.world.crash();
                self.reopen(0);
            }
            Op::CrashDuring { changes, log, appends } => {
                self.world.disk.cut_power(u64::from(*changes));
                self.append(*log, Some(0), appends).await;
                self.crashed = true;
                self.world.crash();
                self.reopen(0);
            }
            Op::Kill => {
                self.world.restart();
                self.reopen(0);
            }
            Op::Clean { gap } => self.stop(*gap).await,
        }
    }

    async fn append(&mut self, log: u8, fresh: Option<u8>, appends: &[(Vec<Kind>, Level)]) {
        let number = usize::from(log);
        let all_records: Vec<Vec<Vec<u8>>> =
            appends.iter().map(|(kinds, _)| kinds.iter().map(|kind| self.record(*kind)).collect()).collect();
        let log = &self.logs[number];
        let waiting: Vec<_> = all_records
            .iter()
            .zip(appends)
            .zip(0..)
            .map(|((records, (_, level)), number)| {
                let durability = match level {
                    Level::Synced => Durability::Synced,
                    Level::Written => Durability::Written,
                };
                let placement = if fresh == Some(number) { Placement::NewSegment } else { Placement::Behind };
                log.submit(payload(records), durability, placement).unwrap()
            })
            .collect();
        let answers: Vec<Result<Appended, AppendError>> = all(waiting).await;
        for ((records, (_, level)), answer) in all_records.into_iter().zip(appends).zip(answers) {
            self.known[number].answered(records, *level, answer.ok());
        }
    }

    fn record(&mut self, kind: Kind) -> Vec<u8> {
        self.written += 1;
        let unique = self.written.to_le_bytes();
        let filled = |length: usize, with: &[u8]| {
            let mut bytes = [b"HyFr".as_slice(), &unique].concat();
            let rest = length.saturating_sub(bytes.len());
            bytes.extend_from_slice(&with.repeat(rest.div_ceil(with.len()))[..rest]);
            bytes
        };
        match kind {
            Kind::Empty => Vec::new(),
            Kind::Byte => vec![unique[0]],
            Kind::Small(length) => filled(usize::from(length), &unique),
            Kind::Magic(length) => filled(usize::from(length), b"HyFr\0\0\0\0"),
            Kind::Large => filled(700 << 10, &unique),
        }
    }

    fn trim(&mut self, log: u8, share: u8) {
        let number = usize::from(log);
        self.check(number);
        let (log, known) = (&self.logs[number], &mut self.known[number]);
        let to = known.trimmed + (log.synced().offset.0 - known.trimmed) * u64::from(share) / 100;
        // The disk may refuse; the next trim goes on.
        let _ = log.trim(Offset(to));
        known.trimmed = to;
        known.mark = known.mark.max(to);
        known.promised.retain(|offset, _| *offset >= to);
        known.seen.retain(|offset, _| *offset >= to);
        self.check(number);
    }

    fn read_part(&mut self, log: u8, from: u8, to: u8) {
        let number = usize::from(log);
        self.check(number);
        let (log, known) = (&self.logs[number], &mut self.known[number]);
        // As the ledger does before an intent.
        known.mark = known.mark.max(known.seen_to);
        let at = |share: u8| known.trimmed + (known.seen_to - known.trimmed) * u64::from(share) / 100;
        let (from, to) = (at(from.min(to)), at(from.max(to)));
        let expected: Vec<Read> = known.seen.range(from..to).map(|(_, read)| read.clone()).collect();
        assert_eq!(read(log, from, to), expected, "a part of the log is that part of the whole");
    }

    async fn stop(&mut self, gap: u8) {
        self.world.disk.heal();
        if gap > 0 {
            // A gap that nobody knows the reason of needs a header to be told from damage.
            self.world.disk.set_capacity(None);
        }
        let mut well = Vec::new();
        for (number, log) in self.logs.iter().enumerate() {
            // After a failure, what a restart finds behind the last good sync counts again.
            well.push(log.sync().await.is_ok() && log.is_writable() && gap == 0);
            self.known[number].mark = log.synced().offset.0;
        }
        self.check_all();
        let before: Vec<u64> = self.logs.iter().map(|log| log.account().used()).collect();
        self.world.restart();
        self.reopen(u64::from(gap));
        for (number, log) in self.logs.iter().enumerate().filter(|(number, _)| well[*number]) {
            assert_eq!(log.account().used(), before[number], "the account of log {number} drifts");
        }
    }

    fn reopen(&mut self, gap: u64) {
        self.logs.clear();
        for (number, known) in self.known.iter_mut().enumerate() {
            let number = u8::try_from(number).unwrap();
            let mut settings = World::log_settings(number);
            if number == LEDGER {
                (settings.used_as, settings.rolling) = (Use::Ledger, Rolling::OnRequest);
            }
            let floor = known.seen_to.max(known.mark) + gap;
            let log = self.world.try_open(settings, known.mark, floor).expect("a log can be opened");
            assert!(log.synced().offset.0 >= floor, "no offset is given again");
            known.last = log.synced().offset.0;
            self.logs.push(log);
        }
        self.check_all();
    }

    fn check_all(&mut self) {
        for number in 0..self.logs.len() {
            self.check(number);
        }
    }

    /// Everything that can be read is what was promised or possible, and what was seen before.
    fn check(&mut self, number: usize) {
        let (log, known) = (&self.logs[number], &mut self.known[number]);
        let end = log.synced().offset.0;
        let records = read(log, known.trimmed, end);
        assert!(records.windows(2).all(|pair| pair[0].offset < pair[1].offset), "offsets go up");
        for (offset, promised) in &known.promised {
            assert!(
                records.binary_search_by_key(offset, |read| read.offset).is_ok_and(|at| &records[at] == promised),
                "record {offset} was answered and is gone or changed"
            );
        }
        let mut once = BTreeSet::new();
        for read in &records {
            let placed = known.places.get(&(read.birth, read.offset));
            assert!(placed.is_none_or(|bytes| bytes == &read.bytes), "offset {} holds another record", read.offset);
            assert!(placed.is_some() || known.possible.contains(&read.bytes), "offset {} was never put", read.offset);
            assert!(read.bytes.len() < 9 || once.insert(&read.bytes), "offset {} is there twice", read.offset);
        }
        let again: BTreeMap<u64, Read> = records.into_iter().map(|read| (read.offset, read)).collect();
        let stable: BTreeMap<u64, Read> = again.range(..known.seen_to).map(|(at, read)| (*at, read.clone())).collect();
        assert_eq!(
            stable.keys().collect::<Vec<_>>(),
            known.seen.keys().collect::<Vec<_>>(),
            "what was read has changed"
        );
        assert!(stable == known.seen, "what was read has changed");
        assert!(end >= known.seen_to, "the synced end went back");
        for read in again.values() {
            known.places.entry((read.birth, read.offset)).or_insert_with(|| read.bytes.clone());
        }
        known.seen = again;
        known.seen_to = end;
        if !self.crashed {
            assert_eq!(log.quarantined_bytes(), 0, "nothing was damaged");
        }
        walk(log, known);
    }
}

impl Known {
    fn answered(&mut self, records: Vec<Vec<u8>>, level: Level, answer: Option<Appended>) {
        let Some(place) = answer else {
            self.possible.extend(records);
            return;
        };
        assert!(place.first.0 >= self.last, "offset {} goes back behind {}", place.first, self.last);
        self.last = place.first.0 + records.len() as u64;
        for (offset, bytes) in (place.first.0..).zip(records) {
            let before = self.places.insert((place.birth, offset), bytes.clone());
            assert!(before.is_none(), "offset {offset} of {} was given twice", place.birth);
            if matches!(level, Level::Synced) {
                self.promised.insert(offset, Read { offset, birth: place.birth, bytes });
            }
        }
    }
}

/// The walker sees the frames that hold what the reader sees.
fn walk(log: &Log, known: &Known) {
    let mut walker = log.walk(Offset(known.trimmed));
    let (mut at, mut bytes) = (0, 0);
    let mut passed = BTreeSet::new();
    while let Some(frame) = walker.frame().unwrap() {
        assert!(frame.first.0 >= at && frame.bytes_before >= bytes, "frames go up");
        let lengths = walker.lengths().unwrap();
        assert_eq!(lengths.len() as u64, frame.next.0 - frame.first.0);
        (at, bytes) = (frame.next.0, frame.bytes_before + frame.bytes);
        passed.extend(frame.first.0..frame.next.0);
        walker.pass().unwrap();
    }
    assert!(known.seen.keys().all(|offset| passed.contains(offset)), "the walker passes every record");
    assert!(bytes <= log.synced().bytes, "the synced end lies behind every frame");
}

async fn all<T>(waiting: Vec<Receiver<T>>) -> Vec<T> {
    let mut answers = Vec::new();
    for answer in waiting {
        answers.push(answer.await.expect("every append is answered"));
    }
    answers
}
