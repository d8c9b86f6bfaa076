//! How many files and sockets the process may open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard one: the soft one is low for the sake of old programs that `select`. Returns how many may
/// be open then; `None` is without limit.
pub(super) fn raise() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let limit = match raised {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, ?current, ?maximum, "the limit of open files stays as it is");
            current
        }
    };
    limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many of `limit` connections may take: half, since logs, uploads and what delivers beside them must never want for one.
pub(super) fn for_connections(limit: usize) -> usize {
    (limit / 2).max(1)
}
