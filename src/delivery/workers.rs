//! Where stages run that hold a thread for more than half a millisecond.

/// Runs blocking stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// On the runtime's blocking pool.
    Pool,
    /// On the calling task: a simulation stays single-threaded.
    Inline,
}

impl Workers {
    /// Runs `work` and waits for it.
    ///
    /// # Panics
    /// When `work` does.
    pub async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        match self {
            Self::Inline => work(),
            Self::Pool => match tokio::task::spawn_blocking(work).await {
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
