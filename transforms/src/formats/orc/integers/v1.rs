//! Run-length encoding, version 1.
//!
//! | Control byte | Then | Meaning |
//! |---|---|---|
//! | 0 to 127 | delta (1 byte, signed), first value (varint) | control + 3 values, each by delta larger than the last |
//! | −1 to −128 | −control values (varints) | those values |
//!
//! Source: <https://orc.apache.org/specification/ORCv1/> (Integer Run Length Encoding, version 1)

use super::{plain, varint};

/// Appends `values`, encoded.
pub(super) fn encode(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    let mut rest = values;
    let mut loose = 0;
    while let Some((length, delta)) = rest.get(loose..).filter(|ahead| !ahead.is_empty()).map(run) {
        if length < LEAST_RUN {
            loose += 1;
            continue;
        }
        let (before, after) = rest.split_at(loose);
        literals(before, signed, out);
        if let (Some(first), Ok(control)) = (after.first(), u8::try_from(length - LEAST_RUN)) {
            out.extend([control, delta.cast_unsigned()]);
            varint(plain(*first, signed), out);
        }
        (rest, loose) = (after.split_at(length).1, 0);
    }
    literals(rest, signed, out);
}

/// How many values at the start of `values` go by the same small delta, and that delta.
fn run(values: &[i64]) -> (usize, i8) {
    let mut deltas = values.windows(2).map(|pair| match pair {
        [one, next] => next.checked_sub(*one).and_then(|delta| i8::try_from(delta).ok()),
        _ => None,
    });
    let Some(Some(delta)) = deltas.next() else {
        return (1, 0);
    };
    let more = deltas.take(MOST_RUN - 2).take_while(|next| *next == Some(delta)).count();
    (2 + more, delta)
}

fn literals(values: &[i64], signed: bool, out: &mut Vec<u8>) {
    for part in values.chunks(MOST_LITERALS) {
        // 1 to 128, of which the negative is the control byte.
        out.push(u8::try_from(part.len()).unwrap_or_default().wrapping_neg());
        for value in part {
            varint(plain(*value, signed), out);
        }
    }
}

const LEAST_RUN: usize = 3;
const MOST_RUN: usize = 130;
const MOST_LITERALS: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::orc::decoding;

    #[test]
    fn integers_are_encoded_as_in_the_specification() {
        assert_eq!(encoded(&[7; 100], false), [0x61, 0x00, 0x07]);
        let down: Vec<i64> = (1..=100).rev().collect();
        assert_eq!(encoded(&down, false), [0x61, 0xff, 0x64]);
        assert_eq!(encoded(&[2, 3, 6, 7, 11], false), [0xfb, 0x02, 0x03, 0x06, 0x07, 0x0b]);
    }

    proptest! {
        #[test]
        fn integers_are_read_back(values in decoding::integers()) {
            prop_assert_eq!(decoding::integers_v1(&encoded(&values, true), true), values.clone());
            let unsigned: Vec<i64> = values.iter().map(|value| value & i64::MAX).collect();
            prop_assert_eq!(decoding::integers_v1(&encoded(&unsigned, false), false), unsigned);
        }
    }

    fn encoded(values: &[i64], signed: bool) -> Vec<u8> {
        let mut out = Vec::new();
        encode(values, signed, &mut out);
        out
    }
}
