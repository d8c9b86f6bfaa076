//! From a `ProcessingConfiguration` to the processors of a stream, by AWS's rules and in its words.
//!
//! | Where hydrant's rule is not AWS's | Why |
//! |---|---|
//! | `RecordDeAggregation` works without dynamic partitioning; not under `--strict` | it is as useful before a conversion |
//! | each type once | AWS is known to say so of Lambda and to hold `MetadataExtraction` to it |
//! | every key of the prefix must have a processor that can give it | each record would fail |
//! | `JsonParsingEngine` may be left out | there is only one |
//! | a `null` among processors or parameters is a broken constraint | AWS fails with `InternalFailure`, which clients repeat |

use std::sync::Arc;
use std::time::Duration;

use hydrant_model::{Expression, KeySource, Misfit};
use serde_json::Value;

use super::extraction;
use super::{Context, Parameters, ProcessorSpec, ProcessorType, Transform};
use crate::records::WantedKey;

/// What a stream's processors are held against.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Whether dynamic partitioning is enabled.
    pub dynamic_partitioning: bool,
    /// The destination's prefix.
    pub prefix: &'a Expression,
    /// Whether AWS's rules hold to the letter.
    pub strict: bool,
}

/// The processors of a stream, in the order in which they run.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// Each with its parameters.
    pub processors: Vec<(&'static ProcessorSpec, Parameters)>,
    /// The function to ask, which runs in its place among them.
    pub lambda: Option<LambdaParameters>,
    /// The partition keys that the prefix has places for, each once.
    pub wanted: Arc<[WantedKey]>,
}

/// What a Lambda processor was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LambdaParameters {
    /// `LambdaArn`: a function, or the module in its place.
    pub arn: String,
    /// How often a call is repeated after the first one failed.
    pub retries: u32,
    /// Bytes of records in one call.
    pub buffer_bytes: usize,
    /// How long a record may wait for a call.
    pub interval: Duration,
    /// `RoleArn`, where it is not the destination's.
    pub role: Option<String>,
}

/// Reads `configuration`, a `ProcessingConfiguration` as it was given. One that is not enabled has no processors.
///
/// # Errors
/// The first rule that is broken, by AWS's message where it is known, with the member that breaks it.
pub fn parse(configuration: &Value, facts: Facts<'_>) -> Result<Chain, Misfit> {
    let enabled = configuration.get("Enabled").and_then(Value::as_bool).unwrap_or(false);
    let listed = configuration.get("Processors").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let wanted = wanted(facts.prefix);
    if !enabled {
        if facts.dynamic_partitioning {
            return Err(Misfit::of(CONFIGURATION, NO_KEYS));
        }
        return Ok(Chain { wanted, ..Chain::default() });
    }
    if listed.is_empty() || listed.len() > MOST_PROCESSORS {
        return Err(Misfit::of(PROCESSORS, COUNT));
    }
    let mut found = Vec::with_capacity(listed.len());
    for (at, processor) in listed.iter().enumerate() {
        found.push((at, read(processor, &format!("{PROCESSORS}[{at}]"))?));
    }
    together(&found, facts)?;
    keys(&found, &wanted, facts)?;
    found.sort_by_key(|(_, (spec, _))| spec.kind);
    let processors: Vec<_> = found.into_iter().map(|(_, processor)| processor).collect();
    let lambda = processors.iter().find(|(spec, _)| spec.kind == ProcessorType::Lambda);
    let lambda = lambda.map(|(spec, parameters)| LambdaParameters::of(spec, parameters));
    Ok(Chain { processors, lambda, wanted })
}

impl Chain {
    /// Whether records pass as they are.
    pub fn is_empty(&self) -> bool {
        self.processors.is_empty()
    }

    /// The processors that run before the function is asked, and those that run on its answers; all are before it where no
    /// function is.
    ///
    /// # Errors
    /// What a processor cannot be built from; [`parse`] has refused all of it.
    #[expect(clippy::type_complexity, reason = "two lists of the same")]
    pub fn build(&self) -> Result<(Vec<Box<dyn Transform>>, Vec<Box<dyn Transform>>), String> {
        let context = Context { wanted: Arc::clone(&self.wanted) };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (spec, parameters) in &self.processors {
            let Some(build) = spec.build else { continue };
            let side =
                if self.lambda.is_some() && spec.kind > ProcessorType::Lambda { &mut after } else { &mut before };
            side.push(build(parameters, &context)?);
        }
        Ok((before, after))
    }
}

impl LambdaParameters {
    fn of(spec: &ProcessorSpec, parameters: &Parameters) -> Self {
        let value = |name| spec.value(parameters, name);
        let number = |name| value(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
        let mebibytes = Duration::try_from_secs_f64(number("BufferSizeInMBs")).unwrap_or_default();
        // A fraction of a MiB, without a cast: as long as that fraction of a second is in 2^20ths.
        let buffer_bytes = usize::try_from((mebibytes.as_nanos() << 20) / 1_000_000_000).unwrap_or(usize::MAX);
        Self {
            arn: value("LambdaArn").unwrap_or_default().to_owned(),
            retries: value("NumberOfRetries").and_then(|text| text.parse().ok()).unwrap_or_default(),
            buffer_bytes,
            interval: Duration::try_from_secs_f64(number("BufferIntervalInSeconds")).unwrap_or_default(),
            role: parameters.given("RoleArn").map(str::to_owned),
        }
    }
}

/// The partition keys of a prefix, each once.
fn wanted(prefix: &Expression) -> Arc<[WantedKey]> {
    let mut keys: Vec<WantedKey> = Vec::new();
    for (source, name) in prefix.partition_keys() {
        if !keys.iter().any(|key| key.source == source && key.name == name) {
            keys.push(WantedKey { source, name: name.to_owned() });
        }
    }
    keys.into()
}

type Found = (usize, (&'static ProcessorSpec, Parameters));

/// One element of `Processors`, which is at `place`.
fn read(processor: &Value, place: &str) -> Result<(&'static ProcessorSpec, Parameters), Misfit> {
    let kind = processor.get("Type").and_then(Value::as_str).unwrap_or_default();
    let Some(spec) = ProcessorSpec::named(kind) else {
        let names: Vec<_> = super::PROCESSORS.iter().map(|spec| spec.name).collect();
        let message = format!("Type '{kind}' of a processor has to be one of {}", names.join(", "));
        return Err(Misfit::of(format!("{place}.Type"), message));
    };
    let mut parameters = Parameters::default();
    let given = processor.get("Parameters").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for (at, parameter) in given.iter().enumerate() {
        let text = |member: &str| parameter.get(member).and_then(Value::as_str).unwrap_or_default();
        let (name, value) = (text("ParameterName"), text("ParameterValue"));
        let misfit = |member: &str, message: String| Misfit::of(format!("{place}.Parameters[{at}].{member}"), message);
        let Some(parameter) = spec.parameter(name) else {
            return Err(misfit("ParameterName", format!("Processor {kind} has no parameter '{name}'")));
        };
        if parameters.given(name).is_some() {
            return Err(misfit("ParameterName", format!("Parameter {name} of processor {kind} is given twice")));
        }
        (parameter.check)(value).map_err(|message| misfit("ParameterValue", message))?;
        parameters.give(parameter, value);
    }
    let missing = spec.parameters.iter().find(|spec| spec.required.is_some() && parameters.given(spec.name).is_none());
    if let Some(message) = missing.and_then(|spec| spec.required) {
        return Err(Misfit::of(format!("{place}.Parameters"), message));
    }
    (spec.check)(&parameters).map_err(|message| Misfit::of(format!("{place}.Parameters"), message))?;
    Ok((spec, parameters))
}

/// Rules across processors.
fn together(found: &[Found], facts: Facts<'_>) -> Result<(), Misfit> {
    let count = |kind| found.iter().filter(|(_, (spec, _))| spec.kind == kind).count();
    for (at, (spec, _)) in found {
        let refused = |message: String| Err(Misfit::of(format!("{PROCESSORS}[{at}].Type"), message));
        if count(spec.kind) > 1 {
            return refused(format!("Cannot have more than 1 {} processor.", spec.name));
        }
        match spec.kind {
            ProcessorType::CloudWatchLogProcessing if count(ProcessorType::Decompression) == 0 => {
                return refused(NO_DECOMPRESSION.to_owned());
            }
            ProcessorType::MetadataExtraction if !facts.dynamic_partitioning => {
                return refused(only_with_partitioning("MetadataExtractionProcessor"));
            }
            ProcessorType::RecordDeAggregation if !facts.dynamic_partitioning && facts.strict => {
                return refused(only_with_partitioning("RecordDeAggregationProcessor"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Rules between the keys of the prefix and those who give them.
fn keys(found: &[Found], wanted: &[WantedKey], facts: Facts<'_>) -> Result<(), Misfit> {
    let of = |kind| found.iter().find(|(_, (spec, _))| spec.kind == kind);
    let (extraction, lambda) = (of(ProcessorType::MetadataExtraction), of(ProcessorType::Lambda));
    if facts.dynamic_partitioning && extraction.is_none() && lambda.is_none() {
        return Err(Misfit::of(PROCESSORS, NO_KEYS));
    }
    if wanted.len() > MOST_KEYS {
        return Err(Misfit::of("Prefix", TOO_MANY_KEYS));
    }
    let names = |from| wanted.iter().filter(move |key| key.source == from).map(|key| key.name.as_str());
    if lambda.is_none()
        && let Some(name) = names(KeySource::Lambda).next()
    {
        return Err(Misfit::of(
            "Prefix",
            format!("Prefix uses !{{partitionKeyFromLambda:{name}}} without a Lambda processor"),
        ));
    }
    let Some((at, (_, parameters))) = extraction else {
        return match names(KeySource::Query).next() {
            Some(name) => Err(Misfit::of(
                "Prefix",
                format!("Prefix uses !{{partitionKeyFromQuery:{name}}} without a MetadataExtraction processor"),
            )),
            None => Ok(()),
        };
    };
    let given = extraction::keys_of(parameters.given("MetadataExtractionQuery").unwrap_or_default());
    let Some(given) = given else { return Ok(()) };
    let place = format!("{PROCESSORS}[{at}].Parameters");
    if given.len() > MOST_KEYS {
        return Err(Misfit::of(place, TOO_MANY_KEYS));
    }
    if given.iter().any(|key| !names(KeySource::Query).any(|name| name == key)) {
        return Err(Misfit::of(place, UNUSED_KEY));
    }
    match names(KeySource::Query).find(|name| !given.iter().any(|key| key == name)) {
        Some(name) => {
            let message =
                format!("Prefix uses !{{partitionKeyFromQuery:{name}}}, which MetadataExtractionQuery does not give");
            Err(Misfit::of("Prefix", message))
        }
        None => Ok(()),
    }
}

fn only_with_partitioning(class: &str) -> String {
    format!(
        "class com.amazonaws.services.firehose.internal.model.{class} can only be present when Dynamic Partitioning is enabled."
    )
}

const CONFIGURATION: &str = "ProcessingConfiguration";
const PROCESSORS: &str = "ProcessingConfiguration.Processors";

/// Processors of a stream at most.
const MOST_PROCESSORS: usize = 5;

/// Keys of a query at most.
const MOST_KEYS: usize = 50;

const COUNT: &str = "A maximum of 5 and a minimum of 1 processor needs to be supplied when processing is enabled.";
const NO_DECOMPRESSION: &str = "CloudWatchLogProcessingProcessor can only be enabled with DecompressionProcessor";
const UNUSED_KEY: &str =
    "MetaDataExtraction JQ Query can't contain keys that are not present in the S3 Prefix expression";
const NO_KEYS: &str =
    "Dynamic Partitioning needs a MetadataExtraction processor, or a Lambda processor that returns partition keys";
const TOO_MANY_KEYS: &str = "Dynamic Partitioning takes no more than 50 keys";

#[cfg(test)]
mod tests;
