//! Deleted streams until they are gone: drained, forced, or past their deadline. One whose name was taken by another goes on under
//! its id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Service;
use super::running::Running;
use crate::delivery::Wish;
use crate::telemetry::{CursorLevels, StreamLevels};

impl Running {
    /// Sets when draining ends, from the moment of the deletion. Within a process the wall clock has no say in it: one that jumps
    /// must not drop records.
    pub(super) fn limit_draining(&self) {
        let clock = &self.handle.stream.shop.clock;
        let drained = self.described().deleted_ms.map(|deleted_ms| clock.wall_ms().saturating_sub(deleted_ms));
        let deadline = self.handle.stream.current().drain_deadline;
        let left = deadline.saturating_sub(Duration::from_millis(drained.unwrap_or_default()));
        *self.drain_until.lock() = Some(clock.now() + left);
    }

    /// Drops what a deleted stream still holds.
    fn discard(&self) {
        *self.drain_until.lock() = None;
        self.handle.wish(Wish::Discard);
    }
}

impl Service {
    /// Every stream at work, the deleted ones whose name was taken among them: by name, and of one name the one that has it first.
    pub(super) fn everyone(&self) -> Vec<Arc<Running>> {
        let (streams, draining) = (self.inner.streams.read(), self.inner.draining.lock());
        let mut everyone: Vec<_> = streams.values().chain(draining.values()).map(Arc::clone).collect();
        let place = |running: &Running| (running.name.clone(), draining.contains_key(&running.id), running.id);
        everyone.sort_by_cached_key(|running| place(running));
        everyone
    }

    /// Drops what earlier streams of the name of `running` still hold.
    pub(super) fn drop_namesakes(&self, running: &Running) {
        let namesakes: Vec<_> = {
            let draining = self.inner.draining.lock();
            draining.values().filter(|other| other.name == running.name).map(Arc::clone).collect()
        };
        for namesake in namesakes {
            namesake.discard();
        }
    }

    /// Drops what deleted streams hold that are past their deadline.
    pub(super) fn end_overdue_drains(&self) {
        let now = self.inner.clock.now();
        for running in self.everyone() {
            if running.drain_until.lock().is_none_or(|until| now < until) {
                continue;
            }
            let status = running.status();
            let (records, bytes) = status.cursors.iter().fold((0, 0), |(records, bytes), cursor| {
                (cursor.waiting_records.max(records), cursor.waiting_bytes.max(bytes))
            });
            let id = running.id;
            tracing::warn!(
                stream = %running.name, %id, records, bytes,
                "a deleted stream could not deliver what it holds before its deadline and drops it"
            );
            running.discard();
        }
    }

    /// Takes a stream that is gone off the books. An earlier one of the same name that still drains gets the name back, so that
    /// it can be seen and forced.
    pub(super) fn forget(&self, running: &Running) {
        let (mut streams, mut draining) = (self.inner.streams.write(), self.inner.draining.lock());
        draining.remove(&running.id);
        if streams.get(&running.name).is_none_or(|now| now.id != running.id) {
            return;
        }
        streams.remove(&running.name);
        let namesakes = draining.values().filter(|other| other.name == running.name);
        let last = namesakes.max_by_key(|other| (other.described().created_ms, other.id)).map(Arc::clone);
        if let Some(last) = last {
            draining.remove(&last.id);
            streams.insert(last.name.clone(), last);
        } else {
            self.inner.telemetry.forget_stream(&running.name);
        }
    }
}

/// Levels by name: a metric knows streams by nothing else.
pub(super) fn by_name(levels: impl Iterator<Item = StreamLevels>) -> Vec<StreamLevels> {
    let mut streams: BTreeMap<String, StreamLevels> = BTreeMap::new();
    for level in levels {
        if let Some(together) = streams.get_mut(&level.stream) {
            together.log_bytes += level.log_bytes;
            together.log_writable &= level.log_writable;
            together.quarantined_bytes += level.quarantined_bytes;
            level.cursors.into_iter().for_each(|cursor| add_cursor(&mut together.cursors, cursor));
        } else {
            streams.insert(level.stream.clone(), level);
        }
    }
    streams.into_values().collect()
}

fn add_cursor(cursors: &mut Vec<CursorLevels>, cursor: CursorLevels) {
    match cursors.iter_mut().find(|known| known.cursor == cursor.cursor) {
        Some(known) => {
            known.waiting_bytes += cursor.waiting_bytes;
            known.oldest_waiting = known.oldest_waiting.max(cursor.oldest_waiting);
        }
        None => cursors.push(cursor),
    }
}
