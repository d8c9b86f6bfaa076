//! Partition keys of records, as a stream's `MetadataExtraction` takes them.
//!
//! `cargo run -p hydrant-transforms --example extract -- QUERY KEY… < RECORDS`, a record a line. Prints a JSON array of the keys'
//! texts for each record, or a JSON text: why it has none. `tests/peers/test_jq.py` holds this against jq.

use std::io::{BufRead, BufWriter, Write, stdin, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};
use hydrant_transforms::processors::extraction::Extraction;
use hydrant_transforms::processors::{Context, Transform};
use hydrant_transforms::records::{Arrived, Fates, Records, Source, Span, WantedKey};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let query = arguments.next().unwrap_or_default();
    let wanted: Arc<[WantedKey]> = arguments.map(|name| WantedKey { source: KeySource::Query, name }).collect();
    let extraction = Extraction::new(&query, &Context { wanted: Arc::clone(&wanted) });
    let told = match extraction {
        Ok(mut extraction) => tell(&mut extraction, &wanted),
        Err(message) => {
            let mut out = stdout().lock();
            return writeln!(out, "{message}").map_or(ExitCode::FAILURE, |()| ExitCode::from(2));
        }
    };
    told.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn tell(extraction: &mut Extraction, wanted: &Arc<[WantedKey]>) -> std::io::Result<()> {
    let mut out = BufWriter::new(stdout().lock());
    for line in stdin().lock().split(b'\n') {
        let line = line?;
        let span = Span { start: 0, end: u32::try_from(line.len()).unwrap_or(u32::MAX) };
        let identity = RecordIdentity { birth: Birth([0; 16]), offset: Offset(0), sub_index: 0 };
        let arrived = Arrived { bytes: Arc::new(line.into()), sources: vec![Source { span, arrival_ms: 0, identity }] };
        let mut fates = Fates::default();
        let records = extraction.apply(Records::of(&arrived, Arc::clone(wanted)), &arrived, &mut fates);
        let keys: Vec<_> = records.keys(0).map(Option::unwrap_or_default).collect();
        match fates.failures.first() {
            Some(failure) => serde_json::to_writer(&mut out, &failure.message)?,
            None => serde_json::to_writer(&mut out, &keys)?,
        }
        writeln!(out)?;
    }
    out.flush()
}
