//! `hydrant streams`: what waits, how old, what went wrong, what was delivered.

mod table;

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::client::{Client, Endpoint};
use super::{Context, Error};

/// Show delivery streams: what waits, how old, last error, next retry, delivered
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Streams {
    /// Show this delivery stream only, in detail
    name: Option<String>,
    /// Print the service's JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Streams {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let client = Client::new(&self.endpoint, context)?;
        let path: Vec<&str> = ["streams"].into_iter().chain(self.name.as_deref()).collect();
        let request = client.request(Method::GET, &path)?;
        if self.json {
            let document: Value = client.json(request).await?;
            return context.out.line(format_args!("{document:#}"));
        }
        let shown = if self.name.is_some() {
            table::detail(&client.json::<Stream>(request).await?)
        } else {
            table::overview(&client.json::<All>(request).await?.streams)
        };
        context.out.line(shown.trim_end())
    }
}

/// Answer of `GET /streams`. What a newer service adds is passed over.
#[derive(Debug, Deserialize)]
struct All {
    streams: Vec<Stream>,
}

/// Answer of `GET /streams/{name}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stream {
    name: String,
    pub(super) status: String,
    version: u64,
    paused: bool,
    cursors: Vec<Cursor>,
    log_bytes: u64,
    disk_budget_bytes: u64,
    quarantined_bytes: u64,
    /// Where records become rows, and where the service says so.
    #[serde(default)]
    pub(super) schema: Option<Schema>,
}

/// What the rows of a stream look like.
#[derive(Debug, Deserialize)]
pub(super) struct Schema {
    id: String,
    pub(super) columns: Vec<Column>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) hive_type: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cursor {
    #[serde(rename = "cursor")]
    name: String,
    destination: String,
    waiting_records: u64,
    waiting_bytes: u64,
    oldest_age_seconds: Option<f64>,
    last_error: Option<LastError>,
    next_retry_seconds: Option<f64>,
    parked: u64,
    delivered_records: u64,
    delivered_bytes: u64,
    delivered_objects: u64,
}

#[derive(Debug, Deserialize)]
struct LastError {
    code: String,
    message: String,
    /// A time as the service writes it: text, or milliseconds since the Unix epoch.
    at: Value,
}

const EXAMPLES: &str = "\
Examples:
  hydrant streams                  a line for each cursor of each stream
  hydrant streams clicks           one stream, with the text of its last error and its columns
  hydrant streams --json | jq '.streams[] | select(.cursors[].lastError)'";
