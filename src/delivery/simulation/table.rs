//! A table whose definition changes when it likes to, and cannot always be had.

use std::sync::Arc;

use async_trait::async_trait;
use hydrant_transforms::formats::conversion::{Conversion as Rules, Format, SchemaSource};
use hydrant_transforms::formats::json::Deserializer;
use hydrant_transforms::formats::parquet;
use hydrant_transforms::formats::schema::TableSchema;

use crate::catalog::{Conversion, Table, TableError};
use crate::clock::{Clock, splitmix};

/// What becomes of a history's records in its objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Becoming {
    /// What they are.
    #[default]
    Bytes,
    /// Rows of a table that is inferred.
    Inferred,
    /// Rows of a table that changes.
    Named,
}

impl Becoming {
    /// Drawn from a history's seed.
    pub(super) fn drawn(mut seed: u64) -> Self {
        match splitmix(&mut seed) % 8 {
            0 => Self::Inferred,
            1 | 2 => Self::Named,
            _ => Self::Bytes,
        }
    }

    /// The conversion of a plan.
    pub(super) fn conversion(self, seed: u64, clock: &Clock) -> Option<Conversion> {
        let text = || "t".to_owned();
        let table = Changing { seed, clock: clock.clone() };
        let (schema, table): (_, Option<Arc<dyn Table>>) = match self {
            Self::Bytes => return None,
            Self::Inferred => (SchemaSource::Inferred, None),
            Self::Named => {
                let (database, role) = (text(), text());
                let source = SchemaSource::Table {
                    catalog_id: None,
                    database,
                    table: text(),
                    region: None,
                    version: None,
                    role,
                };
                (source, Some(Arc::new(table)))
            }
        };
        let format = Format::Parquet(parquet::Options::default());
        Some(Conversion { rules: Rules { schema, deserializer: Deserializer::default(), format }, table })
    }
}

struct Changing {
    seed: u64,
    clock: Clock,
}

#[async_trait]
impl Table for Changing {
    async fn schema(&self) -> Result<Arc<TableSchema>, TableError> {
        // Another one every quarter of a second, and again the one from before.
        let mut chance = self.seed ^ (self.clock.wall_ms() / 250);
        let drawn = splitmix(&mut chance) % 10;
        let columns = match drawn {
            0 => return Err(TableError { code: "DataFormatConversion.EntityNotFound", message: GONE.to_owned() }),
            1..4 => "id bigint, v int",
            4..7 => "id bigint, v string, filler string",
            _ => "id bigint, v array<boolean>",
        };
        Ok(Arc::new(TableSchema::from_ddl(&format!("CREATE TABLE t ({columns})")).expect("a table")))
    }
}

/// What errors about it say.
pub(super) const GONE: &str = "the simulated table is not there now";
