//! Where stages run that hold a thread for more than half a millisecond.

use tokio::task::JoinHandle;

/// Runs blocking stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// On the runtime's blocking pool.
    Pool,
    /// On the calling task: a simulation stays single-threaded.
    Inline,
}

/// A stage under way. Whoever waits for it may stop and come back: it is not begun again.
#[derive(Debug)]
pub struct Work<T>(State<T>);

#[derive(Debug)]
enum State<T> {
    Done(Option<T>),
    Running(JoinHandle<T>),
}

impl Workers {
    /// Begins `work`.
    pub fn start<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
        Work(match self {
            Self::Inline => State::Done(Some(work())),
            Self::Pool => State::Running(tokio::task::spawn_blocking(work)),
        })
    }

    /// Runs `work` and waits for it.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.start(work).done().await
    }
}

impl<T> Work<T> {
    /// Waits for the result, which is given once.
    ///
    /// # Panics
    /// When the stage does, and when the result was given before.
    pub async fn done(&mut self) -> T {
        match &mut self.0 {
            State::Done(result) => result.take().expect("a result is asked for once"),
            State::Running(running) => match running.await {
                Ok(done) => done,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // The runtime is being shut down; nobody waits for the result.
                    Err(_) => std::future::pending().await,
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_stage_that_nobody_waits_for_goes_on_and_is_not_begun_again() {
        let begun = Arc::new(AtomicU32::new(0));
        let (gate, opened) = std::sync::mpsc::channel();
        let counting = Arc::clone(&begun);
        let mut work = Workers::Pool.start(move || {
            counting.fetch_add(1, Ordering::SeqCst);
            opened.recv().expect("opened")
        });
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(1), work.done()).await.is_err());
        }
        gate.send(7).expect("somebody listens");
        assert_eq!(work.done().await, 7);
        assert_eq!(begun.load(Ordering::SeqCst), 1);
    }
}
