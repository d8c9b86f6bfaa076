//! Objects as files, `<root>/<bucket>/<key>`: where deliveries go while no S3 endpoint is configured.
//!
//! **What is promised.** A file appears under its name whole and synced, or not at all: it is written as
//! `<root>/.incoming/<seed>.<n>`, synced, renamed, and the directories that changed are synced. Delivering an intent again
//! replaces its file by the same records.
//!
//! **Nothing leaves the root.** A key is walked component by component, each opened relative to the one before without following a link
//! (`O_NOFOLLOW`), so that neither a key nor a link that somebody put into the root leads out. (`openat2` would resolve a whole
//! path so in one call, but directories have to be made one by one anyway.) Empty components (`a//b`) have no meaning in a file
//! system and are passed over; a key that ends in `/` names no file and is refused.
//!
//! What S3 keeps beside the bytes (type, encoding, encryption) has no place in a file and is dropped.

mod tree;

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{Body, DeliveryError, Intent, Notes, Outcome, Receipt, Recovery, Sink};
use rustix::fs::Access;

use self::tree::{Fault, Tree};
use crate::broken_off;
use crate::note::{Address, Note, announce};

/// A directory of buckets. Cheap to clone. One process at a time may use it.
#[derive(Clone, Debug)]
pub struct FileRoot {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    tree: Tree,
    /// Tells apart the temporary files of two attempts at one intent: a cancelled attempt can still be at work on the blocking
    /// pool, and must never rename what the next one is writing.
    attempts: AtomicU64,
}

/// Whether files of `bucket` could be written below the root `path`, asked without making or changing anything: another process
/// may be at work there.
///
/// # Errors
/// What stands in the way, and where.
pub fn reach(path: &Path, bucket: &str) -> Result<(), DeliveryError> {
    let place = path.join(bucket);
    // What is missing is made at the first delivery, in the nearest directory that is there.
    let nearest = place.ancestors().map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it });
    for directory in nearest {
        match std::fs::metadata(directory) {
            Ok(found) if !found.is_dir() => {
                return Err(described(&Fault::FileInTheWay(directory.display().to_string())));
            }
            Ok(_) => {
                let writable = rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK);
                return writable.map_err(|error| in_the_way(directory, &error.into()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(error) => return Err(in_the_way(directory, &error.into())),
        }
    }
    Ok(())
}

/// Whether a file system takes `key`, every part of it being short enough for a name.
///
/// # Errors
/// What it does not take.
pub fn takes(key: &str) -> Result<(), String> {
    tree::fits(key).map_err(|fault| fault.to_string())
}

fn in_the_way(directory: &Path, fault: &Fault) -> DeliveryError {
    let DeliveryError { code, message } = described(fault);
    DeliveryError { code, message: format!("{}: {message}", directory.display()) }
}

impl FileRoot {
    /// Makes the directory if it is missing and removes what a process that ended left half-written.
    ///
    /// # Errors
    /// The directory cannot be made, read or written.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        let path = std::fs::canonicalize(path)?;
        let tree = Tree::open(&path)?;
        Ok(Self { shared: Arc::new(Shared { path, tree, attempts: AtomicU64::new(0) }) })
    }

    /// Deliveries into one bucket.
    pub fn sink(&self, bucket: impl Into<String>) -> FileSink {
        FileSink { root: self.clone(), bucket: bucket.into() }
    }
}

/// Delivers objects as files of one bucket.
#[derive(Clone, Debug)]
pub struct FileSink {
    root: FileRoot,
    bucket: String,
}

impl FileSink {
    /// Where its files appear.
    pub fn address(&self) -> Address {
        Address { endpoint: format!("file://{}", self.root.shared.path.display()), bucket: self.bucket.clone() }
    }

    /// As [`hydrant_model::Sink::announcement`].
    fn first_note(&self) -> Bytes {
        Note::sending(self.address()).to_bytes()
    }

    async fn attempt(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Result<Receipt, Outcome> {
        let attempt = self.root.shared.attempts.fetch_add(1, Ordering::Relaxed);
        let incoming = Arc::new(Incoming { root: self.root.clone(), name: format!("{}.{attempt}", intent.seed) });
        let mut file = self.on_the_disk(&incoming, |tree, incoming| tree.create_incoming(&incoming.name)).await?;
        let mut bytes = 0_u64;
        while let Some(piece) = body.next(PIECE_BYTES).await.map_err(|error| broken_off(&error))? {
            bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            file = self.on_the_disk(&incoming, move |_, _| write(file, &piece)).await?;
        }
        announce(notes, &self.address()).await.map_err(|error| broken_off(&error))?;
        let (bucket, key) = (self.bucket.clone(), intent.object.key.clone());
        self.on_the_disk(&incoming, move |tree, incoming| {
            rustix::fs::fdatasync(&file)?;
            tree.publish(&incoming.name, &bucket, &key)
        })
        .await?;
        Ok(Receipt { bytes })
    }

    /// Runs `work` on the blocking pool. It keeps the temporary file's guard alive, so that the file of a cancelled attempt is
    /// removed only when nobody writes to it any more.
    async fn on_the_disk<T: Send + 'static>(
        &self,
        incoming: &Arc<Incoming>,
        work: impl FnOnce(&Tree, &Incoming) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Outcome> {
        let guard = Arc::clone(incoming);
        tokio::task::spawn_blocking(move || work(&guard.root.shared.tree, &guard))
            .await
            .map_err(|error| failed(&Fault::from(io::Error::other(error))))?
            .map_err(|fault| failed(&fault))
    }
}

impl fmt::Display for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.root.shared.path.join(&self.bucket).display())
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn deliver(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Outcome {
        match self.attempt(intent, body, notes).await {
            Ok(receipt) => Outcome::Delivered(receipt),
            Err(outcome) => outcome,
        }
    }

    /// A file under its final name is whole, because it came there by a rename after a sync.
    async fn recover(&self, intent: &Intent, _notes: &mut dyn Notes) -> Recovery {
        let (root, bucket, key) = (self.root.clone(), self.bucket.clone(), intent.object.key.clone());
        let found = tokio::task::spawn_blocking(move || root.shared.tree.size_of(&bucket, &key)).await;
        match found.unwrap_or_else(|error| Err(Fault::from(io::Error::other(error)))) {
            Ok(Some(bytes)) => Recovery::Delivered(Receipt { bytes }),
            Ok(None) => Recovery::Absent,
            Err(fault) => Recovery::Unknown(described(&fault)),
        }
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        // The root was made when it was opened, and a bucket is made when it is first needed.
        Ok(())
    }

    fn announcement(&self) -> Option<Bytes> {
        Some(self.first_note())
    }

    fn memory_bytes(&self, most_bytes: u64) -> usize {
        usize::try_from(most_bytes).map_or(PIECE_BYTES, |bytes| bytes.min(PIECE_BYTES))
    }
}

/// A temporary file; it is removed with its last holder unless it has been renamed by then.
struct Incoming {
    root: FileRoot,
    name: String,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.root.shared.tree.remove_incoming(&self.name);
    }
}

fn write(mut file: File, piece: &[u8]) -> Result<File, Fault> {
    file.write_all(piece)?;
    Ok(file)
}

fn failed(fault: &Fault) -> Outcome {
    let error = described(fault);
    if fault.is_about_the_key() { Outcome::Refused(error) } else { Outcome::Retry { error, after: None } }
}

fn described(fault: &Fault) -> DeliveryError {
    DeliveryError { code: format!("File.{}", fault.code()), message: fault.to_string() }
}

/// Large enough that a write costs little beside its bytes.
const PIECE_BYTES: usize = 1 << 20;
