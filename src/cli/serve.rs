//! `hydrant serve`: runs the service until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;

use clap::Args;
use tokio::select;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::flags::SettingFlags;
use super::{Context, Error, Out, descriptors, logs};
use crate::service;
use crate::settings::Settings;

/// Run the service
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Serve {
    #[command(flatten)]
    flags: SettingFlags,
}

impl Serve {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let mut settings = Settings::load(&self.flags.0, context.environment)?;
        logs::start(settings.log_format, settings.log_filter.as_deref().unwrap_or(DEFAULT_LOG_FILTER));
        if let Some(limit) = descriptors::raise() {
            settings.max_connections = settings.max_connections.min(descriptors::for_connections(limit));
        }
        let signals = Signals::listen()?;
        let stop = CancellationToken::new();
        // One waiting request is enough: reading the files again answers all that came before.
        let (ask_reload, reload) = mpsc::channel(1);
        let on_listening = |address| announce(context.out, address);
        let service = Box::pin(service::run(settings, on_listening, stop.clone().cancelled_owned(), reload));
        until_done(service, signals, &stop, &ask_reload).await
    }
}

/// Drives the service and passes signals on. A second interrupt gives up the service where it stands, which loses nothing:
/// what was acknowledged is on disk.
async fn until_done(
    service: impl Future<Output = Result<(), service::Error>> + Unpin,
    mut signals: Signals,
    stop: &CancellationToken,
    ask_reload: &mpsc::Sender<()>,
) -> Result<(), Error> {
    let mut service = service;
    loop {
        select! {
            result = &mut service => return Ok(result?),
            Some(()) = signals.interrupt.recv() => {
                if stop.is_cancelled() {
                    return Err(Error::Failed("interrupted while stopping".to_owned()));
                }
                tracing::info!("stopping; a second interrupt ends the process at once");
                stop.cancel();
            }
            Some(()) = signals.terminate.recv() => stop.cancel(),
            Some(()) = signals.hang_up.recv() => {
                tracing::info!("reading the stream files again");
                // Refused where a request waits already, which then answers this one too.
                _ = ask_reload.try_send(());
            }
        }
    }
}

/// The first line of standard output, which scripts and tests wait for.
fn announce(out: &mut Out, address: SocketAddr) {
    if let Err(error) = out.line(format_args!("listening on http://{address}")) {
        tracing::warn!(%error, "standard output cannot be written; the service goes on");
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(|error| Error::Failed(format!("signals cannot be heard: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }
}

const EXAMPLES: &str = "\
Every option is also a variable (shown with it) and a key of the settings file (--free-space-floor is free_space_floor); \
a flag wins over a variable, and that over the file. SIZE is a number of bytes or one with a unit: 64MiB, 10GiB.

Examples:
  hydrant serve
  hydrant serve --config /etc/hydrant.toml --streams /etc/hydrant/streams
  hydrant serve --listen 0.0.0.0:4573 --insecure --s3-endpoint http://minio:9000 --create-buckets

The first line of standard output is `listening on http://ADDR:PORT`; logs go to standard error, those that RUST_LOG \
names or else from info up. SIGTERM stops it: nothing is lost, what was not delivered waits on disk. SIGHUP reads the \
stream files again. Exit codes: 0 stopped; 1 failed; 3 refused to start (settings, data in use, open address).";

/// The SDK warns of missing credentials at every attempt; the deliveries that fail for it say so once.
const DEFAULT_LOG_FILTER: &str = "info,aws_config=error";
