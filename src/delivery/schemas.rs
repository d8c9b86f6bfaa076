//! Which table the rows of a batch are of: looked up, or inferred, before anything is promised of it.
//!
//! The intent names the table by its hash and the ledger has the columns, so that every attempt at an object reads its records by
//! the same ones, whatever becomes of a table's definition meanwhile: a record is in the object or in the error output, and stays
//! there. Tables lie in the ledger and not beside it: they are small, and so they are as safe, and go when nothing names them.

use std::pin::Pin;
use std::sync::Arc;

use hydrant_model::{Cursor, OffsetRange, SchemaId};
use hydrant_transforms::formats::conversion::{SchemaSource, infer, schema_id};
use hydrant_transforms::formats::schema::{MAX_INFERRED, TableSchema};
use tokio::sync::OwnedSemaphorePermit;

use super::cut::{Batch, Cutter};
use super::lane::TROUBLE_RETRY;
use super::ledger::Entry;
use super::stream::Stream;
use crate::catalog::{Conversion, TableError};
use crate::log::{Log, ReadError};

/// The look-up under way, one at a time, for a batch that waits for it.
#[derive(Default)]
pub(super) struct Lookup {
    under_way: Option<Pin<Box<dyn Future<Output = Looked> + Send>>>,
}

/// A batch and what was found for it.
pub(super) struct Looked {
    pub(super) place: OwnedSemaphorePermit,
    pub(super) batch: Batch,
    found: Result<Option<TableSchema>, TableError>,
}

impl Lookup {
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins to look for the table of `batch`, whose records become rows by `conversion`.
    pub(super) fn begin(
        &mut self,
        stream: &Arc<Stream>,
        conversion: Conversion,
        (place, batch): (OwnedSemaphorePermit, Batch),
    ) {
        let stream = Arc::clone(stream);
        self.under_way = Some(Box::pin(async move {
            let found = stream.table_of(&conversion, batch.range).await;
            Looked { place, batch, found }
        }));
    }

    /// Waits for the look-up under way.
    pub(super) async fn next(&mut self) -> Looked {
        let looked = match &mut self.under_way {
            Some(looking) => looking.await,
            None => std::future::pending().await,
        };
        self.under_way = None;
        looked
    }
}

impl Stream {
    /// How records of `cursor` become rows that arrived under the shape of `batch`, if they do.
    pub(super) fn conversion(&self, cursor: Cursor, batch: &Batch) -> Option<Conversion> {
        let shape = (cursor.is_main() && batch.records > 0).then(|| self.shape_at(batch.range.from));
        shape.and_then(|shape| shape.processing.conversion.clone())
    }

    /// The table that was found for a batch; in the ledger from now on. `Err` where its records have to wait.
    pub(super) fn table_found(&self, cutter: &mut Cutter, looked: &Looked) -> Result<Option<SchemaId>, ()> {
        match &looked.found {
            Ok(found) => {
                self.boards.main.mended();
                Ok(found.as_ref().map(|schema| self.note_schema(schema)))
            }
            Err(error) => {
                self.report_waiting(&looked.batch, error.code, &error.message);
                cutter.go_back(&looked.batch);
                cutter.rest(TROUBLE_RETRY);
                Err(())
            }
        }
    }

    /// Each trouble of a stream is told once; it is tried again for as long as it lasts.
    pub(super) fn report_waiting(&self, batch: &Batch, code: &str, reason: &str) {
        if self.boards.main.troubled(code, reason.to_owned(), TROUBLE_RETRY) {
            tracing::error!(stream = %self.name, range = %batch.range, code, reason, "records could not be processed");
        } else {
            tracing::debug!(stream = %self.name, range = %batch.range, code, reason, "not processed yet");
        }
    }

    /// The table that `conversion` names, as it is now; of one that is inferred, what is known so far.
    pub(super) async fn named_table(&self, conversion: &Conversion) -> Result<Option<TableSchema>, TableError> {
        match (&conversion.rules.schema, &conversion.table) {
            (SchemaSource::Inferred, _) => Ok(self.ledger.with(|state| state.newest_schema().cloned())),
            (SchemaSource::Table { .. }, Some(table)) => table.schema().await.map(|schema| Some((*schema).clone())),
            (SchemaSource::Table { database, table, .. }, None) => Err(TableError {
                code: NOT_FOUND,
                message: format!("nothing is configured that knows table {database}.{table}"),
            }),
        }
    }

    async fn table_of(&self, conversion: &Conversion, range: OffsetRange) -> Result<Option<TableSchema>, TableError> {
        let known = self.named_table(conversion).await?;
        if conversion.rules.schema != SchemaSource::Inferred {
            return Ok(known);
        }
        let log = self.log.clone();
        let inferred = self.shop.workers.run(move || infer_from(&log, range, known)).await;
        inferred.map_err(|error| TableError { code: UNREADABLE, message: error.to_string() })
    }

    /// Puts `schema` into the ledger, unless it is the newest there; before whatever names it.
    pub(super) fn note_schema(&self, schema: &TableSchema) -> SchemaId {
        let id = schema_id(schema);
        if self.ledger.with(|state| state.schema) != Some(id) {
            tracing::info!(stream = %self.name, schema = %id, columns = schema.columns().len(), "the table of rows is new");
            let current = self.current();
            let conversion = current.processing.conversion.as_ref();
            let is_inferred = conversion.is_some_and(|it| it.rules.schema == SchemaSource::Inferred);
            if is_inferred && schema.size() >= MAX_INFERRED {
                tracing::warn!(
                    stream = %self.name, most = MAX_INFERRED,
                    "the inferred table has as many columns as it may; members of records that would need further ones are left out"
                );
            }
            self.ledger.record_soon(&Entry::Schema { schema: schema.clone() });
        }
        id
    }

    /// The table that an intent names. Should the ledger's entry be damaged, the newest is better than none.
    pub(super) fn schema(&self, id: Option<SchemaId>) -> Option<Arc<TableSchema>> {
        let id = id?;
        let (named, newest) =
            self.ledger.with(|state| (state.schemas.get(&id).cloned(), state.newest_schema().cloned()));
        if named.is_none() {
            tracing::error!(stream = %self.name, schema = %id, "the ledger's entry for a table is damaged; the newest one is used");
        }
        named.or(newest).map(Arc::new)
    }
}

/// The table of `known` with what the records of `range` add to it.
fn infer_from(log: &Log, range: OffsetRange, known: Option<TableSchema>) -> Result<Option<TableSchema>, ReadError> {
    let mut reader = log.read(range.from, range.to);
    let mut schema = known;
    while let Some(view) = reader.next()? {
        schema = infer(schema.as_ref(), view.records());
    }
    Ok(schema)
}

const NOT_FOUND: &str = "DataFormatConversion.EntityNotFound";
const UNREADABLE: &str = "InternalError";
