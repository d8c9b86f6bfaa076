//! Lines of a file, in batches.

use std::io::{self, BufRead, ErrorKind};

use memchr::memchr;

/// Cuts what `reader` holds into batches of whole lines.
pub(super) struct Lines<R> {
    reader: R,
    at: Mark,
    max_line: usize,
    /// A line that did not fit the batch before it, or came after it and is too long.
    held: Option<Line>,
}

/// A place between two lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes before it.
    pub(super) offset: u64,
    /// Lines before it.
    pub(super) line: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Lines to send.
    Batch(Batch),
    /// A line that is no record, as long as it may be.
    TooLong {
        /// Its length with its line feed.
        bytes: u64,
        /// The place after it.
        end: Mark,
    },
    /// Nothing.
    End,
}

/// Whole lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// The lines, each with its line feed: at most 4 MiB, or one line.
    pub(super) body: Vec<u8>,
    /// Lines that are not empty. May be none.
    pub(super) records: u64,
    /// The place before it.
    pub(super) start: Mark,
    /// The place after it.
    pub(super) end: Mark,
}

#[derive(Debug)]
struct Line {
    /// With its line feed; empty where it is too long.
    text: Vec<u8>,
    bytes: u64,
    start: Mark,
    end: Mark,
}

impl<R: BufRead> Lines<R> {
    /// Lines of `reader`, which stands at `start`; a line is at most `max_line` bytes with its line feed.
    pub(super) fn new(reader: R, start: Mark, max_line: usize) -> Self {
        Self { reader, at: start, max_line, held: None }
    }

    /// The next batch, or what stands in its way.
    pub(super) fn next(&mut self) -> io::Result<Next> {
        let start = self.held.as_ref().map_or(self.at, |held| held.start);
        let mut batch = Batch { body: Vec::new(), records: 0, start, end: start };
        let mut lines = 0_usize;
        while lines < MAX_LINES {
            let line = match self.held.take() {
                Some(line) => line,
                None => match self.read_line()? {
                    Some(line) => line,
                    None => break,
                },
            };
            let too_long = line.text.is_empty();
            if lines == 0 && too_long {
                return Ok(Next::TooLong { bytes: line.bytes, end: line.end });
            }
            if lines > 0 && (too_long || batch.body.len() + line.text.len() > MAX_BATCH_BYTES) {
                self.held = Some(line);
                break;
            }
            batch.records += u64::from(!matches!(line.text.as_slice(), b"\n" | b"\r\n"));
            batch.body.extend_from_slice(&line.text);
            batch.end = line.end;
            lines += 1;
        }
        Ok(if lines == 0 { Next::End } else { Next::Batch(batch) })
    }

    fn read_line(&mut self) -> io::Result<Option<Line>> {
        let (mut text, mut bytes, mut ended) = (Vec::new(), 0_u64, false);
        while !ended {
            let available = match self.reader.fill_buf() {
                Ok([]) => break,
                Ok(available) => available,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let feed = memchr(b'\n', available);
            ended = feed.is_some();
            let taken = feed.map_or(available.len(), |feed| feed + 1);
            // A line that is too long is read past, not into memory.
            if bytes <= self.max_line as u64 {
                text.extend_from_slice(available.get(..taken).unwrap_or_default());
            }
            bytes += taken as u64;
            self.reader.consume(taken);
        }
        if bytes == 0 {
            return Ok(None);
        }
        let start = self.at;
        self.at = Mark { offset: self.at.offset + bytes, line: self.at.line + 1 };
        if !ended {
            // The last line of a file that ends without one.
            text.push(b'\n');
            bytes += 1;
        }
        if bytes > self.max_line as u64 {
            text = Vec::new();
        }
        Ok(Some(Line { text, bytes, start, end: self.at }))
    }
}

/// What the service takes in one request.
const MAX_BATCH_BYTES: usize = 4 << 20;
const MAX_LINES: usize = 5000;
