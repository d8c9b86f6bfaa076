//! What an object is called: decided once, from the intent's seed and the time of its oldest record.

use hydrant_model::{
    Cursor, Intent, IntentId, ObjectDestination, ObjectKey, ObjectNameError, PartitionKeys, PrefixContext, Seed,
    StreamNameParts, object_key,
};

use super::cut::Batch;
use super::spool::named;
use crate::catalog::Plan;

/// The intent for `batch`: its name follows the shape of the plan that the records arrived under, the version in it is the one
/// in force now.
///
/// # Errors
/// The name breaks a rule of keys; nothing was decided.
pub(super) fn address(
    stream: &str,
    id: IntentId,
    batch: &Batch,
    seed: Seed,
    shape: &Plan,
    version: u64,
    cursor: Cursor,
) -> Result<Intent, ObjectNameError> {
    let objects = shape.objects(cursor);
    let extension = objects.file_extension.as_deref().unwrap_or_else(|| objects.compression.extension());
    let context = context(objects, batch, seed);
    let name = StreamNameParts { stream, version, extension };
    let object = object_key(objects.bucket.as_str(), &objects.prefix, &context, &name)?;
    Ok(intent(id, batch, seed, version, object))
}

/// The intent for slices of one partition, whose keys have the values `keys`.
///
/// # Errors
/// The name breaks a rule of keys; nothing was decided.
pub(super) fn address_partition(
    stream: &str,
    id: IntentId,
    batch: &Batch,
    seed: Seed,
    shape: &Plan,
    version: u64,
    keys: &[String],
) -> Result<Intent, ObjectNameError> {
    let objects = &shape.objects;
    let extension = objects.file_extension.as_deref().unwrap_or_else(|| objects.compression.extension());
    let [from_query, from_lambda] = named(&shape.processing.wanted, keys);
    let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &from_lambda };
    let context = PrefixContext { partition_keys, ..context(objects, batch, seed) };
    let name = StreamNameParts { stream, version, extension };
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
