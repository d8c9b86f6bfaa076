//! A Lambda function in the middle of a stream: which records it is asked about at once, what its event and its answer look
//! like, and what becomes of records when it does not answer.
//!
//! ```text
//! Records ─► batches ─► event (JSON) ─► Function::invoke ─► answer (JSON) ─► verdicts ─► Records, Fates
//! ```
//!
//! | Outcome of a call | Attempts | Its records |
//! |---|---|---|
//! | an answer that can be read | 1 | as [`verdicts`](crate::verdicts) says |
//! | an answer that cannot be read | 1: the call was valid | `Lambda.JsonProcessingException` |
//! | no answer, an error of the function, an answer over 6 MB | `NumberOfRetries` and one | the code of the last error |
//!
//! The event is that of <https://docs.aws.amazon.com/firehose/latest/dev/data-transformation.html>, of a stream with Direct PUT.
//! The room does no I/O: the service implements [`Function`], waiting included.

mod answer;
mod event;

use std::borrow::Cow;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

pub use self::answer::Unreadable;
pub use self::event::{Caller, batches, event, record_id};
use crate::processors::LambdaParameters;
use crate::records::{Arrived, Fates, Records};
use crate::verdicts::{Answers, Settling};

/// A function that can be called.
#[async_trait]
pub trait Function: Send + Sync {
    /// Calls it with an event and waits for what it returns.
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError>;

    /// Waits before it is called again, after it failed so many times.
    async fn back_off(&self, failed: u32);
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.code())]
pub struct InvokeError {
    /// What happened.
    pub kind: InvokeErrorKind,
    /// More about it, for people; AWS's text stands before it in error entries.
    pub message: String,
}

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InvokeErrorKind {
    /// The function returned an error.
    Function,
    /// The function ran longer than it may.
    FunctionTimedOut,
    /// The request for it was not answered in time.
    RequestTimedOut,
    /// It is called too often.
    Throttled,
    /// The connection broke.
    NoResponse,
    /// The role may not be assumed.
    RoleDenied,
    /// The role may not call it.
    Denied,
    /// There is none of this name.
    NotFound,
    /// The service that runs functions is not available.
    Unavailable,
    /// The service that runs functions has a fault.
    Internal,
    /// Anything else.
    Other,
}

impl InvokeErrorKind {
    /// AWS's code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Function => "Lambda.FunctionError",
            Self::FunctionTimedOut => "Lambda.FunctionTimedOut",
            Self::RequestTimedOut => "Lambda.FunctionRequestTimedOut",
            Self::Throttled => "Lambda.InvokeLimitExceeded",
            Self::NoResponse => "Lambda.TargetServerFailedToRespond",
            Self::RoleDenied => "Lambda.AssumeRoleAccessDenied",
            Self::Denied => "Lambda.InvokeAccessDenied",
            Self::NotFound => "Lambda.ResourceNotFound",
            Self::Unavailable => "Lambda.ServiceUnavailable",
            Self::Internal => "Lambda.InternalServerError",
            Self::Other => "Lambda.InvocationFailure",
        }
    }

    /// What an error entry begins with.
    fn text(self) -> &'static str {
        match self {
            Self::Function => "The Lambda function was successfully invoked but it returned an error result.",
            Self::FunctionTimedOut => "The Lambda function timed out.",
            Self::RequestTimedOut => "The request to the Lambda function timed out.",
            Self::Throttled => "The Lambda function is invoked more often than its limit of concurrency allows.",
            Self::NoResponse => "The server of the Lambda function did not respond.",
            Self::RoleDenied => "The role for the Lambda function cannot be assumed.",
            Self::Denied => "The role has no permission to invoke the Lambda function.",
            Self::NotFound => "The Lambda function does not exist.",
            Self::Unavailable => "The Lambda service is not available.",
            Self::Internal => "The Lambda service has an internal error.",
            Self::Other => "The Lambda function could not be invoked.",
        }
    }
}

/// Asks `function` about all `records`, in batches of which some are on their way at once. Each record goes exactly one way.
pub async fn ask(
    function: &dyn Function,
    parameters: &LambdaParameters,
    caller: &Caller,
    mut records: Records,
    arrived: &Arrived,
    fates: &mut Fates,
) -> Records {
    let mut settling = Settling::new(&mut records);
    let before = settling.before();
    let cut = batches(before, parameters.buffer_bytes);
    let calls = cut.into_iter().map(|batch| async {
        let outcome = call(function, parameters.retries, caller, before, arrived, batch.clone()).await;
        (batch, outcome)
    });
    let mut outcomes = stream::iter(calls).buffered(CALLS_AT_ONCE);
    while let Some((batch, outcome)) = outcomes.next().await {
        settle(&mut settling, batch, outcome, arrived, fates);
    }
    drop(outcomes);
    settling.done(fates)
}

/// What came of the calls about one batch.
enum Outcome {
    Answered(Bytes, u32),
    Failed { code: &'static str, message: Cow<'static, str>, attempts: u32 },
}

async fn call(
    function: &dyn Function,
    retries: u32,
    caller: &Caller,
    records: &Records,
    arrived: &Arrived,
    batch: Range<usize>,
) -> Outcome {
    let mut attempts = 0;
    loop {
        let event = event(caller, records, arrived, batch.clone(), attempts);
        if event.len() > MOST_PAYLOAD_BYTES {
            // Only a batch of one record can be so large.
            let code = InvokeErrorKind::Other.code();
            return Outcome::Failed { code, message: TOO_LARGE.into(), attempts: 1 };
        }
        let answered = function.invoke(event).await.and_then(|answer| match answer.len() {
            ..=MOST_PAYLOAD_BYTES => Ok(answer),
            _ => Err(InvokeError { kind: InvokeErrorKind::Function, message: "Its response is over 6 MB.".to_owned() }),
        });
        attempts += 1;
        match answered {
            Ok(answer) => return Outcome::Answered(answer, attempts),
            Err(_) if attempts <= retries => function.back_off(attempts).await,
            Err(InvokeError { kind, message }) => {
                let message =
                    if message.is_empty() { kind.text().into() } else { format!("{} {message}", kind.text()).into() };
                return Outcome::Failed { code: kind.code(), message, attempts };
            }
        }
    }
}

fn settle(settling: &mut Settling<'_>, batch: Range<usize>, outcome: Outcome, arrived: &Arrived, fates: &mut Fates) {
    let (answer, attempts) = match outcome {
        Outcome::Answered(answer, attempts) => (answer, attempts),
        Outcome::Failed { code, message, attempts } => {
            settling.failed(batch.len(), code, message, attempts, fates);
            return;
        }
    };
    let before = settling.before();
    let ids = before.iter().skip(batch.start).take(batch.len()).map(|(record, _)| record_id(arrived, record.origin));
    let ids: Vec<_> = ids.collect();
    match answer::read(&answer) {
        Ok(read) => {
            let mut answers = Answers::expected(ids.len());
            read.put_into(&mut answers, &ids);
            settling.answered(answers, attempts, fates);
        }
        Err(Unreadable(reason)) => {
            let message = format!("The response of the Lambda function could not be read: {reason}");
            settling.failed(batch.len(), "Lambda.JsonProcessingException", message.into(), attempts, fates);
        }
    }
}

/// Bytes of an event or an answer at most: AWS's limit of a synchronous call.
pub const MOST_PAYLOAD_BYTES: usize = 6 * 1024 * 1024;

/// Calls on their way at once, as AWS has them for each shard.
const CALLS_AT_ONCE: usize = 5;

const TOO_LARGE: &str = "The record is too large for an event of 6 MB.";

#[cfg(test)]
mod tests;
