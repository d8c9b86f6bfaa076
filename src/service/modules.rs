//! Transform modules: files of the modules directory, compiled when they are first asked for and when they were replaced.
//!
//! A `LambdaArn` names the module of its function: `arn:aws:lambda:…:function:enrich` is `enrich.wasm`. A pass over records takes
//! the file as it is when the pass begins; what was processed before stays as it is.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use hydrant_transforms::processors::{LambdaParameters, Transform};
use hydrant_transforms::records::{Arrived, Fates, Records};
use hydrant_transforms::wasm::{Engine, Limits, Module, Pool, Start, WasmTransform};
use parking_lot::Mutex;

use super::Error;
use super::stamp::Stamp;
use crate::settings::Settings;

/// The modules of a process.
pub(super) struct Modules {
    dir: PathBuf,
    engine: Engine,
    loaded: Mutex<HashMap<String, Loaded>>,
    ticking: Once,
}

/// A module as its file was.
struct Loaded {
    file: Stamp,
    pool: Pool,
}

impl Modules {
    /// The modules in the directory that `settings` name. Nothing is compiled yet.
    pub(super) fn open(settings: &Settings) -> Result<Self, Error> {
        let cache = settings.data.join("compiled");
        let engine = Engine::new(Some(&cache)).map_err(|error| Error::Start(error.to_string()))?;
        let dir = settings.modules.clone();
        Ok(Self { dir, engine, loaded: Mutex::default(), ticking: Once::new() })
    }

    /// Whether there is a file for the function that `arn` names.
    pub(super) fn has(&self, arn: &str) -> bool {
        module_name(arn).is_ok_and(|name| self.path(name).is_file())
    }

    /// Whether the module of the function that `arn` names is there and can run. Compiles it: not for a runtime's own thread.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn check(&self, arn: &str) -> Result<(), String> {
        self.pool(arn)?.warm().map_err(|fault| format!("LambdaArn {arn}: {}", fault.message()))
    }

    /// The transform of a module, as its file is now.
    ///
    /// # Errors
    /// The file is missing, or no module.
    pub(super) fn transform(&self, lambda: &LambdaParameters) -> Result<Box<dyn Transform>, String> {
        let transform = WasmTransform::new(self.pool(&lambda.arn)?, lambda.buffer_bytes, lambda.retries);
        Ok(Box::new(InModule(transform)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.wasm"))
    }

    /// Instances of the module that `arn` names, as its file is now.
    fn pool(&self, arn: &str) -> Result<Pool, String> {
        let name = module_name(arn)?;
        let path = self.path(name);
        let wrong = |error: &dyn std::fmt::Display| format!("LambdaArn {arn}: module {}: {error}", path.display());
        let file = std::fs::metadata(&path).map_err(|error| wrong(&error))?;
        let file = Stamp::of(&file);
        let mut loaded = self.loaded.lock();
        if let Some(known) = loaded.get(name).filter(|known| known.file == file) {
            return Ok(known.pool.clone());
        }
        let bytes = std::fs::read(&path).map_err(|error| wrong(&error))?;
        let module = Module::load(&self.engine, &bytes, Limits::default()).map_err(|error| wrong(&error))?;
        let shown: Arc<str> = name.into();
        let log = Arc::new(move |line: &str| tracing::info!(module = %shown, line, "a module says"));
        let pool = Pool::new(module, Start { log: Some(log), ..Start::default() });
        self.tick();
        loaded.insert(name.to_owned(), Loaded { file, pool: pool.clone() });
        tracing::info!(module = name, path = %path.display(), "a transform module is in use");
        Ok(pool)
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
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "LambdaArn {arn} names no function: it ends in :function:NAME, of letters, digits, - and _"
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_module_and_never_a_path() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:enrich";
        assert_eq!(module_name(arn), Ok("enrich"));
        assert_eq!(module_name(&format!("{arn}:PROD")), Ok("enrich"));
        assert_eq!(module_name("enrich-2"), Ok("enrich-2"));
        for wrong in ["", "../x", "arn:aws:lambda:r:a:function:../x", "arn:aws:lambda:r:a:layer:x", "a/b"] {
            assert!(module_name(wrong).is_err(), "{wrong}");
        }
    }
}
