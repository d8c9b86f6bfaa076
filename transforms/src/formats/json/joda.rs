//! Timestamp formats of the Hive deserializer: patterns as Joda-Time's `DateTimeFormat` reads them, and `millis`.
//!
//! | Letters | Reads |
//! |---|---|
//! | `y` `Y` | year, up to 9 digits, exactly as many as letters where a number follows at once; `yy`: two digits are 1970 to 2069 |
//! | `M` `MM` · `MMM` `MMMM` | month as number · as text, short or long |
//! | `d` · `H` `k` · `h` `K` | day · hour 0–23, 1–24 · hour of half a day 1–12, 0–11 |
//! | `m` `s` · `S` | minute, second · fraction of a second, up to as many digits as letters |
//! | `a` · `E` | AM or PM · day of the week as text, short or long, which changes nothing |
//! | `Z` `ZZ` | offset from UTC: `Z`, `+02`, `+0200` or `+02:00` |
//!
//! Text in `'…'` is literal, `''` is a quote, and so are all characters but letters literal. Texts are read in whatever case, in
//! English. What a pattern has no letter for is that of 1970-01-01 00:00 UTC. Every other letter is refused.
//!
//! Two things are Joda's no more: fractions keep their nanoseconds, and the century of `yy` does not depend on today.
//!
//! Pattern language: <https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html>

use hydrant_model::TimePattern;

use super::calendar::{self, Moment, NoTimestamp, Numerals};
use super::{number, timestamp};

/// How a Hive deserializer reads timestamps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimestampFormat(Form);

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A letter outside quotes that stands for nothing, or for what cannot be read here.
    #[error("timestamp format {pattern:?}: letter {letter:?} is not supported; quote it to mean the letter itself")]
    Letter {
        /// The whole pattern.
        pattern: String,
        /// The letter.
        letter: char,
    },
    /// A letter repeated more often than it has forms.
    #[error("timestamp format {pattern:?}: letter {letter:?} cannot stand {count} times")]
    Count {
        /// The whole pattern.
        pattern: String,
        /// The letter.
        letter: char,
        /// How often it stands.
        count: usize,
    },
    /// A quote that nothing closes.
    #[error("timestamp format {0:?} ends within a quoted text")]
    OpenQuote(String),
    /// A pattern without any letters.
    #[error("timestamp format {0:?} has no letters that stand for a part of a time")]
    NoFields(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Millis,
    Pattern(Vec<Item>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    /// A number of up to so many digits.
    Number(Field, usize),
    TwoDigitYear,
    MonthText,
    DayText,
    HalfDay,
    Offset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    Hour,
    /// 24 is 0.
    HourFromOne,
    /// Of half a day; 12 is 0.
    HalfDayHour,
    Minute,
    Second,
    Fraction,
}

impl TimestampFormat {
    /// Parses a pattern, or the word `millis`, in whatever case: milliseconds since 1970, of which a fraction is kept.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        if pattern.eq_ignore_ascii_case("millis") {
            return Ok(Self(Form::Millis));
        }
        let mut items = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let count = rest.chars().take_while(|c| *c == first).count();
            if first == '\'' {
                let (text, length) = quoted(rest).ok_or_else(|| PatternError::OpenQuote(pattern.to_owned()))?;
                items.push(Item::Literal(text));
                rest = rest.get(length..).unwrap_or_default();
            } else if first.is_ascii_alphabetic() {
                rest = rest.get(count..).unwrap_or_default();
                items.push(item(first, count, rest, pattern)?);
            } else {
                items.push(Item::Literal(first.to_string()));
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
        if items.iter().all(|item| matches!(item, Item::Literal(_))) {
            return Err(PatternError::NoFields(pattern.to_owned()));
        }
        Ok(Self(Form::Pattern(items)))
    }

    /// The nanoseconds since 1970 that `text` means, all of which the format must take.
    pub(crate) fn read(&self, text: &[u8]) -> Result<i64, NoTimestamp> {
        match &self.0 {
            Form::Millis if number::is_decimal(text) => timestamp::millis(text),
            Form::Millis => Err(NoTimestamp::Form),
            Form::Pattern(items) => read(items, text).ok_or(NoTimestamp::Form)?.nanoseconds(),
        }
    }
}

/// What `count` times `letter` reads, before `rest` of the pattern.
fn item(letter: char, count: usize, rest: &str, pattern: &str) -> Result<Item, PatternError> {
    let digits_follow =
        rest.chars().next().is_some_and(|next| "yYMdHkhKmsS".contains(next)) && !rest.starts_with("MMM");
    let year_digits = if digits_follow { count.min(9) } else { 9 };
    let item = match letter {
        'y' | 'Y' if count == 2 => Item::TwoDigitYear,
        'y' | 'Y' => Item::Number(Field::Year, year_digits),
        'M' if count >= 3 => Item::MonthText,
        'M' => Item::Number(Field::Month, 2),
        'd' => Item::Number(Field::Day, 2),
        'H' => Item::Number(Field::Hour, 2),
        'k' => Item::Number(Field::HourFromOne, 2),
        'h' | 'K' => Item::Number(Field::HalfDayHour, 2),
        'm' => Item::Number(Field::Minute, 2),
        's' => Item::Number(Field::Second, 2),
        'S' => Item::Number(Field::Fraction, count),
        'a' => Item::HalfDay,
        'E' => Item::DayText,
        'Z' if count <= 2 => Item::Offset,
        _ => return Err(PatternError::Letter { pattern: pattern.to_owned(), letter }),
    };
    match item {
        Item::Number(Field::Year | Field::Fraction, _) if count > 9 => {}
        Item::Number(Field::Year | Field::Fraction, _) | Item::MonthText | Item::DayText => return Ok(item),
        _ if count <= 2 => return Ok(item),
        _ => {}
    }
    Err(PatternError::Count { pattern: pattern.to_owned(), letter, count })
}

/// The literal that `pattern` begins with, and its bytes with its quotes.
fn quoted(pattern: &str) -> Option<(String, usize)> {
    if pattern.starts_with("''") {
        return Some(("'".to_owned(), 2));
    }
    let mut text = String::new();
    let mut chars = pattern.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\'' && chars.next_if(|(_, next)| *next == '\'').is_none() {
            return Some((text, at + 1));
        }
        text.push(c);
    }
    None
}

fn read(items: &[Item], text: &[u8]) -> Option<Moment> {
    let mut moment = Moment::default();
    let (mut year, mut month, mut day) = (1970, 1, 1);
    let (mut half_day_hour, mut afternoon) = (None, None);
    let mut rest = Numerals(text);
    for item in items {
        match item {
            Item::Literal(literal) => {
                let (begin, after) = rest.0.split_at_checked(literal.len())?;
                if !begin.eq_ignore_ascii_case(literal.as_bytes()) {
                    return None;
                }
                rest.0 = after;
            }
            Item::Number(Field::Fraction, most) => {
                moment.nanosecond = rest.fraction(1, *most)?;
            }
            Item::Number(field, most) => {
                let value = rest.number(1, *most)?;
                match field {
                    Field::Year => year = i32::try_from(value).ok()?,
                    Field::Month => month = value,
                    Field::Day => day = value,
                    Field::Hour => moment.hour = value,
                    Field::HourFromOne => moment.hour = if value == 24 { 0 } else { value },
                    Field::HalfDayHour => half_day_hour = Some(if value == 12 { 0 } else { value }),
                    Field::Minute => moment.minute = value,
                    Field::Second => moment.second = value,
                    Field::Fraction => {}
                }
            }
            Item::TwoDigitYear => year = two_digit_year(&mut rest)?,
            Item::MonthText => month = one_of(&TimePattern::MONTHS, &mut rest)? + 1,
            Item::DayText => {
                one_of(&TimePattern::WEEKDAYS, &mut rest)?;
            }
            Item::HalfDay => afternoon = Some(one_of(&["AM", "PM"], &mut rest)? == 1),
            Item::Offset => moment.ahead_seconds = rest.offset()?,
        }
    }
    if let Some(hour) = half_day_hour {
        if hour > 11 {
            return None;
        }
        moment.hour = hour + if afternoon == Some(true) { 12 } else { 0 };
    }
    moment.days = calendar::days(year, month, day)?;
    rest.0.is_empty().then_some(moment)
}

/// Two digits are a year of 1970 to 2069; any other number of digits is the year itself.
fn two_digit_year(rest: &mut Numerals<'_>) -> Option<i32> {
    let before = rest.0.len();
    let value = i32::try_from(rest.number(1, 9)?).ok()?;
    Some(match (before - rest.0.len(), value) {
        (2, 70..) => 1900 + value,
        (2, _) => 2000 + value,
        _ => value,
    })
}

/// Which of `names` comes next, whole or its first three letters.
fn one_of(names: &[&str], rest: &mut Numerals<'_>) -> Option<u32> {
    for whole in [true, false] {
        for (name, at) in names.iter().zip(0..) {
            let name = if whole { name } else { name.get(..3).unwrap_or(name) };
            if let Some((begin, after)) = rest.0.split_at_checked(name.len())
                && begin.eq_ignore_ascii_case(name.as_bytes())
            {
                rest.0 = after;
                return Some(at);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
