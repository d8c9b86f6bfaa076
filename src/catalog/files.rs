//! Stream files: one delivery stream each, in the shape of the `CreateDeliveryStream` request and a `Hydrant` block.
//!
//! A file describes what its author wants; the API may have changed the stream since. So a file is applied only when its
//! content differs from what was last applied from it, and then only the members that differ ([`Change`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use hydrant_model::Rules;
use hydrant_model::constraint::Faults;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::settings::{beyond_aws, tags_of_block};
use super::{Definition, Rulebook, SettingFault, Settings, form, tags};

pub use change::Change;

mod change;

/// What a folder of stream files holds.
#[derive(Debug, Default)]
pub struct Folder {
    /// The files without fault, by path.
    pub files: Vec<StreamFile>,
    /// Every fault of the others.
    pub faults: Vec<FileFault>,
    /// Names of all stream files, with or without fault; `None` where the folder was not or could not be listed.
    pub listed: Option<BTreeSet<String>>,
}

/// A stream file without fault.
#[derive(Clone, Debug)]
pub struct StreamFile {
    /// Where it is.
    pub path: PathBuf,
    /// The stream that it describes.
    pub definition: Definition,
    /// Its content, to be remembered once applied.
    pub content: Applied,
}

/// The content of a stream file, as last applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// SHA-256 of the content in canonical form, hexadecimal: the same for two files that say the same.
    pub hash: String,
    /// The content.
    pub document: Value,
    /// The name of the file in its folder. Earlier versions did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// One fault of one stream file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// The file, or the folder where that cannot be read.
    pub file: PathBuf,
    /// Where in it, in its own words: `ExtendedS3DestinationConfiguration.BufferingHints.SizeInMBs`.
    pub field: Option<String>,
    /// The rule that was broken.
    pub rule: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file.display())?;
        if let Some(field) = &self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.rule)
    }
}

impl Folder {
    /// Reads every `*.yaml`, `*.yml` and `*.json` of the folder `dir`, without folders below it.
    ///
    /// Two files of the same stream are a fault of the second, by path.
    pub fn read(dir: &Path, rulebook: &Rulebook) -> Self {
        let mut folder = Self::default();
        let paths = match stream_files(dir) {
            Ok(paths) => paths,
            Err(error) => {
                let rule = format!("the folder cannot be read: {error}");
                folder.faults.push(FileFault { file: dir.to_owned(), field: None, rule });
                return folder;
            }
        };
        folder.listed = Some(paths.iter().map(|path| file_name(path)).collect());
        for path in paths {
            match StreamFile::read(&path, rulebook) {
                Ok(file) => folder.add(file),
                Err(faults) => folder.faults.extend(faults),
            }
        }
        folder
    }

    /// Whether the file that was last applied to the stream `name` went away. One that is faulty now is still there.
    pub fn lacks(&self, name: &str, applied: &Applied) -> bool {
        let Some(listed) = &self.listed else { return false };
        !self.describes(name) && applied.file.as_ref().map_or(self.faults.is_empty(), |file| !listed.contains(file))
    }

    /// The stream that `file` described when it was last applied, where it names another now and no other file took over. To go by
    /// the new name alone would make a second stream and leave the first to nobody.
    ///
    /// `streams` are all that exist and are not being deleted, with what was applied to them.
    pub fn former_name<'s>(
        &self,
        file: &StreamFile,
        streams: impl IntoIterator<Item = (&'s str, Option<&'s Applied>)>,
    ) -> Option<&'s str> {
        let mut described = Vec::new();
        for (name, applied) in streams {
            if applied.is_some_and(|applied| applied.file.is_some() && applied.file == file.content.file) {
                described.push(name);
            }
        }
        if described.contains(&file.definition.name.as_str()) {
            return None;
        }
        described.into_iter().find(|name| !self.describes(name))
    }

    fn describes(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.definition.name == name)
    }

    fn add(&mut self, file: StreamFile) {
        let Some(earlier) = self.files.iter().find(|earlier| earlier.definition.name == file.definition.name) else {
            self.files.push(file);
            return;
        };
        let rule = format!("{} is defined in {} too", file.definition.name, earlier.path.display());
        self.faults.push(FileFault { file: file.path, field: Some("DeliveryStreamName".to_owned()), rule });
    }
}

impl StreamFile {
    /// Reads one file, whatever its name ends in: JSON where that is `.json`, else YAML.
    ///
    /// # Errors
    /// Every fault of form, or the first fault of meaning.
    pub fn read(path: &Path, rulebook: &Rulebook) -> Result<Self, Vec<FileFault>> {
        let at = |field: Option<&str>, rule: String| {
            // A fault of the whole document has no field.
            let field = field.filter(|field| !field.is_empty()).map(str::to_owned);
            FileFault { file: path.to_owned(), field, rule }
        };
        let text = fs::read_to_string(path).map_err(|error| vec![at(None, format!("cannot be read: {error}"))])?;
        let document = if path.extension().is_some_and(|extension| extension == "json") {
            from_json(&text)
        } else {
            from_yaml(&text)
        };
        let document = document.map_err(|rule| vec![at(None, rule)])?;
        let mut faults = Faults::default();
        let (bare, block) = without_block(&document);
        form::constrain(&bare, rulebook, &mut faults);
        let form = faults.all().chain(faults.unknown()).map(|fault| at(Some(&fault.field), fault.rule.clone()));
        let settings = settings_faults(&block, rulebook.rules).into_iter().map(|fault| {
            let field = if fault.setting.is_empty() { BLOCK.to_owned() } else { format!("{BLOCK}.{}", fault.setting) };
            at(Some(&field), fault.rule)
        });
        let all: Vec<FileFault> = form.chain(settings).collect();
        if !all.is_empty() {
            return Err(all);
        }
        let tags = all_tags(&document).map_err(|rule| vec![at(Some("Tags"), rule)])?;
        let definition = Definition::build(&bare, tags, rulebook)
            .map_err(|misfit| vec![at(misfit.field.as_deref(), misfit.error.to_string())])?;
        let hash = hex::encode(Sha256::digest(canonical(&document)));
        let content = Applied { hash, document, file: Some(file_name(path)) };
        Ok(Self { path: path.to_owned(), definition, content })
    }
}

/// The tags of a file: its `Tags`, and its `Hydrant` block as tags.
///
/// # Errors
/// A key stands twice, or once in each.
fn all_tags(document: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut all = tags::read(document)?;
    let block = document.get(BLOCK).unwrap_or(&Value::Null);
    for (key, value) in tags_of_block(block).unwrap_or_default() {
        if all.contains_key(&key) {
            return Err(format!("{key} is set by a tag and by the {BLOCK} block"));
        }
        all.insert(key, value);
    }
    Ok(all)
}

fn settings_faults(block: &Value, rules: Rules) -> Vec<SettingFault> {
    let tags: BTreeMap<_, _> = match tags_of_block(block) {
        Ok(tags) => tags.into_iter().collect(),
        Err(faults) => return faults,
    };
    match Settings::from_tags(&tags) {
        Ok(_) if rules == Rules::Strict => beyond_aws(&tags),
        read => read.err().unwrap_or_default(),
    }
}

/// The document as AWS knows it, and what hydrant added.
fn without_block(document: &Value) -> (Value, Value) {
    let mut bare = document.clone();
    let block = bare.as_object_mut().and_then(|members| members.shift_remove(BLOCK)).unwrap_or(Value::Null);
    (bare, block)
}

// Both through YAML's own value, which refuses a key that stands twice; JSON's would keep the last.

fn from_json(text: &str) -> Result<Value, String> {
    let document: serde_norway::Value =
        serde_json::from_str(text).map_err(|error| format!("is not JSON with each key once: {error}"))?;
    as_json(document)
}

fn from_yaml(text: &str) -> Result<Value, String> {
    as_json(serde_norway::from_str(text).map_err(|error| format!("is not YAML: {error}"))?)
}

fn as_json(document: serde_norway::Value) -> Result<Value, String> {
    serde_json::to_value(document).map_err(|error| format!("holds what JSON cannot say: {error}"))
}

fn stream_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        let hidden = path.file_name().and_then(|name| name.to_str()).is_none_or(|name| name.starts_with('.'));
        if matches!(extension, Some("yaml" | "yml" | "json")) && !hidden && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A text that is the same for two values that differ only in the order of members.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::String(name.clone()), canonical(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(canonical).collect();
            format!("[{}]", elements.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// The member of a stream file that AWS does not have.
const BLOCK: &str = "Hydrant";

#[cfg(test)]
mod tests;
