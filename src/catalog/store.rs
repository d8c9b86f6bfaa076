//! The catalog on disk.
//!
//! ```text
//! <data>/streams/<id>/stream.json         {"format":1, "id", "name", "state", "created_ms", "updated_ms"?, "deleted_ms"?, "version",
//!                                          "stream_type", "throughput_hint_mbs"?, "tags":{…}, "applied"?:{"hash","document","file"?}}
//! <data>/streams/<id>/versions/<n>.json   {"format":1, "version":n, "created_ms", "destination":{"member","configuration"}}
//! <data>/streams/<id>.removed/            a removal that did not finish; the next load ends it
//! ```
//!
//! A file appears by a temporary file beside it (`….new`), a sync, a rename and a sync of the directory: it is the old one or
//! the new one, never half of it. `stream.json` names the version in force, so a version is written before it, and writing
//! `stream.json` is the moment at which a change happened. A stream whose files cannot be read is reported and left alone;
//! the others start.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hydrant_model::StreamId;
use serde::{Deserialize, Serialize};

use super::{Applied, Definition, Destination, StreamType};
use file::{read, sync_dir, write};

pub use file::StoreError;

/// Files that are whole or not there, for whoever keeps some beside the catalog.
pub(crate) use file::{FORMAT, read as read_json, sync_dir as sync_names, write as write_json, write_bytes};

mod file;
mod load;

/// The streams of one data directory. Every call waits for the disk: make it from a thread that may. One writer at a time a
/// stream is the caller's to see to.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

/// One delivery stream as the catalog keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Names this creation of the stream, and its folder.
    pub id: StreamId,
    /// Whether it takes records.
    pub state: State,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_ms: u64,
    /// When its destination last changed.
    pub updated_ms: Option<u64>,
    /// When it was deleted, where it is being deleted and was not by an earlier version.
    pub deleted_ms: Option<u64>,
    /// The configuration version in force, from 1.
    pub version: u64,
    /// What it is meant to do.
    pub definition: Definition,
    /// The stream file that was last applied, if any ever was.
    pub applied: Option<Applied>,
}

/// AWS's `DeliveryStreamStatus`, as far as it outlives a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Takes records.
    Active,
    /// Takes none, and delivers what it holds.
    Deleting,
}

impl State {
    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Deleting => "DELETING",
        }
    }
}

/// What a data directory holds.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The streams that can be started, oldest first.
    pub streams: Vec<Stream>,
    /// The others. They hold their names: a stream made in the place of one would part its records from their name.
    pub damaged: Vec<SetAside>,
}

/// A stream whose folder was left alone.
#[derive(Debug)]
pub struct SetAside {
    /// Its name, where that can still be read.
    pub name: Option<String>,
    /// Why it cannot be started.
    pub error: StoreError,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamJson {
    format: u64,
    id: StreamId,
    name: String,
    state: State,
    created_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deleted_ms: Option<u64>,
    version: u64,
    stream_type: StreamType,
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput_hint_mbs: Option<u64>,
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<Applied>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct VersionJson {
    format: u64,
    version: u64,
    created_ms: u64,
    destination: Destination,
}

impl Store {
    /// Opens the catalog of the data directory `data`, which exists.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let root = data.join("streams");
        make_dir(&root)?;
        sync_dir(data)?;
        Ok(Self { root })
    }

    /// Where everything about the stream `id` lies.
    pub fn folder(&self, id: StreamId) -> PathBuf {
        self.root.join(id.to_string())
    }

    /// Adds a stream. When this returns, it survives power loss.
    pub fn create(
        &self,
        id: StreamId,
        definition: Definition,
        applied: Option<Applied>,
        now_ms: u64,
    ) -> Result<Stream, StoreError> {
        let stream = Stream {
            id,
            state: State::Active,
            created_ms: now_ms,
            updated_ms: None,
            deleted_ms: None,
            version: 1,
            definition,
            applied,
        };
        let folder = self.folder(id);
        make_dir(&folder)?;
        make_dir(&folder.join(VERSIONS))?;
        self.write_version(&stream, now_ms)?;
        sync_dir(&folder)?;
        self.write_stream(&stream)?;
        sync_dir(&self.root)?;
        Ok(stream)
    }

    /// Puts a changed definition into force as the next version.
    pub fn add_version(
        &self,
        stream: &Stream,
        definition: Definition,
        applied: Option<Applied>,
        now_ms: u64,
    ) -> Result<Stream, StoreError> {
        let version = stream.version.saturating_add(1);
        let changed = Stream { definition, applied, version, updated_ms: Some(now_ms), ..stream.clone() };
        self.write_version(&changed, now_ms)?;
        self.write_stream(&changed)?;
        Ok(changed)
    }

    /// Changes what is about the stream and not about its destination: tags, the throughput hint, the file last applied. The
    /// version stays.
    pub fn retag(
        &self,
        stream: &Stream,
        definition: Definition,
        applied: Option<Applied>,
    ) -> Result<Stream, StoreError> {
        let destination = stream.definition.destination.clone();
        let changed = Stream { definition: Definition { destination, ..definition }, applied, ..stream.clone() };
        self.write_stream(&changed)?;
        Ok(changed)
    }

    /// Makes the stream one that takes no records any more.
    pub fn begin_deletion(&self, stream: &Stream, now_ms: u64) -> Result<Stream, StoreError> {
        let changed = Stream { state: State::Deleting, deleted_ms: Some(now_ms), ..stream.clone() };
        self.write_stream(&changed)?;
        Ok(changed)
    }

    /// The destination as version `n` has it, for records that wait since then.
    pub fn version(&self, id: StreamId, n: u64) -> Result<Destination, StoreError> {
        let path = self.version_json(id, n);
        let json: VersionJson = read(&path)?;
        if json.version != n {
            return Err(StoreError::Damaged { path, cause: format!("it is version {}", json.version) });
        }
        Ok(json.destination)
    }

    /// The versions that are kept, oldest first.
    pub fn versions(&self, id: StreamId) -> Result<Vec<u64>, StoreError> {
        let folder = self.folder(id).join(VERSIONS);
        let mut versions = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::doing("listing", &folder))? {
            let name = entry.map_err(StoreError::doing("listing", &folder))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
            versions.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    /// Removes the versions that `keep` does not want. The one in force always stays.
    pub fn prune_versions(&self, id: StreamId, keep: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        let in_force = read::<StreamJson>(&self.stream_json(id))?.version;
        for version in self.versions(id)? {
            // A version past the one in force is what a crash left of an update that did not happen.
            if version != in_force && !keep(version) {
                let path = self.version_json(id, version);
                fs::remove_file(&path).map_err(StoreError::doing("removing", &path))?;
            }
        }
        sync_dir(&self.folder(id).join(VERSIONS))
    }

    /// Removes a stream with everything in its folder, its logs too. Removing one that is gone already is no fault.
    pub fn remove(&self, id: StreamId) -> Result<(), StoreError> {
        let folder = self.folder(id);
        let aside = self.root.join(format!("{id}{REMOVED}"));
        match fs::rename(&folder, &aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            renamed => renamed.map_err(StoreError::doing("removing", &folder))?,
        }
        sync_dir(&self.root)?;
        match fs::remove_dir_all(&aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StoreError::doing("removing", &aside)),
        }
    }

    fn write_stream(&self, stream: &Stream) -> Result<(), StoreError> {
        let Stream { id, state, created_ms, updated_ms, deleted_ms, version, ref definition, ref applied } = *stream;
        let json = StreamJson {
            format: FORMAT,
            id,
            name: definition.name.clone(),
            state,
            created_ms,
            updated_ms,
            deleted_ms,
            version,
            stream_type: definition.stream_type,
            throughput_hint_mbs: definition.throughput_hint_mbs,
            tags: definition.tags.clone(),
            applied: applied.clone(),
        };
        write(&self.stream_json(id), &json)
    }

    fn write_version(&self, stream: &Stream, created_ms: u64) -> Result<(), StoreError> {
        let version = stream.version;
        let destination = stream.definition.destination.clone();
        let json = VersionJson { format: FORMAT, version, created_ms, destination };
        write(&self.version_json(stream.id, version), &json)
    }

    fn stream_json(&self, id: StreamId) -> PathBuf {
        self.folder(id).join("stream.json")
    }

    fn version_json(&self, id: StreamId, n: u64) -> PathBuf {
        self.folder(id).join(VERSIONS).join(format!("{n}.json"))
    }
}

fn make_dir(path: &Path) -> Result<(), StoreError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(StoreError::doing("making", path)),
    }
}

const VERSIONS: &str = "versions";
const REMOVED: &str = ".removed";

#[cfg(test)]
mod tests;
