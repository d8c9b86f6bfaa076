use proptest::prelude::*;
use serde_json::json;

use super::*;

const ROLE: &str = "arn:aws:iam::111111111111:role/r";

fn configured(deserializer: &Value, serializer: &Value) -> Value {
    json!({
        "Enabled": true,
        "SchemaConfiguration": {"RoleARN": ROLE, "DatabaseName": "d", "TableName": "t"},
        "InputFormatConfiguration": {"Deserializer": deserializer},
        "OutputFormatConfiguration": {"Serializer": serializer},
    })
}

fn simple() -> Value {
    configured(&json!({"OpenXJsonSerDe": {}}), &json!({"ParquetSerDe": {}}))
}

fn with_schema(schema: &Value) -> Value {
    let mut configuration = simple();
    configuration["SchemaConfiguration"] = schema.clone();
    configuration
}

fn read(configuration: &Value) -> Conversion {
    parse(configuration, true).expect("valid").expect("enabled")
}

/// The member and message of a refusal, which strict and wide rules share; the member below the configuration.
fn told(configuration: &Value) -> (String, String) {
    let strict = parse(configuration, true).expect_err("refused");
    assert_eq!(parse(configuration, false), Err(strict.clone()));
    let member = strict.member.strip_prefix("DataFormatConversionConfiguration.").expect("below the configuration");
    (member.to_owned(), strict.message)
}

fn refused_parquet(options: &Value) -> (String, String) {
    let (member, message) = told(&configured(&json!({"OpenXJsonSerDe": {}}), &json!({"ParquetSerDe": options})));
    let member = member.strip_prefix("OutputFormatConfiguration.Serializer.ParquetSerDe.").expect("below ParquetSerDe");
    (member.to_owned(), message)
}

fn refused_orc(options: &Value) -> (String, String) {
    let (member, message) = told(&configured(&json!({"OpenXJsonSerDe": {}}), &json!({"OrcSerDe": options})));
    let member = member.strip_prefix("OutputFormatConfiguration.Serializer.OrcSerDe.").expect("below OrcSerDe");
    (member.to_owned(), message)
}

fn refused_input(deserializer: &Value) -> (String, String) {
    let (member, message) = told(&configured(deserializer, &json!({"ParquetSerDe": {}})));
    let member = member.strip_prefix("InputFormatConfiguration.Deserializer").expect("below Deserializer");
    (member.to_owned(), message)
}

fn pair(member: &str, message: &str) -> (String, String) {
    (member.to_owned(), message.to_owned())
}

#[test]
fn what_is_not_enabled_is_not_looked_at() {
    for configuration in [
        json!(null),
        json!({"Enabled": false}),
        json!({"Enabled": false, "OutputFormatConfiguration": {"Serializer": {}}, "SchemaConfiguration": {}}),
    ] {
        assert_eq!(parse(&configuration, true), Ok(None), "{configuration}");
        assert!(!is_enabled(&configuration), "{configuration}");
    }
}

#[test]
fn a_conversion_is_enabled_by_its_presence() {
    let mut configuration = simple();
    for enabled in [json!(true), json!(null)] {
        configuration["Enabled"] = enabled;
        assert!(parse(&configuration, true).expect("valid").is_some());
    }
    configuration.as_object_mut().expect("an object").remove("Enabled");
    assert!(parse(&configuration, true).expect("valid").is_some());
    assert_eq!(told(&json!({})).1, "InputFormatConfiguration must not be null");
}

#[test]
fn all_three_parts_must_be_there() {
    for part in ["InputFormatConfiguration", "OutputFormatConfiguration"] {
        let mut configuration = simple();
        configuration[part] = json!(null);
        assert_eq!(told(&configuration), pair(part, &format!("{part} must not be null")));
        configuration.as_object_mut().expect("an object").remove(part);
        assert_eq!(told(&configuration), pair(part, &format!("{part} must not be null")));
    }
}

#[test]
fn the_schema_may_be_left_out_but_for_strict_rules() {
    let mut configuration = simple();
    configuration.as_object_mut().expect("an object").remove("SchemaConfiguration");
    let inferred = parse(&configuration, false).expect("valid").expect("enabled");
    assert_eq!(inferred.schema, SchemaSource::Inferred);
    let misfit = parse(&configuration, true).expect_err("refused");
    assert_eq!(misfit.message, "SchemaConfiguration must not be null");
    assert_eq!(misfit.member, "DataFormatConversionConfiguration.SchemaConfiguration");
}

#[test]
fn a_table_needs_role_database_and_name() {
    let whole = json!({"RoleARN": ROLE, "DatabaseName": "d", "TableName": "t"});
    for (member, spelled) in [("RoleARN", "RoleArn"), ("DatabaseName", "DatabaseName"), ("TableName", "TableName")] {
        let mut empty = whole.clone();
        empty[member] = json!("");
        let mut missing = whole.clone();
        missing.as_object_mut().expect("an object").remove(member);
        for schema in [missing, empty] {
            let message = format!("SchemaConfiguration.{spelled} must not be null or empty");
            assert_eq!(told(&with_schema(&schema)), pair(&format!("SchemaConfiguration.{member}"), &message));
        }
    }
    assert_eq!(told(&with_schema(&json!({}))).0, "SchemaConfiguration.RoleARN");
}

#[test]
fn a_table_is_read_with_and_without_what_has_a_default() {
    assert_eq!(
        read(&simple()).schema,
        SchemaSource::Table {
            catalog_id: None,
            database: "d".to_owned(),
            table: "t".to_owned(),
            region: None,
            version: None,
            role: ROLE.to_owned(),
        }
    );
    let schema = json!({
        "RoleARN": ROLE, "DatabaseName": "d", "TableName": "t", "CatalogId": "222222222222", "Region": "us-east-1",
        "VersionId": "12"
    });
    assert_eq!(
        read(&with_schema(&schema)).schema,
        SchemaSource::Table {
            catalog_id: Some("222222222222".to_owned()),
            database: "d".to_owned(),
            table: "t".to_owned(),
            region: Some("us-east-1".to_owned()),
            version: Some(12),
            role: ROLE.to_owned(),
        }
    );
}

#[test]
fn a_version_is_a_number_or_the_latest() {
    let schema = |version: &str| {
        with_schema(&json!({"RoleARN": ROLE, "DatabaseName": "d", "TableName": "t", "VersionId": version}))
    };
    assert!(matches!(read(&schema("LATEST")).schema, SchemaSource::Table { version: None, .. }));
    assert!(matches!(read(&schema("0")).schema, SchemaSource::Table { version: Some(0), .. }));
    for version in ["latest", "1.5", "-1", "99999999999999999999"] {
        let message = format!("SchemaConfiguration.VersionId must be LATEST or a number, not {version:?}");
        assert_eq!(told(&schema(version)), pair("SchemaConfiguration.VersionId", &message));
    }
}

#[test]
fn there_is_one_deserializer() {
    for none in [json!(null), json!({}), json!({"OpenXJsonSerDe": null})] {
        assert_eq!(refused_input(&none), pair("", "Deserializer must not be null"), "{none}");
    }
    let both = json!({"OpenXJsonSerDe": {}, "HiveJsonSerDe": {}});
    assert_eq!(refused_input(&both), pair("", "More than one deserializer specified. Only one may be chosen."));
}

#[test]
fn there_is_one_serializer() {
    for (serializer, message) in [
        (json!(null), "Serializer must not be null"),
        (json!({}), "Serializer must not be null"),
        (json!({"ParquetSerDe": null, "OrcSerDe": null}), "Serializer must not be null"),
        (json!({"ParquetSerDe": {}, "OrcSerDe": {}}), "More than one serializer specified. Only one may be chosen."),
    ] {
        let told = told(&configured(&json!({"OpenXJsonSerDe": {}}), &serializer));
        assert_eq!(told, pair("OutputFormatConfiguration.Serializer", message), "{serializer}");
    }
}

#[test]
fn deserializers_have_aws_s_defaults() {
    assert_eq!(read(&simple()).deserializer, Deserializer::default());
    let hive = read(&configured(&json!({"HiveJsonSerDe": {}}), &json!({"OrcSerDe": {}})));
    assert_eq!(hive.deserializer, Deserializer::Hive { timestamp_formats: Vec::new() });
}

#[test]
fn deserializers_are_given_their_options() {
    let openx = json!({"OpenXJsonSerDe": {
        "ConvertDotsInJsonKeysToUnderscores": true, "CaseInsensitive": false,
        "ColumnToJsonKeyMappings": {"Ts": "timestamp", "b": "B c"}
    }});
    let mappings = [("ts", "timestamp"), ("b", "B c")].map(|(column, key)| (column.to_owned(), key.to_owned()));
    assert_eq!(
        read(&configured(&openx, &json!({"ParquetSerDe": {}}))).deserializer,
        Deserializer::OpenX { convert_dots: true, case_insensitive: false, mappings: mappings.into() }
    );
    let hive = json!({"HiveJsonSerDe": {"TimestampFormats": ["yyyy/MM/dd", "millis"]}});
    let formats = ["yyyy/MM/dd", "millis"].map(|pattern| TimestampFormat::parse(pattern).expect("valid"));
    assert_eq!(
        read(&configured(&hive, &json!({"ParquetSerDe": {}}))).deserializer,
        Deserializer::Hive { timestamp_formats: formats.into() }
    );
}

#[test]
fn options_that_mean_nothing_are_invalid_deserializer_options() {
    let formats = |formats: Value| refused_input(&json!({"HiveJsonSerDe": {"TimestampFormats": formats}}));
    assert_eq!(
        formats(json!(["yyyy", "yyyy-QQ"])),
        pair(
            ".HiveJsonSerDe.TimestampFormats[1]",
            "Invalid deserializer option(s): timestamp format \"yyyy-QQ\": letter 'Q' is not supported; quote it to mean the \
             letter itself"
        )
    );
    assert_eq!(
        formats(json!(["yyyy'T"])).1,
        "Invalid deserializer option(s): timestamp format \"yyyy'T\" ends within a quoted text"
    );
    let mappings = |mappings: Value| refused_input(&json!({"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": mappings}}));
    let place = ".OpenXJsonSerDe.ColumnToJsonKeyMappings";
    for (given, reason) in [
        (json!([]), "must map columns to keys"),
        (json!({"a": 1}), "must give column \"a\" a key"),
        (json!({"a": ""}), "must give column \"a\" a key"),
        (json!({"ts": "x", "Ts": "y"}), "has column \"ts\" twice (case does not count)"),
    ] {
        let (member, message) = mappings(given.clone());
        let expected = format!("Invalid deserializer option(s): ColumnToJsonKeyMappings {reason}");
        // Of two that differ in case, it depends on the order of the members which is named.
        assert_eq!((member.as_str(), message.to_lowercase()), (place, expected.to_lowercase()), "{given}");
    }
}

#[test]
fn values_of_other_types_are_refused() {
    let openx = refused_input(&json!({"OpenXJsonSerDe": {"CaseInsensitive": "yes"}}));
    assert_eq!(openx, pair(".OpenXJsonSerDe.CaseInsensitive", "CaseInsensitive must be true or false, not \"yes\""));
    let hive = refused_input(&json!({"HiveJsonSerDe": {"TimestampFormats": "millis"}}));
    assert_eq!(hive, pair(".HiveJsonSerDe.TimestampFormats", "TimestampFormats must be a list, not \"millis\""));
    let hive = refused_input(&json!({"HiveJsonSerDe": {"TimestampFormats": [""]}}));
    assert_eq!(hive.0, ".HiveJsonSerDe.TimestampFormats[0]");
    assert_eq!(refused_orc(&json!({"PaddingTolerance": "x"})).1, "PaddingTolerance must be a number, not \"x\"");
    let columns = refused_orc(&json!({"BloomFilterColumns": ["a", 1]}));
    assert_eq!(columns, pair("BloomFilterColumns[1]", "BloomFilterColumns must hold texts that are not empty"));
    let table = with_schema(&json!({"RoleARN": ROLE, "DatabaseName": 1, "TableName": "t"}));
    let message = "DatabaseName must be a text, not 1";
    assert_eq!(told(&table), pair("SchemaConfiguration.DatabaseName", message));
}

#[test]
fn serializers_have_their_defaults() {
    assert_eq!(read(&simple()).format, Format::Parquet(parquet::Options::default()));
    let orc = read(&configured(&json!({"OpenXJsonSerDe": {}}), &json!({"OrcSerDe": {}})));
    assert_eq!(orc.format, Format::Orc(orc::Options::default()));
}

#[test]
fn every_option_of_parquet_arrives() {
    let options = json!({
        "BlockSizeBytes": 67_108_864, "PageSizeBytes": 65_536, "Compression": "GZIP", "EnableDictionaryCompression": false,
        "MaxPaddingBytes": 5, "WriterVersion": "V2"
    });
    assert_eq!(
        read(&configured(&json!({"OpenXJsonSerDe": {}}), &json!({"ParquetSerDe": options}))).format,
        Format::Parquet(parquet::Options {
            block_size_bytes: 67_108_864,
            page_size_bytes: 65_536,
            compression: parquet::Compression::Gzip,
            enable_dictionary_compression: Some(false),
            max_padding_bytes: 5,
            writer_version: parquet::WriterVersion::V2,
            timestamps: parquet::TimestampUnit::default(),
        })
    );
}

#[test]
fn every_option_of_orc_arrives() {
    let options = json!({
        "StripeSizeBytes": 8_388_608, "BlockSizeBytes": 67_108_864, "RowIndexStride": 1_000, "EnablePadding": false,
        "PaddingTolerance": 1, "Compression": "ZLIB", "BloomFilterColumns": ["a", "b"],
        "BloomFilterFalsePositiveProbability": 0.5, "DictionaryKeyThreshold": 1.0, "FormatVersion": "V0_11"
    });
    assert_eq!(
        read(&configured(&json!({"OpenXJsonSerDe": {}}), &json!({"OrcSerDe": options}))).format,
        Format::Orc(orc::Options {
            stripe_size_bytes: 8_388_608,
            block_size_bytes: 67_108_864,
            row_index_stride: 1_000,
            enable_padding: false,
            padding_tolerance: 1.0,
            compression: orc::Compression::Zlib,
            bloom_filter_columns: vec!["a".to_owned(), "b".to_owned()],
            bloom_filter_false_positive_probability: 0.5,
            dictionary_key_threshold: 1.0,
            format_version: orc::FormatVersion::V0_11,
        })
    );
}

#[test]
fn options_of_parquet_are_held_to_their_ranges() {
    for (member, value, rule) in [
        ("BlockSizeBytes", json!(67_108_863), "at least 67108864"),
        ("PageSizeBytes", json!(65_535), "at least 65536"),
        ("MaxPaddingBytes", json!(-1), "a whole number, at least 0"),
        ("BlockSizeBytes", json!(1.5), "a whole number, at least 0"),
        ("Compression", json!("ZLIB"), "one of UNCOMPRESSED, GZIP, SNAPPY"),
        ("WriterVersion", json!("V3"), "one of V1, V2"),
        ("EnableDictionaryCompression", json!(1), "true or false"),
    ] {
        let message = format!("{member} must be {rule}, not {value}");
        assert_eq!(refused_parquet(&json!({member: value})), pair(member, &message));
    }
}

#[test]
fn options_of_orc_are_held_to_their_ranges() {
    for (member, value, rule) in [
        ("StripeSizeBytes", json!(8_388_607), "at least 8388608"),
        ("BlockSizeBytes", json!(67_108_863), "at least 67108864"),
        ("RowIndexStride", json!(999), "1000 to 4294967295"),
        ("PaddingTolerance", json!(1.1), "0 to 1"),
        ("PaddingTolerance", json!(-0.1), "0 to 1"),
        ("BloomFilterFalsePositiveProbability", json!(1.5), "above 0 and below 1"),
        ("BloomFilterFalsePositiveProbability", json!(-0.5), "above 0 and below 1"),
        ("DictionaryKeyThreshold", json!(1.5), "0 to 1"),
        ("Compression", json!("GZIP"), "one of NONE, ZLIB, SNAPPY"),
        ("FormatVersion", json!("V0_13"), "one of V0_11, V0_12"),
    ] {
        let message = format!("{member} must be {rule}, not {value}");
        assert_eq!(refused_orc(&json!({member: value})), pair(member, &message));
    }
    let padding = refused_orc(&json!({"EnablePadding": true}));
    let unpadded = "false: padding aligns stripes with blocks of HDFS, and objects are not in HDFS";
    assert_eq!(padding, pair("EnablePadding", &format!("EnablePadding must be {unpadded}, not true")));
}

#[test]
fn rules_are_held_in_the_order_of_aws() {
    let mut configuration = configured(&json!({}), &json!({}));
    configuration["SchemaConfiguration"] = json!({});
    assert_eq!(told(&configuration).1, "Deserializer must not be null");
    configuration["InputFormatConfiguration"] = simple()["InputFormatConfiguration"].clone();
    assert_eq!(told(&configuration).1, "Serializer must not be null");
    configuration["OutputFormatConfiguration"] = simple()["OutputFormatConfiguration"].clone();
    assert_eq!(told(&configuration).1, "SchemaConfiguration.RoleArn must not be null or empty");
}

proptest! {
    /// Whatever stands in a member, it is read or refused, and the refusal names a member that is there or should be.
    #[test]
    fn any_value_of_any_member_is_read_or_refused(at in 0..14_usize, value in any_value(), strict: bool) {
        let pointer = [
            "/Enabled", "/SchemaConfiguration", "/SchemaConfiguration/RoleARN", "/SchemaConfiguration/VersionId",
            "/InputFormatConfiguration", "/InputFormatConfiguration/Deserializer",
            "/InputFormatConfiguration/Deserializer/OpenXJsonSerDe",
            "/InputFormatConfiguration/Deserializer/OpenXJsonSerDe/ColumnToJsonKeyMappings",
            "/OutputFormatConfiguration", "/OutputFormatConfiguration/Serializer",
            "/OutputFormatConfiguration/Serializer/OrcSerDe", "/OutputFormatConfiguration/Serializer/OrcSerDe/RowIndexStride",
            "/OutputFormatConfiguration/Serializer/OrcSerDe/BloomFilterColumns",
            "/OutputFormatConfiguration/Serializer/OrcSerDe/PaddingTolerance",
        ][at];
        let mut configuration = configured(
            &json!({"OpenXJsonSerDe": {"ColumnToJsonKeyMappings": {}}}),
            &json!({"OrcSerDe": {"RowIndexStride": 1_000, "BloomFilterColumns": [], "PaddingTolerance": 0.5}}),
        );
        configuration["SchemaConfiguration"]["VersionId"] = json!("LATEST");
        *configuration.pointer_mut(pointer).expect("it is there") = value;
        match parse(&configuration, strict) {
            Ok(Some(conversion)) => match &conversion.format {
                Format::Orc(options) => prop_assert!(options.check().is_ok()),
                Format::Parquet(options) => prop_assert!(options.check().is_ok()),
            },
            Ok(None) => prop_assert_eq!(&configuration["Enabled"], &json!(false)),
            Err(misfit) => prop_assert!(misfit.member.starts_with("DataFormatConversionConfiguration.")),
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-zA-Z0-9.]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-c]|ParquetSerDe|HiveJsonSerDe", inner, 0..3)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}
