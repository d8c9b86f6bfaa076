//! See [`hydrant_fuzz::module_answer`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| hydrant_fuzz::module_answer::check(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    hydrant_fuzz::replay::run("module_answer", hydrant_fuzz::module_answer::WORDS, hydrant_fuzz::module_answer::check)
}
