//! What is done to a stream's records between the log and the object.

use std::sync::Arc;

use async_trait::async_trait;
use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Fates, Records, WantedKey};
use serde_json::Value;

/// The processors of one configuration version, in the order in which they run.
#[derive(Clone, Default)]
pub struct Processing {
    /// Each makes its processor.
    pub stages: Vec<Arc<dyn Stage>>,
    /// Where what they make lies until it leaves.
    pub kept: Kept,
    /// The partition keys that the prefix has places for.
    pub wanted: Arc<[WantedKey]>,
    /// What all error entries of the stream share.
    pub entries: EntryFacts,
}

/// Where what processors make lies until it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nowhere: they make the same of the same records each time, while an object is made.
    #[default]
    Nowhere,
    /// In the spool: a function of the user's is asked once.
    Together,
    /// In the spool, by partition.
    ByPartition,
}

/// A processor at work.
pub enum Processor {
    /// On the caller's thread.
    Local(Box<dyn Transform>),
    /// Somewhere else.
    Remote(Box<dyn Remote>),
}

/// A processor that is waited for.
#[async_trait]
pub trait Remote: Send {
    /// As [`Transform::apply`].
    async fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records;
}

/// Makes a processor, anew for each pass over records.
pub trait Stage: Send + Sync {
    /// Makes it.
    ///
    /// # Errors
    /// What it cannot be made of; the records wait.
    fn open(&self) -> Result<Processor, String>;
}

/// What all error entries of a stream share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryFacts {
    /// `LambdaArn`, where a function is asked.
    pub lambda_arn: Option<String>,
    /// `dataCatalogTable`, where records are converted.
    pub table: Option<Value>,
}

impl Processing {
    /// Whether records leave as they arrived.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The most that `bytes` of records may become, for choosing the size of parts: unpacked they may be many times as large.
    pub fn most_bytes(&self, bytes: u64) -> u64 {
        if self.is_empty() { bytes } else { bytes.saturating_mul(UNPACKED).max(LEAST_MOST_BYTES) }
    }

    /// The most that the processors hold of records at a time: a few forms of a frame.
    pub fn memory_bytes(&self) -> usize {
        if self.is_empty() { 0 } else { STAGE_BYTES }
    }

    /// Makes every processor.
    ///
    /// # Errors
    /// [`Stage::open`].
    pub fn open(&self) -> Result<Vec<Processor>, String> {
        self.stages.iter().map(|stage| stage.open()).collect()
    }
}

const UNPACKED: u64 = 32;
const LEAST_MOST_BYTES: u64 = 64 << 20;
const STAGE_BYTES: usize = 4 << 20;
