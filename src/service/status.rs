//! What a stream shows of itself: status and levels, by cursor.

use std::time::Duration;

use hydrant_model::Cursor;
use hydrant_transforms::formats::schema::Column;

use super::running::{Running, destination};
use crate::api::backend::{ColumnStatus, CursorStatus, LastError, SchemaStatus, StreamStatus};
use crate::delivery::ledger::{Contents, State};
use crate::telemetry::{CursorLevels, StreamLevels};

/// What waits for a cursor.
#[derive(Default)]
struct Waiting {
    records: u64,
    bytes: u64,
    oldest: Option<Duration>,
}

impl Running {
    /// The status with what is too long to be shown of all streams.
    pub(super) fn detail(&self) -> StreamStatus {
        StreamStatus { schema: self.schema(), ..self.status() }
    }

    pub(super) fn status(&self) -> StreamStatus {
        let described = self.described();
        let account = self.log.account();
        StreamStatus {
            name: self.name.clone(),
            id: self.id.to_string(),
            status: self.status_name().to_owned(),
            version: described.version,
            paused: self.handle.is_paused(),
            log_bytes: account.used(),
            disk_budget_bytes: account.budget(),
            quarantined_bytes: self.quarantined_bytes(),
            schema: None,
            cursors: self.cursors().map(|cursor| self.cursor_status(cursor)).collect(),
        }
    }

    pub(super) fn levels(&self) -> StreamLevels {
        let level = |cursor| {
            let waiting = self.waiting(cursor);
            let oldest_waiting = waiting.oldest.unwrap_or_default();
            CursorLevels { cursor: cursor.name(), waiting_bytes: waiting.bytes, oldest_waiting }
        };
        StreamLevels {
            stream: self.name.clone(),
            log_bytes: self.log.account().used(),
            log_writable: self.is_writable(),
            quarantined_bytes: self.quarantined_bytes(),
            cursors: self.cursors().map(level).collect(),
        }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.log.is_writable() && self.handle.stream.ledger.log().is_writable()
    }

    /// The table found last, while records are converted.
    fn schema(&self) -> Option<SchemaStatus> {
        let stream = &self.handle.stream;
        stream.current().processing.conversion.as_ref()?;
        stream.ledger.with(|state| {
            let id = state.schema?.to_string();
            let columns = state.newest_schema()?.columns().iter();
            let column = |it: &Column| ColumnStatus { name: it.name.clone(), hive_type: it.hive_type.to_string() };
            Some(SchemaStatus { id, columns: columns.map(column).collect() })
        })
    }

    /// Those that have had something to do.
    fn cursors(&self) -> impl Iterator<Item = Cursor> {
        let (backup, errors) = self.handle.stream.ledger.with(|state| {
            let errors = state.errors.objects > 0 || !state.failures.is_empty();
            (state.backup.is_some(), errors || state.open_of(Cursor::Errors).next().is_some())
        });
        Cursor::ALL.into_iter().filter(move |cursor| match cursor {
            Cursor::Main => true,
            Cursor::Backup => backup,
            Cursor::Errors => errors,
        })
    }

    fn cursor_status(&self, cursor: Cursor) -> CursorStatus {
        let stream = &self.handle.stream;
        let waiting = self.waiting(cursor);
        let reading = stream.boards.get(cursor).read();
        let delivered = stream.ledger.with(|state| state.delivered(cursor));
        CursorStatus {
            cursor: cursor.name(),
            destination: destination(cursor, &stream.current()).to_owned(),
            waiting_records: waiting.records,
            waiting_bytes: waiting.bytes,
            oldest_age_seconds: waiting.oldest.map(|age| age.as_secs_f64()),
            last_error: reading.last_error.map(|error| LastError {
                code: error.code,
                message: error.message,
                at: error.at,
            }),
            next_retry_seconds: reading.next_retry.map(|wait| wait.as_secs_f64()),
            parked: reading.parked,
            delivered_records: delivered.records,
            delivered_bytes: delivered.bytes,
            delivered_objects: delivered.objects,
        }
    }

    fn waiting(&self, cursor: Cursor) -> Waiting {
        match cursor {
            Cursor::Main | Cursor::Backup => self.waiting_records(cursor),
            Cursor::Errors => self.handle.stream.ledger.with(|state| self.waiting_failures(state)),
        }
    }

    fn waiting_records(&self, cursor: Cursor) -> Waiting {
        let synced = self.log.synced();
        let found = self.handle.stream.ledger.with(|state: &State| {
            let progress = state.progress(cursor)?;
            let open_bytes: u64 = state.open_of(cursor).map(|open| open.intent.bytes).sum();
            // Those of the others are among the offsets that are still read.
            let of_slices = state.open_of(cursor).filter(|open| open.contents != Contents::Records);
            let sliced: u64 = of_slices.map(|open| open.intent.records).sum();
            let oldest_ms = state.open_of(cursor).map(|open| open.intent.oldest_ms).min();
            Some((state.read_from(cursor)?, open_bytes, progress.cut_to, progress.cut_bytes, oldest_ms, sliced))
        });
        let Some((read_from, open_bytes, cut_to, cut_bytes, oldest_ms, sliced)) = found else {
            return Waiting::default();
        };
        let uncut = synced.bytes.saturating_sub(cut_bytes);
        let oldest = match oldest_ms {
            Some(oldest_ms) => Some(self.age_ms(oldest_ms)),
            None if synced.offset > cut_to => Some(self.handle.stream.uncut_age(cursor).unwrap_or_default()),
            None => None,
        };
        let records = synced.offset.0.saturating_sub(read_from.0) + sliced;
        let mut waiting = Waiting { records, bytes: open_bytes + uncut, oldest };
        if cursor == Cursor::Main {
            let stream = &self.handle.stream;
            let (records, bytes, oldest) = stream.spool.waiting(stream.shop.clock.now());
            waiting.records += records;
            waiting.bytes += bytes;
            waiting.oldest = waiting.oldest.max(oldest);
        }
        waiting
    }

    fn waiting_failures(&self, state: &State) -> Waiting {
        let open = state.open_of(Cursor::Errors).map(|open| &open.intent);
        let open = open.map(|intent| (intent.records, intent.bytes, intent.oldest_ms));
        let found = state.failures.totals().map(|(_, total)| (total.records, total.bytes, total.oldest_ms));
        open.chain(found).fold(Waiting::default(), |waiting, (records, bytes, oldest_ms)| Waiting {
            records: waiting.records + records,
            bytes: waiting.bytes + bytes,
            oldest: waiting.oldest.max(Some(self.age_ms(oldest_ms))),
        })
    }

    fn age_ms(&self, arrival_ms: u64) -> Duration {
        Duration::from_millis(self.handle.stream.shop.clock.wall_ms().saturating_sub(arrival_ms))
    }

    fn quarantined_bytes(&self) -> u64 {
        let stream = &self.handle.stream;
        let logs = [&self.log, stream.errors.log(), stream.spool.log(), stream.ledger.log()];
        logs.into_iter().map(crate::log::Log::quarantined_bytes).sum()
    }
}
