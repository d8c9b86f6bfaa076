//! The whole road under load: a hydrant process, clients that put, an S3 server that swallows.
//!
//! `cargo bench --bench road -- [NAME…] [--repeat N] [--share X]`; without names it lists them, `all` takes every one. Only the
//! CPU time of the hydrant process counts, so that clients and the S3 server may share its machine. Every run checks that what
//! was delivered is what was put: as many records, with the same checksum. What the runs are is told in `benches/README.md`.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the machine's own clock, and tracks no tasks"
)]

#[path = "../../transforms/benches/clicks.rs"]
mod clicks;
mod client;
#[path = "../../transforms/src/wasm/tests/guests.rs"]
#[expect(dead_code, reason = "the tests' modules; here only the one that gives records back")]
mod guests;
mod load;
mod report;
mod runs;
mod server;
mod shape;
mod swallow;
mod tally;

use anyhow::{Context as _, bail};

use crate::report::Figures;
use crate::runs::{RUNS, Run};

fn main() -> anyhow::Result<()> {
    let wanted = Wanted::of(std::env::args().skip(1))?;
    if wanted.runs.is_empty() {
        for run in &RUNS {
            println!("{:20} {}", run.name, run.about);
        }
        println!("{:20} every one of them", "all");
    }
    for run in &wanted.runs {
        println!("{}: {}", run.name, run.about);
        let mut taken = Vec::new();
        for _ in 0..wanted.repeat {
            let figures = run.take(wanted.share).with_context(|| format!("run {}", run.name))?;
            println!("    {figures}");
            taken.push(figures);
        }
        if wanted.repeat > 1 {
            summarize(&taken);
        }
    }
    Ok(())
}

struct Wanted {
    runs: Vec<&'static Run>,
    repeat: usize,
    share: f64,
}

impl Wanted {
    fn of(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut wanted = Self { runs: Vec::new(), repeat: 1, share: 1.0 };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{argument} wants a number"));
            match argument.as_str() {
                // What cargo itself says.
                "--bench" => {}
                "--repeat" => wanted.repeat = value()?.parse().context("--repeat")?,
                "--share" => wanted.share = value()?.parse().context("--share")?,
                "all" => wanted.runs.extend(&RUNS),
                name => match RUNS.iter().find(|run| run.name == name) {
                    Some(run) => wanted.runs.push(run),
                    None => bail!("{name} is no run; without a name they are listed"),
                },
            }
        }
        Ok(wanted)
    }
}

fn summarize(taken: &[Figures]) {
    let show = |unit: &str, mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        if let (Some(least), Some(median)) = (values.first(), values.get(values.len() / 2)) {
            println!("    {unit}: least {least:.3}, median {median:.3}");
        }
    };
    show("CPU s/GB", taken.iter().map(Figures::cpu_per_gb).collect());
    show("CPU us/request", taken.iter().map(Figures::cpu_per_request).collect());
}
