use hydrant_model::Namespaces;
use serde_json::json;

use super::*;

fn prefix(source: &str, dynamic_partitioning: bool) -> Expression {
    Expression::parse(source, Namespaces::Prefix { dynamic_partitioning }).expect("valid")
}

fn processor(kind: &str, parameters: &[(&str, &str)]) -> Value {
    let parameters: Vec<_> =
        parameters.iter().map(|(name, value)| json!({"ParameterName": name, "ParameterValue": value})).collect();
    json!({"Type": kind, "Parameters": parameters})
}

fn enabled(processors: &[Value]) -> Value {
    json!({"Enabled": true, "Processors": processors})
}

fn plain(processors: &[Value]) -> Result<Chain, Misfit> {
    let prefix = prefix("p/", false);
    parse(&enabled(processors), Facts { dynamic_partitioning: false, prefix: &prefix, strict: false })
}

fn partitioned(source: &str, processors: &[Value]) -> Result<Chain, Misfit> {
    let prefix = prefix(source, true);
    parse(&enabled(processors), Facts { dynamic_partitioning: true, prefix: &prefix, strict: true })
}

fn lambda(parameters: &[(&str, &str)]) -> Value {
    processor("Lambda", &[&[("LambdaArn", "arn:aws:lambda:us-east-1:1:function:f")], parameters].concat())
}

fn query(query: &str) -> Value {
    processor("MetadataExtraction", &[("MetadataExtractionQuery", query), ("JsonParsingEngine", "JQ-1.6")])
}

fn gunzip() -> Value {
    processor("Decompression", &[("CompressionFormat", "GZIP")])
}

/// The message of a refusal, with its member.
fn told(refused: Result<Chain, Misfit>) -> (String, String) {
    let misfit = refused.map(drop).expect_err("refused");
    (misfit.member, misfit.message)
}

#[test]
fn processors_run_in_their_order_whatever_order_they_are_given_in() {
    let chain = partitioned(
        "!{partitionKeyFromQuery:a}/!{partitionKeyFromLambda:b}/!{partitionKeyFromQuery:a}/",
        &[
            processor("AppendDelimiterToRecord", &[]),
            query("{a:.x}"),
            lambda(&[("NumberOfRetries", "0"), ("BufferSizeInMBs", "0.5"), ("BufferIntervalInSeconds", "90")]),
            gunzip(),
            processor("RecordDeAggregation", &[("SubRecordType", "JSON")]),
        ],
    )
    .expect("valid");
    let names: Vec<_> = chain.processors.iter().map(|(spec, _)| spec.name).collect();
    assert_eq!(
        names,
        ["Decompression", "RecordDeAggregation", "Lambda", "MetadataExtraction", "AppendDelimiterToRecord"]
    );
    let wanted: Vec<_> = chain.wanted.iter().map(|key| (key.source, key.name.as_str())).collect();
    assert_eq!(wanted, [(KeySource::Query, "a"), (KeySource::Lambda, "b")]);
    let lambda = chain.lambda.clone().expect("there is one");
    assert_eq!((lambda.retries, lambda.buffer_bytes, lambda.interval), (0, 512 * 1024, Duration::from_secs(90)));
    let (before, after) = chain.build().expect("valid");
    assert_eq!((before.len(), after.len()), (2, 2));
}

#[test]
fn defaults_of_lambda_are_aws_s() {
    let lambda = plain(&[lambda(&[])]).expect("valid").lambda.expect("there is one");
    assert_eq!((lambda.retries, lambda.buffer_bytes, lambda.interval), (3, 1024 * 1024, Duration::from_mins(1)));
    assert_eq!(lambda.role, None);
}

#[test]
fn what_is_not_enabled_has_no_processors() {
    let prefix = prefix("p/", false);
    for configuration in [json!(null), json!({}), json!({"Enabled": false, "Processors": [{"Type": "X"}]})] {
        let facts = Facts { dynamic_partitioning: false, prefix: &prefix, strict: true };
        assert!(parse(&configuration, facts).expect("valid").is_empty());
    }
}

#[test]
fn parameters_are_refused_in_aws_s_words() {
    for (processors, message) in [
        (vec![], COUNT),
        (vec![gunzip(); 6], COUNT),
        (
            vec![processor("RecordDeAggregation", &[("SubRecordType", "XML")])],
            "SubRecordType has to be one of JSON, DELIMITED",
        ),
        (
            vec![processor("RecordDeAggregation", &[("SubRecordType", "DELIMITED")])],
            "Delimiter should be present for DELIMITED",
        ),
        (
            vec![processor("RecordDeAggregation", &[("SubRecordType", "DELIMITED"), ("Delimiter", "####")])],
            "Delimiter of RecordDeAggregation must be in base64 and not empty",
        ),
        (
            vec![processor("CloudWatchLogProcessing", &[("DataMessageExtraction", "true")])],
            "CloudWatchLogProcessingProcessor can only be enabled with DecompressionProcessor",
        ),
        (
            vec![query("{a:.x}")],
            "class com.amazonaws.services.firehose.internal.model.MetadataExtractionProcessor can only be present when \
             Dynamic Partitioning is enabled.",
        ),
        (vec![processor("Decompression", &[("CompressionFormat", "ZIP")])], "CompressionFormat has to be one of GZIP"),
        (vec![processor("Decompression", &[])], "CompressionFormat has to be one of GZIP"),
        (
            vec![processor(
                "MetadataExtraction",
                &[("JsonParsingEngine", "JQ-1.7"), ("MetadataExtractionQuery", "{}")],
            )],
            "MetaDataExtraction JSON Parsing Engine has to be one of JQ-1.6",
        ),
        (
            vec![processor("Gunzip", &[])],
            "Type 'Gunzip' of a processor has to be one of Decompression, \
             CloudWatchLogProcessing, RecordDeAggregation, Lambda, MetadataExtraction, AppendDelimiterToRecord",
        ),
        (
            vec![processor("Decompression", &[("Delimiter", "x")])],
            "Processor Decompression has no parameter 'Delimiter'",
        ),
    ] {
        assert_eq!(told(plain(&processors)).1, message);
    }
}

#[test]
fn parameters_of_lambda_are_refused_in_aws_s_words() {
    for (processors, message) in [
        (vec![lambda(&[]), lambda(&[])], "Cannot have more than 1 Lambda processor."),
        (vec![processor("Lambda", &[])], "LambdaArn is required when Lambda processor is used."),
        (vec![lambda(&[("NumberOfRetries", "301")])], "Number of retries for lambda must be between 0 and 300."),
        (vec![lambda(&[("NumberOfRetries", "1.5")])], "Number of retries for lambda must be between 0 and 300."),
        (
            vec![lambda(&[("BufferSizeInMBs", "3.1"), ("BufferIntervalInSeconds", "60")])],
            "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
        ),
        (
            vec![lambda(&[("BufferSizeInMBs", "NaN"), ("BufferIntervalInSeconds", "60")])],
            "BufferSizeInMBs for lambda processor must be between 0.2 and 3.",
        ),
        (
            vec![lambda(&[("BufferSizeInMBs", "1"), ("BufferIntervalInSeconds", "901")])],
            "BufferIntervalInSeconds for lambda processor must be between 0 and 900.",
        ),
        (
            vec![lambda(&[("BufferSizeInMBs", "1")])],
            "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor.",
        ),
    ] {
        assert_eq!(told(plain(&processors)).1, message);
    }
}

#[test]
fn a_refusal_names_the_member() {
    let refused = plain(&[gunzip(), lambda(&[("NumberOfRetries", "x")])]);
    assert_eq!(told(refused).0, "ProcessingConfiguration.Processors[1].Parameters[1].ParameterValue");
    let refused = plain(&[gunzip(), gunzip()]);
    assert_eq!(told(refused).0, "ProcessingConfiguration.Processors[0].Type");
}

#[test]
fn taking_records_apart_needs_partitioning_under_aws_s_rules_only() {
    let processors = [processor("RecordDeAggregation", &[("SubRecordType", "JSON")])];
    assert!(plain(&processors).is_ok());
    let prefix = prefix("p/", false);
    let strict = parse(&enabled(&processors), Facts { dynamic_partitioning: false, prefix: &prefix, strict: true });
    assert!(told(strict).1.contains("RecordDeAggregationProcessor can only be present when Dynamic Partitioning"));
}

#[test]
fn keys_and_prefix_must_fit() {
    let unused = "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression";
    assert_eq!(told(partitioned("!{partitionKeyFromQuery:a}/", &[query("{a:.x, b:.y}")])).1, unused);
    // A key from a function is not one from the query.
    let both = [query("{a:.x, b:.y}"), lambda(&[])];
    assert_eq!(told(partitioned("!{partitionKeyFromQuery:a}/!{partitionKeyFromLambda:b}/", &both)).1, unused);
    let missing = partitioned("!{partitionKeyFromQuery:a}/!{partitionKeyFromQuery:b}/", &[query("{a:.x}")]);
    assert!(told(missing).1.contains("which MetadataExtractionQuery does not give"));
    let nobody = partitioned("!{partitionKeyFromLambda:b}/", &[processor("AppendDelimiterToRecord", &[])]);
    assert_eq!(told(nobody).1, NO_KEYS);
    let no_lambda = partitioned("!{partitionKeyFromLambda:b}/", &[query("{}")]);
    assert!(told(no_lambda).1.contains("without a Lambda processor"));
    // Keys that are known at run time only cannot be held against the prefix.
    assert!(partitioned("!{partitionKeyFromQuery:a}/", &[query("{(.k):.x}")]).is_ok());
    let names: Vec<_> = (0..51).map(|at| format!("k{at}")).collect();
    let source = names.iter().fold(String::new(), |source, name| source + "!{partitionKeyFromQuery:" + name + "}");
    let members: Vec<_> = names.iter().map(|name| format!("{name}:.x")).collect();
    assert_eq!(told(partitioned(&source, &[query(&format!("{{{}}}", members.join(",")))])).1, TOO_MANY_KEYS);
    let bad = partitioned("!{partitionKeyFromQuery:a}/", &[query("{a:now}")]);
    assert!(told(bad).1.contains("depend on the record alone"));
}
