//! What is said of a destination that was taken.

use super::*;

#[test]
fn aws_s_time_for_retries_is_described_and_only_a_chosen_one_is_kept() {
    for (given, kept, described) in [
        (json!({"Enabled": true}), json!({"Enabled": true}), json!({"DurationInSeconds": 300})),
        (
            json!({"Enabled": true, "RetryOptions": {}}),
            json!({"Enabled": true, "RetryOptions": {"DurationInSeconds": 300}}),
            json!({"DurationInSeconds": 300}),
        ),
        (
            json!({"Enabled": true, "RetryOptions": {"DurationInSeconds": 60}}),
            json!({"Enabled": true, "RetryOptions": {"DurationInSeconds": 60}}),
            json!({"DurationInSeconds": 60}),
        ),
        (json!({"Enabled": false}), json!({"Enabled": false}), Value::Null),
    ] {
        let stored = (SPEC.normalize)(&with(&json!({"DynamicPartitioningConfiguration": given})));
        assert_eq!(stored["DynamicPartitioningConfiguration"], kept);
        let shown = &(SPEC.describe)(&stored)["ExtendedS3DestinationDescription"]["DynamicPartitioningConfiguration"];
        assert_eq!(shown["RetryOptions"], described);
    }
}

#[test]
fn a_function_is_described_with_what_aws_means_where_nothing_was_said() {
    let parameter = |name: &str, value: &str| json!({"ParameterName": name, "ParameterValue": value});
    let given = json!([parameter("LambdaArn", "arn:f"), parameter("NumberOfRetries", "1")]);
    let processors = json!([
        {"Type": "Lambda", "Parameters": given},
        {"Type": "AppendDelimiterToRecord"}
    ]);
    let stored =
        (SPEC.normalize)(&with(&json!({"ProcessingConfiguration": {"Enabled": true, "Processors": processors}})));
    assert_eq!(stored["ProcessingConfiguration"]["Processors"], processors);
    let shown = &(SPEC.describe)(&stored)["ExtendedS3DestinationDescription"]["ProcessingConfiguration"]["Processors"];
    let parameters = json!([
        given[0],
        given[1],
        parameter("BufferSizeInMBs", "1"),
        parameter("BufferIntervalInSeconds", "60"),
        parameter("RoleArn", ROLE)
    ]);
    assert_eq!(shown, &json!([{"Type": "Lambda", "Parameters": parameters}, {"Type": "AppendDelimiterToRecord"}]));
}

#[test]
fn a_description_has_the_extended_form_and_the_reduced_one() {
    let stored = (SPEC.normalize)(&with(&json!({
        "Prefix": "p/", "FileExtension": ".json",
        "S3BackupConfiguration": {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::spare"}
    })));
    let described = (SPEC.describe)(&stored);
    assert_eq!(
        described["S3DestinationDescription"],
        json!({
            "RoleARN": ROLE, "BucketARN": "arn:aws:s3:::lake", "Prefix": "p/",
            "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 300}, "CompressionFormat": "UNCOMPRESSED",
            "EncryptionConfiguration": {"NoEncryptionConfig": "NoEncryption"}, "CloudWatchLoggingOptions": {"Enabled": false}
        })
    );
    let extended = &described["ExtendedS3DestinationDescription"];
    assert_eq!(extended["S3BackupDescription"]["BucketARN"], "arn:aws:s3:::spare");
    assert_eq!(extended.get("S3BackupConfiguration"), None);
    assert_eq!(extended["FileExtension"], ".json");
}
