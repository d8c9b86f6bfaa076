//! One intent until it is delivered: attempts, back-off, and what to do when nobody knows how an attempt ended.
//!
//! An outcome that is not known is asked for before anything is sent again. What the destination refuses for its own sake is
//! tried again for ever; what it refuses for this object's sake is parked: it waits, is reported, and gives up its place in the
//! window to the batches behind it. Refused again and again while others are taken, it is given up: see
//! [`giving_up`](super::giving_up).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{BodyError, Cursor, DeliveryError, IntentId, Notes, Offset, Outcome, Receipt, Recovery, Sink};
use hydrant_transforms::codec;
use hydrant_transforms::compression::Options;
use hydrant_transforms::processors::Transform;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Board;
use super::body::{CopyMaker, Desk, Frames, MadeBody, Maker, Packer, Progress};
use super::errors::ErrorsMaker;
use super::form::{Form, RowsPlan};
use super::giving_up::Refusals;
use super::ledger::{Closed, Contents, Entry, Lacking, Ledger, Note, OpenIntent};
use super::patience::{FailingSince, Patience};
use super::spool::SliceFrames;
use super::stages::{Failing, StagesMaker, local_stages};
use super::stream::Stream;
use crate::catalog::{GzipMembers, Plan};

/// How a send ended.
pub(super) struct Sent {
    pub(super) open: OpenIntent,
    pub(super) receipt: Receipt,
    /// What the object lacks, as far as this process has made it.
    pub(super) lacking: Lacking,
}

/// One intent on its way.
pub(super) struct Send {
    pub(super) stream: Arc<Stream>,
    pub(super) open: OpenIntent,
    /// Whether an earlier attempt's outcome is unknown.
    must_ask: bool,
    pub(super) lacking: Lacking,
    window: Arc<Semaphore>,
    /// Its place in the window; given up when it is parked.
    place: Option<OwnedSemaphorePermit>,
}

impl Send {
    /// An intent that was just made.
    pub(super) fn first(
        stream: &Arc<Stream>,
        window: &Arc<Semaphore>,
        place: OwnedSemaphorePermit,
        open: OpenIntent,
    ) -> Self {
        let (stream, window) = (Arc::clone(stream), Arc::clone(window));
        Self { stream, open, must_ask: false, lacking: Lacking::default(), window, place: Some(place) }
    }

    /// An intent of an earlier process: nobody knows how far it came. It waits for a place in the window as a new one does.
    pub(super) fn again(stream: &Arc<Stream>, window: &Arc<Semaphore>, open: OpenIntent) -> Self {
        let (stream, window) = (Arc::clone(stream), Arc::clone(window));
        Self { stream, open, must_ask: true, lacking: Lacking::default(), window, place: None }
    }

    /// Delivers the intent, however often it takes. `None` when the road is stopping and nothing is under way: the intent is in the
    /// ledger and goes on at the next start.
    pub(super) async fn run(mut self) -> Result<Option<Sent>, Closed> {
        if self.place.is_none() {
            let place = self.stream.unless_stopping(Arc::clone(&self.window).acquire_owned()).await;
            let Some(place) = place else { return Ok(None) };
            self.place = place.ok();
        }
        let refusals = Refusals::new(self.must_ask.then(|| self.stream.shop.clock.now()));
        let mut patience = Patience::new(self.stream.shop.settings.stall_after, refusals);
        self.board().sending(true);
        let receipt = self.until_done(&mut patience).await;
        self.board().sending(false);
        if patience.parked {
            self.board().parked(false);
        }
        if patience.attempts > 0 {
            self.board().failing(false);
        }
        Ok(receipt?.map(|receipt| Sent { open: self.open, receipt, lacking: self.lacking }))
    }

    async fn until_done(&mut self, patience: &mut Patience) -> Result<Option<Receipt>, Closed> {
        let stream = Arc::clone(&self.stream);
        loop {
            if stream.held.get() {
                // What was not tried was not refused.
                patience.failing = None;
            }
            if stream.unless_stopping(stream.released()).await.is_none() {
                return Ok(None);
            }
            match self.step(patience).await? {
                Step::Done(receipt) => return Ok(Some(receipt)),
                Step::Wait(wait) => {
                    if stream.unless_stopping(stream.shop.clock.sleep(wait)).await.is_none() {
                        return Ok(None);
                    }
                }
                Step::Stopping => return Ok(None),
            }
        }
    }

    /// Asks where that is needed, else attempts.
    async fn step(&mut self, patience: &mut Patience) -> Result<Step, Closed> {
        if self.open.given_up.is_some() {
            return self.lay_down(patience).await;
        }
        let plan = self.stream.current();
        let sink = self.stream.destinations.sink(&plan, self.open.cursor);
        if self.must_ask {
            match self.ask(&plan, &*sink, patience).await {
                Recovery::Delivered(receipt) => return Ok(Step::Done(receipt)),
                Recovery::Absent => self.must_ask = false,
                Recovery::Unknown(error) => return Ok(self.wait(patience, &error, None)),
            }
        }
        let Some(outcome) = self.attempt(&*sink, patience).await? else { return Ok(Step::Stopping) };
        match outcome {
            Outcome::Delivered(receipt) => Ok(Step::Done(receipt)),
            Outcome::Retry { error, after } if !self.is_overdue(&plan, patience, &error) => {
                Ok(self.wait(patience, &error, after))
            }
            Outcome::Retry { error, .. } => self.give_up_unless_there(&plan, &*sink, patience, &error).await,
            Outcome::Unknown(error) => {
                self.must_ask = true;
                patience.refusals.doubt(self.stream.shop.clock.now());
                Ok(self.wait(patience, &error, None))
            }
            Outcome::Refused(error) => self.refused(&plan, &*sink, patience, &error).await,
        }
    }

    async fn refused(
        &mut self,
        plan: &Plan,
        sink: &dyn Sink,
        patience: &mut Patience,
        error: &DeliveryError,
    ) -> Result<Step, Closed> {
        let (parked, now) = (self.board().read().parked, self.stream.shop.clock.now());
        let is_hopeless = patience.refusals.note(self.delivered(), now, self.stream.is_pressed());
        let long = PARKED_RETRY.saturating_mul(u32::try_from(parked).unwrap_or(u32::MAX));
        if self.others_went(patience, 1) || parked < UNPROVEN_PARKED || patience.refusals.lasted(now) >= long {
            self.park(patience);
        }
        let is_hopeless = is_hopeless && self.open.cursor.is_main() && !plan.retry_forever;
        if is_hopeless || self.is_overdue(plan, patience, error) {
            return self.give_up_unless_there(plan, sink, patience, error).await;
        }
        Ok(self.wait(patience, error, patience.parked.then_some(PARKED_RETRY)))
    }

    /// Asks once more, and gives the object up if it is not there.
    async fn give_up_unless_there(
        &mut self,
        plan: &Plan,
        sink: &dyn Sink,
        patience: &mut Patience,
        error: &DeliveryError,
    ) -> Result<Step, Closed> {
        match self.ask(plan, sink, patience).await {
            Recovery::Delivered(receipt) => Ok(Step::Done(receipt)),
            Recovery::Unknown(error) => Ok(self.wait(patience, &error, Some(PARKED_RETRY))),
            // What the attempt was made with is changed: that may be what was wrong.
            Recovery::Absent if self.stream.current().version != plan.version => Ok(self.wait(patience, error, None)),
            Recovery::Absent => {
                self.give_up(error, patience.attempts + 1).await?;
                Ok(Step::Wait(Duration::ZERO))
            }
        }
    }

    /// Whether the object of a partition has failed for as long as it is to be tried, while others were taken: a bucket that takes
    /// nothing takes no entries of the error output either. A destination that does not even say whether it has the object is waited
    /// for, whatever the time: see [`Send::give_up_unless_there`].
    fn is_overdue(&self, plan: &Plan, patience: &Patience, error: &DeliveryError) -> bool {
        let Some(retry) = plan.retry.filter(|_| self.open.cursor.is_main() && !plan.retry_forever) else {
            return false;
        };
        // What was changed since may have been what was wrong.
        let version = self.stream.current().version;
        let Some(failing) = patience.failing.filter(|failing| failing.version == version) else { return false };
        let now = self.stream.shop.clock.now();
        let others = self.delivered() > failing.delivered;
        others && now - failing.since >= retry && !error.is_internal() && patience.refusals.is_certain(now)
    }

    /// Whether so many objects of the stream were delivered since this one first failed.
    fn others_went(&self, patience: &mut Patience, how_many: u64) -> bool {
        let delivered = self.delivered();
        delivered - *patience.delivered_before.get_or_insert(delivered) >= how_many
    }

    /// Objects of the stream that the destination has taken.
    fn delivered(&self) -> u64 {
        self.stream.ledger.with(|state| state.delivered(self.open.cursor).objects)
    }

    /// Gives up its place in the window: the batches behind it go first.
    fn park(&mut self, patience: &mut Patience) {
        if !std::mem::replace(&mut patience.parked, true) {
            self.board().parked(true);
            self.place = None;
        }
    }

    /// Asks the places that this intent may have gone to before, then the current one.
    async fn ask(&mut self, plan: &Plan, sink: &dyn Sink, patience: &mut Patience) -> Recovery {
        let mut notes = self.notes();
        let earlier = notes.earlier.clone();
        for former in self.stream.destinations.former(plan, self.open.cursor, &earlier) {
            match former.recover(&self.open.intent, &mut notes).await {
                Recovery::Delivered(receipt) => return Recovery::Delivered(receipt),
                Recovery::Absent => {
                    patience.unasked_since.remove(&former.to_string());
                }
                Recovery::Unknown(error) => {
                    let now = self.stream.shop.clock.now();
                    if now - *patience.unasked_since.entry(former.to_string()).or_insert(now) < ASK_FORMER_FOR {
                        return Recovery::Unknown(error);
                    }
                    if !patience.given_up.insert(former.to_string()) {
                        continue;
                    }
                    tracing::warn!(
                        stream = %self.stream.name, intent = self.open.intent.id.0, former = %former, %error,
                        "the old address cannot be asked whether it has the object; it is sent to the new one and may be there twice"
                    );
                    self.board().possible_duplicate();
                }
            }
        }
        sink.recover(&self.open.intent, &mut notes).await
    }

    /// One attempt; `None` if the road is stopping before it began.
    async fn attempt(&mut self, sink: &dyn Sink, patience: &mut Patience) -> Result<Option<Outcome>, Closed> {
        let shop = &self.stream.shop;
        let Some(shape) = self.stream.plan(self.open.shape) else {
            return Ok(Some(trouble(format!("configuration version {} is missing", self.open.shape))));
        };
        // Booked before anything is held: many more sends wait for memory than have some.
        let compression = shape.objects(self.open.cursor).compression;
        let codec = codec(compression);
        let options = self.options(&shape);
        let rows = self.rows(&shape);
        let (unpacked, staged) = self.made_bytes(&shape, rows.as_ref());
        let most_bytes = (codec.most_bytes)(unpacked);
        let bytes = sink.memory_bytes(most_bytes) + (codec.memory_bytes)(&options) + READER_BYTES + staged;
        let Some(_grant) = self.stream.unless_stopping(shop.memory.take(bytes)).await else { return Ok(None) };
        let encoder = match (codec.open)(&options) {
            Ok(encoder) => encoder,
            Err(error) => return Ok(Some(trouble(error.to_string()))),
        };
        let (stream, intent) = (Arc::clone(&self.stream), self.open.intent.id);
        if self.has_named_failures() {
            // An attempt that was broken off may have left the entry unsynced, and what it says must be on disk before the object.
            self.stream.ledger.settle().await?;
        }
        let desk = Desk { stream, intent, cursor: self.open.cursor };
        let maker = match self.maker(&shape, rows.as_ref(), Packer::new(encoder)) {
            Ok(maker) => maker,
            Err(reason) => return Ok(Some(trouble(reason))),
        };
        let mut body = MadeBody::new(maker, desk, compression, most_bytes);
        match body.is_empty().await {
            Ok(false) => {}
            Ok(true) => {
                self.lacking = body.lacking();
                return Ok(Some(Outcome::Delivered(Receipt { bytes: 0 })));
            }
            Err(error) => return Ok(Some(trouble(error.to_string()))),
        }
        tracing::debug!(
            stream = %self.stream.name, intent = self.open.intent.id.0, range = %self.open.intent.range,
            key = %self.open.intent.object.key, sink = %sink, "sending"
        );
        let progress = body.progress();
        let mut notes = self.notes();
        let outcome = tokio::select! {
            biased;
            outcome = sink.deliver(&self.open.intent, &mut body, &mut notes) => outcome,
            () = stalled(&self.stream, &progress, patience.stall_after) => {
                patience.stall_after *= 2;
                Outcome::Unknown(DeliveryError {
                    code: "Delivery.Stalled".into(),
                    message: "the destination took nothing while others waited for memory".into(),
                })
            }
        };
        self.lacking = body.lacking();
        let closed = notes.closed;
        self.open.notes = notes.all;
        if closed { Err(Closed) } else { Ok(Some(outcome)) }
    }

    /// How a file of rows is made of the intent's records, where they become rows.
    pub(super) fn rows(&self, shape: &Plan) -> Option<RowsPlan> {
        let conversion = shape.processing.conversion.as_ref().filter(|_| self.open.cursor.is_main())?;
        Some(RowsPlan::new(&conversion.rules, self.stream.schema(self.open.schema)))
    }

    /// The most bytes that the intent's records become before they are packed, and that their processors hold.
    pub(super) fn made_bytes(&self, shape: &Plan, rows: Option<&RowsPlan>) -> (u64, usize) {
        let bytes = self.open.intent.bytes;
        let (made, held) = match (&self.open.contents, self.open.cursor) {
            (Contents::Records, Cursor::Main) => (shape.processing.most_bytes(bytes), shape.processing.memory_bytes()),
            _ => (bytes, 0),
        };
        rows.map_or((made, held), |rows| (made.saturating_mul(WIDEST), held + rows.memory_bytes()))
    }

    /// What makes the object's bytes.
    fn maker(&self, shape: &Plan, rows: Option<&RowsPlan>, packer: Packer) -> Result<Box<dyn Maker>, String> {
        if let Contents::Errors { output, parts, .. } = &self.open.contents {
            let range = self.open.intent.range;
            let reader = self.stream.errors.log().read(range.from, range.to);
            return Ok(Box::new(ErrorsMaker::new(reader, output, parts, packer)));
        }
        let (frames, stages, source) = self.frames(shape)?;
        let form = match rows {
            Some(rows) => rows.open(&self.stream).map_err(|error| error.to_string())?,
            None if stages.is_empty() => return Ok(Box::new(CopyMaker { frames, packer })),
            None => Form::packed(packer),
        };
        let failing = Failing::new(&self.stream.errors, self.has_named_failures(), source);
        Ok(Box::new(StagesMaker::new(&self.stream, frames, (stages, &shape.processing), failing, form)))
    }

    /// The intent's records, the processors that they go through while the object is made, and where they were made of what lies
    /// in the records' log, if they lie in the spool.
    pub(super) fn frames(&self, shape: &Plan) -> Result<Reading, String> {
        let range = self.open.intent.range;
        Ok(match &self.open.contents {
            Contents::Slices { slices, source } => {
                let frames = SliceFrames::new(self.stream.spool.log().clone(), slices.clone());
                (Box::new(frames), Vec::new(), Some(*source))
            }
            Contents::Records | Contents::Errors { .. } => {
                let stages = if self.open.cursor.is_main() { local_stages(&shape.processing)? } else { Vec::new() };
                (Box::new(self.stream.log.read(range.from, range.to)), stages, None)
            }
        })
    }

    /// Whether an earlier attempt has put into the ledger what no stage takes.
    pub(super) fn has_named_failures(&self) -> bool {
        self.stream.ledger.with(|state| state.open.get(&self.open.intent.id.0).is_some_and(|it| it.failed))
    }

    fn board(&self) -> &Board {
        self.stream.boards.get(self.open.cursor)
    }

    fn options(&self, shape: &Plan) -> Options {
        let intent = &self.open.intent;
        let mut options = Options::new(intent.seed.uuid(hydrant_model::ENTRY_NAME), intent.oldest_ms);
        options.gzip_members = match shape.gzip.members {
            GzipMembers::One => hydrant_transforms::compression::GzipMembers::One,
            GzipMembers::Many => hydrant_transforms::compression::GzipMembers::Many,
        };
        options.gzip_level = shape.gzip.level.map_or_else(|| options.gzip_members.default_level(), u32::from);
        options
    }

    /// Reports a failure and says how long to wait.
    pub(super) fn wait(&mut self, patience: &mut Patience, error: &DeliveryError, after: Option<Duration>) -> Step {
        if self.others_went(patience, u64::from(ALONE_AFTER)) && patience.attempts >= ALONE_AFTER {
            // Others of the stream go through, again and again: whatever the destination says, it is about this object.
            self.park(patience);
        }
        if patience.attempts == 0 {
            self.board().failing(true);
        }
        let version = self.stream.current().version;
        if patience.failing.is_none_or(|failing| failing.version != version) {
            let (since, delivered) = (self.stream.shop.clock.now(), self.delivered());
            patience.failing = Some(FailingSince { version, since, delivered });
        }
        let wait = patience.next(self.stream.shop.clock.fraction()).max(after.unwrap_or_default());
        let news = self.board().failed(error, wait);
        self.report(news, patience.attempts, error, wait);
        Step::Wait(wait)
    }

    /// Each trouble of a stream is a warning once: attempts go on for as long as it lasts.
    fn report(&self, news: bool, attempt: u32, error: &DeliveryError, wait: Duration) {
        macro_rules! report {
            ($level:ident) => {
                tracing::$level!(
                    stream = %self.stream.name, intent = self.open.intent.id.0, key = %self.open.intent.object.key,
                    code = %error.code, message = %error.message, attempt, retry_in_ms = wait.as_millis(),
                    "an object was not delivered"
                )
            };
        }
        if news {
            report!(warn);
        } else {
            report!(debug);
        }
    }

    fn notes(&self) -> LedgerNotes {
        LedgerNotes {
            ledger: Arc::clone(&self.stream.ledger),
            intent: self.open.intent.id,
            earlier: self.open.notes.iter().map(Note::bytes).collect(),
            all: self.open.notes.clone(),
            closed: false,
        }
    }
}

/// What an object's bytes are made of.
type Reading = (Box<dyn Frames>, Vec<Box<dyn Transform>>, Option<Offset>);

pub(super) enum Step {
    Done(Receipt),
    Wait(Duration),
    Stopping,
}

/// Returns when the destination has taken nothing for `after` while others wait for memory.
async fn stalled(stream: &Stream, progress: &Progress, after: Duration) {
    loop {
        let idle = progress.idle();
        if idle >= after && stream.shop.memory.is_wanted() {
            return;
        }
        stream.shop.clock.sleep(after.saturating_sub(idle).max(STALL_CHECK)).await;
    }
}

fn trouble(message: String) -> Outcome {
    Outcome::Retry { error: DeliveryError::internal(message), after: None }
}

/// Notes that go to the ledger.
struct LedgerNotes {
    ledger: Arc<Ledger>,
    intent: IntentId,
    earlier: Vec<Bytes>,
    all: Vec<Note>,
    closed: bool,
}

#[async_trait]
impl Notes for LedgerNotes {
    fn earlier(&self) -> &[Bytes] {
        &self.earlier
    }

    async fn add(&mut self, note: Bytes) -> Result<(), BodyError> {
        let note = Note::new(&note);
        self.all.push(note.clone());
        self.ledger.record(Entry::Note { intent: self.intent, note }).await.map_err(|closed| {
            self.closed = true;
            BodyError(closed.to_string())
        })
    }
}

const PARKED_RETRY: Duration = Duration::from_mins(1);
/// An address that cannot be asked for this long is given up (design: a possible duplicate, counted).
const ASK_FORMER_FOR: Duration = Duration::from_mins(5);
/// Failures of one object, while as many others were delivered, after which it is taken to fail alone.
const ALONE_AFTER: u32 = 5;
/// Refused objects that give up their place before anything else was delivered: what they tell may be about the destination, not
/// about them. Beyond that one more gives it up in as many minutes as there are already: should all of them be refused for their own
/// sake, what is behind them is reached, and a destination that takes nothing collects few.
const UNPROVEN_PARKED: u64 = 16;
const STALL_CHECK: Duration = Duration::from_millis(250);
/// A row takes at most so many times the bytes of its record: numbers of one digit in columns of decimals.
const WIDEST: u64 = 16;
/// A reader's window: a read-ahead, and a frame of the largest common size behind it.
pub(super) const READER_BYTES: usize = 2 << 20;
