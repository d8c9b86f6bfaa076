//! One JSON file of the catalog: whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Why the catalog cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk said no.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// A file that is not what was written.
    #[error(
        "{} is damaged: {cause}; put back a copy of it, or move its stream's folder out of the data directory to go on without \
         the stream, and keep that folder: records that wait lie in it",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A second stream of one name.
    #[error(
        "stream {name} is in two folders, {} and {}: the first is started, and what waits in the second stays there; have \
         another hydrant, with a data directory of its own, deliver a copy of the second before you take it away",
        started.display(),
        folder.display()
    )]
    Double {
        /// The name.
        name: String,
        /// Where the second is.
        folder: PathBuf,
        /// Where the first is.
        started: PathBuf,
    },
    /// A file that a later version of hydrant wrote.
    #[error("{} has format {format}, and this version of hydrant reads up to {FORMAT}: start the later version again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
}

impl StoreError {
    /// Says what was being done when the disk refused.
    pub(crate) fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

/// Reads a file of the current format.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, StoreError> {
    let bytes = fs::read(path).map_err(StoreError::doing("reading", path))?;
    let damaged = |error: serde_json::Error| StoreError::Damaged { path: path.to_owned(), cause: error.to_string() };
    let value: Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    // Before the members: a later format may have others.
    match value.get("format").and_then(Value::as_u64) {
        Some(format) if format > FORMAT => Err(StoreError::Newer { path: path.to_owned(), format }),
        Some(_) => serde_json::from_value(value).map_err(damaged),
        None => Err(StoreError::Damaged { path: path.to_owned(), cause: "it names no format".to_owned() }),
    }
}

/// Writes `content` as [`write_bytes`] does.
pub(crate) fn write(path: &Path, content: &impl Serialize) -> Result<(), StoreError> {
    let mut bytes = serde_json::to_vec_pretty(content).map_err(|error| StoreError::Io {
        doing: "writing",
        path: path.to_owned(),
        source: error.into(),
    })?;
    bytes.push(b'\n');
    write_bytes(path, &bytes)
}

/// Writes a file so that a crash leaves the old one or the new one. Returns when the new one survives power loss. Where the disk
/// says no, nothing is left of it.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = path.with_added_extension("new");
    let written = write_beside(&temporary, path, bytes);
    if written.is_err() {
        drop(fs::remove_file(&temporary));
    }
    written
}

fn write_beside(temporary: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = File::create(temporary).map_err(StoreError::doing("making", temporary))?;
    file.write_all(bytes).map_err(StoreError::doing("writing", temporary))?;
    file.sync_all().map_err(StoreError::doing("syncing", temporary))?;
    fs::rename(temporary, path).map_err(StoreError::doing("renaming to", path))?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes the names in a directory survive power loss.
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(StoreError::doing("syncing", path))
}

/// Format of every file here; a file of a higher one is refused.
pub(crate) const FORMAT: u64 = 1;
