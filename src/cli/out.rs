//! Where commands print.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Error;

/// Standard output for results, standard error for notes and progress bars.
pub struct Out {
    results: Box<dyn Write + Send>,
    notes: Box<dyn Write + Send>,
    bars: bool,
}

impl Out {
    /// The process's own. Progress bars show only where standard error is a terminal.
    pub fn of_process() -> Self {
        Self { results: Box::new(io::stdout()), notes: Box::new(io::stderr()), bars: true }
    }

    /// Prints a result, a line, and sends it off.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Error> {
        print(&mut self.results, line)
    }

    /// Prints a note: what happens meanwhile, and what is wrong.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn note(&mut self, line: impl fmt::Display) -> Result<(), Error> {
        print(&mut self.notes, line)
    }

    /// A progress bar of `total` units, or of an unknown number.
    pub(super) fn bar(&self, total: Option<u64>, unit: Unit) -> ProgressBar {
        // Hides itself where standard error is no terminal.
        let target = if self.bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let template = match (unit, total.is_some()) {
            (Unit::Bytes, true) => "{bar:30} {bytes}/{total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}",
            (Unit::Bytes, false) => "{spinner} {bytes}  {binary_bytes_per_sec}  {msg}",
            (Unit::Records, true) => "{bar:30} {human_pos}/{human_len} records  {per_sec}  {msg}",
            (Unit::Records, false) => "{spinner} {human_pos} records  {per_sec}  {msg}",
        };
        let style = ProgressStyle::with_template(template).expect("the templates are well formed");
        let bar = ProgressBar::with_draw_target(total, target).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// What a progress bar counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    /// Bytes.
    Bytes,
    /// Records.
    Records,
}

fn print(to: &mut (impl Write + ?Sized), line: impl fmt::Display) -> Result<(), Error> {
    // One write a line, so that lines of two processes in one terminal do not mix.
    let line = format!("{line}\n");
    to.write_all(line.as_bytes()).and_then(|()| to.flush()).map_err(Error::Output)
}

#[cfg(test)]
pub(super) use captured::Captured;

#[cfg(test)]
mod captured {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::Out;

    /// What a command printed.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        /// An output without progress bars, and what will be printed as results and as notes.
        pub(in crate::cli) fn out() -> (Out, Self, Self) {
            let (results, notes) = (Self::default(), Self::default());
            (Out { results: Box::new(results.clone()), notes: Box::new(notes.clone()), bars: false }, results, notes)
        }

        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
