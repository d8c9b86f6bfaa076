//! Model constraints of a `CreateDeliveryStream` request, but for its destination's own.

use hydrant_model::Shape;
use hydrant_model::constraint::{Faults, Pattern, ROLE_ARN, Structure, Text};
use serde_json::Value;

use super::definition::{DESTINATIONS, ENCRYPTION, KINESIS};
use super::rulebook::{read_request, stream_name};
use super::{Rulebook, tags};

/// Every fault of a document against the API's model, unknown members noted.
pub(super) fn constrain(document: &Value, rulebook: &Rulebook, faults: &mut Faults) {
    let Some(request) = read_request(document, faults) else { return };
    request.only(&[&MEMBERS[..], &DESTINATIONS[..]].concat(), faults);
    stream_name(&request, faults);
    request.text("DeliveryStreamType", &STREAM_TYPE_TEXT, faults);
    constrain_sources(&request, faults);
    if let Some(encryption) = request.structure(ENCRYPTION, faults) {
        encryption.only(&["KeyType", "KeyARN"], faults);
        encryption.required_text("KeyType", &Text::one_of(&["AWS_OWNED_CMK", "CUSTOMER_MANAGED_CMK"]), faults);
        encryption.text("KeyARN", &Text::length(1, 512).matching(&KEY_ARN), faults);
    }
    for member in DESTINATIONS {
        if let (Some(value), Some(spec)) = (request.member(member), rulebook.by_create_member(member)) {
            (spec.constrain)(value, &request.at(member), Shape::Create, rulebook.rules, faults);
        } else {
            request.structure(member, faults);
        }
    }
    tags::constrain(&request, "Tags", faults);
}

fn constrain_sources(request: &Structure<'_>, faults: &mut Faults) {
    if let Some(direct) = request.structure("DirectPutSourceConfiguration", faults) {
        direct.only(&["ThroughputHintInMBs"], faults);
        direct.required("ThroughputHintInMBs", faults);
        direct.integer("ThroughputHintInMBs", 1, 100, faults);
    }
    if let Some(kinesis) = request.structure(KINESIS, faults) {
        kinesis.only(&["KinesisStreamARN", "RoleARN"], faults);
        kinesis.required_text("KinesisStreamARN", &Text::length(1, 512).matching(&KINESIS_ARN), faults);
        kinesis.required_text("RoleARN", &Text::length(1, 512).matching(&ROLE_ARN), faults);
    }
    if let Some(kafka) = request.structure("MSKSourceConfiguration", faults) {
        kafka.only(&["MSKClusterARN", "TopicName", "AuthenticationConfiguration", "ReadFromTimestamp"], faults);
        kafka.required_text("MSKClusterARN", &Text::length(1, 512).matching(&ANY_ARN), faults);
        kafka.required_text("TopicName", &Text::length(1, 255).matching(&TOPIC), faults);
        if let Some(authentication) = kafka.required_structure("AuthenticationConfiguration", faults) {
            authentication.required_text("RoleARN", &Text::length(1, 512).matching(&ROLE_ARN), faults);
            authentication.required_text("Connectivity", &Text::one_of(&["PUBLIC", "PRIVATE"]), faults);
        }
    }
    request.structure("DatabaseSourceConfiguration", faults);
}

const MEMBERS: [&str; 8] = [
    "DeliveryStreamName",
    "DeliveryStreamType",
    "DirectPutSourceConfiguration",
    KINESIS,
    "MSKSourceConfiguration",
    "DatabaseSourceConfiguration",
    ENCRYPTION,
    "Tags",
];

/// `DeliveryStreamType`.
pub(super) const STREAM_TYPE_TEXT: Text =
    Text::one_of(&["DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"]);

static KEY_ARN: Pattern = Pattern::spelled(
    r"arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:key/[a-zA-Z_0-9+=,.@\-_/]+",
    r"arn:.*:kms:[a-zA-Z0-9\-]+:[0-9]{12}:key/[a-zA-Z_0-9+=,.@\-/]+",
);
static KINESIS_ARN: Pattern = Pattern::spelled(
    r"arn:.*:kinesis:[a-zA-Z0-9\-]+:\d{12}:stream/[a-zA-Z0-9_.-]+",
    r"arn:.*:kinesis:[a-zA-Z0-9\-]+:[0-9]{12}:stream/[a-zA-Z0-9_.-]+",
);
static ANY_ARN: Pattern = Pattern::new("arn:.*");
static TOPIC: Pattern = Pattern::spelled(r"[a-zA-Z0-9\\._\\-]+", r"[a-zA-Z0-9\\._-]+");
