//! Who runs the commits: a few threads for all logs, or the caller's own runtime in simulation.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};

use super::Log;

/// Commits logs that have something queued.
pub trait Committers: Send + Sync {
    /// Arranges for `log` to be committed soon. Called once until the log's queue has been found empty.
    fn schedule(&self, log: Log);
}

/// A small set of threads that serves all logs; a log is with one of them at a time.
pub struct ThreadCommitters {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl ThreadCommitters {
    /// Starts `threads` threads.
    pub fn start(threads: usize) -> Arc<Self> {
        let queue = Arc::new(Queue::default());
        queue.state.lock().working = threads;
        let start = |number: usize| {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(format!("log-sync-{number}"))
                .spawn(move || queue.work())
                .expect("a thread can be started while the service starts")
        };
        let threads = Mutex::new((0..threads).map(start).collect());
        Arc::new(Self { queue, threads })
    }

    /// Ends the threads when everything scheduled has been committed. Appends from then on are refused: their log is closed.
    pub fn stop(&self) {
        self.queue.state.lock().stopping = true;
        self.queue.ready.notify_all();
        for thread in self.threads.lock().drain(..) {
            if thread.join().is_err() {
                tracing::error!("a log's sync thread panicked");
            }
        }
    }
}

impl Committers for ThreadCommitters {
    fn schedule(&self, log: Log) {
        self.queue.push(log);
    }
}

/// Commits on the runtime that appends, so that a single-threaded simulation stays single-threaded.
pub struct InlineCommitters;

impl Committers for InlineCommitters {
    fn schedule(&self, log: Log) {
        #[expect(clippy::disallowed_methods, reason = "a simulation has no service that tracks tasks")]
        tokio::spawn(async move {
            // Others may append before this task runs: that is group commit.
            tokio::task::yield_now().await;
            while log.commit() {
                tokio::task::yield_now().await;
            }
        });
    }
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    ready: Condvar,
}

#[derive(Default)]
struct State {
    logs: VecDeque<Log>,
    stopping: bool,
    /// Threads that still take logs.
    working: usize,
}

impl Queue {
    fn push(&self, log: Log) {
        let mut state = self.state.lock();
        if state.working == 0 {
            drop(state);
            log.abandon();
            return;
        }
        state.logs.push_back(log);
        drop(state);
        self.ready.notify_one();
    }

    fn work(&self) {
        while let Some(log) = self.pop() {
            // One group a turn: a busy log does not keep the others from a thread.
            match panic::catch_unwind(AssertUnwindSafe(|| log.commit())) {
                Ok(true) => self.push(log),
                Ok(false) => {}
                Err(_) => {
                    // Nobody can say what is on disk now; a restart can.
                    tracing::error!("a commit of a log panicked; the process ends");
                    std::process::abort();
                }
            }
        }
    }

    fn pop(&self) -> Option<Log> {
        let mut state = self.state.lock();
        loop {
            if let Some(log) = state.logs.pop_front() {
                return Some(log);
            }
            if state.stopping {
                state.working -= 1;
                return None;
            }
            self.ready.wait(&mut state);
        }
    }
}
