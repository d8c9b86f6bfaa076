//! The readers of a stream's logs.

use serde::{Deserialize, Serialize};

/// One reader of a stream's logs, with intents of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cursor {
    /// The destination.
    #[default]
    Main,
    /// The backup of source records: each as it arrived.
    Backup,
    /// The error output.
    Errors,
}

impl Cursor {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Main, Self::Backup, Self::Errors];

    /// As status and metrics name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Backup => "backup",
            Self::Errors => "errors",
        }
    }

    /// Whether it is the main one.
    pub fn is_main(&self) -> bool {
        *self == Self::Main
    }
}
