//! `hydrant health`: whether the service is ready, for images without curl.

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::client::{CallError, Client, Endpoint};
use super::show::one_line;
use super::{Context, Error};

/// Exit 0 when the service is ready to accept records, else say why not and exit 1
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Health {
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Health {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let client = Client::new(&self.endpoint, context)?;
        let request = client.request(Method::GET, &["ready"])?.timeout(PATIENCE);
        match client.send(request).await {
            Ok(_) => context.out.line("ready"),
            Err(CallError::Refused { status: 503, body, message, .. }) => {
                let reasons = reasons(&body).unwrap_or_else(|| vec![message]);
                for reason in &reasons {
                    context.out.line(format_args!("not ready: {}", one_line(reason, 500)))?;
                }
                Err(Error::Failed("the service is not ready".to_owned()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn reasons(body: &[u8]) -> Option<Vec<String>> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let reasons = document.get("reasons")?.as_array()?;
    let text = |reason: &Value| reason.as_str().map_or_else(|| reason.to_string(), str::to_owned);
    let reasons: Vec<String> = reasons.iter().map(text).collect();
    (!reasons.is_empty()).then_some(reasons)
}

const EXAMPLES: &str = "\
Example, in a Dockerfile:
  HEALTHCHECK CMD [\"hydrant\", \"health\"]

A dead destination is no reason: records are accepted and wait. See it with `hydrant streams`.";

/// Shorter than what orchestrators give a probe.
const PATIENCE: Duration = Duration::from_secs(5);
