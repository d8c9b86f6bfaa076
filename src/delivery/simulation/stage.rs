//! A processor that takes no poison, and gives every other record a partition.

use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, ErrorOutput, Failure, Fates, Records};

use super::record::{self, Id};
use crate::catalog::{Processor, Stage};

pub(super) struct Refusing;

impl Stage for Refusing {
    fn name(&self) -> &'static str {
        "Refusing"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::new(Self)))
    }
}

impl Transform for Refusing {
    fn apply(&mut self, mut records: Records, _: &Arrived, fates: &mut Fates) -> Records {
        let ids: Vec<Option<Id>> = records.iter().map(|(_, bytes)| id(bytes)).collect();
        let keyed = !records.wanted().is_empty();
        if keyed {
            for (at, id) in ids.iter().enumerate() {
                records.set_key(at, 0, &partition(*id));
            }
        }
        records.retain(|at, record| {
            let Some(Some(id)) = ids.get(at) else { return true };
            // Half of it has a key that no object can be named after, where there are keys.
            if !record::is_poison(*id) || keyed && id.is_multiple_of(2) {
                return true;
            }
            // Two outputs, as real processors have.
            let output = if record.origin.source.is_multiple_of(2) {
                ErrorOutput::Processing
            } else {
                ErrorOutput::Decompression
            };
            let (code, message) = ("Simulated.Poison".into(), "poison".into());
            fates.failures.push(Failure { origin: record.origin, output, code, message, attempts: 1, raw: None });
            false
        });
        records
    }
}

/// Few partitions have many records, many have few.
fn partition(id: Option<Id>) -> String {
    match id {
        Some(id) if record::is_poison(id) => "../x".to_owned(),
        Some(id) if id.is_multiple_of(9) => format!("cold-{id}"),
        Some(id) => format!("k{}", id % 4),
        None => "empty".to_owned(),
    }
}

fn id(record: &[u8]) -> Option<Id> {
    record::parse(record).ok()?.first().copied()
}
