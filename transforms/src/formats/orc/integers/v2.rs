//! Run-length encoding, version 2: of each run, the shortest of four forms.
//!
//! | Highest two bits | Form | For |
//! |---|---|---|
//! | 0 | short repeat | one value 3 to 10 times |
//! | 1 | direct | values packed in as many bits as the widest needs |
//! | 2 | patched base | values above a base, the few widest of them patched |
//! | 3 | delta | values that only rise or only fall |
//!
//! Source: <https://orc.apache.org/specification/ORCv1/> (Integer Run Length Encoding, version 2)

mod bits;
mod patched;

use self::bits::{pack, packed_bytes, width, width_code};
use super::{plain, varint, zigzag};

/// Appends `values`, encoded; at most 512.
pub(super) fn encode(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    // Repeats within a rise are cheaper as its part, if its steps are small.
    if let Some(steps) = Steps::of(values).filter(|steps| steps.width <= 8) {
        return steps.write(values, signed, out);
    }
    let mut rest = values;
    // Values of `rest` that stand before a repeat and are none.
    let mut loose = 0;
    for run in values.chunk_by(|one, other| one == other) {
        if !worth_a_run(run, signed) {
            loose += run.len();
            continue;
        }
        let (before, after) = rest.split_at(loose);
        various(before, signed, out);
        repeat(run, signed, out);
        (rest, loose) = (after.split_at(run.len()).1, 0);
    }
    various(rest, signed, out);
}

/// Whether equal values cost less as a run of their own, with the header of the run that goes on behind them.
fn worth_a_run(run: &[i64], signed: bool) -> bool {
    let bits = run.first().map_or(0, |value| width(plain(*value, signed)));
    let (bytes, length) = (bits.div_ceil(8).max(1), u32::try_from(run.len()).unwrap_or(u32::MAX));
    length > SHORT_MOST || length >= SHORT_LEAST && length * bits > 8 * (3 + bytes)
}

fn repeat(run: &[i64], signed: bool, out: &mut Vec<u8>) {
    let (Some(value), Ok(length)) = (run.first(), u32::try_from(run.len())) else { return };
    if length > SHORT_MOST {
        // Steps of nothing.
        return Steps { first: 0, width: 0 }.write(run, signed, out);
    }
    let value = plain(*value, signed);
    let bytes = width(value).div_ceil(8).max(1);
    let header = (bytes - 1) << 3 | length.saturating_sub(SHORT_LEAST);
    out.extend(u8::try_from(header));
    out.extend(value.to_be_bytes().into_iter().skip(8 - bits::index(bytes)));
}

/// Values that are no repeats.
fn various(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let widest = values.iter().fold(0, |all, value| all | plain(*value, signed));
    let direct_width = bits::closest(width(widest));
    let mut least = packed_bytes(values.len(), direct_width);
    let steps = Steps::of(values).filter(|steps| steps.bytes(values, signed) < least);
    if let Some(steps) = &steps {
        least = steps.bytes(values, signed);
    }
    // Nothing to gain where values are narrow.
    let patched = if direct_width > 4 { patched::Patched::of(values) } else { None };
    match (patched.filter(|patched| patched.bytes(values.len()) < least), steps) {
        (Some(patched), _) => patched.write(values, out),
        (None, Some(steps)) => steps.write(values, signed, out),
        (None, None) => {
            header(1, width_code(direct_width), values.len(), out);
            pack(values.iter().map(|value| plain(*value, signed)), direct_width, out);
        }
    }
}

/// Two bytes: form, width and length of a run.
fn header(form: u16, width_code: u16, length: usize, out: &mut Vec<u8>) {
    // 1 to 512, stored less one in 9 bits.
    let length = u16::try_from(length.saturating_sub(1)).unwrap_or_default() & 0x1ff;
    out.extend((form << 14 | width_code << 9 | length).to_be_bytes());
}

/// Values that only rise or only fall.
struct Steps {
    /// From the first value to the second; tells the direction.
    first: i64,
    /// Bits of the largest step after the first; 0 where all are the same as the first.
    width: u32,
}

impl Steps {
    /// `None` where values go both ways, too far, or do not move at first, which leaves the direction open.
    fn of(values: &[i64]) -> Option<Self> {
        let mut steps = values.windows(2).map(|pair| match pair {
            [one, next] => next.checked_sub(*one),
            _ => None,
        });
        let first = steps.next()??;
        if first == 0 || values.len() < 3 {
            return None;
        }
        let (mut widest, mut same) = (0, true);
        for step in steps {
            let step = step?;
            if step != 0 && step.signum() != first.signum() {
                return None;
            }
            widest |= step.unsigned_abs();
            same &= step == first;
        }
        // Width 1 cannot be told from none.
        let width = if same { 0 } else { bits::closest(width(widest)).max(2) };
        Some(Self { first, width })
    }

    fn bytes(&self, values: &[i64], signed: bool) -> usize {
        let start = values.first().map_or(0, |value| width(plain(*value, signed)).div_ceil(7));
        let first = width(zigzag(self.first)).div_ceil(7);
        bits::index(start.max(1) + first.max(1)) + packed_bytes(values.len().saturating_sub(2), self.width)
    }

    fn write(&self, values: &[i64], signed: bool, out: &mut Vec<u8>) {
        let code = if self.width == 0 { 0 } else { width_code(self.width) };
        header(3, code, values.len(), out);
        varint(values.first().map_or(0, |value| plain(*value, signed)), out);
        varint(zigzag(self.first), out);
        if self.width > 0 {
            let steps = values.windows(2).skip(1).map(|pair| match pair {
                [one, next] => next.abs_diff(*one),
                _ => 0,
            });
            pack(steps, self.width, out);
        }
    }
}

/// How often a value stands in a short repeat.
const SHORT_LEAST: u32 = 3;
const SHORT_MOST: u32 = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::orc::decoding;

    #[test]
    fn integers_are_encoded_as_in_the_specification() {
        assert_eq!(encoded(&[10_000; 5], false), [0x0a, 0x27, 0x10]);
        assert_eq!(
            encoded(&[23_713, 43_806, 57_005, 48_879], false),
            [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef]
        );
        // The specification's own takes four bits where three do.
        let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29];
        assert_eq!(encoded(&primes, false), [0xc4, 0x09, 0x02, 0x02, 0x4a, 0x28, 0xa6]);
        assert_eq!(decoding::integers_v2(&[0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46], false), primes);
    }

    #[test]
    fn the_examples_of_the_specification_are_read_by_the_tests_decoder() {
        assert_eq!(decoding::integers_v2(&[0x0a, 0x27, 0x10], false), [10_000; 5]);
        let patched = [
            0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e,
            0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
        ];
        let values = [
            2030, 2000, 2020, 1_000_000, 2040, 2050, 2060, 2070, 2080, 2090, 2100, 2110, 2120, 2130, 2140, 2150, 2160,
            2170, 2180, 2190,
        ];
        assert_eq!(decoding::integers_v2(&patched, false), values);
        assert_eq!(encoded(&values, false), patched);
    }

    #[test]
    fn each_form_is_used_where_it_is_shortest() {
        let form = |values: &[i64]| encoded(values, true)[0] >> 6;
        assert_eq!(form(&[1_000_000; 4]), 0);
        assert_eq!(form(&[5, -3, 8, 1, -9, 7]), 1);
        let mut outlier: Vec<i64> = (0..100).map(|at| at * 37 % 64).collect();
        outlier[50] = 1 << 40;
        assert_eq!(form(&outlier), 2);
        assert_eq!(form(&[1_000, 1_001, 1_003, 1_004, 1_008]), 3);
        assert_eq!(encoded(&[9; 512], true).len(), 4);
    }

    proptest! {
        #[test]
        fn integers_are_read_back(values in decoding::integers()) {
            for block in values.chunks(512) {
                prop_assert_eq!(decoding::integers_v2(&encoded(block, true), true), block);
                let unsigned: Vec<i64> = block.iter().map(|value| value & i64::MAX).collect();
                prop_assert_eq!(decoding::integers_v2(&encoded(&unsigned, false), false), unsigned);
            }
        }
    }

    fn encoded(values: &[i64], signed: bool) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, signed, &mut out);
        out
    }
}
