//! The cursor of the error output: what the ledger names waits until it is large or old enough, one object an output type.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hydrant_model::{Cursor, IntentId, OffsetRange, Seed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::delivery::address::address_errors;
use crate::delivery::cut::Batch;
use crate::delivery::lane::TROUBLE_RETRY;
use crate::delivery::ledger::{Closed, Contents, Entry, OpenIntent, Total};
use crate::delivery::send::Send;
use crate::delivery::stream::{Aged, Stream, Wish};
use crate::failpoint::{self, Phase};

/// Delivers error entries until the stream's wish ends it; drained, when the other cursors are.
pub(in crate::delivery) async fn walk_errors(stream: &Arc<Stream>) -> Result<(), Closed> {
    let window = Arc::new(Semaphore::new(stream.shop.settings.window));
    let mut sends = FuturesUnordered::new();
    for open in stream.ledger.with(|state| state.open_of(Cursor::Errors).cloned().collect::<Vec<_>>()) {
        sends.push(Send::again(stream, &window, open).run());
    }
    let mut waiting = Waiting::default();
    loop {
        let (wish, held) = (stream.wish.get(), stream.held.get());
        if sends.is_empty() && (wish == Wish::Stop || wish == Wish::Drain && stream.has_no_failures()) {
            return Ok(());
        }
        tokio::select! {
            biased;
            Some(sent) = sends.next(), if !sends.is_empty() => if let Some(sent) = sent? {
                stream.settle(sent).await?;
            },
            () = stream.wish.until(|now| now > wish) => {}
            () = stream.held.until(|now| now != held) => {}
            due = stream.next_failures(&window, &mut waiting), if wish < Wish::Stop => {
                // Nothing happened here that others should look at.
                let Some((place, output)) = due else { continue };
                if let Some(open) = stream.promise_failures(&mut waiting, &output).await? {
                    sends.push(Send::first(stream, &window, place, open).run());
                }
            }
        }
        stream.stir();
    }
}

/// What waits in the errors log, by output type, as the cursor saw it last.
#[derive(Default)]
struct Waiting {
    since: BTreeMap<String, Aged>,
    rest_until: Option<Instant>,
}

impl Waiting {
    /// The output type that is due, or how long until one is.
    fn due(&mut self, stream: &Stream) -> Result<String, Duration> {
        let groups: BTreeMap<String, Total> = stream
            .ledger
            .with(|state| state.failures.totals().map(|(output, total)| (output.to_owned(), total)).collect());
        self.since.retain(|output, _| groups.contains_key(output));
        let hints = stream.current().objects.hints;
        let (now, flush_to) = (stream.shop.clock.now(), stream.flush_to.get());
        let pressed = stream.is_pressed();
        let mut least = Duration::MAX;
        for (output, group) in groups {
            let aged = *self.since.entry(output.clone()).or_insert_with(|| {
                let age = stream.shop.clock.wall_ms().saturating_sub(group.at_ms);
                Aged { age: Duration::from_millis(age).min(hints.interval), at: now }
            });
            let age = aged.now(now);
            if pressed || flush_to > group.source || group.bytes >= hints.size_bytes || age >= hints.interval {
                return Ok(output);
            }
            least = least.min(hints.interval.saturating_sub(age));
        }
        Err(least)
    }
}

impl Stream {
    /// Waits for a place in the window, then until an output type is due; `None` when it is time to look at the stream again.
    /// Dropping the future loses neither.
    async fn next_failures(
        &self,
        window: &Arc<Semaphore>,
        waiting: &mut Waiting,
    ) -> Option<(OwnedSemaphorePermit, String)> {
        let stirred = self.stirred.get();
        self.released().await;
        let place = Arc::clone(window).acquire_owned().await.expect("the window is never closed");
        if let Some(until) = waiting.rest_until {
            self.shop.clock.sleep_until(until).await;
            waiting.rest_until = None;
        }
        match waiting.due(self) {
            Ok(output) => Some((place, output)),
            Err(wait) => {
                let flush_to = self.flush_to.get();
                tokio::select! {
                    biased;
                    () = self.stirred.until(|now| now > stirred) => {}
                    () = self.flush_to.until(|to| to > flush_to) => {}
                    () = self.shop.clock.sleep(wait.min(LOOK_AGAIN)) => {}
                }
                None
            }
        }
    }

    /// Decides what of `output` leaves next, by the configuration in force.
    async fn promise_failures(&self, waiting: &mut Waiting, output: &str) -> Result<Option<OpenIntent>, Closed> {
        let current = self.current();
        let most = current.objects.hints.size_bytes;
        let taken = self.ledger.with(|state| state.failures.oldest(output, most));
        let Some(oldest_ms) = taken.iter().map(|failures| failures.oldest_ms).min() else { return Ok(None) };
        let range = OffsetRange {
            from: taken.iter().map(|failures| failures.part.from).min().unwrap_or_default(),
            to: taken.iter().map(|failures| failures.part.to).max().unwrap_or_default(),
        };
        let batch = Batch {
            range,
            records: taken.iter().map(|failures| failures.records).sum(),
            bytes: taken.iter().map(|failures| failures.bytes).sum(),
            oldest_ms,
            ends_at: None,
        };
        let id = IntentId(self.ledger.with(|state| state.next_intent));
        let seed = Seed(self.shop.clock.bits());
        let intent = match address_errors(&self.name, id, &batch, seed, &current, output) {
            Ok(intent) => intent,
            Err(error) => {
                self.report_nameless(Cursor::Errors, range, &error);
                waiting.rest_until = Some(self.shop.clock.now() + TROUBLE_RETRY);
                return Ok(None);
            }
        };
        let contents = Contents::Errors {
            output: output.to_owned(),
            parts: taken.iter().map(|failures| failures.part).collect(),
            source: taken.iter().map(|failures| failures.source).min().unwrap_or_default(),
        };
        let open = OpenIntent {
            cursor: Cursor::Errors,
            contents,
            failed: false,
            given_up: None,
            intent,
            shape: current.version,
            schema: None,
            ends_at: None,
            notes: self.announcement(Cursor::Errors),
        };
        waiting.since.remove(output);
        // From here to the ledger nothing is waited for: what was taken is what waits.
        self.ledger.record(Entry::Intent(open.clone())).await?;
        failpoint::reach(Phase::IntentSynced);
        Ok(Some(open))
    }

    /// Whether every cursor has delivered everything.
    fn has_no_failures(&self) -> bool {
        self.is_drained(Cursor::Main)
            && self.is_drained(Cursor::Backup)
            && self.ledger.with(|state| state.failures.is_empty() && state.open.is_empty())
    }
}

/// How old what waits is, is looked at again after this long at the latest: hints may have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
