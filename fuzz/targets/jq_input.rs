//! See [`hydrant_fuzz::jq_input`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::jq_input::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("jq_input", hydrant_fuzz::jq_input::WORDS, hydrant_fuzz::jq_input::check)
}
