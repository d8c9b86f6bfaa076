//! A target as an ordinary program: it runs files again, and bends them for a while if it is asked to.
//!
//! It sees nothing of the code that it runs, as libFuzzer does; but it needs no nightly toolchain, finds what is near the seeds,
//! and says the same on every machine.

use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs the files and folders of the command line, or else the seeds and what was found before: `[--seconds N] [--seed N] [PATH…]`.
pub fn run(target: &str, words: &[&str], check: fn(&[u8])) -> ExitCode {
    let (mut seconds, mut seed, mut paths) = (0, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok()).expect("a number behind the option");
        match argument.as_str() {
            "--seconds" => seconds = number(),
            "--seed" => seed = number(),
            path => paths.push(PathBuf::from(path)),
        }
    }
    if paths.is_empty() {
        paths.extend(["seeds", "corpus", "artifacts"].map(|kind| folder(kind, target)));
    }
    let inputs = inputs(&paths);
    for (path, input) in &inputs {
        if let Err(fault) = checked(check, input) {
            eprintln!("{target}: {}: {fault}", path.display());
            return ExitCode::FAILURE;
        }
    }
    println!("{target}: {} inputs hold", inputs.len());
    if inputs.is_empty() {
        eprintln!("{target}: there is nothing to run");
        return ExitCode::FAILURE;
    }
    let seeds = inputs.into_iter().map(|(_, input)| input).collect();
    bend(target, check, Bender::new(seeds, words, seed), Duration::from_secs(seconds))
}

// A program of its own: it has no clock but the machine's.
#[allow(clippy::disallowed_methods)]
fn bend(target: &str, check: fn(&[u8]), mut bender: Bender<'_>, time: Duration) -> ExitCode {
    let (start, mut runs) = (Instant::now(), 0_u64);
    let mut slowest = Duration::ZERO;
    while start.elapsed() < time {
        let input = bender.next();
        let begun = Instant::now();
        let outcome = checked(check, &input);
        let took = begun.elapsed();
        runs += 1;
        if took > slowest {
            slowest = took;
        }
        if outcome.is_err() || took > TOO_LONG {
            let file = folder("artifacts", target).join(runs.to_string());
            let kept =
                std::fs::create_dir_all(file.parent().unwrap_or(&file)).and_then(|()| std::fs::write(&file, &input));
            let fault = outcome.err().unwrap_or_else(|| format!("it took {took:?}"));
            eprintln!("{target}: {} ({kept:?}): {fault}\n{}", file.display(), input.escape_ascii());
            return ExitCode::FAILURE;
        }
    }
    if runs > 0 {
        println!("{target}: {runs} bent inputs hold, the slowest in {slowest:?}");
    }
    ExitCode::SUCCESS
}

/// Whether `check` holds; what it said otherwise.
pub(crate) fn checked(check: fn(&[u8]), input: &[u8]) -> Result<(), String> {
    panic::catch_unwind(AssertUnwindSafe(|| check(input))).map_err(|payload| {
        let said = payload.downcast_ref::<String>().cloned();
        said.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// Where inputs of a kind lie.
pub(crate) fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(kind).join(target)
}

/// The files, and all that lie in the folders, with their paths.
pub(crate) fn inputs(paths: &[PathBuf]) -> Vec<(PathBuf, Vec<u8>)> {
    let mut inputs = Vec::new();
    paths.iter().for_each(|path| collect(path, &mut inputs));
    inputs
}

fn collect(path: &Path, inputs: &mut Vec<(PathBuf, Vec<u8>)>) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| collect(path, inputs));
    } else if let Ok(input) = std::fs::read(path) {
        inputs.push((path.to_owned(), input));
    }
}

/// Makes inputs of others.
struct Bender<'w> {
    inputs: Vec<Vec<u8>>,
    /// How many of them are as they were given: they are never replaced, and every other input is made of one.
    seeds: usize,
    words: &'w [&'w str],
    dice: u64,
}

impl<'w> Bender<'w> {
    fn new(inputs: Vec<Vec<u8>>, words: &'w [&'w str], dice: u64) -> Self {
        Self { seeds: inputs.len(), inputs, words, dice }
    }

    fn next(&mut self) -> Vec<u8> {
        let among = if self.below(2) == 0 { self.seeds } else { self.inputs.len() };
        let from = self.below(among);
        let mut input = self.inputs[from].clone();
        for _ in 0..=self.below(6) {
            self.bend(&mut input);
        }
        input.truncate(LONGEST);
        // Some are bent again later: so what is far from the seeds is reached too.
        if self.below(16) == 0 {
            if self.inputs.len() < self.seeds + INPUTS {
                self.inputs.push(input.clone());
            } else {
                let at = self.seeds + self.below(self.inputs.len() - self.seeds);
                self.inputs[at] = input.clone();
            }
        }
        input
    }

    fn bend(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = (at + self.below(9)).min(input.len());
        match self.below(8) {
            0 if at < input.len() => input[at] ^= 1 << self.below(8),
            1 if at < input.len() => input[at] = self.roll().to_le_bytes()[0],
            2 => drop(input.drain(at..end)),
            3 => {
                let part = input[at..end].to_vec();
                let to = self.below(input.len() + 1);
                let times = 1 + self.below(3);
                drop(input.splice(to..to, part.repeat(times)));
            }
            4 => {
                let other = self.below(self.inputs.len());
                let other = &self.inputs[other];
                let from = (self.dice >> 7) as usize % (other.len() + 1);
                let until = (from + (self.dice >> 23) as usize % 40).min(other.len());
                let part = other[from..until].to_vec();
                drop(input.splice(at..at, part));
            }
            5 => {
                let number = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF][self.below(8)];
                let bytes = u32::to_le_bytes(number);
                let place = input.iter_mut().skip(at);
                place.zip(bytes).for_each(|(byte, new)| *byte = new);
            }
            _ if !self.words.is_empty() => {
                let word = self.words[self.below(self.words.len())];
                let until = if self.below(2) == 0 { at } else { end };
                drop(input.splice(at..until, word.bytes()));
            }
            _ => {}
        }
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() >> 16) as usize % end.max(1)
    }

    /// splitmix64
    fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.dice;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// Bytes of an input at most.
const LONGEST: usize = 4096;
/// Bent inputs that others are made of, at most.
const INPUTS: usize = 200;
/// Nothing so small may take so long.
const TOO_LONG: Duration = Duration::from_secs(2);
