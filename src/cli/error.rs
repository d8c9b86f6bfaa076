//! How commands fail.

use std::io;
use std::path::{Path, PathBuf};

use super::client::CallError;
use crate::{service, settings};

/// Why a command failed. The variants differ in exit code or in what is said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line asks for what makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The settings have faults.
    #[error(transparent)]
    Settings(#[from] settings::Faults),
    /// The command would not start on what it found.
    #[error("{0}")]
    Refused(String),
    /// The service did not start, or ended early.
    #[error(transparent)]
    Service(#[from] service::Error),
    /// A request to the service failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A file could not be used.
    #[error("{doing} {}", path.display())]
    File {
        /// What was being done: `reading`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it could not.
        #[source]
        source: io::Error,
    },
    /// It was tried and failed, or faults were found.
    #[error("{0}")]
    Failed(String),
    /// What was to be printed could not be.
    #[error("writing the output")]
    Output(#[source] io::Error),
}

impl Error {
    /// What the process answers: 1 it was tried and failed, or faults were found; 2 wrong usage; 3 refused to start.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Settings(_)
            | Self::Refused(_)
            | Self::Service(service::Error::Start(_) | service::Error::Data { .. } | service::Error::Store(_)) => 3,
            Self::Service(_) | Self::Call(_) | Self::File { .. } | Self::Failed(_) | Self::Output(_) => 1,
        }
    }

    /// Whether the reader of the output went away (`hydrant streams | head`), of which nobody needs to be told.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// For `map_err`: `doing` to the file `path` failed.
    pub(super) fn file<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + use<'a> {
        move |source| Self::File { doing, path: path.to_owned(), source }
    }
}
