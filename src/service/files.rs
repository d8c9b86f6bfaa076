//! Stream files: read at the start and on a reload; a file that changed is laid over its stream, a new one makes a stream.

use std::path::Path;
use std::sync::Arc;

use super::{Error, Service};
use crate::catalog::{Change, Folder, StreamFile};

impl Service {
    /// Reads the folder at the start: any fault refuses it, all faults are told.
    pub(super) async fn apply_files_at_start(&self, dir: &Path) -> Result<(), Error> {
        let folder = Folder::read(dir, &self.inner.rulebook);
        if !folder.faults.is_empty() {
            let faults: Vec<String> = folder.faults.iter().map(ToString::to_string).collect();
            return Err(Error::Start(format!("stream files have faults; mend or remove them:\n{}", faults.join("\n"))));
        }
        for file in folder.files {
            let path = file.path.clone();
            let name = &file.definition.name;
            if !self.inner.streams.read().contains_key(name)
                && let Err(error) = self.settled(name)
            {
                // The file is not at fault, and one damaged stream holds up no other.
                tracing::error!(file = %path.display(), %error, "a stream file was not applied");
                continue;
            }
            self.apply_file(file).await.map_err(|error| Error::Start(format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }

    /// Reads the folder again: what is faulty is reported and left as it was.
    pub(super) async fn apply_files_again(&self, dir: &Path) {
        let folder = Folder::read(dir, &self.inner.rulebook);
        for fault in &folder.faults {
            tracing::error!(%fault, "a stream file was not applied");
        }
        let mut named = std::collections::BTreeSet::new();
        for file in folder.files {
            let path = file.path.clone();
            named.insert(file.definition.name.clone());
            if let Err(error) = self.apply_file(file).await {
                tracing::error!(file = %path.display(), %error, "a stream file was not applied");
            }
        }
        let streams: Vec<Arc<_>> = self.inner.streams.read().values().map(Arc::clone).collect();
        for running in streams {
            if running.described().applied.is_some() && !named.contains(&running.name) {
                tracing::warn!(stream = %running.name, "its stream file went away; the stream stays until it is deleted");
            }
        }
    }

    async fn apply_file(&self, file: StreamFile) -> Result<(), crate::catalog::Error> {
        let _changing = self.inner.changing.lock().await;
        let name = file.definition.name.clone();
        let found = self.inner.streams.read().get(&name).map(Arc::clone);
        let Some(running) = found else {
            tracing::info!(stream = %name, file = %file.path.display(), "created from a stream file");
            return self.add(file.definition, Some(file.content)).await;
        };
        let described = running.described();
        let change = Change::between(described.applied.as_ref(), &file)?;
        if change.is_empty() && described.applied.as_ref() == Some(&file.content) {
            return Ok(());
        }
        let definition = change.apply(&described.definition, &self.inner.rulebook)?;
        self.put_into_force(&running, definition, Some(file.content), change.needs_version()).await?;
        tracing::info!(stream = %name, file = %file.path.display(), version = running.described().version, "changed by its stream file");
        Ok(())
    }
}
