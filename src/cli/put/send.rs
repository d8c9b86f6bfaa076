//! Sends batches and repeats them until they are accepted.

use std::path::Path;
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::Method;
use serde::Deserialize;

use super::beside;
use super::lines::Batch;
use crate::cli::client::{CallError, Client};
use crate::cli::{Context, Error};

/// Sends batches to one stream.
pub(super) struct Sender {
    client: Client,
    stream: String,
    retry_for: Duration,
}

/// Answer of `POST /streams/{name}/records`.
#[derive(Deserialize)]
struct Accepted {
    accepted: u64,
}

impl Sender {
    /// A sender that gives up when nothing was accepted for `retry_for`.
    ///
    /// # Errors
    /// `stream` cannot be a name.
    pub(super) fn new(client: Client, stream: String, retry_for: Duration) -> Result<Self, Error> {
        // Found before anything is read.
        _ = client.request(Method::POST, &["streams", &stream, "records"])?;
        Ok(Self { client, stream, retry_for })
    }

    /// The service.
    pub(super) fn endpoint(&self) -> &str {
        self.client.endpoint()
    }

    /// Sends `batch`, which is of `file`, until it is accepted.
    ///
    /// # Errors
    /// The service refuses it, or accepts nothing for too long.
    pub(super) async fn send(
        &self,
        batch: &Batch,
        file: &Path,
        bar: &ProgressBar,
        context: &mut Context<'_>,
    ) -> Result<(), Error> {
        if batch.records == 0 {
            return Ok(());
        }
        let since = context.clock.now();
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.send_once(batch).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let retry_after = match &error {
                Error::Call(CallError::NoAnswer { .. }) => None,
                Error::Call(CallError::Refused { status: 429 | 500 | 502 | 503 | 504, retry_after, .. }) => {
                    *retry_after
                }
                _ => return Err(at_line(error, batch, file)),
            };
            // Jitter, so that many that were refused together do not come back together.
            let wait = retry_after.unwrap_or_else(|| pause.mul_f64(0.5 + context.clock.fraction() / 2.0));
            if context.clock.now() + wait > since + self.retry_for {
                return Err(error);
            }
            if pause == FIRST_PAUSE {
                beside(bar, || context.out.note(format_args!("{error}; trying again")))?;
                bar.set_message("waiting for the service");
            }
            context.clock.sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        bar.set_message("");
        Ok(())
    }

    async fn send_once(&self, batch: &Batch) -> Result<(), Error> {
        let request = self.client.request(Method::POST, &["streams", &self.stream, "records"])?;
        let request = request.header("content-type", "text/plain").body(batch.body.clone());
        let Accepted { accepted } = self.client.json(request).await?;
        if accepted == batch.records {
            return Ok(());
        }
        let sent = batch.records;
        Err(Error::Failed(format!("{} accepted {accepted} records where {sent} were sent", self.endpoint())))
    }
}

/// The service counts lines from the start of the batch; the user knows the file.
fn at_line(error: Error, batch: &Batch, file: &Path) -> Error {
    match error {
        Error::Call(CallError::Refused { endpoint, status, message, retry_after, body }) => {
            let (file, line) = (file.display(), batch.start.line + 1);
            let message = format!("{message} (line 1 of this batch is line {line} of {file})");
            Error::Call(CallError::Refused { endpoint, status, message, retry_after, body })
        }
        other => other,
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
