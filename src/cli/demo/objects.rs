//! Reads back what was delivered and holds it against what was posted.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::clicks;
use crate::cli::Error;
use crate::cli::show::counted;

/// A delivered object.
#[derive(Debug)]
pub(super) struct Object {
    /// Its file.
    pub(super) path: PathBuf,
    /// Its size.
    pub(super) bytes: u64,
    /// Its first record.
    pub(super) first_line: String,
    /// Number of the click in each line; `None` for a line that is not exactly what was posted.
    pub(super) lines: Vec<Option<u64>>,
}

/// Reads every object of the bucket, by name.
pub(super) fn read(bucket: &Path) -> Result<Vec<Object>, Error> {
    let mut paths = Vec::new();
    find(bucket, &mut paths)?;
    paths.sort_unstable();
    paths.into_iter().map(read_object).collect()
}

/// Whether the objects hold each of the clicks `0..records` exactly once and nothing else.
///
/// # Errors
/// What they hold instead.
pub(super) fn judge(objects: &[Object], records: u64) -> Result<String, String> {
    let mut seen = vec![0_u64; usize::try_from(records).unwrap_or(usize::MAX)];
    let mut strange = 0_u64;
    for line in objects.iter().flat_map(|object| &object.lines) {
        let place = line.and_then(|number| seen.get_mut(usize::try_from(number).ok()?));
        match place {
            Some(times) => *times += 1,
            None => strange += 1,
        }
    }
    let missing = seen.iter().filter(|times| **times == 0).count();
    let repeated = seen.iter().filter(|times| **times > 1).count();
    let (records, objects) = (counted(records, "record"), counted(objects.len() as u64, "object"));
    if (missing, repeated, strange) == (0, 0, 0) {
        return Ok(format!("{records} in {objects}"));
    }
    Err(format!(
        "{records} were posted; in {objects}, {missing} are missing, {repeated} repeated, and {strange} lines are not what was \
         posted"
    ))
}

fn find(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::file("reading", dir))? {
        let path = entry.map_err(Error::file("reading", dir))?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn read_object(path: PathBuf) -> Result<Object, Error> {
    let file = File::open(&path).map_err(Error::file("opening", &path))?;
    let bytes = file.metadata().map_err(Error::file("reading", &path))?.len();
    let mut content = Vec::new();
    // An object holds 1 MiB of records; one that unfolds to more than the cap fails the count.
    let mut unfolded = MultiGzDecoder::new(BufReader::new(file)).take(MOST_BYTES);
    unfolded.read_to_end(&mut content).map_err(Error::file("unpacking", &path))?;
    let number = |line: &[u8]| clicks::number(line).filter(|number| clicks::click(*number).as_bytes() == line);
    let lines: Vec<Option<u64>> = content.split_inclusive(|byte| *byte == b'\n').map(number).collect();
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Object { bytes, first_line: String::from_utf8_lossy(first).into_owned(), lines, path })
}

const MOST_BYTES: u64 = 64 << 20;
