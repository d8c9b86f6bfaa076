//! What stands beside a module: `enrich.yaml` (or `.yml`, `.json`) next to `enrich.wasm`, as AWS keeps a function's configuration
//! with the function.
//!
//! | Member | Values | Without it |
//! |---|---|---|
//! | `Timeout` | 1 to 900 seconds, for one call and for a start | 5 |
//! | `MemorySize` | 1 to 1,024 MiB that an instance may take | 64 |
//! | `Settings` | a text, given to `hydrant_init` as it is; anything else, given as JSON | no bytes |
//! | `Grants` | a list of `clock`, `random` | none |

use std::path::{Path, PathBuf};
use std::time::Duration;

use hydrant_transforms::wasm::{Grants, Limits, Log, Start};
use serde_json::Value;

use crate::clock::Clock;
use crate::service::stamp::Stamp;

/// What a module may use, and what it is given.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Configuration {
    /// What one instance may use.
    pub(crate) limits: Limits,
    settings: Vec<u8>,
    clock: bool,
    random: bool,
}

impl Configuration {
    /// What stands beside the file `module`; the defaults where nothing does. Waits for the disk.
    ///
    /// # Errors
    /// There are two files, or one cannot be read, or breaks a rule: each with the member.
    pub(crate) fn beside(module: &Path) -> Result<Self, String> {
        Self::beside_with_text(module).map(|(configuration, _)| configuration)
    }

    /// The same, and the text that says it.
    ///
    /// # Errors
    /// As [`Self::beside`].
    pub(super) fn beside_with_text(module: &Path) -> Result<(Self, Option<Vec<u8>>), String> {
        let Some((path, _)) = file_beside(module)? else { return Ok((Self::default(), None)) };
        let text = std::fs::read(&path).map_err(|error| error.to_string());
        let read = text.and_then(|text| Ok((Self::parse(&text)?, Some(text))));
        read.map_err(|error| format!("{}: {error}", path.display()))
    }

    /// What the text of such a file says.
    ///
    /// # Errors
    /// It is no YAML, or breaks a rule: each with the member.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: serde_norway::Value =
            serde_norway::from_slice(text).map_err(|error| format!("is not YAML: {error}"))?;
        let document = serde_json::to_value(document).map_err(|error| error.to_string())?;
        Self::read(&document).map_err(|faults| faults.join("; "))
    }

    /// What every instance is given; its lines go to `log`.
    pub(crate) fn start(&self, log: Log, clock: &Clock) -> Start {
        let time = || {
            let clock = clock.clone();
            let nanos = move || clock.wall_ms().saturating_mul(1_000_000);
            std::sync::Arc::new(nanos) as hydrant_transforms::wasm::Clock
        };
        let chance = || {
            let clock = clock.clone();
            let fill = move |bytes: &mut [u8]| {
                bytes
                    .chunks_mut(16)
                    .for_each(|chunk| chunk.iter_mut().zip(clock.bits()).for_each(|(to, bit)| *to = bit));
            };
            std::sync::Arc::new(fill) as hydrant_transforms::wasm::Random
        };
        let grants = Grants { clock: self.clock.then(time), random: self.random.then(chance) };
        Start { settings: self.settings.clone(), grants, log: Some(log) }
    }

    fn read(document: &Value) -> Result<Self, Vec<String>> {
        let empty = serde_json::Map::new();
        let members = match document {
            Value::Null => &empty,
            Value::Object(members) => members,
            _ => return Err(vec![format!("is no list of members; {KNOWN}")]),
        };
        let (mut read, mut faults) = (Self::default(), Vec::new());
        for (name, value) in members {
            if let Err(rule) = read.take(name, value) {
                faults.push(format!("{name}: {rule}"));
            }
        }
        if faults.is_empty() { Ok(read) } else { Err(faults) }
    }

    fn take(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "Timeout" => self.limits.deadline = Duration::from_secs(whole(value, MOST_SECONDS, "seconds")?),
            "MemorySize" => {
                let mebibytes = whole(value, MOST_MEBIBYTES, "MiB")?;
                self.limits.memory_bytes = usize::try_from(mebibytes << 20).unwrap_or(usize::MAX);
            }
            "Settings" => {
                self.settings = match value {
                    Value::Null => Vec::new(),
                    Value::String(text) => text.clone().into_bytes(),
                    other => other.to_string().into_bytes(),
                };
            }
            "Grants" => {
                let grants = value.as_array().ok_or("must be a list of clock and random")?;
                for grant in grants {
                    match grant.as_str() {
                        Some("clock") => self.clock = true,
                        Some("random") => self.random = true,
                        _ => return Err(format!("{grant} cannot be granted; clock and random can")),
                    }
                }
            }
            _ => return Err(format!("is not known; {KNOWN}")),
        }
        Ok(())
    }
}

/// The file that stands beside `module`, and its stamp; `None` where there is none.
///
/// # Errors
/// There are two.
pub(super) fn file_beside(module: &Path) -> Result<Option<(PathBuf, Stamp)>, String> {
    let mut found: Option<(PathBuf, Stamp)> = None;
    for extension in ["yaml", "yml", "json"] {
        let path = module.with_extension(extension);
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if let Some((other, _)) = found {
            return Err(format!("there are {} and {}; one of them must go", other.display(), path.display()));
        }
        found = Some((path, Stamp::of(&metadata)));
    }
    Ok(found)
}

fn whole(value: &Value, most: u64, unit: &str) -> Result<u64, String> {
    let rule = || format!("{value} must be a whole number of {unit} from 1 to {most}");
    value.as_u64().filter(|number| (1..=most).contains(number)).ok_or_else(rule)
}

const KNOWN: &str = "Timeout, MemorySize, Settings and Grants are";
/// As much as a Lambda function can have.
const MOST_SECONDS: u64 = 900;
/// An instance is held whole.
const MOST_MEBIBYTES: u64 = 1024;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_member_is_read_and_each_fault_is_named_at_once() {
        let read = Configuration::read(&json!({
            "Timeout": 30, "MemorySize": 256, "Settings": {"rate": 1.5}, "Grants": ["clock"],
        }))
        .unwrap();
        assert_eq!((read.limits.deadline.as_secs(), read.limits.memory_bytes), (30, 256 << 20));
        assert_eq!((read.settings.as_slice(), read.clock, read.random), (br#"{"rate":1.5}"#.as_slice(), true, false));
        assert_eq!(Configuration::read(&json!({"Settings": "as is\n"})).unwrap().settings, b"as is\n");
        assert_eq!(Configuration::read(&Value::Null), Ok(Configuration::default()));
        let faults = Configuration::read(&json!({
            "Timeout": 0, "MemorySize": "64", "Grants": ["network"], "Handler": "x",
        }));
        let faults = faults.unwrap_err();
        assert_eq!(
            faults,
            [
                "Timeout: 0 must be a whole number of seconds from 1 to 900",
                "MemorySize: \"64\" must be a whole number of MiB from 1 to 1024",
                "Grants: \"network\" cannot be granted; clock and random can",
                "Handler: is not known; Timeout, MemorySize, Settings and Grants are",
            ]
        );
        assert!(Configuration::read(&json!([1])).is_err() && Configuration::read(&json!({"Grants": "clock"})).is_err());
    }

    #[test]
    fn a_file_is_found_under_three_names_and_two_of_them_are_a_fault() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("enrich.wasm");
        assert_eq!(Configuration::beside(&module), Ok(Configuration::default()));
        std::fs::write(folder.path().join("enrich.json"), r#"{"Timeout": 7}"#).unwrap();
        assert_eq!(Configuration::beside(&module).unwrap().limits.deadline.as_secs(), 7);
        std::fs::write(folder.path().join("enrich.yaml"), "Timeout: 8\n").unwrap();
        assert!(Configuration::beside(&module).unwrap_err().ends_with("enrich.json; one of them must go"));
        std::fs::remove_file(folder.path().join("enrich.json")).unwrap();
        assert_eq!(Configuration::beside(&module).unwrap().limits.deadline.as_secs(), 8);
        std::fs::write(folder.path().join("enrich.yaml"), "Timeout: [\n").unwrap();
        assert!(Configuration::beside(&module).unwrap_err().contains("enrich.yaml: is not YAML"));
    }
}
