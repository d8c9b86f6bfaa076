//! Date patterns of `!{timestamp:…}`: the pattern language of Java's `DateTimeFormatter` in `Locale.US`.
//!
//! What prints how was taken from a JDK 25: `time_pattern/java.tsv` holds its answer for each letter, each count and many
//! instants, `java_zones.tsv` its short name of each zone, and the tests compare with every one of them. (An older JDK differs
//! in `F`, in `B` before six in the morning, in many zone names, and fails on years of more than ten letters.)
//!
//! | Letters | Meaning, as many letters as Java takes |
//! |---|---|
//! | `y` `u` · `Y` | year · year of the week |
//! | `M` `L` · `Q` `q` | month · quarter: 1–2 a number, 3 short, 4 full, 5 narrow |
//! | `d` · `D` · `g` | day of month · of year · modified Julian day |
//! | `w` · `W` · `F` | week of year · of month (weeks start on Sunday, the first may have one day) · ⌈day of month / 7⌉ |
//! | `E` · `e` `c` | day of week as text · as a number (Sunday is 1) or text |
//! | `H` `k` `K` `h` · `a` `B` | hour 0–23, 1–24, 0–11, 1–12 · AM or PM, part of the day |
//! | `m` `s` `S` · `A` `n` `N` | minute, second, fraction · milliseconds of day, nanoseconds of second, of day |
//! | `X` `x` `Z` `O` · `z` `zz` `zzz` | offset from UTC · short name of the zone |
//! | `G` | era |
//!
//! Text in `'…'` is literal and `''` is a quote; `[` and `]` mark optional sections, which always print; `{`, `}` and `#` are
//! reserved. Every other letter is refused, and so are `zzzz`, `v` and `vvvv`: the long and the generic names of zones are
//! translations that change with every release of Java.

mod field;
mod offset;
mod zone;

use jiff::{Timestamp, Zoned};

use field::Field;
pub use zone::{TimeZone, TimeZoneError};

/// A parsed date pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern {
    items: Vec<Item>,
}

/// Why a pattern is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimePatternError {
    /// A letter outside quotes that stands for nothing.
    #[error("pattern letter {0:?} is not supported; quote it to mean the letter itself")]
    Letter(char),
    /// A letter repeated more often than it has forms.
    #[error("pattern letter {letter:?} cannot stand {count} times")]
    Count {
        /// The letter.
        letter: char,
        /// How often it stands.
        count: usize,
    },
    /// `{`, `}` or `#` outside quotes.
    #[error("pattern contains the reserved character {0:?}")]
    Reserved(char),
    /// A quote that nothing closes.
    #[error("pattern ends within a quoted text")]
    OpenQuote,
    /// `]` without `[`.
    #[error("pattern closes an optional section that it did not open")]
    NoSection,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Literal(String),
    Field(Field),
}

impl TimePattern {
    /// English names of the months, from January on.
    pub const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];

    /// English names of the days of the week, from Sunday on.
    pub const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

    /// Parses `pattern`; an empty one prints nothing.
    pub fn parse(pattern: &str) -> Result<Self, TimePatternError> {
        let mut items = Vec::new();
        let mut open_sections = 0_usize;
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            let (token, after) = rest.split_at(token_len(rest, first)?);
            rest = after;
            match first {
                '\'' => push_literal(&mut items, &unquoted(token)),
                '[' => open_sections += 1,
                ']' => open_sections = open_sections.checked_sub(1).ok_or(TimePatternError::NoSection)?,
                '{' | '}' | '#' => return Err(TimePatternError::Reserved(first)),
                letter if letter.is_ascii_alphabetic() => {
                    items.push(Item::Field(Field::of(letter, token.len())?));
                }
                _ => push_literal(&mut items, token),
            }
        }
        Ok(Self { items })
    }

    /// What the pattern prints for an instant, in milliseconds since the Unix epoch.
    ///
    /// An instant past the year 9999 prints as the last one in it.
    pub fn format(&self, instant_ms: u64, zone: &TimeZone) -> String {
        let mut text = String::new();
        self.write(&at(instant_ms, zone), &mut text);
        text
    }

    /// Appends what the pattern prints for a moment.
    pub(crate) fn write(&self, moment: &Zoned, to: &mut String) {
        for item in &self.items {
            match item {
                Item::Literal(text) => to.push_str(text),
                Item::Field(field) => field.write(moment, to),
            }
        }
    }
}

/// The instant on the zone's clock.
pub(crate) fn at(instant_ms: u64, zone: &TimeZone) -> Zoned {
    let instant = i64::try_from(instant_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    instant.unwrap_or(Timestamp::MAX).to_zoned(zone.rules().clone())
}

/// Bytes of the token that `text` begins with: a run of one letter, a quoted text with its quotes, or one other character.
fn token_len(text: &str, first: char) -> Result<usize, TimePatternError> {
    if first.is_ascii_alphabetic() {
        return Ok(text.find(|c| c != first).unwrap_or(text.len()));
    }
    if first != '\'' {
        return Ok(first.len_utf8());
    }
    // A doubled quote within the text does not close it.
    let mut quotes = text.match_indices('\'').map(|(at, _)| at).skip(1).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return Ok(at + 1);
        }
    }
    Err(TimePatternError::OpenQuote)
}

fn unquoted(token: &str) -> String {
    match token.get(1..token.len() - 1) {
        None | Some("") => "'".to_owned(),
        Some(text) => text.replace("''", "'"),
    }
}

fn push_literal(items: &mut Vec<Item>, text: &str) {
    if let Some(Item::Literal(literal)) = items.last_mut() {
        literal.push_str(text);
    } else {
        items.push(Item::Literal(text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
