//! Processors that fail in ways that they must not.

use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, Fates, Records};
use serde_json::Value;

use super::*;
use crate::catalog::{Kept, Processor, Stage};

/// Panics over record 2, and is of no use afterwards.
#[derive(Default)]
struct Panicking {
    broken: bool,
}

impl Stage for Panicking {
    fn name(&self) -> &'static str {
        "Panicking"
    }

    fn open(&self) -> Result<Processor, String> {
        Ok(Processor::Local(Box::<Self>::default()))
    }
}

impl Transform for Panicking {
    fn apply(&mut self, mut records: Records, _: &Arrived, _: &mut Fates) -> Records {
        if self.broken {
            records.retain(|_, _| false);
        }
        for (_, bytes) in records.iter() {
            self.broken = true;
            assert!(!bytes.starts_with(b"record 000002"), "record 2");
            self.broken = false;
        }
        records
    }
}

#[tokio::test(start_paused = true)]
async fn a_processor_that_panics_fails_what_it_was_given_and_the_rest_is_delivered() {
    for kept in [Kept::Nowhere, Kept::Together] {
        let bench = Bench::new();
        let mut plan = Plan::clone(&plan(1, "p/", 1 << 20));
        plan.processing.stages = vec![Arc::new(Panicking::default())];
        plan.processing.kept = kept;
        plan.processing.most_records = Some(3);
        let walking = bench.start(Arc::new(plan), Vec::new());
        walking.put(0..9).await;
        walking.flush().await;
        let objects = bench.shelf.objects.lock().clone();
        let of = |prefix: &str| -> Vec<String> {
            objects.iter().filter(|(key, _)| key.starts_with(prefix)).flat_map(|(_, object)| lines(object)).collect()
        };
        assert_eq!(of("p/"), records(3..9), "{kept:?}");
        let entries: Vec<Value> = of("errors/processing-failed/").iter().filter_map(|it| it.parse().ok()).collect();
        assert!(entries.iter().all(|entry| entry["errorCode"] == "Processing.Panicked"), "{entries:?}");
        let raw =
            entries.iter().filter_map(|entry| base64_simd::STANDARD.decode_to_vec(entry["rawData"].as_str()?).ok());
        assert_eq!(raw.flat_map(|raw| lines(&raw)).collect::<Vec<_>>(), records(0..3), "{kept:?}");
        assert_eq!(walking.handle.stream.panicked.lock().len(), 1);
        walking.stop().await;
    }
}
