//! One pass: a stretch of the records' log through the processors into the spool and the errors log, each record once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use hydrant_model::{Offset, OffsetRange, SchemaId, SetId};
use hydrant_transforms::formats::conversion::{SchemaSource, Screen, schema_id};
use hydrant_transforms::formats::schema::TableSchema;
use hydrant_transforms::records::{Arrived, Fates, Records};

use super::PartitionId;
use super::group::{Group, Groups, Taken};
use super::slice::Head;
use crate::catalog::{Plan, Processor, TableError};
use crate::delivery::body::failed;
use crate::delivery::cut::Batch;
use crate::delivery::form::CONVERSION;
use crate::delivery::guard;
use crate::delivery::ledger::{Failures, Processed};
use crate::delivery::memory::Grant;
use crate::delivery::stages::{Counting, Failing, Gathering};
use crate::delivery::stream::Stream;
use crate::log::{AppendError, Durability, Mark, Placement, Reader};

/// Consecutive passes of one process none of which failed.
#[derive(Clone, Copy, Debug)]
pub(in crate::delivery) struct Run {
    pub(in crate::delivery) id: SetId,
    /// The first record that it has processed.
    pub(in crate::delivery) from: Offset,
    /// Where its first slice lies at the lowest.
    pub(in crate::delivery) spool_from: Offset,
    /// Everything below is processed.
    pub(in crate::delivery) at: Offset,
    /// The configuration version of all of it.
    pub(in crate::delivery) version: u64,
}

/// A pass that is to be made.
pub(in crate::delivery) struct Pass {
    pub(in crate::delivery) stream: Arc<Stream>,
    pub(in crate::delivery) batch: Batch,
    pub(in crate::delivery) shape: Arc<Plan>,
    pub(in crate::delivery) run: Run,
}

/// What a pass has synced.
pub(in crate::delivery) struct Passed {
    pub(in crate::delivery) batch: Batch,
    pub(in crate::delivery) processed: Processed,
    pub(in crate::delivery) failures: Vec<Failures>,
    pub(in crate::delivery) slices: Vec<(Mark, Head)>,
    pub(in crate::delivery) dropped: u64,
    /// The table of the rows that the records become, where there is one.
    pub(in crate::delivery) table: Option<TableSchema>,
    /// Held until the ledger names the failures.
    pub(in crate::delivery) failing: Failing,
}

impl Pass {
    /// Makes the pass. Dropped or failed, it has named nothing: the records can be processed again.
    pub(in crate::delivery) async fn make(self) -> Result<Passed, (Batch, Trouble)> {
        let batch = self.batch;
        self.process().await.map_err(|trouble| (batch, trouble))
    }

    async fn process(self) -> Result<Passed, Trouble> {
        let Self { stream, batch, shape, run } = self;
        let _grant: Grant = stream.shop.memory.take(PASS_BYTES + shape.processing.memory_bytes()).await;
        let at_least = stream.spool.log().synced().offset;
        let losses = stream.spool.log().losses();
        // A module that was replaced is compiled here.
        let processing = shape.processing.clone();
        let stages = stream.shop.workers.run(move || processing.open()).await?;
        let screen = Self::screen(&stream, &shape).await?;
        let schema = screen.as_ref().filter(|_| !is_inferred(&shape)).and_then(|it| it.schema().map(schema_id));
        let reader = stream.log.read(batch.range.from, batch.range.to);
        let failing = Failing::new(&stream.errors, false, None);
        let mut work = Work {
            reader,
            stages,
            failing,
            screen,
            groups: Groups::new(schema),
            waiting: VecDeque::new(),
            chunk: None,
            dropped: 0,
            shape,
            stream,
        };
        let mut slices = Slices { run: run.id, schema, at_least, newest: HashMap::new(), written: Vec::new() };
        loop {
            let (back, step) = work.stream.shop.workers.run(move || work.advance()).await?;
            work = back;
            match step {
                Step::Ask => work.ask().await?,
                Step::Through if !work.groups.are_full() => {}
                Step::Through | Step::End => {
                    let taken = work.groups.take();
                    slices.write(&work.stream, &work.shape, taken).await.map_err(|error| error.to_string())?;
                    if step == Step::End {
                        break;
                    }
                }
            }
        }
        let Work { stream, shape, mut failing, screen, dropped, .. } = work;
        stream.spool.log().sync().await.map_err(|error| error.to_string())?;
        if stream.spool.log().losses() != losses {
            return Err("a write to the spool was lost".to_owned().into());
        }
        let failures = match failing.set.as_mut().filter(|set| !set.is_empty()) {
            Some(set) => set.finish().await.map_err(|error| error.to_string())?,
            None => Vec::new(),
        };
        let ends = slices.written.iter().map(|(at, head)| at.offset.plus(head.records + 1));
        let spool = OffsetRange { from: run.spool_from, to: ends.max().unwrap_or(run.spool_from) };
        let range = OffsetRange { from: run.from, to: batch.range.to };
        let processed = Processed { run: run.id, range, ends_at: batch.ends_at, spool, version: shape.version, schema };
        let table = screen.and_then(|screen| screen.schema().cloned());
        Ok(Passed { batch, processed, failures, slices: slices.written, dropped, table, failing })
    }
}

impl Pass {
    /// What sets aside the records that no file takes, where they become rows.
    async fn screen(stream: &Stream, shape: &Plan) -> Result<Option<Screen>, Trouble> {
        let Some(conversion) = &shape.processing.conversion else { return Ok(None) };
        let table = stream.named_table(conversion).await?;
        Ok(Some(Screen::new(&conversion.rules, table)))
    }
}

fn is_inferred(shape: &Plan) -> bool {
    shape.processing.conversion.as_ref().is_some_and(|it| it.rules.schema == SchemaSource::Inferred)
}

/// Why a pass came to no end.
pub(in crate::delivery) struct Trouble {
    /// As status and metrics have it.
    pub(in crate::delivery) code: &'static str,
    pub(in crate::delivery) reason: String,
}

impl From<String> for Trouble {
    fn from(reason: String) -> Self {
        Self { code: NOT_PROCESSED, reason }
    }
}

impl From<TableError> for Trouble {
    fn from(error: TableError) -> Self {
        Self { code: error.code, reason: error.message }
    }
}

/// The code of a pass that came to no end for a reason of ours.
const NOT_PROCESSED: &str = "Processing.Failed";

/// A pass under way.
struct Work {
    reader: Reader,
    stages: Vec<Processor>,
    failing: Failing,
    screen: Option<Screen>,
    groups: Groups,
    /// Records that were read, to be taken on one lot after the other.
    waiting: VecDeque<Arrived>,
    chunk: Option<Chunk>,
    dropped: u64,
    shape: Arc<Plan>,
    stream: Arc<Stream>,
}

/// Records between two processors.
struct Chunk {
    arrived: Arrived,
    records: Records,
    /// The processor that is next.
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A processor elsewhere is next.
    Ask,
    /// As much as is done at once is grouped.
    Through,
    /// There are no more records.
    End,
}

impl Work {
    /// Takes records on as far as that is done on this thread: until there is something to write, or for about [`LEG_BYTES`].
    fn advance(mut self) -> Result<(Self, Step), String> {
        let mut leg = 0;
        while leg < LEG_BYTES && !self.groups.are_full() {
            let Some(chunk) = self.next_chunk()? else { return Ok((self, Step::End)) };
            leg += chunk.records.bytes() + chunk.records.len() * LEG_RECORD_BYTES;
            self.chunk = self.take_on(chunk)?;
            if self.chunk.is_some() {
                return Ok((self, Step::Ask));
            }
        }
        Ok((self, Step::Through))
    }

    /// The chunk that was begun, or the next one.
    fn next_chunk(&mut self) -> Result<Option<Chunk>, String> {
        if let Some(chunk) = self.chunk.take() {
            return Ok(Some(chunk));
        }
        if self.waiting.is_empty() {
            self.waiting = self.gather()?.split();
        }
        let Some(arrived) = self.waiting.pop_front() else { return Ok(None) };
        let records = Records::of(&arrived, Arc::clone(&self.shape.processing.wanted));
        Ok(Some(Chunk { arrived, records, next: 0 }))
    }

    /// Takes a chunk through the processors and groups it. Given back where one elsewhere is next.
    fn take_on(&mut self, mut chunk: Chunk) -> Result<Option<Chunk>, String> {
        while let Some(stage) = self.stages.get_mut(chunk.next) {
            let Processor::Local(local) = stage else { return Ok(Some(chunk)) };
            let name = name(&self.shape, chunk.next);
            let done = guard::apply(&self.stream, name, &mut **local, chunk.records, &chunk.arrived);
            chunk.records = done.records;
            chunk.next += 1;
            if done.fates.left > 0 {
                self.waiting.push_front(chunk.arrived.split_off(done.fates.left));
            }
            if done.is_broken {
                self.stages = self.shape.processing.open()?;
            }
            self.note(&done.fates, &chunk)?;
        }
        let mut fates = Fates::default();
        if let Some(screen) = &mut self.screen {
            let counting = Counting::begin(&self.stream, CONVERSION, &chunk.records);
            chunk.records = screen.apply(chunk.records, &mut fates);
            counting.end_without(&chunk.records, &fates);
            self.note(&std::mem::take(&mut fates), &chunk)?;
        }
        let is_partitioned = !self.shape.processing.wanted.is_empty();
        let counting = is_partitioned.then(|| Counting::begin(&self.stream, PARTITIONING, &chunk.records));
        let grouped = self.groups.add(&chunk.records, &chunk.arrived, &self.shape, &self.stream, &mut fates);
        if let Some(counting) = counting {
            counting.end_with(grouped, &fates);
        }
        self.note(&fates, &chunk)?;
        Ok(None)
    }

    /// Has the processor that is next do its part elsewhere.
    async fn ask(&mut self) -> Result<(), String> {
        let Some(mut chunk) = self.chunk.take() else { return Ok(()) };
        if let Some(Processor::Remote(remote)) = self.stages.get_mut(chunk.next) {
            let name = name(&self.shape, chunk.next);
            let done = guard::ask(&self.stream, name, &mut **remote, chunk.records, &chunk.arrived).await;
            chunk.records = done.records;
            chunk.next += 1;
            if done.is_broken {
                let processing = self.shape.processing.clone();
                self.stages = self.stream.shop.workers.run(move || processing.open()).await?;
            }
            self.note(&done.fates, &chunk)?;
        }
        self.chunk = Some(chunk);
        Ok(())
    }

    fn note(&mut self, fates: &Fates, chunk: &Chunk) -> Result<(), String> {
        self.dropped += fates.dropped;
        for failure in &fates.failures {
            let entries = &self.shape.processing.entries;
            self.failing.add(entries, failure, &chunk.records, &chunk.arrived).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn gather(&mut self) -> Result<Gathering, String> {
        let mut frames = Gathering::of_about(CHUNK_BYTES);
        while !frames.is_full(CHUNK_BYTES) {
            let Some(view) = self.reader.next().map_err(|error| failed(error).to_string())? else { break };
            frames.add(&view);
        }
        Ok(frames)
    }
}

/// The processor at this place.
fn name(shape: &Plan, at: usize) -> &'static str {
    shape.processing.stages.get(at).map_or("", |stage| stage.name())
}

/// What a pass has written to the spool.
struct Slices {
    run: SetId,
    schema: Option<SchemaId>,
    at_least: Offset,
    /// Newest slice of each partition, of this pass.
    newest: HashMap<PartitionId, Mark>,
    written: Vec<(Mark, Head)>,
}

impl Slices {
    /// Appends a slice for each group, and waits until each has its place.
    async fn write(&mut self, stream: &Stream, shape: &Plan, taken: Taken) -> Result<(), AppendError> {
        let heads: Vec<Head> = taken.groups.iter().map(|group| self.head(stream, shape, group)).collect();
        let encoded = stream.shop.workers.run(move || {
            let payloads = taken.payloads(&heads);
            (heads, payloads)
        });
        let (heads, payloads) = encoded.await;
        let submit = |payload| stream.spool.log().submit(payload, Durability::Written, Placement::Behind);
        let answers = payloads.into_iter().map(submit).collect::<Result<Vec<_>, _>>()?;
        for (head, answer) in heads.into_iter().zip(answers) {
            let mark = answer.await.unwrap_or(Err(AppendError::Closed))?.mark();
            self.newest.insert(head.partition, mark);
            self.written.push((mark, head));
        }
        Ok(())
    }

    fn head(&self, stream: &Stream, shape: &Plan, group: &Group) -> Head {
        let newest = self.newest.get(&group.partition).copied();
        Head {
            run: self.run,
            at_least: self.at_least,
            previous: newest.or_else(|| stream.spool.with(|table| table.newest(group.partition))),
            partition: group.partition,
            records: group.len(),
            bytes: group.bytes,
            oldest_ms: group.oldest_ms,
            source: group.source,
            version: shape.version,
            schema: self.schema,
            keys: group.keys.clone(),
        }
    }
}

/// What the metrics call the grouping of records by their partition.
const PARTITIONING: &str = "DynamicPartitioning";
/// Records are taken through the processors this many bytes at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// About as much as is done before others have a turn.
const LEG_BYTES: usize = 1 << 20;
/// What a record costs there beside its bytes.
const LEG_RECORD_BYTES: usize = 64;
/// What a pass holds at most, beside what its processors do: groups, the same again as payloads, a chunk.
const PASS_BYTES: usize = 16 << 20;
