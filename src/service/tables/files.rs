//! The schemas directory: a file a table.
//!
//! | Table | Version | File |
//! |---|---|---|
//! | `clicks` of the database `sales` | the newest | `sales.clicks.json` or `sales/clicks.json` |
//! | | 3 | `sales.clicks@3.json` or `sales/clicks@3.json` |
//!
//! `.json` may be `.sql`, `.ddl` or `.hql`; what is in it decides how it is read. Upper and lower case count as the same, as they
//! do for Glue. Names are looked for among those that a directory lists, so that no name of a table leads anywhere else.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hydrant_transforms::formats::schema::TableSchema;

use super::{TableId, code};
use crate::catalog::TableError;
use crate::service::stamp::Stamp;

/// The directory. What is asked of it waits for the disk: not for a runtime's own thread.
pub(super) struct Files {
    pub(super) dir: PathBuf,
}

/// A file as it was read.
#[derive(Clone, Debug)]
pub(super) struct Read {
    path: PathBuf,
    stamp: Stamp,
    /// What it defines, or what is wrong with it.
    pub(super) schema: Result<Arc<TableSchema>, TableError>,
}

impl Files {
    /// The file of a table; the one that is `known` where it has not changed. `None` where there is none.
    ///
    /// # Errors
    /// There are two, or it or the directory cannot be read.
    pub(super) fn read(&self, id: &TableId, known: Option<Read>) -> Result<Option<Read>, TableError> {
        let Some(path) = self.find(id)? else { return Ok(None) };
        let unreadable = |error: std::io::Error| cannot_be_read(id, &path, &error);
        let mut file = File::open(&path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        let stamp = Stamp::of(&metadata);
        if let Some(known) = known.filter(|known| known.path == path && known.stamp == stamp) {
            return Ok(Some(known));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let schema = definition(bytes).map(Arc::new).map_err(|error| TableError {
            code: code::INVALID_SCHEMA,
            message: format!("Table {id}: {}: {error}", path.display()),
        });
        if schema.is_ok() {
            tracing::info!(table = %id, path = %path.display(), "a table definition is in use");
        }
        Ok(Some(Read { path, stamp, schema }))
    }

    /// What a stream is told whose table is nowhere.
    pub(super) fn not_found(&self, id: &TableId) -> TableError {
        if !can_be_files(id) {
            return TableError { code: code::INVALID_INPUT, message: format!("Table {id}: {NO_FILE_NAME}") };
        }
        let message = format!(
            "Table {id}: Entity Not Found (Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException). {}, or set \
             --glue-endpoint",
            self.there_is_none(id)
        );
        TableError { code: code::ENTITY_NOT_FOUND, message }
    }

    /// Where its file was looked for, and what to do.
    pub(super) fn there_is_none(&self, id: &TableId) -> String {
        if !can_be_files(id) {
            return NO_FILE_NAME.to_owned();
        }
        let (dir, [dotted, nested]) = (self.dir.display(), stems(id));
        format!(
            "No file stands in for it in {dir} ({dotted} or {nested}, ending in .json, .sql, .ddl or .hql): put {dotted}.json \
             there, with Glue's JSON of the table or a CREATE TABLE statement"
        )
    }

    fn find(&self, id: &TableId) -> Result<Option<PathBuf>, TableError> {
        if !can_be_files(id) {
            return Ok(None);
        }
        let [dotted, nested] = stems(id);
        let nested = nested.rsplit('/').next().unwrap_or_default();
        let mut found = Vec::new();
        for (name, path) in list(&self.dir).map_err(|error| cannot_be_read(id, &self.dir, &error))? {
            if is_definition(&name, &dotted) {
                found.push(path);
            } else if name == id.database && path.is_dir() {
                let listed = list(&path).map_err(|error| cannot_be_read(id, &path, &error))?;
                found.extend(listed.into_iter().filter(|(name, _)| is_definition(name, nested)).map(|(_, path)| path));
            }
        }
        found.sort_unstable();
        match <[PathBuf; 1]>::try_from(found) {
            Ok([path]) => Ok(Some(path)),
            Err(none) if none.is_empty() => Ok(None),
            Err(several) => {
                let several: Vec<_> = several.iter().map(|path| path.display().to_string()).collect();
                let message = format!("Table {id} is defined in more than one file: {}", several.join(", "));
                Err(TableError { code: code::INVALID_SCHEMA, message })
            }
        }
    }
}

fn definition(bytes: Vec<u8>) -> Result<TableSchema, String> {
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("is larger than {} MiB", MOST_BYTES >> 20));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    TableSchema::from_definition(&text).map_err(|error| error.to_string())
}

/// What lies in a directory, by names in lower case. One that is not there is empty.
fn list(dir: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut listed = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            listed.push((name.to_lowercase(), entry.path()));
        }
    }
    Ok(listed)
}

/// Whether a file of this name, in lower case, defines what is called `stem`.
fn is_definition(name: &str, stem: &str) -> bool {
    name.strip_prefix(stem).is_some_and(|rest| ENDINGS.contains(&rest))
}

/// What files of the table are called, without what they end in.
fn stems(id: &TableId) -> [String; 2] {
    let TableId { database, table, version, .. } = id;
    let version = version.map(|version| format!("@{version}")).unwrap_or_default();
    [format!("{database}.{table}{version}"), format!("{database}/{table}{version}")]
}

/// Whether files can have the names of the table and its database, and nobody else's.
fn can_be_files(id: &TableId) -> bool {
    let fits = |name: &str| {
        let is_taken = |c: char| matches!(c, '/' | '\\' | '@') || c.is_control();
        !name.is_empty() && !name.starts_with('.') && !name.contains(is_taken)
    };
    fits(&id.database) && fits(&id.table)
}

fn cannot_be_read(id: &TableId, path: &Path, error: &std::io::Error) -> TableError {
    TableError { code: code::ACCESS_DENIED, message: format!("Table {id}: {} cannot be read: {error}", path.display()) }
}

const ENDINGS: [&str; 4] = [".json", ".sql", ".ddl", ".hql"];
const NO_FILE_NAME: &str =
    "No file can stand in for it: its name or its database's begins with a dot or has one of / \\ @ in it";
/// As much as the widest table takes, many times over.
const MOST_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests;
