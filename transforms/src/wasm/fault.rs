//! What can go wrong in a call.

use std::borrow::Cow;
use std::time::Duration;

use crate::verdicts::{FUNCTION_ERROR, FUNCTION_ERROR_TEXT, shortened};

/// What went wrong in a call. Whatever it was, the instance is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An instance could not be started.
    Start(String),
    /// It trapped, or ended itself.
    Trap(String),
    /// It took longer than it may.
    Deadline {
        /// Time that this attempt had.
        allowed: Duration,
        /// Time that a call has.
        limit: Duration,
    },
    /// It was refused memory, and did not go on without.
    Memory {
        /// Bytes that it may have.
        limit: usize,
        /// What it did then.
        then: String,
    },
    /// Its answer has more bytes than an answer may have, or it has no room for the request.
    Room(String),
    /// Its answer cannot be read.
    Answer(String),
}

impl Fault {
    /// AWS's code for what a Lambda function does that fails in the same way.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Start(_) | Self::Trap(_) | Self::Memory { .. } | Self::Room(_) => FUNCTION_ERROR,
            Self::Deadline { .. } => TIMED_OUT,
            Self::Answer(_) => "Lambda.JsonProcessingException",
        }
    }

    /// What an error entry says: AWS's text where there is one, then ours.
    pub fn message(&self) -> Cow<'static, str> {
        let text = match self {
            Self::Start(why) => format!("{FUNCTION_ERROR_TEXT} The module cannot be started: {}", shortened(why)),
            Self::Trap(why) => format!("{FUNCTION_ERROR_TEXT} The module trapped: {}", shortened(why)),
            Self::Memory { limit, then } => {
                format!(
                    "{FUNCTION_ERROR_TEXT} The module wanted more than {limit} bytes of memory, and {}",
                    shortened(then)
                )
            }
            Self::Room(why) => format!("{FUNCTION_ERROR_TEXT} {}", shortened(why)),
            Self::Deadline { allowed, limit } if allowed < limit => format!(
                "{TIMED_OUT_TEXT} The module took longer than {allowed:?}, what a part of a call may take after the call took \
                 longer than {limit:?}."
            ),
            Self::Deadline { limit, .. } => format!("{TIMED_OUT_TEXT} The module took longer than {limit:?}."),
            Self::Answer(why) => format!("The module's answer cannot be read: {}", shortened(why)),
        };
        Cow::Owned(text)
    }

    /// Whether another attempt may end otherwise. As with Lambda, an answer that cannot be read is one.
    pub(super) fn may_help(&self) -> bool {
        !matches!(self, Self::Answer(_))
    }

    /// Whether it took all the time that it had.
    pub(super) fn is_late(&self) -> bool {
        matches!(self, Self::Deadline { .. })
    }

    /// Whether fewer records may end otherwise.
    pub(super) fn depends_on_records(&self) -> bool {
        !matches!(self, Self::Start(_) | Self::Answer(_))
    }
}

pub(super) const TIMED_OUT: &str = "Lambda.FunctionTimedOut";
const TIMED_OUT_TEXT: &str = "The Lambda function timed out.";
