//! Dates and timestamps as both deserializers read them.
//!
//! | Form | Rule |
//! |---|---|
//! | `yyyy-[M]M-[d]d [H]H:[m]m:[s]s[.f]` | as `java.sql.Timestamp.valueOf`; a fraction of up to 9 digits |
//! | `yyyy-MM-ddTHH:mm:ss[.f][Z]` | ISO 8601, UTC; also with an offset, `+02`, `+0200` or `+02:00`, which AWS does not take |
//! | a number, also as text | below 10^12 seconds since 1970, otherwise milliseconds, with their fraction |
//! | `yyyy-[M]M-[d]d` | a date, as `java.sql.Date.valueOf`, but no 31st of February |
//!
//! What lies outside 1677-09-21 00:12:44 to 2262-04-11 does not fit 64 bits of nanoseconds and is refused, where AWS wraps it
//! into another century.

use super::calendar::{self, Moment, NoTimestamp, Numerals};
use super::number::{self, Rounding};

/// Any of the forms.
pub(crate) fn any(text: &[u8]) -> Result<i64, NoTimestamp> {
    let year = |text: &&[u8]| text.iter().all(u8::is_ascii_digit);
    if text.get(4) == Some(&b'-') && text.get(..4).as_ref().is_some_and(year) {
        return if text.get(10) == Some(&b'T') { iso(text) } else { sql(text) };
    }
    if number::is_decimal(text) { epoch(text) } else { Err(NoTimestamp::Form) }
}

/// `yyyy-[M]M-[d]d [H]H:[m]m:[s]s[.f]`
pub(crate) fn sql(text: &[u8]) -> Result<i64, NoTimestamp> {
    read_sql(text).ok_or(NoTimestamp::Form)?.nanoseconds()
}

fn read_sql(text: &[u8]) -> Option<Moment> {
    let mut rest = Numerals(text);
    let days = read_date(&mut rest, 1)?;
    rest.expect(b' ')?;
    let moment = time(&mut rest, days, 1)?;
    rest.0.is_empty().then_some(moment)
}

/// `yyyy-MM-ddTHH:mm:ss[.f]` and an offset, or none.
fn iso(text: &[u8]) -> Result<i64, NoTimestamp> {
    read_iso(text).ok_or(NoTimestamp::Form)?.nanoseconds()
}

fn read_iso(text: &[u8]) -> Option<Moment> {
    let mut rest = Numerals(text);
    let days = read_date(&mut rest, 2)?;
    rest.expect(b'T')?;
    let mut moment = time(&mut rest, days, 2)?;
    if !rest.0.is_empty() {
        moment.ahead_seconds = rest.offset()?;
    }
    rest.0.is_empty().then_some(moment)
}

/// Seconds or milliseconds since 1970; a [decimal literal](number::is_decimal).
pub(crate) fn epoch(literal: &[u8]) -> Result<i64, NoTimestamp> {
    let as_seconds = number::unscaled(literal, 9, Rounding::Down).ok_or(NoTimestamp::Range)?;
    let nanoseconds = if as_seconds.abs() < MOST_SECONDS { as_seconds } else { as_seconds / 1000 };
    calendar::in_range(nanoseconds)
}

/// The same of a whole number.
#[inline]
pub(crate) fn epoch_whole(value: i64) -> Result<i64, NoTimestamp> {
    let unit = if value.unsigned_abs() < 1_000_000_000_000 { 1_000_000_000 } else { 1_000_000 };
    calendar::in_range(i128::from(value) * unit)
}

/// Milliseconds since 1970, with their fraction; a [decimal literal](number::is_decimal).
pub(crate) fn millis(literal: &[u8]) -> Result<i64, NoTimestamp> {
    let nanoseconds = number::unscaled(literal, 6, Rounding::Down).ok_or(NoTimestamp::Range)?;
    calendar::in_range(nanoseconds)
}

/// `yyyy-[M]M-[d]d` as days since 1970.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let mut rest = Numerals(text);
    let days = read_date(&mut rest, 1)?;
    rest.0.is_empty().then_some(days)
}

fn read_date(rest: &mut Numerals<'_>, least_digits: usize) -> Option<i32> {
    let year = rest.number(4, 4)?;
    rest.expect(b'-')?;
    let month = rest.number(least_digits, 2)?;
    rest.expect(b'-')?;
    let day = rest.number(least_digits, 2)?;
    calendar::days(i32::try_from(year).ok()?, month, day)
}

fn time(rest: &mut Numerals<'_>, days: i32, least_digits: usize) -> Option<Moment> {
    let hour = rest.number(least_digits, 2)?;
    rest.expect(b':')?;
    let minute = rest.number(least_digits, 2)?;
    rest.expect(b':')?;
    let second = rest.number(least_digits, 2)?;
    let nanosecond = if rest.take(b'.') { rest.fraction(1, 9)? } else { 0 };
    Some(Moment { days, hour, minute, second, nanosecond, ahead_seconds: 0 })
}

/// 10^12 seconds, in nanoseconds.
const MOST_SECONDS: i128 = 10_i128.pow(21);
