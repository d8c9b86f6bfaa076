//! A processor that panics fails the records that it was given, and nothing else: the road goes on with a fresh one.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;
use hydrant_transforms::processors::Transform;
use hydrant_transforms::records::{Arrived, ErrorOutput, Failure, Fates, Origin, Raw, Records, WantedKey};

use super::stages::Counting;
use super::stream::Stream;
use crate::catalog::Remote;

/// What came of records that went through a processor.
pub(super) struct Guarded {
    pub(super) records: Records,
    pub(super) fates: Fates,
    /// The processor is in no state to be used again, and nor are others that may share something with it.
    pub(super) is_broken: bool,
}

/// Takes `records` through `local`, which is called `name`.
pub(super) fn apply(
    stream: &Stream,
    name: &'static str,
    local: &mut dyn Transform,
    records: Records,
    arrived: &Arrived,
) -> Guarded {
    let (went, counting) = (Went::new(&records, arrived), Counting::begin(stream, name, &records));
    let mut fates = Fates::default();
    // What may have been left half done is used by nobody: the fates of a panic are made anew, and so is the processor.
    let done = catch_unwind(AssertUnwindSafe(|| local.apply(records, arrived, &mut fates)));
    went.guard(stream, name, counting, done, fates)
}

/// The same of a processor elsewhere.
pub(super) async fn ask(
    stream: &Stream,
    name: &'static str,
    remote: &mut dyn Remote,
    records: Records,
    arrived: &Arrived,
) -> Guarded {
    let (went, counting) = (Went::new(&records, arrived), Counting::begin(stream, name, &records));
    let mut fates = Fates::default();
    let done = AssertUnwindSafe(remote.apply(records, arrived, &mut fates)).catch_unwind().await;
    went.guard(stream, name, counting, done, fates)
}

/// Records that went into a processor, should they not come out.
struct Went {
    origins: Vec<Origin>,
    /// Bytes for the entries of those whose bytes only the records had; as many as there are such.
    kept: Vec<Vec<u8>>,
    wanted: Arc<[WantedKey]>,
}

impl Went {
    fn new(records: &Records, arrived: &Arrived) -> Self {
        let origins: Vec<Origin> = records.iter().map(|(record, _)| record.origin).collect();
        let kept = origins.iter().filter(|origin| matches!(origin.raw, Raw::Kept(_)));
        let kept = kept.map(|origin| records.raw(arrived, *origin).to_vec()).collect();
        Self { origins, kept, wanted: Arc::clone(records.wanted()) }
    }

    fn guard(
        self,
        stream: &Stream,
        name: &'static str,
        counting: Counting<'_>,
        done: Result<Records, Box<dyn Any + Send>>,
        fates: Fates,
    ) -> Guarded {
        let is_broken = done.is_err();
        let (records, fates) = match done {
            Ok(records) => (records, fates),
            Err(panic) => {
                stream.report_panic(name, said(&*panic), self.origins.len());
                (Records::of(&Arrived::default(), Arc::clone(&self.wanted)), self.fail(name))
            }
        };
        counting.end(&records, &fates);
        Guarded { records, fates, is_broken }
    }

    fn fail(self, name: &'static str) -> Fates {
        let mut kept = self.kept.into_iter();
        let failures = self.origins.into_iter().map(|origin| Failure {
            origin,
            output: ErrorOutput::Processing,
            code: PANICKED.into(),
            message: format!("{name} failed in a way that it must not; this is a fault of hydrant's").into(),
            attempts: 1,
            raw: if matches!(origin.raw, Raw::Kept(_)) { kept.next() } else { None },
        });
        Fates { failures: failures.collect(), ..Fates::default() }
    }
}

impl Stream {
    /// A processor that panics does so again and again: each of a stream is told once, and counted each time.
    fn report_panic(&self, processor: &'static str, panic: &str, records: usize) {
        if self.panicked.lock().insert(processor) {
            tracing::error!(
                stream = %self.name, processor, panic, records,
                "a processor panicked; the records that it was given go to the error output"
            );
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

/// The code of records that a processor panicked over.
const PANICKED: &str = "Processing.Panicked";
