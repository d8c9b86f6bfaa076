//! Directories below a root, walked without following links.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A root directory, held open.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    /// Replaced when the root was removed beneath us: whoever tidies up must not stop delivery.
    open: Mutex<Arc<Open>>,
    /// Directories whose own entry is known to be synced, by path below the root. An entry that a concurrent delivery, or a
    /// process that crashed, has made but not synced must not be built upon, so the first use of a directory syncs its parent.
    synced: Mutex<HashSet<String>>,
}

#[derive(Debug)]
struct Open {
    root: OwnedFd,
    incoming: OwnedFd,
}

/// Why a file could not be put where its key says.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The bucket cannot be a directory of its own.
    #[error("the bucket {0:?} cannot be a directory")]
    Bucket(String),
    /// The key names no file.
    #[error("the key {0:?} names no file")]
    NoFile(String),
    /// A component that no file system takes.
    #[error("the key's component {0:?} is longer than a file name can be")]
    TooLong(String),
    /// A file where the key needs a directory.
    #[error("{0:?} is a file, and the key needs a directory there")]
    FileInTheWay(String),
    /// A directory where the key names a file.
    #[error("{0:?} is a directory, and the key names a file")]
    DirectoryInTheWay(String),
    /// A link where the key needs a directory.
    #[error("{0:?} is a symbolic link, and links are not followed")]
    Link(String),
    /// Anything else that the system says.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for Fault {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl Fault {
    /// Whether this key can never be written, whatever becomes of disk and permissions.
    pub(super) fn is_about_the_key(&self) -> bool {
        matches!(self, Self::NoFile(_) | Self::TooLong(_) | Self::FileInTheWay(_) | Self::DirectoryInTheWay(_))
    }

    /// The error code, without its prefix.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Bucket(_) => "InvalidBucketName",
            Self::NoFile(_) | Self::TooLong(_) => "InvalidKey",
            Self::FileInTheWay(_) => "NotADirectory",
            Self::DirectoryInTheWay(_) => "IsADirectory",
            Self::Link(_) => "SymbolicLink",
            Self::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull => "NoSpace",
                io::ErrorKind::QuotaExceeded => "QuotaExceeded",
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "AccessDenied",
                _ => "IoError",
            },
        }
    }
}

impl Tree {
    /// Opens the root and empties its directory of temporary files.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let open = Open::at(path)?;
        for entry in Dir::read_from(&open.incoming)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                rustix::fs::unlinkat(&open.incoming, entry.file_name(), AtFlags::empty())?;
            }
        }
        Ok(Self { path: path.to_owned(), open: Mutex::new(Arc::new(open)), synced: Mutex::default() })
    }

    /// A new temporary file.
    pub(super) fn create_incoming(&self, name: &str) -> Result<File, Fault> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let create = |open: &Open| rustix::fs::openat(&open.incoming, name, flags, FILE_MODE);
        let open = self.now();
        match create(&open) {
            // A directory that was removed while it is held open takes no more files.
            Err(Errno::NOENT) => Ok(create(&*self.reopen(&open)?)?.into()),
            created => Ok(created?.into()),
        }
    }

    /// Removes a temporary file that may be gone; one that stays is removed at the next start.
    pub(super) fn remove_incoming(&self, name: &str) {
        match rustix::fs::unlinkat(&self.now().incoming, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::debug!(name, %error, "could not remove a temporary file"),
        }
    }

    /// Gives a synced temporary file its name, making and syncing directories as needed.
    pub(super) fn publish(&self, incoming: &str, bucket: &str, key: &str) -> Result<(), Fault> {
        let (directories, file) = split(bucket, key)?;
        let open = self.now();
        let mut directory = open.root.try_clone()?;
        let mut path = String::new();
        for name in directories {
            path.push('/');
            path.push_str(name);
            directory = self.enter_or_make(directory.as_fd(), name, &path)?;
        }
        match rustix::fs::renameat(&open.incoming, incoming, &directory, file) {
            Ok(()) => Ok(rustix::fs::fsync(&directory)?),
            Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => Err(Fault::DirectoryInTheWay(file.to_owned())),
            Err(error) => Err(named(error, file)),
        }
    }

    /// Bytes of the file that a key names; `None` when there is none.
    pub(super) fn size_of(&self, bucket: &str, key: &str) -> Result<Option<u64>, Fault> {
        let (directories, file) = split(bucket, key)?;
        let mut directory = self.now().root.try_clone()?;
        for name in directories {
            match enter(directory.as_fd(), name) {
                Ok(inner) => directory = inner,
                // What is in the way of a directory is in the way of the file: it is not there.
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(Fault::FileInTheWay(_) | Fault::Link(_)) => return Ok(None),
                Err(fault) => return Err(fault),
            }
        }
        match rustix::fs::statat(&directory, file, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Some(u64::try_from(stat.st_size).unwrap_or_default()))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(named(error, file)),
        }
    }

    fn enter_or_make(&self, parent: BorrowedFd<'_>, name: &str, path: &str) -> Result<OwnedFd, Fault> {
        let inner = match enter(parent, name) {
            Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                match rustix::fs::mkdirat(parent, name, DIRECTORY_MODE) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(named(error, name)),
                }
                // It may be a name that was removed and made again: what was synced then is not what is there now.
                self.synced().retain(|known| !known.starts_with(path));
                enter(parent, name)?
            }
            entered => entered?,
        };
        if !self.synced().contains(path) {
            rustix::fs::fsync(parent)?;
            let mut synced = self.synced();
            // Forgetting costs one more sync per directory.
            if synced.len() >= MAX_SYNCED {
                synced.clear();
            }
            synced.insert(path.to_owned());
        }
        Ok(inner)
    }

    fn now(&self) -> Arc<Open> {
        Arc::clone(&self.open.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes and opens the root again in the place of `gone`, unless somebody else did so meanwhile.
    fn reopen(&self, gone: &Arc<Open>) -> io::Result<Arc<Open>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&open, gone) {
            // Only the root itself: what it lies in may be a volume that is not mounted now.
            match std::fs::create_dir(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let root = self.path.display();
            tracing::warn!(%root, "the directory of objects was removed, or what it keeps for itself, and is made again");
            // Temporary files in there can only be of deliveries that found it before.
            *open = Arc::new(Open::at(&self.path)?);
            self.synced().clear();
        }
        Ok(Arc::clone(&open))
    }

    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set is whole after every operation, so a panic elsewhere while it was held does not matter.
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open(path, DIRECTORY, Mode::empty())?;
        if let Some(parent) = path.parent() {
            // The root may just have been made.
            rustix::fs::fsync(rustix::fs::open(parent, DIRECTORY, Mode::empty())?)?;
        }
        match rustix::fs::mkdirat(&root, INCOMING, DIRECTORY_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let incoming = rustix::fs::openat(&root, INCOMING, DIRECTORY, Mode::empty())?;
        Ok(Self { root, incoming })
    }
}

/// Opens a directory that is one; never through a link.
fn enter(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Fault> {
    match rustix::fs::openat(parent, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(inner) => Ok(inner),
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                Err(Fault::Link(name.to_owned()))
            } else {
                Err(Fault::FileInTheWay(name.to_owned()))
            }
        }
        Err(error) => Err(named(error, name)),
    }
}

fn named(error: Errno, name: &str) -> Fault {
    match error {
        Errno::NAMETOOLONG => Fault::TooLong(name.to_owned()),
        error => error.into(),
    }
}

/// The directories of a key, bucket first, and the name of its file.
///
/// [`hydrant_model::ObjectKey`] keeps `.` and `..` out of keys; they are refused here once more, because an intent is read back
/// from a disk.
fn split<'a>(bucket: &'a str, key: &'a str) -> Result<(Vec<&'a str>, &'a str), Fault> {
    if bucket.is_empty() || bucket.starts_with('.') || bucket.contains(['/', '\0']) {
        return Err(Fault::Bucket(bucket.to_owned()));
    }
    let no_file = || Fault::NoFile(key.to_owned());
    let (path, file) = key.rsplit_once('/').unwrap_or(("", key));
    let mut directories = vec![bucket];
    directories.extend(path.split('/').filter(|name| !name.is_empty()));
    let hostile = |name: &str| matches!(name, "." | "..") || name.contains('\0');
    if file.is_empty() || hostile(file) || directories.iter().any(|name| hostile(name)) {
        return Err(no_file());
    }
    Ok((directories, file))
}

/// Whether every component of a key can be a name.
pub(super) fn fits(key: &str) -> Result<(), Fault> {
    let (directories, file) = split("bucket", key)?;
    match directories.into_iter().chain([file]).find(|name| name.len() > MAX_NAME_BYTES) {
        Some(name) => Err(Fault::TooLong(name.to_owned())),
        None => Ok(()),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const DIRECTORY_MODE: Mode = Mode::RWXU.union(Mode::RGRP).union(Mode::XGRP).union(Mode::ROTH).union(Mode::XOTH);
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR).union(Mode::RGRP).union(Mode::ROTH);

/// Not a bucket's name: those begin with a letter or digit.
const INCOMING: &str = ".incoming";

/// `NAME_MAX` of every file system that hydrant is likely to meet.
const MAX_NAME_BYTES: usize = 255;

const MAX_SYNCED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_not_the_keys_fault() {
        for (error, code) in [(Errno::NOSPC, "NoSpace"), (Errno::DQUOT, "QuotaExceeded"), (Errno::ROFS, "AccessDenied")]
        {
            let fault = Fault::from(error);
            assert_eq!(fault.code(), code);
            assert!(!fault.is_about_the_key());
        }
    }

    #[test]
    fn a_component_of_a_key_is_a_name_or_too_long_for_one() {
        let name = "n".repeat(255);
        assert!(fits(&format!("{name}/{name}")).is_ok());
        assert!(matches!(fits(&format!("a/{name}x/b")), Err(Fault::TooLong(_))));
        assert!(matches!(fits(&format!("a/{name}x")), Err(Fault::TooLong(_))));
        assert!(fits("a/..").is_err());
    }

    #[test]
    fn a_key_is_split_at_its_last_slash() {
        assert_eq!(split("b", "k").expect("a key"), (vec!["b"], "k"));
        assert_eq!(split("b", "/x//y/k").expect("a key"), (vec!["b", "x", "y"], "k"));
        assert!(split("b", "x/").is_err());
    }
}
