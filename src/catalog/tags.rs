//! Tags of a stream: `TagDeliveryStream`, `UntagDeliveryStream`, `ListTagsForDeliveryStream`.

use std::collections::BTreeMap;

use hydrant_model::constraint::{Faults, Pattern, Structure, Text, text};
use serde_json::{Value, json};

use super::definition::within_rules;
use super::rulebook::{read_request, stream_name};
use super::{Definition, Error, Rulebook};

/// `TagDeliveryStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The stream.
    pub name: String,
    /// What to set, by key.
    pub tags: BTreeMap<String, String>,
}

/// `UntagDeliveryStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untag {
    /// The stream.
    pub name: String,
    /// What to take away; a key that the stream does not have is no fault.
    pub keys: Vec<String>,
}

/// `ListTagsForDeliveryStream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListTags {
    /// The stream.
    pub name: String,
    /// The listing starts after this key.
    pub after: Option<String>,
    /// Most tags of one answer.
    pub limit: usize,
}

impl Tag {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let mut name = String::new();
        if let Some(request) = read_request(request, &mut faults) {
            name = stream_name(&request, &mut faults);
            request.required("Tags", &mut faults);
            constrain(&request, "Tags", &mut faults);
        }
        Error::verdict(&faults)?;
        Ok(Self { name, tags: read(request).map_err(Error::InvalidArgument)? })
    }

    /// The stream's definition with these tags set; settings among them are checked.
    pub fn apply(&self, current: &Definition, rulebook: &Rulebook) -> Result<Definition, Error> {
        within_rules(&self.tags, rulebook.rules)?;
        let mut definition = current.clone();
        definition.tags.extend(self.tags.iter().map(|(key, value)| (key.clone(), value.clone())));
        if definition.tags.len() > MOST_TAGS {
            let message = format!("A Firehose can have at most {MOST_TAGS} tags; {} would have more", self.name);
            return Err(Error::LimitExceeded(message));
        }
        verified(definition, rulebook)
    }
}

impl Untag {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let (mut name, mut keys) = (String::new(), Vec::new());
        if let Some(request) = read_request(request, &mut faults) {
            name = stream_name(&request, &mut faults);
            request.required("TagKeys", &mut faults);
            for (path, key) in request.list("TagKeys", 1, MOST_TAGS, &mut faults) {
                keys.extend(text(key, &path, &KEY_TEXT, &mut faults).map(str::to_owned));
            }
        }
        Error::verdict(&faults)?;
        Ok(Self { name, keys })
    }

    /// The stream's definition without these tags.
    pub fn apply(&self, current: &Definition, rulebook: &Rulebook) -> Result<Definition, Error> {
        let mut definition = current.clone();
        definition.tags.retain(|key, _| !self.keys.contains(key));
        verified(definition, rulebook)
    }
}

impl ListTags {
    /// Reads the request.
    pub fn from_request(request: &Value) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let (mut name, mut after, mut limit) = (String::new(), None, None);
        if let Some(request) = read_request(request, &mut faults) {
            name = stream_name(&request, &mut faults);
            after = request.text("ExclusiveStartTagKey", &KEY_TEXT, &mut faults).map(str::to_owned);
            limit = request.integer("Limit", 1, 50, &mut faults);
        }
        Error::verdict(&faults)?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(MOST_TAGS);
        Ok(Self { name, after, limit })
    }

    /// The answer: tags by key, alphabetically.
    pub fn page(&self, definition: &Definition) -> Value {
        let after = self.after.as_deref();
        let mut rest = definition.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let tags: Vec<Value> =
            rest.by_ref().take(self.limit).map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        json!({"Tags": tags, "HasMoreTags": rest.next().is_some()})
    }
}

/// Constrains the list member `name` of tags.
pub(super) fn constrain(request: &Structure<'_>, name: &str, faults: &mut Faults) {
    for (path, tag) in request.list(name, 1, MOST_TAGS, faults) {
        let Some(tag) = Structure::read(tag, path, faults) else { continue };
        tag.only(&["Key", "Value"], faults);
        tag.required_text("Key", &KEY_TEXT, faults);
        tag.text("Value", &VALUE_TEXT, faults);
    }
}

/// The tags of a document that keeps to the model.
///
/// # Errors
/// A key stands twice: which value was meant cannot be known.
pub(super) fn read(document: &Value) -> Result<BTreeMap<String, String>, String> {
    let mut tags = BTreeMap::new();
    for tag in document.get("Tags").and_then(Value::as_array).into_iter().flatten() {
        let part = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let key = part("Key");
        if tags.insert(key.clone(), part("Value")).is_some() {
            return Err(format!("Tags contain the key {key} more than once"));
        }
    }
    Ok(tags)
}

fn verified(definition: Definition, rulebook: &Rulebook) -> Result<Definition, Error> {
    definition.settings().map_err(Error::InvalidArgument)?;
    super::Plan::new(&definition, 0, rulebook).map_err(Error::InvalidArgument)?;
    Ok(definition)
}

const MOST_TAGS: usize = 50;
const KEY_TEXT: Text = Text::length(1, 128).matching(&KEY);
const VALUE_TEXT: Text = Text::length(0, 256).matching(&VALUE);

static KEY: Pattern =
    Pattern::spelled(r"^(?!aws:)[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$", r"[\p{L}\p{Z}\p{N}_.:/=+\-@%]*").not_starting("aws:");
static VALUE: Pattern = Pattern::spelled(r"^[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*$", r"[\p{L}\p{Z}\p{N}_.:/=+\-@%]*");
