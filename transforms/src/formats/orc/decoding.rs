//! Decoders of the encodings, for tests: written from the specification, slow, and trusting.

use proptest::prelude::*;

/// Runs, rises, noise, outliers and extremes, one behind the other.
pub(super) fn integers() -> impl Strategy<Value = Vec<i64>> {
    let part = prop_oneof![
        (any::<i64>(), 1..30_usize).prop_map(|(value, count)| vec![value; count]),
        (any::<i64>(), -9..9_i64, 1..600_i64)
            .prop_map(|(start, step, count)| { (0..count).map(|at| start.wrapping_add(step * at)).collect() }),
        (any::<i32>(), prop::collection::vec(0..50_i64, 1..200)).prop_map(|(start, steps)| {
            let mut at = i64::from(start);
            steps
                .into_iter()
                .map(|step| {
                    at += step;
                    at
                })
                .collect()
        }),
        (any::<i64>(), 0..63_u32, prop::collection::vec(any::<i64>(), 1..300)).prop_map(|(base, shift, values)| {
            values.into_iter().map(|value| base.wrapping_add(value >> shift)).collect()
        }),
        (-1000..1000_i64, prop::collection::vec((0..60_i64, 0..40_u32), 20..512)).prop_map(|(base, values)| {
            values.into_iter().map(|(low, rare)| if rare == 0 { base + (low << 40) } else { base + low }).collect()
        }),
        prop::collection::vec(prop::sample::select(vec![i64::MIN, i64::MAX, 0, -1, 1, i64::MIN + 1]), 1..20),
    ];
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.concat())
}

pub(super) fn byte_runs(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [control, rest @ ..] = bytes {
        if *control < 128 {
            out.extend(std::iter::repeat_n(rest[0], usize::from(*control) + 3));
            bytes = &rest[1..];
        } else {
            let count = 256 - usize::from(*control);
            out.extend_from_slice(&rest[..count]);
            bytes = &rest[count..];
        }
    }
    out
}

pub(super) fn integers_v1(mut bytes: &[u8], signed: bool) -> Vec<i64> {
    let mut out = Vec::new();
    while let [control, rest @ ..] = bytes {
        bytes = rest;
        if *control < 128 {
            let delta = i64::from(rest[0].cast_signed());
            bytes = &bytes[1..];
            let start = value(varint(&mut bytes), signed);
            out.extend((0..i64::from(*control) + 3).map(|at| start + at * delta));
        } else {
            out.extend((0..256 - i64::from(*control)).map(|_| value(varint(&mut bytes), signed)));
        }
    }
    out
}

pub(super) fn integers_v2(mut bytes: &[u8], signed: bool) -> Vec<i64> {
    let mut out = Vec::new();
    while let [first, ..] = bytes {
        match first >> 6 {
            0 => {
                let width = usize::from(first >> 3 & 7) + 1;
                let raw = big_endian(&bytes[1..=width]);
                out.extend(std::iter::repeat_n(value(raw, signed), usize::from(first & 7) + 3));
                bytes = &bytes[1 + width..];
            }
            1 => {
                let (width, count) = header(&mut bytes);
                out.extend(unpack(&mut bytes, width, count).into_iter().map(|raw| value(raw, signed)));
            }
            2 => patched(&mut bytes, &mut out),
            _ => delta(&mut bytes, signed, &mut out),
        }
    }
    out
}

fn patched(bytes: &mut &[u8], out: &mut Vec<i64>) {
    let (width, count) = header(bytes);
    let (third, fourth) = (bytes[0], bytes[1]);
    let base_bytes = usize::from(third >> 5) + 1;
    let (patch_width, gap_width) = (WIDTHS[usize::from(third & 31)], usize::from(fourth >> 5) + 1);
    *bytes = &bytes[2..];
    let raw = big_endian(&bytes[..base_bytes]);
    let sign = 1 << (base_bytes * 8 - 1);
    let base = if raw & sign == 0 { raw.cast_signed() } else { -(raw ^ sign).cast_signed() };
    *bytes = &bytes[base_bytes..];
    let mut values = unpack(bytes, width, count);
    let entry = *WIDTHS.iter().find(|width| **width >= patch_width + gap_width).unwrap();
    let mut at = 0;
    for patch in unpack(bytes, entry, usize::from(fourth & 31)) {
        at += usize::try_from(patch >> patch_width).unwrap();
        values[at] |= (patch & ((1 << patch_width) - 1)).checked_shl(u32::try_from(width).unwrap()).unwrap_or(0);
    }
    out.extend(values.into_iter().map(|value| base.wrapping_add_unsigned(value)));
}

fn delta(bytes: &mut &[u8], signed: bool, out: &mut Vec<i64>) {
    let code = bytes[0] >> 1 & 31;
    let (width, count) = header(bytes);
    let mut at = value(varint(bytes), signed);
    let first = value(varint(bytes), true);
    out.push(at);
    let steps = if code == 0 {
        vec![first.unsigned_abs(); count - 1]
    } else {
        [vec![first.unsigned_abs()], unpack(bytes, width, count - 2)].concat()
    };
    for step in steps {
        at = if first < 0 { at.wrapping_sub_unsigned(step) } else { at.wrapping_add_unsigned(step) };
        out.push(at);
    }
}

fn header(bytes: &mut &[u8]) -> (usize, usize) {
    let header = u16::from_be_bytes([bytes[0], bytes[1]]);
    *bytes = &bytes[2..];
    (WIDTHS[usize::from(header >> 9 & 31)], usize::from(header & 0x1ff) + 1)
}

fn unpack(bytes: &mut &[u8], width: usize, count: usize) -> Vec<u64> {
    let bit = |at: usize| u64::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let values =
        (0..count).map(|at| (0..width).fold(0, |value, offset| value << 1 | bit(at * width + offset))).collect();
    *bytes = &bytes[(width * count).div_ceil(8)..];
    values
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn value(raw: u64, signed: bool) -> i64 {
    if signed { (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed() } else { raw.cast_signed() }
}

const WIDTHS: [usize; 32] = [
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 26, 28, 30, 32, 40, 48, 56,
    64,
];
