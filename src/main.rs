//! The `hydrant` binary: allocator, TLS, runtime, exit code. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use hydrant::cli::{self, Cli, Out};
use hydrant::clock::Clock;
use hydrant::settings::Environment;
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    keep_memory_small();
    // Wrong usage ends here, with exit code 2.
    let cli = Cli::parse();
    let mut out = Out::of_process();
    let Err(error) = run(cli, &mut out) else { return ExitCode::SUCCESS };
    let known = error.downcast_ref::<cli::Error>();
    if !known.is_some_and(cli::Error::is_closed_pipe) {
        // Where not even standard error can be written, the exit code has to do.
        _ = out.note(format_args!("hydrant: {error:#}"));
    }
    ExitCode::from(known.map_or(1, cli::Error::exit_code))
}

/// Parts and bodies are large and short-lived: kept for the allocator's own second, they were half of the process's memory at a
/// backlog. `MIMALLOC_PURGE_DELAY` has the last word. Huge pages, which the allocator asks for, made the process a third larger and
/// no faster: two mebibytes are cleared where some hundred kibibytes are used.
fn keep_memory_small() {
    // Sixteenth of `mi_option_t` in mimalloc.h, which the crate gives no name.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    #[expect(unsafe_code, reason = "there is no other way to set an option of the allocator")]
    // SAFETY: writes a number into a table that may be written at any time.
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_MS);
    }
    // A kernel that does not know them has none.
    _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// Has the allocator give back what was freed: it looks for that only when it is asked for more, which an idle process does not.
async fn give_memory_back(clock: Clock) {
    loop {
        clock.sleep(GIVE_BACK_EVERY).await;
        #[expect(unsafe_code, reason = "the allocator's crate has no safe way to say it")]
        // SAFETY: frees pages that nobody uses, and may be called at any time.
        unsafe {
            libmimalloc_sys::mi_collect(false);
        }
    }
}

const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);

/// How long freed pages stay with the process.
const PURGE_MS: std::ffi::c_long = 100;

fn run(cli: Cli, out: &mut Out) -> anyhow::Result<()> {
    // The only fault is that one was installed before.
    _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.spawn(give_memory_back(Clock::system()));
    let environment = Environment::of_process();
    let mut context = cli::Context { environment: &environment, out, clock: Clock::system() };
    let result = runtime.block_on(cli.run(&mut context));
    // A command that ends has waited for what matters; a thread that still reads a terminal must not hold it.
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(result?)
}
