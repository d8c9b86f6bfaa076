//! The settings file: the knobs' keys with one plain value each, in TOML or YAML.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::fault::{Fault, Origin};
use super::knob::{CONFIG, KNOBS};

/// Reads `path` into the text of each value, by key, and every fault: a file that cannot be read or parsed, keys that are no
/// knobs, values that are tables or lists.
pub(super) fn read(path: &Path) -> (BTreeMap<&'static str, String>, Vec<Fault>) {
    let mut values = BTreeMap::new();
    let mut faults = Vec::new();
    let given = all_values(path).unwrap_or_else(|rule| {
        faults.push(Fault { origin: Origin::File(path.to_owned()), rule });
        Vec::new()
    });
    for (key, value) in given {
        let known = KNOBS.iter().find(|knob| knob.key == key && knob.key != CONFIG.key);
        match (known, value) {
            (Some(knob), Some(value)) => _ = values.insert(knob.key, value),
            (Some(_), None) => faults.push(fault(path, key, "must have one plain value".to_owned())),
            (None, _) => {
                let rule = unknown(&key);
                faults.push(fault(path, key, rule));
            }
        }
    }
    (values, faults)
}

/// Everything that the file says, or what is wrong with it as a whole.
fn all_values(path: &Path) -> Result<Values, String> {
    let parse = match path.extension().and_then(|extension| extension.to_str()) {
        Some("toml") => toml_values,
        Some("yaml" | "yml") => yaml_values,
        _ => return Err("must end in .toml, .yaml or .yml".to_owned()),
    };
    parse(&fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?)
}

fn fault(path: &Path, key: String, rule: String) -> Fault {
    Fault { origin: Origin::Key { key, file: path.to_owned() }, rule }
}

/// What to say of a key that is none: the one that was probably meant, or all that there are.
fn unknown(key: &str) -> String {
    let plain = |key: &str| key.replace(['-', '_', ' '], "").to_lowercase();
    let mut known = KNOBS.iter().filter(|knob| knob.key != CONFIG.key);
    if let Some(knob) = known.clone().find(|knob| plain(knob.key) == plain(key)) {
        return format!("is not a setting; it is spelt {}", knob.key);
    }
    let first = known.next().map(|knob| knob.key).unwrap_or_default();
    let all = known.fold(first.to_owned(), |all, knob| format!("{all}, {}", knob.key));
    format!("is not a setting; there are {all}")
}

/// Keys in the order of the file; a value that is not plain is `None`.
type Values = Vec<(String, Option<String>)>;

fn toml_values(text: &str) -> Result<Values, String> {
    let table: toml::Table = text.parse().map_err(|error| format!("is not TOML: {error}"))?;
    let plain = |value| match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(switch) => Some(switch.to_string()),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    };
    Ok(table.into_iter().map(|(key, value)| (key, plain(value))).collect())
}

fn yaml_values(text: &str) -> Result<Values, String> {
    use serde_norway::Value;

    // Through YAML's own value, which refuses a key that stands twice.
    let document: Value = serde_norway::from_str(text).map_err(|error| format!("is not YAML: {error}"))?;
    let mapping = match document {
        Value::Mapping(mapping) => mapping,
        Value::Null => return Ok(Vec::new()),
        _ => return Err("must be a mapping of settings".to_owned()),
    };
    let plain = |value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        Value::Bool(switch) => Some(switch.to_string()),
        _ => None,
    };
    let key = |key| plain(key).ok_or_else(|| "must be a mapping of settings by name".to_owned());
    mapping.into_iter().map(|(name, value)| Ok((key(name)?, plain(value)))).collect()
}
