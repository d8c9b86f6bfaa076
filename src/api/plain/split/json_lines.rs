//! Bodies of NDJSON.

use memchr::memchr_iter;

use super::json::Checker;
use super::skim::{Told, skim};
use super::{EXPECTED_LINE, Place, Rules, SplitError, end_last_line, next_line};
use crate::api::put::Records;

/// Divides NDJSON; every line that is not blank must be a JSON value.
pub(super) fn json_lines(mut body: Vec<u8>, rules: &Rules) -> Result<Records, SplitError> {
    end_last_line(&mut body);
    let mut lines = Lines {
        body: &body,
        rules,
        start: 0,
        number: 0,
        lengths: Vec::with_capacity(body.len() / EXPECTED_LINE),
        kept: (!rules.newline).then(|| Vec::with_capacity(body.len())),
        is_ascii: true,
        checker: Checker::default(),
    };
    let fault = lines.take_all().err();
    let Lines { lengths, kept, is_ascii, .. } = lines;
    // Of all that may be wrong this comes first, and where nothing is it rarely has to be looked for.
    if fault.is_some() || !is_ascii {
        must_be_utf8(&body)?;
    }
    fault.map_or_else(|| Ok(Records { lengths, body: kept.unwrap_or(body) }), Err)
}

/// A walk over the lines of a body, the last of which has its line feed.
struct Lines<'a> {
    body: &'a [u8],
    rules: &'a Rules,
    /// Where the next line starts.
    start: usize,
    /// How many lines were taken.
    number: usize,
    lengths: Vec<u32>,
    /// The bytes of the records, where they are not just those of the body.
    kept: Option<Vec<u8>>,
    is_ascii: bool,
    checker: Checker,
}

impl Lines<'_> {
    fn take_all(&mut self) -> Result<(), SplitError> {
        while self.start < self.body.len() {
            let seen = self.take_passed();
            while self.start < seen {
                self.take_next()?;
            }
        }
        Ok(())
    }

    /// Takes the lines that are surely right. Returns how far the doubtful ones reach, the last of them maybe further.
    fn take_passed(&mut self) -> usize {
        let before = self.lengths.len();
        let Rules { newline, max_record } = *self.rules;
        let skimmed = skim(self.body, self.start, Told { lengths: &mut self.lengths, newline, max_record });
        let passed = self.lengths.get(before..).unwrap_or_default();
        self.number += passed.len();
        self.is_ascii &= skimmed.is_ascii;
        if let Some(kept) = &mut self.kept {
            let mut rest = self.body.get(self.start..skimmed.passed).unwrap_or_default();
            if newline {
                kept.extend_from_slice(rest);
            } else {
                while let Some((line, after)) = next_line(rest, 0) {
                    kept.extend_from_slice(line);
                    rest = rest.get(after..).unwrap_or_default();
                }
            }
        }
        self.start = skimmed.passed;
        skimmed.seen
    }

    fn take_next(&mut self) -> Result<(), SplitError> {
        let Some((line, after)) = next_line(self.body, self.start) else {
            self.start = self.body.len();
            return Ok(());
        };
        self.number += 1;
        self.is_ascii &= line.is_ascii();
        if is_blank(line) {
            // Only now is a copy needed: up to here the body is what is stored.
            self.kept.get_or_insert_with(|| self.body.get(..self.start).unwrap_or_default().to_vec());
        } else {
            let place = Place::Line(self.number);
            self.checker.check(line).map_err(|rule| SplitError::NotJson { place, rule })?;
            self.lengths.push(self.rules.length(line, place, usize::from(self.rules.newline))?);
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(line);
                if self.rules.newline {
                    kept.push(b'\n');
                }
            }
        }
        self.start = after;
        Ok(())
    }
}

fn must_be_utf8(body: &[u8]) -> Result<(), SplitError> {
    std::str::from_utf8(body).map(|_| ()).map_err(|error| {
        let before = body.get(..error.valid_up_to()).unwrap_or_default();
        SplitError::NotUtf8 { place: Place::Line(1 + memchr_iter(b'\n', before).count()) }
    })
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
}
