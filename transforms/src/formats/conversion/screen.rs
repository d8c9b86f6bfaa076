//! Setting records aside that no file would take, before they are kept for a later one.

use hydrant_model::SchemaId;

use super::rows::Rows;
use super::{Conversion, SchemaSource, failure};
use crate::formats::schema::{Inference, TableSchema};
use crate::records::{Fates, Records};

/// Lets records through that a [`Converter`](super::Converter) of the same table takes.
///
/// Where the table is inferred, its columns grow with each lot of records. What was let through by fewer columns is taken by
/// more, because none of them ever changes its type.
pub struct Screen {
    conversion: Conversion,
    schema: Option<TableSchema>,
    rows: Rows,
}

impl Screen {
    /// A screen for the rows of `schema`: the table, or what is known so far of one that is inferred.
    pub fn new(conversion: &Conversion, schema: Option<TableSchema>) -> Self {
        Self { rows: Rows::new(conversion, schema.as_ref()), conversion: conversion.clone(), schema }
    }

    /// Lets records through, and sets the others aside.
    pub fn apply(&mut self, mut records: Records, fates: &mut Fates) -> Records {
        if self.conversion.schema == SchemaSource::Inferred {
            let grown = infer(self.schema.as_ref(), records.iter().map(|(_, bytes)| bytes));
            if grown != self.schema {
                self.rows = Rows::new(&self.conversion, grown.as_ref());
                self.schema = grown;
            }
        }
        let refused: Vec<bool> = records
            .iter()
            .map(|(record, bytes)| {
                let refused = self.rows.push(bytes).err();
                if self.rows.len() >= MOST_ROWS {
                    self.rows.clear();
                }
                fates.failures.extend(refused.as_ref().map(|error| failure(error, record.origin)));
                refused.is_some()
            })
            .collect();
        self.rows.clear();
        records.retain(|at, _| refused.get(at) != Some(&true));
        records
    }

    /// The table as it is known now.
    pub fn schema(&self) -> Option<&TableSchema> {
        self.schema.as_ref()
    }
}

/// The table of `known` with what `records` add to it; none while there is no column.
pub fn infer<'r>(known: Option<&TableSchema>, records: impl Iterator<Item = &'r [u8]>) -> Option<TableSchema> {
    let mut inference = Inference::new();
    if let Some(known) = known {
        inference.merge(known);
    }
    records.for_each(|record| inference.record(record));
    inference.schema()
}

/// How a schema is named.
pub fn schema_id(schema: &TableSchema) -> SchemaId {
    let hash = schema.hash();
    SchemaId(hash.first_chunk::<16>().copied().unwrap_or_default())
}

const MOST_ROWS: usize = 1_024;

#[cfg(test)]
mod tests;
