//! Parameters behind the question mark.

use std::borrow::Cow;

use hyper::Uri;
use percent_encoding::percent_decode_str;

use super::error::{ErrorStatus, Problem, shown};

/// The parameters of a request; each is known to its route.
pub(super) struct Query<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Query<'a> {
    /// Reads the parameters. One that the route does not know is an error, since what it was meant to do is not done.
    pub(super) fn of(uri: &'a Uri, known: &[&'static str]) -> Result<Self, Problem> {
        let mut pairs = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let [name, value] = [name, value].map(|text| percent_decode_str(text).decode_utf8_lossy());
            if !known.contains(&&*name) {
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(format!("parameter {} is not known; known: {known}", shown(&name))));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// The value of a parameter; the last one counts.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(given, _)| given == name).map(|(_, value)| &**value)
    }

    /// The value of a parameter that is `true` or `false`.
    pub(super) fn boolean(&self, name: &'static str) -> Result<Option<bool>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(bad(format!("{name} must be true or false, not {}", shown(other))).in_field(name)),
        }
    }
}

/// A parameter is wrong.
pub(super) fn bad(message: String) -> Problem {
    Problem::new(ErrorStatus::BadRequest, "bad_parameter", message)
}
