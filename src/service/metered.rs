//! The machine's disk, with a watch on how long it takes to sync.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use crate::clock::Clock;
use crate::log::{Disk, DiskFile, RealDisk};
use crate::telemetry::Telemetry;

/// A disk whose syncs are counted.
pub(super) struct MeteredDisk {
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) clock: Clock,
}

impl MeteredDisk {
    fn metered(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(MeteredFile { file, telemetry: Arc::clone(&self.telemetry), clock: self.clock.clone() })
    }
}

impl Disk for MeteredDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.metered(RealDisk.open(path)?))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.metered(RealDisk.create(path)?))
    }

    fn create_written(&self, path: &Path, bytes: u64) -> io::Result<()> {
        RealDisk.create_written(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(dir)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.make_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        RealDisk.free_bytes(path)
    }
}

struct MeteredFile {
    file: Arc<dyn DiskFile>,
    telemetry: Arc<Telemetry>,
    clock: Clock,
}

impl DiskFile for MeteredFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.file.read_at(buffer, position)
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.file.write_at(slices, position)
    }

    fn sync(&self) -> io::Result<()> {
        let started = self.clock.now();
        let synced = self.file.sync();
        self.telemetry.log_synced(self.clock.now() - started);
        synced
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }
}
