//! See [`hydrant_fuzz::prefix`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::prefix::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("prefix", hydrant_fuzz::prefix::WORDS, hydrant_fuzz::prefix::check)
}
