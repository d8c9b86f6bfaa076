//! Reads back what was delivered and holds it against what was posted.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use hydrant_transforms::formats::parquet;
use serde_json::Value;

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
    /// Its first record, as text.
    pub(super) first: String,
    /// Number of the click in each record; `None` for one that is not exactly what it should be.
    pub(super) records: Vec<Option<u64>>,
}

/// What objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Packed lines: each a click as it was posted.
    Lines,
    /// Parquet: each row a click and the section of the shop that it was in, below the folders of its country and section.
    Rows,
}

/// Reads every object below `folder`, by name; where there is no such folder, there are none.
pub(super) fn read(folder: &Path, form: Form) -> Result<Vec<Object>, Error> {
    let mut paths = Vec::new();
    find(folder, &mut paths)?;
    paths.sort_unstable();
    let read = match form {
        Form::Lines => read_lines,
        Form::Rows => read_rows,
    };
    paths.into_iter().map(read).collect()
}

/// Whether the objects hold each of the clicks `0..records` exactly once and nothing else.
///
/// # Errors
/// What they hold instead.
pub(super) fn judge(objects: &[Object], records: u64) -> Result<String, String> {
    let mut seen = vec![0_u64; usize::try_from(records).unwrap_or(usize::MAX)];
    let mut strange = 0_u64;
    for number in objects.iter().flat_map(|object| &object.records) {
        let place = number.and_then(|number| seen.get_mut(usize::try_from(number).ok()?));
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
        "{records} were posted; in {objects}, {missing} are missing, {repeated} repeated, and {strange} are not what was posted"
    ))
}

fn find(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), Error> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::file("reading", dir))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::file("reading", dir))?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}

fn read_lines(path: PathBuf) -> Result<Object, Error> {
    let file = File::open(&path).map_err(Error::file("opening", &path))?;
    let bytes = file.metadata().map_err(Error::file("reading", &path))?.len();
    let mut content = Vec::new();
    // An object holds 1 MiB of records; one that unfolds to more than the cap fails the count.
    let mut unfolded = MultiGzDecoder::new(BufReader::new(file)).take(MOST_BYTES);
    unfolded.read_to_end(&mut content).map_err(Error::file("unpacking", &path))?;
    let number = |line: &[u8]| clicks::number(line).filter(|number| clicks::click(*number).as_bytes() == line);
    let records: Vec<Option<u64>> = content.split_inclusive(|byte| *byte == b'\n').map(number).collect();
    let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Object { path, bytes, first: String::from_utf8_lossy(first).into_owned(), records })
}

fn read_rows(path: PathBuf) -> Result<Object, Error> {
    let content = fs::read(&path).map_err(Error::file("reading", &path))?;
    let bytes = content.len() as u64;
    let rows = parquet::rows(content.into()).map_err(io::Error::other).map_err(Error::file("unpacking", &path))?;
    let folders: Vec<&str> = path.iter().filter_map(|folder| folder.to_str()).collect();
    let records = rows.iter().map(|row| row_number(row, &folders)).collect();
    let first = rows.first().map(Value::to_string).unwrap_or_default();
    Ok(Object { path, bytes, first, records })
}

/// The number of the click that `row` is, with what the module added, if it lies where it belongs.
fn row_number(row: &Value, folders: &[&str]) -> Option<u64> {
    let number = row.get("number")?.as_u64()?;
    let mut click: Value = serde_json::from_str(&clicks::click(number)).ok()?;
    let section = click.get("page")?.as_str()?.split('/').find(|part| !part.is_empty())?.to_owned();
    let wanted = [format!("country={}", click.get("country")?.as_str()?), format!("section={section}")];
    click.as_object_mut()?.insert("section".to_owned(), section.into());
    let [.., country, section, _name] = folders else { return None };
    (*row == click && wanted == [*country, *section]).then_some(number)
}

const MOST_BYTES: u64 = 64 << 20;
