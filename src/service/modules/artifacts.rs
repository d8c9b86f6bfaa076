//! Copies of the modules in use: one that takes effect is copied first, with what stands beside it, so that its streams go on with
//! it wherever its file goes and whatever takes its place, after a restart, too.
//!
//! ```text
//! <data>/artifacts/<SHA-256>               a module, or what stands beside one
//! <data>/artifacts/<NAME>.module.json      {"format":1, "module":"<SHA-256>", "configuration"?:"<SHA-256>"}: what NAME.wasm was
//! ```
//!
//! A copy goes when another has taken its place, or no stream names the function any more. A pass under way holds what it began
//! with in memory; of one that a crash ends, nothing is decided, and it begins again with the module in use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::{FORMAT, StoreError, read_json, sync_names, write_bytes, write_json};

/// A module, as its files were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) module: Vec<u8>,
    /// The text beside it.
    pub(super) configuration: Option<Vec<u8>>,
}

/// The copies of a data directory.
pub(super) struct Artifacts {
    dir: PathBuf,
    known: Mutex<BTreeMap<String, Reference>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    format: u64,
    module: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configuration: Option<String>,
}

impl Artifacts {
    /// Those of the data directory `data`. What a crash left beside them is removed.
    ///
    /// # Errors
    /// They cannot be read, or a later version of hydrant wrote them.
    pub(super) fn open(data: &Path) -> Result<Self, StoreError> {
        let dir = data.join("artifacts");
        let artifacts = Self { dir, known: Mutex::default() };
        let mut known = BTreeMap::new();
        let entries = match fs::read_dir(&artifacts.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(artifacts),
            entries => entries.map_err(StoreError::doing("listing", &artifacts.dir))?,
        };
        for entry in entries {
            let path = entry.map_err(StoreError::doing("listing", &artifacts.dir))?.path();
            let Some(name) = path.file_name().and_then(|it| it.to_str()?.strip_suffix(REFERENCE)) else { continue };
            let usable = match read_json::<Reference>(&path) {
                Err(error @ StoreError::Newer { .. }) => return Err(error),
                Err(StoreError::Damaged { cause, .. }) => Err(cause),
                Err(error) => Err(format!("{error:?}")),
                Ok(reference) => match artifacts.content(&reference) {
                    Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound) => {
                        Err(error.to_string())
                    }
                    // What cannot be read now may be later.
                    _ => Ok(reference),
                },
            };
            match usable {
                Ok(reference) => drop(known.insert(name.to_owned(), reference)),
                Err(error) => {
                    tracing::error!(
                        module = name,
                        error,
                        "the copy of a module is damaged; its next use makes another"
                    );
                }
            }
        }
        artifacts.sweep(&known);
        *artifacts.known.lock() = known;
        Ok(artifacts)
    }

    /// Copies what the module `name` is from now on. When this returns, the copy survives power loss.
    ///
    /// # Errors
    /// The disk says no; the former copy is still there.
    pub(super) fn keep(&self, name: &str, content: &Content) -> Result<(), StoreError> {
        let reference = Reference {
            format: FORMAT,
            module: hash(&content.module),
            configuration: content.configuration.as_deref().map(hash),
        };
        let mut known = self.known.lock();
        if known.get(name) == Some(&reference) {
            return Ok(());
        }
        self.make_dir()?;
        write_bytes(&self.dir.join(&reference.module), &content.module)?;
        if let (Some(hash), Some(text)) = (&reference.configuration, &content.configuration) {
            write_bytes(&self.dir.join(hash), text)?;
        }
        write_json(&self.reference(name), &reference)?;
        known.insert(name.to_owned(), reference);
        self.sweep(&known);
        Ok(())
    }

    /// What the module `name` was when it took effect last; `None` where it never did, or its copy is damaged.
    pub(super) fn load(&self, name: &str) -> Option<Content> {
        let reference = self.known.lock().get(name).cloned()?;
        let content = self.content(&reference);
        content.inspect_err(|error| tracing::error!(module = name, %error, "the copy of a module cannot be used")).ok()
    }

    /// Removes the copies of modules other than `named`, those that streams name; which they are. One that cannot be removed is
    /// looked at again by the next process.
    pub(super) fn keep_only(&self, named: &BTreeSet<&str>) -> Vec<String> {
        // While one is copied nobody waits for the disk: it is looked at again soon.
        let Some(mut known) = self.known.try_lock() else { return Vec::new() };
        let gone: Vec<String> = known.keys().filter(|name| !named.contains(name.as_str())).cloned().collect();
        for name in &gone {
            known.remove(name);
            if let Err(error) = fs::remove_file(self.reference(name))
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(module = name, %error, "nobody needs the copy of a module, and it cannot be removed");
            }
        }
        if !gone.is_empty() {
            self.sweep(&known);
        }
        gone
    }

    /// With the first copy, so that a service without modules starts wherever it can read.
    fn make_dir(&self) -> Result<(), StoreError> {
        match fs::create_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => {
                made.map_err(StoreError::doing("making", &self.dir))?;
                self.dir.parent().map_or(Ok(()), sync_names)
            }
        }
    }

    fn content(&self, reference: &Reference) -> io::Result<Content> {
        let configuration = reference.configuration.as_deref().map(|hash| self.read(hash)).transpose()?;
        Ok(Content { module: self.read(&reference.module)?, configuration })
    }

    fn reference(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{REFERENCE}"))
    }

    fn read(&self, hash_of_it: &str) -> io::Result<Vec<u8>> {
        let path = self.dir.join(hash_of_it);
        let bytes =
            fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        if hash(&bytes) != hash_of_it {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("{} is not what was written", path.display())));
        }
        Ok(bytes)
    }

    /// Removes what nobody names; what cannot be removed goes with the next.
    fn sweep(&self, known: &BTreeMap<String, Reference>) {
        let hashes = |reference: &Reference| [Some(reference.module.clone()), reference.configuration.clone()];
        let named: BTreeSet<String> = known.values().flat_map(hashes).flatten().collect();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let file = entry.file_name();
            if !file.to_str().is_some_and(|file| file.ends_with(REFERENCE) || named.contains(file)) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

const REFERENCE: &str = ".module.json";
