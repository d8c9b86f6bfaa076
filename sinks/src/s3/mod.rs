//! Objects in S3 and everything that speaks its protocol.
//!
//! **What is promised.** The object of an intent appears under its one name, whole or not at all; repeating an intent leaves
//! one object. S3 writes are atomic by themselves; what this room adds is that no two attempts share a multipart upload, and
//! that an outcome which nobody knows is called so.
//!
//! **The road of a body.** A body that ends within one part is one `PutObject`. A larger one is a multipart upload: its id is in the
//! ledger before the first part leaves, two parts are on their way while a third is made ([`Endpoint::memory_bytes`] is what
//! that takes), and every failure but an unknown one aborts it. A delivery that is cancelled (its future dropped) leaves the
//! upload open and invisible; the next attempt, or [`Sink::recover`], aborts it by its id from the notes. Uploads in notes are
//! the only ones ever aborted. (An upload whose id was
//! never received, and a part that arrives after its upload was aborted, stay: that takes a lifecycle rule.)
//!
//! **Notes and addresses.** The format and who writes which note when is told in [`crate::note`]. Requests go to the bucket of the
//! [`Target`], which is the one in force, under the key of the intent; where an intent was addressed anew, the service makes a
//! sink for the old [`Address`] and asks it by [`Sink::recover`].
//!
//! **On the wire.** Path style for every server but AWS. Bodies are not hashed for the signature but carry a CRC-32 in a header;
//! `If-None-Match: *` keeps a late twin from being written. What an endpoint lacks of this is learned from its answers, once
//! for all streams. A request is sent once: the service repeats deliveries, the SDK does not.

pub mod api;
mod capabilities;
mod classify;
mod endpoint;
mod multipart;
mod parts;
mod requests;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use hydrant_model::{Body, DeliveryError, Intent, Notes, Outcome, Receipt, Recovery, Sink};

pub use self::api::SPEC;
pub use self::endpoint::{Endpoint, EndpointSettings, Error, Timeouts};
pub use self::parts::MIN_PART_BYTES;

use self::classify::{Effect, Failure};
use self::multipart::Upload;
use self::parts::Parts;
use self::requests::Object;
use crate::broken_off;
use crate::note::{Address, Note, announce};

/// A bucket and how its objects are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The bucket.
    pub bucket: String,
    /// Key of server-side encryption, where one is configured.
    pub kms_key_arn: Option<String>,
    /// `Content-Type` of the objects.
    pub content_type: String,
    /// Give the bucket's owner full control: for a bucket of another account, with `s3:PutObjectAcl`.
    pub owner_full_control: bool,
}

impl Target {
    /// Unencrypted objects of the type that the service gives its own.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            kms_key_arn: None,
            content_type: "application/octet-stream".into(),
            owner_full_control: false,
        }
    }
}

/// Delivers objects into one bucket of one [`Endpoint`].
#[derive(Clone, Debug)]
pub struct S3Sink {
    endpoint: Endpoint,
    target: Target,
    former: bool,
}

impl S3Sink {
    /// The same place as one where objects no longer go, to be asked by [`Sink::recover`]. Today's credentials may mean nothing
    /// there, so an answer that forbids to look is not taken for an object that is not there.
    #[must_use]
    pub fn former(self) -> Self {
        Self { former: true, ..self }
    }

    /// Where its objects become visible.
    pub fn address(&self) -> Address {
        Address { endpoint: self.endpoint.shared.name.clone(), bucket: self.target.bucket.clone() }
    }

    /// The note that a request which can make an object visible is sent here. Written into the ledger with the intent, it
    /// saves the sink a sync of its own (see [`crate::note`]).
    fn first_note(&self) -> Bytes {
        Note::sending(self.address()).to_bytes()
    }

    async fn attempt(
        &self,
        object: Object<'_>,
        body: &mut dyn Body,
        notes: &mut dyn Notes,
    ) -> Result<Receipt, Outcome> {
        self.abort_earlier(object, notes.earlier()).await.map_err(|failure| failure.outcome(Effect::Hidden))?;
        let part_bytes = self.endpoint.part_bytes(body.most_bytes());
        let mut parts = Parts::new(body, part_bytes);
        let mut in_hand = Vec::new();
        // A first part that fills its size says nothing about the end; a second one does.
        while in_hand.len() < 2 && !parts.ended() {
            let Some(part) = parts.next().await.map_err(|error| broken_off(&error))? else { break };
            in_hand.push(part.join());
        }
        if in_hand.len() > 1 {
            self.send_in_parts(object, in_hand, parts, notes).await
        } else {
            self.send_at_once(object, in_hand.pop().unwrap_or_default(), notes).await
        }
    }

    async fn send_at_once(&self, object: Object<'_>, whole: Bytes, notes: &mut dyn Notes) -> Result<Receipt, Outcome> {
        announce(notes, &self.address()).await.map_err(|error| broken_off(&error))?;
        let bytes = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        let sent = match object.put(whole.clone()).await {
            Err(failure) if self.may_make_bucket(&failure) => {
                object.create_bucket().await.map_err(|failure| failure.outcome(Effect::Hidden))?;
                object.put(whole).await
            }
            sent => sent,
        };
        sent.map_err(|failure| failure.outcome(Effect::Visible))?;
        Ok(Receipt { bytes })
    }

    async fn send_in_parts(
        &self,
        object: Object<'_>,
        in_hand: Vec<Bytes>,
        parts: Parts<'_>,
        notes: &mut dyn Notes,
    ) -> Result<Receipt, Outcome> {
        let hidden = |failure: Failure| failure.outcome(Effect::Hidden);
        let id = match object.create_upload().await {
            Err(failure) if self.may_make_bucket(&failure) => {
                object.create_bucket().await.map_err(hidden)?;
                object.create_upload().await.map_err(hidden)?
            }
            created => created.map_err(hidden)?,
        };
        let note = Note { address: self.address(), upload: Some(id.clone()) };
        let ended = match notes.add(note.to_bytes()).await {
            Ok(()) => Upload::new(object, &id).run(in_hand, parts).await,
            Err(error) => Err(broken_off(&error)),
        };
        // An upload that may be completing just now is left to `recover`, which asks first.
        if matches!(ended, Err(Outcome::Retry { .. } | Outcome::Refused(_))) {
            abort(object, &id, true).await;
        }
        ended
    }

    /// Throws away what earlier attempts left at this endpoint, be it in a bucket that was in force then. One that cannot be
    /// thrown away is tried again with the next attempt, a few times.
    async fn abort_earlier(&self, object: Object<'_>, earlier: &[Bytes]) -> Result<(), Failure> {
        for note in earlier.iter().filter_map(Note::parse) {
            let Note { address, upload: Some(id) } = note else { continue };
            if address.endpoint != self.endpoint.shared.name || self.endpoint.shared.learned.is_gone(&id) {
                continue;
            }
            let target = Target { bucket: address.bucket, ..self.target.clone() };
            let aborted = Object { target: &target, ..object }.abort(&id, false).await;
            if let Err(failure) = aborted
                && !self.endpoint.shared.learned.gives_up_upload(&id, &failure)
            {
                return Err(failure);
            }
        }
        Ok(())
    }

    fn may_make_bucket(&self, failure: &Failure) -> bool {
        self.endpoint.shared.create_buckets && failure.code() == "NoSuchBucket"
    }

    fn object<'a>(&'a self, intent: &'a Intent, encoding: Option<&'static str>) -> Object<'a> {
        Object { endpoint: &self.endpoint, target: &self.target, key: &intent.object.key, encoding }
    }
}

impl fmt::Display for S3Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{} at {}", self.target.bucket, self.endpoint.shared.name)
    }
}

#[async_trait]
impl Sink for S3Sink {
    async fn deliver(&self, intent: &Intent, body: &mut dyn Body, notes: &mut dyn Notes) -> Outcome {
        let encoding = body.compression().content_encoding();
        match self.attempt(self.object(intent, encoding), body, notes).await {
            Ok(receipt) => Outcome::Delivered(receipt),
            Err(outcome) => outcome,
        }
    }

    /// Asks by HEAD.
    ///
    /// A request whose outcome was unknown can still be at work in the server when HEAD finds nothing. The next attempt then
    /// sends the same records under the same name, and whichever of the two is written last leaves the same object.
    async fn recover(&self, intent: &Intent, notes: &mut dyn Notes) -> Recovery {
        let object = self.object(intent, None);
        let recovery = match object.head().await {
            Ok(bytes) => Recovery::Delivered(Receipt { bytes }),
            Err(failure) if failure.status() == Some(404) => Recovery::Absent,
            Err(failure) if failure.status() == Some(403) && !self.former => {
                if self.endpoint.shared.learned.cannot_read(&self.target.bucket) {
                    tracing::warn!(
                        sink = %self,
                        error = %failure.error,
                        "objects cannot be read (s3:GetObject, s3:ListBucket); one whose outcome is unknown is written again"
                    );
                }
                Recovery::Absent
            }
            Err(failure) => return Recovery::Unknown(failure.error),
        };
        // An object that is there is there, whatever becomes of uploads beside it.
        match (self.abort_earlier(object, notes.earlier()).await, &recovery) {
            (Err(failure), Recovery::Absent) => Recovery::Unknown(failure.error),
            _ => recovery,
        }
    }

    async fn probe(&self) -> Result<(), DeliveryError> {
        requests::head_bucket(&self.endpoint, &self.target).await.map_err(|failure| failure.error)
    }

    fn announcement(&self) -> Option<Bytes> {
        Some(self.first_note())
    }

    fn memory_bytes(&self, most_bytes: u64) -> usize {
        self.endpoint.memory_bytes(most_bytes)
    }
}

/// Best effort: an upload that stays is invisible, and its id is in the notes.
async fn abort(object: Object<'_>, id: &str, landed: bool) {
    if let Err(failure) = object.abort(id, landed).await {
        tracing::debug!(upload = id, error = %failure.error, "could not abort a multipart upload");
    }
}
