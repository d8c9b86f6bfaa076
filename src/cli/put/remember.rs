//! How far a file was accepted, remembered beside it.
//!
//! `FILE.hydrant-put` is a JSON object, replaced by rename after every acknowledged batch:
//!
//! | Member | |
//! |---|---|
//! | `version` | 1 |
//! | `stream`, `endpoint` | where the records went |
//! | `inode`, `head` | which file: its inode, and SHA-256 of its first bytes, at most 1,024 and at most `offset` |
//! | `offset`, `line` | bytes and lines accepted |

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::lines::Mark;
use super::memory_path;
use crate::cli::Error;

/// How far a file was accepted.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    kept: Kept,
    /// First bytes of the file.
    head: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    stream: String,
    endpoint: String,
    inode: u64,
    head: String,
    offset: u64,
    line: u64,
}

impl Memory {
    /// Recalls how far `file`, opened from `path`, was accepted by `stream`, and moves it there. With `restart`, and where
    /// nothing was accepted, that is the start; then it makes sure that remembering works before anything is sent, and leaves
    /// nothing behind, so that a put that comes to nothing binds nobody.
    ///
    /// # Errors
    /// What is remembered is of another file, stream or service: going on there would lose records, and starting anew would
    /// repeat them, so the user decides. Or a file cannot be used.
    pub(super) fn open(
        path: &Path,
        file: &mut File,
        stream: &str,
        endpoint: &str,
        restart: bool,
    ) -> Result<Self, Error> {
        let metadata = file.metadata().map_err(Error::file("reading", path))?;
        let head = read_head(file).map_err(Error::file("reading", path))?;
        let memory_path = memory_path(path);
        let start = Kept {
            version: VERSION,
            stream: stream.to_owned(),
            endpoint: endpoint.to_owned(),
            inode: metadata.ino(),
            head: hash(&head, 0),
            offset: 0,
            line: 0,
        };
        let recalled = if restart { None } else { recall(&memory_path)? };
        let recalled = recalled.filter(|kept| kept.offset > 0);
        let is_new = recalled.is_none();
        let memory = Self { path: memory_path, kept: recalled.unwrap_or(start), head };
        if is_new {
            memory.keep()?;
            memory.remove()?;
        }
        memory.check(path, stream, endpoint, &metadata)?;
        file.seek(SeekFrom::Start(memory.kept.offset)).map_err(Error::file("reading", path))?;
        Ok(memory)
    }

    /// The place up to which the file is accepted.
    pub(super) fn mark(&self) -> Mark {
        Mark { offset: self.kept.offset, line: self.kept.line }
    }

    /// Remembers that everything before `mark` is accepted.
    pub(super) fn advance(&mut self, mark: Mark) -> Result<(), Error> {
        self.kept.offset = mark.offset;
        self.kept.line = mark.line;
        self.kept.head = hash(&self.head, mark.offset);
        self.keep()
    }

    /// Removes it: the file is accepted whole.
    pub(super) fn forget(self) -> Result<(), Error> {
        self.remove()
    }

    fn remove(&self) -> Result<(), Error> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file("removing", &self.path)(error)),
            _ => Ok(()),
        }
    }

    fn check(&self, path: &Path, stream: &str, endpoint: &str, now: &fs::Metadata) -> Result<(), Error> {
        let kept = &self.kept;
        let was = if kept.stream != stream {
            format!("a put to the stream {}", kept.stream)
        } else if kept.endpoint != endpoint {
            format!("a put to {}", kept.endpoint)
        } else if kept.inode != now.ino() || now.len() < kept.offset || kept.head != hash(&self.head, kept.offset) {
            "another file of that name, or what it held before".to_owned()
        } else {
            return Ok(());
        };
        let (memory, path) = (self.path.display(), path.display());
        Err(Error::Failed(format!(
            "{memory} remembers {was}, accepted up to line {}; finish that, or send {path} from its first line with --restart",
            kept.line
        )))
    }

    /// Writes it so that after a power loss either the old or the new one is there.
    fn keep(&self) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            let mut temporary = self.path.as_os_str().to_owned();
            temporary.push(".tmp");
            let mut file = File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(&self.kept)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
            let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
            File::open(dir)?.sync_all()
        };
        write().map_err(Error::file("writing", &self.path))
    }
}

fn recall(path: &Path) -> Result<Option<Kept>, Error> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.map_err(Error::file("reading", path))?,
    };
    match serde_json::from_slice::<Kept>(&text) {
        Ok(kept) if kept.version == VERSION => Ok(Some(kept)),
        _ => Err(Error::Failed(format!(
            "{} was not written by this version of `hydrant put`; send the file from its first line with --restart",
            path.display()
        ))),
    }
}

fn read_head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(head)
}

/// Bytes past `offset` may still change, in a file that grows.
fn hash(head: &[u8], offset: u64) -> String {
    let known = usize::try_from(offset).unwrap_or(usize::MAX).min(head.len());
    hex::encode(Sha256::digest(head.get(..known).unwrap_or_default()))
}

const VERSION: u32 = 1;
const HEAD_BYTES: u64 = 1024;
