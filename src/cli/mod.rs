//! The command line: what each command takes, does and prints.
//!
//! A command is a file: the options (read by clap), then `run`. Commands print through [`Out`] only, so that tests read what
//! users read, and end with an [`Error`] that knows its exit code. Client commands speak HTTP to a running service and share
//! nothing else with it; `serve` and `demo` are the service; `check` is the service's own parsing without the service.

mod check;
mod client;
mod demo;
mod descriptors;
mod error;
mod flags;
mod flush;
mod health;
mod hold;
mod logs;
mod out;
mod put;
mod serve;
mod show;
mod streams;

use clap::{Parser, Subcommand};

use crate::clock::Clock;
use crate::settings::Environment;

pub use error::Error;
pub use out::Out;

/// The command line of `hydrant`.
#[derive(Debug, Parser)]
#[command(
    name = "hydrant",
    version,
    about = "A self-hosted delivery service that speaks the Amazon Data Firehose API",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Check(check::Check),
    Streams(streams::Streams),
    Put(put::Put),
    Flush(flush::Flush),
    Pause(hold::Pause),
    Resume(hold::Resume),
    Health(health::Health),
}

/// What commands find around them.
pub struct Context<'a> {
    /// Environment variables.
    pub environment: &'a Environment,
    /// Where they print.
    pub out: &'a mut Out,
    /// Time and chance.
    pub clock: Clock,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What went wrong; [`Error::exit_code`] tells the kinds apart.
    pub async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        match self.command {
            Command::Serve(serve) => Box::pin(serve.run(context)).await,
            Command::Demo(demo) => Box::pin(demo.run(context)).await,
            Command::Check(check) => Box::pin(check.run(context)).await,
            Command::Streams(streams) => streams.run(context).await,
            Command::Put(put) => Box::pin(put.run(context)).await,
            Command::Flush(flush) => flush.run(context).await,
            Command::Pause(pause) => pause.run(context).await,
            Command::Resume(resume) => resume.run(context).await,
            Command::Health(health) => health.run(context).await,
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  hydrant demo                                     see it work, in a minute and one directory
  hydrant serve --data /var/lib/hydrant            run the service on 127.0.0.1:4573
  aws --endpoint-url http://127.0.0.1:4573 firehose list-delivery-streams
  hydrant put clicks clicks.jsonl                  send a file, each line a record

Exit codes: 0 done; 1 tried and failed, or faults were found; 2 wrong usage; 3 refused to start.";

#[cfg(test)]
pub(crate) mod tests;
