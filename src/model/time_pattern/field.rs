//! One field of a date pattern: which letters make it, what it prints.

use std::fmt::Write;

use jiff::Zoned;

use super::offset::Offset;
use super::{TimePattern, TimePatternError, zone};

/// What a run of one letter stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// A year, in at least so many digits; two mean the year of the century.
    Year {
        of_week: bool,
        width: usize,
    },
    Number(Quantity, usize),
    /// The first digits of the second's fraction.
    Fraction(usize),
    Text(Word, Form),
    Offset(Offset),
    ZoneName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    DayOfYear,
    Month,
    Day,
    Quarter,
    WeekOfYear,
    WeekOfMonth,
    DayOfWeek,
    /// The how-many-eth of its weekday in the month.
    WeekdayInMonth,
    /// 1 to 12.
    ClockHour12,
    /// 0 to 11.
    Hour12,
    /// 1 to 24.
    ClockHour24,
    /// 0 to 23.
    Hour24,
    Minute,
    Second,
    MilliOfDay,
    NanoOfSecond,
    NanoOfDay,
    ModifiedJulianDay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Era,
    Month,
    Quarter,
    Weekday,
    AmPm,
    DayPeriod,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Short,
    Full,
    Narrow,
}

impl Field {
    /// What `letter`, written `count` times, stands for.
    pub(super) fn of(letter: char, count: usize) -> Result<Self, TimePatternError> {
        let field = match (letter, count) {
            ('y' | 'u', 1..=19) => Self::Year { of_week: false, width: count },
            ('Y', _) => Self::Year { of_week: true, width: count },
            ('S', 1..=9) => Self::Fraction(count),
            ('G', 1..=5) => text(Word::Era, count),
            ('M' | 'L', 3..=5) => text(Word::Month, count),
            ('Q' | 'q', 3..=5) => text(Word::Quarter, count),
            ('E', 1..=5) | ('e' | 'c', 3..=5) => text(Word::Weekday, count),
            ('a', 1) => text(Word::AmPm, count),
            ('B', 1 | 4 | 5) => text(Word::DayPeriod, count),
            ('z', 1..=3) => Self::ZoneName,
            ('O', 1 | 4) | ('Z', 4) => Self::Offset(Offset::Localized { full: count == 4 }),
            ('X' | 'x', 1..=5) => Self::Offset(Offset::Iso { form: count, zulu: letter == 'X' }),
            ('Z', 1..=3) => Self::Offset(Offset::Iso { form: 2, zulu: false }),
            ('Z', 5) => Self::Offset(Offset::Iso { form: 5, zulu: true }),
            _ => Self::Number(Quantity::of(letter, count)?, count),
        };
        Ok(field)
    }

    /// Appends the field's value at `moment`.
    pub(super) fn write(self, moment: &Zoned, to: &mut String) {
        match self {
            Self::Year { of_week, width } => {
                let year = if of_week { week_of_year(moment).0 } else { i64::from(moment.year()) };
                write_year(year, width, to);
            }
            Self::Number(quantity, width) => write_number(quantity.value(moment), width, to),
            Self::Fraction(digits) => {
                let nanoseconds = i64::from(moment.subsec_nanosecond());
                write_number((digits..9).fold(nanoseconds, |fraction, _| fraction / 10), digits, to);
            }
            Self::Text(word, form) => to.push_str(word.text(form, moment)),
            Self::Offset(offset) => offset.write(moment.offset().seconds(), to),
            Self::ZoneName => zone::write_short_name(moment, to),
        }
    }
}

impl Quantity {
    fn of(letter: char, count: usize) -> Result<Self, TimePatternError> {
        let (quantity, most) = match letter {
            'D' => (Self::DayOfYear, 3),
            'M' | 'L' => (Self::Month, 2),
            'd' => (Self::Day, 2),
            'Q' | 'q' => (Self::Quarter, 2),
            'w' => (Self::WeekOfYear, 2),
            'W' => (Self::WeekOfMonth, 1),
            'e' => (Self::DayOfWeek, 2),
            'c' => (Self::DayOfWeek, 1),
            'F' => (Self::WeekdayInMonth, 1),
            'h' => (Self::ClockHour12, 2),
            'K' => (Self::Hour12, 2),
            'k' => (Self::ClockHour24, 2),
            'H' => (Self::Hour24, 2),
            'm' => (Self::Minute, 2),
            's' => (Self::Second, 2),
            'A' => (Self::MilliOfDay, 19),
            'n' => (Self::NanoOfSecond, 19),
            'N' => (Self::NanoOfDay, 19),
            'g' => (Self::ModifiedJulianDay, 19),
            // Letters that have no number; only their count can be at fault here.
            'y' | 'u' | 'S' | 'G' | 'E' | 'a' | 'B' | 'z' | 'O' | 'X' | 'x' | 'Z' => {
                return Err(TimePatternError::Count { letter, count });
            }
            _ => return Err(TimePatternError::Letter(letter)),
        };
        if count > most { Err(TimePatternError::Count { letter, count }) } else { Ok(quantity) }
    }

    fn value(self, moment: &Zoned) -> i64 {
        let hour = i64::from(moment.hour());
        match self {
            Self::DayOfYear => i64::from(moment.day_of_year()),
            Self::Month => i64::from(moment.month()),
            Self::Day => i64::from(moment.day()),
            Self::Quarter => (i64::from(moment.month()) + 2) / 3,
            Self::WeekOfYear => week_of_year(moment).1,
            Self::WeekOfMonth => week_that_ends(i64::from(moment.day()) + days_to_saturday(moment)),
            Self::DayOfWeek => days_since_sunday(moment) + 1,
            Self::WeekdayInMonth => week_that_ends(i64::from(moment.day())),
            Self::ClockHour12 => (hour + 11) % 12 + 1,
            Self::Hour12 => hour % 12,
            Self::ClockHour24 => (hour + 23) % 24 + 1,
            Self::Hour24 => hour,
            Self::Minute => i64::from(moment.minute()),
            Self::Second => i64::from(moment.second()),
            Self::MilliOfDay => nano_of_day(moment) / 1_000_000,
            Self::NanoOfSecond => i64::from(moment.subsec_nanosecond()),
            Self::NanoOfDay => nano_of_day(moment),
            Self::ModifiedJulianDay => modified_julian_day(moment),
        }
    }
}

impl Word {
    fn text(self, form: Form, moment: &Zoned) -> &'static str {
        let short = |name: &'static str| name.get(..3).unwrap_or(name);
        let in_form = |name: &'static str| match form {
            Form::Short => short(name),
            Form::Full => name,
            Form::Narrow => name.get(..1).unwrap_or(name),
        };
        match (self, form) {
            // Instants here are never before 1970.
            (Self::Era, Form::Short) => "AD",
            (Self::Era, Form::Full) => "Anno Domini",
            (Self::Era, Form::Narrow) => "A",
            (Self::Month, _) => in_form(nth(&TimePattern::MONTHS, i64::from(moment.month()) - 1)),
            (Self::Weekday, _) => in_form(nth(&TimePattern::WEEKDAYS, days_since_sunday(moment))),
            (Self::Quarter, _) => {
                let quarter = Quantity::Quarter.value(moment) - 1;
                match form {
                    Form::Short => nth(&["Q1", "Q2", "Q3", "Q4"], quarter),
                    Form::Full => nth(&["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"], quarter),
                    Form::Narrow => nth(&["1", "2", "3", "4"], quarter),
                }
            }
            (Self::AmPm, _) => nth(&["AM", "PM"], i64::from(moment.hour()) / 12),
            (Self::DayPeriod, _) => day_period(moment, form),
        }
    }
}

fn text(word: Word, count: usize) -> Field {
    let form = match count {
        4 => Form::Full,
        5 => Form::Narrow,
        _ => Form::Short,
    };
    Field::Text(word, form)
}

/// Appends a number that is not negative, in at least `width` digits.
pub(super) fn write_number(number: i64, width: usize, to: &mut String) {
    let digits = number.checked_ilog10().map_or(1, |exponent| exponent as usize + 1);
    to.extend(std::iter::repeat_n('0', width.saturating_sub(digits)));
    write!(to, "{number}").expect("a String takes any text");
}

fn write_year(year: i64, width: usize, to: &mut String) {
    if width == 2 {
        return write_number(year % 100, 2, to);
    }
    // From four letters on, Java marks a year that is longer than they are.
    if width == 4 && year > 9999 {
        to.push('+');
    }
    write_number(year, width, to);
}

/// Year and number of the week: it starts on Sunday, and belongs to the year that its Saturday lies in.
fn week_of_year(moment: &Zoned) -> (i64, i64) {
    let year = i64::from(moment.year());
    let days = i64::from(moment.days_in_year());
    let saturday = i64::from(moment.day_of_year()) + days_to_saturday(moment);
    if saturday > days { (year + 1, 1) } else { (year, week_that_ends(saturday)) }
}

/// Which seven days the `day`-th, counted from one, lies in.
fn week_that_ends(day: i64) -> i64 {
    (day + 6) / 7
}

fn days_since_sunday(moment: &Zoned) -> i64 {
    i64::from(moment.weekday().to_sunday_zero_offset())
}

fn days_to_saturday(moment: &Zoned) -> i64 {
    6 - days_since_sunday(moment)
}

fn nano_of_day(moment: &Zoned) -> i64 {
    let minutes = i64::from(moment.hour()) * 60 + i64::from(moment.minute());
    let seconds = minutes * 60 + i64::from(moment.second());
    seconds * 1_000_000_000 + i64::from(moment.subsec_nanosecond())
}

/// Days since 17 November 1858, on the zone's own calendar.
fn modified_julian_day(moment: &Zoned) -> i64 {
    const DAYS_BEFORE_EPOCH: i64 = 40_587;
    const SECONDS_A_DAY: i64 = 86_400;
    let local_seconds = moment.timestamp().as_second() + i64::from(moment.offset().seconds());
    local_seconds.div_euclid(SECONDS_A_DAY) + DAYS_BEFORE_EPOCH
}

/// Noon and midnight last a minute.
fn day_period(moment: &Zoned, form: Form) -> &'static str {
    match (moment.hour(), moment.minute(), form) {
        (0, 0, Form::Narrow) => "mi",
        (0, 0, _) => "midnight",
        (12, 0, Form::Narrow) => "n",
        (12, 0, _) => "noon",
        (0..=11, ..) => "in the morning",
        (12..=17, ..) => "in the afternoon",
        (18..=20, ..) => "in the evening",
        _ => "at night",
    }
}

fn nth(names: &[&'static str], index: i64) -> &'static str {
    usize::try_from(index).ok().and_then(|index| names.get(index)).copied().unwrap_or_default()
}
