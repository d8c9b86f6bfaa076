use std::time::Duration;

use super::*;

fn table() -> SchemaSource {
    SchemaSource::Table {
        catalog_id: None,
        database: "d".to_owned(),
        table: "t".to_owned(),
        region: None,
        version: None,
        role: "arn:aws:iam::111111111111:role/r".to_owned(),
    }
}

fn hints(mebibytes: u64) -> Hints {
    Hints { size_bytes: mebibytes << 20, interval: Duration::from_mins(1) }
}

#[test]
fn an_error_entry_s_table_is_told_in_full_whatever_was_left_out() {
    assert_eq!(
        table().table_facts("111111111111", "eu-west-1"),
        json!({
            "catalogId": "111111111111", "databaseName": "d", "tableName": "t", "region": "eu-west-1",
            "versionId": "LATEST", "roleArn": "arn:aws:iam::111111111111:role/r"
        })
    );
    let other = SchemaSource::Table {
        catalog_id: Some("222222222222".to_owned()),
        database: "d".to_owned(),
        table: "t".to_owned(),
        region: Some("us-east-1".to_owned()),
        version: Some(7),
        role: "r".to_owned(),
    };
    assert_eq!(
        other.table_facts("111111111111", "eu-west-1"),
        json!({
            "catalogId": "222222222222", "databaseName": "d", "tableName": "t", "region": "us-east-1",
            "versionId": "7", "roleArn": "r"
        })
    );
    assert_eq!(SchemaSource::Inferred.table_facts("111111111111", "eu-west-1"), Value::Null);
}

#[test]
fn a_role_of_another_account_is_refused() {
    assert_eq!(table().check_role("111111111111"), Ok(()));
    assert_eq!(SchemaSource::Inferred.check_role("111111111111"), Ok(()));
    let misfit = table().check_role("222222222222").expect_err("refused");
    assert_eq!(misfit.message, "Cross-account pass role is not allowed.");
    assert_eq!(misfit.member, "DataFormatConversionConfiguration.SchemaConfiguration.RoleARN");
}

#[test]
fn an_object_is_not_packed_again() {
    for compression in Compression::ALL {
        let checked = check_destination(compression, hints(128), false);
        if compression == Compression::Uncompressed {
            assert_eq!(checked, Ok(()));
        } else {
            let misfit = checked.expect_err("refused");
            assert_eq!(misfit.member, "CompressionFormat");
            assert_eq!(
                misfit.message,
                "The S3 destination's compression format must be set to UNCOMPRESSED when data format conversion is enabled"
            );
        }
    }
}

#[test]
fn small_buffers_are_refused_by_strict_rules_only() {
    assert_eq!(check_destination(Compression::Uncompressed, hints(63), false), Ok(()));
    assert_eq!(check_destination(Compression::Uncompressed, hints(64), true), Ok(()));
    let misfit = check_destination(Compression::Uncompressed, hints(63), true).expect_err("refused");
    assert_eq!(misfit.member, "BufferingHints.SizeInMBs");
    assert_eq!(misfit.message, "BufferingHints.SizeInMBs must be at least 64 when data format conversion is enabled.");
    // The compression is looked at first.
    let misfit = check_destination(Compression::Gzip, hints(1), true).expect_err("refused");
    assert_eq!(misfit.member, "CompressionFormat");
}

#[test]
fn keys_end_as_the_format_says() {
    assert_eq!(Format::Parquet(parquet::Options::default()).extension(), ".parquet");
    assert_eq!(Format::Orc(orc::Options::default()).extension(), ".orc");
}
