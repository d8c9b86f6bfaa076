//! Patched base: values above a base in the width that suits nineteen of twenty, the bits above it in a list of patches.

use super::bits::{closest, index, pack, packed_bytes, width, width_code};
use super::header;

/// How a run is written so.
pub(super) struct Patched {
    base: i64,
    base_bytes: u32,
    width: u32,
    patch_width: u32,
    gap_width: u32,
    /// How many values after the patch before, and the bits to add.
    patches: Vec<(u64, u64)>,
}

impl Patched {
    /// `None` where no few values stand out, or the form cannot say how they do.
    pub(super) fn of(values: &[i64]) -> Option<Self> {
        let (base, most) = (*values.iter().min()?, *values.iter().max()?);
        let widest = width(most.checked_sub(base)?.cast_unsigned());
        // The base has a sign bit in its first byte; of more than 56 bits, readers differ.
        let base_bytes = (width(base.unsigned_abs()) + 1).div_ceil(8);
        let width = closest(usual_width(values, base));
        if base_bytes > 7 || widest <= width {
            return None;
        }
        let patch_width = closest(widest - width);
        let (patches, widest_gap) = patches(values, base, width);
        let gap_width = super::bits::width(widest_gap).max(1);
        (patches.len() <= MOST_PATCHES && patch_width + gap_width <= 64).then_some(Self {
            base,
            base_bytes,
            width,
            patch_width,
            gap_width,
            patches,
        })
    }

    /// Bytes of the run, those of the header that all forms have left out.
    pub(super) fn bytes(&self, values: usize) -> usize {
        let patches = packed_bytes(self.patches.len(), closest(self.patch_width + self.gap_width));
        2 + index(self.base_bytes) + packed_bytes(values, self.width) + patches
    }

    pub(super) fn write(&self, values: &[i64], out: &mut Vec<u8>) {
        header(2, width_code(self.width), values.len(), out);
        let third = u16::try_from(self.base_bytes - 1).unwrap_or_default() << 5 | width_code(self.patch_width);
        let count = u16::try_from(self.patches.len()).unwrap_or_default();
        let fourth = u16::try_from(self.gap_width - 1).unwrap_or_default() << 5 | count;
        out.extend((third << 8 | fourth).to_be_bytes());
        // Sign and magnitude.
        let sign = if self.base < 0 { 1 << (self.base_bytes * 8 - 1) } else { 0 };
        let base = self.base.unsigned_abs() | sign;
        out.extend(base.to_be_bytes().into_iter().skip(8 - index(self.base_bytes)));
        let low = if self.width == 64 { u64::MAX } else { (1 << self.width) - 1 };
        pack(values.iter().map(|value| value.abs_diff(self.base) & low), self.width, out);
        let patches = self.patches.iter().map(|(gap, patch)| gap << self.patch_width | patch);
        pack(patches, closest(self.patch_width + self.gap_width), out);
    }
}

/// Bits that all but a twentieth of the values need above the base.
fn usual_width(values: &[i64], base: i64) -> u32 {
    let mut counts = [0_usize; 65];
    for value in values {
        if let Some(count) = counts.get_mut(index(width(value.abs_diff(base)))) {
            *count += 1;
        }
    }
    let mut beyond = values.len() / 20;
    let mut bits = 64;
    for (width, count) in (0..=64).rev().zip(counts.into_iter().rev()) {
        bits = width;
        if count > beyond {
            break;
        }
        beyond -= count;
    }
    bits
}

/// The patches, and the largest gap among them. A gap that eight bits cannot say is crossed by patches of nothing.
fn patches(values: &[i64], base: i64, width: u32) -> (Vec<(u64, u64)>, u64) {
    let mut patches = Vec::new();
    let (mut last, mut widest) = (0, 0);
    for (at, value) in (0_u64..).zip(values) {
        let patch = value.abs_diff(base).checked_shr(width).unwrap_or(0);
        if patch == 0 {
            continue;
        }
        let mut gap = at - last;
        while gap > MOST_GAP {
            patches.push((MOST_GAP, 0));
            (gap, widest) = (gap - MOST_GAP, MOST_GAP);
        }
        patches.push((gap, patch));
        (last, widest) = (at, widest.max(gap));
    }
    (patches, widest)
}

const MOST_PATCHES: usize = 31;
const MOST_GAP: u64 = 255;
