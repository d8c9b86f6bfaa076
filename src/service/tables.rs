//! The tables that streams convert records to the rows of: files of the schemas directory, and Glue behind an endpoint.
//!
//! A file stands in for the table of its name; what has no file is asked of Glue at `--glue-endpoint`, where there is one. Every
//! lookup takes the file as it is then, or what Glue said in the last minute, so that a table that changes is picked up while
//! records arrive.
//!
//! | File | What |
//! |---|---|
//! | here | which table a stream means; whether it can be had when the stream is made |
//! | `lookup` | one table: which source has it, and what of Glue's answers is kept for how long |
//! | `files` | the schemas directory |
//! | `glue` | Glue's answers, and its errors in the codes of Firehose |

mod files;
mod glue;
mod lookup;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use hydrant_transforms::formats::FormatError;
use hydrant_transforms::formats::conversion::{Converter, SchemaSource, most_memory};
use hydrant_transforms::formats::schema::TableSchema;
use parking_lot::Mutex;

use self::files::Files;
use self::glue::Glue;
use self::lookup::{Lookup, Sources};
use super::Error;
use super::destinations::sdk_config;
use crate::catalog::{Conversion, Place, Plan, Table, TableError};
use crate::clock::Clock;
use crate::settings::Settings;

/// Every table that can be had.
pub(super) struct Tables {
    sources: Arc<Sources>,
    place: Place,
    strict: bool,
    /// Tables that streams use, or are about to: those of the same table ask together.
    known: Mutex<HashMap<TableId, Arc<Lookup>>>,
}

/// One version of one table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TableId {
    /// `None` is the catalog of whoever asks.
    catalog: Option<String>,
    region: String,
    /// Lower case, as Glue keeps it.
    database: String,
    /// Lower case, as Glue keeps it.
    table: String,
    /// `None` is the newest.
    version: Option<u64>,
}

/// Why a table cannot be used by a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub(super) struct Unusable {
    error: TableError,
    /// Whether it is known that the table will not do: nobody who could be asked is out of reach.
    pub(super) is_certain: bool,
}

impl Tables {
    /// The tables that `settings` name the sources of. Nothing is read or asked yet.
    pub(super) async fn open(settings: &Settings, clock: Clock) -> Result<Self, Error> {
        let glue = match &settings.glue_endpoint {
            Some(url) => Some(Glue::open(url, settings, &sdk_config(settings).await, clock.clone())?),
            None => None,
        };
        let sources = Sources { files: Files { dir: settings.schemas.clone() }, glue, clock };
        let place = Place { region: settings.region.clone(), account: settings.account.clone() };
        Ok(Self { sources: Arc::new(sources), place, strict: settings.strict, known: Mutex::default() })
    }

    /// Connects the table that `plan` names, if it names one.
    pub(super) fn connect(&self, plan: &mut Plan) {
        let Some(conversion) = &mut plan.processing.conversion else { return };
        let Some(lookup) = self.lookup(&conversion.rules.schema) else { return };
        conversion.table = Some(lookup as Arc<dyn Table>);
        let Place { account, region } = &self.place;
        plan.processing.entries.table = Some(conversion.rules.schema.table_facts(account, region));
    }

    /// Whether the table that `plan` names is there and can be written in the format that it asks for.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn check(&self, plan: &Plan) -> Result<(), Unusable> {
        let unusable = |error: TableError| Unusable { is_certain: code::is_certain(error.code), error };
        let Some(Conversion { rules, .. }) = &plan.processing.conversion else { return Ok(()) };
        if self.strict {
            rules.schema.check_role(&self.place.account).map_err(|misfit| Unusable {
                error: TableError { code: code::INVALID_GLUE_ROLE, message: misfit.message },
                is_certain: true,
            })?;
        }
        let Some(lookup) = self.lookup(&rules.schema) else { return Ok(()) };
        let schema = lookup.schema_anew().await.map_err(unusable)?;
        let (rules, id) = (rules.clone(), lookup.id.clone());
        // Thousands of columns take a while.
        let written = tokio::task::spawn_blocking(move || can_be_written(&rules, &schema, &id)).await;
        written
            .unwrap_or_else(|error| Err(TableError { code: code::INVALID_SCHEMA, message: error.to_string() }))
            .map_err(unusable)
    }

    /// The table that `source` names; `None` where it is inferred.
    fn lookup(&self, source: &SchemaSource) -> Option<Arc<Lookup>> {
        let id = TableId::of(source, &self.place.region)?;
        let mut known = self.known.lock();
        if let Some(lookup) = known.get(&id) {
            return Some(Arc::clone(lookup));
        }
        // One that a stream's creation looked at stays until then, so that the stream finds what was answered.
        known.retain(|_, lookup| Arc::strong_count(lookup) > 1);
        let lookup = Arc::new(Lookup::new(id.clone(), Arc::clone(&self.sources)));
        known.insert(id, Arc::clone(&lookup));
        Some(lookup)
    }
}

impl TableId {
    /// The table that `source` names, for a stream of this region; `None` where it is inferred.
    fn of(source: &SchemaSource, stream_region: &str) -> Option<Self> {
        match source {
            SchemaSource::Inferred => None,
            SchemaSource::Table { catalog_id, database, table, region, version, .. } => Some(Self {
                catalog: catalog_id.clone(),
                region: region.clone().unwrap_or_else(|| stream_region.to_owned()),
                database: database.to_lowercase(),
                table: table.to_lowercase(),
                version: *version,
            }),
        }
    }
}

/// As its file is called, without what that ends in.
impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, table, version, .. } = self;
        write!(f, "{database}.{table}")?;
        version.map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

/// Whether there is a file of this schema: options may name columns that it does not have.
fn can_be_written(
    rules: &hydrant_transforms::formats::conversion::Conversion,
    schema: &TableSchema,
    id: &TableId,
) -> Result<(), TableError> {
    Converter::new(rules, Some(schema), most_memory(rules, Some(schema))).map(drop).map_err(|error| {
        let code =
            if matches!(error, FormatError::Option { .. }) { code::NON_EXISTENT_COLUMNS } else { code::INVALID_SCHEMA };
        TableError { code, message: format!("Table {id}: {error}") }
    })
}

/// Firehose's codes of what is wrong with a table.
///
/// Source: <https://docs.aws.amazon.com/firehose/latest/dev/data-format-conversion-errors.html>
mod code {
    pub(super) const ACCESS_DENIED: &str = "DataFormatConversion.AccessDenied";
    pub(super) const ENTITY_NOT_FOUND: &str = "DataFormatConversion.EntityNotFound";
    pub(super) const GLUE_ENCRYPTION: &str = "DataFormatConversion.GlueEncryptionException";
    pub(super) const GLUE_NOT_AVAILABLE: &str = "DataFormatConversion.GlueNotAvailableInRegion";
    pub(super) const INVALID_GLUE_ROLE: &str = "DataFormatConversion.InvalidGlueRole";
    pub(super) const INVALID_INPUT: &str = "DataFormatConversion.InvalidInput";
    pub(super) const INVALID_SCHEMA: &str = "DataFormatConversion.InvalidSchema";
    pub(super) const INVALID_VERSION_ID: &str = "DataFormatConversion.InvalidVersionId";
    pub(super) const NON_EXISTENT_COLUMNS: &str = "DataFormatConversion.NonExistentColumns";
    pub(super) const THROTTLED_BY_GLUE: &str = "DataFormatConversion.ThrottledByGlue";
    /// Also where Glue cannot be reached or has trouble of its own: the table could not be looked at in time.
    pub(super) const TIMEOUT: &str = "DataFormatConversion.SchemaValidationTimeout";

    /// Whether it says something about the table, and not about whoever was asked for it.
    pub(super) fn is_certain(code: &str) -> bool {
        let of_the_table = [ENTITY_NOT_FOUND, INVALID_INPUT, INVALID_SCHEMA, INVALID_VERSION_ID, NON_EXISTENT_COLUMNS];
        of_the_table.contains(&code)
    }
}

#[cfg(test)]
mod tests;
