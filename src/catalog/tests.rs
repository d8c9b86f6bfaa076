//! Documents and what becomes of them, as data: `scenarios/*.json`.
//!
//! A scenario starts from the smallest valid request. `with` replaces members of the request, `s3` members of its destination
//! (`null` removes one); the answer is an `error`, or members of the stored destination (`stored`).

use hydrant_model::{Cursor, Rules};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    claim: String,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    with: Map<String, Value>,
    #[serde(default)]
    s3: Map<String, Value>,
    error: Option<ExpectedError>,
    #[serde(default)]
    stored: Map<String, Value>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedError {
    exception: String,
    message: String,
}

pub(crate) fn rulebook() -> Rulebook {
    Rulebook { sinks: hydrant_sinks::SPECS, rules: Rules::Wide, takes_key: |_| Ok(()) }
}

/// The smallest valid `CreateDeliveryStream` request.
pub(crate) fn request(name: &str) -> Value {
    json!({
        "DeliveryStreamName": name,
        "ExtendedS3DestinationConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::lake"
        }
    })
}

pub(crate) fn definition(name: &str) -> Definition {
    Definition::from_request(&request(name), &rulebook()).expect("valid")
}

fn lay_over(under: &mut Value, changes: &Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            under.as_object_mut().expect("members").shift_remove(name);
        } else {
            under[name] = value.clone();
        }
    }
}

fn scenarios(text: &str) -> Vec<Scenario> {
    serde_json::from_str(text).expect("scenarios")
}

fn error_of(error: &Error) -> ExpectedError {
    ExpectedError { exception: error.exception().to_owned(), message: error.to_string() }
}

#[test]
fn create_answers_as_the_scenarios_say() {
    for scenario in scenarios(include_str!("scenarios/create.json")) {
        let mut request = request("orders");
        lay_over(&mut request["ExtendedS3DestinationConfiguration"], &scenario.s3);
        lay_over(&mut request, &scenario.with);
        let rules = if scenario.strict { Rules::Strict } else { Rules::Wide };
        let answer = Definition::from_request(&request, &Rulebook { rules, ..rulebook() });
        match (answer, scenario.error) {
            (Err(error), Some(expected)) => assert_eq!(error_of(&error), expected, "{}", scenario.claim),
            (Ok(definition), None) => {
                for (name, expected) in scenario.stored {
                    let stored = definition.destination.configuration.get(&name).unwrap_or(&Value::Null);
                    assert_eq!(stored, &expected, "{}: {name}", scenario.claim);
                }
            }
            (Err(error), None) => panic!("{}: refused: {error}", scenario.claim),
            (Ok(_), Some(expected)) => panic!("{}: accepted, and not {expected:?}", scenario.claim),
        }
    }
}

#[test]
fn update_answers_as_the_scenarios_say() {
    let mut stored = request("orders");
    stored["ExtendedS3DestinationConfiguration"]["Prefix"] = json!("old/");
    let current = Definition::from_request(&stored, &rulebook()).expect("valid");
    for scenario in scenarios(include_str!("scenarios/update.json")) {
        let mut request = json!({
            "DeliveryStreamName": "orders", "CurrentDeliveryStreamVersionId": "7", "DestinationId": DESTINATION_ID,
            "ExtendedS3DestinationUpdate": scenario.s3
        });
        lay_over(&mut request, &scenario.with);
        let update = UpdateDestination::from_request(&request, &rulebook());
        let answer = update.and_then(|update| update.apply(&current, 7, &rulebook()));
        match (answer, scenario.error) {
            (Err(error), Some(expected)) => assert_eq!(error_of(&error), expected, "{}", scenario.claim),
            (Ok(definition), None) => {
                let mut expected = current.destination.configuration.clone();
                lay_over(&mut expected, &scenario.stored);
                assert_eq!(definition.destination.configuration, expected, "{}", scenario.claim);
            }
            (Err(error), None) => panic!("{}: refused: {error}", scenario.claim),
            (Ok(_), Some(expected)) => panic!("{}: accepted, and not {expected:?}", scenario.claim),
        }
    }
}

#[test]
fn what_is_chosen_at_the_creation_cannot_be_changed() {
    let strict = Rulebook { rules: Rules::Strict, ..rulebook() };
    let backup = json!({"RoleARN": "arn:aws:iam::000000000000:role/firehose", "BucketARN": "arn:aws:s3:::backup"});
    let partitioning =
        "DynamicPartitioningConfiguration.Enabled is set when a delivery stream is created and cannot be changed";
    for (before, after, rulebook, message) in [
        (
            json!({"S3BackupMode": "Enabled", "S3BackupConfiguration": backup}),
            json!({"S3BackupMode": "Disabled"}),
            rulebook(),
            "S3BackupMode cannot be changed from Enabled to Disabled",
        ),
        (
            json!({}),
            json!({
                "Prefix": "!{partitionKeyFromQuery:p}/", "ErrorOutputPrefix": "errors/",
                "BufferingHints": {"SizeInMBs": 64, "IntervalInSeconds": 60},
                "DynamicPartitioningConfiguration": {"Enabled": true},
                "ProcessingConfiguration": {"Enabled": true, "Processors": [{"Type": "MetadataExtraction", "Parameters": [
                    {"ParameterName": "MetadataExtractionQuery", "ParameterValue": "{p:.p}"},
                    {"ParameterName": "JsonParsingEngine", "ParameterValue": "JQ-1.6"},
                ]}]},
            }),
            strict,
            partitioning,
        ),
    ] {
        let mut stored = request("orders");
        lay_over(&mut stored["ExtendedS3DestinationConfiguration"], before.as_object().expect("members"));
        let current = Definition::from_request(&stored, &rulebook).expect("valid");
        let update = json!({
            "DeliveryStreamName": "orders", "CurrentDeliveryStreamVersionId": "7", "DestinationId": DESTINATION_ID,
            "ExtendedS3DestinationUpdate": after
        });
        let update = UpdateDestination::from_request(&update, &rulebook).expect("valid");
        assert_eq!(error_of(&update.apply(&current, 7, &rulebook).expect_err("refused")).message, message);
    }
}

fn stream(definition: Definition) -> Stream {
    Stream {
        id: hydrant_model::StreamId([1; 16]),
        state: State::Active,
        created_ms: 1_700_000_000_123,
        updated_ms: None,
        deleted_ms: None,
        version: 1,
        definition,
        applied: None,
    }
}

fn place() -> Place {
    Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() }
}

#[test]
fn a_created_stream_is_described_with_the_services_defaults() {
    let mut request = request("orders");
    request["Tags"] = json!([{"Key": "hydrant:OnDelete", "Value": "discard"}]);
    let definition = Definition::from_request(&request, &rulebook()).expect("valid");
    let bucket = json!({
        "RoleARN": "arn:aws:iam::000000000000:role/firehose",
        "BucketARN": "arn:aws:s3:::lake",
        "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
        "CompressionFormat": "UNCOMPRESSED",
        "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
        "CloudWatchLoggingOptions": {"Enabled": false}
    });
    let mut extended = bucket.clone();
    extended["DataFormatConversionConfiguration"] = json!({"Enabled": false});
    extended["S3BackupMode"] = json!("Disabled");
    assert_eq!(
        describe(&stream(definition), "ACTIVE", &place(), &rulebook()).expect("known"),
        json!({"DeliveryStreamDescription": {
            "DeliveryStreamName": "orders",
            "DeliveryStreamARN": "arn:aws:firehose:eu-west-1:123456789012:deliverystream/orders",
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "DirectPut",
            "VersionId": "1",
            "CreateTimestamp": 1_700_000_000.123,
            "Destinations": [{
                "DestinationId": "destinationId-000000000001",
                "ExtendedS3DestinationDescription": extended,
                "S3DestinationDescription": bucket
            }],
            "HasMoreDestinations": false
        }})
    );
}

#[test]
fn an_updated_deleting_stream_with_a_hint_says_so() {
    let mut request = request("orders");
    request["DirectPutSourceConfiguration"] = json!({"ThroughputHintInMBs": 100});
    let definition = Definition::from_request(&request, &rulebook()).expect("valid");
    let stream =
        Stream { state: State::Deleting, updated_ms: Some(1_700_000_001_000), version: 12, ..stream(definition) };
    let answer = describe(&stream, stream.state.name(), &place(), &rulebook()).expect("known");
    let described = &answer["DeliveryStreamDescription"];
    assert_eq!(described["DeliveryStreamStatus"], "DELETING");
    assert_eq!(described["LastUpdateTimestamp"], 1_700_000_001.0);
    assert_eq!(described["VersionId"], "12");
    assert_eq!(described["Source"], json!({"DirectPutSourceDescription": {"ThroughputHintInMBs": 100}}));
}

#[test]
fn settings_override_the_hints_of_the_plan_and_leave_its_shape() {
    let plain = Plan::new(&definition("orders"), 3, &rulebook()).expect("valid");
    let tags = [
        ("BufferIntervalInSeconds", "0.5"),
        ("BufferSizeInMBs", "0.25"),
        ("GzipLevel", "9"),
        ("DiskBudgetInMBs", "2"),
        ("Durability", "os"),
    ];
    let mut tuned = definition("orders");
    tuned.tags = tags.iter().map(|(name, value)| (format!("hydrant:{name}"), (*value).to_owned())).collect();
    let tuned = Plan::new(&tuned, 4, &rulebook()).expect("valid");
    assert_eq!((plain.version, tuned.version), (3, 4));
    let strict = Rulebook { rules: Rules::Strict, ..rulebook() };
    let by_the_letter = Plan::new(&definition("orders"), 3, &strict).expect("valid");
    assert_eq!((plain.most_partitions, by_the_letter.most_partitions), (None, Some(500)));
    assert_eq!(tuned.objects.hints.interval.as_millis(), 500);
    assert_eq!(tuned.objects.hints.size_bytes, 256 * 1024);
    assert_eq!(tuned.gzip, Gzip { level: Some(9), members: GzipMembers::One });
    assert_eq!((plain.disk_budget, tuned.disk_budget), (None, Some(2 * 1024 * 1024)));
    assert_eq!((plain.durability, tuned.durability), (Durability::Disk, Durability::Os));
    assert!(plain.same_shape(&tuned));
    assert_eq!(plain.shape_hash(Cursor::Main), tuned.shape_hash(Cursor::Main));
}

#[test]
fn a_change_of_prefix_is_another_shape_and_a_change_of_bucket_is_not() {
    let plan = |s3: &Value| {
        let mut request = request("orders");
        lay_over(&mut request["ExtendedS3DestinationConfiguration"], s3.as_object().expect("members"));
        Plan::new(&Definition::from_request(&request, &rulebook()).expect("valid"), 1, &rulebook()).expect("valid")
    };
    let base = plan(&json!({}));
    assert!(!base.same_shape(&plan(&json!({"Prefix": "p/"}))));
    assert!(!base.same_shape(&plan(&json!({"CompressionFormat": "GZIP"}))));
    assert!(base.same_shape(&plan(&json!({"BucketARN": "arn:aws:s3:::other", "FileExtension": ""}))));
}

#[test]
fn tags_are_set_replaced_taken_away_and_listed_by_key() {
    let tag = json!({"DeliveryStreamName": "orders", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a"}, {"Key": "c"}]});
    let tag = tags::Tag::from_request(&tag).expect("valid");
    let mut tagged = definition("orders");
    tagged.tags.insert("b".to_owned(), "1".to_owned());
    let tagged = tag.apply(&tagged, &rulebook()).expect("valid");
    let list = |more: &Value| {
        let mut request = json!({"DeliveryStreamName": "orders"});
        lay_over(&mut request, more.as_object().expect("members"));
        tags::ListTags::from_request(&request).expect("valid")
    };
    assert_eq!(
        list(&json!({"Limit": 2})).page(&tagged),
        json!({"Tags": [{"Key": "a", "Value": ""}, {"Key": "b", "Value": "2"}], "HasMoreTags": true})
    );
    let rest = json!({"Tags": [{"Key": "c", "Value": ""}], "HasMoreTags": false});
    assert_eq!(list(&json!({"ExclusiveStartTagKey": "bb"})).page(&tagged), rest);
    let untag = json!({"DeliveryStreamName": "orders", "TagKeys": ["a", "b", "unknown"]});
    let untagged = tags::Untag::from_request(&untag).expect("valid").apply(&tagged, &rulebook()).expect("valid");
    assert_eq!(list(&json!({})).page(&untagged), rest);
}

#[test]
fn the_fifty_first_tag_and_a_wrong_setting_are_refused() {
    let mut full = definition("orders");
    full.tags = (0..50).map(|n| (format!("k{n}"), String::new())).collect();
    let tag = |key: &str, value: &str| {
        let tags = json!([{"Key": key, "Value": value}]);
        tags::Tag::from_request(&json!({"DeliveryStreamName": "orders", "Tags": tags})).expect("valid")
    };
    assert!(tag("k0", "replaced").apply(&full, &rulebook()).is_ok());
    let error = tag("k50", "").apply(&full, &rulebook()).expect_err("too many");
    assert_eq!(error.exception(), "LimitExceededException");
    let error = tag("hydrant:GzipLevel", "0").apply(&definition("orders"), &rulebook()).expect_err("no level");
    assert_eq!(error.to_string(), "tag hydrant:GzipLevel: must be a whole number from 1 to 9");
    let empty = tags::Tag::from_request(&json!({"DeliveryStreamName": "orders"})).expect_err("no tags");
    assert!(empty.to_string().contains("Value at 'tags' failed"), "{empty}");
    let aws = json!({"DeliveryStreamName": "orders", "TagKeys": ["ok", "aws:x"]});
    let aws = tags::Untag::from_request(&aws).expect_err("reserved").to_string();
    assert!(aws.contains("Value 'aws:x' at 'tagKeys.2.member' failed"), "{aws}");
}

#[test]
fn streams_are_listed_by_name_from_the_one_after() {
    let all = [("b", StreamType::DirectPut), ("a", StreamType::DirectPut), ("c", StreamType::KinesisStreamAsSource)];
    let page = |request: &Value| ListStreams::from_request(request).expect("valid").page(all);
    assert_eq!(page(&json!({})), json!({"DeliveryStreamNames": ["a", "b", "c"], "HasMoreDeliveryStreams": false}));
    assert_eq!(page(&json!({"Limit": 1})), json!({"DeliveryStreamNames": ["a"], "HasMoreDeliveryStreams": true}));
    assert_eq!(
        page(&json!({"ExclusiveStartDeliveryStreamName": "aa", "DeliveryStreamType": "DirectPut"})),
        json!({"DeliveryStreamNames": ["b"], "HasMoreDeliveryStreams": false})
    );
    assert!(ListStreams::from_request(&json!({"Limit": 0})).is_err());
}

#[test]
fn deletion_and_description_read_their_requests() {
    let delete = DeleteStream::from_request(&json!({"DeliveryStreamName": "a", "AllowForceDelete": true}));
    assert_eq!(delete.expect("valid"), DeleteStream { name: "a".to_owned(), force: true });
    let error = DeleteStream::from_request(&json!({"DeliveryStreamName": 5})).expect_err("a number");
    assert_eq!(error.exception(), "SerializationException");
    assert!(DescribeStream::from_request(&json!({"DeliveryStreamName": "a", "Limit": 10_001})).is_err());
    assert_eq!(DescribeStream::from_request(&json!({"DeliveryStreamName": "a"})).expect("valid").name, "a");
}

#[test]
fn refusals_that_need_the_account_have_the_services_words() {
    assert_eq!(
        error_of(&Error::already_exists("orders", "123456789012")),
        ExpectedError {
            exception: "ResourceInUseException".to_owned(),
            message: "Firehose orders under accountId 123456789012 already exists".to_owned()
        }
    );
    assert_eq!(Error::not_found("x", "1").to_string(), "Firehose x under account 1 not found.");
    assert_eq!(Error::not_found_for_update("x", "1").to_string(), "Firehose x under accountId 1 not found.");
    assert_eq!(
        error_of(&Error::quota(2, &["a", "b"])),
        ExpectedError {
            exception: "LimitExceededException".to_owned(),
            message: "You have already consumed your firehose quota of 2 hoses. Firehose names: [a, b]".to_owned()
        }
    );
}
