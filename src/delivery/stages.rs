//! Records through the processors of a stream: those that are functions of a record alone, while its object is made.
//!
//! Every attempt makes the same of the same records, so nothing is kept between two of them but which ones failed: their
//! entries are in the errors log before the first object becomes visible, and no later attempt writes them again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hydrant_model::{BodyError, Buffer, Offset, RecordIdentity};
use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Failure, Fates, Records, Source, Span};
use tokio::time::Instant;

use super::body::{Frames, Maker, failed};
use super::errors::{ErrorsLog, Set, Times, entry};
use super::form::Form;
use super::giving_up::LaidDown;
use super::guard;
use super::ledger::Lacking;
use super::stream::Stream;
use crate::catalog::{EntryFacts, Processing, Processor};
use crate::log::FrameView;
use crate::telemetry::Taken;

/// Makes an object of records one by one: through processors, where there are any, into whatever form they take.
pub(super) struct StagesMaker {
    stream: Arc<Stream>,
    frames: Box<dyn Frames>,
    stages: Vec<Box<dyn Transform>>,
    processing: Processing,
    failing: Failing,
    form: Form,
    /// Read, and not taken on yet.
    waiting: VecDeque<Arrived>,
    /// Made before anybody asked.
    held: Vec<u8>,
    lacking: Lacking,
    ended: bool,
    /// Whether the object's end is written.
    finished: bool,
    /// Where what would be in the object goes, where there is to be none.
    laid_down: Option<LaidDown>,
}

/// Counts what a processor does.
pub(super) struct Counting<'s> {
    stream: &'s Stream,
    processor: &'static str,
    came: (u64, u64),
    began: Instant,
}

impl<'s> Counting<'s> {
    /// `processor` is about to take `records`.
    pub(super) fn begin(stream: &'s Stream, processor: &'static str, records: &Records) -> Self {
        Self { stream, processor, came: size(records), began: stream.shop.clock.now() }
    }

    /// It has taken them.
    pub(super) fn end(self, records: &Records, fates: &Fates) {
        self.end_with(size(records), fates);
    }

    /// It has only set aside what it will not take: `left` are counted when it takes them.
    pub(super) fn end_without(mut self, left: &Records, fates: &Fates) {
        let (records, bytes) = size(left);
        self.came = (self.came.0.saturating_sub(records), self.came.1.saturating_sub(bytes));
        self.end_with((0, 0), fates);
    }

    /// It has taken them, and given on so many records and bytes.
    pub(super) fn end_with(self, went: (u64, u64), fates: &Fates) {
        let mut failed = HashMap::new();
        for failure in &fates.failures {
            *failed.entry(failure.code.to_string()).or_default() += 1;
        }
        let time = self.stream.shop.clock.now() - self.began;
        let came = (self.came.0.saturating_sub(fates.left as u64), self.came.1.saturating_sub(fates.left_bytes as u64));
        let taken = Taken { came, went, dropped: fates.dropped, failed, time };
        self.stream.boards.main.taken(self.processor, &taken);
    }
}

fn size(records: &Records) -> (u64, u64) {
    (records.len() as u64, records.bytes() as u64)
}

/// Where failures go.
pub(super) struct Failing {
    errors: Arc<ErrorsLog>,
    /// Where the records came from, if what is read are offsets of the spool.
    source: Option<Offset>,
    /// `None` where they were named by an earlier attempt.
    pub(super) set: Option<Set>,
}

impl StagesMaker {
    /// The records of `frames` through `stages` of `processing`, in `form`.
    pub(super) fn new(
        stream: &Arc<Stream>,
        frames: Box<dyn Frames>,
        (stages, processing): (Vec<Box<dyn Transform>>, &Processing),
        failing: Failing,
        form: Form,
    ) -> Self {
        Self {
            stream: Arc::clone(stream),
            frames,
            stages,
            processing: processing.clone(),
            failing,
            form,
            waiting: VecDeque::new(),
            held: Vec::new(),
            lacking: Lacking::default(),
            ended: false,
            finished: false,
            laid_down: None,
        }
    }

    /// The same without an object: what would be in it is laid down.
    pub(super) fn laying_down(self, laid_down: LaidDown) -> Self {
        Self { laid_down: Some(laid_down), ..self }
    }

    /// Takes every record through the processors and lays it down; what is to be named, and what would not have been in the object.
    ///
    /// # Errors
    /// The records could not be read, or the errors log not be written.
    pub(super) fn lay_down(mut self) -> Result<(Vec<Set>, Lacking), BodyError> {
        let mut unused = Vec::new();
        while !self.ended {
            self.take(&mut unused)?;
            unused.clear();
        }
        let laid_down = self.laid_down.take().map(LaidDown::done).unwrap_or_default();
        let sets = laid_down.into_iter().chain(self.failing.set.take()).filter(|set| !set.is_empty());
        Ok((sets.collect(), self.lacking))
    }

    /// Takes the records of the next frame through the processors.
    fn take(&mut self, out: &mut Vec<u8>) -> Result<(), BodyError> {
        if self.waiting.is_empty() {
            let Some(view) = self.frames.next().map_err(failed)? else {
                self.ended = true;
                return Ok(());
            };
            let mut frames = Gathering::default();
            frames.add(&view);
            self.waiting = frames.split();
        }
        let Some(mut arrived) = self.waiting.pop_front() else { return Ok(()) };
        let mut records = Records::of(&arrived, Arc::clone(&self.processing.wanted));
        let mut is_broken = false;
        for (stage, maker) in self.stages.iter_mut().zip(&self.processing.stages) {
            let done = guard::apply(&self.stream, maker.name(), &mut **stage, records, &arrived);
            (records, is_broken) = (done.records, is_broken || done.is_broken);
            if done.fates.left > 0 {
                self.waiting.push_front(arrived.split_off(done.fates.left));
            }
            for failure in &done.fates.failures {
                self.failing.add(&self.processing.entries, failure, &records, &arrived)?;
            }
        }
        if is_broken {
            self.stages = local_stages(&self.processing).map_err(failed)?;
        }
        let fates = self.form.add(&records, out)?;
        for failure in &fates.failures {
            self.failing.add(&self.processing.entries, failure, &records, &arrived)?;
        }
        if let Some(laid_down) = &mut self.laid_down {
            laid_down.add(&records, &fates, &arrived)?;
        }
        self.lack(&records, &fates, &arrived);
        Ok(())
    }

    /// Counts those that nothing of is in the object: `unfit` of `records` are not.
    fn lack(&mut self, records: &Records, unfit: &Fates, arrived: &Arrived) {
        let mut there = vec![0_u32; arrived.sources.len()];
        let place = |source: u32| usize::try_from(source).unwrap_or(usize::MAX);
        for (record, _) in records.iter() {
            there.get_mut(place(record.origin.source)).into_iter().for_each(|there| *there += 1);
        }
        for failure in &unfit.failures {
            there.get_mut(place(failure.origin.source)).into_iter().for_each(|there| *there -= 1);
        }
        for (source, _) in arrived.sources.iter().zip(there).filter(|(_, there)| *there == 0) {
            self.lacking.records += 1;
            self.lacking.bytes += source.span.len() as u64;
        }
    }
}

/// Makes the processors of `processing`, none of which is elsewhere.
///
/// # Errors
/// One cannot be made.
pub(super) fn local_stages(processing: &Processing) -> Result<Vec<Box<dyn Transform>>, String> {
    let local = |processor| match processor {
        Processor::Local(local) => Ok(local),
        Processor::Remote(_) => Err("a function elsewhere is asked before an object is made, not while".to_owned()),
    };
    processing.open()?.into_iter().map(local).collect()
}

impl Maker for StagesMaker {
    fn is_empty(&mut self) -> Result<bool, BodyError> {
        while self.form.is_empty() && !self.ended {
            let mut held = std::mem::take(&mut self.held);
            self.take(&mut held)?;
            self.held = held;
        }
        Ok(self.form.is_empty())
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if !self.held.is_empty() {
            out.append(&mut self.held);
        } else if self.form.give(out) {
            // What is made leaves before there is more.
        } else if self.finished {
            return Ok(false);
        } else if self.ended {
            self.form.finish(out)?;
            self.finished = true;
        } else {
            self.take(out)?;
        }
        Ok(true)
    }

    fn failures(&mut self) -> Option<Set> {
        self.failing.set.take()
    }

    fn lacking(&self) -> Lacking {
        self.lacking
    }
}

impl Failing {
    /// Failures go to `errors`, unless an earlier attempt `has_named` them. Where the records lie in the spool, what they were made
    /// of does not lie below `source` in the records' log.
    pub(super) fn new(errors: &Arc<ErrorsLog>, has_named: bool, source: Option<Offset>) -> Self {
        Self { errors: Arc::clone(errors), source, set: (!has_named).then(|| errors.begin()) }
    }

    /// Adds the entry of one failure among `arrived`.
    pub(super) fn add(
        &mut self,
        facts: &EntryFacts,
        failure: &Failure,
        records: &Records,
        arrived: &Arrived,
    ) -> Result<(), BodyError> {
        let Some(set) = &mut self.set else { return Ok(()) };
        let source = arrived.sources.get(usize::try_from(failure.origin.source).unwrap_or(usize::MAX));
        let arrival_ms = source.map_or(0, |source| source.arrival_ms);
        let raw = failure.raw.as_deref().unwrap_or_else(|| records.raw(arrived, failure.origin));
        let times = Times { arrival_ms, ended_ms: self.errors.now_ms() };
        let entry = entry(facts, failure, raw, times);
        let offset = self.source.or_else(|| source.map(|source| source.identity.offset)).unwrap_or_default();
        set.add(failure.output.name(), &entry, offset, arrival_ms).map_err(failed)
    }
}

/// Frames, gathered into one stretch of records.
#[derive(Default)]
pub(super) struct Gathering {
    bytes: Buffer,
    sources: Vec<Source>,
}

impl Gathering {
    /// Of frames until there are `bytes`.
    pub(super) fn of_about(bytes: usize) -> Self {
        Self { bytes: Buffer::with_capacity(bytes + FRAME_ROOM_BYTES), sources: Vec::new() }
    }

    pub(super) fn add(&mut self, view: &FrameView<'_>) {
        let mut start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(view.body);
        self.sources.extend(view.lengths().zip(view.first.0..).map(|(length, offset)| {
            let span = Span { start, end: start.saturating_add(length) };
            start = span.end;
            let identity = RecordIdentity { birth: view.birth, offset: Offset(offset), sub_index: 0 };
            Source { span, arrival_ms: view.arrival_ms, identity }
        }));
    }

    /// Whether it is as much as goes through the processors at once.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        self.bytes.len() >= bytes || self.sources.len() >= LOT_RECORDS
    }

    /// The records, in lots of at most [`LOT_RECORDS`]; none where there are none.
    pub(super) fn split(self) -> VecDeque<Arrived> {
        let bytes = Arc::new(self.bytes);
        let arrived = |sources: &[Source]| Arrived { bytes: Arc::clone(&bytes), sources: sources.to_vec() };
        self.sources.chunks(LOT_RECORDS).map(arrived).collect()
    }
}

/// Records that go through the processors at once, at most: what a record costs beside its bytes is bounded by their number.
pub(super) const LOT_RECORDS: usize = 16 << 10;
/// For the frame that is one too many.
const FRAME_ROOM_BYTES: usize = 256 << 10;
