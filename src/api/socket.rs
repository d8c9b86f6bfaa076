//! A connection that is not closed on a client that still sends.
//!
//! A socket that is closed with bytes unread resets the connection, and the client may never see the answer that was given
//! before. So when the answers end, our side is closed first; then what comes is read and thrown away until the client closes
//! its side, pauses, or has had its time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::clock::Clock;

/// The stream of one connection.
pub(super) struct Socket {
    stream: TcpStream,
    clock: Clock,
    shutdown: CancellationToken,
    farewell: Option<Farewell>,
}

/// How long and how much is still read.
struct Farewell {
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    until: Instant,
    left: usize,
    timer: Timer,
}

type Timer = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Socket {
    /// Wraps `stream`; with `shutdown` nothing more is waited for.
    pub(super) fn new(stream: TcpStream, clock: Clock, shutdown: CancellationToken) -> Self {
        Self { stream, clock, shutdown, farewell: None }
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TcpStream> {
        Pin::new(&mut self.get_mut().stream)
    }
}

impl Farewell {
    fn new(clock: &Clock, shutdown: &CancellationToken) -> Self {
        let until = clock.now() + LONGEST;
        let shutdown = Box::pin(shutdown.clone().cancelled_owned());
        Self { shutdown, until, left: MOST_BYTES, timer: timer(clock, until) }
    }

    /// Ready when nothing more is read.
    fn poll(&mut self, stream: &mut TcpStream, clock: &Clock, cx: &mut Context<'_>) -> Poll<()> {
        if self.shutdown.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; SCRATCH_BYTES];
        let mut has_read = false;
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() && self.left > 0 => {
                    self.left = self.left.saturating_sub(buffer.filled().len());
                    has_read = true;
                }
                Poll::Ready(_) => return Poll::Ready(()),
            }
        }
        if has_read {
            self.timer = timer(clock, self.until);
        }
        self.timer.as_mut().poll(cx)
    }
}

/// Ends after a pause, at the latest at `until`.
fn timer(clock: &Clock, until: Instant) -> Timer {
    let (clock, at) = (clock.clone(), (clock.now() + PAUSE).min(until));
    Box::pin(async move { clock.sleep_until(at).await })
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.farewell.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let farewell = this.farewell.get_or_insert_with(|| Farewell::new(&this.clock, &this.shutdown));
        farewell.poll(&mut this.stream, &this.clock, cx).map(Ok)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// A client that sends nothing for so long waits for us to close, or is gone.
const PAUSE: Duration = Duration::from_secs(2);
/// Who still sends after this has not looked for an answer.
const LONGEST: Duration = Duration::from_secs(30);
/// Reading so much costs some tenths of a second of one core.
const MOST_BYTES: usize = 1 << 30;
const SCRATCH_BYTES: usize = 16 << 10;
