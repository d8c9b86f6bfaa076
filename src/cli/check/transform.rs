//! `hydrant check --transform`: what a transform module makes of some records.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hydrant_transforms::wasm::trial::{Difference, Fate, Trial, trial};
use hydrant_transforms::wasm::{Engine, Module};
use parking_lot::Mutex;

use crate::cli::show::{counted, one_line};
use crate::cli::{Context, Error};
use crate::clock::Clock;
use crate::service::ModuleConfiguration;

/// Runs the module in `module` over the lines of `records`, and shows the fate of each.
pub(super) async fn run(module: &Path, records: &Path, context: &mut Context<'_>) -> Result<(), Error> {
    let code = fs::read(module).map_err(Error::file("reading", module))?;
    let text = fs::read(records).map_err(Error::file("reading", records))?;
    let lines = lines(&text);
    let said: Said = Arc::default();
    let data = lines.iter().map(|(_, record)| record.clone()).collect();
    let configuration = ModuleConfiguration::beside(module).map_err(Error::Failed)?;
    let trial = try_out(code, configuration, data, Arc::clone(&said), &context.clock).await;
    let trial = trial.map_err(|fault| Error::Failed(format!("{}: {fault}", module.display())))?;
    for line in said.lock().iter() {
        context.out.note(format_args!("the module says: {}", one_line(line, SHOWN)))?;
    }
    let mut differences = trial.differences.iter().peekable();
    for (at, ((number, _), fate)) in lines.iter().zip(&trial.fates).enumerate() {
        context.out.line(format_args!("{number}: {}", shown(fate)))?;
        if let Some(Difference { way, fate, .. }) = differences.next_if(|difference| difference.record == at) {
            context.out.line(format_args!("{number}: {}, {}", way.name(), shown(fate)))?;
        }
    }
    summary(&trial, context)
}

/// Compiles and runs on a thread of its own, and lets the module's time pass meanwhile.
async fn try_out(
    code: Vec<u8>,
    configuration: ModuleConfiguration,
    records: Vec<Vec<u8>>,
    said: Said,
    clock: &Clock,
) -> Result<Trial, String> {
    let engine = Engine::new(None).map_err(|error| chained(&error))?;
    let log = move |line: &str| {
        let mut said = said.lock();
        if said.len() < SAID && !said.iter().any(|before| before == line) {
            said.push(line.to_owned());
        }
    };
    let start = configuration.start(Arc::new(log), clock);
    let arrival_ms = clock.wall_ms();
    let at_work = engine.clone();
    let mut work = tokio::task::spawn_blocking(move || {
        let module = Module::load(&at_work, &code, configuration.limits).map_err(|error| chained(&error))?;
        Ok(trial(&module, &start, &records, arrival_ms, BATCH_BYTES))
    });
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|error| error.to_string()).flatten(),
            () = clock.sleep(Engine::TICK) => engine.tick(),
        }
    }
}

/// The number and the bytes of each line that is a record: with its line feed, as `hydrant put` sends it.
fn lines(text: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let records = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
    let whole = |line: &[u8]| [line.strip_suffix(b"\n").unwrap_or(line), b"\n"].concat();
    records.map(|(at, line)| (at + 1, whole(line))).collect()
}

fn shown(fate: &Fate) -> String {
    match fate {
        Fate::Ok { data, keys } => {
            let keys = keys.iter().map(|(name, value)| format!(", {name}={value}")).collect::<Vec<_>>().concat();
            let text = String::from_utf8_lossy(data.get(..data.len().min(4 * SHOWN)).unwrap_or_default());
            let size = counted(data.len() as u64, "byte");
            format!("ok, {size}{}: {}", one_line(&keys, SHOWN), one_line(&text, SHOWN))
        }
        Fate::Dropped => "dropped".to_owned(),
        Fate::Failed { code, message } => format!("failed, {code}: {}", one_line(message, 5 * SHOWN)),
    }
}

fn summary(trial: &Trial, context: &mut Context<'_>) -> Result<(), Error> {
    let count = |of: fn(&Fate) -> bool| trial.fates.iter().filter(|fate| of(fate)).count();
    let failed = count(|fate| matches!(fate, Fate::Failed { .. }));
    let dropped = count(|fate| matches!(fate, Fate::Dropped));
    let records = trial.fates.len();
    let went_on = records - failed - dropped;
    let all = counted(records as u64, "record");
    context.out.line(format_args!("{all}: {went_on} ok, {dropped} dropped, {failed} failed"))?;
    let mut faults = Vec::new();
    if failed > 0 {
        faults.push(format!("{} failed", counted(failed as u64, "record")));
    }
    if !trial.differences.is_empty() {
        let records = counted(trial.differences.len() as u64, "record");
        faults.push(format!(
            "the module is not a function of its records: {records} had another fate when asked otherwise"
        ));
    }
    if faults.is_empty() { Ok(()) } else { Err(Error::Failed(faults.join("; "))) }
}

fn chained(error: &hydrant_transforms::wasm::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Lines that the module wrote, each once: it is asked the same several times.
type Said = Arc<Mutex<Vec<String>>>;

/// As many of them are shown.
const SAID: usize = 100;
/// Characters of a record.
const SHOWN: usize = 100;
/// AWS's default of `BufferSizeInMBs`.
const BATCH_BYTES: usize = 1 << 20;
