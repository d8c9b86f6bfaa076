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

fn run(cli: Cli, out: &mut Out) -> anyhow::Result<()> {
    // The only fault is that one was installed before.
    _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let environment = Environment::of_process();
    let mut context = cli::Context { environment: &environment, out, clock: Clock::system() };
    let result = runtime.block_on(cli.run(&mut context));
    // A command that ends has waited for what matters; a thread that still reads a terminal must not hold it.
    runtime.shutdown_timeout(Duration::ZERO);
    Ok(result?)
}
