//! The bytes of an object: records read out of the log, packed, handed on as they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{Body, BodyError, Compression};
use hydrant_transforms::compression::Encoder;

use super::Workers;
use crate::clock::Clock;
use crate::log::Reader;

/// A body made from a range of the log. Each attempt makes a new one.
pub(super) struct LogBody {
    /// `None` after the end, or after a failure.
    making: Option<Making>,
    workers: Workers,
    most_bytes: u64,
    compression: Compression,
    progress: Progress,
}

/// When a body was last asked for bytes: how a stalled destination is told from a working one.
#[derive(Clone)]
pub(super) struct Progress {
    clock: Clock,
    started: tokio::time::Instant,
    millis: Arc<AtomicU64>,
}

struct Making {
    reader: Reader,
    encoder: Box<dyn Encoder>,
}

impl LogBody {
    /// A body of what `reader` gives, packed by `encoder`.
    pub(super) fn new(
        reader: Reader,
        encoder: Box<dyn Encoder>,
        compression: Compression,
        most_bytes: u64,
        workers: Workers,
        clock: Clock,
    ) -> Self {
        let progress = Progress { started: clock.now(), clock, millis: Arc::default() };
        Self { making: Some(Making { reader, encoder }), workers, most_bytes, compression, progress }
    }

    /// Whether not one record of the range can be read: everything was set aside, and there is nothing to send.
    pub(super) async fn is_empty(&mut self) -> Result<bool, BodyError> {
        let Some(mut making) = self.making.take() else { return Ok(true) };
        let (making, empty) = self
            .workers
            .run(move || {
                let empty = making.reader.is_at_end();
                (making, empty)
            })
            .await;
        self.making = Some(making);
        empty.map_err(|error| BodyError(error.to_string()))
    }

    /// Follows this body.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

#[async_trait]
impl Body for LogBody {
    async fn next(&mut self, at_least: usize) -> Result<Option<Bytes>, BodyError> {
        self.progress.note();
        let Some(making) = self.making.take() else { return Ok(None) };
        let room = at_least.min(usize::try_from(self.most_bytes).unwrap_or(usize::MAX));
        let (making, bytes) = self.workers.run(move || making.fill(at_least, room)).await?;
        self.making = making;
        self.progress.note();
        Ok((!bytes.is_empty()).then(|| Bytes::from(bytes)))
    }

    fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn compression(&self) -> Compression {
        self.compression
    }
}

impl Making {
    /// Packs until there are `at_least` bytes or no more records. Gives itself back unless it ended.
    fn fill(mut self, at_least: usize, room: usize) -> Result<(Option<Self>, Vec<u8>), BodyError> {
        let mut out = Vec::with_capacity(room + ROOM_BYTES);
        while out.len() < at_least {
            let view = self.reader.next().map_err(|error| BodyError(error.to_string()))?;
            let Some(view) = view else {
                self.encoder.finish(&mut out).map_err(|error| BodyError(error.to_string()))?;
                return Ok((None, out));
            };
            self.encoder.write(view.body, &mut out).map_err(|error| BodyError(error.to_string()))?;
        }
        Ok((Some(self), out))
    }
}

impl Progress {
    /// How long ago the body was last asked, or gave.
    pub(super) fn idle(&self) -> std::time::Duration {
        let last = std::time::Duration::from_millis(self.millis.load(Ordering::Relaxed));
        (self.clock.now() - self.started).saturating_sub(last)
    }

    fn note(&self) {
        let millis = (self.clock.now() - self.started).as_millis();
        self.millis.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A frame's worth of room, so that the last write of a piece does not make the buffer grow.
const ROOM_BYTES: usize = 256 << 10;
