//! See [`hydrant_fuzz::kpl`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::kpl::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("kpl", hydrant_fuzz::kpl::WORDS, hydrant_fuzz::kpl::check)
}
