//! One table: which source has it, and what is kept of it.
//!
//! | Glue's answer | Is used for |
//! |---|---|
//! | a table | a minute; one of a fixed version for good |
//! | that there is no such table, or one that cannot be written | [`REFUSED`] |
//! | none, or an error of its own | as above; where it gave the table before, that goes on being used, and it is asked again in a minute |

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hydrant_transforms::formats::schema::TableSchema;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::files::{Files, Read};
use super::glue::Glue;
use super::{TableId, code};
use crate::catalog::{Table, TableError};
use crate::clock::Clock;

/// Where tables are.
pub(super) struct Sources {
    pub(super) files: Files,
    pub(super) glue: Option<Glue>,
    pub(super) clock: Clock,
}

/// One table, looked up when it is asked for.
pub(super) struct Lookup {
    pub(super) id: TableId,
    sources: Arc<Sources>,
    /// Its file, as it was read last.
    read: Mutex<Option<Read>>,
    /// Held while Glue is asked, so that whoever asks meanwhile takes the same answer.
    asked: tokio::sync::Mutex<Option<Asked>>,
}

/// What Glue said.
struct Asked {
    answer: Result<Arc<TableSchema>, TableError>,
    /// When it is asked again; `None` is never.
    until: Option<Instant>,
    /// Whether it failed since it gave the table.
    is_in_trouble: bool,
}

#[async_trait]
impl Table for Lookup {
    async fn schema(&self) -> Result<Arc<TableSchema>, TableError> {
        self.look(false).await
    }
}

impl Lookup {
    pub(super) fn new(id: TableId, sources: Arc<Sources>) -> Self {
        Self { id, sources, read: Mutex::default(), asked: tokio::sync::Mutex::default() }
    }

    /// The table; what Glue refused a moment ago is asked for again.
    ///
    /// # Errors
    /// As [`Table::schema`].
    pub(super) async fn schema_anew(&self) -> Result<Arc<TableSchema>, TableError> {
        self.look(true).await
    }

    async fn look(&self, is_anew: bool) -> Result<Arc<TableSchema>, TableError> {
        if let Some(schema) = self.of_file().await? {
            return Ok(schema);
        }
        let Some(glue) = &self.sources.glue else {
            return Err(self.sources.files.not_found(&self.id));
        };
        self.of_glue(glue, is_anew).await
    }

    /// The table as its file has it, read again where the file changed.
    async fn of_file(&self) -> Result<Option<Arc<TableSchema>>, TableError> {
        let (sources, id, known) = (Arc::clone(&self.sources), self.id.clone(), self.read.lock().clone());
        let looked = tokio::task::spawn_blocking(move || sources.files.read(&id, known)).await;
        let read = looked.map_err(|error| {
            let message = format!("Table {}: its file was not read: {error}", self.id);
            TableError { code: code::TIMEOUT, message }
        })??;
        self.read.lock().clone_from(&read);
        read.map(|read| read.schema).transpose()
    }

    async fn of_glue(&self, glue: &Glue, is_anew: bool) -> Result<Arc<TableSchema>, TableError> {
        let mut asked = self.asked.lock().await;
        let clock = &self.sources.clock;
        let holds = |asked: &&Asked| asked.until.is_none_or(|until| clock.now() < until);
        if let Some(known) = asked.as_ref().filter(holds).filter(|known| known.answer.is_ok() || !is_anew) {
            return known.answer.clone();
        }
        let before = asked.take();
        let has_table = before.as_ref().is_some_and(|before| before.answer.is_ok());
        let answer = self.ask(glue, has_table).await.map_err(|error| self.also_no_file(error));
        let kept = match &answer {
            Ok(_) if self.id.version.is_some() => None,
            Ok(_) => Some(LATEST),
            Err(_) => Some(REFUSED),
        };
        let until = kept.map(|kept| clock.now() + kept);
        let was_in_trouble = before.as_ref().is_some_and(|before| before.is_in_trouble);
        let last = before.and_then(|before| before.answer.ok());
        let next = match (answer, last) {
            (Err(error), Some(schema)) if !code::is_certain(error.code) => {
                if !was_in_trouble {
                    let table = &self.id;
                    tracing::warn!(%table, code = error.code, %error, "Glue cannot be asked for a table; the one that it gave last is used");
                }
                Asked { answer: Ok(schema), until: Some(clock.now() + LATEST), is_in_trouble: true }
            }
            (answer, last) => {
                if was_in_trouble && answer.is_ok() {
                    tracing::info!(table = %self.id, "Glue answers again");
                }
                // Whoever holds the same schema need not compare it.
                let answer =
                    answer.map(|schema| last.filter(|last| **last == schema).unwrap_or_else(|| Arc::new(schema)));
                Asked { answer, until, is_in_trouble: false }
            }
        };
        asked.insert(next).answer.clone()
    }

    /// Asks Glue; not for long where there is a table to go on with.
    async fn ask(&self, glue: &Glue, has_table: bool) -> Result<TableSchema, TableError> {
        if !has_table {
            return glue.schema(&self.id).await;
        }
        let in_time = tokio::time::timeout(PATIENCE, glue.schema(&self.id)).await;
        in_time.unwrap_or_else(|_| {
            let message = format!("Table {}: Glue did not answer within {} s", self.id, PATIENCE.as_secs());
            Err(TableError { code: code::TIMEOUT, message })
        })
    }

    /// Glue's error, and that a file would do as well where it has no such table.
    fn also_no_file(&self, error: TableError) -> TableError {
        if error.code != code::ENTITY_NOT_FOUND && error.code != code::INVALID_VERSION_ID {
            return error;
        }
        let message = format!("{}. {}", error.message, self.sources.files.there_is_none(&self.id));
        TableError { message, ..error }
    }
}

/// AWS picks up changes "automatically", without saying how soon.
const LATEST: Duration = Duration::from_mins(1);
/// Records wait meanwhile.
const REFUSED: Duration = Duration::from_secs(10);

/// Batches wait meanwhile whose table is known.
const PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
