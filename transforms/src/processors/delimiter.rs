//! `AppendDelimiterToRecord`: ends each record with a delimiter, a line feed unless another is given.
//!
//! The two characters `\n` stand for a line feed, because infrastructure tools hand them over like that; so do `\r` and `\t` for
//! what they are elsewhere, and `\\` for a backslash. Any other backslash is one.

use super::{Context, Parameters, Transform};
use crate::records::{Arrived, Fates, Records};

/// Ends each record with a delimiter.
#[derive(Clone, Debug)]
pub struct AppendDelimiter {
    delimiter: Vec<u8>,
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of the table")]
pub(super) fn build(parameters: &Parameters, _context: &Context) -> Result<Box<dyn Transform>, String> {
    Ok(Box::new(AppendDelimiter::new(parameters.given("Delimiter").unwrap_or("\n"))))
}

impl AppendDelimiter {
    /// With a delimiter as a configuration spells it.
    pub fn new(delimiter: &str) -> Self {
        let mut bytes = String::with_capacity(delimiter.len());
        let mut characters = delimiter.chars().peekable();
        while let Some(character) = characters.next() {
            let meant = match (character, characters.peek()) {
                ('\\', Some('n')) => '\n',
                ('\\', Some('r')) => '\r',
                ('\\', Some('t')) => '\t',
                ('\\', Some('\\')) => '\\',
                _ => {
                    bytes.push(character);
                    continue;
                }
            };
            characters.next();
            bytes.push(meant);
        }
        Self { delimiter: bytes.into_bytes() }
    }
}

impl Transform for AppendDelimiter {
    fn apply(&mut self, mut records: Records, _arrived: &Arrived, _fates: &mut Fates) -> Records {
        let room = records.bytes() + records.len() * self.delimiter.len();
        let mut made = Records::instead_of(&mut records, room);
        for (at, (record, bytes)) in records.iter().enumerate() {
            made.push(bytes, record.origin, Some((&records, at)));
            made.extend(&self.delimiter);
        }
        made.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_escape_means_the_escape() {
        for (given, meant) in [
            ("\n", "\n"),
            ("\\n", "\n"),
            ("\\r\\n", "\r\n"),
            ("\\t|", "\t|"),
            ("\\\\n", "\\n"),
            ("\\x\\", "\\x\\"),
            ("||", "||"),
        ] {
            assert_eq!(AppendDelimiter::new(given).delimiter, meant.as_bytes(), "{given:?}");
        }
    }
}
