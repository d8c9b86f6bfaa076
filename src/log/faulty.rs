//! A disk in memory that loses, tears and reorders what was not synced, and fails when told to.
//!
//! What it assumes of a real one: a page of 4 KiB survives a power loss whole, in one of the versions that were written since
//! the last sync or in the synced one; a rename survives as a whole or not at all; a directory that was made stays. Everything
//! else may be lost, each page and each name by itself. After a failed sync the pages are visible and count as clean, as on
//! Linux: no later sync makes them durable unless they are written again.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use node::{Node, coin};

use super::{Disk, DiskFile};

/// The disk; clones show the same one.
#[derive(Clone)]
pub(crate) struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

struct State {
    chance: u64,
    /// Files opened before a crash belong to a process that is gone.
    life: u64,
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since, oldest first.
    changes: Vec<Change>,
    dirs: BTreeSet<PathBuf>,
    faults: Faults,
    counts: Counts,
}

/// What was asked of the disk, since it was made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Everything that changes something.
    pub(crate) changes: u64,
    /// Syncs of files.
    pub(crate) syncs: u64,
    /// Reads of files.
    pub(crate) reads: u64,
    /// Bytes read from files.
    pub(crate) read_bytes: u64,
    /// Most files that were open at once.
    pub(crate) most_open: usize,
    open: usize,
}

#[derive(Default)]
struct Faults {
    /// Syncs of files that succeed before one fails.
    sync: Option<u64>,
    /// Bytes that are written before a write fails.
    write: Option<u64>,
    /// Reads that fail from now on.
    reads: u64,
    /// Reads of files below fail.
    unreadable: Option<PathBuf>,
    capacity: Option<u64>,
    /// Changes that succeed before the power is gone.
    power: Option<u64>,
}

struct Change {
    what: What,
    node: u64,
    /// Directories whose sync is still missing.
    missing: Vec<PathBuf>,
}

enum What {
    Created(PathBuf),
    Renamed(PathBuf, PathBuf),
    Removed(PathBuf),
}

impl FaultyDisk {
    /// An empty disk whose accidents are drawn from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                chance: seed,
                life: 0,
                nodes: BTreeMap::new(),
                next_node: 0,
                names: BTreeMap::new(),
                durable_names: BTreeMap::new(),
                changes: Vec::new(),
                dirs: BTreeSet::new(),
                faults: Faults::default(),
                counts: Counts::default(),
            })),
        }
    }

    /// The power fails and comes back: what was not synced survives by chance. Ends all faults but the capacity.
    pub(crate) fn crash(&self) {
        let mut state = self.state.lock();
        let capacity = state.faults.capacity;
        state.faults = Faults { capacity, ..Faults::default() };
        state.life += 1;
        state.counts.open = 0;
        state.lose_names();
        state.lose_pages();
    }

    /// The file sync after `before` good ones fails.
    pub(crate) fn fail_sync(&self, before: u64) {
        self.state.lock().faults.sync = Some(before);
    }

    /// A write fails once `bytes` more have been written.
    pub(crate) fn fail_write(&self, bytes: u64) {
        self.state.lock().faults.write = Some(bytes);
    }

    /// The next `reads` reads fail.
    pub(crate) fn fail_reads(&self, reads: u64) {
        self.state.lock().faults.reads = reads;
    }

    /// Reads of files in `dir` fail until it is another one; `None` for none.
    pub(crate) fn set_unreadable(&self, dir: Option<PathBuf>) {
        self.state.lock().faults.unreadable = dir;
    }

    /// Bytes that all files together may have; `None` for no bound.
    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        self.state.lock().faults.capacity = bytes;
    }

    /// After `changes` more changes nothing more reaches the disk, until [`FaultyDisk::crash`].
    pub(crate) fn cut_power(&self, changes: u64) {
        self.state.lock().faults.power = Some(changes);
    }

    /// Ends every scripted fault but the capacity.
    pub(crate) fn heal(&self) {
        let mut state = self.state.lock();
        let capacity = state.faults.capacity;
        state.faults = Faults { capacity, ..Faults::default() };
    }

    /// What was asked so far.
    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// Bytes of all files.
    pub(crate) fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// Every file and its bytes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state.lock();
        state.names.iter().map(|(path, node)| (path.clone(), state.nodes[node].visible.clone())).collect()
    }

    /// Puts a file there, durably, whatever was there before: how a test damages, copies or restores.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock();
        let node = Node { visible: bytes.to_vec(), durable: bytes.to_vec(), dirty: BTreeMap::new() };
        let id = state.add(node);
        state.names.insert(path.to_owned(), id);
        state.durable_names.insert(path.to_owned(), id);
    }

    fn handle(&self, node: u64) -> Arc<dyn DiskFile> {
        let mut state = self.state.lock();
        state.counts.open += 1;
        state.counts.most_open = state.counts.most_open.max(state.counts.open);
        let life = state.life;
        drop(state);
        Arc::new(FaultyFile { disk: self.clone(), node, life })
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let node = self.state.lock().node_at(path)?;
        Ok(self.handle(node))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let node = {
            let mut state = self.state.lock();
            state.change()?;
            state.dir_of(path)?;
            if state.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            let node = state.add(Node::default());
            state.names.insert(path.to_owned(), node);
            state.changed(What::Created(path.to_owned()), node, &[path]);
            node
        };
        Ok(self.handle(node))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        state.dir_of(to)?;
        let node = state.node_at(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), node);
        state.changed(What::Renamed(from.to_owned(), to.to_owned()), node, &[from, to]);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        let node = state.node_at(path)?;
        state.names.remove(path);
        state.changed(What::Removed(path.to_owned()), node, &[path]);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut names: Vec<String> = state
            .names
            .keys()
            .filter(|path| path.parent() == Some(dir))
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect();
        // In no order: whoever relies on one is found out.
        names.reverse();
        Ok(names)
    }

    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        if !state.dirs.contains(dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for change in &mut state.changes {
            change.missing.retain(|missing| missing != dir);
        }
        let done = state.changes.iter().take_while(|change| change.missing.is_empty()).count();
        let done: Vec<Change> = state.changes.drain(..done).collect();
        for change in done {
            state.make_durable(change);
        }
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        Ok(state.faults.capacity.map_or(u64::MAX / 2, |capacity| capacity.saturating_sub(state.used())))
    }
}

impl State {
    fn add(&mut self, node: Node) -> u64 {
        self.next_node += 1;
        self.nodes.insert(self.next_node, node);
        self.next_node
    }

    /// Counts a change; fails when the power is gone.
    fn change(&mut self) -> io::Result<()> {
        self.counts.changes += 1;
        match &mut self.faults.power {
            Some(0) => Err(io::Error::other("the power is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn node_at(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn dir_of(&self, path: &Path) -> io::Result<()> {
        let there = path.parent().is_some_and(|dir| self.dirs.contains(dir));
        if there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn changed(&mut self, what: What, node: u64, paths: &[&Path]) {
        let mut missing: Vec<PathBuf> = paths.iter().filter_map(|path| Some(path.parent()?.to_owned())).collect();
        missing.dedup();
        self.changes.push(Change { what, node, missing });
    }

    fn make_durable(&mut self, change: Change) {
        let names = &mut self.durable_names;
        let mut forget = |path: &Path| {
            if names.get(path) == Some(&change.node) {
                names.remove(path);
            }
        };
        match change.what {
            What::Created(path) => {
                names.insert(path, change.node);
            }
            What::Renamed(from, to) => {
                forget(&from);
                names.insert(to, change.node);
            }
            What::Removed(path) => forget(&path),
        }
    }

    fn lose_names(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            if change.missing.is_empty() || coin(&mut self.chance) {
                self.make_durable(change);
            }
        }
        self.names.clone_from(&self.durable_names);
        let named: BTreeSet<u64> = self.names.values().copied().collect();
        self.nodes.retain(|node, _| named.contains(node));
    }

    fn lose_pages(&mut self) {
        let chance = &mut self.chance;
        for node in self.nodes.values_mut() {
            node.settle(chance);
            node.dirty.clear();
            node.visible.clone_from(&node.durable);
        }
    }

    fn used(&self) -> u64 {
        self.names.values().filter_map(|node| self.nodes.get(node)).map(|node| node.visible.len() as u64).sum()
    }
}

struct FaultyFile {
    disk: FaultyDisk,
    node: u64,
    life: u64,
}

impl FaultyFile {
    fn with<T>(&self, act: impl FnOnce(&mut Node, &mut Faults, &mut u64, u64) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state.lock();
        let used = state.used();
        let State { nodes, faults, chance, life, .. } = &mut *state;
        if *life != self.life {
            return Err(io::Error::other("opened before the crash"));
        }
        let node = nodes.get_mut(&self.node).ok_or(io::ErrorKind::NotFound)?;
        act(node, faults, chance, used)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        {
            let mut state = self.disk.state.lock();
            state.counts.reads += 1;
            state.counts.read_bytes += buffer.len() as u64;
            if state.faults.reads > 0 {
                state.faults.reads -= 1;
                return Err(io::Error::other("a read that was to fail"));
            }
            let is_this = |(path, node): (&PathBuf, &u64)| {
                *node == self.node && state.faults.unreadable.as_ref().is_some_and(|dir| path.starts_with(dir))
            };
            if state.faults.unreadable.is_some() && state.names.iter().any(is_this) {
                return Err(io::Error::other("a file that cannot be read"));
            }
        }
        self.with(|node, _, _, _| {
            let rest = node.visible.get(size(position)..).unwrap_or_default();
            let read = rest.len().min(buffer.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })
    }

    fn write_at(&self, slices: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.disk.state.lock().change()?;
        self.with(|node, faults, chance, used| {
            let bytes = slices.iter().map(|slice| &**slice).collect::<Vec<&[u8]>>().concat();
            let at = size(position);
            let room = faults.capacity.map_or(usize::MAX, |capacity| {
                size(capacity.saturating_sub(used)).saturating_add(node.visible.len()).saturating_sub(at)
            });
            if let Some(left) = faults.write.filter(|left| *left < bytes.len() as u64) {
                faults.write = None;
                node.write(&bytes[..size(left)], at, chance);
                return Err(io::Error::other("a write that was to fail"));
            }
            faults.write = faults.write.map(|left| left - bytes.len() as u64);
            if room < bytes.len() {
                node.write(&bytes[..room], at, chance);
                return Err(io::ErrorKind::StorageFull.into());
            }
            node.write(&bytes, at, chance);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        {
            let mut state = self.disk.state.lock();
            state.change()?;
            state.counts.syncs += 1;
        }
        self.with(|node, faults, chance, _| match faults.sync {
            Some(0) => {
                faults.sync = None;
                node.settle(chance);
                node.dirty.clear();
                Err(io::Error::other("a sync that was to fail"))
            }
            left => {
                faults.sync = left.map(|left| left - 1);
                node.sync();
                Ok(())
            }
        })
    }

    fn size(&self) -> io::Result<u64> {
        self.with(|node, _, _, _| Ok(node.visible.len() as u64))
    }
}

impl Drop for FaultyFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.life == self.life {
            state.counts.open -= 1;
        }
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a disk in memory is small")
}

#[cfg(test)]
mod tests;
