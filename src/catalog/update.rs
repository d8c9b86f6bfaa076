//! `UpdateDestination`.

use hydrant_model::constraint::{Faults, Pattern, Text};
use hydrant_model::{Rules, Shape, SinkSpec};
use serde_json::Value;

use super::requests::DESTINATION_ID_TEXT;
use super::rulebook::{read_request, stream_name};
use super::{DESTINATION_ID, Definition, Error, Rulebook};

/// An `UpdateDestination` request that keeps to the model.
pub struct UpdateDestination {
    /// The stream.
    pub name: String,
    current_version: String,
    destination_id: String,
    update: Option<(&'static SinkSpec, Value)>,
    unsupported: Vec<&'static str>,
}

impl UpdateDestination {
    /// Reads the request.
    ///
    /// # Errors
    /// `Serialization` or `Validation`; what the update means is [`apply`](Self::apply)'s to judge.
    pub fn from_request(request: &Value, rulebook: &Rulebook) -> Result<Self, Error> {
        let mut faults = Faults::default();
        let mut this = Self {
            name: String::new(),
            current_version: String::new(),
            destination_id: String::new(),
            update: None,
            unsupported: Vec::new(),
        };
        if let Some(request) = read_request(request, &mut faults) {
            this.name = stream_name(&request, &mut faults);
            let version = request.required_text("CurrentDeliveryStreamVersionId", &VERSION_TEXT, &mut faults);
            version.unwrap_or_default().clone_into(&mut this.current_version);
            let id = request.required_text("DestinationId", &DESTINATION_ID_TEXT, &mut faults);
            id.unwrap_or_default().clone_into(&mut this.destination_id);
            for member in UPDATES {
                let Some(value) = request.member(member) else { continue };
                if let (Some(spec), None) = (rulebook.by_update_member(member), &this.update) {
                    (spec.constrain)(value, &request.at(member), Shape::Update, rulebook.rules, &mut faults);
                    this.update = Some((spec, value.clone()));
                } else {
                    request.structure(member, &mut faults);
                    this.unsupported.push(member);
                }
            }
        }
        Error::verdict(&faults)?;
        Ok(this)
    }

    /// The stream's definition after the update; it becomes the version after `version`.
    ///
    /// # Errors
    /// `ConcurrentModification` where the request was made against another version, `InvalidArgument` for the rest.
    pub fn apply(&self, current: &Definition, version: u64, rulebook: &Rulebook) -> Result<Definition, Error> {
        if self.current_version != version.to_string() {
            return Err(Error::ConcurrentModification(format!(
                "Cannot update firehose: {} since the current version id: {version} and specified version id: {} do not match",
                self.name, self.current_version
            )));
        }
        if self.destination_id != DESTINATION_ID {
            return Err(Error::InvalidArgument(format!("Destination Id {} not found", self.destination_id)));
        }
        let (spec, update) = match (&self.update, self.unsupported.as_slice()) {
            (Some((spec, update)), []) => (*spec, update),
            (None, [one]) => return Err(Error::not_supported(one)),
            _ => {
                return Err(Error::InvalidArgument(
                    "Exactly one destination configuration is supported for a Firehose".to_owned(),
                ));
            }
        };
        let member = &current.destination.member;
        if rulebook.by_create_member(member).is_none_or(|known| known.name != spec.name) {
            return Err(Error::InvalidArgument(format!(
                "Changing the destination type to or from {} is not supported at this time.",
                spec.name
            )));
        }
        let mut definition = current.clone();
        definition.destination.configuration = (spec.merge)(&current.destination.configuration, update);
        definition.verify(spec, rulebook).map_err(|misfit| misfit.error)?;
        let configurations = (&current.destination.configuration, &definition.destination.configuration);
        keeps_what_is_for_good(configurations, rulebook.rules)?;
        Ok(definition)
    }
}

/// What is chosen when a stream is created, or can only be switched on.
fn keeps_what_is_for_good((before, after): (&Value, &Value), rules: Rules) -> Result<(), Error> {
    let partitioned =
        |stored: &Value| stored.pointer("/DynamicPartitioningConfiguration/Enabled") == Some(&Value::Bool(true));
    if rules == Rules::Strict && partitioned(before) != partitioned(after) {
        return Err(Error::InvalidArgument(
            "DynamicPartitioningConfiguration.Enabled is set when a delivery stream is created and cannot be changed"
                .to_owned(),
        ));
    }
    let backed_up = |stored: &Value| stored.get("S3BackupMode").and_then(Value::as_str) == Some("Enabled");
    if backed_up(before) && !backed_up(after) {
        return Err(Error::InvalidArgument("S3BackupMode cannot be changed from Enabled to Disabled".to_owned()));
    }
    Ok(())
}

/// Members by which `UpdateDestination` takes a destination.
const UPDATES: [&str; 10] = [
    "S3DestinationUpdate",
    "ExtendedS3DestinationUpdate",
    "RedshiftDestinationUpdate",
    "ElasticsearchDestinationUpdate",
    "AmazonopensearchserviceDestinationUpdate",
    "AmazonOpenSearchServerlessDestinationUpdate",
    "SplunkDestinationUpdate",
    "HttpEndpointDestinationUpdate",
    "SnowflakeDestinationUpdate",
    "IcebergDestinationUpdate",
];

const VERSION_TEXT: Text = Text::length(1, 50).matching(&VERSION);

static VERSION: Pattern = Pattern::new("[0-9]+");
