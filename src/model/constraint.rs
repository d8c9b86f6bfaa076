//! Constraints of the API's model: every fault of a request, in the grammar of the service's `ValidationException`.
//!
//! ```text
//! 2 validation errors detected: Value 'a b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular
//! expression pattern: [a-zA-Z0-9_.-]+; Value at 'extendedS3DestinationConfiguration.roleARN' failed to satisfy constraint: …
//! ```
//!
//! A [`Path`] says where a value is, a [`Structure`] reads members by name and rule, and [`Faults`] collects what was wrong. A
//! value of the wrong JSON type is no constraint but a `SerializationException`; a member that the model does not know is
//! neither (the API ignores it), but a file that holds one deserves to be told: see [`Faults::unknown`].

use std::fmt::Display;

use serde_json::{Map, Value};

pub use path::Path;
pub use pattern::{Pattern, ROLE_ARN};

mod path;
mod pattern;

/// Every fault found so far, in the order in which members were read.
#[derive(Debug, Default)]
pub struct Faults {
    broken: Vec<Fault>,
    mistyped: Vec<Fault>,
    unknown: Vec<Fault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, in the words of the document itself: `ExtendedS3DestinationConfiguration.Tags[0].Key`.
    pub field: String,
    /// Which rule was broken: `Member must not be null`.
    pub rule: String,
    clause: String,
}

/// A request that does not keep to the model; `Display` is the public message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value of the wrong JSON type: `SerializationException`.
    #[error("{0}")]
    Serialization(String),
    /// Broken constraints: `ValidationException`.
    #[error("{0}")]
    Validation(String),
}

/// What a text must be like. Characters are counted, not bytes.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// What the whole text must match.
    pub pattern: Option<&'static Pattern>,
    /// The only texts allowed; empty where any will do.
    pub values: &'static [&'static str],
}

/// A JSON object read by member names; JSON's `null` counts as an absent member, as it does in the service.
#[derive(Clone, Debug)]
pub struct Structure<'v> {
    members: &'v Map<String, Value>,
    path: Path,
}

impl Faults {
    /// The verdict over a request: the first wrong type, else all broken constraints in one message.
    ///
    /// # Errors
    /// There was a fault of either kind.
    pub fn verdict(&self) -> Result<(), Refusal> {
        if let Some(Fault { field, rule, .. }) = self.mistyped.first() {
            // A fault of the whole document has no field.
            let message = if field.is_empty() { rule.clone() } else { format!("{field}: {rule}") };
            return Err(Refusal::Serialization(message));
        }
        if self.broken.is_empty() {
            return Ok(());
        }
        let plural = if self.broken.len() == 1 { "" } else { "s" };
        let clauses: Vec<&str> = self.broken.iter().map(|fault| fault.clause.as_str()).collect();
        let (count, clauses) = (clauses.len(), clauses.join("; "));
        Err(Refusal::Validation(format!("{count} validation error{plural} detected: {clauses}")))
    }

    /// Faults of type and of constraint one by one, for a caller that reports each with its place.
    pub fn all(&self) -> impl Iterator<Item = &Fault> {
        self.mistyped.iter().chain(&self.broken)
    }

    /// Members that the model does not know. The API ignores them, so they are no part of the [verdict](Self::verdict).
    pub fn unknown(&self) -> impl Iterator<Item = &Fault> {
        self.unknown.iter()
    }

    /// Records that the value at `path` breaks `rule`; `value` is shown where the path allows it and it is a short scalar.
    pub fn broken(&mut self, path: &Path, value: &Value, rule: impl Display) {
        let shown = path.shown(value).map(|text| format!(" '{text}'")).unwrap_or_default();
        let clause = format!("Value{shown} at '{}' failed to satisfy constraint: {rule}", path.wire());
        self.broken.push(Fault { field: path.field().to_owned(), rule: rule.to_string(), clause });
    }

    /// Records that a required member is absent.
    pub fn null(&mut self, path: &Path) {
        self.broken(path, &Value::Null, "Member must not be null");
    }

    fn mistyped(&mut self, path: &Path, value: &Value, wanted: &str) {
        let rule = format!("{} can not be converted to {wanted}", token(value));
        self.mistyped.push(Fault { field: path.field().to_owned(), rule, clause: String::new() });
    }

    fn check_text(&mut self, path: &Path, text: &str, rule: &Text) {
        let value = Value::String(text.to_owned());
        if !rule.values.is_empty() {
            if !rule.values.contains(&text) {
                let set = rule.values.join(", ");
                self.broken(path, &value, format_args!("Member must satisfy enum value set: [{set}]"));
            }
            return;
        }
        let length = text.chars().count();
        if length > rule.max {
            self.broken(path, &value, format_args!("Member must have length less than or equal to {}", rule.max));
        }
        if length < rule.min {
            self.broken(path, &value, format_args!("Member must have length greater than or equal to {}", rule.min));
        }
        if let Some(pattern) = rule.pattern.filter(|pattern| !pattern.matches(text)) {
            self.broken(path, &value, format_args!("Member must satisfy regular expression pattern: {pattern}"));
        }
    }
}

impl Text {
    /// A text of `min` to `max` characters.
    pub const fn length(min: usize, max: usize) -> Self {
        Self { min, max, pattern: None, values: &[] }
    }

    /// The same, and the whole text matches `pattern`.
    #[must_use]
    pub const fn matching(self, pattern: &'static Pattern) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// One of `values`, named in this order when it is not.
    pub const fn one_of(values: &'static [&'static str]) -> Self {
        Self { min: 0, max: usize::MAX, pattern: None, values }
    }
}

impl<'v> Structure<'v> {
    /// Reads `value` as an object; `None`, and a fault, if it is something else.
    pub fn read(value: &'v Value, path: Path, faults: &mut Faults) -> Option<Self> {
        let Value::Object(members) = value else {
            faults.mistyped(&path, value, "a structure");
            return None;
        };
        Some(Self { members, path })
    }

    /// Where the member `name` is, present or not.
    pub fn at(&self, name: &str) -> Path {
        self.path.member(name)
    }

    /// The member `name`, unless it is absent or `null`.
    pub fn member(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Notes every member that is not in `names` as unknown.
    pub fn only(&self, names: &[&str], faults: &mut Faults) {
        for name in self.members.keys().filter(|name| !names.contains(&name.as_str())) {
            let rule = format!("no such member; there are {}", names.join(", "));
            faults.unknown.push(Fault { field: self.at(name).field().to_owned(), rule, clause: String::new() });
        }
    }

    /// A member that has to be there.
    pub fn required(&self, name: &str, faults: &mut Faults) -> Option<&'v Value> {
        let member = self.member(name);
        if member.is_none() {
            faults.null(&self.at(name));
        }
        member
    }

    /// A text member.
    pub fn text(&self, name: &str, rule: &Text, faults: &mut Faults) -> Option<&'v str> {
        self.member(name).and_then(|value| text(value, &self.at(name), rule, faults))
    }

    /// A text member that has to be there.
    pub fn required_text(&self, name: &str, rule: &Text, faults: &mut Faults) -> Option<&'v str> {
        self.required(name, faults).and_then(|value| text(value, &self.at(name), rule, faults))
    }

    /// A whole number member from `min` to `max`, both included.
    pub fn integer(&self, name: &str, min: i64, max: i64, faults: &mut Faults) -> Option<i64> {
        let value = self.member(name)?;
        let path = self.at(name);
        let Some(number) = value.as_i64().or_else(|| value.as_u64().map(|_| i64::MAX)) else {
            faults.mistyped(&path, value, "an Integer");
            return None;
        };
        if number > max {
            faults.broken(&path, value, format_args!("Member must have value less than or equal to {max}"));
        }
        if number < min {
            faults.broken(&path, value, format_args!("Member must have value greater than or equal to {min}"));
        }
        Some(number)
    }

    /// A number member, whole or not, from `min` to `max`, both included.
    pub fn number(&self, name: &str, min: f64, max: f64, faults: &mut Faults) -> Option<f64> {
        let value = self.member(name)?;
        let path = self.at(name);
        let Some(number) = value.as_f64() else {
            faults.mistyped(&path, value, "a Double");
            return None;
        };
        if number > max {
            faults.broken(&path, value, format_args!("Member must have value less than or equal to {max}"));
        }
        if number < min {
            faults.broken(&path, value, format_args!("Member must have value greater than or equal to {min}"));
        }
        Some(number)
    }

    /// A boolean member.
    pub fn boolean(&self, name: &str, faults: &mut Faults) -> Option<bool> {
        let value = self.member(name)?;
        let boolean = value.as_bool();
        if boolean.is_none() {
            faults.mistyped(&self.at(name), value, "a Boolean");
        }
        boolean
    }

    /// A member that is a structure itself.
    pub fn structure(&self, name: &str, faults: &mut Faults) -> Option<Self> {
        self.member(name).and_then(|value| Structure::read(value, self.at(name), faults))
    }

    /// A structure that has to be there.
    pub fn required_structure(&self, name: &str, faults: &mut Faults) -> Option<Self> {
        self.required(name, faults).and_then(|value| Structure::read(value, self.at(name), faults))
    }

    /// A list member of `min` to `max` elements, each with its place. An element that is `null` is a fault and left out.
    pub fn list(&self, name: &str, min: usize, max: usize, faults: &mut Faults) -> Vec<(Path, &'v Value)> {
        let Some(value) = self.member(name) else { return Vec::new() };
        let path = self.at(name);
        let Value::Array(elements) = value else {
            faults.mistyped(&path, value, "a list");
            return Vec::new();
        };
        if elements.len() > max {
            faults.broken(&path, value, format_args!("Member must have length less than or equal to {max}"));
        }
        if elements.len() < min {
            faults.broken(&path, value, format_args!("Member must have length greater than or equal to {min}"));
        }
        let mut present = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let path = path.element(index);
            if element.is_null() {
                faults.null(&path);
            } else {
                present.push((path, element));
            }
        }
        present
    }
}

/// Reads `value`, which is at `path`, as a text that keeps to `rule`; `None`, and a fault, if it is no text at all.
pub fn text<'v>(value: &'v Value, path: &Path, rule: &Text, faults: &mut Faults) -> Option<&'v str> {
    let Value::String(text) = value else {
        faults.mistyped(path, value, "a String");
        return None;
    };
    faults.check_text(path, text, rule);
    Some(text)
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::Null => "NULL_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        Value::Array(_) => "a list",
        Value::Object(_) => "a structure",
    }
}

#[cfg(test)]
mod tests;
