use std::path::Path;

use hydrant_model::Rules;
use serde_json::{Value, json};

use super::*;
use crate::catalog::tests::{request, rulebook};
use crate::catalog::{Definition, Rulebook};

async fn tables(dir: &Path, strict: bool) -> Tables {
    let settings =
        Settings { schemas: dir.to_owned(), strict, region: "eu-west-1".to_owned(), ..Settings::embedded(dir) };
    Tables::open(&settings, Clock::simulated(1)).await.unwrap()
}

/// A plan whose conversion has these members, changed.
fn plan(changes: &Value) -> Plan {
    let mut conversion = json!({
        "SchemaConfiguration": {
            "RoleARN": "arn:aws:iam::000000000000:role/firehose", "DatabaseName": "Sales", "TableName": "Clicks"
        },
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}}
    });
    for (name, value) in changes.as_object().unwrap() {
        conversion[name] = value.clone();
    }
    let mut request = request("orders");
    request["ExtendedS3DestinationConfiguration"]["DataFormatConversionConfiguration"] = conversion;
    let definition = Definition::from_request(&request, &rulebook()).unwrap();
    Plan::new(&definition, 1, &rulebook()).unwrap()
}

fn schema(role_account: &str, region: Option<&str>) -> Value {
    let mut schema = json!({
        "RoleARN": format!("arn:aws:iam::{role_account}:role/firehose"), "DatabaseName": "sales", "TableName": "clicks"
    });
    if let Some(region) = region {
        schema["Region"] = region.into();
    }
    json!({ "SchemaConfiguration": schema })
}

fn table_of(plan: &Plan) -> Option<&Arc<dyn Table>> {
    plan.processing.conversion.as_ref().and_then(|conversion| conversion.table.as_ref())
}

#[tokio::test]
async fn a_plan_is_connected_to_its_table_which_streams_share() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sales.clicks.sql"), "CREATE TABLE t (page string)").unwrap();
    let tables = tables(dir.path(), false).await;
    let (mut one, mut same, mut other) = (
        plan(&json!({})),
        plan(&schema("000000000000", Some("eu-west-1"))),
        plan(&schema("000000000000", Some("us-east-1"))),
    );
    for plan in [&mut one, &mut same, &mut other] {
        tables.connect(plan);
    }
    let address = |plan: &Plan| Arc::as_ptr(table_of(plan).unwrap()).cast::<()>();
    assert_eq!(address(&one), address(&same));
    assert_ne!(address(&one), address(&other));
    assert_eq!(table_of(&one).unwrap().schema().await.unwrap().to_string(), "page string");
    assert_eq!(
        one.processing.entries.table,
        Some(json!({
            "catalogId": "000000000000", "databaseName": "Sales", "tableName": "Clicks", "region": "eu-west-1",
            "versionId": "LATEST", "roleArn": "arn:aws:iam::000000000000:role/firehose"
        }))
    );
    drop((one, same));
    assert_eq!(tables.known.lock().len(), 2);
    tables.connect(&mut plan(&schema("000000000000", Some("eu-north-1"))));
    let regions: Vec<_> = tables.known.lock().keys().map(|id| id.region.clone()).collect();
    assert_eq!(regions.len(), 2, "those that nobody uses are forgotten when another comes: {regions:?}");
    assert!(!regions.contains(&"eu-west-1".to_owned()));
}

#[tokio::test]
async fn a_plan_without_conversion_or_with_an_inferred_schema_has_no_table() {
    let dir = tempfile::tempdir().unwrap();
    let tables = tables(dir.path(), false).await;
    let mut inferred = plan(&json!({"SchemaConfiguration": null}));
    tables.connect(&mut inferred);
    assert!(table_of(&inferred).is_none() && inferred.processing.entries.table.is_none());
    tables.check(&inferred).await.unwrap();
    let mut without = plan(&json!({"Enabled": false}));
    tables.connect(&mut without);
    assert!(without.processing.conversion.is_none());
    tables.check(&without).await.unwrap();
}

#[tokio::test]
async fn a_table_that_is_missing_or_cannot_be_written_is_refused_for_certain() {
    let dir = tempfile::tempdir().unwrap();
    let tables = tables(dir.path(), false).await;
    let missing = tables.check(&plan(&json!({}))).await.unwrap_err();
    assert!(missing.is_certain);
    assert!(missing.to_string().contains("EntityNotFoundException"), "{missing}");
    std::fs::write(dir.path().join("sales.clicks.sql"), "CREATE TABLE t (page string)").unwrap();
    tables.check(&plan(&json!({}))).await.unwrap();
    let blooming =
        json!({"OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {"BloomFilterColumns": ["other"]}}}});
    let refused = tables.check(&plan(&blooming)).await.unwrap_err();
    assert_eq!((refused.error.code, refused.is_certain), (code::NON_EXISTENT_COLUMNS, true));
    assert!(refused.to_string().starts_with("Table sales.clicks: BloomFilterColumns must be"), "{refused}");
}

#[tokio::test]
async fn a_role_of_another_account_is_refused_where_aws_rules_hold() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sales.clicks.sql"), "CREATE TABLE t (page string)").unwrap();
    let foreign = plan(&schema("111111111111", None));
    tables(dir.path(), false).await.check(&foreign).await.unwrap();
    let strict = tables(dir.path(), true).await;
    let refused = strict.check(&foreign).await.unwrap_err();
    assert!(refused.is_certain);
    assert_eq!(refused.to_string(), "Cross-account pass role is not allowed.");
    strict.check(&plan(&json!({}))).await.unwrap();
}

#[test]
fn what_was_accepted_stays_readable_under_any_rules() {
    let stored = plan(&json!({"SchemaConfiguration": null}));
    assert!(stored.processing.conversion.is_some());
    let strict = Rulebook { rules: Rules::Strict, ..rulebook() };
    let mut request = request("orders");
    request["ExtendedS3DestinationConfiguration"]["DataFormatConversionConfiguration"] = json!({
        "InputFormatConfiguration": {"Deserializer": {"OpenXJsonSerDe": {}}},
        "OutputFormatConfiguration": {"Serializer": {"OrcSerDe": {}}}
    });
    let refused = Definition::from_request(&request, &strict).unwrap_err();
    assert_eq!(refused.to_string(), "SchemaConfiguration must not be null");
    let accepted = Definition::from_request(&request, &rulebook()).unwrap();
    assert!(Plan::new(&accepted, 1, &strict).unwrap().processing.conversion.is_some());
}

/// The block of the guide to format conversion that begins with `opening`, up to `closing`.
fn block(opening: &str, closing: &str) -> String {
    let guide = include_str!("../../../docs/conversion.md");
    let (_, block) = guide.split_once(opening).unwrap();
    block.split_once(closing).unwrap().0.to_owned()
}

#[tokio::test]
async fn the_guides_example_is_accepted_and_its_records_are_rows() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("sales.clicks.sql"), block("```sql\n", "```")).unwrap();
    let tables = tables(dir.path(), false).await;
    let mut request = request("clicks");
    let configuration = block("--extended-s3-destination-configuration '", "'\n");
    request["ExtendedS3DestinationConfiguration"] = serde_json::from_str(&configuration).unwrap();
    let definition = Definition::from_request(&request, &rulebook()).unwrap();
    let mut plan = Plan::new(&definition, 1, &rulebook()).unwrap();
    tables.check(&plan).await.unwrap();
    tables.connect(&mut plan);
    let schema = table_of(&plan).unwrap().schema().await.unwrap();
    let rules = &plan.processing.conversion.as_ref().unwrap().rules;
    let mut converter = Converter::new(rules, Some(&schema), most_memory(rules, Some(&schema))).unwrap();
    let records = block("<<'END'\n", "END");
    assert_eq!(records.lines().count(), 2);
    for record in records.lines() {
        assert_eq!(converter.push(record.as_bytes()).map_err(|error| error.to_string()), Ok(1), "{record}");
    }
    let json = TableSchema::from_definition(&block("```json\n", "```")).unwrap();
    assert_eq!(json.columns().len(), 2);
}
