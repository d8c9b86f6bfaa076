//! Reading the catalog at the start, after whatever happened.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

use hydrant_model::StreamId;
use serde_json::Value;

use super::file::{read, sync_dir};
use super::{Loaded, REMOVED, SetAside, State, Store, StoreError, Stream, StreamJson, VERSIONS};
use crate::catalog::Definition;

impl Store {
    /// Reads every stream, and ends creations and removals that a crash cut short.
    ///
    /// # Errors
    /// The folder of the streams itself cannot be listed or written.
    pub fn load(&self) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        for entry in fs::read_dir(&self.root).map_err(StoreError::doing("listing", &self.root))? {
            let folder = entry.map_err(StoreError::doing("listing", &self.root))?.path();
            let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.strip_suffix(REMOVED).is_some_and(|id| id.parse::<StreamId>().is_ok()) {
                fs::remove_dir_all(&folder).map_err(StoreError::doing("removing", &folder))?;
                continue;
            }
            // Anything else in there (`lost+found`, a copy somebody made) is not ours.
            let Ok(id) = name.parse::<StreamId>() else { continue };
            match self.load_stream(id) {
                Ok(Some(stream)) => loaded.streams.push(stream),
                Ok(None) => {}
                Err(error) => loaded.damaged.push(SetAside { name: self.name_of(id), error }),
            }
        }
        loaded.streams.sort_by_key(|stream| (stream.created_ms, stream.id));
        self.set_aside_double_names(&mut loaded);
        Ok(loaded)
    }

    /// The name of a stream that cannot be read, as far as its file still says it; another format's says it too.
    fn name_of(&self, id: StreamId) -> Option<String> {
        let json: Value = serde_json::from_slice(&fs::read(self.stream_json(id)).ok()?).ok()?;
        // The file of another stream says nothing of this one.
        let ours = json.get("id").and_then(Value::as_str) == Some(id.to_string().as_str());
        let name = json.get("name").and_then(Value::as_str).filter(|name| ours && !name.is_empty());
        name.map(str::to_owned)
    }

    /// Two active streams of one name come from folders that were put back or copied: the older one is started.
    fn set_aside_double_names(&self, loaded: &mut Loaded) {
        let mut seen: BTreeMap<String, StreamId> = BTreeMap::new();
        let damaged = &mut loaded.damaged;
        loaded.streams.retain(|stream| {
            if stream.state != State::Active {
                return true;
            }
            let Some(earlier) = seen.get(&stream.definition.name) else {
                seen.insert(stream.definition.name.clone(), stream.id);
                return true;
            };
            let name = stream.definition.name.clone();
            let (folder, started) = (self.folder(stream.id), self.folder(*earlier));
            damaged.push(SetAside { name: Some(name.clone()), error: StoreError::Double { name, folder, started } });
            false
        });
    }

    fn load_stream(&self, id: StreamId) -> Result<Option<Stream>, StoreError> {
        let path = self.stream_json(id);
        let json: StreamJson = match read(&path) {
            Ok(json) => json,
            Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return self.end_unfinished_creation(id).map(|()| None);
            }
            Err(error) => return Err(error),
        };
        if json.id != id {
            return Err(StoreError::Damaged { path, cause: format!("it is of stream {}", json.id) });
        }
        let destination = self.version(id, json.version)?;
        Ok(Some(Stream {
            id,
            state: json.state,
            created_ms: json.created_ms,
            updated_ms: json.updated_ms,
            deleted_ms: json.deleted_ms,
            version: json.version,
            definition: Definition {
                name: json.name,
                stream_type: json.stream_type,
                throughput_hint_mbs: json.throughput_hint_mbs,
                destination,
                tags: json.tags,
            },
            applied: json.applied,
        }))
    }

    /// A folder without `stream.json` was never answered for, unless there is more in it than a creation writes first.
    fn end_unfinished_creation(&self, id: StreamId) -> Result<(), StoreError> {
        let folder = self.folder(id);
        let entries = fs::read_dir(&folder).map_err(StoreError::doing("listing", &folder))?;
        for entry in entries {
            let name = entry.map_err(StoreError::doing("listing", &folder))?.file_name();
            if name != VERSIONS && name != "stream.json.new" {
                let cause = format!("it is missing, and {} is there", name.display());
                return Err(StoreError::Damaged { path: self.stream_json(id), cause });
            }
        }
        fs::remove_dir_all(&folder).map_err(StoreError::doing("removing", &folder))?;
        sync_dir(&self.root)
    }
}
