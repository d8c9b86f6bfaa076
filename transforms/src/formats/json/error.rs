//! Why a record is refused, in AWS's words.

use std::fmt;

/// Why a record becomes no rows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct RecordError {
    /// AWS's code: [`PARSE_ERROR`] or [`MALFORMED_DATA`].
    pub code: &'static str,
    /// What is wrong, in AWS's words where they are known.
    pub message: String,
    /// The column and the fields within it that could not take their value, such as `device.os`. AWS's words never say it.
    pub column: Option<String>,
}

/// Errors are rare and large; a pointer keeps the way of what is right short.
#[derive(Debug)]
pub(crate) struct Fault(Box<RecordError>);

impl RecordError {
    /// The record is not JSON.
    #[cold]
    pub(crate) fn malformed_json(at: usize, found: Option<u8>, expected: &str) -> Fault {
        let found = match found {
            None => "the end of the record".to_owned(),
            Some(byte @ 0x21..=0x7E) => format!("character '{}'", char::from(byte)),
            Some(byte) => format!("byte 0x{byte:02X}"),
        };
        let message = format!("Encountered malformed JSON. Unexpected {found} at byte {at}: expected {expected}");
        Fault(Box::new(Self { code: PARSE_ERROR, message, column: None }))
    }

    /// The record is JSON, but not what is wanted.
    #[cold]
    pub(crate) fn malformed_data(message: impl Into<String>) -> Fault {
        Fault(Box::new(Self { code: MALFORMED_DATA, message: message.into(), column: None }))
    }

    /// A value does not fit its column, in OpenX's words.
    #[cold]
    pub(crate) fn mismatch(what: impl fmt::Display) -> Fault {
        Self::malformed_data(format!("Data does not match the schema. {what}"))
    }
}

impl Fault {
    pub(crate) fn is_parse_error(&self) -> bool {
        self.0.code == PARSE_ERROR
    }

    /// The same, where the column or field that could not take its value stands in `name`. What is no JSON is nobody's.
    #[cold]
    pub(crate) fn within(mut self, name: &str) -> Self {
        if self.is_parse_error() {
            return self;
        }
        self.0.column = Some(match self.0.column.take() {
            Some(inner) => format!("{name}.{inner}"),
            None => name.to_owned(),
        });
        self
    }
}

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        *fault.0
    }
}

/// A foreign value for a message, cut where it is long.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.0.get(..MOST_SHOWN).unwrap_or(self.0));
        f.write_str(text.trim_end_matches('\u{fffd}'))?;
        if self.0.len() > MOST_SHOWN { f.write_str("…") } else { Ok(()) }
    }
}

/// Code of a record that is not JSON.
pub const PARSE_ERROR: &str = "DataFormatConversion.ParseError";
/// Code of a record whose JSON does not fit the schema.
pub const MALFORMED_DATA: &str = "DataFormatConversion.MalformedData";

const MOST_SHOWN: usize = 200;
