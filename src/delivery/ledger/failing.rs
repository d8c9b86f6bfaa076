//! What waits in the errors log, so that naming a set, taking it out and looking at what waits cost no more than the sets named,
//! however many others wait.

use std::collections::{BTreeMap, HashMap};

use hydrant_model::Offset;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::Failures;
use crate::delivery::errors::Part;

/// Sets that wait for an intent, in the order in which they were found; written as a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    by_output: BTreeMap<String, Output>,
    /// How many begin at an offset of the errors log, and how many are about records from one of the records' log on.
    parts: BTreeMap<Offset, u32>,
    sources: BTreeMap<Offset, u32>,
    next: u64,
}

/// What waits of one output type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Output {
    sets: BTreeMap<u64, Failures>,
    by_part: HashMap<Part, u64>,
    sources: BTreeMap<Offset, u32>,
    /// When the sets were found, and when the oldest record of each arrived.
    found_ms: BTreeMap<u64, u32>,
    oldest_ms: BTreeMap<u64, u32>,
    records: u64,
    bytes: u64,
}

/// What waits of one output type, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// Records.
    pub records: u64,
    /// Bytes of their entries.
    pub bytes: u64,
    /// No record that they are about lies below this offset of the records' log.
    pub source: Offset,
    /// When the first of them was found, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Arrival of the oldest, milliseconds since the Unix epoch.
    pub oldest_ms: u64,
}

impl Failing {
    /// How many sets wait, one of each output type counted by itself.
    pub fn len(&self) -> usize {
        self.by_output.values().map(|output| output.sets.len()).sum()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.by_output.is_empty()
    }

    /// What waits, by output type.
    pub fn totals(&self) -> impl Iterator<Item = (&str, Total)> {
        self.by_output.iter().filter_map(|(name, output)| Some((name.as_str(), output.total()?)))
    }

    /// The oldest sets of `output` that make up `most` bytes.
    pub fn oldest(&self, output: &str, most: u64) -> Vec<Failures> {
        let mut bytes = 0;
        let of_output = self.by_output.get(output).into_iter().flat_map(|output| output.sets.values());
        let taken = of_output.take_while(|failures| {
            look_at_one();
            let before = bytes;
            bytes += failures.bytes;
            before < most
        });
        taken.cloned().collect()
    }

    /// Nothing that waits lies below in the errors log.
    pub fn from(&self) -> Option<Offset> {
        self.parts.first_key_value().map(|(from, _)| *from)
    }

    /// Nothing that waits is about a record below.
    pub fn source(&self) -> Option<Offset> {
        self.sources.first_key_value().map(|(source, _)| *source)
    }

    pub(super) fn add(&mut self, failures: &Failures) {
        add(&mut self.parts, failures.part.from);
        add(&mut self.sources, failures.source);
        let number = self.next;
        self.next += 1;
        self.by_output.entry(failures.output.clone()).or_default().add(number, failures);
    }

    /// Takes these parts of `output` out; those that are not there were taken out before.
    pub(super) fn remove(&mut self, output: &str, parts: &[Part]) {
        let Some(of_output) = self.by_output.get_mut(output) else { return };
        for failures in parts.iter().filter_map(|part| of_output.remove(part)) {
            remove(&mut self.parts, &failures.part.from);
            remove(&mut self.sources, &failures.source);
        }
        if of_output.sets.is_empty() {
            self.by_output.remove(output);
        }
    }
}

impl Output {
    fn add(&mut self, number: u64, failures: &Failures) {
        look_at_one();
        add(&mut self.sources, failures.source);
        add(&mut self.found_ms, failures.at_ms);
        add(&mut self.oldest_ms, failures.oldest_ms);
        self.records += failures.records;
        self.bytes += failures.bytes;
        self.by_part.insert(failures.part, number);
        self.sets.insert(number, failures.clone());
    }

    fn remove(&mut self, part: &Part) -> Option<Failures> {
        look_at_one();
        let failures = self.sets.remove(&self.by_part.remove(part)?)?;
        remove(&mut self.sources, &failures.source);
        remove(&mut self.found_ms, &failures.at_ms);
        remove(&mut self.oldest_ms, &failures.oldest_ms);
        self.records -= failures.records;
        self.bytes -= failures.bytes;
        Some(failures)
    }

    fn total(&self) -> Option<Total> {
        Some(Total {
            records: self.records,
            bytes: self.bytes,
            source: *self.sources.first_key_value()?.0,
            at_ms: *self.found_ms.first_key_value()?.0,
            oldest_ms: *self.oldest_ms.first_key_value()?.0,
        })
    }
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    *counts.entry(key).or_default() += 1;
}

fn remove<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sets: Vec<_> = self.by_output.values().flat_map(|output| &output.sets).collect();
        sets.sort_unstable_by_key(|(number, _)| **number);
        serializer.collect_seq(sets.into_iter().map(|(_, failures)| failures))
    }
}

impl<'de> Deserialize<'de> for Failing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut failing = Self::default();
        for failures in Vec::<Failures>::deserialize(deserializer)? {
            failing.add(&failures);
        }
        Ok(failing)
    }
}

/// A set is looked at; tests count it.
fn look_at_one() {
    #[cfg(test)]
    tests::LOOKED_AT.with(|count| count.set(count.get() + 1));
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use hydrant_model::{Cursor, Intent, IntentId, ObjectKey, OffsetRange, Seed, SetId};

    use super::*;
    use crate::delivery::ledger::{Contents, Entry, Lacking, OpenIntent, State};

    thread_local! {
        pub(super) static LOOKED_AT: Cell<u64> = const { Cell::new(0) };
    }

    fn failures(output: &str, number: u64) -> Failures {
        let set = SetId(u128::from(number).to_be_bytes());
        Failures {
            output: output.to_owned(),
            part: Part { set, from: Offset(10 * number), to: Offset(10 * number + 5) },
            records: 5,
            bytes: 50,
            oldest_ms: 1000 + number,
            source: Offset(100 * number),
            at_ms: 2000 + number,
        }
    }

    #[test]
    fn what_waits_is_known_by_output_and_at_its_lowest() {
        let mut failing = Failing::default();
        for number in [3, 1, 2] {
            failing.add(&failures("a", number));
            failing.add(&failures("b", number));
        }
        assert_eq!((failing.len(), failing.from(), failing.source()), (6, Some(Offset(10)), Some(Offset(100))));
        let total = Total { records: 15, bytes: 150, source: Offset(100), at_ms: 2001, oldest_ms: 1001 };
        assert_eq!(failing.totals().collect::<Vec<_>>(), [("a", total), ("b", total)]);
        // In the order in which they were found, and none is left out for being too large.
        assert_eq!(failing.oldest("a", 51), [failures("a", 3), failures("a", 1)]);
        failing.remove("a", &[failures("a", 1).part]);
        failing.remove("a", &[failures("a", 1).part, failures("a", 7).part]);
        assert_eq!((failing.len(), failing.from()), (5, Some(Offset(10))));
        failing.remove("b", &[failures("b", 1).part]);
        assert_eq!((failing.from(), failing.source()), (Some(Offset(20)), Some(Offset(200))));
        let read = serde_json::from_slice::<Failing>(&serde_json::to_vec(&failing).expect("written")).expect("read");
        assert_eq!(
            (read.oldest("a", 500), read.oldest("b", 500)),
            (failing.oldest("a", 500), failing.oldest("b", 500))
        );
        for output in ["a", "b"] {
            failing.remove(output, &[2, 3].map(|number| failures(output, number).part));
        }
        assert!(failing.is_empty() && failing.from().is_none() && failing.totals().next().is_none());
    }

    /// An intent for some sets, and its commit.
    fn delivery(id: u64, sets: &[Failures]) -> [Entry; 2] {
        let range = OffsetRange {
            from: sets.iter().map(|set| set.part.from).min().expect("a set"),
            to: sets.iter().map(|set| set.part.to).max().expect("a set"),
        };
        let intent = Intent {
            id: IntentId(id),
            range,
            records: 5,
            bytes: 50,
            seed: Seed([7; 16]),
            version: 1,
            oldest_ms: 5,
            object: ObjectKey::new("bucket", "k").expect("a key"),
        };
        let contents = Contents::Errors {
            output: "a".to_owned(),
            parts: sets.iter().map(|set| set.part).collect(),
            source: Offset(0),
        };
        let cursor = Cursor::Errors;
        let commit = Entry::Commit {
            cursor,
            intent: intent.id,
            contents: contents.clone(),
            range,
            bytes: 1,
            lacking: Lacking::default(),
            at_ms: 1,
        };
        let (shape, ends_at, notes) = (1, None, Vec::new());
        [
            Entry::Intent(OpenIntent {
                cursor,
                contents,
                failed: false,
                given_up: None,
                intent,
                shape,
                schema: None,
                ends_at,
                notes,
            }),
            commit,
        ]
    }

    #[test]
    fn an_object_costs_what_it_takes_and_not_what_waits() {
        const SETS: u64 = 10_000;
        let mut state = State::default();
        for number in 0..SETS {
            let (intent, failures) = (Some(IntentId(number)), vec![failures("a", number)]);
            state.apply(&Entry::Failed { intent, given_up: false, failures });
        }
        LOOKED_AT.set(0);
        for id in 0..SETS / 2 {
            let sets = state.failures.oldest("a", 51);
            assert_eq!(state.failures.totals().count(), 1);
            for entry in delivery(SETS + id, &sets) {
                state.apply(&entry);
                // What settling an object asks.
                assert!(state.errors_from() >= Some(Offset(0)) || id == SETS / 2 - 1);
                assert!(state.delivered_to() <= Offset(100 * SETS));
            }
        }
        assert!(state.failures.is_empty());
        // Each set is chosen once and taken out once; the one behind those that fit is looked at as well.
        assert!(LOOKED_AT.get() <= 3 * SETS, "{} looks for {SETS} sets", LOOKED_AT.get());
    }
}
