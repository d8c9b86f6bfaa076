//! One byte budget for everything that delivery holds: parts, codecs.
//!
//! Waiters are served in the order in which they came, so no stream starves another; one that is larger than the whole budget
//! takes all of it, so at least one sender always fits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The budget; cheap to clone.
#[derive(Clone, Debug)]
pub struct MemoryBudget {
    grains: Arc<Semaphore>,
    total: u32,
    waiting: Arc<AtomicUsize>,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub struct Grant {
    _permit: OwnedSemaphorePermit,
}

impl MemoryBudget {
    /// A budget of `bytes`.
    pub fn new(bytes: usize) -> Self {
        let total = grains(bytes);
        let grains = usize::try_from(total).unwrap_or(Semaphore::MAX_PERMITS);
        Self { grains: Arc::new(Semaphore::new(grains)), total, waiting: Arc::default() }
    }

    /// Waits for `bytes` of it.
    pub async fn take(&self, bytes: usize) -> Grant {
        let wanted = grains(bytes).min(self.total);
        let _waiting = Waiting::new(&self.waiting);
        let permit = Arc::clone(&self.grains).acquire_many_owned(wanted).await;
        Grant { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Whether somebody waits for a share.
    pub fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Bytes given out.
    pub fn used(&self) -> usize {
        let total = usize::try_from(self.total).unwrap_or(usize::MAX);
        (total - self.grains.available_permits().min(total)) * GRAIN_BYTES
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn grains(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN_BYTES)).unwrap_or(u32::MAX).max(1)
}

/// The semaphore counts in these, since it counts in 32 bits.
const GRAIN_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_beyond_the_budget_gets_all_of_it() {
        let budget = MemoryBudget::new(1 << 20);
        let all = budget.take(5 << 20).await;
        assert_eq!(budget.used(), 1 << 20);
        assert!(!budget.is_wanted());
        drop(all);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_large_request_is_not_overtaken_by_small_ones() {
        let budget = MemoryBudget::new(8 << 10);
        let first = budget.take(4 << 10).await;
        let mut large = std::pin::pin!(budget.take(8 << 10));
        assert!(futures_util::poll!(&mut large).is_pending());
        let mut small = std::pin::pin!(budget.take(4 << 10));
        assert!(futures_util::poll!(&mut small).is_pending());
        assert!(budget.is_wanted());
        drop(first);
        assert!(futures_util::poll!(&mut small).is_pending());
        assert!(futures_util::poll!(&mut large).is_ready());
    }
}
