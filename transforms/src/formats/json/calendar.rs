//! Days and moments of the proleptic Gregorian calendar, and their numerals.

/// Days since 1970-01-01; none for a day that no calendar has, or a year other than 1 to 9999.
pub(crate) fn days(year: i32, month: u32, day: u32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longer = u32::from(leap && month == 2);
    let (before, length) = *usize::try_from(month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?))?;
    if !(1..=9999).contains(&year) || day == 0 || day > length + longer {
        return None;
    }
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 + i32::from(leap && month > 2);
    Some(past * 365 + leap_days + before + i32::try_from(day).ok()? - 1 - DAYS_BEFORE_1970)
}

/// A time of day on a day, and how far its clock is ahead of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Since 1970-01-01.
    pub(crate) days: i32,
    pub(crate) hour: u32,
    pub(crate) minute: u32,
    pub(crate) second: u32,
    pub(crate) nanosecond: u32,
    pub(crate) ahead_seconds: i32,
}

/// Why a text is no timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTimestamp {
    /// It has another form, or says what no calendar and no clock has.
    Form,
    /// 64 bits of nanoseconds do not reach it: 1677-09-21 00:12:44 to 2262-04-11.
    Range,
}

impl Moment {
    /// Nanoseconds since 1970-01-01 00:00 UTC.
    pub(crate) fn nanoseconds(&self) -> Result<i64, NoTimestamp> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 || self.nanosecond > 999_999_999 {
            return Err(NoTimestamp::Form);
        }
        let minutes = (i64::from(self.days) * 24 + i64::from(self.hour)) * 60 + i64::from(self.minute);
        let seconds = minutes * 60 + i64::from(self.second) - i64::from(self.ahead_seconds);
        // In 128 bits, for the last moments before the ends of the range pass them on the way.
        let nanoseconds = i128::from(seconds) * 1_000_000_000 + i128::from(self.nanosecond);
        in_range(nanoseconds)
    }
}

/// Nanoseconds since 1970 as a column holds them.
///
/// The last second before the end of 64 bits is left out at the lower end: a file of ORC says whole seconds and what is above
/// them, and pyarrow takes no such file where the seconds alone do not fit.
#[inline]
pub(crate) fn in_range(nanoseconds: i128) -> Result<i64, NoTimestamp> {
    i64::try_from(nanoseconds).ok().filter(|it| *it >= FIRST_NANOSECOND).ok_or(NoTimestamp::Range)
}

/// Reads numerals and marks off the front of a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numerals<'a>(pub(crate) &'a [u8]);

impl Numerals<'_> {
    /// The number of the next digits, `least` to `most` (up to 9) of them.
    #[inline]
    pub(crate) fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        self.counted(least, most).map(|(value, _)| value)
    }

    /// A fraction of a second of up to nine digits, in nanoseconds.
    pub(crate) fn fraction(&mut self, least: usize, most: usize) -> Option<u32> {
        let (mut value, mut count) = self.counted(least, most.min(9))?;
        while count < 9 {
            value *= 10;
            count += 1;
        }
        Some(value)
    }

    fn counted(&mut self, least: usize, most: usize) -> Option<(u32, usize)> {
        let (mut value, mut count) = (0_u32, 0);
        for byte in self.0.iter().take(most) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + u32::from(digit);
            count += 1;
        }
        self.0 = self.0.get(count..)?;
        (count >= least).then_some((value, count))
    }

    /// Steps over `mark` where it comes next.
    #[inline]
    pub(crate) fn take(&mut self, mark: u8) -> bool {
        match self.0 {
            [first, rest @ ..] if *first == mark => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn expect(&mut self, mark: u8) -> Option<()> {
        self.take(mark).then_some(())
    }

    /// Seconds ahead of UTC: `Z`, `+02`, `+0200` or `+02:00`.
    pub(crate) fn offset(&mut self) -> Option<i32> {
        if self.take(b'Z') {
            return Some(0);
        }
        let behind = self.take(b'-');
        if !behind {
            self.expect(b'+')?;
        }
        let hours = self.number(2, 2)?;
        let minutes =
            if self.take(b':') || self.0.first().is_some_and(u8::is_ascii_digit) { self.number(2, 2)? } else { 0 };
        if hours > 23 || minutes > 59 {
            return None;
        }
        let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
        Some(if behind { -seconds } else { seconds })
    }
}

/// Days of the year before each month, and days of it.
const MONTHS: [(i32, u32); 12] = [
    (0, 31),
    (31, 28),
    (59, 31),
    (90, 30),
    (120, 31),
    (151, 30),
    (181, 31),
    (212, 31),
    (243, 30),
    (273, 31),
    (304, 30),
    (334, 31),
];
const DAYS_BEFORE_1970: i32 = 719_162;
/// 1677-09-21 00:12:44.
const FIRST_NANOSECOND: i64 = -9_223_372_036_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        let mut day = jiff::civil::date(1, 1, 1);
        let epoch = jiff::civil::date(1970, 1, 1);
        while day.year() < 9999 {
            let wanted = epoch.until(day).expect("both are dates").get_days();
            let (year, month, of_month) = (day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs());
            assert_eq!(days(year, month.into(), of_month.into()), Some(wanted), "{day}");
            day = day.saturating_add(jiff::Span::new().days(13));
        }
    }

    #[test]
    fn days_that_no_calendar_has_are_refused() {
        assert!(days(2024, 2, 29).is_some() && days(2000, 2, 29).is_some());
        for (year, month, day) in [
            (2023, 2, 29),
            (1900, 2, 29),
            (2024, 4, 31),
            (2024, 0, 1),
            (2024, 13, 1),
            (2024, 1, 0),
            (0, 1, 1),
            (10_000, 1, 1),
        ] {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
    }
}
