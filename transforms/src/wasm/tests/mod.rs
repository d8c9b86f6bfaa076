mod arbitrary;
mod guests;
mod hostile;
mod language;
mod loading;
mod ordinary;
mod prebuilt;
mod trials;

use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Birth, Offset, RecordIdentity};
use parking_lot::Mutex;

use super::{Engine, Limits, Log, Module, Pool, Start, WasmTransform};
use crate::records::{Arrived, Fates, Records, Source, Span, WantedKey};

/// A module at work in a test: its lines, and how fast its time passes.
struct Bench {
    transform: WasmTransform,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What became of each record, in order: `+` and its bytes, `-` where it was dropped, or its code without `Lambda.`, the
/// number of attempts and its message.
type Outcome = Vec<String>;

impl Bench {
    /// `bytes` with the memory, deadline and answers of a test.
    fn new(bytes: &[u8]) -> Self {
        Self::with(bytes, Start::default(), 3, 1 << 20)
    }

    fn with(bytes: &[u8], start: Start, retries: u32, batch_bytes: usize) -> Self {
        let engine = Engine::new(None).unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let module = Module::load(&engine, bytes, LIMITS).unwrap();
        let pool = Pool::new(module, Start { log: Some(clockwork(&engine, &lines)), ..start });
        Self { transform: WasmTransform::new(pool, batch_bytes, retries), lines }
    }

    fn run(&self, records: &[&str]) -> Outcome {
        let records: Vec<_> = records.iter().map(|record| record.as_bytes().to_vec()).collect();
        outcome(&self.transform, &records)
    }

    fn started(&self) -> u64 {
        self.transform.pool().started()
    }
}

/// A log that lets a tick pass when a module says that it loops: no test waits for time.
fn clockwork(engine: &Engine, lines: &Arc<Mutex<Vec<String>>>) -> Log {
    let (engine, lines) = (engine.clone(), Arc::clone(lines));
    Arc::new(move |line| {
        lines.lock().push(line.to_owned());
        if line == "loop" {
            engine.tick();
        }
    })
}

fn outcome(transform: &WasmTransform, records: &[Vec<u8>]) -> Outcome {
    let arrived = arrived(records);
    let mut fates = Fates::default();
    let after = transform.apply(Records::of(&arrived, Arc::default()), &arrived, &mut fates);
    let mut outcome = vec![Vec::new(); records.len()];
    for (record, bytes) in after.iter() {
        outcome[usize::try_from(record.origin.source).unwrap()].push(format!("+{}", String::from_utf8_lossy(bytes)));
    }
    for failure in &fates.failures {
        let code = failure.code.strip_prefix("Lambda.").unwrap();
        let said = format!("{code} {} {}", failure.attempts, failure.message);
        outcome[usize::try_from(failure.origin.source).unwrap()].push(said);
        assert_eq!(after.raw(&arrived, failure.origin), arrived.record(failure.origin.source));
    }
    let order: Vec<_> = after.iter().map(|(record, _)| record.origin.source).collect();
    assert!(order.is_sorted(), "records keep their order: {order:?}");
    let mut dropped = 0;
    let outcome = outcome.into_iter().map(|mut ways| {
        assert!(ways.len() <= 1, "a record went two ways: {ways:?}");
        ways.pop().unwrap_or_else(|| {
            dropped += 1;
            "-".to_owned()
        })
    });
    let outcome = outcome.collect();
    assert_eq!(dropped, fates.dropped, "what is neither here nor there was dropped by a verdict");
    outcome
}

fn arrived(records: &[Vec<u8>]) -> Arrived {
    let mut bytes = Vec::new();
    let mut sources = Vec::new();
    for (record, offset) in records.iter().zip(0..) {
        let start = u32::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(record);
        let span = Span { start, end: u32::try_from(bytes.len()).unwrap() };
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span, arrival_ms: 1_785_000_000_000 + offset, identity });
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}

fn wanted(names: &[&str]) -> Arc<[WantedKey]> {
    let key = |name: &&str| WantedKey { source: hydrant_model::KeySource::Lambda, name: (*name).to_owned() };
    names.iter().map(key).collect()
}

const LIMITS: Limits = Limits { memory_bytes: 8 << 20, deadline: Duration::from_secs(1), answer_bytes: 1 << 20 };
