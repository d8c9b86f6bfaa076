//! Clients that cost next to nothing: whole requests written to raw sockets that are kept open, answers barely looked at.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::load::Request;
use crate::tally::Tally;

/// What a load did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// What was answered with success.
    pub(crate) put: Tally,
    /// How long each answer took, sorted.
    pub(crate) latencies: Vec<Duration>,
    /// How often the answer was to come again later; what was told so was put again.
    pub(crate) slowed_down: u64,
    /// From first to last.
    pub(crate) took: Duration,
}

impl Done {
    /// The latency that `share` of the answers keep below.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let at = (self.latencies.len().saturating_sub(1) as f64 * share) as usize;
        self.latencies.get(at).copied().unwrap_or_default()
    }
}

/// Sends `total` requests, those of `requests` in turn, over `connections` that each wait for the answer to their last one.
pub(crate) fn drive(address: SocketAddr, requests: &[Request], connections: usize, total: u64) -> anyhow::Result<Done> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let next = Rc::new(Cell::new(0));
    let done = Rc::new(RefCell::new(Done::default()));
    let requests: Rc<[Request]> = requests.into();
    let started = Instant::now();
    LocalSet::new().block_on(&runtime, async {
        let connections: Vec<_> = (0..connections)
            .map(|_| {
                let (next, done, requests) = (Rc::clone(&next), Rc::clone(&done), Rc::clone(&requests));
                tokio::task::spawn_local(async move {
                    let mut connection = Connection::open(address).await?;
                    loop {
                        let number: u64 = next.get();
                        if number >= total {
                            return anyhow::Ok(());
                        }
                        next.set(number + 1);
                        let at = usize::try_from(number)? % requests.len();
                        let request = requests.get(at).context("there are no requests")?;
                        let latency = connection.put(request, &done).await?;
                        let mut done = done.borrow_mut();
                        done.put += request.tally;
                        done.latencies.push(latency);
                    }
                })
            })
            .collect();
        for connection in connections {
            connection.await??;
        }
        anyhow::Ok(())
    })?;
    let mut done = done.take();
    done.took = started.elapsed();
    done.latencies.sort_unstable();
    Ok(done)
}

/// One request on a connection of its own; the body of its answer.
pub(crate) fn call(address: SocketAddr, request: &[u8]) -> anyhow::Result<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut connection = Connection::open(address).await?;
        let status = connection.ask(request).await?;
        Ok((status, String::from_utf8_lossy(connection.body()).into_owned()))
    })
}

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
    body_at: usize,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to hydrant")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(32 << 10), body_at: 0 })
    }

    /// Puts until it is accepted; how long that took.
    async fn put(&mut self, request: &Request, done: &RefCell<Done>) -> anyhow::Result<Duration> {
        let started = Instant::now();
        loop {
            let status = self.ask(&request.bytes).await?;
            let refused = memchr::memmem::find(self.body().get(..64).unwrap_or_default(), b"\"FailedPutCount\":0")
                .is_none()
                && self.body().starts_with(b"{\"Encrypted\":false,\"FailedPutCount\":");
            match status {
                200 if !refused => return Ok(started.elapsed()),
                200 | 429 | 503 => {
                    done.borrow_mut().slowed_down += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => bail!("a put was answered {status}: {}", String::from_utf8_lossy(self.body())),
            }
        }
    }

    async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await.context("sending")?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await.context("reading an answer")? == 0 {
                bail!("hydrant hung up");
            }
            let Some(end) = memchr::memmem::find(&self.answer, b"\r\n\r\n") else { continue };
            let head = std::str::from_utf8(self.answer.get(..end).unwrap_or_default())?;
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            let length = length.context("an answer without Content-Length")?;
            let status = head.get(9..12).context("no status")?.parse()?;
            self.body_at = end + 4;
            while self.answer.len() < self.body_at + length {
                if self.stream.read_buf(&mut self.answer).await.context("reading an answer")? == 0 {
                    bail!("hydrant hung up");
                }
            }
            return Ok(status);
        }
    }

    fn body(&self) -> &[u8] {
        self.answer.get(self.body_at..).unwrap_or_default()
    }
}
