//! `hydrant put`: a file, each line a record.
//!
//! A batch is sent, acknowledged, and only then remembered beside the file; so a put that was interrupted goes on after the last
//! acknowledged batch, and at most the one batch whose answer was lost is sent twice.

mod lines;
mod remember;
mod send;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;

use self::lines::{Batch, Lines, Mark, Next};
use self::remember::Memory;
use self::send::Sender;
use super::client::{Client, Endpoint};
use super::out::Unit;
use super::show::{bytes, counted};
use super::{Context, Error};
use crate::settings;

/// Send a file to a stream, each line a record
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Put {
    /// The delivery stream
    name: String,
    /// The file, or - for standard input
    file: PathBuf,
    /// Start at the first line, whatever was sent before
    #[arg(long)]
    restart: bool,
    /// Remember nothing beside FILE, for folders that cannot be written
    #[arg(long, conflicts_with = "restart")]
    no_resume: bool,
    /// Longest line, with its line feed; the service's own limit is its --max-record-bytes
    #[arg(long, value_name = "SIZE", default_value = "1024000", value_parser = line_limit)]
    max_record_bytes: usize,
    /// Leave out lines that are too long, and say which, instead of stopping at the first
    #[arg(long)]
    skip_long_lines: bool,
    /// Give up when the service has accepted nothing for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    retry_for: u32,
    #[command(flatten)]
    endpoint: Endpoint,
}

impl Put {
    pub(super) async fn run(self, context: &mut Context<'_>) -> Result<(), Error> {
        let client = Client::new(&self.endpoint, context)?;
        let sender = Sender::new(client, self.name.clone(), Duration::from_secs(u64::from(self.retry_for)))?;
        if self.file.as_os_str() == "-" {
            let start = Mark::default();
            return self.send_all(io::stdin(), start, None, None, &sender, context).await;
        }
        let path = self.file.as_path();
        let mut file = File::open(path).map_err(Error::file("opening", path))?;
        let metadata = file.metadata().map_err(Error::file("reading", path))?;
        if !metadata.is_file() || self.no_resume {
            let total = metadata.is_file().then_some(metadata.len());
            return self.send_all(file, Mark::default(), total, None, &sender, context).await;
        }
        // Of two puts of the same file at the same time each would send what the other sends.
        if matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Err(Error::Failed(format!("{} is being sent by another put", path.display())));
        }
        let memory = Memory::open(path, &mut file, &self.name, sender.endpoint(), self.restart)?;
        let start = memory.mark();
        if start.offset > 0 {
            let (file, sent) = (path.display(), bytes(start.offset));
            context
                .out
                .note(format_args!("{file}: going on after line {} ({sent} were accepted before)", start.line))?;
        }
        self.send_all(file, start, Some(metadata.len()), Some(memory), &sender, context).await
    }

    /// Sends everything from `start`, where `from` stands.
    async fn send_all(
        &self,
        from: impl Read,
        start: Mark,
        total: Option<u64>,
        mut memory: Option<Memory>,
        sender: &Sender,
        context: &mut Context<'_>,
    ) -> Result<(), Error> {
        let mut lines = Lines::new(BufReader::with_capacity(READ_BYTES, from), start, self.max_record_bytes);
        let bar = context.out.bar(total, Unit::Bytes);
        bar.set_position(start.offset);
        let mut sent = Sent::default();
        loop {
            match lines.next().map_err(Error::file("reading", &self.file))? {
                Next::Batch(batch) => {
                    sender.send(&batch, &self.file, &bar, context).await?;
                    sent.add(&batch);
                    if let Some(memory) = &mut memory {
                        memory.advance(batch.end)?;
                    }
                    bar.set_position(batch.end.offset);
                }
                Next::TooLong { bytes, end } if self.skip_long_lines => {
                    sent.skipped += 1;
                    let note = format!("{}: line {} left out: {bytes} bytes", self.file.display(), end.line);
                    beside(&bar, || context.out.note(note))?;
                }
                Next::TooLong { bytes, end } => return Err(self.too_long(bytes, end)),
                Next::End => break,
            }
        }
        bar.finish_and_clear();
        if let Some(memory) = memory {
            memory.forget()?;
        }
        let skipped =
            if sent.skipped > 0 { format!(", {} left out", counted(sent.skipped, "line")) } else { String::new() };
        let records = counted(sent.records, "record");
        context.out.line(format_args!("{}: {records} accepted, {}{skipped}", self.name, bytes(sent.bytes)))
    }

    fn too_long(&self, bytes: u64, end: Mark) -> Error {
        Error::Failed(format!(
            "{file}: line {line} has {bytes} bytes, more than --max-record-bytes {limit}; everything before it is accepted, \
             nothing from it on was sent: put again with --skip-long-lines, or with a higher limit here and at the service",
            file = self.file.display(),
            line = end.line,
            limit = self.max_record_bytes
        ))
    }
}

/// What was accepted.
#[derive(Default)]
struct Sent {
    records: u64,
    bytes: u64,
    skipped: u64,
}

impl Sent {
    fn add(&mut self, batch: &Batch) {
        self.records += batch.records;
        self.bytes += u64::try_from(batch.body.len()).unwrap_or(u64::MAX);
    }
}

/// Prints while the bar is out of the way.
fn beside<T>(bar: &ProgressBar, print: impl FnOnce() -> T) -> T {
    bar.suspend(print)
}

fn line_limit(text: &str) -> Result<usize, String> {
    let limit = settings::size(text)?;
    match usize::try_from(limit) {
        Ok(limit) if (1..=MAX_LINE).contains(&limit) => Ok(limit),
        _ => Err("must be 1 to 10MiB".to_owned()),
    }
}

/// The file that remembers how far `file` was accepted.
fn memory_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".hydrant-put");
    path.into()
}

const READ_BYTES: usize = 1 << 20;
const MAX_LINE: usize = 10 << 20;

const EXAMPLES: &str = "\
Examples:
  hydrant put clicks clicks.jsonl
  zcat clicks.jsonl.gz | hydrant put clicks -

Each line is a record with its line feed; empty lines are left out. FILE.hydrant-put beside FILE remembers how far the \
service has accepted it, and the same command goes on from there; it is removed at the end. A batch (4 MiB at most) whose \
answer was lost is sent again, so its records may be accepted twice.";

#[cfg(test)]
mod tests;
