//! The API side of the S3 destination: what users may say of a bucket, and what it means.
//!
//! A configuration goes through here once: *constrained* against the model, *normalized* to the stored form
//! (AWS's defaults filled in, members that the API ignores dropped), *checked* across its members, and read into an
//! [`ObjectDestination`]. Stored configurations keep AWS's own member names, so that describing one is a copy.

use std::time::Duration;

use hydrant_model::{
    ApiMembers, Backup, Compression, Hints, Misfit, ObjectDestination, Prefixes, Rules, SinkSpec, TimeZone, prefixes,
};
use serde_json::{Map, Value, json};

mod constrain;
mod conversion;

/// S3 and what speaks its protocol; also the embedded directory.
pub static SPEC: SinkSpec = SinkSpec {
    name: "s3",
    members: &[
        ApiMembers {
            create: "ExtendedS3DestinationConfiguration",
            update: "ExtendedS3DestinationUpdate",
            describe: "ExtendedS3DestinationDescription",
        },
        ApiMembers {
            create: "S3DestinationConfiguration",
            update: "S3DestinationUpdate",
            describe: "S3DestinationDescription",
        },
    ],
    metric_prefix: "DeliveryToS3",
    constrain: constrain::destination,
    normalize,
    check,
    merge,
    describe,
    objects: object_destination,
    backup,
    shape,
};

/// The stored form of a create member.
fn normalize(given: &Value) -> Value {
    let conversion = member(given, CONVERSION).cloned();
    let mut conversion = conversion.unwrap_or_else(|| json!({"Enabled": false}));
    default(&mut conversion, "Enabled", json!(true));
    let (megabytes, seconds) = if is_enabled(&conversion) { CONVERTED_HINTS } else { HINTS };
    let mut stored = bucket(given, megabytes, seconds);
    for name in ["FileExtension", "CustomTimeZone", "ProcessingConfiguration"] {
        if let Some(value) = member(given, name) {
            stored.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(processing) = stored.get_mut("ProcessingConfiguration") {
        default(processing, "Enabled", json!(false));
    }
    stored.insert(CONVERSION.to_owned(), conversion);
    if let Some(partitioning) = member(given, "DynamicPartitioningConfiguration") {
        let mut partitioning = Value::Object(pick(partitioning, &["Enabled", "RetryOptions"]));
        default(&mut partitioning, "Enabled", json!(false));
        // AWS's default is told, not acted on: see `describe`. Options that name no duration are its default, chosen.
        if let Some(retry) = partitioning.get_mut("RetryOptions") {
            default(retry, "DurationInSeconds", json!(RETRY_SECONDS));
        }
        stored.insert("DynamicPartitioningConfiguration".to_owned(), partitioning);
    }
    stored
        .insert("S3BackupMode".to_owned(), member(given, "S3BackupMode").cloned().unwrap_or_else(|| json!("Disabled")));
    if let Some(backup) = member(given, BACKUP) {
        // Source records are never converted.
        let (megabytes, seconds) = HINTS;
        stored.insert(BACKUP.to_owned(), Value::Object(bucket(backup, megabytes, seconds)));
    }
    without_nulls(Value::Object(stored))
}

/// The members that every bucket has, in their stored form. Where there are no hints, these are filled in.
///
/// Hints that name only one of the two are left as they are: filling in the other would hide the fault from [`check`].
fn bucket(given: &Value, megabytes: u64, seconds: u64) -> Map<String, Value> {
    let mut bucket = pick(given, &constrain::LEGACY);
    let hints = pick(bucket.get("BufferingHints").unwrap_or(&Value::Null), &["SizeInMBs", "IntervalInSeconds"]);
    let hints = if hints.is_empty() {
        json!({"SizeInMBs": megabytes, "IntervalInSeconds": seconds})
    } else {
        Value::Object(hints)
    };
    bucket.insert("BufferingHints".to_owned(), hints);
    bucket.entry("CompressionFormat").or_insert_with(|| json!(Compression::Uncompressed.name()));
    let encryption = bucket.get("EncryptionConfiguration").unwrap_or(&Value::Null);
    let encryption = pick(encryption, &["NoEncryptionConfig", "KMSEncryptionConfig"]);
    let encryption =
        if encryption.is_empty() { json!({"NoEncryptionConfig": "NoEncryption"}) } else { Value::Object(encryption) };
    bucket.insert("EncryptionConfiguration".to_owned(), encryption);
    let logging = bucket.get("CloudWatchLoggingOptions").unwrap_or(&Value::Null);
    let mut logging = Value::Object(pick(logging, &["Enabled", "LogGroupName", "LogStreamName"]));
    default(&mut logging, "Enabled", json!(false));
    bucket.insert("CloudWatchLoggingOptions".to_owned(), logging);
    bucket
}

/// The first cross-field fault of a stored configuration.
fn check(stored: &Value, rules: Rules) -> Result<(), Misfit> {
    backup_has_a_bucket(stored)?;
    check_bucket(stored, "")?;
    if rules == Rules::Strict {
        partitions_are_large(stored)?;
    }
    if let Some(backup) = member(stored, BACKUP) {
        check_bucket(backup, "S3BackupConfiguration.")?;
        read(backup).map_err(|fault| {
            Misfit::of(format!("{BACKUP}.{}", fault.member), format!("{BACKUP}: {}", fault.message))
        })?;
    }
    read(stored).map(drop)
}

/// A backup that is switched on must have somewhere to go.
fn backup_has_a_bucket(stored: &Value) -> Result<(), Misfit> {
    if text(stored, "S3BackupMode") == Some("Enabled") && member(stored, BACKUP).is_none() {
        let message = "S3 backup destination configuration is required when enabling S3 backup.";
        return Err(Misfit::of(BACKUP, message));
    }
    Ok(())
}

/// AWS's least buffer of a partitioned stream.
fn partitions_are_large(stored: &Value) -> Result<(), Misfit> {
    let hint = |name: &str| stored.pointer(&format!("/BufferingHints/{name}")).and_then(Value::as_u64);
    let size = hint("SizeInMBs");
    let partitioned = member(stored, "DynamicPartitioningConfiguration").is_some_and(is_enabled);
    if partitioned && hint("IntervalInSeconds") == Some(0) {
        let message = "BufferingHints.IntervalInSeconds must be greater than 0 when Dynamic Partitioning is enabled.";
        return Err(Misfit::of("BufferingHints.IntervalInSeconds", message));
    }
    if partitioned && size.is_some_and(|size| size < LEAST_PARTITION_MBS) {
        let message = "BufferingHints.SizeInMBs must be at least 64 when Dynamic Partitioning is enabled.";
        return Err(Misfit::of("BufferingHints.SizeInMBs", message));
    }
    Ok(())
}

fn check_bucket(bucket: &Value, place: &str) -> Result<(), Misfit> {
    let hints = member(bucket, "BufferingHints").unwrap_or(&Value::Null);
    for (given, missing) in [("SizeInMBs", "IntervalInSeconds"), ("IntervalInSeconds", "SizeInMBs")] {
        if member(hints, given).is_some() && member(hints, missing).is_none() {
            let at = format!("{place}BufferingHints.{missing}");
            let message = format!("{at} must be specified when BufferingHints.{given} is specified");
            return Err(Misfit::of(at, message));
        }
    }
    let encryption = member(bucket, "EncryptionConfiguration").unwrap_or(&Value::Null);
    if member(encryption, "NoEncryptionConfig").is_some() && member(encryption, "KMSEncryptionConfig").is_some() {
        let at = format!("{place}EncryptionConfiguration");
        let message = format!("{at}: NoEncryptionConfig and KMSEncryptionConfig cannot both be specified");
        return Err(Misfit::of(at, message));
    }
    let logging = member(bucket, "CloudWatchLoggingOptions").unwrap_or(&Value::Null);
    for name in ["LogGroupName", "LogStreamName"] {
        if is_enabled(logging) && text(logging, name).is_none_or(str::is_empty) {
            let at = format!("{place}CloudWatchLoggingOptions.{name}");
            let message = format!("{at} must be specified when logging is enabled");
            return Err(Misfit::of(at, message));
        }
    }
    Ok(())
}

/// `stored` with `update` laid over it, by AWS's rules: what the update leaves out keeps its value, format conversion and the
/// backup bucket are merged member by member, every other structure is replaced.
///
/// Hints are never changed by what else an update says, format conversion neither: those in force are known, and who chose them
/// is not.
fn merge(stored: &Value, update: &Value) -> Value {
    let mut merged = stored.as_object().cloned().unwrap_or_default();
    for (name, value) in update.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "S3BackupUpdate" => overlay(&mut merged, BACKUP, value),
            CONVERSION => {
                let under = merged.entry(name).or_insert_with(|| json!({}));
                if let Value::Object(under) = under {
                    conversion::merge(under, value);
                }
            }
            BACKUP => {}
            _ => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    normalize(&Value::Object(merged))
}

fn overlay(merged: &mut Map<String, Value>, name: &str, update: &Value) {
    let under = merged.entry(name).or_insert_with(|| json!({}));
    let Value::Object(under) = under else { return };
    for (name, value) in update.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        under.insert(name.clone(), value.clone());
    }
}

/// Both descriptions that the service gives of an S3 destination: the extended one and the reduced one. How long the object of a
/// partition is tried is shown as AWS does where it was not said, although it is tried for longer then.
fn describe(stored: &Value) -> Map<String, Value> {
    let mut extended = stored.as_object().cloned().unwrap_or_default();
    if let Some(partitioning) = extended.get_mut("DynamicPartitioningConfiguration").filter(|it| is_enabled(it)) {
        default(partitioning, "RetryOptions", json!({"DurationInSeconds": RETRY_SECONDS}));
    }
    if let Some(processing) = extended.get_mut("ProcessingConfiguration") {
        functions_are_whole(processing, text(stored, "RoleARN"));
    }
    if let Some(backup) = extended.shift_remove(BACKUP) {
        extended.insert("S3BackupDescription".to_owned(), backup);
    }
    let reduced = pick(stored, &constrain::LEGACY);
    Map::from_iter([
        ("ExtendedS3DestinationDescription".to_owned(), Value::Object(extended)),
        ("S3DestinationDescription".to_owned(), Value::Object(reduced)),
    ])
}

/// Adds to each function that is asked what AWS means, and shows, where a parameter was not given; `role` is the destination's.
fn functions_are_whole(processing: &mut Value, role: Option<&str>) {
    let Some(Value::Array(processors)) = processing.get_mut("Processors") else { return };
    for processor in processors.iter_mut().filter(|it| text(it, "Type") == Some("Lambda")) {
        default(processor, "Parameters", json!([]));
        let Some(Value::Array(parameters)) = processor.get_mut("Parameters") else { continue };
        let meant = LAMBDA_DEFAULTS.into_iter().chain(role.map(|role| ("RoleArn", role)));
        for (name, value) in meant {
            if !parameters.iter().any(|parameter| text(parameter, "ParameterName") == Some(name)) {
                parameters.push(json!({ "ParameterName": name, "ParameterValue": value }));
            }
        }
    }
}

/// What decides which bytes lie under which names. Members that mean the same when empty and when absent are equal here.
fn shape(stored: &Value) -> Value {
    let while_enabled = |name: &str| member(stored, name).filter(|value| is_enabled(value));
    json!({
        "prefix": text(stored, "Prefix").unwrap_or_default(),
        "error_output_prefix": text(stored, "ErrorOutputPrefix").unwrap_or_default(),
        "compression": text(stored, "CompressionFormat"),
        "extension": text(stored, "FileExtension").unwrap_or_default(),
        "time_zone": time_zone_name(stored),
        "processing": while_enabled("ProcessingConfiguration"),
        "conversion": while_enabled(CONVERSION),
        "partitioning": while_enabled("DynamicPartitioningConfiguration").is_some(),
    })
}

/// The backup of source records, where it is enabled.
fn backup(stored: &Value) -> Result<Option<Backup>, String> {
    let Some(bucket) = member(stored, BACKUP).filter(|_| text(stored, "S3BackupMode") == Some("Enabled")) else {
        return Ok(None);
    };
    let objects = read(bucket).map_err(|fault| format!("{BACKUP}: {}", fault.message))?;
    Ok(Some(Backup { objects, shape: shape(bucket) }))
}

/// A stored configuration as delivery acts on it.
///
/// # Errors
/// A text that does not parse, by the API's message where it has one.
pub fn object_destination(stored: &Value) -> Result<ObjectDestination, String> {
    read(stored).map_err(|fault| fault.message)
}

fn read(stored: &Value) -> Result<ObjectDestination, Misfit> {
    let required = |name: &str| text(stored, name).ok_or_else(|| Misfit::of(name, format!("{name} must be specified")));
    let bucket_arn = required("BucketARN")?;
    let bucket = bucket_name(bucket_arn).map_err(|message| Misfit::of("BucketARN", message))?;
    let time_zone = TimeZone::named(time_zone_name(stored))
        .map_err(|error| Misfit::of("CustomTimeZone", format!("CustomTimeZone: {error}")))?;
    let Prefixes { prefix, error_output } = both_prefixes(stored)?;
    let format = required("CompressionFormat")?;
    let compression = Compression::from_name(format)
        .ok_or_else(|| Misfit::of("CompressionFormat", format!("CompressionFormat {format} is unknown")))?;
    let kms = member(stored, "EncryptionConfiguration").and_then(|it| member(it, "KMSEncryptionConfig"));
    Ok(ObjectDestination {
        role_arn: required("RoleARN")?.to_owned(),
        bucket: bucket.to_owned(),
        prefix,
        error_prefix: error_output,
        hints: hints(stored)?,
        compression,
        file_extension: text(stored, "FileExtension").filter(|text| !text.is_empty()).map(str::to_owned),
        kms_key_arn: kms.and_then(|kms| text(kms, "AWSKMSKeyARN")).map(str::to_owned),
        time_zone,
    })
}

fn bucket_name(arn: &str) -> Result<&str, String> {
    match arn.rsplit_once(":s3:::") {
        None => Err("BucketARN must have the form arn:aws:s3:::bucket".to_owned()),
        // The API's pattern lets them pass, and the embedded directory would read them as directions.
        Some((_, "." | "..")) => Err(format!("BucketARN {arn} names no bucket")),
        Some((_, bucket)) => Ok(bucket),
    }
}

fn both_prefixes(stored: &Value) -> Result<Prefixes, Misfit> {
    let partitioning = member(stored, "DynamicPartitioningConfiguration").is_some_and(is_enabled);
    let prefix = text(stored, "Prefix");
    prefixes(prefix, text(stored, "ErrorOutputPrefix"), partitioning).map_err(|error| {
        // A prefix that does not go with one that is valid is at fault itself.
        let at_fault = if prefixes(prefix, Some(VALID_ERROR_PREFIX), partitioning).is_err() {
            "Prefix"
        } else {
            "ErrorOutputPrefix"
        };
        Misfit::of(at_fault, error.to_string())
    })
}

fn hints(stored: &Value) -> Result<Hints, Misfit> {
    let hints = member(stored, "BufferingHints").unwrap_or(&Value::Null);
    let number = |name: &str| {
        let at = format!("BufferingHints.{name}");
        let number = member(hints, name).and_then(Value::as_u64);
        number.ok_or_else(|| Misfit::of(at.clone(), format!("{at} must be specified")))
    };
    let size_bytes = number("SizeInMBs")?.checked_mul(MEBIBYTE);
    let size_bytes =
        size_bytes.ok_or_else(|| Misfit::of("BufferingHints.SizeInMBs", "BufferingHints.SizeInMBs is too large"))?;
    Ok(Hints { size_bytes, interval: Duration::from_secs(number("IntervalInSeconds")?) })
}

fn time_zone_name(stored: &Value) -> &str {
    text(stored, "CustomTimeZone").filter(|name| !name.is_empty()).unwrap_or("UTC")
}

fn member<'v>(structure: &'v Value, name: &str) -> Option<&'v Value> {
    structure.get(name).filter(|value| !value.is_null())
}

fn text<'v>(structure: &'v Value, name: &str) -> Option<&'v str> {
    member(structure, name).and_then(Value::as_str)
}

fn is_enabled(structure: &Value) -> bool {
    member(structure, "Enabled").and_then(Value::as_bool) == Some(true)
}

/// The members `names` that `structure` has, in the order of `names`.
fn pick(structure: &Value, names: &[&str]) -> Map<String, Value> {
    names.iter().filter_map(|name| member(structure, name).map(|value| ((*name).to_owned(), value.clone()))).collect()
}

fn default(structure: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = structure
        && members.get(name).is_none_or(Value::is_null)
    {
        members.insert(name.to_owned(), value);
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(elements) => elements.into_iter().map(without_nulls).collect(),
        scalar => scalar,
    }
}

/// AWS's defaults of a function's parameters, beside the role.
const LAMBDA_DEFAULTS: [(&str, &str); 3] =
    [("NumberOfRetries", "3"), ("BufferSizeInMBs", "1"), ("BufferIntervalInSeconds", "60")];
/// AWS's default of `RetryOptions` of dynamic partitioning.
const RETRY_SECONDS: u64 = 300;
const LEAST_PARTITION_MBS: u64 = 64;
const MEBIBYTE: u64 = 1024 * 1024;
/// `SizeInMBs` and `IntervalInSeconds` where they are not given.
const HINTS: (u64, u64) = (5, 300);
/// The same where formats are converted.
const CONVERTED_HINTS: (u64, u64) = (128, 300);
const BACKUP: &str = "S3BackupConfiguration";
const CONVERSION: &str = "DataFormatConversionConfiguration";
const VALID_ERROR_PREFIX: &str = "!{firehose:error-output-type}/";

#[cfg(test)]
mod tests;
