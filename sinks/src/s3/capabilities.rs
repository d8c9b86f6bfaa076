//! What an endpoint turned out to understand, shared by all streams that deliver there.
//!
//! Checksums, conditional writes and unsigned payloads are helps that some S3 servers lack. A request starts with all of
//! them; an answer that names one as the trouble has the request repeated without it, and only when *that* succeeds is the
//! lack believed and remembered (until the restart), so that an unrelated error cannot switch a help off.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::classify::Failure;

/// The helps that one request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// `If-None-Match: *`.
    pub(super) condition: bool,
    /// `x-amz-checksum-crc32`.
    pub(super) checksum: bool,
    /// `x-amz-content-sha256: UNSIGNED-PAYLOAD`, which saves hashing the body twice.
    pub(super) unsigned: bool,
}

impl Features {
    /// These features without the one that `failure` complains about; `None` when it complains of something else.
    pub(super) fn without_rejected(self, failure: &Failure) -> Option<Self> {
        let status = failure.status()?;
        if !matches!(status, 400 | 403 | 501) || matches!(failure.code(), "BadDigest" | "XAmzContentChecksumMismatch") {
            return None;
        }
        let text = format!("{} {}", failure.code(), failure.error.message).to_ascii_lowercase();
        let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let nameless = status == 501;
        if self.condition && names(&["if-none-match", "conditional"]) {
            Some(Self { condition: false, ..self })
        } else if self.checksum && names(&["checksum", "crc32"]) {
            Some(Self { checksum: false, ..self })
        } else if self.unsigned && names(&["unsigned", "x-amz-content-sha256", "contentsha256"]) {
            Some(Self { unsigned: false, ..self })
        } else if self.condition && nameless {
            Some(Self { condition: false, ..self })
        } else if self.checksum && nameless {
            Some(Self { checksum: false, ..self })
        } else {
            None
        }
    }
}

/// What was learned of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Learned {
    no_condition: AtomicBool,
    no_checksum: AtomicBool,
    no_unsigned: AtomicBool,
    unreadable: Mutex<HashSet<String>>,
    gone_uploads: Mutex<HashSet<String>>,
    /// How often an upload could not be aborted.
    stubborn_uploads: Mutex<HashMap<String, u32>>,
}

impl Learned {
    /// Starts without checksums, where the SDK's configuration asks for that.
    pub(super) fn new(checksums: bool) -> Self {
        Self { no_checksum: AtomicBool::new(!checksums), ..Self::default() }
    }

    /// What to send with a request to `bucket`.
    ///
    /// Where objects cannot be read, no condition is sent: a 412 could not be told from an object that is not there, and the
    /// same key overwritten with the same records does no harm.
    pub(super) fn features(&self, bucket: &str) -> Features {
        Features {
            condition: !self.no_condition.load(Ordering::Relaxed) && !lock(&self.unreadable).contains(bucket),
            checksum: !self.no_checksum.load(Ordering::Relaxed),
            unsigned: !self.no_unsigned.load(Ordering::Relaxed),
        }
    }

    /// A request that started out with `first` succeeded with `last`.
    pub(super) fn confirm(&self, endpoint: &str, first: Features, last: Features) {
        for (had, has, flag, what) in [
            (first.condition, last.condition, &self.no_condition, "conditional writes"),
            (first.checksum, last.checksum, &self.no_checksum, "CRC-32 checksums"),
            (first.unsigned, last.unsigned, &self.no_unsigned, "unsigned payloads"),
        ] {
            if had && !has && !flag.swap(true, Ordering::Relaxed) {
                tracing::info!(endpoint, "the server does not understand {what}; going on without");
            }
        }
    }

    /// Objects of `bucket` cannot be read; true the first time.
    pub(super) fn cannot_read(&self, bucket: &str) -> bool {
        lock(&self.unreadable).insert(bucket.to_owned())
    }

    /// The server no longer has this upload.
    pub(super) fn upload_is_gone(&self, id: &str) {
        let mut gone = lock(&self.gone_uploads);
        // Forgetting costs one needless request per upload.
        if gone.len() >= MAX_GONE_UPLOADS {
            gone.clear();
        }
        gone.insert(id.to_owned());
    }

    /// Whether an upload that could not be aborted for `failure` is left to a lifecycle rule: delivery waits for an endpoint that
    /// is away, not for one that will not.
    pub(super) fn gives_up_upload(&self, id: &str, failure: &Failure) -> bool {
        if matches!(failure.status(), Some(400..=499)) && !matches!(failure.status(), Some(408 | 429)) {
            // Some servers say so of an upload that is gone.
            tracing::debug!(upload = id, error = %failure.error, "the server refuses to abort a multipart upload");
            return true;
        }
        let mut stubborn = lock(&self.stubborn_uploads);
        if stubborn.len() >= MAX_GONE_UPLOADS {
            stubborn.clear();
        }
        let tries = stubborn.entry(id.to_owned()).or_insert(0);
        *tries += 1;
        if *tries < MAX_ABORTS {
            return false;
        }
        stubborn.remove(id);
        drop(stubborn);
        tracing::warn!(upload = id, error = %failure.error, "a multipart upload cannot be aborted; a lifecycle rule ends it");
        self.upload_is_gone(id);
        true
    }

    /// Whether [`Self::upload_is_gone`] was said of it.
    pub(super) fn is_gone(&self, id: &str) -> bool {
        lock(&self.gone_uploads).contains(id)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A set is whole after every operation, so a panic elsewhere while it was held does not matter.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const MAX_GONE_UPLOADS: usize = 4096;
const MAX_ABORTS: u32 = 5;
