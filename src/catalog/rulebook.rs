//! What documents are held against.

use hydrant_model::constraint::{Faults, Path, Pattern, Structure, Text};
use hydrant_model::{Rules, SinkSpec};
use serde_json::Value;

/// The kinds of destination that there are, and how strictly the API's rules are kept.
#[derive(Clone, Copy)]
pub struct Rulebook {
    /// The sinks' own table.
    pub sinks: &'static [&'static SinkSpec],
    /// Whether AWS's bounds hold to the letter.
    pub rules: Rules,
    /// Whether the place where objects go takes a key.
    pub takes_key: fn(&str) -> Result<(), String>,
}

impl Rulebook {
    /// The kind of destination that `CreateDeliveryStream` calls `member`.
    pub fn by_create_member(&self, member: &str) -> Option<&'static SinkSpec> {
        self.sinks.iter().copied().find(|spec| spec.members.iter().any(|members| members.create == member))
    }

    /// The kind of destination that `UpdateDestination` calls `member`.
    pub fn by_update_member(&self, member: &str) -> Option<&'static SinkSpec> {
        self.sinks.iter().copied().find(|spec| spec.members.iter().any(|members| members.update == member))
    }

    /// The create members of every kind, for a message that says what there is.
    pub(super) fn create_members(&self) -> String {
        let members: Vec<&str> = self.sinks.iter().flat_map(|spec| spec.members).map(|member| member.create).collect();
        members.join(", ")
    }
}

/// Reads a request body as a structure; the fault of anything else is in `faults`.
pub(super) fn read_request<'v>(request: &'v Value, faults: &mut Faults) -> Option<Structure<'v>> {
    Structure::read(request, Path::root(), faults)
}

/// Reads the name that nearly every operation has.
pub(super) fn stream_name(request: &Structure<'_>, faults: &mut Faults) -> String {
    request.required_text("DeliveryStreamName", &STREAM_NAME_TEXT, faults).unwrap_or_default().to_owned()
}

/// `DeliveryStreamName`.
pub(super) const STREAM_NAME_TEXT: Text = Text::length(1, 64).matching(&STREAM_NAME);

static STREAM_NAME: Pattern = Pattern::new("[a-zA-Z0-9_.-]+");
