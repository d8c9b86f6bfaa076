//! The start, in order: lock, clients, catalog, stream files, socket, recovery; and the stop, in order: stop accepting, answer
//! what is in hand, finish what is being sent, settle ledgers, end.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hydrant_model::Buffer;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::destinations::{Objects, sdk_config};
use super::files::read_for_start;
use super::functions::Functions;
use super::lambda::Lambdas;
use super::metered::MeteredDisk;
use super::modules::Modules;
use super::tables::Tables;
use super::{Claim, Error, Inner, Service};
use crate::api;
use crate::catalog::{Folder, Loaded, Place, SetAside, Store};
use crate::clock::Clock;
use crate::delivery::{self, MemoryBudget, Shop, Wish, Workers};
use crate::failpoint;
use crate::log::{Disk, Pool, PoolSettings, ThreadCommitters, Workshop};
use crate::settings::Settings;
use crate::telemetry::Telemetry;

/// Runs the service until `stop` is ready. `on_listening` is told the address once requests are taken; each message of `reload`
/// has the stream files read again.
///
/// # Errors
/// [`Error::Start`] where it refuses to start; anything else ended it.
pub async fn run(
    settings: Settings,
    on_listening: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
    mut reload: mpsc::Receiver<()>,
) -> Result<(), Error> {
    if let Some(crash_at) = settings.crash_at {
        failpoint::arm(crash_at);
    }
    let data = &settings.data;
    std::fs::create_dir_all(data).map_err(data_error("making", data))?;
    let _lock = lock(data)?;
    let service = Service::open(settings.clone()).await?;
    let (loaded, folder) = service.read_catalog().await?;
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| Error::Start(format!("listen: {} cannot be bound: {error}", settings.listen)))?;
    let address = listener.local_addr().map_err(|error| Error::Start(format!("listen: {error}")))?;
    let closing = CancellationToken::new();
    let mut server = service.inner.tasks.spawn(service.serve(listener, closing.clone()));
    on_listening(address);
    let watch = service.inner.tasks.spawn(service.clone().watch(closing.clone()));
    let mut stop = std::pin::pin!(stop);
    let mut started = std::pin::pin!(service.recover(loaded, folder));
    let mut recovered = false;
    let ended = loop {
        tokio::select! {
            done = &mut started, if !recovered => match done {
                Ok(()) => recovered = true,
                Err(error) => break Err(error),
            },
            () = &mut stop => break Ok(()),
            () = service.inner.failed.cancelled() => break Ok(()),
            Some(()) = reload.recv(), if recovered => if let Some(dir) = &settings.streams {
                service.apply_files_again(dir).await;
            },
        }
    };
    closing.cancel();
    if tokio::time::timeout(settings.shutdown_timeout, &mut server).await.is_err() {
        tracing::warn!("requests still in hand at the deadline are cut off");
        server.abort();
    }
    service.finish(settings.shutdown_timeout).await;
    watch.abort();
    ended?;
    match service.inner.fatal.lock().take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl Service {
    async fn open(settings: Settings) -> Result<Self, Error> {
        let clock = Clock::system();
        let store = Store::open(&settings.data)?;
        let telemetry = Arc::new(Telemetry::new());
        let disk: Arc<dyn Disk> = Arc::new(MeteredDisk { telemetry: Arc::clone(&telemetry), clock: clock.clone() });
        let pool_dir = settings.data.join("pool");
        let pool = Pool::open(Arc::clone(&disk), pool_dir.clone(), PoolSettings::default())
            .map_err(data_error("opening the pool in", &pool_dir))?;
        let committers = ThreadCommitters::start(SYNC_THREADS);
        let shared: Arc<dyn crate::log::Committers> = Arc::clone(&committers) as _;
        let workshop = Workshop { disk, pool, committers: shared, clock: clock.clone() };
        // Beside what is in use, for a moment: `Buffer::give_back`.
        Buffer::keep_at_most(settings.delivery_memory / 2);
        let shop = Shop {
            memory: MemoryBudget::new(settings.delivery_memory),
            workers: Workers::Pool,
            clock: clock.clone(),
            settings: delivery::Settings::default(),
        };
        let destinations = Arc::new(Objects::open(&settings).await?);
        let place = Place { region: settings.region.clone(), account: settings.account.clone() };
        let endpoint = match &settings.lambda_endpoint {
            Some(url) => Some(Functions::open(url, &settings, &sdk_config(&settings).await, clock.clone())?),
            None => None,
        };
        let modules = Modules::open(&settings, clock.clone())?;
        let lambdas = Arc::new(Lambdas { modules, endpoint, place: place.clone() });
        let tables = Tables::open(&settings, clock.clone()).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                place,
                rulebook: super::rulebook(&settings),
                store,
                clock,
                workshop,
                committers,
                shop,
                destinations,
                lambdas,
                tables,
                telemetry,
                streams: parking_lot::RwLock::default(),
                draining: parking_lot::Mutex::default(),
                changing: tokio::sync::Mutex::new(()),
                recovering: AtomicBool::new(true),
                damaged: parking_lot::Mutex::default(),
                tasks: TaskTracker::new(),
                failed: CancellationToken::new(),
                fatal: parking_lot::Mutex::new(None),
                settings,
            }),
        })
    }

    fn serve(&self, listener: TcpListener, closing: CancellationToken) -> impl Future<Output = ()> + use<> {
        let settings = &self.inner.settings;
        let settings = api::ApiSettings {
            max_record_bytes: settings.max_record_bytes,
            max_body_bytes: settings.max_body_bytes,
            body_memory: settings.body_memory,
            max_connections: settings.max_connections,
            ..api::ApiSettings::default()
        };
        let levels = Arc::downgrade(&self.inner);
        self.inner
            .telemetry
            .read_levels_with(move || levels.upgrade().map(|inner| Service { inner }.levels()).unwrap_or_default());
        api::serve(listener, Arc::new(self.clone()), Arc::clone(&self.inner.telemetry), settings, closing)
    }

    /// Reads which streams there are, and the stream files: what refuses the start is told before anybody is served.
    async fn read_catalog(&self) -> Result<(Loaded, Folder), Error> {
        let (store, rulebook) = (self.inner.store.clone(), self.inner.rulebook);
        let dir = self.inner.settings.streams.clone();
        let read = tokio::task::spawn_blocking(move || {
            let loaded = store.load()?;
            let (folder, faults) = dir.map(|dir| read_for_start(&dir, &loaded, &rulebook)).unwrap_or_default();
            Ok::<_, Error>((loaded, folder, faults))
        });
        let read = read.await.map_err(|error| Error::Start(format!("reading the catalog: {error}")))?;
        let (loaded, folder, mut faults) = read?;
        faults.extend(self.faults_of_new_streams(&folder, &loaded).await);
        if faults.is_empty() {
            return Ok((loaded, folder));
        }
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Err(Error::Start(format!("stream files have faults; mend or remove them:\n{}", faults.join("\n"))))
    }

    /// Starts every stream of the catalog, then applies the stream files.
    async fn recover(&self, loaded: Loaded, folder: Folder) -> Result<(), Error> {
        let Loaded { streams, damaged } = loaded;
        for SetAside { name, error } in damaged {
            tracing::error!(stream = name, error = with_causes(&error), "a stream is not started");
            if name.is_none() {
                tracing::error!(
                    "no stream can be created until that one is mended or moved away: it may have the same name"
                );
            }
            self.inner.damaged.lock().push(name.map_or(Claim::Unknown, Claim::Name));
        }
        // A deleted stream may be gone at once; it is known before it is forgotten.
        let changing = self.inner.changing.lock().await;
        for described in streams {
            let deleting = described.state == crate::catalog::State::Deleting;
            let name = described.definition.name.clone();
            match self.start_stream(described, None).await {
                Ok(running) if deleting => {
                    let mut streams = self.inner.streams.write();
                    if let Some(other) = streams.get(&name).map(Arc::clone) {
                        drop(other);
                        self.inner.draining.lock().insert(running.id, running);
                    } else {
                        streams.insert(name, running);
                    }
                }
                Ok(running) => {
                    if let Some(old) = self.inner.streams.write().insert(name, running) {
                        self.inner.draining.lock().insert(old.id, old);
                    }
                }
                Err(error) => {
                    tracing::error!(stream = %name, error = with_causes(&error), "a stream is not started");
                    self.inner.damaged.lock().push(if deleting { Claim::Nothing } else { Claim::Name(name) });
                }
            }
        }
        drop(changing);
        self.apply_files_at_start(folder).await?;
        self.inner.recovering.store(false, Ordering::Relaxed);
        tracing::info!(streams = self.inner.streams.read().len(), "ready");
        Ok(())
    }

    /// Ends every road within `limit`, then closes the ledgers and the logs.
    async fn finish(&self, limit: Duration) {
        let running = self.everyone();
        for stream in &running {
            stream.log.close();
            stream.handle.wish(Wish::Stop);
        }
        self.inner.tasks.close();
        if tokio::time::timeout(limit, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("deliveries still under way at the deadline go on at the next start");
        }
        for stream in &running {
            stream.handle.stream.errors.log().close();
            stream.handle.stream.spool.log().close();
            stream.handle.stream.ledger.log().close();
        }
        let committers = Arc::clone(&self.inner.committers);
        if tokio::task::spawn_blocking(move || committers.stop()).await.is_err() {
            tracing::error!("the sync threads did not end");
        }
    }
}

/// One process at a time uses a data directory.
fn lock(data: &Path) -> Result<File, Error> {
    let path = data.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(data_error("opening", &path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(Error::Start(format!(
                "another hydrant uses {}: stop it, or give this one another directory with --data",
                data.display()
            )));
        }
        Err(error) => return Err(data_error("locking", &path)(error.into())),
    }
    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(data_error("writing", &path))?;
    Ok(file)
}

/// An error with everything behind it, for the log.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn data_error(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Data { doing, path, source }
}

/// Threads that write and sync logs: enough that one slow sync does not hold up the logs of others.
const SYNC_THREADS: usize = 4;
