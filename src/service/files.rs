//! Stream files: read at the start and on a reload; a file that changed is laid over its stream, a new one makes a stream.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt as _, stream};

use super::running::Running;
use super::{Error, Service};
use crate::catalog::{self, Change, FileFault, Folder, Loaded, Rulebook, State, Stream, StreamFile};

/// Reads the folder for the start, before anybody is served, and finds what is wrong with it. Any fault refuses the start, all
/// faults are told.
pub(super) fn read_for_start(dir: &Path, loaded: &Loaded, rulebook: &Rulebook) -> (Folder, Vec<FileFault>) {
    let mut folder = Folder::read(dir, rulebook);
    let active: Vec<&Stream> = active(loaded).collect();
    let applied = || active.iter().map(|stream| (stream.definition.name.as_str(), stream.applied.as_ref()));
    let mut faults = std::mem::take(&mut folder.faults);
    for file in &folder.files {
        let at =
            |field: Option<&str>, rule| FileFault { file: file.path.clone(), field: field.map(str::to_owned), rule };
        if let Some(former) = folder.former_name(file, applied()) {
            faults.push(at(Some("DeliveryStreamName"), renamed(former, file)));
        } else if let Some(stream) = active.iter().find(|stream| stream.definition.name == file.definition.name) {
            let change = Change::between(stream.applied.as_ref(), file);
            let changed = match change {
                Ok(change) if change.is_empty() => continue,
                Ok(change) => change.apply(&stream.definition, rulebook).err(),
                Err(error) => Some(error),
            };
            faults.extend(changed.map(|error| at(None, error.to_string())));
        }
    }
    (folder, faults)
}

fn active(loaded: &Loaded) -> impl Iterator<Item = &Stream> {
    loaded.streams.iter().filter(|stream| stream.state == State::Active)
}

fn renamed(former: &str, file: &StreamFile) -> String {
    let name = &file.definition.name;
    format!("cannot change from {former} to {name}: describe {name} in a file of its own, or delete {former} first")
}

impl Service {
    /// What the streams lack that files describe and that are not there yet: modules and tables. A stream that is there starts
    /// without, and its records wait.
    pub(super) async fn faults_of_new_streams(&self, folder: &Folder, loaded: &Loaded) -> Vec<FileFault> {
        let is_new = |file: &&StreamFile| active(loaded).all(|stream| stream.definition.name != file.definition.name);
        // Together: a Glue that does not answer is waited for once and not for every file.
        let looked = stream::iter(folder.files.iter().filter(is_new)).map(|file| self.lacks(file));
        looked.buffered(LOOKS_AT_ONCE).filter_map(std::future::ready).collect().await
    }

    /// What the stream of a file lacks, as far as that is certain: what cannot be asked about now may be there.
    async fn lacks(&self, file: &StreamFile) -> Option<FileFault> {
        let lack = self.check(&file.definition, None).await.err()?;
        let (path, member) = (&file.path, &file.definition.destination.member);
        if !lack.is_certain {
            tracing::warn!(file = %path.display(), reason = %lack.reason, "records of a new stream wait for what it needs");
            return None;
        }
        let field = Some(format!("{member}.{}", lack.member));
        Some(FileFault { file: path.clone(), field, rule: lack.reason })
    }

    /// Applies the folder that was read for the start.
    pub(super) async fn apply_files_at_start(&self, folder: Folder) -> Result<(), Error> {
        self.report_missing_files(&folder);
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
            match self.apply_file(file).await {
                Ok(()) => {}
                // A full disk, say: what was stored before goes on, and frees space.
                Err(error) if error.exception() == "InternalFailure" => {
                    tracing::error!(file = %path.display(), %error, "a stream file was not applied");
                }
                Err(error) => return Err(Error::Start(format!("{}: {error}", path.display()))),
            }
        }
        Ok(())
    }

    /// Reads the folder again: what is faulty is reported and left as it was.
    pub(super) async fn apply_files_again(&self, dir: &Path) {
        let mut folder = Folder::read(dir, &self.inner.rulebook);
        for fault in &folder.faults {
            tracing::error!(%fault, "a stream file was not applied");
        }
        self.report_missing_files(&folder);
        let active_streams = self.active_streams();
        let streams: Vec<_> = active_streams.iter().map(|running| running.described()).collect();
        let applied = || streams.iter().map(|stream| (stream.definition.name.as_str(), stream.applied.as_ref()));
        let former: Vec<_> = folder.files.iter().map(|file| folder.former_name(file, applied())).collect();
        for (file, former) in std::mem::take(&mut folder.files).into_iter().zip(former) {
            let path = file.path.clone();
            if let Some(former) = former {
                let rule = renamed(former, &file);
                tracing::error!(file = %path.display(), "a stream file was not applied: DeliveryStreamName {rule}");
                continue;
            }
            let is_new = active_streams.iter().all(|running| running.name != file.definition.name);
            if is_new && let Some(fault) = self.lacks(&file).await {
                tracing::error!(%fault, "a stream file was not applied");
            } else if let Err(error) = self.apply_file(file).await {
                tracing::error!(file = %path.display(), %error, "a stream file was not applied");
            }
        }
    }

    /// A file that went away deletes nothing and is reported.
    fn report_missing_files(&self, folder: &Folder) {
        for running in self.active_streams() {
            if running.described().applied.is_some_and(|applied| folder.lacks(&running.name, &applied)) {
                tracing::warn!(stream = %running.name, "its stream file went away; the stream stays until it is deleted");
            }
        }
    }

    fn active_streams(&self) -> Vec<Arc<Running>> {
        let streams = self.inner.streams.read();
        streams.values().filter(|running| !running.deleting.load(Ordering::Relaxed)).map(Arc::clone).collect()
    }

    async fn apply_file(&self, file: StreamFile) -> Result<(), catalog::Error> {
        let _changing = self.inner.changing.lock().await;
        let name = file.definition.name.clone();
        let found = self.inner.streams.read().get(&name).map(Arc::clone);
        let Some(running) = found.filter(|running| !running.deleting.load(Ordering::Relaxed)) else {
            let path = file.path.clone();
            self.add(file.definition, Some(file.content)).await?;
            tracing::info!(stream = %name, file = %path.display(), "created from a stream file");
            return Ok(());
        };
        let described = running.described();
        let change = Change::between(described.applied.as_ref(), &file)?;
        if change.is_empty() && described.applied.as_ref() == Some(&file.content) {
            return Ok(());
        }
        let definition = change.apply(&described.definition, &self.inner.rulebook)?;
        self.put_into_force(&running, definition, Some(file.content), change.needs_version()).await?;
        let version = running.described().version;
        tracing::info!(stream = %name, file = %file.path.display(), version, "changed by its stream file");
        if !change.left_out.is_empty() {
            tracing::info!(stream = %name, members = %change.left_out.join(", "), "what its file leaves out now keeps its value");
        }
        Ok(())
    }

    /// A file declares its stream: while it is there, the stream comes back.
    pub(super) fn warn_of_remaining_file(&self, running: &Running) {
        let Some(dir) = &self.inner.settings.streams else { return };
        let file = running.described().applied.and_then(|applied| applied.file);
        if let Some(path) = file.map(|file| dir.join(file)).filter(|path| path.is_file()) {
            let (stream, file) = (&running.name, path.display());
            tracing::warn!(%stream, %file, "a deleted stream is created again at the next start or reload, unless its file is removed");
        }
    }
}

/// Stream files whose modules are compiled and whose tables are asked for at the same time.
const LOOKS_AT_ONCE: usize = 16;
