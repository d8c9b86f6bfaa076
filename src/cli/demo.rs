//! `hydrant demo`: the whole way of a record, in one directory.
//!
//! It starts the service on the embedded default, talks to it through its real socket and the real API, and reads back what was
//! delivered: every record must be there exactly once.

mod api;
mod clicks;
mod folder;
mod objects;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::objects::Object;
use super::client::{Client, Endpoint};
use super::out::Unit;
use super::show::{bytes, counted, one_line};
use super::{Context, Error, logs};
use crate::service;
use crate::settings::{LogFormat, Settings, log_filter};

/// See it work: start the service, post a click stream, wait for delivery, show the objects
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Demo {
    /// Where everything goes; the demo's own directory of an earlier run is replaced
    #[arg(long, value_name = "DIR", default_value = "hydrant-demo")]
    dir: PathBuf,
}

impl Demo {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let filter = log_filter(context.environment);
        logs::start(LogFormat::Text, filter.as_deref().unwrap_or("warn"));
        run(&self.dir, RECORDS, context).await
    }
}

async fn run(dir: &Path, records: u64, context: &mut Context<'_>) -> Result<(), Error> {
    folder::prepare(dir).map_err(not_started)?;
    let mut settings = Settings::embedded(dir);
    settings.listen.set_port(0);
    settings.free_space_floor = FREE_SPACE_FLOOR;
    let stop = CancellationToken::new();
    let (tell_address, address) = oneshot::channel();
    let (_never, reload) = mpsc::channel(1);
    let tell = move |address| _ = tell_address.send(address);
    let service = Box::pin(service::run(settings, tell, stop.clone().cancelled_owned(), reload));
    let tour = async {
        let result = match address.await {
            Ok(address) => tour(address, dir, records, context).await,
            // The service has ended, and says why.
            Err(_) => Ok(()),
        };
        stop.cancel();
        result
    };
    let (served, toured) = tokio::join!(service, Box::pin(tour));
    served?;
    toured
}

/// A directory that cannot be used is a reason not to start.
fn not_started(error: Error) -> Error {
    match error {
        Error::File { doing, path, source } => Error::Refused(format!("{doing} {}: {source}", path.display())),
        other => other,
    }
}

/// Everything that a visitor sees.
async fn tour(address: SocketAddr, dir: &Path, records: u64, context: &mut Context<'_>) -> Result<(), Error> {
    let client = Client::new(&Endpoint { endpoint: Some(format!("http://{address}")) }, context)?;
    let place = dir.display();
    context.out.line(format_args!("hydrant listens on {}; everything it keeps is in {place}", client.endpoint()))?;
    api::create_stream(&client, &context.clock).await?;
    context.out.line(format_args!(
        "created the delivery stream {}: GZIP, {} MiB or {} s, prefix {}",
        api::STREAM,
        api::BUFFER_MIB,
        api::BUFFER_SECONDS,
        api::PREFIX
    ))?;
    post(&client, records, context).await?;
    context.out.line("waiting for delivery")?;
    client.flush_and_wait(api::STREAM, DELIVERY_SECONDS).await?;
    let bucket = dir.join("objects").join(api::BUCKET);
    let objects = objects::read(&bucket)?;
    show(&objects, &bucket, context)?;
    let delivered = objects::judge(&objects, records).map_err(Error::Failed)?;
    context.out.line(format_args!("{delivered}: each that was accepted, exactly once, byte for byte"))?;
    context.out.line(format_args!(
        "\nlook at them:  zcat {0}/clicks/*/*/*/*/*.gz | head -3\ngo on with it: hydrant serve --data {1}",
        quoted(&bucket),
        quoted(dir)
    ))
}

/// Posts the click stream and says how fast it was accepted.
async fn post(client: &Client, records: u64, context: &mut Context<'_>) -> Result<(), Error> {
    let started = context.clock.now();
    let bar = context.out.bar(Some(records), Unit::Records);
    let (mut posted, mut sent_bytes) = (0, 0);
    while posted < records {
        let until = records.min(posted + api::MAX_BATCH_RECORDS);
        let batch: Vec<String> = (posted..until).map(clicks::click).collect();
        sent_bytes += batch.iter().map(|click| click.len() as u64).sum::<u64>();
        api::put_batch(client, batch, &context.clock).await?;
        posted = until;
        bar.set_position(posted);
    }
    bar.finish_and_clear();
    let took = (context.clock.now() - started).as_secs_f64();
    context.out.line(format_args!(
        "posted {}, {}, in {took:.1} s with PutRecordBatch; every answer came after its records were safe on disk",
        counted(records, "record"),
        bytes(sent_bytes)
    ))
}

fn show(objects: &[Object], bucket: &Path, context: &mut Context<'_>) -> Result<(), Error> {
    for object in objects {
        let name = object.path.strip_prefix(bucket).unwrap_or(&object.path).display();
        let first = one_line(&object.first_line, FIRST_LINE_CHARS);
        let (records, size) = (counted(object.lines.len() as u64, "record"), bytes(object.bytes));
        context.out.line(format_args!("\n{name}\n  {records}, {size}\n  {first}"))?;
    }
    context.out.line("")
}

/// A path as a shell reads it, where it must.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Enough for some twenty objects.
const RECORDS: u64 = 50_000;
const DELIVERY_SECONDS: u32 = 120;
const FIRST_LINE_CHARS: usize = 160;
/// A demo takes some 50 MiB and should run on a nearly full laptop.
const FREE_SPACE_FLOOR: u64 = 64 << 20;

const EXAMPLES: &str = "\
Example:
  hydrant demo --dir /tmp/hydrant-demo

The objects stay in DIR when it ends. Exit codes: 0 every record was delivered exactly once; 1 not; 3 it did not start.";

#[cfg(test)]
mod tests;
