use hydrant_model::Rules;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::catalog::tests::rulebook;
use crate::catalog::{GzipMembers, OnDelete};

const PLAIN: &str = "
DeliveryStreamName: orders
ExtendedS3DestinationConfiguration:
  RoleARN: arn:aws:iam::000000000000:role/firehose
  BucketARN: arn:aws:s3:::lake
";

fn folder(files: &[(&str, &str)]) -> (TempDir, Folder) {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("written");
    }
    let folder = Folder::read(dir.path(), &rulebook());
    (dir, folder)
}

/// The faults of a folder, without the folder's own path.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let (dir, folder) = folder(files);
    let prefix = format!("{}/", dir.path().display());
    folder.faults.iter().map(|fault| fault.to_string().replace(&prefix, "")).collect()
}

fn file(text: &str) -> StreamFile {
    let (_dir, mut folder) = folder(&[("a.yaml", text)]);
    assert_eq!(folder.faults, []);
    folder.files.remove(0)
}

fn with(more: &str) -> StreamFile {
    file(&format!("{PLAIN}{more}"))
}

#[test]
fn yaml_and_json_say_the_same_and_hash_the_same() {
    let json = r#"{"ExtendedS3DestinationConfiguration": {"BucketARN": "arn:aws:s3:::lake",
        "RoleARN": "arn:aws:iam::000000000000:role/firehose"}, "DeliveryStreamName": "orders"}"#;
    let (_dir, yaml) = folder(&[("a.yml", PLAIN), ("notes.txt", "x"), (".hidden.yaml", "x")]);
    let (_dir, json) = folder(&[("a.json", json)]);
    let (yaml, json) = (yaml.files.first().expect("a file"), json.files.first().expect("a file"));
    assert_eq!(yaml.definition, json.definition);
    assert_eq!(yaml.content.hash, json.content.hash);
    assert_eq!(yaml.content.hash.len(), 64);
    assert_ne!(yaml.content.hash, with("  Prefix: p/\n").content.hash);
}

#[test]
fn the_block_becomes_settings_which_are_tags() {
    let file = with(
        "Tags: [{Key: team, Value: blue}]\nHydrant: {OnDelete: discard, GzipMembers: many, BufferSizeInMBs: 0.5}\n",
    );
    let settings = file.definition.settings().expect("valid");
    assert_eq!((settings.on_delete, settings.gzip_members), (OnDelete::Discard, GzipMembers::Many));
    assert_eq!(settings.buffer_bytes, Some(512 * 1024));
    let tags: Vec<&str> = file.definition.tags.keys().map(String::as_str).collect();
    assert_eq!(tags, ["hydrant:BufferSizeInMBs", "hydrant:GzipMembers", "hydrant:OnDelete", "team"]);
}

#[test]
fn each_fault_names_file_field_and_rule() {
    let unknown_member = format!("{PLAIN}  CompresionFormat: GZIP\nHydrnt: {{}}\n");
    let wrong = format!(
        "{PLAIN}  CompressionFormat: gzip\n  BufferingHints: {{SizeInMBs: x}}\nHydrant: {{GzipLevel: 11, Speed: 1}}\n"
    );
    let meaning = format!("{PLAIN}  BufferingHints: {{SizeInMBs: 5}}\n");
    let two_ways = format!("{PLAIN}Tags: [{{Key: 'hydrant:OnDelete', Value: drain}}]\nHydrant: {{OnDelete: drain}}\n");
    let twice = format!("{PLAIN}  Prefix: a/\n  Prefix: b/\n");
    let lines = faults(&[
        ("1.yaml", &unknown_member),
        ("2.yaml", &wrong),
        ("3.yaml", &meaning),
        ("4.yaml", &two_ways),
        ("5.yaml", &twice),
        ("6.json", "{\"DeliveryStreamName\": "),
        (
            "6b.json",
            "{\"ExtendedS3DestinationConfiguration\": {\"BufferingHints\":\n{\"SizeInMBs\": 1, \"SizeInMBs\": 2}}}",
        ),
        ("7.yaml", "DeliveryStreamName: orders\nSplunkDestinationConfiguration: {}\n"),
        ("8.yaml", ""),
        ("9.yaml", &format!("{PLAIN}Hydrant: [1]\n")),
        ("9b.yaml", "DeliveryStreamName: orders\n"),
    ]);
    let expected = [
        "1.yaml: Hydrnt: no such member; there are DeliveryStreamName, ",
        "1.yaml: ExtendedS3DestinationConfiguration.CompresionFormat: no such member; there are RoleARN, ",
        "2.yaml: ExtendedS3DestinationConfiguration.BufferingHints.SizeInMBs: STRING_VALUE can not be converted to an Integer",
        "2.yaml: ExtendedS3DestinationConfiguration.CompressionFormat: Member must satisfy enum value set: [ZIP, ",
        "2.yaml: Hydrant.GzipLevel: must be a whole number from 1 to 9",
        "2.yaml: Hydrant.Speed: no such setting; there are Durability, ",
        "3.yaml: ExtendedS3DestinationConfiguration.BufferingHints.IntervalInSeconds: BufferingHints.IntervalInSeconds must ",
        "4.yaml: Tags: hydrant:OnDelete is set by a tag and by the Hydrant block",
        "5.yaml: is not YAML: ",
        "6.json: is not JSON with each key once: EOF",
        "6b.json: is not JSON with each key once: duplicate entry with key \"SizeInMBs\" at line 2 column ",
        "7.yaml: SplunkDestinationConfiguration: SplunkDestinationConfiguration is not supported by this version",
        "8.yaml: NULL_VALUE can not be converted to a structure",
        "9.yaml: Hydrant: must be a mapping of settings",
        "9b.yaml: Exactly one destination configuration is supported for a Firehose",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}\ninstead of {expected}");
    }
}

#[test]
fn a_fault_of_meaning_names_the_member_that_is_at_fault() {
    for (more, field) in [
        ("  Prefix: '!{timestamp:yyyy}/'\n", "ErrorOutputPrefix"),
        ("  Prefix: '!{nonsense'\n", "Prefix"),
        ("  ErrorOutputPrefix: '!{firehose:nonsense}'\n", "ErrorOutputPrefix"),
        ("  CustomTimeZone: Nowhere/Land\n", "CustomTimeZone"),
        ("  CloudWatchLoggingOptions: {Enabled: true}\n", "CloudWatchLoggingOptions.LogGroupName"),
        ("  S3BackupMode: Enabled\n", "S3BackupConfiguration"),
        ("  ProcessingConfiguration: {Enabled: true}\n", "ProcessingConfiguration.Processors"),
    ] {
        let lines = faults(&[("a.yaml", &format!("{PLAIN}{more}"))]);
        let expected = format!("a.yaml: ExtendedS3DestinationConfiguration.{field}: ");
        assert!(lines.len() == 1 && lines[0].starts_with(&expected), "{lines:?}");
    }
}

#[test]
fn a_name_is_defined_once_over_all_files() {
    let (_dir, folder) = folder(&[("a.yaml", PLAIN), ("b.yaml", PLAIN)]);
    assert_eq!(folder.files.len(), 1);
    let fault = folder.faults.first().expect("a fault");
    assert!(fault.file.ends_with("b.yaml") && fault.field.as_deref() == Some("DeliveryStreamName"), "{fault}");
    assert!(fault.rule.starts_with("orders is defined in") && fault.rule.ends_with("a.yaml too"), "{fault}");
}

#[test]
fn a_folder_that_is_not_there_is_a_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    let folder = Folder::read(&dir.path().join("nowhere"), &rulebook());
    assert!(folder.faults.first().expect("a fault").rule.starts_with("the folder cannot be read"));
}

#[test]
fn only_members_that_differ_between_files_are_applied() {
    let before = with("  Prefix: a/\n  CompressionFormat: GZIP\n  FileExtension: .x\nTags: [{Key: t, Value: '1'}]\n");
    let after =
        with("  Prefix: b/\n  CompressionFormat: GZIP\nTags: [{Key: u, Value: '1'}]\nHydrant: {OnDelete: discard}\n");
    let change = Change::between(Some(&before.content), &after).expect("a change");
    assert_eq!(change.destination, BTreeMap::from([("Prefix".to_owned(), json!("b/"))]));
    assert_eq!(change.left_out, ["FileExtension"]);
    let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(change.tags, BTreeMap::from([text("hydrant:OnDelete", "discard"), text("u", "1")]));
    assert_eq!(change.tags_gone, BTreeMap::from([text("t", "1")]));
    // What the API set meanwhile stays, but where the file changed it too.
    let mut current = before.definition.clone();
    current.destination.configuration["CompressionFormat"] = json!("ZIP");
    current.destination.configuration["Prefix"] = json!("api/");
    current.tags.insert("api".to_owned(), "yes".to_owned());
    let applied = change.apply(&current, &rulebook()).expect("valid");
    let stored = &applied.destination.configuration;
    assert_eq!((&stored["Prefix"], &stored["CompressionFormat"]), (&json!("b/"), &json!("ZIP")));
    assert_eq!(stored["FileExtension"], ".x");
    assert_eq!(applied.tags.keys().map(String::as_str).collect::<Vec<_>>(), ["api", "hydrant:OnDelete", "u"]);
}

#[test]
fn a_file_that_says_the_same_changes_nothing() {
    let before = with("  Prefix: a/\n");
    let same =
        file(&format!("# a comment\n{}", PLAIN.replace("orders", "'orders'")).replace("lake", "lake\n  Prefix: a/"));
    let change = Change::between(Some(&before.content), &same).expect("no change");
    assert!(change.is_empty() && !change.needs_version());
}

#[test]
fn the_first_file_of_a_stream_made_by_the_api_takes_nothing_away() {
    let made = with("  Prefix: api/\n  FileExtension: .x\nTags: [{Key: api, Value: 'yes'}]\n");
    let change = Change::between(None, &with("  CompressionFormat: GZIP\n")).expect("a change");
    assert!(change.needs_version() && change.tags.is_empty());
    let applied = change.apply(&made.definition, &rulebook()).expect("valid");
    let stored = &applied.destination.configuration;
    assert_eq!((&stored["Prefix"], &stored["FileExtension"]), (&json!("api/"), &json!(".x")));
    assert_eq!(stored["CompressionFormat"], "GZIP");
    assert_eq!(applied.tags, made.definition.tags);
}

#[test]
fn a_member_that_goes_away_keeps_its_value_as_with_update_destination() {
    let before = with("  BufferingHints: {SizeInMBs: 9, IntervalInSeconds: 9}\n");
    let change = Change::between(Some(&before.content), &with("")).expect("a change");
    assert!(!change.needs_version());
    let mut current = before.definition.clone();
    assert_eq!(change.apply(&current, &rulebook()).expect("valid"), current);
    // Not the file's to take back, whoever set it.
    current.destination.configuration["BufferingHints"] = json!({"SizeInMBs": 7, "IntervalInSeconds": 7});
    assert_eq!(change.apply(&current, &rulebook()).expect("valid"), current);
}

#[test]
fn a_tag_that_goes_away_goes_unless_the_api_set_it_since() {
    let before = with("Hydrant: {GzipLevel: 3, OnDelete: discard}\n");
    let change = Change::between(Some(&before.content), &with("")).expect("a change");
    let mut current = before.definition.clone();
    current.tags.insert("hydrant:GzipLevel".to_owned(), "9".to_owned());
    let applied = change.apply(&current, &rulebook()).expect("valid");
    assert_eq!(applied.tags, BTreeMap::from([("hydrant:GzipLevel".to_owned(), "9".to_owned())]));
}

#[test]
fn a_file_that_names_another_stream_than_before_is_told_from_one_that_took_over() {
    let other = PLAIN.replace("orders", "sales");
    let (_dir, renamed) = folder(&[("a.yaml", &other)]);
    let before = file(PLAIN).content;
    let sales = renamed.files.first().expect("a file");
    assert_eq!(renamed.former_name(sales, [("orders", Some(&before)), ("api", None)]), Some("orders"));
    assert_eq!(renamed.former_name(sales, [("api", None)]), None, "it exists no more");
    let earlier = Applied { file: None, ..before.clone() };
    assert_eq!(renamed.former_name(sales, [("orders", Some(&earlier))]), None, "nobody knows");
    assert_eq!(renamed.former_name(sales, [("orders", Some(&before)), ("sales", Some(&sales.content))]), None);
    let (_dir, taken_over) = folder(&[("a.yaml", &other), ("b.yaml", PLAIN)]);
    assert_eq!(taken_over.former_name(sales, [("orders", Some(&before))]), None);
}

#[test]
fn a_file_went_away_only_where_its_path_is_free() {
    let applied = file(PLAIN).content;
    let earlier = Applied { file: None, ..applied.clone() };
    let (_dir, empty) = folder(&[]);
    assert!(empty.lacks("orders", &applied) && empty.lacks("orders", &earlier));
    let (_dir, faulty) = folder(&[("a.yaml", "[")]);
    assert!(!faulty.lacks("orders", &applied) && !faulty.lacks("orders", &earlier));
    let (_dir, moved) = folder(&[("b.yaml", PLAIN)]);
    assert!(!moved.lacks("orders", &applied));
    let (dir, _) = folder(&[]);
    let unreadable = Folder::read(&dir.path().join("nowhere"), &rulebook());
    assert!(!unreadable.lacks("orders", &applied), "it cannot be told");
}

#[test]
fn what_an_earlier_version_kept_of_a_file_is_still_read() {
    let applied: Applied = serde_json::from_value(json!({"hash": "00", "document": {}})).expect("valid");
    assert_eq!(applied, Applied { hash: "00".to_owned(), document: json!({}), file: None });
}

#[test]
fn the_legacy_and_the_extended_member_are_one_destination() {
    let before = with("  Prefix: a/\n");
    let after = file(&PLAIN.replace("ExtendedS3", "S3").replace("lake", "lake\n  Prefix: a/"));
    let change = Change::between(Some(&before.content), &after).expect("no change");
    assert!(!change.needs_version());
}

#[test]
fn settings_alone_need_no_version() {
    let change = Change::between(Some(&with("").content), &with("Hydrant: {Durability: os}\n")).expect("a change");
    assert!(!change.needs_version() && !change.is_empty());
}

#[test]
fn a_change_of_name_or_source_is_refused() {
    let before = with("");
    let renamed = file(&PLAIN.replace("orders", "sales"));
    let error = Change::between(Some(&before.content), &renamed).expect_err("another stream");
    assert_eq!(
        error.to_string(),
        "DeliveryStreamName cannot change from orders to sales: make another stream, and delete this one"
    );
    let direct = with("DeliveryStreamType: DirectPut\n");
    assert!(Change::between(Some(&before.content), &direct).is_ok(), "the default said aloud is no change");
    let mut sourced = before.content;
    sourced.hash.clear();
    sourced.document["DeliveryStreamType"] = json!("KinesisStreamAsSource");
    let error = Change::between(Some(&sourced), &direct).expect_err("another source");
    assert!(error.to_string().starts_with("DeliveryStreamType cannot change from KinesisStreamAsSource to DirectPut"));
}

#[test]
fn a_change_that_does_not_fit_what_the_api_set_is_refused() {
    let before = with("");
    let mut current = before.definition.clone();
    current.destination.configuration["ErrorOutputPrefix"] = json!("!{firehose:error-output-type}/");
    current.destination.configuration["Prefix"] = json!("!{timestamp:yyyy}/");
    let change = Change::between(Some(&before.content), &with("  ErrorOutputPrefix: ''\n")).expect("a change");
    let error = change.apply(&current, &rulebook()).expect_err("no error output prefix");
    assert_eq!(error.to_string(), "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions");
}

#[test]
fn strict_rules_hold_for_files_too() {
    let text = format!("{PLAIN}  BufferingHints: {{SizeInMBs: 500, IntervalInSeconds: 300}}\n");
    let (dir, wide) = folder(&[("a.yaml", &text)]);
    assert_eq!(wide.faults, []);
    let strict = Folder::read(dir.path(), &Rulebook { rules: Rules::Strict, ..rulebook() });
    assert_eq!(
        strict.faults.first().and_then(|fault| fault.field.as_deref()),
        Some("ExtendedS3DestinationConfiguration.BufferingHints.SizeInMBs")
    );
}
