//! The table of processors: AWS's types, their parameters, and what builds them.

use std::fmt;

use hydrant_model::KeySource;

use super::{Build, cloudwatch, deaggregation, decompression, delimiter, extraction};
use crate::records::WantedKey;

/// A type of processor, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProcessorType {
    /// Unpacks records.
    Decompression,
    /// Takes the messages out of CloudWatch's envelopes.
    CloudWatchLogProcessing,
    /// Takes records apart.
    RecordDeAggregation,
    /// Asks a function, or a module in its place.
    Lambda,
    /// Takes partition keys from records.
    MetadataExtraction,
    /// Ends each record with a delimiter.
    AppendDelimiterToRecord,
}

/// Everything known of one type of processor.
pub struct ProcessorSpec {
    /// Which.
    pub kind: ProcessorType,
    /// AWS's value of `Type`.
    pub name: &'static str,
    /// The parameters that it takes.
    pub parameters: &'static [ParameterSpec],
    /// Rules across its parameters: the first that is broken, as AWS words it where that is known.
    pub check: fn(&Parameters) -> Result<(), String>,
    /// Bytes that it holds beside those of its records, or makes of a few.
    pub memory_bytes: usize,
    /// Builds it. `None` for Lambda, whose endpoint or module the service has.
    pub build: Option<Build>,
}

/// A parameter of a processor.
#[derive(Clone, Copy, Debug)]
pub struct ParameterSpec {
    /// AWS's value of `ParameterName`.
    pub name: &'static str,
    /// What to say when it is not given; `None` where it need not be.
    pub required: Option<&'static str>,
    /// What is meant when it is not given.
    pub default: Option<&'static str>,
    /// What is wrong with a value, as AWS words it where that is known.
    pub check: fn(&str) -> Result<(), String>,
}

/// The parameters of one processor, as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    given: Vec<(&'static ParameterSpec, String)>,
}

/// What a processor must know of its stream.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The partition keys that the prefix has places for, in the order of [`Records::wanted`](crate::records::Records::wanted).
    pub wanted: std::sync::Arc<[WantedKey]>,
}

/// Every processor, one a type, in the order in which they run.
pub const PROCESSORS: &[ProcessorSpec] = &[
    ProcessorSpec {
        kind: ProcessorType::Decompression,
        name: "Decompression",
        parameters: &[ParameterSpec {
            name: "CompressionFormat",
            required: Some("CompressionFormat has to be one of GZIP"),
            default: None,
            check: |value| one_of("CompressionFormat", value, &["GZIP"]),
        }],
        check: no_rules,
        memory_bytes: decompression::MEMORY_BYTES,
        build: Some(decompression::build),
    },
    ProcessorSpec {
        kind: ProcessorType::CloudWatchLogProcessing,
        name: "CloudWatchLogProcessing",
        parameters: &[ParameterSpec {
            name: "DataMessageExtraction",
            required: Some("DataMessageExtraction has to be one of true, false"),
            default: None,
            check: |value| one_of("DataMessageExtraction", &value.to_ascii_lowercase(), &["true", "false"]),
        }],
        check: no_rules,
        memory_bytes: 0,
        build: Some(cloudwatch::build),
    },
    ProcessorSpec {
        kind: ProcessorType::RecordDeAggregation,
        name: "RecordDeAggregation",
        parameters: &[
            ParameterSpec {
                name: "SubRecordType",
                required: Some("SubRecordType has to be one of JSON, DELIMITED"),
                default: None,
                check: |value| one_of("SubRecordType", value, &["JSON", "DELIMITED"]),
            },
            ParameterSpec { name: "Delimiter", required: None, default: None, check: anything },
        ],
        check: deaggregation::check,
        memory_bytes: 0,
        build: Some(deaggregation::build),
    },
    ProcessorSpec {
        kind: ProcessorType::Lambda,
        name: "Lambda",
        parameters: LAMBDA,
        check: buffering_is_whole,
        memory_bytes: 0,
        build: None,
    },
    ProcessorSpec {
        kind: ProcessorType::MetadataExtraction,
        name: "MetadataExtraction",
        parameters: &[
            ParameterSpec {
                name: "MetadataExtractionQuery",
                required: Some("MetadataExtractionQuery is required when MetadataExtraction processor is used."),
                default: None,
                check: extraction::check_query,
            },
            ParameterSpec {
                name: "JsonParsingEngine",
                required: None,
                default: Some("JQ-1.6"),
                check: |value| one_of("MetaDataExtraction JSON Parsing Engine", value, &["JQ-1.6"]),
            },
        ],
        check: no_rules,
        memory_bytes: 0,
        build: Some(extraction::build),
    },
    ProcessorSpec {
        kind: ProcessorType::AppendDelimiterToRecord,
        name: "AppendDelimiterToRecord",
        parameters: &[ParameterSpec { name: "Delimiter", required: None, default: Some("\\n"), check: anything }],
        check: no_rules,
        memory_bytes: 0,
        build: Some(delimiter::build),
    },
];

const LAMBDA: &[ParameterSpec] = &[
    ParameterSpec {
        name: "LambdaArn",
        required: Some("LambdaArn is required when Lambda processor is used."),
        default: None,
        check: anything,
    },
    ParameterSpec {
        name: "NumberOfRetries",
        required: None,
        default: Some("3"),
        check: |value| within(value, 0.0, 300.0, true, "Number of retries for lambda must be between 0 and 300."),
    },
    ParameterSpec { name: "RoleArn", required: None, default: None, check: anything },
    ParameterSpec {
        name: "BufferSizeInMBs",
        required: None,
        default: Some("1"),
        check: |value| {
            within(value, 0.2, 3.0, false, "BufferSizeInMBs for lambda processor must be between 0.2 and 3.")
        },
    },
    ParameterSpec {
        name: "BufferIntervalInSeconds",
        required: None,
        default: Some("60"),
        check: |value| {
            within(value, 0.0, 900.0, true, "BufferIntervalInSeconds for lambda processor must be between 0 and 900.")
        },
    },
];

impl Parameters {
    /// Adds a parameter of the processor.
    pub(super) fn give(&mut self, spec: &'static ParameterSpec, value: &str) {
        self.given.push((spec, value.to_owned()));
    }

    /// A value that was given.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(spec, _)| spec.name == name).map(|(_, value)| value.as_str())
    }

    /// Names and values as they were given, in that order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.given.iter().map(|(spec, value)| (spec.name, value.as_str()))
    }
}

impl ProcessorSpec {
    /// The processor of this `Type`.
    pub fn named(name: &str) -> Option<&'static Self> {
        PROCESSORS.iter().find(|spec| spec.name == name)
    }

    /// The parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<&'static ParameterSpec> {
        self.parameters.iter().find(|spec| spec.name == name)
    }

    /// A value as it was given, else the default.
    pub fn value<'p>(&self, parameters: &'p Parameters, name: &str) -> Option<&'p str> {
        parameters.given(name).or_else(|| self.parameter(name).and_then(|spec| spec.default))
    }
}

impl fmt::Debug for ProcessorSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessorSpec").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Context {
    /// Places of the keys that a query gives, with their names.
    pub(super) fn keys_from_query(&self) -> impl Iterator<Item = (usize, &str)> {
        let wanted = self.wanted.iter().enumerate();
        wanted.filter(|(_, key)| key.source == KeySource::Query).map(|(at, key)| (at, key.name.as_str()))
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of the table")]
fn anything(_value: &str) -> Result<(), String> {
    Ok(())
}

#[expect(clippy::unnecessary_wraps, reason = "an entry of the table")]
fn no_rules(_parameters: &Parameters) -> Result<(), String> {
    Ok(())
}

fn one_of(what: &str, value: &str, allowed: &[&str]) -> Result<(), String> {
    if allowed.contains(&value) { Ok(()) } else { Err(format!("{what} has to be one of {}", allowed.join(", "))) }
}

fn within(value: &str, least: f64, most: f64, whole: bool, message: &str) -> Result<(), String> {
    let number = value.parse::<f64>().ok().filter(|number| (least..=most).contains(number));
    match number {
        Some(number) if !whole || number.fract() == 0.0 => Ok(()),
        _ => Err(message.to_owned()),
    }
}

fn buffering_is_whole(parameters: &Parameters) -> Result<(), String> {
    let (size, interval) = (parameters.given("BufferSizeInMBs"), parameters.given("BufferIntervalInSeconds"));
    if size.is_some() == interval.is_some() { Ok(()) } else { Err(BOTH.to_owned()) }
}

const BOTH: &str =
    "Both BufferSizeInMBs and BufferIntervalInSeconds are required to configure buffering for lambda processor.";

impl PartialEq for ParameterSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ParameterSpec {}
