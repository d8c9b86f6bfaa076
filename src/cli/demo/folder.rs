//! The demo's directory: new, empty, or its own; with the transform module in it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::cli::Error;

/// Makes `dir` ready for a run: made if it is missing, cleared if a demo made it.
///
/// # Errors
/// It holds something that no demo put there, or another demo runs in it.
pub(super) fn prepare(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(Error::file("making", dir))?;
    let marker = dir.join(MARKER);
    let is_ours = match fs::metadata(&marker) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(Error::file("reading", &marker)(error)),
    };
    let is_empty = fs::read_dir(dir).map_err(Error::file("reading", dir))?.next().is_none();
    if !is_ours && !is_empty {
        return Err(Error::Refused(format!(
            "{} exists and was not made by `hydrant demo`; name another directory with --dir, or remove it",
            dir.display()
        )));
    }
    if is_ours {
        clear(dir)?;
    }
    fs::write(&marker, MARKER_TEXT).map_err(Error::file("writing", &marker))
}

/// Puts the transform module where a service on `dir` looks for modules.
pub(super) fn add_module(dir: &Path) -> Result<(), Error> {
    let modules = dir.join("modules");
    fs::create_dir_all(&modules).map_err(Error::file("making", &modules))?;
    let module = modules.join("clicks.wasm");
    fs::write(&module, CLICKS_MODULE).map_err(Error::file("writing", &module))
}

/// Removes what the service made, and nothing else.
fn clear(dir: &Path) -> Result<(), Error> {
    let lock = dir.join("lock");
    // Held until everything is gone; a service that runs here would lose its data.
    let _held = match File::open(&lock) {
        Ok(file) => {
            if matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
                let dir = dir.display();
                return Err(Error::Refused(format!(
                    "{dir} is in use by another hydrant; stop it, or name another with --dir"
                )));
            }
            Some(file)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Error::file("opening", &lock)(error)),
    };
    for name in ["objects", "streams", "artifacts", "pool"] {
        let path = dir.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file("removing", &path)(error)),
            _ => {}
        }
    }
    Ok(())
}

/// Built from `transforms/guest/examples/clicks`, and held against it by the tests of `transforms`.
const CLICKS_MODULE: &[u8] = include_bytes!("../../../transforms/guest/prebuilt/clicks.wasm");
const MARKER: &str = ".hydrant-demo";
const MARKER_TEXT: &str = "`hydrant demo` made this directory and replaces what is in it.\n";
