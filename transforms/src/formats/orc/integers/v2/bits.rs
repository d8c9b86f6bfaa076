//! Values packed in a fixed number of bits, and the numbers of bits that there is a code for.

/// Bits that `value` needs.
pub(super) fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// The least number of bits, at least as many, that has a code.
pub(super) fn closest(bits: u32) -> u32 {
    match bits {
        0 => 1,
        1..=24 => bits,
        25..=32 => bits.next_multiple_of(2),
        _ => bits.next_multiple_of(8),
    }
}

/// The five-bit code of a width that [`closest`] has made.
pub(super) fn width_code(width: u32) -> u16 {
    let code = match width {
        0..=24 => width.saturating_sub(1),
        25..=32 => 24 + (width - 26) / 2,
        _ => 28 + (width - 40) / 8,
    };
    u16::try_from(code).unwrap_or_default()
}

/// Bytes of so many values.
pub(super) fn packed_bytes(values: usize, width: u32) -> usize {
    (values * index(width)).div_ceil(8)
}

/// Appends the lowest `width` bits of each value, the highest of them first, and fills the last byte up.
pub(super) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let mut waiting: u128 = 0;
    let mut bits = 0;
    for value in values {
        waiting = waiting << width | u128::from(value);
        bits += width;
        if bits >= 64 {
            bits -= 64;
            out.extend_from_slice(&lowest(waiting >> bits).to_be_bytes());
        }
    }
    let last = lowest(waiting << (64 - bits)).to_be_bytes();
    out.extend(last.into_iter().take(index(bits.div_ceil(8))));
}

/// A number of bits or bytes.
pub(super) fn index(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "what is above has been written")]
fn lowest(waiting: u128) -> u64 {
    waiting as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_with_a_code_has_its_own() {
        let widths: Vec<u32> = (1..=64).filter(|bits| closest(*bits) == *bits).collect();
        let codes: Vec<u16> = widths.iter().map(|width| width_code(*width)).collect();
        assert_eq!(codes, (0..32).collect::<Vec<u16>>());
        assert_eq!([25, 27, 31, 33, 41, 57, 64].map(closest), [26, 28, 32, 40, 48, 64, 64]);
    }

    #[test]
    fn values_are_packed_from_the_highest_bit() {
        let mut out = Vec::new();
        pack([1, 2, 3].into_iter(), 3, &mut out);
        assert_eq!(out, [0b0010_1001, 0b1000_0000]);
        out.clear();
        pack([u64::MAX, 1].into_iter(), 64, &mut out);
        assert_eq!(out, [[0xff; 8], [0, 0, 0, 0, 0, 0, 0, 1]].concat());
    }
}
