//! What is looked at again and again: free space, the pool, logs that failed, idle memory, deleted streams that take too long,
//! copies of modules that nobody needs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hydrant_model::Buffer;
use tokio_util::sync::CancellationToken;

use super::Service;

impl Service {
    /// Looks after the disk until `closing`.
    pub(super) async fn watch(self, closing: CancellationToken) {
        loop {
            let (pool, floor) = (Arc::clone(&self.inner.workshop.pool), self.inner.settings.free_space_floor);
            let logs = self.everyone().into_iter().map(|running| running.log.clone());
            let failed: Vec<_> = logs.filter(|log| !log.is_writable()).collect();
            let looked = tokio::task::spawn_blocking(move || {
                if let Err(error) = pool.look_at_space(floor) {
                    tracing::warn!(%error, "the space on the volume of the logs cannot be looked after");
                }
                if pool.wants_filling() {
                    pool.fill();
                }
                for log in failed {
                    log.mend();
                }
            });
            if looked.await.is_err() {
                tracing::error!("looking after the disk panicked");
            }
            Buffer::give_back();
            self.end_overdue_drains();
            self.forget_modules();
            tokio::select! {
                () = self.inner.clock.sleep(LOOK_EVERY) => {}
                () = closing.cancelled() => return,
            }
        }
    }

    /// Gives up the copies of modules that no stream names any more. Not while one may be about to, and not where a stream could not
    /// be started: nobody knows what that one needs.
    fn forget_modules(&self) {
        let Ok(_changing) = self.inner.changing.try_lock() else { return };
        if self.inner.recovering.load(Ordering::Relaxed) || !self.inner.damaged.lock().is_empty() {
            return;
        }
        let plans = self.everyone().into_iter().flat_map(|running| running.handle.stream.plans());
        let arns: Vec<_> =
            plans.filter_map(|plan| plan.processing.function.as_ref().map(|(_, it)| it.arn.clone())).collect();
        self.inner.lambdas.modules.forget_all_but(&arns);
    }
}

const LOOK_EVERY: Duration = Duration::from_millis(500);
