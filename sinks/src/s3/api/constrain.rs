//! Model constraints of the S3 destination's members, outside in.

use hydrant_model::constraint::{Faults, Path, Pattern, ROLE_ARN, Structure, Text};
use hydrant_model::{Rules, Shape};
use serde_json::Value;

use super::conversion;

/// Constrains `ExtendedS3DestinationConfiguration`, `S3DestinationConfiguration` and their updates.
///
/// The legacy shape is the extended one without some members. A request that has them all the same is held to the same rules,
/// since they are stored; a file is told that they are unknown there.
pub(super) fn destination(value: &Value, path: &Path, shape: Shape, rules: Rules, faults: &mut Faults) {
    let Some(s3) = Structure::read(value, path.clone().hiding_values(), faults) else { return };
    bucket(&s3, shape, rules, faults);
    let backup = match shape {
        Shape::Create => "S3BackupConfiguration",
        Shape::Update => "S3BackupUpdate",
    };
    if is_legacy(path) {
        s3.only(&LEGACY, faults);
    } else {
        s3.only(&[&LEGACY[..], &EXTENDED[..], &[backup]].concat(), faults);
    }
    s3.text("FileExtension", &Text::length(0, 128).matching(&FILE_EXTENSION), faults);
    s3.text("CustomTimeZone", &Text::length(0, 50).matching(&TIME_ZONE), faults);
    s3.text("S3BackupMode", &Text::one_of(&["Disabled", "Enabled"]), faults);
    if let Some(backup) = s3.structure(backup, faults) {
        backup.only(&LEGACY, faults);
        bucket(&backup, shape, rules, faults);
    }
    processing(&s3, faults);
    conversion::constrain(&s3, faults);
    if let Some(partitioning) = s3.structure("DynamicPartitioningConfiguration", faults) {
        partitioning.only(&["Enabled", "RetryOptions"], faults);
        partitioning.boolean("Enabled", faults);
        if let Some(retry) = partitioning.structure("RetryOptions", faults) {
            retry.only(&["DurationInSeconds"], faults);
            retry.integer("DurationInSeconds", 0, 7200, faults);
        }
    }
}

/// Whether the member at `path` has the legacy shape.
fn is_legacy(path: &Path) -> bool {
    matches!(path.field().rsplit('.').next(), Some("S3DestinationConfiguration" | "S3DestinationUpdate"))
}

/// What the legacy shape, the extended one and every nested bucket have in common.
fn bucket(s3: &Structure<'_>, shape: Shape, rules: Rules, faults: &mut Faults) {
    let read = match shape {
        Shape::Create => Structure::required_text,
        Shape::Update => Structure::text,
    };
    read(s3, "RoleARN", &ROLE_ARN_TEXT, faults);
    read(s3, "BucketARN", &Text::length(1, 2048).matching(&BUCKET_ARN), faults);
    s3.text("Prefix", &PREFIX_TEXT, faults);
    s3.text("ErrorOutputPrefix", &PREFIX_TEXT, faults);
    if let Some(hints) = s3.structure("BufferingHints", faults) {
        let (megabytes, seconds) = match rules {
            Rules::Wide => (WIDE_MEGABYTES, WIDE_SECONDS),
            Rules::Strict => (128, 900),
        };
        hints.only(&["SizeInMBs", "IntervalInSeconds"], faults);
        hints.integer("SizeInMBs", 1, megabytes, faults);
        hints.integer("IntervalInSeconds", 0, seconds, faults);
    }
    s3.text("CompressionFormat", &Text::one_of(&COMPRESSION_FORMATS), faults);
    if let Some(encryption) = s3.structure("EncryptionConfiguration", faults) {
        encryption.only(&["NoEncryptionConfig", "KMSEncryptionConfig"], faults);
        encryption.text("NoEncryptionConfig", &Text::one_of(&["NoEncryption"]), faults);
        if let Some(kms) = encryption.structure("KMSEncryptionConfig", faults) {
            kms.only(&["AWSKMSKeyARN"], faults);
            kms.required_text("AWSKMSKeyARN", &Text::length(1, 512).matching(&KMS_KEY_ARN), faults);
        }
    }
    if let Some(logging) = s3.structure("CloudWatchLoggingOptions", faults) {
        logging.only(&["Enabled", "LogGroupName", "LogStreamName"], faults);
        logging.boolean("Enabled", faults);
        logging.text("LogGroupName", &Text::length(0, 512).matching(&LOG_GROUP), faults);
        logging.text("LogStreamName", &Text::length(0, 512).matching(&LOG_STREAM), faults);
    }
}

fn processing(s3: &Structure<'_>, faults: &mut Faults) {
    let Some(processing) = s3.structure("ProcessingConfiguration", faults) else { return };
    processing.only(&["Enabled", "Processors"], faults);
    processing.boolean("Enabled", faults);
    for (path, processor) in processing.list("Processors", 0, usize::MAX, faults) {
        let Some(processor) = Structure::read(processor, path.showing_values(), faults) else { continue };
        processor.only(&["Type", "Parameters"], faults);
        processor.required_text("Type", &Text::one_of(&PROCESSOR_TYPES), faults);
        for (path, parameter) in processor.list("Parameters", 0, usize::MAX, faults) {
            let Some(parameter) = Structure::read(parameter, path, faults) else { continue };
            parameter.only(&["ParameterName", "ParameterValue"], faults);
            parameter.required_text("ParameterName", &Text::one_of(&PARAMETER_NAMES), faults);
            parameter.required_text("ParameterValue", &Text::length(1, 5120).matching(&NOT_BLANK), faults);
        }
    }
}

/// Members of the legacy shape.
pub(super) const LEGACY: [&str; 8] = [
    "RoleARN",
    "BucketARN",
    "Prefix",
    "ErrorOutputPrefix",
    "BufferingHints",
    "CompressionFormat",
    "EncryptionConfiguration",
    "CloudWatchLoggingOptions",
];

/// What the extended shape has beside them, but for the backup bucket, whose name differs in updates.
const EXTENDED: [&str; 6] = [
    "FileExtension",
    "CustomTimeZone",
    "S3BackupMode",
    "ProcessingConfiguration",
    "DataFormatConversionConfiguration",
    "DynamicPartitioningConfiguration",
];

/// A buffer is a range of the log and not memory, so it may be larger than AWS's 128 MB; past 5 GiB, what S3 copies in one
/// request, objects turn unwieldy.
const WIDE_MEGABYTES: i64 = 5120;
/// A day; AWS ends at 900 s.
const WIDE_SECONDS: i64 = 86_400;

/// In the order in which the service's validator names them.
const COMPRESSION_FORMATS: [&str; 5] = ["ZIP", "HADOOP_SNAPPY", "Snappy", "GZIP", "UNCOMPRESSED"];
const PROCESSOR_TYPES: [&str; 6] = [
    "RecordDeAggregation",
    "Decompression",
    "CloudWatchLogProcessing",
    "Lambda",
    "MetadataExtraction",
    "AppendDelimiterToRecord",
];
const PARAMETER_NAMES: [&str; 11] = [
    "LambdaArn",
    "NumberOfRetries",
    "MetadataExtractionQuery",
    "JsonParsingEngine",
    "RoleArn",
    "BufferSizeInMBs",
    "BufferIntervalInSeconds",
    "SubRecordType",
    "Delimiter",
    "CompressionFormat",
    "DataMessageExtraction",
];

const ROLE_ARN_TEXT: Text = Text::length(1, 512).matching(&ROLE_ARN);
const PREFIX_TEXT: Text = Text::length(0, 1024).matching(&ANY_LINE);

static BUCKET_ARN: Pattern = Pattern::spelled(r"arn:.*:s3:::[\w\.\-]{1,255}", r"arn:.*:s3:::[a-zA-Z_0-9.\-]{1,255}");
static KMS_KEY_ARN: Pattern = Pattern::spelled(
    r"arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-_/]+",
    r"arn:.*:kms:[a-zA-Z0-9\-]+:[0-9]{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-/]+",
);
static ANY_LINE: Pattern = Pattern::new(".*");
static LOG_GROUP: Pattern = Pattern::new(r"[\.\-_/#A-Za-z0-9]*");
static LOG_STREAM: Pattern = Pattern::new("[^:*]*");
static FILE_EXTENSION: Pattern = Pattern::new(r"^(|\.[0-9a-z!\-_.*'()]+)$");
static TIME_ZONE: Pattern = Pattern::new("^$|[a-zA-Z/_]+");
/// Parameter values may hold lines (queries), so `.` means any character here.
static NOT_BLANK: Pattern = Pattern::spelled(r"^(?!\s*$).+", r"(?s).*\S.*");
