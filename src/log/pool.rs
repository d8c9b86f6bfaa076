//! Ready-written segments, shared by all logs of a process, and the reserve.
//!
//! A file whose blocks are already written takes an fdatasync without a journal commit: less latency and far better tails
//! than one that grows. Segments come from here once a log has filled one quickly, and come back when trimmed. The reserve is
//! a few small files that only ledgers, errors and spool may take, so that a full disk does not stop delivery, which frees space.
//!
//! Files: `<data>/pool/<number>.segment`, `<number>.reserve`. What they hold has no meaning.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Disk, DiskFile};

/// The pool; its files live in one directory on the volume of the logs.
pub struct Pool {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    settings: PoolSettings,
    state: Mutex<State>,
    low: AtomicBool,
    /// The volume has no space for more than is kept ready.
    tight: AtomicBool,
    /// Free bytes that are kept for records.
    floor: AtomicU64,
}

/// Sizes and numbers of the pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolSettings {
    /// Bytes of a ready-written segment.
    pub segment_bytes: u64,
    /// How many are kept ready once logs ask for them.
    pub keep: usize,
    /// How many more are held of those that logs give back, while logs use them up: what is written again costs less than what is new.
    pub spare: usize,
    /// Bytes of a reserve file.
    pub reserve_bytes: u64,
    /// How many reserve files are kept.
    pub reserve: usize,
    /// Bytes that a log writes into a growing file before it asks for a ready-written one.
    pub growing_bytes: u64,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, keep: 4, spare: 8, reserve_bytes: 4 << 20, reserve: 4, growing_bytes: 4 << 20 }
    }
}

#[derive(Default)]
struct State {
    ready: Vec<PathBuf>,
    reserve: Vec<PathBuf>,
    /// Segments that logs asked for and did not get, up to `keep`.
    wanted: usize,
    next_number: u64,
    /// Writing more failed; not tried again until space was seen.
    full: bool,
    /// The fewest that were ready since so many looks at the volume.
    least_ready: usize,
    looks: u32,
}

impl Pool {
    /// Opens the pool in `dir`, keeping what an earlier process left if it has the right size.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf, settings: PoolSettings) -> io::Result<Arc<Self>> {
        disk.make_dir(&dir)?;
        let mut state = State::default();
        for name in disk.list(&dir)? {
            let path = dir.join(&name);
            let (kind, right, keep) = match Path::new(&name).extension().and_then(|kind| kind.to_str()) {
                Some(SEGMENT) => (&mut state.ready, settings.segment_bytes, settings.keep + settings.spare),
                Some(RESERVE) => (&mut state.reserve, settings.reserve_bytes, settings.reserve),
                _ => continue,
            };
            // A file that is too short was being written when the process ended.
            if disk.open(&path).and_then(|file| file.size()).unwrap_or(0) == right && kind.len() < keep {
                kind.push(path);
            } else {
                disk.remove(&path)?;
            }
            let number = name.split('.').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
            state.next_number = state.next_number.max(number.saturating_add(1));
        }
        let (low, tight, floor) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU64::new(0));
        Ok(Arc::new(Self { disk, dir, settings, state: Mutex::new(state), low, tight, floor }))
    }

    /// A ready-written segment with room for `bytes`, if there is one; otherwise one is wanted.
    pub(super) fn take(&self, bytes: u64) -> Option<Ready> {
        if self.settings.segment_bytes < bytes {
            return None;
        }
        let path = {
            let mut state = self.state.lock();
            let path = state.ready.pop();
            state.least_ready = state.least_ready.min(state.ready.len());
            if state.ready.len() < self.settings.keep {
                state.wanted = (state.wanted + 1).min(self.settings.keep);
            }
            path?
        };
        self.ready(path, self.settings.segment_bytes)
    }

    /// A reserve file with room for `bytes`, if more than `spare` are there.
    pub(super) fn take_reserve(&self, bytes: u64, spare: usize) -> Option<Ready> {
        if self.settings.reserve_bytes < bytes {
            return None;
        }
        let path = {
            let mut state = self.state.lock();
            if state.reserve.len() <= spare {
                return None;
            }
            state.reserve.pop()?
        };
        self.ready(path, self.settings.reserve_bytes)
    }

    fn ready(&self, path: PathBuf, room: u64) -> Option<Ready> {
        match self.disk.open(&path) {
            Ok(file) => Some(Ready { path, file, room }),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a pool segment cannot be opened");
                None
            }
        }
    }

    /// Takes a trimmed segment back, if one of its size is wanted; otherwise the caller removes it.
    ///
    /// It is handed out again only when its old name is gone for good: a power loss must not show one file in two logs.
    pub(super) fn give(&self, path: &Path, room: u64) -> io::Result<bool> {
        let (kind, to) = {
            let mut state = self.state.lock();
            let spare = if self.tight.load(Ordering::Relaxed) { 0 } else { self.settings.spare };
            let kind = if room == self.settings.segment_bytes && state.ready.len() < self.settings.keep + spare {
                SEGMENT
            } else if room == self.settings.reserve_bytes && state.reserve.len() < self.settings.reserve {
                RESERVE
            } else {
                return Ok(false);
            };
            (kind, self.next_path(&mut state, kind))
        };
        self.disk.rename(path, &to)?;
        if let Some(dir) = path.parent() {
            self.disk.sync_dir(dir)?;
        }
        self.disk.sync_dir(&self.dir)?;
        self.keep(kind, to);
        Ok(true)
    }

    fn keep(&self, kind: &'static str, path: PathBuf) {
        let mut state = self.state.lock();
        if kind == RESERVE {
            state.reserve.push(path);
        } else {
            state.ready.push(path);
            state.wanted = state.wanted.saturating_sub(1);
        }
    }

    /// Writes what is missing: the reserve, then segments that logs asked for. May take a second; call it where waiting is
    /// allowed. Stops quietly when the disk is full.
    pub fn fill(&self) {
        loop {
            let (kind, bytes) = {
                let state = self.state.lock();
                if state.full {
                    return;
                }
                if state.reserve.len() < self.settings.reserve {
                    (RESERVE, self.settings.reserve_bytes)
                } else if state.wanted > 0 && state.ready.len() < self.settings.keep {
                    (SEGMENT, self.settings.segment_bytes)
                } else {
                    return;
                }
            };
            let written = match self.has_room(kind, bytes) {
                Ok(true) => self.write_one(kind, bytes),
                Ok(false) => Err(io::ErrorKind::StorageFull.into()),
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                tracing::warn!(%error, "the log's pool cannot be filled");
                self.state.lock().full = true;
                return;
            }
        }
    }

    /// Whether a file for the pool leaves the volume the space that is for records. Writing until the disk is full, only to give
    /// it back, would make the logs fail meanwhile. The reserve is what they fall back on, and comes before the floor.
    fn has_room(&self, kind: &str, bytes: u64) -> io::Result<bool> {
        Ok(self.disk.free_bytes(&self.dir)? >= self.room_for(kind, bytes))
    }

    fn room_for(&self, kind: &str, bytes: u64) -> u64 {
        if kind == RESERVE {
            return bytes;
        }
        // Logs are written while it is: an eighth for them.
        bytes.saturating_add(bytes / 8).saturating_add(self.floor.load(Ordering::Relaxed))
    }

    /// Looks at the volume: below `floor` free bytes, records are refused until there is more again. Segments that nobody has used
    /// for many looks go; where space is short, at once.
    ///
    /// # Errors
    /// The volume cannot be asked, and what was known stays; or such a segment not be removed, which is tried again.
    pub fn look_at_space(&self, floor: u64) -> io::Result<()> {
        self.floor.store(floor, Ordering::Relaxed);
        let mut free = self.disk.free_bytes(&self.dir)?;
        let tight = free < floor.saturating_add(self.settings.spare as u64 * self.settings.segment_bytes);
        self.tight.store(tight, Ordering::Relaxed);
        let removed = self.remove_surplus(tight);
        if matches!(removed, Ok(true)) {
            free = self.disk.free_bytes(&self.dir)?;
        }
        let low = free < floor;
        if low != self.low.swap(low, Ordering::Relaxed) {
            tracing::warn!(free, floor, low, "free space on the volume of the logs");
        }
        let mut state = self.state.lock();
        let missing = if state.reserve.len() < self.settings.reserve {
            self.room_for(RESERVE, self.settings.reserve_bytes)
        } else {
            self.room_for(SEGMENT, self.settings.segment_bytes)
        };
        if free > missing {
            state.full = false;
        }
        removed.map(|_| ())
    }

    /// Removes what is too much; whether something was.
    fn remove_surplus(&self, at_once: bool) -> io::Result<bool> {
        let mut surplus = self.state.lock().surplus(self.settings.keep, at_once);
        let some = !surplus.is_empty();
        while let Some(path) = surplus.pop() {
            if let Err(error) = self.disk.remove(&path) {
                surplus.push(path);
                self.state.lock().ready.append(&mut surplus);
                return Err(error);
            }
        }
        Ok(some)
    }

    /// Whether the volume has less free space than its floor.
    pub fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Whether [`Pool::fill`] has work.
    pub fn wants_filling(&self) -> bool {
        let state = self.state.lock();
        !state.full
            && (state.reserve.len() < self.settings.reserve
                || (state.wanted > 0 && state.ready.len() < self.settings.keep))
    }

    fn write_one(&self, kind: &'static str, bytes: u64) -> io::Result<()> {
        let path = self.next_path(&mut self.state.lock(), kind);
        let written = self.disk.create_written(&path, bytes);
        if let Err(error) = written.and_then(|()| self.disk.sync_dir(&self.dir)) {
            // What is half-written would only take space.
            if let Err(error) = self.disk.remove(&path) {
                tracing::debug!(%error, "a half-written pool segment stays until the next start");
            }
            return Err(error);
        }
        self.keep(kind, path);
        Ok(())
    }

    fn next_path(&self, state: &mut State, kind: &str) -> PathBuf {
        let number = state.next_number;
        state.next_number += 1;
        self.dir.join(format!("{number}.{kind}"))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes
    }

    pub(super) fn growing_bytes(&self) -> u64 {
        self.settings.growing_bytes
    }
}

impl State {
    /// Takes out what is too much: beyond `keep`, those that were ready all the time for many looks, or all of them `at_once`.
    fn surplus(&mut self, keep: usize, at_once: bool) -> Vec<PathBuf> {
        self.looks += 1;
        let unused = if at_once {
            self.ready.len()
        } else if self.looks < LOOKS {
            return Vec::new();
        } else {
            self.least_ready
        };
        // From below: nobody has needed those.
        let surplus = self.ready.drain(..unused.min(self.ready.len().saturating_sub(keep))).collect();
        (self.looks, self.least_ready) = (0, self.ready.len());
        surplus
    }
}

/// A file whose blocks are written.
pub(super) struct Ready {
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) room: u64,
}

/// After so many looks at the volume it shows what is not needed.
const LOOKS: u32 = 60;
const SEGMENT: &str = "segment";
const RESERVE: &str = "reserve";
