//! Transform modules: files of the modules directory, compiled when they are first asked for and when they were replaced.
//!
//! A `LambdaArn` names the module of its function: `arn:aws:lambda:…:function:enrich` is `enrich.wasm`, and what
//! [`Configuration`] tells about it stands beside it. A pass over records takes the file as it is when the pass begins, so that a
//! replaced one takes effect at an offset of the records' log: what was processed below stays as it is, and a pass under way keeps
//! the module that it began with. A file that is no good, or not whole yet, takes nobody's place: the one that was used last is
//! used on, after a restart from its copy ([`Artifacts`]).

mod artifacts;
mod configuration;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};

use hydrant_transforms::processors::{LambdaParameters, Transform};
use hydrant_transforms::records::{Arrived, Fates, Records};
use hydrant_transforms::wasm::{Engine, Module, Pool, WasmTransform};
use parking_lot::Mutex;

use self::artifacts::{Artifacts, Content};
use self::configuration::file_beside;
use super::Error;
use super::stamp::Stamp;
use crate::clock::Clock;
use crate::settings::Settings;

pub(crate) use self::configuration::Configuration;

/// The modules of a process.
pub(super) struct Modules {
    dir: PathBuf,
    engine: Engine,
    artifacts: Artifacts,
    clock: Clock,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// Counts what was asked for.
    asked: AtomicU64,
    ticking: Once,
}

/// A module, and when it was last asked for.
#[derive(Default)]
struct Slot {
    loaded: Mutex<Option<Loaded>>,
    asked: AtomicU64,
}

/// A module in use.
struct Loaded {
    /// `None` where it is a copy of what they were.
    files: Option<Files>,
    pool: Pool,
    /// What took its place in the directory, and why it does not here.
    refused: Option<(Result<Files, String>, String)>,
    copied: Copied,
}

/// Whether there is a copy of a module.
enum Copied {
    /// There will be one when it takes effect.
    No(Content),
    /// There should be one; the disk has said no.
    Tried(Content),
    Yes,
}

/// A module's file, and the one beside it, as they were.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Files {
    module: Stamp,
    configuration: Option<(PathBuf, Stamp)>,
}

impl Modules {
    /// The modules in the directory that `settings` name. Nothing is compiled yet.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let cache = settings.data.join("compiled");
        let engine = Engine::new(Some(&cache)).map_err(|error| Error::Start(error.to_string()))?;
        let artifacts = Artifacts::open(&settings.data)?;
        let (dir, slots, asked) = (settings.modules.clone(), Mutex::default(), AtomicU64::new(0));
        Ok(Self { dir, engine, artifacts, clock, slots, asked, ticking: Once::new() })
    }

    /// Whether a module stands in for the function that `arn` names: there is a file, or there was one while this process ran. One
    /// that is moved away to make room for the next must not send records somewhere else meanwhile.
    pub(super) fn has(&self, arn: &str) -> bool {
        module_name(arn).is_ok_and(|name| self.path(name).is_file() || self.is_in_use(name))
    }

    fn is_in_use(&self, name: &str) -> bool {
        let slot = self.slots.lock().get(name).cloned();
        slot.is_some_and(|slot| slot.loaded.lock().is_some())
    }

    /// Whether the module of the function that `arn` names is there and can run, as its files are now. Compiles it: not for a
    /// runtime's own thread.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, arn: &str) -> Result<(), String> {
        let slot = self.slot(module_name(arn)?);
        let pool = self.current(&slot, arn)?;
        if let Some((_, why)) = slot.loaded.lock().as_ref().and_then(|loaded| loaded.refused.as_ref()) {
            return Err(why.clone());
        }
        pool.warm().map_err(|fault| format!("LambdaArn {arn}: {}", fault.message()))
    }

    /// The transform of a module, as its files are now; as they were when it was used last where they are no good any more.
    ///
    /// # Errors
    /// The file is missing, or no module, and no other was ever used in its place.
    pub(super) fn transform(&self, lambda: &LambdaParameters) -> Result<Box<dyn Transform>, String> {
        let name = module_name(&lambda.arn)?;
        let slot = self.slot(name);
        let pool = self.current(&slot, &lambda.arn)?;
        self.copy(name, &slot);
        self.trim();
        Ok(Box::new(InModule(WasmTransform::new(pool, lambda.buffer_bytes, lambda.retries))))
    }

    /// The most bytes that an instance of the module was seen to hold.
    pub(super) fn memory_bytes(&self, arn: &str) -> usize {
        let slot = module_name(arn).ok().and_then(|name| self.slots.lock().get(name).cloned());
        let loaded = slot.as_ref().and_then(|slot| slot.loaded.try_lock());
        loaded.and_then(|loaded| loaded.as_ref().map(|it| it.pool.most_bytes())).unwrap_or_default()
    }

    /// Gives up the copies of modules that stand in for none of the functions `arns`, which are all that streams ask.
    pub(super) fn forget_all_but(&self, arns: &[String]) {
        let named: BTreeSet<_> = arns.iter().filter_map(|arn| module_name(arn).ok()).collect();
        let gone = self.artifacts.keep_only(&named);
        // Should a stream name one again, it is loaded again, and copied.
        self.slots.lock().retain(|name, _| !gone.contains(name));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.wasm"))
    }

    fn slot(&self, name: &str) -> Arc<Slot> {
        let slot = Arc::clone(self.slots.lock().entry(name.to_owned()).or_default());
        slot.asked.store(self.asked.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        slot
    }

    /// Instances of the module that `arn` names. While it is compiled, only those wait who ask for the same one.
    fn current(&self, slot: &Slot, arn: &str) -> Result<Pool, String> {
        let name = module_name(arn)?;
        let path = self.path(name);
        let wrong = |error: String| format!("LambdaArn {arn}: module {}: {error}", path.display());
        let mut loaded = slot.loaded.lock();
        let files = Files::of(&path);
        let found = files.as_ref().ok();
        if let Some(known) = loaded.as_mut() {
            if found.is_some() && known.files.as_ref() == found {
                known.refused = None;
                return Ok(known.pool.clone());
            }
            if known.refused.as_ref().is_some_and(|(refused, _)| *refused == files) {
                return Ok(known.pool.clone());
            }
        }
        // One that cannot be started is no good, and no call should find that out.
        let fresh = files.clone().and_then(|files| self.load(name, &path, files)).and_then(|fresh| {
            let started = fresh.pool.warm().map_err(|fault| fault.message().into_owned());
            started.map(|()| fresh)
        });
        match fresh {
            Ok(fresh) => {
                tracing::info!(module = name, path = %path.display(), "a transform module is in use");
                Ok(loaded.insert(fresh).pool.clone())
            }
            Err(error) => {
                let error = wrong(error);
                if loaded.is_none() {
                    *loaded = self.load_copy(name);
                }
                let Some(known) = loaded.as_mut() else { return Err(error) };
                tracing::error!(module = name, %error, "a module was replaced by what cannot be used; the old one stays in use");
                known.refused = Some((files, error));
                Ok(known.pool.clone())
            }
        }
    }

    /// The module of `files`, as they are or were a moment ago.
    fn load(&self, name: &str, path: &Path, files: Files) -> Result<Loaded, String> {
        let (configuration, text) = Configuration::beside_with_text(path)?;
        let module = std::fs::read(path).map_err(|error| error.to_string())?;
        let pool = self.pool(name, &module, &configuration)?;
        let copied = Copied::No(Content { module, configuration: text });
        Ok(Loaded { files: Some(files), pool, refused: None, copied })
    }

    /// The module that was used last, if there is a copy of it.
    fn load_copy(&self, name: &str) -> Option<Loaded> {
        let Content { module, configuration } = self.artifacts.load(name)?;
        let configuration =
            configuration.map(|text| Configuration::parse(&text)).transpose().map(Option::unwrap_or_default);
        let pool = configuration.and_then(|configuration| self.pool(name, &module, &configuration));
        let pool =
            pool.inspect_err(|error| tracing::error!(module = name, error, "the copy of a module cannot be used"));
        Some(Loaded { files: None, pool: pool.ok()?, refused: None, copied: Copied::Yes })
    }

    fn pool(&self, name: &str, module: &[u8], configuration: &Configuration) -> Result<Pool, String> {
        let module = Module::load(&self.engine, module, configuration.limits).map_err(|error| error.to_string())?;
        let shown: Arc<str> = name.into();
        let log = Arc::new(move |line: &str| tracing::info!(module = %shown, line, "a module says"));
        self.tick();
        Ok(Pool::new(module, configuration.start(log, &self.clock)))
    }

    /// Has a copy of the module made, which is about to take effect. Where the disk has no room for it, records do not wait for
    /// that: what they become frees some.
    fn copy(&self, name: &str, slot: &Slot) {
        let mut loaded = slot.loaded.lock();
        let Some(loaded) = loaded.as_mut() else { return };
        let (content, is_told) = match std::mem::replace(&mut loaded.copied, Copied::Yes) {
            Copied::Yes => return,
            Copied::No(content) => (content, false),
            Copied::Tried(content) => (content, true),
        };
        if let Err(error) = self.artifacts.keep(name, &content) {
            if !is_told {
                tracing::error!(module = name, %error, "no copy of a module can be made: it is tried again before each use");
            }
            loaded.copied = Copied::Tried(content);
        }
    }

    /// Gives up the instances that were not asked for longest, until the rest is no more than [`IDLE_BYTES`].
    fn trim(&self) {
        let mut slots: Vec<_> = self.slots.lock().values().cloned().collect();
        slots.sort_unstable_by_key(|slot| std::cmp::Reverse(slot.asked.load(Ordering::Relaxed)));
        let mut idle = 0;
        for slot in slots {
            // One that is being loaded has none.
            let Some(loaded) = slot.loaded.try_lock() else { continue };
            let Some(Loaded { pool, .. }) = &*loaded else { continue };
            idle += pool.idle_bytes();
            if idle > IDLE_BYTES {
                pool.shrink();
            }
        }
    }

    /// Has the time pass that the deadlines of modules are counted in, from the first one on.
    fn tick(&self) {
        self.ticking.call_once(|| {
            let engine = self.engine.clone();
            let beat = std::thread::Builder::new().name("module-clock".to_owned()).spawn(move || {
                loop {
                    #[expect(clippy::disallowed_methods, reason = "a thread of its own that no module can block")]
                    std::thread::sleep(Engine::TICK);
                    engine.tick();
                }
            });
            if let Err(error) = beat {
                tracing::error!(%error, "no thread for the deadlines of modules: one that never ends is not stopped");
            }
        });
    }
}

impl Files {
    fn of(module: &Path) -> Result<Self, String> {
        let metadata = std::fs::metadata(module).map_err(|error| error.to_string())?;
        Ok(Self { module: Stamp::of(&metadata), configuration: file_beside(module)? })
    }
}

struct InModule(WasmTransform);

impl Transform for InModule {
    fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records {
        self.0.apply(records, arrived, fates)
    }
}

/// The name of the function in an ARN, or a name alone; a version or alias behind it is left out.
fn module_name(arn: &str) -> Result<&str, String> {
    let name = match arn.split_once(":function:") {
        Some((_, name)) => name.split(':').next().unwrap_or_default(),
        None => arn,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !(1..=MOST_NAME).contains(&name.len()) || !name.chars().all(fits) {
        return Err(format!(
            "LambdaArn {arn} names no function: it ends in :function:NAME, of at most {MOST_NAME} letters, digits, - and _"
        ));
    }
    Ok(name)
}

/// Twice as long as AWS's, and short enough for a file's name with what is behind it.
const MOST_NAME: usize = 128;
/// Memory of instances that wait for the next call, of all modules together.
const IDLE_BYTES: usize = 32 << 20;

#[cfg(test)]
mod tests;
