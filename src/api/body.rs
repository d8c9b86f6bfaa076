//! Reads the bodies of requests: within the budget of memory, within their cap, and not for ever.
//!
//! A body is booked when its first bytes are there, with what will be decoded from it, so twice its length; one that then does
//! not come at once books only what has come (see [`room`]). It comes in one piece where one read of the socket held all of it,
//! else it is gathered in one buffer of the right size, of which untouched pages cost nothing. What a handler leaves unread is
//! read and thrown away by [`Inbound::settle`].

mod encoding;
mod room;

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, EXPECT};
use hyper::http::request::Parts;
use tokio::time::Instant;

use super::ApiSettings;
use super::error::shown;
use crate::clock::Clock;
use encoding::{Decoding, Encoding, Step};
use room::{Booking, Room};

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

/// What was waited for.
enum Came {
    /// The next bytes.
    Bytes(Bytes),
    /// The end of the body.
    End,
    /// Nothing yet, and the body is slow from now on.
    Slow,
}

/// Reads bodies, and knows what all of them together may hold.
pub(super) struct Bodies {
    room: Room,
    clock: Clock,
    quick: Duration,
    pause: Duration,
    deadline: Duration,
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
                Ok(Came::Bytes(_) | Came::Slow) => {}
                Ok(Came::End) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    fn length(&self) -> Option<usize> {
        self.body.size_hint().exact().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    async fn chunk(&mut self, pace: &mut Pace<'_>) -> Result<Came, BodyError> {
        self.progress = Progress::Begun;
        while !self.body.is_end_stream() {
            let deadline = pace.deadline();
            let look = pace.quick_until.map_or(deadline, |quick| quick.min(deadline));
            let frame = tokio::select! {
                biased;
                frame = self.body.frame() => frame,
                () = pace.bodies.clock.sleep_until(look) => {
                    if pace.quick_until.take().is_some() && look < deadline {
                        return Ok(Came::Slow);
                    }
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
                        return Ok(Came::Bytes(data));
                    }
                }
                Err(error) => {
                    self.progress = Progress::Broken;
                    return Err(BodyError::Aborted(error));
                }
            }
        }
        self.progress = Progress::Ended;
        Ok(Came::End)
    }
}

impl Bodies {
    pub(super) fn new(settings: &ApiSettings, clock: Clock) -> Self {
        Self {
            room: Room::new(settings, clock.clone()),
            clock,
            quick: settings.body_quick,
            pause: settings.body_pause,
            deadline: settings.body_deadline,
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
        if inbound.head.headers.contains_key(EXPECT) {
            // Nothing is asked for that there is no room for.
            self.room.book(2 * length.unwrap_or(UNKNOWN_LENGTH)).await?;
        }
        let (sent, mut booking) = self.gather(inbound, length, max_bytes).await?;
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
    ) -> Result<(Bytes, Booking<'_>), BodyError> {
        let mut pace = Pace::new(self);
        let Came::Bytes(first) = inbound.chunk(&mut pace).await? else {
            return Ok((Bytes::new(), self.room.book(0).await?));
        };
        let room = length.unwrap_or(UNKNOWN_LENGTH);
        let booking = self.room.book(2 * room).await?;
        if length == Some(first.len()) {
            return Ok((first, booking));
        }
        let mut gathered = Gathered::new(room, max_bytes, booking)?;
        gathered.add(&first).await?;
        drop(first);
        pace.quick_until = Some(self.clock.now() + self.quick);
        loop {
            match inbound.chunk(&mut pace).await? {
                Came::Bytes(chunk) => gathered.add(&chunk).await?,
                Came::Slow => gathered.slow_down()?,
                Came::End => return gathered.finish().await,
            }
        }
    }
}

/// A body so far.
struct Gathered<'a> {
    bytes: Vec<u8>,
    max_bytes: usize,
    booking: Booking<'a>,
    /// How long the body may become before more is booked.
    booked: usize,
}

impl<'a> Gathered<'a> {
    fn new(room: usize, max_bytes: usize, booking: Booking<'a>) -> Result<Self, BodyError> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(room).map_err(|_| BodyError::NoRoom)?;
        Ok(Self { booked: room, bytes, max_bytes, booking })
    }

    async fn add(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        let bytes = self.bytes.len() + chunk.len();
        if bytes > self.max_bytes {
            return Err(BodyError::TooLarge { max_bytes: self.max_bytes, decoded: false });
        }
        if bytes > self.bytes.capacity() {
            let room = (2 * self.bytes.capacity()).max(bytes).min(self.max_bytes);
            self.booking.resize(2 * room).await?;
            self.booked = room;
            self.bytes.try_reserve_exact(room - self.bytes.len()).map_err(|_| BodyError::NoRoom)?;
        } else if bytes > self.booked {
            self.booked = (bytes + SLOW_STEP).min(self.bytes.capacity());
            self.booking.resize(self.booked).await?;
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    /// Gives back what was booked for what has not come, and for what is not decoded yet.
    fn slow_down(&mut self) -> Result<(), BodyError> {
        self.booked = (self.bytes.len() + SLOW_STEP).min(self.bytes.capacity());
        self.booking.slow_down(self.booked)
    }

    async fn finish(mut self) -> Result<(Bytes, Booking<'a>), BodyError> {
        self.booking.arrived();
        self.booking.resize(2 * self.bytes.len()).await?;
        Ok((self.bytes.into(), self.booking))
    }
}

impl<'a> Received<'a> {
    /// Lets go of the bytes; the booking stays for what was made of them.
    pub(super) fn into_booking(self) -> Booking<'a> {
        self.booking
    }
}

/// How fast a body must come.
struct Pace<'a> {
    bodies: &'a Bodies,
    started: Instant,
    received: u64,
    /// When a body that has not come to its end is slow, while it is not.
    quick_until: Option<Instant>,
}

impl<'a> Pace<'a> {
    fn new(bodies: &'a Bodies) -> Self {
        Self { bodies, started: bodies.clock.now(), received: 0, quick_until: None }
    }

    /// When the next bytes must be there: a client may pause, but not always, and not for ever.
    fn deadline(&self) -> Instant {
        let Bodies { clock, pause, deadline, min_bytes_per_second, .. } = self.bodies;
        let earned = Duration::from_secs(self.received) / *min_bytes_per_second;
        (clock.now() + *pause).min(self.started + (*pause + earned).min(*deadline))
    }
}

fn encoding_of(head: &Parts) -> Result<Option<Encoding>, BodyError> {
    let mut values = head.headers.get_all(CONTENT_ENCODING).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    let mut name = Cow::Borrowed(value.as_bytes().trim_ascii());
    for further in values {
        // Several are a list of what was applied one after the other; such a list is refused below.
        name.to_mut().extend_from_slice(b", ");
        name.to_mut().extend_from_slice(further.as_bytes());
    }
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if name.is_empty() || is("identity") {
        Ok(None)
    } else if is("gzip") || is("x-gzip") {
        Ok(Some(Encoding::Gzip))
    } else if is("zstd") {
        Ok(Some(Encoding::Zstd))
    } else {
        Err(BodyError::UnknownEncoding(shown(&String::from_utf8_lossy(&name))))
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

/// Room for a body that does not say how long it is, to begin with.
const UNKNOWN_LENGTH: usize = 64 << 10;
/// Decompressing this many bytes takes a few hundred microseconds; more is done where it holds up nobody.
const SHORT_STEP: usize = 128 << 10;
/// What a slow body books ahead of what has come.
const SLOW_STEP: usize = 256 << 10;
