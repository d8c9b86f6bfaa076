//! Where a value of a request is.

use serde_json::Value;

/// The place of a value, in the two spellings that users meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    wire: String,
    field: String,
    shows_values: bool,
}

impl Path {
    /// The request itself.
    pub fn root() -> Self {
        Self { wire: String::new(), field: String::new(), shows_values: true }
    }

    /// A member of the structure that is here.
    #[must_use]
    pub fn member(&self, name: &str) -> Self {
        let mut letters = name.chars();
        let lower: String = letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect();
        let dot = if self.wire.is_empty() { "" } else { "." };
        Self {
            wire: format!("{}{dot}{lower}", self.wire),
            field: format!("{}{dot}{name}", self.field),
            shows_values: self.shows_values,
        }
    }

    /// An element of the list that is here, counted from 0.
    #[must_use]
    pub fn element(&self, index: usize) -> Self {
        Self {
            wire: format!("{}.{}.member", self.wire, index.saturating_add(1)),
            field: format!("{}[{index}]", self.field),
            shows_values: self.shows_values,
        }
    }

    /// The same place, where the service names no values in its messages: secrets, and the members of S3 destinations.
    #[must_use]
    pub fn hiding_values(self) -> Self {
        Self { shows_values: false, ..self }
    }

    /// The same place, where the service does name values.
    #[must_use]
    pub fn showing_values(self) -> Self {
        Self { shows_values: true, ..self }
    }

    /// As the service spells it: lower camel case, list elements from 1, `tags.1.member.key`.
    pub fn wire(&self) -> &str {
        &self.wire
    }

    /// As the document spells it: `Tags[0].Key`.
    pub fn field(&self) -> &str {
        &self.field
    }

    pub(super) fn shown(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
        };
        (self.shows_values && text.chars().count() <= LONGEST_SHOWN).then_some(text)
    }
}

/// Longer values would bury the rule that they break.
const LONGEST_SHOWN: usize = 128;
