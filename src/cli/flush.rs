//! `hydrant flush`: cut what waits now and deliver it.

use clap::Args;
use reqwest::Method;

use super::client::{CallError, Client, Endpoint};
use super::{Context, Error};

/// Deliver now what a stream holds, without waiting for its buffering hints
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Flush {
    /// The delivery stream
    name: String,
    /// Wait until everything is delivered, at most so long; exit 1 if it then is not
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "300",
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    wait: Option<u32>,
    /// The seconds of `--wait SECONDS`: as a value of the option it would take the name in `--wait NAME`
    #[arg(hide = true, requires = "wait", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: Option<u32>,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Flush {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let client = Client::new(&self.endpoint, context)?;
        let Some(seconds) = self.seconds.or(self.wait) else {
            client.send(client.request(Method::POST, &["streams", &self.name, "flush"])?).await?;
            return context.out.line(format_args!("{}: what it holds is being delivered", self.name));
        };
        match client.flush_and_wait(&self.name, seconds).await {
            Ok(()) => context.out.line(format_args!("{}: delivered", self.name)),
            Err(Error::Call(CallError::Refused { status: 504, .. })) => Err(Error::Failed(format!(
                "{name} is not delivered after {seconds} s; it goes on, and `hydrant streams {name}` shows how far it is",
                name = self.name
            ))),
            Err(error) => Err(error),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  hydrant flush clicks               start delivering and return
  hydrant flush clicks --wait=60     return when it is delivered, or exit 1 after a minute

--wait alone waits for 300 seconds.";
