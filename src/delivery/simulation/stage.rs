//! A processor that takes no poison.

use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, ErrorOutput, Failure, Fates, Records};

use super::record;
use crate::catalog::Stage;

pub(super) struct Refusing;

impl Stage for Refusing {
    fn open(&self) -> Result<Box<dyn Transform>, String> {
        Ok(Box::new(Self))
    }
}

impl Transform for Refusing {
    fn apply(&mut self, mut records: Records, _: &Arrived, fates: &mut Fates) -> Records {
        let refused: Vec<bool> = records.iter().map(|(_, bytes)| is_poison(bytes)).collect();
        records.retain(|at, record| {
            if refused.get(at) != Some(&true) {
                return true;
            }
            // Two outputs, as real processors have.
            let output =
                if record.origin.source % 2 == 0 { ErrorOutput::Processing } else { ErrorOutput::Partitioning };
            let (code, message) = ("Simulated.Poison".into(), "poison".into());
            fates.failures.push(Failure { origin: record.origin, output, code, message, attempts: 1, raw: None });
            false
        });
        records
    }
}

fn is_poison(record: &[u8]) -> bool {
    record::parse(record).is_ok_and(|ids| ids.first().is_some_and(|id| record::is_poison(*id)))
}
