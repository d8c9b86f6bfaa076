//! Random histories of one stream: log, ledger, delivery and retry on one thread and a paused clock, a disk that loses, tears
//! and reorders what was not synced, a destination that fails in every way it may; checked against what was promised.
//!
//! A seed is a history. One that breaks a promise prints itself; `HYDRANT_SIM_SEED=<n> cargo test -p hydrant --lib simulation`
//! repeats it, `HYDRANT_SIM_SEEDS=<n>` runs that many fresh ones.

mod ears;
mod history;
mod promises;
mod record;
mod sink;
mod stage;
mod table;

use std::panic::{AssertUnwindSafe, catch_unwind};

use parking_lot::Mutex;

use crate::clock::{Clock, splitmix};
use history::History;

/// How a history ended.
struct Told {
    trace: u64,
    /// Bytes of the spool that were written once more.
    rewritten: u64,
    broken: Option<String>,
}

fn tell(seed: u64) -> Told {
    let ears = ears::Ears::default();
    let _default = tracing::subscriber::set_default(ears.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let history = AssertUnwindSafe(async {
        let mut history = History::new(seed, ears);
        let broken = history.run().await.err();
        Told { trace: history.trace(), rewritten: history.rewritten(), broken }
    });
    let told = catch_unwind(AssertUnwindSafe(|| runtime.expect("a runtime").block_on(history.0)));
    told.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Told { trace: 0, rewritten: 0, broken: Some(format!("a panic: {}", text.unwrap_or_default())) }
    })
}

/// Tells every seed, on two threads, each history on one of them; stops at a few that fail.
fn check(seeds: &[u64]) {
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        for half in 0..2 {
            let failed = &failed;
            threads.spawn(move || {
                for (number, seed) in seeds.iter().enumerate().skip(half).step_by(2) {
                    if failed.lock().len() >= FAILURES_SHOWN {
                        return;
                    }
                    if let Some(broken) = tell(*seed).broken {
                        failed.lock().push(format!("HYDRANT_SIM_SEED={seed} (after {number} seeds): {broken}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner();
    assert!(failed.is_empty(), "promises were broken:\n{}", failed.join("\n"));
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_every_promise_is_kept() {
    if let Some(seed) = number("HYDRANT_SIM_SEED") {
        return check(&[seed]);
    }
    let mut fresh = u64::from_be_bytes(Clock::system().bits()[..8].try_into().expect("eight of sixteen bytes"));
    println!("fresh seeds come from {fresh}");
    let more = (0..number("HYDRANT_SIM_SEEDS").unwrap_or(1)).map(|_| splitmix(&mut fresh));
    check(&(0..FIXED_SEEDS).chain(more).collect::<Vec<_>>());
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..40 {
        assert_eq!(tell(seed).trace, tell(seed).trace, "seed {seed}");
    }
}

#[test]
fn the_spool_is_rewritten_in_many_histories() {
    let rewritten = (0..120).map(|seed| tell(seed).rewritten).filter(|bytes| *bytes > 0).count();
    assert!(rewritten >= 10, "in {rewritten} histories");
}

const FIXED_SEEDS: u64 = 1500;
const FAILURES_SHOWN: usize = 5;
