//! Numbers and foreign text as people read them.

use std::fmt;
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};

/// `50,000 records`, `1 record`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", HumanCount(count))
}

/// `1.50 MiB`.
pub(super) fn bytes(bytes: u64) -> impl fmt::Display {
    HumanBytes(bytes)
}

/// The two largest units: `3d 4h`, `2m 5s`, `0.4s`.
pub(super) fn seconds(seconds: f64) -> String {
    let duration = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
    let whole = duration.as_secs();
    let two = |large: u64, large_unit: char, small: u64, small_unit: char| {
        if small == 0 { format!("{large}{large_unit}") } else { format!("{large}{large_unit} {small}{small_unit}") }
    };
    match whole {
        0..10 => format!("{:.1}s", duration.as_secs_f64()),
        10..60 => format!("{whole}s"),
        60..3600 => two(whole / 60, 'm', whole % 60, 's'),
        3600..86_400 => two(whole / 3600, 'h', whole % 3600 / 60, 'm'),
        _ => two(whole / 86_400, 'd', whole % 86_400 / 3600, 'h'),
    }
}

/// Text of another machine on one line of at most `most` characters: what it says must not move the cursor.
pub(super) fn one_line(text: &str, most: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = text.trim().chars().map(plain).take(most).collect();
    if text.trim().chars().nth(most).is_some() {
        line.pop();
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_show_their_two_largest_units() {
        let shown = [0.0, 0.44, 9.96, 59.9, 60.0, 125.0, 3600.0, 7290.0, 100_000.0, -1.0, f64::NAN, 1e300].map(seconds);
        assert_eq!(shown[..9], ["0.0s", "0.4s", "10.0s", "59s", "1m", "2m 5s", "1h", "2h 1m", "1d 3h"]);
        assert_eq!(shown[9..11], ["0.0s", "0.0s"]);
    }

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(one_line(" a\x1b[2J\r\nb ", 20), "a [2J  b");
        assert_eq!(one_line("abcdef", 6), "abcdef");
        assert_eq!(one_line("abcdefg", 6), "abcde…");
        assert_eq!((counted(1, "record"), counted(1234, "record")), ("1 record".into(), "1,234 records".into()));
    }
}
