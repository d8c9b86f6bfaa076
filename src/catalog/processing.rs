//! What is done to a stream's records between the log and the object: its `ProcessingConfiguration`, read once.

use std::sync::Arc;

use async_trait::async_trait;
use hydrant_model::{Misfit, ObjectDestination, Rules};
use hydrant_transforms::formats::conversion::{self, SchemaSource, check_destination};
use hydrant_transforms::formats::schema::TableSchema;
use hydrant_transforms::processors::{
    Context, Facts, LambdaParameters, Parameters, ProcessorSpec, ProcessorType, Transform, parse,
};
use hydrant_transforms::records::{Arrived, Fates, Records, WantedKey};
use serde_json::Value;

/// The processors of one configuration version, in the order in which they run.
#[derive(Clone, Default)]
pub struct Processing {
    /// Each makes its processor.
    pub stages: Vec<Arc<dyn Stage>>,
    /// Where what they make lies until it leaves.
    pub kept: Kept,
    /// The partition keys that the prefix has places for.
    pub wanted: Arc<[WantedKey]>,
    /// The function that is asked, and its place among the stages; whoever has functions puts it there.
    pub function: Option<(usize, LambdaParameters)>,
    /// What becomes of them behind the processors, where they are converted.
    pub conversion: Option<Conversion>,
    /// What all error entries of the stream share.
    pub entries: EntryFacts,
}

/// Where what processors make lies until it leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nowhere: they make the same of the same records each time, while an object is made.
    #[default]
    Nowhere,
    /// In the spool: a function of the user's is asked once.
    Together,
    /// In the spool, by partition.
    ByPartition,
}

/// The `DataFormatConversionConfiguration` of a stream, where it is enabled.
#[derive(Clone)]
pub struct Conversion {
    /// What it says.
    pub rules: conversion::Conversion,
    /// Where its table is looked up; `None` where it is inferred, and until whoever has tables puts it here.
    pub table: Option<Arc<dyn Table>>,
}

/// A table's definition, wherever it is kept.
#[async_trait]
pub trait Table: Send + Sync {
    /// The table as it is now, or was a short while ago.
    ///
    /// # Errors
    /// Why it cannot be had; the records wait, and it is asked again.
    async fn schema(&self) -> Result<Arc<TableSchema>, TableError>;
}

/// Why a table's definition cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TableError {
    /// AWS's code: `DataFormatConversion.EntityNotFound` and the like.
    pub code: &'static str,
    /// What is wrong, and with what.
    pub message: String,
}

/// A processor at work.
pub enum Processor {
    /// On the caller's thread.
    Local(Box<dyn Transform>),
    /// Somewhere else.
    Remote(Box<dyn Remote>),
}

/// A processor that is waited for.
#[async_trait]
pub trait Remote: Send {
    /// As [`Transform::apply`].
    async fn apply(&mut self, records: Records, arrived: &Arrived, fates: &mut Fates) -> Records;
}

/// Makes a processor, anew for each pass over records.
pub trait Stage: Send + Sync {
    /// AWS's `Type` of the processor.
    fn name(&self) -> &'static str;

    /// Makes it.
    ///
    /// # Errors
    /// What it cannot be made of; the records wait.
    fn open(&self) -> Result<Processor, String>;

    /// What it holds beside the records, as far as that is known.
    fn memory_bytes(&self) -> usize {
        0
    }
}

/// What all error entries of a stream share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntryFacts {
    /// `LambdaArn`, where a function is asked.
    pub lambda_arn: Option<String>,
    /// `dataCatalogTable`, where records are converted.
    pub table: Option<Value>,
}

/// A processor of the table, with its parameters.
struct Built {
    spec: &'static ProcessorSpec,
    parameters: Parameters,
    context: Context,
}

impl Stage for Built {
    fn name(&self) -> &'static str {
        self.spec.name
    }

    fn open(&self) -> Result<Processor, String> {
        let build = self.spec.build.ok_or_else(|| format!("{} is not connected to anything", self.spec.name))?;
        build(&self.parameters, &self.context).map(Processor::Local)
    }

    fn memory_bytes(&self) -> usize {
        self.spec.memory_bytes
    }
}

impl Processing {
    /// Reads the processors of `configuration`, a stored destination whose bucket is `objects`.
    ///
    /// # Errors
    /// The first rule that is broken, with the member that breaks it.
    pub fn read(configuration: &Value, objects: &ObjectDestination, rules: Rules) -> Result<Self, Misfit> {
        let enabled = |name: &str| {
            configuration.get(name).and_then(|it| it.get("Enabled")).and_then(Value::as_bool).unwrap_or(false)
        };
        let facts = Facts {
            dynamic_partitioning: enabled("DynamicPartitioningConfiguration"),
            prefix: &objects.prefix,
            strict: rules == Rules::Strict,
        };
        let chain = parse(configuration.get("ProcessingConfiguration").unwrap_or(&Value::Null), facts)?;
        let conversion = read_conversion(configuration, objects, rules)?;
        let inferred = conversion.as_ref().is_some_and(|it| it.rules.schema == SchemaSource::Inferred);
        let kept = match (facts.dynamic_partitioning, &chain.lambda) {
            (true, _) => Kept::ByPartition,
            (false, Some(_)) => Kept::Together,
            // What is inferred is read before it is written, and nobody wants to run processors twice.
            (false, None) if inferred && !chain.processors.is_empty() => Kept::Together,
            (false, None) => Kept::Nowhere,
        };
        let context = Context { wanted: Arc::clone(&chain.wanted) };
        let at = chain.processors.iter().position(|(spec, _)| spec.kind == ProcessorType::Lambda);
        let entries = EntryFacts { lambda_arn: chain.lambda.as_ref().map(|lambda| lambda.arn.clone()), table: None };
        let stages = chain
            .processors
            .into_iter()
            .map(|(spec, parameters)| Arc::new(Built { spec, parameters, context: context.clone() }) as Arc<dyn Stage>);
        let (stages, wanted, function) = (stages.collect(), chain.wanted, at.zip(chain.lambda));
        Ok(Self { stages, kept, wanted, function, conversion, entries })
    }

    /// Puts the function that is asked into its place.
    pub fn connect(&mut self, function: Arc<dyn Stage>) {
        if let Some(stage) = self.function.as_ref().and_then(|(at, _)| self.stages.get_mut(*at)) {
            *stage = function;
        }
    }

    /// Whether records leave as they arrived.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty() && self.conversion.is_none()
    }

    /// The most that `bytes` of records may become, for choosing the size of parts: unpacked they may be many times as large.
    pub fn most_bytes(&self, bytes: u64) -> u64 {
        if self.is_empty() { bytes } else { bytes.saturating_mul(UNPACKED).max(LEAST_MOST_BYTES) }
    }

    /// The most that the processors hold at a time: a few forms of a frame, and what each has of its own.
    pub fn memory_bytes(&self) -> usize {
        if self.is_empty() { 0 } else { STAGE_BYTES + self.stages.iter().map(|it| it.memory_bytes()).sum::<usize>() }
    }

    /// Makes every processor.
    ///
    /// # Errors
    /// [`Stage::open`].
    pub fn open(&self) -> Result<Vec<Processor>, String> {
        self.stages.iter().map(|stage| stage.open()).collect()
    }
}

/// A stored destination's conversion, in the order in which AWS looks at it.
fn read_conversion(
    configuration: &Value,
    objects: &ObjectDestination,
    rules: Rules,
) -> Result<Option<Conversion>, Misfit> {
    let configured = configuration.get("DataFormatConversionConfiguration").unwrap_or(&Value::Null);
    if !conversion::is_enabled(configured) {
        return Ok(None);
    }
    let strict = rules == Rules::Strict;
    check_destination(objects.compression, objects.hints, strict)?;
    let conversion = conversion::parse(configured, strict)?;
    Ok(conversion.map(|rules| Conversion { rules, table: None }))
}

const UNPACKED: u64 = 32;
const LEAST_MOST_BYTES: u64 = 64 << 20;
const STAGE_BYTES: usize = 4 << 20;
