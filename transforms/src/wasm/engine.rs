//! The compiler of modules, and the beat that their deadlines are counted in.

use std::path::{Path, absolute};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::{Cache, CacheConfig, Config};

use super::Error;

/// Compiles and runs modules. One a process; cheap to clone.
///
/// Instances are made on demand, not from wasmtime's pool of slots: since they are kept, one is made only at the start and
/// after a fault, and the pool would buy 8 µs each time for a limit on how many instances, and how large, the whole process
/// may have.
///
/// The same records give the same result on every machine: the bits of NaN and of relaxed SIMD are fixed.
#[derive(Clone, Debug)]
pub struct Engine {
    engine: wasmtime::Engine,
    /// Ticks so far.
    passed: Arc<AtomicU64>,
}

impl Engine {
    /// How often [`Engine::tick`] is to be called. A deadline may be late by one tick.
    pub const TICK: Duration = Duration::from_millis(10);

    /// An engine that keeps compiled code in the folder `cache`, which it makes. Whoever can write there can run code as this
    /// process.
    ///
    /// # Errors
    /// [`Error::Engine`] if the folder cannot be made.
    pub fn new(cache: Option<&Path>) -> Result<Self, Error> {
        let mut config = Config::new();
        config.epoch_interruption(true).cranelift_nan_canonicalization(true).relaxed_simd_deterministic(true);
        if let Some(folder) = cache {
            let mut kept = CacheConfig::new();
            kept.with_directory(absolute(folder).map_err(|error| Error::Engine(error.into()))?);
            config.cache(Some(Cache::new(kept).map_err(|error| Error::Engine(error.into()))?));
        }
        let engine = wasmtime::Engine::new(&config).map_err(|error| Error::Engine(error.into()))?;
        Ok(Self { engine, passed: Arc::default() })
    }

    /// Lets [`Engine::TICK`] pass for the deadlines of all calls. Somebody must call this that often, from a thread that no
    /// module can block; without it a module that never ends is never stopped.
    pub fn tick(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.engine.increment_epoch();
    }

    /// Ticks so far: what attempts are measured by, which may not look at a clock.
    pub(super) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    pub(super) fn inner(&self) -> &wasmtime::Engine {
        &self.engine
    }

    /// The ticks that are sure to span `deadline`.
    pub(super) fn ticks(deadline: Duration) -> u64 {
        let ticks = deadline.as_nanos().div_ceil(Self::TICK.as_nanos());
        // One more, for the tick that is about to end. Far below the counter's end, which the epoch is added to.
        u64::try_from(ticks).unwrap_or(u64::MAX).min(1 << 40) + 1
    }
}
