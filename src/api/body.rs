//! Reads the bodies of requests: within the budget of memory, within their cap, and not for ever.
//!
//! A body is booked before it is read, with what will be decoded from it, so twice its length. It comes in one piece where one
//! read of the socket held all of it, else it is gathered in one buffer of the right size. What a handler leaves unread is read
//! and thrown away by [`Inbound::settle`].

mod encoding;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};
use hyper::http::request::Parts;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::ApiSettings;
use super::error::shown;
use crate::clock::Clock;
use encoding::{Decoding, Encoding, Step};

/// A request while it is answered.
pub(super) struct Inbound {
    /// All but the body.
    pub(super) head: Parts,
    body: Incoming,
    progress: Progress,
}

/// How far a body was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Not at all; a client that waits for `100 Continue` has sent nothing.
    Untouched,
    /// Some of it.
    Begun,
    /// All of it.
    Ended,
    /// It came too slowly, or stopped: nothing can follow it on this connection.
    Broken,
}

/// Reads bodies, and knows what all of them together may hold.
pub(super) struct Bodies {
    room: Semaphore,
    all_grains: u32,
    clock: Clock,
    wait: Duration,
    pause: Duration,
    min_bytes_per_second: u32,
    max_discarded: usize,
}

/// A body, and the memory booked for it.
pub(super) struct Received<'a> {
    /// As it was sent.
    pub(super) sent: Bytes,
    /// Decompressed; the same where nothing was compressed.
    pub(super) bytes: Bytes,
    pub(super) booking: Booking<'a>,
}

/// A share of the memory for bodies, given back when dropped.
pub(super) struct Booking<'a> {
    bodies: &'a Bodies,
    permit: SemaphorePermit<'a>,
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body must have at most {max_bytes} bytes{}", if *.decoded { " after decompression" } else { "" })]
    TooLarge { max_bytes: usize, decoded: bool },
    #[error("no memory for the body at present")]
    NoRoom,
    #[error("the body came too slowly")]
    TooSlow,
    #[error("the body broke off")]
    Aborted(#[source] hyper::Error),
    #[error("Content-Encoding must be gzip, zstd or identity, not {0}")]
    UnknownEncoding(String),
    #[error("the body is not what Content-Encoding says: {0}")]
    WrongEncoding(std::io::Error),
    #[error("decompressing a body")]
    Failed(#[from] tokio::task::JoinError),
}

impl Inbound {
    pub(super) fn new(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        Self { head, body, progress: Progress::Untouched }
    }

    /// Reads and throws away what was not read. Returns whether the connection can go on.
    pub(super) async fn settle(&mut self, bodies: &Bodies) -> bool {
        match self.progress {
            Progress::Broken => return false,
            Progress::Ended => return true,
            Progress::Untouched if self.body.is_end_stream() => return true,
            // It was not asked to send the body and will not.
            Progress::Untouched if self.head.headers.contains_key(EXPECT) => return false,
            Progress::Untouched | Progress::Begun => {}
        }
        let most = u64::try_from(bodies.max_discarded).unwrap_or(u64::MAX);
        if self.body.size_hint().lower() > most {
            return false;
        }
        let mut pace = Pace::new(bodies);
        while pace.received <= most {
            match self.chunk(&mut pace).await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    fn length(&self) -> Option<usize> {
        self.body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    async fn chunk(&mut self, pace: &mut Pace<'_>) -> Result<Option<Bytes>, BodyError> {
        self.progress = Progress::Begun;
        while !self.body.is_end_stream() {
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = pace.bodies.clock.sleep_until(pace.deadline()) => {
                    self.progress = Progress::Broken;
                    return Err(BodyError::TooSlow);
                }
            };
            match frame.transpose() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    // Trailers say nothing that matters here.
                    if let Ok(data) = frame.into_data() {
                        pace.received += data.len() as u64;
                        return Ok(Some(data));
                    }
                }
                Err(error) => {
                    self.progress = Progress::Broken;
                    return Err(BodyError::Aborted(error));
                }
            }
        }
        self.progress = Progress::Ended;
        Ok(None)
    }
}

impl Bodies {
    pub(super) fn new(settings: &ApiSettings, clock: Clock) -> Self {
        let all_grains = grains(settings.body_memory).max(1);
        Self {
            room: Semaphore::new(usize::try_from(all_grains).unwrap_or(Semaphore::MAX_PERMITS)),
            all_grains,
            clock,
            wait: settings.body_memory_wait,
            pause: settings.body_pause,
            min_bytes_per_second: settings.min_bytes_per_second.max(1),
            max_discarded: settings.max_discarded_bytes,
        }
    }

    /// Reads a whole body of at most `max_bytes`, which holds for what is sent and for what it decompresses to.
    pub(super) async fn read(&self, inbound: &mut Inbound, max_bytes: usize) -> Result<Received<'_>, BodyError> {
        let encoding = encoding_of(&inbound.head)?;
        let length = inbound.length();
        if length.is_some_and(|length| length > max_bytes) {
            return Err(BodyError::TooLarge { max_bytes, decoded: false });
        }
        let mut booking = self.book(2 * length.unwrap_or(UNKNOWN_LENGTH)).await?;
        let sent = self.gather(inbound, length, max_bytes, &mut booking).await?;
        let bytes = match encoding {
            None => sent.clone(),
            Some(encoding) => decode(&sent, encoding, max_bytes, &mut booking).await?,
        };
        Ok(Received { sent, bytes, booking })
    }

    async fn gather(
        &self,
        inbound: &mut Inbound,
        length: Option<usize>,
        max_bytes: usize,
        booking: &mut Booking<'_>,
    ) -> Result<Bytes, BodyError> {
        let mut pace = Pace::new(self);
        let Some(first) = inbound.chunk(&mut pace).await? else { return Ok(Bytes::new()) };
        if length == Some(first.len()) {
            return Ok(first);
        }
        let mut gathered = Vec::with_capacity(length.unwrap_or(UNKNOWN_LENGTH));
        let mut next = Some(first);
        while let Some(chunk) = next {
            let bytes = gathered.len() + chunk.len();
            if bytes > max_bytes {
                return Err(BodyError::TooLarge { max_bytes, decoded: false });
            }
            if bytes > gathered.capacity() {
                let room = (2 * gathered.capacity()).max(bytes).min(max_bytes);
                booking.resize(2 * room).await?;
                gathered.reserve_exact(room - gathered.len());
            }
            gathered.extend_from_slice(&chunk);
            next = inbound.chunk(&mut pace).await?;
        }
        Ok(gathered.into())
    }

    async fn book(&self, bytes: usize) -> Result<Booking<'_>, BodyError> {
        let permit = self.permit(grains(bytes).min(self.all_grains)).await?;
        Ok(Booking { bodies: self, permit })
    }

    async fn permit(&self, grains: u32) -> Result<SemaphorePermit<'_>, BodyError> {
        if let Ok(permit) = self.room.try_acquire_many(grains) {
            return Ok(permit);
        }
        tokio::select! {
            biased;
            permit = self.room.acquire_many(grains) => Ok(permit.expect("the semaphore is never closed")),
            () = self.clock.sleep(self.wait) => Err(BodyError::NoRoom),
        }
    }
}

impl<'a> Received<'a> {
    /// Lets go of the bytes; the booking stays for what was made of them.
    pub(super) fn into_booking(self) -> Booking<'a> {
        self.booking
    }
}

impl Booking<'_> {
    /// Books `bytes` in all: gives back what is too much, waits for what is missing.
    pub(super) async fn resize(&mut self, bytes: usize) -> Result<(), BodyError> {
        let wanted = usize::try_from(grains(bytes).min(self.bodies.all_grains)).unwrap_or(usize::MAX);
        let booked = self.permit.num_permits();
        if wanted < booked {
            drop(self.permit.split(booked - wanted));
        } else if wanted > booked {
            let missing = u32::try_from(wanted - booked).unwrap_or(u32::MAX);
            self.permit.merge(self.bodies.permit(missing).await?);
        }
        Ok(())
    }
}

/// How fast a body must come.
struct Pace<'a> {
    bodies: &'a Bodies,
    started: Instant,
    received: u64,
}

impl<'a> Pace<'a> {
    fn new(bodies: &'a Bodies) -> Self {
        Self { bodies, started: bodies.clock.now(), received: 0 }
    }

    /// When the next bytes must be there: a client may pause, but not always.
    fn deadline(&self) -> Instant {
        let Bodies { clock, pause, min_bytes_per_second, .. } = self.bodies;
        let earned = Duration::from_secs(self.received) / *min_bytes_per_second;
        (clock.now() + *pause).min(self.started + *pause + earned)
    }
}

fn encoding_of(head: &Parts) -> Result<Option<Encoding>, BodyError> {
    let Some(value) = head.headers.get(CONTENT_ENCODING) else { return Ok(None) };
    let name = value.as_bytes().trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if name.is_empty() || is("identity") {
        Ok(None)
    } else if is("gzip") || is("x-gzip") {
        Ok(Some(Encoding::Gzip))
    } else if is("zstd") {
        Ok(Some(Encoding::Zstd))
    } else {
        Err(BodyError::UnknownEncoding(shown(&String::from_utf8_lossy(name))))
    }
}

/// Decompresses in steps, each booked before it is taken, so that a small body that grows without end costs little.
async fn decode(
    sent: &Bytes,
    encoding: Encoding,
    max_bytes: usize,
    booking: &mut Booking<'_>,
) -> Result<Bytes, BodyError> {
    let fixed = sent.len() + encoding.state_bytes();
    let mut room = (4 * sent.len()).clamp(SHORT_STEP.min(max_bytes), max_bytes);
    booking.resize(fixed + 2 * room).await?;
    let mut decoding = Decoding::new(encoding, sent.clone()).map_err(BodyError::WrongEncoding)?;
    loop {
        let step = if room <= SHORT_STEP {
            decoding.step(room)
        } else {
            tokio::task::spawn_blocking(move || decoding.step(room)).await?
        };
        match step.map_err(BodyError::WrongEncoding)? {
            Step::Done(bytes) => {
                booking.resize(sent.len() + 2 * bytes.len()).await?;
                return Ok(bytes.into());
            }
            Step::More(_) if room == max_bytes => return Err(BodyError::TooLarge { max_bytes, decoded: true }),
            Step::More(rest) => {
                decoding = rest;
                room = (2 * room).min(max_bytes);
                booking.resize(fixed + 2 * room).await?;
            }
        }
    }
}

fn grains(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN_BYTES)).unwrap_or(u32::MAX)
}

/// The budget is counted in these, since the semaphore counts in 32 bits.
const GRAIN_BYTES: usize = 1 << 10;
/// Room for a body that does not say how long it is, to begin with.
const UNKNOWN_LENGTH: usize = 64 << 10;
/// Decompressing this many bytes takes a few hundred microseconds; more is done where it holds up nobody.
const SHORT_STEP: usize = 128 << 10;
