//! What a stream file asks for now that it did not ask for before.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Applied, StreamFile, all_tags};
use crate::catalog::definition::destination_member;
use crate::catalog::{Definition, Error, Rulebook};

/// The difference between a stream file and what was last applied from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Members of the destination.
    pub destination: BTreeMap<String, Value>,
    /// Members of the destination that the file had and leaves out now. As with `UpdateDestination`, they keep their value.
    pub left_out: Vec<String>,
    /// Tags, settings among them.
    pub tags: BTreeMap<String, String>,
    /// Tags that the file had, with their values, and does not have now: they go, unless the API gave them another value since.
    pub tags_gone: BTreeMap<String, String>,
    /// `ThroughputHintInMBs`, where the file has one that changed.
    pub throughput_hint_mbs: Option<u64>,
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
        let (members_before, members) = (destination(before), destination(document));
        Ok(Self {
            destination: without(&members, |name, value| members_before.get(name) == Some(value)),
            left_out: without(&members_before, |name, _| members.contains_key(name)).into_keys().collect(),
            tags: without(&tags, |key, value| tags_before.get(key) == Some(value)),
            tags_gone: without(&tags_before, |key, _| tags.contains_key(key)),
            throughput_hint_mbs: hint(document).filter(|now| hint(before) != Some(*now)),
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
        configuration.extend(self.destination.clone());
        definition.tags.retain(|key, value| self.tags_gone.get(key) != Some(value));
        definition.tags.extend(self.tags.clone());
        definition.throughput_hint_mbs = self.throughput_hint_mbs.or(definition.throughput_hint_mbs);
        definition.destination.configuration = (spec.normalize)(&Value::Object(configuration));
        definition.verify(spec, rulebook).map_err(|misfit| misfit.error)?;
        Ok(definition)
    }
}

/// The members of a document's destination, by whichever name it goes.
fn destination(document: &Value) -> BTreeMap<String, Value> {
    let members = destination_member(document).ok().and_then(|(_, value)| value.as_object());
    let present = members.into_iter().flatten().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn without<V: Clone>(entries: &BTreeMap<String, V>, drop: impl Fn(&str, &V) -> bool) -> BTreeMap<String, V> {
    let kept = entries.iter().filter(|(name, value)| !drop(name, value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
