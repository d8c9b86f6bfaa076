//! What an object is called: decided once, from the intent's seed and the time of its oldest record.

use hydrant_model::{
    Cursor, Intent, IntentId, ObjectDestination, ObjectKey, ObjectNameError, PartitionKeys, PrefixContext, Seed,
    StreamNameParts, object_key,
};

use super::cut::Batch;
use super::spool::named;
use crate::catalog::Plan;

/// What names are made of, beside the batch.
pub(super) struct Naming<'a> {
    /// The stream's name.
    pub(super) stream: &'a str,
    /// The plan that the records arrived under: the name follows its shape.
    pub(super) shape: &'a Plan,
    /// The version in the name: the one in force now.
    pub(super) version: u64,
    /// Whose object it is.
    pub(super) cursor: Cursor,
    /// Values of the partition's keys, as many as the shape wants; else none.
    pub(super) keys: &'a [String],
}

/// The intent for `batch`.
///
/// # Errors
/// The name breaks a rule of keys; nothing was decided.
pub(super) fn address(id: IntentId, batch: &Batch, seed: Seed, naming: &Naming<'_>) -> Result<Intent, ObjectNameError> {
    let Naming { stream, shape, version, cursor, keys } = *naming;
    let objects = shape.objects(cursor);
    let [from_query, from_lambda] = named(&shape.processing.wanted, keys);
    let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &from_lambda };
    let context = PrefixContext { partition_keys, ..context(objects, batch, seed) };
    let name = StreamNameParts { stream, version, extension: shape.extension(cursor) };
    let object = object_key(objects.bucket.as_str(), &objects.prefix, &context, &name)?;
    Ok(intent(id, batch, seed, version, object))
}

/// The intent for entries of one error output, by the configuration in force.
///
/// # Errors
/// The name breaks a rule of keys; nothing was decided.
pub(super) fn address_errors(
    stream: &str,
    id: IntentId,
    batch: &Batch,
    seed: Seed,
    plan: &Plan,
    output: &str,
) -> Result<Intent, ObjectNameError> {
    let objects = &plan.objects;
    let context = PrefixContext { error_output_type: Some(output), ..context(objects, batch, seed) };
    let name = StreamNameParts { stream, version: plan.version, extension: "" };
    let object = object_key(objects.bucket.as_str(), &objects.error_prefix, &context, &name)?;
    Ok(intent(id, batch, seed, plan.version, object))
}

fn intent(id: IntentId, batch: &Batch, seed: Seed, version: u64, object: ObjectKey) -> Intent {
    Intent {
        id,
        range: batch.range,
        records: batch.records,
        bytes: batch.bytes,
        seed,
        version,
        oldest_ms: batch.oldest_ms,
        object,
    }
}

fn context<'a>(objects: &'a ObjectDestination, batch: &Batch, seed: Seed) -> PrefixContext<'a> {
    PrefixContext {
        oldest_ms: batch.oldest_ms,
        zone: &objects.time_zone,
        seed,
        error_output_type: None,
        partition_keys: PartitionKeys::default(),
    }
}
