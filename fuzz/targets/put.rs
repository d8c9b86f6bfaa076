//! See [`hydrant_fuzz::put`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::put::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("put", hydrant_fuzz::put::WORDS, hydrant_fuzz::put::check)
}
