//! A value that is looked at, and waited for.
//!
//! Whoever waited first goes first: tokio's `watch` wakes its waiters in an order drawn by chance, which no seed repeats.

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A shared value and the news of its changes.
pub(super) struct Level<T> {
    value: Mutex<T>,
    changed: Notify,
}

impl<T: Copy + PartialOrd> Level<T> {
    pub(super) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Notify::new() }
    }

    pub(super) fn get(&self) -> T {
        *self.value.lock()
    }

    pub(super) fn set(&self, value: T) {
        *self.value.lock() = value;
        self.changed.notify_waiters();
    }

    /// Sets it to `value` unless it is higher.
    pub(super) fn raise(&self, value: T) {
        {
            let mut now = self.value.lock();
            if *now >= value {
                return;
            }
            *now = value;
        }
        self.changed.notify_waiters();
    }

    /// Waits until it is as `wanted`.
    pub(super) async fn until(&self, wanted: impl Fn(T) -> bool) {
        loop {
            // Made before the look: a change between the two is not missed.
            let changed = self.changed.notified();
            if wanted(self.get()) {
                return;
            }
            changed.await;
        }
    }
}
