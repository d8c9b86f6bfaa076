//! Intents, bodies and notes as the service would hand them in.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{
    Body, BodyError, Compression, Intent, IntentId, Notes, ObjectKey, Offset, OffsetRange, Outcome, Receipt, Recovery,
    Seed, Sink,
};
use tokio::sync::Notify;

/// The least that S3 takes as a part: what the sinks under test cut at.
pub(crate) const PART: usize = hydrant_sinks::s3::MIN_PART_BYTES;

/// A name that no other test, and no earlier run against the same server, has used.
pub(crate) fn fresh_name(what: &str) -> String {
    format!("{what}-{:016x}", RandomState::new().build_hasher().finish())
}

pub(crate) fn intent(bucket: &str, key: &str) -> Intent {
    let seed = RandomState::new().build_hasher().finish();
    Intent {
        id: IntentId(1),
        range: OffsetRange { from: Offset(0), to: Offset(1) },
        records: 1,
        bytes: 0,
        seed: Seed(u128::from(seed).to_be_bytes()),
        version: 1,
        oldest_ms: 0,
        object: ObjectKey::new(bucket, key).expect("a key"),
    }
}

/// Bytes of which no two parts are equal, so that parts in a wrong order show.
pub(crate) fn data(len: usize) -> Bytes {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// A body of known bytes that can break off or stop half-way.
pub(crate) struct TestBody {
    rest: Bytes,
    most: u64,
    compression: Compression,
    given: usize,
    fails_at: Option<usize>,
    stops_at: Option<usize>,
    stopped: Arc<Notify>,
}

impl TestBody {
    pub(crate) fn new(data: &Bytes) -> Self {
        Self {
            rest: data.clone(),
            most: data.len() as u64,
            compression: Compression::Uncompressed,
            given: 0,
            fails_at: None,
            stops_at: None,
            stopped: Arc::default(),
        }
    }

    pub(crate) fn packed(self, compression: Compression) -> Self {
        Self { compression, ..self }
    }

    /// Bytes that it was asked for so far.
    pub(crate) fn given(&self) -> usize {
        self.given
    }

    /// Breaks off once this many bytes were given.
    pub(crate) fn failing_at(self, bytes: usize) -> Self {
        Self { fails_at: Some(bytes), ..self }
    }

    /// Never gives anything more once this many bytes were given; the notice comes then.
    pub(crate) fn stopping_at(self, bytes: usize) -> (Self, Arc<Notify>) {
        let stopped = Arc::clone(&self.stopped);
        (Self { stops_at: Some(bytes), ..self }, stopped)
    }
}

#[async_trait]
impl Body for TestBody {
    async fn next(&mut self, at_least: usize) -> Result<Option<Bytes>, BodyError> {
        if self.fails_at.is_some_and(|at| self.given >= at) {
            return Err(BodyError("the log has a hole".into()));
        }
        if self.stops_at.is_some_and(|at| self.given >= at) {
            self.stopped.notify_one();
            std::future::pending::<()>().await;
        }
        // A little more than asked for, as a codec would.
        let take = (at_least + 7).min(self.rest.len());
        self.given += take;
        Ok(Some(self.rest.split_to(take)).filter(|piece| !piece.is_empty()))
    }

    fn most_bytes(&self) -> u64 {
        self.most
    }

    fn compression(&self) -> Compression {
        self.compression
    }
}

/// Notes in memory, attempt after attempt.
#[derive(Default)]
pub(crate) struct TestNotes {
    all: Vec<Bytes>,
    earlier: usize,
}

impl TestNotes {
    /// What was added so far is from an earlier attempt.
    pub(crate) fn next_attempt(&mut self) {
        self.earlier = self.all.len();
    }

    pub(crate) fn all(&self) -> &[Bytes] {
        &self.all
    }
}

#[async_trait]
impl Notes for TestNotes {
    fn earlier(&self) -> &[Bytes] {
        self.all.get(..self.earlier).expect("notes are never taken back")
    }

    async fn add(&mut self, note: Bytes) -> Result<(), BodyError> {
        self.all.push(note);
        Ok(())
    }
}

/// Delivers and, where nobody knows, asks: what the service does with one intent.
pub(crate) async fn settle(sink: &dyn Sink, intent: &Intent, body: TestBody, notes: &mut TestNotes) -> Receipt {
    let mut body = body;
    let outcome = sink.deliver(intent, &mut body, notes).await;
    notes.next_attempt();
    match outcome {
        Outcome::Delivered(receipt) => receipt,
        Outcome::Unknown(error) => match sink.recover(intent, notes).await {
            Recovery::Delivered(receipt) => receipt,
            other => panic!("{sink}: {error}, and then {other:?}"),
        },
        other => panic!("{sink}: {other:?}"),
    }
}
