//! Whether a stream's delivery is held, and waiting for it to change.
//!
//! Whoever waited first goes first: tokio's `watch` wakes its waiters in an order drawn by chance, which no seed repeats.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Held or open.
pub(super) struct Gate {
    held: AtomicBool,
    changed: Notify,
}

impl Gate {
    pub(super) fn new(held: bool) -> Self {
        Self { held: AtomicBool::new(held), changed: Notify::new() }
    }

    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    pub(super) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until it is held, or open.
    pub(super) async fn becomes(&self, held: bool) {
        loop {
            // Made before the look: a change between the two is not missed.
            let changed = self.changed.notified();
            if self.is_held() == held {
                return;
            }
            changed.await;
        }
    }
}
