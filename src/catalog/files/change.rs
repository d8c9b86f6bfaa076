//! What a stream file asks for now that it did not ask for before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Applied, StreamFile, all_tags};
use crate::catalog::definition::destination_member;
use crate::catalog::{Definition, Error, Rulebook};

/// The difference between a stream file and what was last applied from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Members of the destination; `None` goes back to the default.
    pub destination: BTreeMap<String, Option<Value>>,
    /// Tags, settings among them; `None` is taken away.
    pub tags: BTreeMap<String, Option<String>>,
    /// `ThroughputHintInMBs`, where it changed.
    pub throughput_hint_mbs: Option<Option<u64>>,
}

impl Change {
    /// What `new` asks for beyond `last`. Without a `last` (the stream was made through the API) every member of the file is
    /// asked for, and none is taken away.
    ///
    /// # Errors
    /// The name or the source type changed: that is another stream.
    pub fn between(last: Option<&Applied>, new: &StreamFile) -> Result<Self, Error> {
        let nothing = Value::Object(Map::new());
        let document = &new.content.document;
        let before = last.map_or(&nothing, |last| &last.document);
        if last.is_some_and(|last| last.hash == new.content.hash) {
            return Ok(Self::default());
        }
        for (member, default) in [("DeliveryStreamName", None), ("DeliveryStreamType", Some("DirectPut"))] {
            let text = |document: &Value| document.get(member).and_then(Value::as_str).or(default).map(str::to_owned);
            if last.is_some() && text(before) != text(document) {
                let (from, to) = (text(before).unwrap_or_default(), text(document).unwrap_or_default());
                let rule =
                    format!("{member} cannot change from {from} to {to}: make another stream, and delete this one");
                return Err(Error::InvalidArgument(rule));
            }
        }
        let tags_before = all_tags(before).map_err(Error::InvalidArgument)?;
        let tags = all_tags(document).map_err(Error::InvalidArgument)?;
        let hint = |document: &Value| {
            document.pointer("/DirectPutSourceConfiguration/ThroughputHintInMBs").and_then(Value::as_u64)
        };
        Ok(Self {
            destination: differing(&destination(before), &destination(document)),
            tags: differing(&tags_before, &tags),
            throughput_hint_mbs: (hint(before) != hint(document)).then(|| hint(document)),
        })
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the destination differs, so that the change makes a new version.
    pub fn needs_version(&self) -> bool {
        !self.destination.is_empty()
    }

    /// The stream's definition with the change made. A member that differs is replaced whole; all others keep what the API, or
    /// an earlier file, gave them.
    ///
    /// # Errors
    /// The result does not keep to the rules of its destination: the file and the API together ask for too much.
    pub fn apply(&self, current: &Definition, rulebook: &Rulebook) -> Result<Definition, Error> {
        let mut definition = current.clone();
        let member = &current.destination.member;
        let spec = rulebook.by_create_member(member).ok_or_else(|| Error::not_supported(member))?;
        let mut configuration = current.destination.configuration.as_object().cloned().unwrap_or_default();
        lay_over(&self.destination, |name, value| {
            match value {
                Some(value) => configuration.insert(name, value),
                None => configuration.shift_remove(&name),
            };
        });
        lay_over(&self.tags, |key, value| {
            match value {
                Some(value) => definition.tags.insert(key, value),
                None => definition.tags.remove(&key),
            };
        });
        if let Some(hint) = self.throughput_hint_mbs {
            definition.throughput_hint_mbs = hint;
        }
        definition.destination.configuration = (spec.normalize)(&Value::Object(configuration));
        definition.verify(spec, rulebook)?;
        Ok(definition)
    }
}

fn lay_over<V: Clone>(changes: &BTreeMap<String, Option<V>>, mut change: impl FnMut(String, Option<V>)) {
    for (name, value) in changes {
        change(name.clone(), value.clone());
    }
}

/// The members of a document's destination, by whichever name it goes.
fn destination(document: &Value) -> BTreeMap<String, Value> {
    let members = destination_member(document).ok().and_then(|(_, value)| value.as_object());
    let present = members.into_iter().flatten().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn differing<V: Clone + PartialEq>(
    before: &BTreeMap<String, V>,
    after: &BTreeMap<String, V>,
) -> BTreeMap<String, Option<V>> {
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.clone(), None));
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(*value));
    gone.chain(changed.map(|(name, value)| (name.clone(), Some(value.clone())))).collect()
}
