//! The only door to environment variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

type Lookup = dyn Fn(&str) -> Option<OsString> + Send + Sync;

/// Environment variables, of the process or made up by a test.
///
/// The AWS SDK reads credentials and profiles on its own; everything else that the environment says is asked for here.
pub struct Environment {
    lookup: Box<Lookup>,
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        Self { lookup: Box::new(|name| std::env::var_os(name)) }
    }

    /// Exactly these variables.
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let variables: BTreeMap<String, OsString> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Self { lookup: Box::new(move |name| variables.get(name).cloned()) }
    }

    /// The value of `name`. One that is empty counts as not set, because `NAME: ${NAME:-}` in a compose file means that.
    ///
    /// # Errors
    /// The value is not UTF-8.
    pub fn value(&self, name: &str) -> Result<Option<String>, String> {
        match (self.lookup)(name) {
            Some(value) if !value.is_empty() => match value.into_string() {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err("must be UTF-8".to_owned()),
            },
            _ => Ok(None),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        f.write_str("Environment")
    }
}
