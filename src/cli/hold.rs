//! `hydrant pause`, `hydrant resume`: hold and release the delivery of a stream.

use clap::Args;
use reqwest::Method;

use super::client::{Client, Endpoint};
use super::{Context, Error};

/// Hold the delivery of a stream; records are still accepted and wait on disk
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hydrant pause clicks")]
pub(super) struct Pause {
    /// The delivery stream
    name: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

/// Release the delivery of a stream that was paused
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  hydrant resume clicks")]
pub(super) struct Resume {
    /// The delivery stream
    name: String,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Pause {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        post(&self.name, "pause", &self.endpoint, context).await?;
        context.out.line(format_args!("{}: paused; records wait until `hydrant resume {}`", self.name, self.name))
    }
}

impl Resume {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        post(&self.name, "resume", &self.endpoint, context).await?;
        context.out.line(format_args!("{}: resumed", self.name))
    }
}

async fn post(name: &str, what: &str, endpoint: &Endpoint, context: &Context<'_>) -> Result<(), Error> {
    let client = Client::new(endpoint, context)?;
    client.send(client.request(Method::POST, &["streams", name, what])?).await?;
    Ok(())
}
