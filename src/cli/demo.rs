//! `hydrant demo`: the whole way of a record, in one directory.
//!
//! It starts the service on the embedded default, talks to it through its real socket and the real API, and reads back what was
//! delivered: every record must be there exactly once, in the packed lines of one delivery stream and in the partitioned Parquet
//! of another.

mod api;
mod clicks;
mod folder;
mod objects;
mod streams;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use self::objects::{Form, Object};
use self::streams::{BUCKET, Stream};
use super::client::{Client, Endpoint};
use super::out::Unit;
use super::show::{bytes, counted, one_line};
use super::{Context, Error, logs};
use crate::service;
use crate::settings::{LogFormat, Settings, log_filter};

/// See it work: start the service, post a click stream, wait for delivery, show lines and Parquet
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
    folder::add_module(dir).map_err(not_started)?;
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
    for stream in Stream::ALL {
        api::create(&client, stream, &context.clock).await?;
        let (name, summary) = (stream.name(), stream.summary());
        context.out.line(format_args!("created the delivery stream {name}: {summary}"))?;
    }
    post(&client, records, context).await?;
    context.out.line("waiting for delivery")?;
    let bucket = dir.join("objects").join(BUCKET);
    for stream in Stream::ALL {
        client.flush_and_wait(stream.name(), DELIVERY_SECONDS).await?;
        let objects = objects::read(&bucket.join(stream.name()), stream.form())?;
        show(&objects, stream.form(), &bucket, context)?;
        let delivered = objects::judge(&objects, records).map_err(Error::Failed)?;
        context.out.line(format_args!("{delivered}: {}", stream.promise()))?;
    }
    let columns = one_line(&api::columns(&client, Stream::Shop).await?.join(", "), COLUMNS_CHARS);
    context.out.line(format_args!("the columns were inferred: {columns}\n\n{}", what_next(dir, &bucket)))
}

/// Posts the click stream, each click to every delivery stream, and says how fast it was accepted.
async fn post(client: &Client, records: u64, context: &mut Context<'_>) -> Result<(), Error> {
    let started = context.clock.now();
    let bar = context.out.bar(Some(records), Unit::Records);
    let (mut posted, mut sent_bytes) = (0, 0);
    while posted < records {
        let until = records.min(posted + api::MAX_BATCH_RECORDS);
        let batch: Vec<String> = (posted..until).map(clicks::click).collect();
        sent_bytes += batch.iter().map(|click| click.len() as u64).sum::<u64>();
        for stream in Stream::ALL {
            api::put_batch(client, stream, batch.clone(), &context.clock).await?;
        }
        posted = until;
        bar.set_position(posted);
    }
    bar.finish_and_clear();
    let took = (context.clock.now() - started).as_secs_f64();
    context.out.line(format_args!(
        "posted {}, {}, to each in {took:.1} s with PutRecordBatch; every answer came after its records were safe on disk",
        counted(records, "record"),
        bytes(sent_bytes)
    ))
}

/// Each object of lines with its first one; of rows, which take more objects, only the first with a row.
fn show(objects: &[Object], form: Form, bucket: &Path, context: &mut Context<'_>) -> Result<(), Error> {
    for (index, object) in objects.iter().enumerate() {
        let name = object.path.strip_prefix(bucket).unwrap_or(&object.path).display();
        let first = one_line(&object.first, FIRST_RECORD_CHARS);
        let (records, size) = (counted(object.records.len() as u64, "record"), bytes(object.bytes));
        match form {
            Form::Rows if index > 0 => context.out.line(format_args!("{name}\n  {records}, {size}"))?,
            Form::Lines | Form::Rows => context.out.line(format_args!("\n{name}\n  {records}, {size}\n  {first}"))?,
        }
    }
    context.out.line("")
}

/// Commands to copy.
fn what_next(dir: &Path, bucket: &Path) -> String {
    let (lines, rows) = (Stream::Clicks.name(), Stream::Shop.name());
    let files = bucket.join(rows).join("**/*.parquet").display().to_string().replace('\'', "''");
    let query = format!(
        "select country, section, count(*) as clicks, sum(cents) as cents \
         from read_parquet('{files}', hive_partitioning=true) group by all order by all"
    );
    format!(
        "look at them:  zcat {0}/{lines}/*/*/*/*/*.gz | head -3\n\
         query them:    duckdb -c {1}\n\
         go on with it: hydrant serve --data {2}",
        quoted(bucket),
        quoted_text(&query),
        quoted(dir)
    )
}

/// A text of many words as a shell reads it; in quotes that leave those within as they are, where nothing else would happen.
fn quoted_text(text: &str) -> String {
    if text.contains(['"', '$', '`', '\\', '!']) { single_quoted(text) } else { format!("\"{text}\"") }
}

/// A path as a shell reads it, where it must.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    if text.chars().all(plain) { text } else { single_quoted(&text) }
}

fn single_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Enough for some twenty objects of each stream.
const RECORDS: u64 = 50_000;
const DELIVERY_SECONDS: u32 = 120;
const FIRST_RECORD_CHARS: usize = 160;
const COLUMNS_CHARS: usize = 1000;
/// A demo takes some 50 MiB and should run on a nearly full laptop.
const FREE_SPACE_FLOOR: u64 = 64 << 20;

const EXAMPLES: &str = "\
Example:
  hydrant demo --dir /tmp/hydrant-demo

The objects stay in DIR when it ends. Exit codes: 0 every record was delivered exactly once; 1 not; 3 it did not start.";

#[cfg(test)]
mod tests;
