//! Regular expressions of the API's model.

use std::fmt;
use std::sync::OnceLock;

use regex::Regex;

/// A regular expression that a whole text must match, compiled at its first use.
#[derive(Debug)]
pub struct Pattern {
    shown: &'static str,
    expression: &'static str,
    forbidden_start: Option<&'static str>,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    /// A pattern that means here what it means in the model. It must be one that the `regex` crate takes.
    pub const fn new(shown: &'static str) -> Self {
        Self::spelled(shown, shown)
    }

    /// A pattern whose model text, `shown` to users, is written differently here: classes that Java counts in ASCII.
    pub const fn spelled(shown: &'static str, expression: &'static str) -> Self {
        Self { shown, expression, forbidden_start: None, compiled: OnceLock::new() }
    }

    /// The same, for a text that may not begin with `start`: the `regex` crate has no negative look-ahead.
    #[must_use]
    pub const fn not_starting(mut self, start: &'static str) -> Self {
        self.forbidden_start = Some(start);
        self
    }

    /// Whether the whole of `text` matches.
    ///
    /// # Panics
    /// The expression is not one that the `regex` crate takes; a test of the room that declares it must use it once.
    pub fn matches(&self, text: &str) -> bool {
        let whole = || format!("^(?:{})$", self.expression);
        let compiled = self.compiled.get_or_init(|| Regex::new(&whole()).expect("patterns are constants"));
        self.forbidden_start.is_none_or(|start| !text.starts_with(start)) && compiled.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown)
    }
}

/// `RoleARN`, wherever it stands in the API.
pub static ROLE_ARN: Pattern = Pattern::spelled(
    r"arn:.*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+",
    r"arn:.*:iam::[0-9]{12}:role/[a-zA-Z_0-9+=,.@\-/]+",
);
