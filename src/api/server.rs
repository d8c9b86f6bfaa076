//! The socket: accepts connections, gives each a task, and ends them in order.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::socket::Socket;
use super::{Api, ApiSettings, Backend};
use crate::clock::Clock;
use crate::telemetry::Telemetry;

/// Serves the API until `shutdown`: then it stops accepting, finishes the requests in hand, closes the other connections and
/// returns. Dropping the future cuts off what is still in hand.
pub fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    telemetry: Arc<Telemetry>,
    settings: ApiSettings,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + Send + use<> {
    let api = Arc::new(Api::new(backend, telemetry, settings));
    async move {
        let connections = TaskTracker::new();
        let cut_off = CancellationToken::new();
        let _cut_off_when_dropped = cut_off.clone().drop_guard();
        let places = Places::new(api.settings.max_connections);
        loop {
            let accepted = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                accepted = accept(&listener, &places, &api) => accepted,
            };
            let Some((stream, place)) = accepted else { continue };
            let (api, shutdown, cut_off) = (Arc::clone(&api), shutdown.child_token(), cut_off.clone());
            let crowded = Arc::clone(&places.crowded);
            connections.spawn(async move {
                tokio::select! {
                    () = converse(api, stream, shutdown, &crowded) => {}
                    () = cut_off.cancelled() => {}
                }
                drop(place);
            });
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }
}

/// As many places as there may be connections.
struct Places {
    free: Arc<Semaphore>,
    /// Tells the connection that has listened the longest to end, since another waits for its place.
    crowded: Arc<Notify>,
}

impl Places {
    fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), crowded: Arc::default() }
    }

    async fn take(&self, clock: &Clock) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return place;
        }
        let mut taken = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            // Again and again: the one that is told may be busy for long.
            self.crowded.notify_one();
            tokio::select! {
                place = &mut taken => return place.expect("the semaphore is never closed"),
                () = clock.sleep(ASK_AGAIN) => {}
            }
        }
    }
}

/// The next connection and its place among those there may be; `None` where accepting failed and it was waited a little.
async fn accept(listener: &TcpListener, places: &Places, api: &Api) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, places.take(&api.clock).await)),
        Err(error) if is_of_the_peer(&error) => None,
        Err(error) => {
            // Out of descriptors or memory: others must end before another try can do better.
            tracing::warn!(%error, "accepting a connection");
            api.clock.sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Answers the requests of one connection, until `shutdown`, its own, or until it is to make room for another.
async fn converse(api: Arc<Api>, stream: TcpStream, shutdown: CancellationToken, crowded: &Notify) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was used");
        return;
    }
    let head_timeout = api.settings.head_timeout;
    let socket = Socket::new(stream, api.clock.clone(), shutdown.clone());
    let clock = api.clock.clone();
    let make_room = async {
        // Who was just let in is heard first.
        clock.sleep(LEAST_STAY).await;
        crowded.notified().await;
        shutdown.cancel();
    };
    let service = service_fn(|request| {
        let api = Arc::clone(&api);
        async move { Ok::<_, std::convert::Infallible>(api.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .half_close(true)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(READ_BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave(&shutdown, make_room) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn leave(shutdown: &CancellationToken, make_room: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = make_room => {}
    }
}

/// Whether only this one connection is concerned.
fn is_of_the_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A connection is heard for so long before it must make room for another.
const LEAST_STAY: Duration = Duration::from_secs(1);
/// How often connections are asked to end while another waits for a place.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// A head is a request line, a signature and a session token.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// A full batch of small records, 280 KB, comes in one or two reads. A buffer grows to this only where it is filled.
const READ_BUFFER_BYTES: usize = 512 << 10;
