//! Processes, producers and a look at what was delivered.

mod api;
mod bucket;
mod process;
mod stream;

use std::time::{Duration, Instant};

pub(crate) use self::api::{Client, Refusal};
pub(crate) use self::bucket::{Bucket, ObjectFile};
pub(crate) use self::process::{Hydrant, Setup, checked, refused};
pub(crate) use self::stream::Stream;
use crate::server::Server;

/// Long enough for a busy machine; nothing that works takes it.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Looks until `look` gives something. What is waited for is named in the failure.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < LONG, "waited in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The same for a plain condition.
pub(crate) async fn until_true(what: &str, look: impl Fn() -> bool) {
    until(what, async || look().then_some(())).await;
}

pub(crate) const POLL: Duration = Duration::from_millis(15);

/// An S3 server with a bucket that is called `bucket`.
pub(crate) fn s3() -> (Server, Bucket) {
    let server = Server::start();
    server.make_bucket("bucket");
    let bucket = Bucket::new(server.root.path(), "bucket");
    (server, bucket)
}
