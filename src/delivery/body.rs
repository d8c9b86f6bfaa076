//! The bytes of an object: read out of a log, taken through stages, packed, handed on as they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{Body, BodyError, Buffer, Compression, Cursor, IntentId};
use hydrant_transforms::compression::Encoder;

use super::Workers;
use super::errors::Set;
use super::ledger::{Entry, Lacking};
use super::stream::Stream;
use crate::clock::Clock;
use crate::log::{FrameView, ReadError, Reader};

/// Makes the bytes of an object, a step at a time, on a worker's thread.
pub(super) trait Maker: Send {
    /// Whether there is nothing to make an object of.
    fn is_empty(&mut self) -> Result<bool, BodyError>;

    /// Adds some bytes to `out`, a few hundred kibibytes at most beyond what a stage holds back; `false` at the end.
    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError>;

    /// What no stage took, once the end is reached.
    fn failures(&mut self) -> Option<Set> {
        None
    }

    /// What of its records is not in the object, once the end is reached.
    fn lacking(&self) -> Lacking {
        Lacking::default()
    }
}

/// A body that is made while it is asked for. Each attempt makes a new one.
pub(super) struct MadeBody {
    /// `None` after the end, or after a failure.
    maker: Option<Box<dyn Maker>>,
    /// Where failures are named.
    desk: Desk,
    workers: Workers,
    most_bytes: u64,
    compression: Compression,
    progress: Progress,
    lacking: Lacking,
    /// Made, and more than was asked for.
    surplus: Bytes,
}

/// Has the failures of one intent synced and named before anybody sees its object.
pub(super) struct Desk {
    pub(super) stream: Arc<Stream>,
    pub(super) intent: IntentId,
    pub(super) cursor: Cursor,
}

/// When a body was last asked for bytes: how a stalled destination is told from a working one.
#[derive(Clone)]
pub(super) struct Progress {
    clock: Clock,
    started: tokio::time::Instant,
    millis: Arc<AtomicU64>,
}

impl MadeBody {
    /// A body of what `maker` makes.
    pub(super) fn new(maker: Box<dyn Maker>, desk: Desk, compression: Compression, most_bytes: u64) -> Self {
        let shop = &desk.stream.shop;
        let clock = shop.clock.clone();
        let progress = Progress { started: clock.now(), clock, millis: Arc::default() };
        Self {
            maker: Some(maker),
            workers: shop.workers,
            desk,
            most_bytes,
            compression,
            progress,
            lacking: Lacking::default(),
            surplus: Bytes::new(),
        }
    }

    /// Whether there is nothing to send: everything was set aside, or no stage took it. What failed is named then.
    pub(super) async fn is_empty(&mut self) -> Result<bool, BodyError> {
        let Some(mut maker) = self.maker.take() else { return Ok(true) };
        let (mut maker, empty) = self
            .workers
            .run(move || {
                let empty = maker.is_empty();
                (maker, empty)
            })
            .await;
        let empty = empty?;
        if empty {
            self.lacking = Lacking { object: true, ..maker.lacking() };
            self.desk.name(maker.failures()).await?;
        } else {
            self.maker = Some(maker);
        }
        Ok(empty)
    }

    /// What the object lacks; known at the end.
    pub(super) fn lacking(&self) -> Lacking {
        self.lacking
    }

    /// Follows this body.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

#[async_trait]
impl Body for MadeBody {
    /// As many bytes as are asked for, so that nobody has to put them together; fewer at the end.
    async fn next(&mut self, at_least: usize) -> Result<Option<Bytes>, BodyError> {
        self.progress.note();
        if self.surplus.len() < at_least
            && let Some(maker) = self.maker.take()
        {
            let room = at_least.min(usize::try_from(self.most_bytes).unwrap_or(usize::MAX));
            let before = std::mem::take(&mut self.surplus);
            let filled = self.workers.run(move || fill(maker, &before, at_least, room)).await?;
            self.surplus = Bytes::from_owner(filled.bytes);
            let mut maker = filled.maker;
            if filled.more {
                self.maker = Some(maker);
            } else {
                self.lacking = maker.lacking();
                self.desk.name(maker.failures()).await?;
            }
        }
        let bytes = self.surplus.split_to(at_least.min(self.surplus.len()));
        if self.surplus.len() < SMALL_BYTES {
            // It must not hold the large buffer that it came in.
            self.surplus = Bytes::copy_from_slice(&self.surplus);
        }
        self.progress.note();
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    fn most_bytes(&self) -> u64 {
        self.most_bytes
    }

    fn compression(&self) -> Compression {
        self.compression
    }
}

/// What was made.
struct Filled {
    maker: Box<dyn Maker>,
    bytes: Buffer,
    more: bool,
}

/// Makes until there are `wanted` bytes with those that were made before, or no more.
fn fill(mut maker: Box<dyn Maker>, before: &[u8], wanted: usize, room: usize) -> Result<Filled, BodyError> {
    let mut bytes = Buffer::with_capacity(room + ROOM_BYTES.max(room / 4));
    bytes.extend_from_slice(before);
    let mut more = true;
    while more && bytes.len() < wanted {
        more = maker.step(&mut bytes)?;
    }
    Ok(Filled { maker, bytes, more })
}

impl Desk {
    async fn name(&self, failures: Option<Set>) -> Result<(), BodyError> {
        let Some(mut set) = failures.filter(|set| !set.is_empty()) else { return Ok(()) };
        let failures = set.finish().await.map_err(failed)?;
        self.stream.boards.get(self.cursor).to_error_output(&failures);
        let entry = Entry::Failed { intent: Some(self.intent), given_up: false, failures };
        self.stream.ledger.record(entry).await.map_err(failed)?;
        self.stream.stir();
        Ok(())
    }
}

/// Frames of the records that an object is made of, wherever they lie.
pub(super) trait Frames: Send {
    /// Whether none is left.
    fn is_at_end(&mut self) -> Result<bool, ReadError>;

    /// The next one; `None` at the end.
    fn next(&mut self) -> Result<Option<FrameView<'_>>, ReadError>;
}

impl Frames for Reader {
    fn is_at_end(&mut self) -> Result<bool, ReadError> {
        Self::is_at_end(self)
    }

    fn next(&mut self) -> Result<Option<FrameView<'_>>, ReadError> {
        Self::next(self)
    }
}

/// Records as they lie, packed.
pub(super) struct CopyMaker {
    pub(super) frames: Box<dyn Frames>,
    pub(super) packer: Packer,
}

/// An encoder until its end.
pub(super) struct Packer(Option<Box<dyn Encoder>>);

impl Packer {
    /// Packs with `encoder`.
    pub(super) fn new(encoder: Box<dyn Encoder>) -> Self {
        Self(Some(encoder))
    }

    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), BodyError> {
        self.0.as_mut().map_or(Ok(()), |encoder| encoder.write(bytes, out)).map_err(failed)
    }

    /// Writes the container's end; nothing is packed afterwards.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), BodyError> {
        self.0.take().map_or(Ok(()), |encoder| encoder.finish(out)).map_err(failed)
    }
}

impl Maker for CopyMaker {
    fn is_empty(&mut self) -> Result<bool, BodyError> {
        self.frames.is_at_end().map_err(failed)
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        let view = self.frames.next().map_err(failed)?;
        match &view {
            Some(view) => self.packer.write(view.body, out)?,
            None => self.packer.finish(out)?,
        }
        Ok(view.is_some())
    }
}

/// An error of a stage as a sink passes it on.
pub(super) fn failed(error: impl std::fmt::Display) -> BodyError {
    BodyError(error.to_string())
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

/// What is copied rather than kept where it lies.
const SMALL_BYTES: usize = 512 << 10;
/// A frame's worth of room at least, so that the last write of a piece does not make the buffer grow.
const ROOM_BYTES: usize = 256 << 10;
