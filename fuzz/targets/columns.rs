//! See [`hydrant_fuzz::columns`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::columns::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("columns", hydrant_fuzz::columns::WORDS, hydrant_fuzz::columns::check)
}
