//! One file: what is seen, what would survive, and which pages lie between.

use std::collections::BTreeMap;

use crate::clock::splitmix;

#[derive(Default)]
pub(super) struct Node {
    pub(super) visible: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// Pages written since the last sync, each with what it held at some moment in between.
    pub(super) dirty: BTreeMap<usize, Option<Vec<u8>>>,
}

impl Node {
    pub(super) fn write(&mut self, bytes: &[u8], at: usize, chance: &mut u64) {
        let end = at + bytes.len();
        if bytes.is_empty() {
            return;
        }
        for page in at / PAGE..=(end - 1) / PAGE {
            let before = self.visible.get(page * PAGE..self.visible.len().min((page + 1) * PAGE));
            let before = before.map(<[u8]>::to_vec);
            let between = self.dirty.contains_key(&page).then_some(before).flatten();
            let kept = self.dirty.entry(page).or_default();
            if between.is_some() && coin(chance) {
                *kept = between;
            }
        }
        if self.visible.len() < end {
            self.visible.resize(end, 0);
        }
        self.visible[at..end].copy_from_slice(bytes);
    }

    /// Each dirty page reaches the disk or does not; so does the length.
    pub(super) fn settle(&mut self, chance: &mut u64) {
        if self.visible.len() > self.durable.len() && !self.dirty.is_empty() {
            let grown = match splitmix(chance) % 3 {
                0 => self.durable.len(),
                1 => self.visible.len(),
                _ => self.durable.len().midpoint(self.visible.len()),
            };
            self.durable.resize(grown, 0);
        }
        for (page, between) in &self.dirty {
            let start = page * PAGE;
            let version = match splitmix(chance) % 4 {
                0 => continue,
                1 => between.as_deref(),
                _ => self.visible.get(start..self.visible.len().min(start + PAGE)),
            };
            for (to, from) in self.durable.iter_mut().skip(start).zip(version.unwrap_or_default()) {
                *to = *from;
            }
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.visible.len(), 0);
        for page in std::mem::take(&mut self.dirty).into_keys() {
            let range = page * PAGE..self.visible.len().min((page + 1) * PAGE);
            self.durable[range.clone()].copy_from_slice(&self.visible[range]);
        }
    }
}

pub(super) fn coin(chance: &mut u64) -> bool {
    splitmix(chance) & 1 == 1
}

/// What survives whole.
pub(super) const PAGE: usize = 4096;
