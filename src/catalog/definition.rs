//! What a delivery stream is meant to do, from the document that asked for it.

use std::collections::BTreeMap;

use hydrant_model::constraint::Faults;
use hydrant_model::{PartitionKeys, PrefixContext, Rules, Seed, SinkSpec, StreamNameParts, object_key};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::settings::beyond_aws;
use super::{Error, Plan, Processing, Rulebook, Settings, form, tags};

/// A delivery stream as somebody defined it, with AWS's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// `DeliveryStreamName`.
    pub name: String,
    /// Where records come from.
    pub stream_type: StreamType,
    /// `DirectPutSourceConfiguration.ThroughputHintInMBs`: described, and otherwise without effect, as in AWS.
    pub throughput_hint_mbs: Option<u64>,
    /// Where records go.
    pub destination: Destination,
    /// Tags by key, those that are [settings](Settings) among them.
    pub tags: BTreeMap<String, String>,
}

/// The one destination of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The member of `CreateDeliveryStream` that it was given by.
    pub member: String,
    /// Its stored form: AWS's member names, defaults filled in.
    pub configuration: Value,
}

/// AWS's `DeliveryStreamType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamType {
    /// Producers put records.
    #[default]
    DirectPut,
    /// A Kinesis data stream.
    KinesisStreamAsSource,
    /// A Kafka topic.
    MSKAsSource,
    /// Change data of a database; AWS withdrew it, the word remains.
    DatabaseAsSource,
}

impl StreamType {
    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DirectPut => "DirectPut",
            Self::KinesisStreamAsSource => "KinesisStreamAsSource",
            Self::MSKAsSource => "MSKAsSource",
            Self::DatabaseAsSource => "DatabaseAsSource",
        }
    }

    /// The type that the API calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::DirectPut, Self::KinesisStreamAsSource, Self::MSKAsSource, Self::DatabaseAsSource]
            .into_iter()
            .find(|stream_type| stream_type.name() == name)
    }
}

/// What is wrong with a document, and where, if that is one member of it.
pub(super) struct Misfit {
    pub(super) field: Option<String>,
    pub(super) error: Error,
}

impl Definition {
    /// Reads a `CreateDeliveryStream` request.
    ///
    /// # Errors
    /// `Serialization`, or all broken constraints of the model (`Validation`), or the first fault of meaning
    /// (`InvalidArgument`), in this order. Whether the name is taken is the caller's to know.
    pub fn from_request(request: &Value, rulebook: &Rulebook) -> Result<Self, Error> {
        let mut faults = Faults::default();
        form::constrain(request, rulebook, &mut faults);
        Error::verdict(&faults)?;
        let tags = tags::read(request).map_err(Error::InvalidArgument)?;
        Self::build(request, tags, rulebook).map_err(|misfit| misfit.error)
    }

    /// What a document that keeps to the model means. `tags` are all of the stream's, settings included.
    pub(super) fn build(document: &Value, tags: BTreeMap<String, String>, rulebook: &Rulebook) -> Result<Self, Misfit> {
        let at = |field: &str| {
            let field = Some(field.to_owned());
            |error| Misfit { field, error }
        };
        let name = document.get("DeliveryStreamName").and_then(Value::as_str).unwrap_or_default().to_owned();
        if matches!(name.as_str(), "." | "..") {
            // The API's pattern lets them pass; in the path of a URL they are directions, so that nothing could be put or ordered.
            let message = format!("DeliveryStreamName must not be {name}, which no URL can hold");
            return Err(at("DeliveryStreamName")(Error::InvalidArgument(message)));
        }
        within_rules(&tags, rulebook.rules).map_err(at("Tags"))?;
        let (member, given) = destination_member(document).map_err(|error| Misfit { field: None, error })?;
        let stream_type = source(document, member).map_err(at("DeliveryStreamType"))?;
        encryption(document).map_err(at(ENCRYPTION))?;
        let spec = rulebook.by_create_member(member).ok_or_else(|| {
            let message = format!(
                "{member} is not supported by this version of hydrant; supported are {}",
                rulebook.create_members()
            );
            at(member)(Error::InvalidArgument(message))
        })?;
        let hint = document.pointer("/DirectPutSourceConfiguration/ThroughputHintInMBs").and_then(Value::as_u64);
        let definition = Self {
            name,
            stream_type,
            throughput_hint_mbs: hint,
            destination: Destination { member: member.to_owned(), configuration: (spec.normalize)(given) },
            tags,
        };
        definition.verify(spec, rulebook).map_err(|Misfit { field, error }| {
            let field = field.map_or_else(|| member.to_owned(), |field| format!("{member}.{field}"));
            at(&field)(error)
        })?;
        Ok(definition)
    }

    /// The settings among the tags.
    ///
    /// # Errors
    /// Every fault, as one text.
    pub fn settings(&self) -> Result<Settings, String> {
        Settings::from_tags(&self.tags).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(|fault| format!("tag hydrant:{fault}")).collect();
            faults.join("; ")
        })
    }

    /// Holds a definition that was just made or changed against the rules of its destination and of its settings. Fields are
    /// those below the destination.
    pub(super) fn verify(&self, spec: &SinkSpec, rulebook: &Rulebook) -> Result<(), Misfit> {
        let invalid = |field| |rule| Misfit { field, error: Error::InvalidArgument(rule) };
        (spec.check)(&self.destination.configuration, rulebook.rules)
            .map_err(|fault| invalid(Some(fault.member))(fault.message))?;
        self.settings().map_err(invalid(None))?;
        let objects = (spec.objects)(&self.destination.configuration).map_err(invalid(None))?;
        Processing::read(&self.destination.configuration, &objects, rulebook.rules)
            .map_err(|fault| invalid(Some(fault.member))(fault.message))?;
        // What delivery cannot read must not be stored; a version is not needed to find out.
        let plan = Plan::new(self, 0, rulebook).map_err(invalid(None))?;
        self.verify_keys(&plan, rulebook)
    }

    /// Refuses prefixes whose every key the place where objects go refuses: those objects would wait for ever.
    fn verify_keys(&self, plan: &Plan, rulebook: &Rulebook) -> Result<(), Misfit> {
        let objects = &plan.objects;
        let converted = plan.processing.conversion.as_ref().map(|conversion| conversion.rules.format.extension());
        let extension = objects.file_extension.as_deref().or(converted);
        let extension = extension.unwrap_or_else(|| objects.compression.extension());
        let name = StreamNameParts { stream: &self.name, version: SAMPLE_VERSION, extension };
        let context = PrefixContext {
            oldest_ms: SAMPLE_MS,
            zone: &objects.time_zone,
            seed: Seed([0; 16]),
            error_output_type: Some("processing-failed"),
            partition_keys: PartitionKeys::default(),
        };
        for (member, prefix) in [("Prefix", &objects.prefix), ("ErrorOutputPrefix", &objects.error_prefix)] {
            // A key that depends on records is judged when it is made.
            let Ok(key) = object_key(objects.bucket.as_str(), prefix, &context, &name) else { continue };
            (rulebook.takes_key)(&key.key).map_err(|rule| {
                let rule = format!("{member} makes keys that cannot be files, where objects go here: {rule}");
                Misfit { field: Some(member.to_owned()), error: Error::InvalidArgument(rule) }
            })?;
        }
        Ok(())
    }
}

/// Refuses settings among new tags that ask for more than the rules allow. What is stored already stays as it is.
pub(super) fn within_rules(tags: &BTreeMap<String, String>, rules: Rules) -> Result<(), Error> {
    let beyond = if rules == Rules::Strict { beyond_aws(tags) } else { Vec::new() };
    match beyond.first() {
        Some(fault) => Err(Error::InvalidArgument(format!("tag hydrant:{fault}"))),
        None => Ok(()),
    }
}

/// The one destination of a document and its member.
pub(super) fn destination_member(document: &Value) -> Result<(&'static str, &Value), Error> {
    let mut given =
        DESTINATIONS.into_iter().filter_map(|member| present(document, member).map(|value| (member, value)));
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        _ => {
            Err(Error::InvalidArgument("Exactly one destination configuration is supported for a Firehose".to_owned()))
        }
    }
}

/// Whether the members about sources agree with each other and with the destination.
fn source(document: &Value, destination: &str) -> Result<StreamType, Error> {
    let refuse = |message: &str| Err(Error::InvalidArgument(message.to_owned()));
    let stream_type = present(document, "DeliveryStreamType").and_then(Value::as_str).and_then(StreamType::from_name);
    let stream_type = stream_type.unwrap_or_default();
    let has_kinesis = present(document, KINESIS).is_some();
    match stream_type {
        StreamType::KinesisStreamAsSource if !has_kinesis => {
            return refuse("KinesisSourceStreamConfig is mandatory for KinesisStreamAsSource stream type.");
        }
        StreamType::KinesisStreamAsSource => {}
        _ if has_kinesis => {
            return refuse("KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type");
        }
        StreamType::MSKAsSource if present(document, "MSKSourceConfiguration").is_none() => {
            return refuse("MSKSourceConfiguration is mandatory for MSKAsSource stream type.");
        }
        StreamType::DatabaseAsSource if destination != "IcebergDestinationConfiguration" => {
            return refuse("IcebergDestinationConfiguration must be specified for Database as Source.");
        }
        StreamType::DirectPut => {
            for member in ["MSKSourceConfiguration", "DatabaseSourceConfiguration"] {
                if present(document, member).is_some() {
                    return refuse(&format!("{member} is not applicable for DirectPut stream type"));
                }
            }
            return Ok(stream_type);
        }
        StreamType::MSKAsSource | StreamType::DatabaseAsSource => {}
    }
    Err(Error::not_supported(&format!("DeliveryStreamType {}", stream_type.name())))
}

/// Server-side encryption of the stream itself: refused, since records would lie on disk in the clear.
fn encryption(document: &Value) -> Result<(), Error> {
    let Some(encryption) = present(document, ENCRYPTION) else { return Ok(()) };
    let key_type = encryption.get("KeyType").and_then(Value::as_str).unwrap_or_default();
    let has_key = present(encryption, "KeyARN").is_some();
    match (key_type, has_key) {
        ("AWS_OWNED_CMK", true) => {
            Err(Error::InvalidArgument("KeyARN cannot be specified when KeyType is AWS_OWNED_CMK".to_owned()))
        }
        ("CUSTOMER_MANAGED_CMK", false) => {
            Err(Error::InvalidArgument("KeyARN must be specified when KeyType is CUSTOMER_MANAGED_CMK".to_owned()))
        }
        _ => Err(Error::not_supported(ENCRYPTION)),
    }
}

fn present<'v>(structure: &'v Value, name: &str) -> Option<&'v Value> {
    structure.get(name).filter(|value| !value.is_null())
}

/// The service gives its single destination always this id.
pub const DESTINATION_ID: &str = "destinationId-000000000001";

/// The last second of 30 September 2026, a Wednesday: no date is longer in words.
const SAMPLE_MS: u64 = 1_790_812_799_000;
/// More than any stream's, and so as long as any.
const SAMPLE_VERSION: u64 = 1_000_000;

/// Members by which `CreateDeliveryStream` takes a destination.
pub(super) const DESTINATIONS: [&str; 10] = [
    "S3DestinationConfiguration",
    "ExtendedS3DestinationConfiguration",
    "RedshiftDestinationConfiguration",
    "ElasticsearchDestinationConfiguration",
    "AmazonopensearchserviceDestinationConfiguration",
    "AmazonOpenSearchServerlessDestinationConfiguration",
    "SplunkDestinationConfiguration",
    "HttpEndpointDestinationConfiguration",
    "SnowflakeDestinationConfiguration",
    "IcebergDestinationConfiguration",
];

pub(super) const KINESIS: &str = "KinesisStreamSourceConfiguration";
pub(super) const ENCRYPTION: &str = "DeliveryStreamEncryptionConfigurationInput";
