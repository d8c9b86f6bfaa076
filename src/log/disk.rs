//! The seam to the file system: everything that a log asks of a disk.
//!
//! [`RealDisk`] is the machine's; the model tests and the simulation put one underneath that loses, tears and reorders what
//! was not synced.

use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a file that was not there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it; durable after [`Disk::sync_dir`] of both directories.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; durable after [`Disk::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a directory and those above it, each durable when this returns.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes a file of `bytes` zeros that was not there: blocks and length are durable when this returns, its name is not. What a
    /// failure leaves of it is the caller's to remove.
    fn create_written(&self, path: &Path, bytes: u64) -> io::Result<()> {
        write_zeros(&*self.create(path)?, bytes)
    }
    /// Bytes that may still be written on the volume of `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Reads up to `buffer.len()` bytes at `position`; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all slices, one after the other, at `position`.
    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()>;
    /// Makes all written bytes durable.
    fn sync(&self) -> io::Result<()>;
    /// Length of the file in bytes.
    fn size(&self) -> io::Result<u64>;
}

/// The machine's file system.
#[derive(Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(RealFile(fs::OpenOptions::new().read(true).write(true).create_new(true).open(path)?)))
    }

    /// Past the page cache: zeros that nobody reads are not worth a copy each.
    fn create_written(&self, path: &Path, bytes: u64) -> io::Result<()> {
        match write_zeros_directly(path, bytes) {
            // Not every file system has that; what was made is there.
            Err(rustix::io::Errno::INVAL) => {
                let file = fs::OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                write_zeros(&RealFile(file), bytes)
            }
            written => Ok(written?),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        if dir.is_dir() {
            // Whoever made it may have ended before it was durable. One that others made above ours may not be ours to open.
            return match self.sync_dir(parent) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                other => other,
            };
        }
        self.make_dir(parent)?;
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        self.sync_dir(parent)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let volume = rustix::fs::statvfs(path)?;
        // File systems that do not count say zero of everything.
        let counts = volume.f_blocks > 0;
        Ok(if counts { volume.f_bavail.saturating_mul(volume.f_frsize) } else { u64::MAX })
    }
}

fn write_zeros(file: &dyn DiskFile, bytes: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = 0;
    while at < bytes {
        let now = usize::try_from(bytes - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        file.write_at(&mut [IoSlice::new(zeros.get(..now).unwrap_or_default())], at)?;
        at += now as u64;
    }
    file.sync()
}

fn write_zeros_directly(path: &Path, bytes: u64) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::DIRECT | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o644))?;
    // Memory, positions and lengths must all be multiples of the device's block; a page is one for every device in use.
    let zeros = vec![0_u8; ZEROS_BYTES + PAGE_BYTES];
    let from = zeros.as_ptr().align_offset(PAGE_BYTES);
    let zeros = zeros.get(from..from + ZEROS_BYTES).ok_or(rustix::io::Errno::INVAL)?;
    let mut at = 0;
    while at < bytes {
        let now = usize::try_from(bytes - at).unwrap_or(ZEROS_BYTES).min(ZEROS_BYTES);
        match rustix::io::pwrite(&file, zeros.get(..now).unwrap_or_default(), at) {
            Ok(0) => return Err(rustix::io::Errno::IO),
            Ok(written) => at += written as u64,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    rustix::fs::fdatasync(&file)
}

struct RealFile(fs::File);

impl DiskFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, position + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut rest = slices;
        let mut at = position;
        while !rest.is_empty() {
            let window = rest.len().min(MAX_SLICES);
            let Some(now) = rest.get(..window) else { break };
            match rustix::io::pwritev(&self.0, now, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut rest, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.0)?)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// What is written at a time where a file is filled with zeros.
const ZEROS_BYTES: usize = 1 << 20;

/// The unit of the page cache.
pub(super) const PAGE_BYTES: usize = 4096;

/// `IOV_MAX` on Linux: `pwritev` takes no more.
const MAX_SLICES: usize = 1024;
