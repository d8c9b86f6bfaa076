//! What is wrong with the settings, and where it was said.

use std::fmt;
use std::path::PathBuf;

use super::Knob;

/// Every fault of the settings, a line each; the service does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are not valid")?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

/// One value that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the value was said.
    pub origin: Origin,
    /// The rule.
    pub rule: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.rule)
    }
}

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, or nowhere: the default.
    Flag(&'static Knob),
    /// An environment variable.
    Variable(String),
    /// A key of the settings file.
    Key {
        /// The key as written.
        key: String,
        /// The file.
        file: PathBuf,
    },
    /// The settings file as a whole.
    File(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(knob) => knob.fmt(f),
            Self::Variable(name) => f.write_str(name),
            Self::Key { key, file } => write!(f, "{}: {key}", file.display()),
            Self::File(file) => file.display().fmt(f),
        }
    }
}
