//! A destination that fails in every way it may, and remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{Body, DeliveryError, Intent, Notes, Outcome, Receipt, Recovery, Sink};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::record::{self, Id};
use crate::clock::{Clock, splitmix};

/// The destination; it outlives every process that sends to it.
pub(super) struct Shore {
    pub(super) state: Mutex<State>,
    seed: u64,
    clock: Clock,
    said: bool,
    /// Intents name slices, which lie in each other's ranges.
    spooled: bool,
    /// Some objects are never taken.
    cursed: bool,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) weather: Weather,
    /// Records of each object.
    pub(super) objects: BTreeMap<String, Vec<Id>>,
    /// The object of each record, or the error object that has its entry: one of the two.
    pub(super) found: BTreeMap<Id, String>,
    /// The backup object of each record.
    pub(super) backed_up: BTreeMap<Id, String>,
    /// Requests whose client gave up and that arrive all the same.
    late: Vec<(Instant, String, Vec<u8>)>,
    /// What was promised under each number.
    intents: BTreeMap<u64, Intent>,
    /// Notes that are in the ledger.
    notes: BTreeMap<u64, Vec<Bytes>>,
    /// Intents whose last attempt nobody knows the end of.
    in_doubt: BTreeSet<u64>,
    /// Calls, by intent: what happens depends on nothing else.
    calls: BTreeMap<u64, u64>,
    /// Everything that happened, folded.
    pub(super) trace: u64,
    pub(super) broken: Vec<String>,
    /// An entry of the ledger was damaged: whatever it said may be decided again.
    pub(super) damaged: bool,
    /// No later intent is cursed.
    pub(super) cursed_until: Option<u64>,
}

/// Which cursor an object is of, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Book {
    Main,
    Backup,
    Errors,
}

impl Book {
    pub(super) fn of(key: &str) -> Self {
        match key.split('/').next() {
            Some("backup") => Self::Backup,
            Some("errors") => Self::Errors,
            _ => Self::Main,
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weather {
    /// Calls of a hundred that something happens to.
    pub(super) percent: u64,
    /// What may happen, one bit a fate.
    pub(super) fates: u64,
}

/// What may happen to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Retry,
    Refuse,
    StoredAndUnknown,
    LostAndUnknown,
    /// Arrives after the client gave up, perhaps after a later attempt or another process's.
    Late,
    /// Takes nothing for a long time, then all.
    Stall,
    /// Breaks off in the middle of the body.
    Half,
    /// Answers after a while.
    Slow,
}

const ALL: [Fate; 8] = [
    Fate::Retry,
    Fate::Refuse,
    Fate::StoredAndUnknown,
    Fate::LostAndUnknown,
    Fate::Late,
    Fate::Stall,
    Fate::Half,
    Fate::Slow,
];

impl Shore {
    pub(super) fn new(seed: u64, clock: Clock, said: bool, spooled: bool, cursed: bool) -> Self {
        Self { state: Mutex::default(), seed, clock, said, spooled, cursed }
    }

    /// Whether an object is never taken, unless a request whose answer nobody heard brings it.
    fn is_cursed(&self, intent: &Intent) -> bool {
        let mut chance = self.seed ^ (intent.id.0 << 24);
        let is_later = self.state.lock().cursed_until.is_some_and(|until| intent.id.0 >= until);
        self.cursed
            && !is_later
            && Book::of(&intent.object.key) == Book::Main
            && splitmix(&mut chance).is_multiple_of(4)
    }

    fn say(&self, what: &str) {
        if self.said {
            println!("{}   {what}", self.clock.wall_ms() % 100_000_000);
        }
    }

    /// Lets arrive what is due.
    pub(super) fn arrive(&self) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let (due, later) = std::mem::take(&mut state.late).into_iter().partition(|(at, ..)| *at <= now);
        state.late = later;
        for (_, key, object) in due {
            state.store(&key, &object);
        }
    }

    fn draw(&self, intent: &Intent) -> (u64, Option<Fate>) {
        let mut state = self.state.lock();
        let calls = state.calls.entry(intent.id.0).or_default();
        *calls += 1;
        let mut chance = self.seed ^ (intent.id.0 << 32) ^ *calls;
        let weather = state.weather;
        let happens = splitmix(&mut chance) % 100 < weather.percent;
        let fates = ALL.into_iter().enumerate().filter(|(bit, _)| weather.fates & (1 << bit) != 0);
        let fates: Vec<Fate> = fates.map(|(_, fate)| fate).collect();
        let drawn = splitmix(&mut chance);
        let fate = happens.then(|| fates.get(usize::try_from(drawn).unwrap_or(0) % fates.len().max(1)).copied());
        (splitmix(&mut chance), fate.flatten())
    }

    async fn whole(&self, body: &mut dyn Body, pieces: usize) -> Result<Vec<u8>, Outcome> {
        let mut whole = Vec::new();
        for _ in 0..pieces {
            match body.next(1500).await {
                Ok(Some(piece)) => whole.extend_from_slice(&piece),
                Ok(None) => break,
                Err(failed) => return Err(Outcome::Retry { error: error(&failed.to_string()), after: None }),
            }
        }
        Ok(whole)
    }

    async fn attempt(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Outcome {
        let (chance, fate) = self.draw(intent);
        let wait = Duration::from_millis(chance % 40_000);
        if chance % 3 == 0 {
            let upload = Bytes::from(format!("upload {chance:x}"));
            if let Err(failed) = notes.add(upload.clone()).await {
                return Outcome::Retry { error: error(&failed.to_string()), after: None };
            }
            self.state.lock().notes.entry(intent.id.0).or_default().push(upload);
        }
        match fate {
            Some(Fate::Retry) => return Outcome::Retry { error: error("slow down"), after: Some(wait / 4) },
            Some(Fate::Refuse) => return Outcome::Refused(error("not this one")),
            Some(Fate::Stall) => self.clock.sleep(wait * 2).await,
            Some(Fate::Half) => {
                let _ = self.whole(body, 1).await;
                return Outcome::Unknown(error("connection reset"));
            }
            _ => {}
        }
        // Before it has read the body, or behind it.
        if self.is_cursed(intent) && chance % 2 == 0 && matches!(fate, None | Some(Fate::Slow | Fate::Stall)) {
            return Outcome::Refused(error("never this one"));
        }
        let whole = match self.whole(body, usize::MAX).await {
            Ok(whole) => whole,
            Err(outcome) => return outcome,
        };
        match fate {
            Some(Fate::LostAndUnknown) => return Outcome::Unknown(error("timed out")),
            Some(Fate::Late) => {
                let at = self.clock.now() + wait * 3;
                self.state.lock().late.push((at, intent.object.key.clone(), whole));
                self.clock.sleep(wait / 2).await;
                return Outcome::Unknown(error("timed out"));
            }
            Some(Fate::Slow | Fate::Stall) => self.clock.sleep(wait / 8).await,
            _ => {}
        }
        if self.is_cursed(intent) && fate != Some(Fate::StoredAndUnknown) {
            return Outcome::Refused(error("never this one"));
        }
        self.state.lock().store(&intent.object.key, &whole);
        if fate == Some(Fate::StoredAndUnknown) {
            return Outcome::Unknown(error("connection reset"));
        }
        Outcome::Delivered(Receipt { bytes: whole.len() as u64 })
    }
}

impl State {
    fn store(&mut self, key: &str, object: &[u8]) {
        let book = Book::of(key);
        let parsed =
            if book == Book::Errors { record::parse_entries(object, self.damaged) } else { record::parse(object) };
        let records = match parsed {
            Ok(records) => records,
            Err(reason) => return self.broken.push(format!("object {key}: {reason}")),
        };
        for id in &records {
            self.fold(*id);
            let found = if book == Book::Backup { &mut self.backed_up } else { &mut self.found };
            if let Some(other) = found.insert(*id, key.to_owned())
                && other != key
                && !self.damaged
            {
                self.broken.push(format!("record {id} is in {other} and in {key}"));
            }
        }
        if let Some(before) = self.objects.insert(key.to_owned(), records.clone())
            && before != records
        {
            self.broken.push(format!("object {key} has had two contents: {before:?} and {records:?}"));
        }
    }

    fn fold(&mut self, number: u64) {
        self.trace ^= number;
        splitmix(&mut self.trace);
        let mut mixed = self.trace;
        self.trace = splitmix(&mut mixed);
    }

    /// What may never be different between two calls for one intent.
    fn look_at(&mut self, intent: &Intent, notes: &dyn Notes, spooled: bool) {
        self.fold(intent.id.0);
        self.fold(u64::from_be_bytes(intent.seed.0[..8].try_into().expect("eight of sixteen bytes")));
        if self.damaged {
            return;
        }
        let before = self.intents.entry(intent.id.0).or_insert_with(|| intent.clone()).clone();
        if before != *intent {
            self.broken.push(format!("an intent changed: {before:?} became {intent:?}"));
        }
        let book = Book::of(&intent.object.key);
        // Entries of two outputs lie in each other's ranges.
        let same = |other: &&Intent| {
            book != Book::Errors
                && !(spooled && book == Book::Main)
                && Book::of(&other.object.key) == book
                && other.id != intent.id
                && other.range.from < intent.range.to
                && intent.range.from < other.range.to
        };
        if let Some(other) = self.intents.values().find(same) {
            self.broken.push(format!("two intents for the same records: {other:?} and {intent:?}"));
        }
        let known = self.notes.get(&intent.id.0).map(Vec::as_slice).unwrap_or_default();
        if let Some(lost) = known.iter().find(|note| !notes.earlier().contains(note)) {
            self.broken.push(format!("a synced note of intent {} is gone: {lost:?}", intent.id.0));
        }
    }
}

impl std::fmt::Display for Shore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("shore")
    }
}

#[async_trait]
impl Sink for Shore {
    async fn deliver(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Outcome {
        self.arrive();
        {
            let mut state = self.state.lock();
            state.look_at(intent, notes, self.spooled);
            if !state.in_doubt.insert(intent.id.0) && !state.damaged {
                state.broken.push(format!("intent {} is sent again and nobody asked", intent.id.0));
            }
        }
        let outcome = self.attempt(intent, body, notes).await;
        self.say(&format!("intent {} {} {outcome:?}", intent.id.0, intent.range));
        if !matches!(outcome, Outcome::Unknown(_)) {
            self.state.lock().in_doubt.remove(&intent.id.0);
        }
        outcome
    }

    async fn recover(&self, intent: &Intent, notes: &mut dyn Notes) -> Recovery {
        self.arrive();
        let (_, fate) = self.draw(intent);
        let mut state = self.state.lock();
        state.look_at(intent, notes, self.spooled);
        if matches!(fate, Some(Fate::Retry | Fate::LostAndUnknown)) {
            return Recovery::Unknown(error("not now"));
        }
        state.in_doubt.remove(&intent.id.0);
        match state.objects.get(&intent.object.key) {
            Some(_) => Recovery::Delivered(Receipt { bytes: intent.bytes }),
            None => Recovery::Absent,
        }
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn announcement(&self) -> Option<Bytes> {
        Some(Bytes::from_static(b"shore"))
    }

    fn memory_bytes(&self, most_bytes: u64) -> usize {
        usize::try_from(most_bytes).unwrap_or(usize::MAX)
    }
}

fn error(message: &str) -> DeliveryError {
    DeliveryError { code: "Simulated".into(), message: message.into() }
}
