//! The bytes of an error object: the entries of one output type among those that lie in some parts of the errors log.

use std::collections::HashMap;

use hydrant_model::{BodyError, Offset, SetId};

use super::Part;
use crate::delivery::body::{Maker, Packer, failed};
use crate::log::Reader;

/// Makes an error object.
pub(in crate::delivery) struct ErrorsMaker {
    reader: Reader,
    output: String,
    parts: HashMap<SetId, Vec<Part>>,
    packer: Packer,
    /// Entries that were found and not packed yet.
    found: Vec<u8>,
    ended: bool,
}

impl ErrorsMaker {
    /// The entries of `output` in `parts` as `reader` gives them, packed by `packer`.
    pub(in crate::delivery) fn new(reader: Reader, output: &str, parts: &[Part], packer: Packer) -> Self {
        let mut by_set: HashMap<SetId, Vec<Part>> = HashMap::new();
        for part in parts {
            by_set.entry(part.set).or_default().push(*part);
        }
        Self { reader, output: output.to_owned(), parts: by_set, packer, found: Vec::new(), ended: false }
    }

    /// Looks for entries in the next frame.
    fn look(&mut self) -> Result<(), BodyError> {
        let Some(view) = self.reader.next().map_err(failed)? else {
            self.ended = true;
            return Ok(());
        };
        let (mut at, mut offset) = (0, view.first);
        for length in view.lengths() {
            let end = at + usize::try_from(length).unwrap_or(usize::MAX);
            let record = view.body.get(at..end).unwrap_or_default();
            if let Some(entry) = wanted(record, offset, &self.output, &self.parts) {
                self.found.extend_from_slice(entry);
            }
            (at, offset) = (end, offset.plus(1));
        }
        Ok(())
    }
}

impl Maker for ErrorsMaker {
    fn is_empty(&mut self) -> Result<bool, BodyError> {
        while self.found.is_empty() && !self.ended {
            self.look()?;
        }
        Ok(self.found.is_empty())
    }

    fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, BodyError> {
        if self.found.is_empty() && !self.ended {
            self.look()?;
        }
        if !self.found.is_empty() {
            self.packer.write(&self.found, out)?;
            self.found.clear();
        } else if self.ended {
            self.packer.finish(out)?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// The entry in a record of the errors log, if it is one of those.
fn wanted<'r>(record: &'r [u8], offset: Offset, output: &str, parts: &HashMap<SetId, Vec<Part>>) -> Option<&'r [u8]> {
    let (set, rest) = record.split_first_chunk::<16>()?;
    let (length, rest) = rest.split_first()?;
    let (name, entry) = rest.split_at_checked(usize::from(*length))?;
    let inside = |part: &Part| part.from <= offset && offset < part.to;
    let named = parts.get(&SetId(*set)).is_some_and(|parts| parts.iter().any(inside));
    (named && name == output.as_bytes()).then_some(entry)
}
