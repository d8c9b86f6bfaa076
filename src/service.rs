//! The one place that connects the rooms: builds what they share, starts a road for every stream, and stops in order.
//!
//! | File | What |
//! |---|---|
//! | `start` | data directory, lock, what the streams share; recovery; the stop |
//! | `running` | one stream at work: its log, its road, what is put to it |
//! | `control` | the control plane: create, describe, list, update, tag, delete |
//! | `draining` | deleted streams until they are gone |
//! | `files` | stream files, at the start and again on a reload |
//! | `destinations` | sinks for plans |
//! | `lambda` | the functions that streams ask |
//! | `modules` | those that a module stands in for |
//! | `functions` | those behind a Lambda endpoint |
//! | `tables` | the tables that streams convert records to the rows of |
//! | `endpoint` | a client of what speaks a protocol of AWS, with its signatures |
//! | `stamp` | files that are replaced while the service runs |
//! | `watch` | free space, the pool, the metrics that are read when somebody asks |
//! | `reach` | what `hydrant check` asks for |
//! | `backend` | what the API's room asks for |

mod backend;
mod control;
mod destinations;
mod draining;
mod endpoint;
mod files;
mod functions;
mod lambda;
mod metered;
mod modules;
mod reach;
mod running;
mod stamp;
mod start;
mod status;
mod tables;
mod watch;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hydrant_model::StreamId;
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::{Place, Rulebook, Store, StoreError};
use crate::clock::Clock;
use crate::delivery::{Destinations, Shop};
use crate::log::{ThreadCommitters, Workshop};
use crate::settings::Settings;
use crate::telemetry::Telemetry;

pub use reach::{reach, rulebook};
pub use start::run;

pub(crate) use modules::Configuration as ModuleConfiguration;

use running::Running;

/// Why the service did not start, or ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It refuses to start: settings, lock, damaged files. Nothing was changed.
    #[error("{0}")]
    Start(String),
    /// The data directory cannot be used.
    #[error("{doing} {}", path.display())]
    Data {
        /// What was being done.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The catalog cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A task that must not end did.
    #[error("{task} ended: {reason}")]
    TaskEnded {
        /// Which one.
        task: String,
        /// Why.
        reason: String,
    },
}

/// Everything at work; cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    place: Place,
    rulebook: Rulebook,
    store: Store,
    clock: Clock,
    workshop: Workshop,
    committers: Arc<ThreadCommitters>,
    shop: Shop,
    destinations: Arc<dyn Destinations>,
    lambdas: Arc<lambda::Lambdas>,
    tables: tables::Tables,
    telemetry: Arc<Telemetry>,
    /// Streams by name; a deleted one keeps its name until it is drained or another takes it.
    streams: RwLock<HashMap<String, Arc<Running>>>,
    /// Deleted streams whose name was taken by another.
    draining: Mutex<HashMap<StreamId, Arc<Running>>>,
    /// One change of the catalog at a time.
    changing: tokio::sync::Mutex<()>,
    recovering: AtomicBool,
    /// Streams that could not be started, by what they claim. Their folders are left alone, and their names are not given away.
    damaged: Mutex<Vec<Claim>>,
    tasks: TaskTracker,
    /// Cancelled when a task ended that must not, with its reason in `fatal`.
    failed: CancellationToken,
    fatal: Mutex<Option<Error>>,
}

/// The name that a stream holds that could not be started.
#[derive(PartialEq, Eq)]
enum Claim {
    Name(String),
    /// It cannot be read.
    Unknown,
    /// It was deleted, which gave its name free.
    Nothing,
}
