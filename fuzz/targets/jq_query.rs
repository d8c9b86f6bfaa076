//! See [`hydrant_fuzz::jq_query`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::jq_query::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("jq_query", hydrant_fuzz::jq_query::WORDS, hydrant_fuzz::jq_query::check)
}
