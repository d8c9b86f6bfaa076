//! See [`hydrant_fuzz::table`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::table::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("table", hydrant_fuzz::table::WORDS, hydrant_fuzz::table::check)
}
