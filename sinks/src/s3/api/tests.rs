mod described;

use hydrant_model::Shape;
use hydrant_model::constraint::{Faults, Path};

use super::*;

const ROLE: &str = "arn:aws:iam::000000000000:role/firehose";

fn minimal() -> Value {
    json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake"})
}

fn with(changes: &Value) -> Value {
    let mut configuration = minimal();
    for (name, value) in changes.as_object().expect("members") {
        configuration[name] = value.clone();
    }
    configuration
}

fn faults(value: &Value, member: &str, shape: Shape, rules: Rules) -> Faults {
    let mut faults = Faults::default();
    (SPEC.constrain)(value, &Path::root().member(member), shape, rules, &mut faults);
    faults
}

fn refusal(value: &Value) -> String {
    (SPEC.check)(&(SPEC.normalize)(value), Rules::Wide).expect_err("refused").message
}

#[test]
fn defaults_are_those_that_the_service_was_seen_to_fill_in() {
    assert_eq!(
        (SPEC.normalize)(&minimal()),
        json!({
            "RoleARN": ROLE,
            "BucketARN": "arn:aws:s3:::lake",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300},
            "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"},
            "CloudWatchLoggingOptions": {"Enabled": false},
            "DataFormatConversionConfiguration": {"Enabled": false},
            "S3BackupMode": "Disabled"
        })
    );
}

#[test]
fn normalizing_twice_changes_nothing_and_drops_what_the_api_ignores() {
    let given = with(&json!({
        "Nonsense": 1, "Prefix": null, "CloudWatchLoggingOptions": {"LogGroupName": "g", "Nonsense": 2},
        "DynamicPartitioningConfiguration": {}, "ProcessingConfiguration": {"Processors": []},
        "S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::spare", "FileExtension": ".no"}
    }));
    let stored = (SPEC.normalize)(&given);
    assert_eq!((SPEC.normalize)(&stored), stored);
    assert_eq!(stored["CloudWatchLoggingOptions"], json!({"Enabled": false, "LogGroupName": "g"}));
    assert_eq!(stored["DynamicPartitioningConfiguration"], json!({"Enabled": false}));
    assert_eq!(stored["ProcessingConfiguration"], json!({"Enabled": false, "Processors": []}));
    assert_eq!(stored["S3BackupConfiguration"]["BufferingHints"], json!({"SizeInMBs": 5, "IntervalInSeconds": 300}));
    for dropped in
        ["/Nonsense", "/Prefix", "/CloudWatchLoggingOptions/Nonsense", "/S3BackupConfiguration/FileExtension"]
    {
        assert_eq!(stored.pointer(dropped), None, "{dropped}");
    }
    assert_eq!((SPEC.check)(&stored, Rules::Wide), Ok(()));
}

#[test]
fn values_of_s3_members_are_not_shown_but_those_of_processors_are() {
    let given = with(&json!({
        "CompressionFormat": "gzip", "FileExtension": "gz", "CustomTimeZone": "Etc/GMT+1",
        "ProcessingConfiguration": {"Processors": [{"Type": "NotLambda", "Parameters": [{"ParameterName": "LambdaArn"}]}]}
    }));
    let message = faults(&given, "ExtendedS3DestinationConfiguration", Shape::Create, Rules::Wide).verdict();
    assert_eq!(
        message.expect_err("faults").to_string(),
        "5 validation errors detected: Value at 'extendedS3DestinationConfiguration.compressionFormat' failed to satisfy \
         constraint: Member must satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]; Value at \
         'extendedS3DestinationConfiguration.fileExtension' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: ^(|\\.[0-9a-z!\\-_.*'()]+)$; Value at 'extendedS3DestinationConfiguration.customTimeZone' failed \
         to satisfy constraint: Member must satisfy regular expression pattern: ^$|[a-zA-Z/_]+; Value 'NotLambda' at \
         'extendedS3DestinationConfiguration.processingConfiguration.processors.1.member.type' failed to satisfy constraint: \
         Member must satisfy enum value set: [RecordDeAggregation, Decompression, CloudWatchLogProcessing, Lambda, \
         MetadataExtraction, AppendDelimiterToRecord]; Value at \
         'extendedS3DestinationConfiguration.processingConfiguration.processors.1.member.parameters.1.member.parameterValue' \
         failed to satisfy constraint: Member must not be null"
    );
}

#[test]
fn each_fault_of_form_is_found_under_the_members_own_name() {
    for (change, path, rule) in [
        (json!({"RoleARN": null}), "roleARN", "Member must not be null"),
        (json!({"RoleARN": "arn:aws:iam::1:role/x"}), "roleARN", "regular expression pattern: arn:.*:iam::"),
        (json!({"BucketARN": "lake"}), "bucketARN", "regular expression pattern: arn:.*:s3:::"),
        (json!({"BucketARN": "arn:aws:s3:::bücket"}), "bucketARN", "regular expression pattern: arn:.*:s3:::"),
        (json!({"Prefix": "x".repeat(1025)}), "prefix", "length less than or equal to 1024"),
        (json!({"Prefix": "a\nb"}), "prefix", "regular expression pattern: .*"),
        (json!({"BufferingHints": {"SizeInMBs": 0}}), "bufferingHints.sizeInMBs", "greater than or equal to 1"),
        (json!({"BufferingHints": {"IntervalInSeconds": -1}}), "bufferingHints.intervalInSeconds", "equal to 0"),
        (json!({"EncryptionConfiguration": {"NoEncryptionConfig": "None"}}), "noEncryptionConfig", "[NoEncryption]"),
        (
            json!({"EncryptionConfiguration": {"KMSEncryptionConfig": {}}}),
            "kMSEncryptionConfig.aWSKMSKeyARN",
            "be null",
        ),
        (json!({"CloudWatchLoggingOptions": {"LogStreamName": "a:b"}}), "logStreamName", "pattern: [^:*]*"),
        (json!({"CloudWatchLoggingOptions": {"LogGroupName": "a b"}}), "logGroupName", "regular expression pattern"),
        (json!({"S3BackupMode": "On"}), "s3BackupMode", "[Disabled, Enabled]"),
        (
            json!({"S3BackupConfiguration": {"RoleARN": ROLE}}),
            "s3BackupConfiguration.bucketARN",
            "Member must not be null",
        ),
        (
            json!({"DynamicPartitioningConfiguration": {"RetryOptions": {"DurationInSeconds": 7201}}}),
            "retryOptions",
            "7200",
        ),
        (
            json!({"DataFormatConversionConfiguration": {"SchemaConfiguration": {"VersionId": "", "DatabaseName": "d d"}}}),
            "schemaConfiguration.versionId",
            "3 validation errors",
        ),
        (
            json!({"DataFormatConversionConfiguration": {"InputFormatConfiguration": {"Deserializer":
                {"HiveJsonSerDe": {"TimestampFormats": [""]}}}}}),
            "hiveJsonSerDe.timestampFormats.1.member",
            "greater than or equal to 1",
        ),
        (
            json!({"DataFormatConversionConfiguration": {"OutputFormatConfiguration": {"Serializer":
                {"ParquetSerDe": {"PageSizeBytes": 1}, "OrcSerDe": {"PaddingTolerance": 1.5}}}}}),
            "orcSerDe.paddingTolerance",
            "2 validation errors",
        ),
    ] {
        for rules in [Rules::Wide, Rules::Strict] {
            let faults = faults(&with(&change), "ExtendedS3DestinationConfiguration", Shape::Create, rules);
            let message = faults.verdict().expect_err(&change.to_string()).to_string();
            assert!(message.contains(path) && message.contains(rule), "{change}: {message}");
        }
    }
}

#[test]
fn wide_rules_take_what_strict_rules_refuse() {
    let given = with(&json!({"BufferingHints": {"SizeInMBs": 1024, "IntervalInSeconds": 3600}}));
    assert!(faults(&given, "ExtendedS3DestinationConfiguration", Shape::Create, Rules::Wide).verdict().is_ok());
    let strict = faults(&given, "ExtendedS3DestinationConfiguration", Shape::Create, Rules::Strict).verdict();
    let message = strict.expect_err("out of AWS's range").to_string();
    assert!(message.contains("equal to 128; ") && message.ends_with("less than or equal to 900"), "{message}");
}

#[test]
fn an_update_requires_nothing_and_names_its_own_backup_member() {
    let update = json!({"Prefix": "new/", "S3BackupUpdate": {"Prefix": "raw/"}});
    let faults_of_update = faults(&update, "ExtendedS3DestinationUpdate", Shape::Update, Rules::Wide);
    assert!(faults_of_update.verdict().is_ok() && faults_of_update.unknown().next().is_none());
    let create = faults(&with(&update), "ExtendedS3DestinationConfiguration", Shape::Create, Rules::Wide);
    let unknown: Vec<_> = create.unknown().map(|fault| fault.field.as_str()).collect();
    assert_eq!(unknown, ["ExtendedS3DestinationConfiguration.S3BackupUpdate"]);
}

#[test]
fn the_legacy_shape_knows_only_its_own_members_and_takes_no_others_unchecked() {
    let given = with(&json!({"FileExtension": ".json", "S3BackupMode": "Bad"}));
    let faults = faults(&given, "S3DestinationConfiguration", Shape::Create, Rules::Wide);
    assert_eq!(faults.unknown().count(), 2);
    assert_eq!(
        faults.all().map(|fault| fault.field.as_str()).collect::<Vec<_>>(),
        ["S3DestinationConfiguration.S3BackupMode"]
    );
}

#[test]
fn each_cross_field_fault_has_its_message() {
    for (change, message) in [
        (
            json!({"BufferingHints": {"SizeInMBs": 5}}),
            "BufferingHints.IntervalInSeconds must be specified when BufferingHints.SizeInMBs is specified",
        ),
        (
            json!({"BufferingHints": {"IntervalInSeconds": 60}}),
            "BufferingHints.SizeInMBs must be specified when BufferingHints.IntervalInSeconds is specified",
        ),
        (
            json!({"EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption", "KMSEncryptionConfig":
                {"AWSKMSKeyARN": "arn:aws:kms:us-east-1:000000000000:key/k"}}}),
            "EncryptionConfiguration: NoEncryptionConfig and KMSEncryptionConfig cannot both be specified",
        ),
        (
            json!({"CloudWatchLoggingOptions": {"Enabled": true, "LogGroupName": "g"}}),
            "CloudWatchLoggingOptions.LogStreamName must be specified when logging is enabled",
        ),
        (json!({"BucketARN": "arn:aws:s3:::.."}), "BucketARN arn:aws:s3:::.. names no bucket"),
        (json!({"Prefix": "a\tb/"}), "Prefix cannot begin an object key: key contains the control character '\\t'"),
        (json!({"Prefix": "../b/"}), "Prefix cannot begin an object key: key contains the path segment \"..\""),
        (
            json!({"CustomTimeZone": "Mars/Olympus"}),
            "CustomTimeZone: time zone \"Mars/Olympus\" is not in the IANA time zone database",
        ),
        (
            json!({"S3BackupMode": "Enabled"}),
            "S3 backup destination configuration is required when enabling S3 backup.",
        ),
        (
            json!({"S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b", "BufferingHints":
                {"SizeInMBs": 1}}}),
            "S3BackupConfiguration.BufferingHints.IntervalInSeconds must be specified when BufferingHints.SizeInMBs is \
             specified",
        ),
        (
            json!({"Prefix": "!{timestamp:yyyy}/"}),
            "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions",
        ),
        (
            json!({"ErrorOutputPrefix": "e/!{timestamp:yyyy}/"}),
            "ErrorOutputPrefix must contain at least one occurrence of !{firehose:error-output-type}",
        ),
        (
            json!({"Prefix": "!{firehose:error-output-type}/"}),
            "Prefix must not contain any occurrence of !{firehose:error-output-type}",
        ),
        (
            json!({"Prefix": "!{partitionKeyFromQuery:a}/", "ErrorOutputPrefix": "!{firehose:error-output-type}/"}),
            "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled.",
        ),
        (
            json!({"S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::b", "Prefix": "!{timestamp:yyyy}"}}),
            "S3BackupConfiguration: ErrorOutputPrefix cannot be null or empty when Prefix contains expressions",
        ),
    ] {
        assert_eq!(refusal(&with(&change)), message, "{change}");
    }
}

fn converting() -> Value {
    json!({
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "sales", "TableName": "clicks", "VersionId": "3"},
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {"CaseInsensitive": false}}},
        "OutputFormatConfiguration": {"Serializer": {"ParquetSerDe": {"Compression": "GZIP"}}}
    })
}

#[test]
fn conversion_is_enabled_by_its_presence_and_fills_in_larger_hints_for_its_own_bucket_only() {
    let backup = json!({"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::spare"});
    let given = |conversion: &Value| {
        with(&json!({"DataFormatConversionConfiguration": conversion, "S3BackupConfiguration": backup}))
    };
    let large = json!({"SizeInMBs": 128, "IntervalInSeconds": 300});
    let usual = json!({"SizeInMBs": 5, "IntervalInSeconds": 300});
    let stored = (SPEC.normalize)(&given(&converting()));
    assert_eq!(stored["BufferingHints"], large);
    assert_eq!(stored["S3BackupConfiguration"]["BufferingHints"], usual);
    assert_eq!(stored["DataFormatConversionConfiguration"]["Enabled"], true);
    assert_eq!((SPEC.normalize)(&stored), stored);
    assert_eq!((SPEC.check)(&stored, Rules::Strict), Ok(()));
    let mut off = converting();
    off["Enabled"] = json!(false);
    let stored = (SPEC.normalize)(&given(&off));
    assert_eq!(stored["BufferingHints"], usual);
    assert_eq!(stored["DataFormatConversionConfiguration"], off, "what is off is kept");
    let mut chosen = given(&converting());
    chosen["BufferingHints"] = json!({"SizeInMBs": 64, "IntervalInSeconds": 60});
    assert_eq!((SPEC.normalize)(&chosen)["BufferingHints"], chosen["BufferingHints"]);
}

#[test]
fn an_update_of_the_conversion_keeps_the_table_and_replaces_the_serializer() {
    let stored = (SPEC.normalize)(&with(&json!({"DataFormatConversionConfiguration": converting()})));
    let updated = |change: Value| {
        let update = json!({"DataFormatConversionConfiguration": change});
        (SPEC.merge)(&stored, &update)["DataFormatConversionConfiguration"].clone()
    };
    let before = &stored["DataFormatConversionConfiguration"];
    assert_eq!(&updated(json!({})), before);
    let mut expected = before.clone();
    expected["Enabled"] = json!(false);
    assert_eq!(updated(json!({"Enabled": false})), expected);
    let mut expected = before.clone();
    expected["SchemaConfiguration"]["TableName"] = json!("orders");
    assert_eq!(updated(json!({"SchemaConfiguration": {"TableName": "orders", "RoleARN": null}})), expected);
    let mut expected = before.clone();
    expected["OutputFormatConfiguration"] = json!({"Serializer": {"OrcSerDe": {}}});
    assert_eq!(updated(json!({"OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}}})), expected);
    let mut expected = before.clone();
    expected["InputFormatConfiguration"] = json!({"Deserializer": {"OpenXJsonSerDe": {}}});
    let change = json!({"InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}}});
    assert_eq!(updated(change), expected, "options of the one before do not hold");
}

#[test]
fn an_update_that_enables_conversion_leaves_the_hints() {
    let stored = (SPEC.normalize)(&minimal());
    let merged = (SPEC.merge)(&stored, &json!({"DataFormatConversionConfiguration": converting()}));
    assert_eq!(merged["BufferingHints"], stored["BufferingHints"]);
    let mut expected = converting();
    expected["Enabled"] = json!(true);
    assert_eq!(
        merged["DataFormatConversionConfiguration"], expected,
        "nothing was configured that could have been off"
    );
    let merged = (SPEC.merge)(&stored, &json!({"DataFormatConversionConfiguration": {}}));
    assert_eq!(merged, stored);
    let off = (SPEC.merge)(
        &stored,
        &json!({"DataFormatConversionConfiguration": {"Enabled": false, "SchemaConfiguration": {}}}),
    );
    let merged = (SPEC.merge)(&off, &json!({"DataFormatConversionConfiguration": converting()}));
    assert_eq!(merged["DataFormatConversionConfiguration"]["Enabled"], false, "it was switched off with what it had");
}

#[test]
fn the_model_requires_no_member_of_a_table_and_holds_mappings_to_its_rules() {
    let faults = |conversion: Value| {
        let given = with(&json!({"DataFormatConversionConfiguration": conversion}));
        let faults = faults(&given, "ExtendedS3DestinationConfiguration", Shape::Create, Rules::Strict);
        faults.verdict().map_err(|refusal| refusal.to_string())
    };
    assert_eq!(faults(json!({"SchemaConfiguration": {}})), Ok(()));
    let mapped = |column: &str, key: Value| {
        let mappings = json!({column: key});
        faults(
            json!({"InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": mappings}}}}),
        )
    };
    assert_eq!(mapped("ts", json!("a time stamp")), Ok(()));
    assert_eq!(
        mapped("a b", json!("c")).unwrap_err(),
        "1 validation error detected: Value at 'extendedS3DestinationConfiguration.dataFormatConversionConfiguration.\
         inputFormatConfiguration.deserializer.openXJsonSerDe.columnToJsonKeyMappings' failed to satisfy constraint: Map keys \
         must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than \
         or equal to 1, Member must satisfy regular expression pattern: ^\\S+$]"
    );
    for key in ["", "  "] {
        let message = mapped("ts", json!(key)).unwrap_err();
        assert!(
            message.contains("Map value must satisfy constraint: [") && message.ends_with(r"^(?!\s*$).+]"),
            "{message}"
        );
    }
    let message = mapped("ts", json!(1)).unwrap_err();
    assert!(message.contains("can not be converted to"), "{message}");
}

#[test]
fn the_legacy_shape_has_no_conversion() {
    let given = with(&json!({"DataFormatConversionConfiguration": converting()}));
    let faults = faults(&given, "S3DestinationConfiguration", Shape::Create, Rules::Wide);
    let unknown: Vec<_> = faults.unknown().map(|fault| fault.field.as_str()).collect();
    assert_eq!(unknown, ["S3DestinationConfiguration.DataFormatConversionConfiguration"]);
}

#[test]
fn an_update_keeps_what_it_leaves_out() {
    let stored = (SPEC.normalize)(&with(&json!({
        "Prefix": "old/", "CompressionFormat": "GZIP", "FileExtension": ".log",
        "ProcessingConfiguration": {"Enabled": false, "Processors": [{"Type": "Lambda"}]},
        "DataFormatConversionConfiguration": {"Enabled": false, "InputFormatConfiguration": {"Deserializer": {}}},
        "S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::spare", "Prefix": "raw/"}
    })));
    let merged = (SPEC.merge)(
        &stored,
        &json!({
            "Prefix": "new/", "CompressionFormat": null, "Nonsense": true,
            "ProcessingConfiguration": {"Processors": []},
            "DataFormatConversionConfiguration": {"OutputFormatConfiguration": {"Serializer": {}}},
            "S3BackupUpdate": {"Prefix": "backup/"}
        }),
    );
    let mut expected = stored;
    expected["Prefix"] = json!("new/");
    expected["ProcessingConfiguration"] = json!({"Enabled": false, "Processors": []});
    expected["DataFormatConversionConfiguration"]["OutputFormatConfiguration"] = json!({"Serializer": {}});
    expected["S3BackupConfiguration"]["Prefix"] = json!("backup/");
    assert_eq!(merged, expected);
}

#[test]
fn structures_are_replaced_whole_so_half_an_update_of_the_hints_is_refused() {
    let stored = (SPEC.normalize)(&minimal());
    let merged = (SPEC.merge)(&stored, &json!({"BufferingHints": {"SizeInMBs": 64}}));
    assert!(
        (SPEC.check)(&merged, Rules::Wide)
            .expect_err("incomplete")
            .message
            .contains("IntervalInSeconds must be specified")
    );
    let merged = (SPEC.merge)(&stored, &json!({"CloudWatchLoggingOptions": {"LogGroupName": "g"}}));
    assert_eq!(merged["CloudWatchLoggingOptions"], json!({"Enabled": false, "LogGroupName": "g"}));
}

#[test]
fn the_typed_destination_says_what_the_stored_one_says() {
    let stored = (SPEC.normalize)(&with(&json!({
        "Prefix": "p/", "CompressionFormat": "GZIP", "FileExtension": ".json.gz", "CustomTimeZone": "Asia/Tokyo",
        "BufferingHints": {"SizeInMBs": 2, "IntervalInSeconds": 0},
        "EncryptionConfiguration": {"KMSEncryptionConfig": {"AWSKMSKeyARN": "arn:aws:kms:eu-west-1:000000000000:key/k"}}
    })));
    let typed = object_destination(&stored).expect("valid");
    assert_eq!((typed.role_arn.as_str(), typed.bucket.as_str()), (ROLE, "lake"));
    assert_eq!(typed.hints, Hints { size_bytes: 2 * 1024 * 1024, interval: Duration::ZERO });
    assert_eq!(typed.compression, Compression::Gzip);
    assert_eq!(typed.file_extension.as_deref(), Some(".json.gz"));
    assert_eq!(typed.kms_key_arn.as_deref(), Some("arn:aws:kms:eu-west-1:000000000000:key/k"));
}

#[test]
fn an_empty_extension_or_zone_means_none() {
    let stored = (SPEC.normalize)(&with(&json!({"FileExtension": "", "CustomTimeZone": "", "Prefix": ""})));
    assert_eq!(object_destination(&stored).expect("valid").file_extension, None);
    assert_eq!((SPEC.shape)(&stored), (SPEC.shape)(&(SPEC.normalize)(&minimal())));
}

#[test]
fn shape_follows_names_and_bytes_and_not_reach() {
    let base = (SPEC.shape)(&(SPEC.normalize)(&minimal()));
    for change in [
        json!({"Prefix": "a/"}),
        json!({"ErrorOutputPrefix": "a/"}),
        json!({"CompressionFormat": "ZIP"}),
        json!({"FileExtension": ".x"}),
        json!({"CustomTimeZone": "Asia/Tokyo"}),
    ] {
        assert_ne!((SPEC.shape)(&(SPEC.normalize)(&with(&change))), base, "{change}");
    }
    for change in [
        json!({"BucketARN": "arn:aws:s3:::other"}),
        json!({"BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}),
        json!({"ProcessingConfiguration": {"Enabled": false, "Processors": []}}),
        json!({"CustomTimeZone": "UTC"}),
    ] {
        assert_eq!((SPEC.shape)(&(SPEC.normalize)(&with(&change))), base, "{change}");
    }
}
