//! How an offset from UTC is written.

use super::field::write_number;

/// A way to write an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offset {
    /// `GMT-5`, or `GMT-05:00` in full.
    Localized { full: bool },
    /// As so many letters `X` (`zulu`: none is `Z`) or `x` write it: `-05`, `-0500`, `-05:00`, and the last two with seconds.
    Iso { form: usize, zulu: bool },
}

impl Offset {
    /// Appends an offset in seconds east of Greenwich.
    pub(super) fn write(self, seconds: i32, to: &mut String) {
        match (self, seconds) {
            (Self::Localized { .. }, 0) => to.push_str("GMT"),
            (Self::Localized { full }, _) => write_localized(seconds, full, to),
            (Self::Iso { zulu: true, .. }, 0) => to.push('Z'),
            (Self::Iso { form, .. }, _) => write_iso(seconds, form, to),
        }
    }
}

fn write_localized(offset: i32, full: bool, to: &mut String) {
    let [hours, minutes, seconds] = clock(offset);
    to.push_str("GMT");
    to.push(sign(offset));
    write_number(hours, if full { 2 } else { 1 }, to);
    if full || minutes > 0 || seconds > 0 {
        to.push(':');
        write_number(minutes, 2, to);
    }
    if seconds > 0 {
        to.push(':');
        write_number(seconds, 2, to);
    }
}

fn write_iso(offset: i32, form: usize, to: &mut String) {
    let [hours, minutes, seconds] = clock(offset);
    let colon = if matches!(form, 3 | 5) { ":" } else { "" };
    to.push(sign(offset));
    write_number(hours, 2, to);
    if minutes > 0 || form > 1 {
        to.push_str(colon);
        write_number(minutes, 2, to);
    }
    if seconds > 0 && form > 3 {
        to.push_str(colon);
        write_number(seconds, 2, to);
    }
}

fn sign(offset: i32) -> char {
    if offset < 0 { '-' } else { '+' }
}

/// Hours, minutes and seconds of an offset's length.
fn clock(offset: i32) -> [i64; 3] {
    let length = i64::from(offset.unsigned_abs());
    [length / 3600, length / 60 % 60, length % 60]
}
