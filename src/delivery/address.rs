//! What an object is called: decided once, from the intent's seed and the time of its oldest record.

use hydrant_model::{
    Intent, IntentId, ObjectKey, ObjectNameError, PartitionKeys, PrefixContext, Seed, StreamNameParts, object_key,
};

use super::cut::Batch;
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
) -> Result<Intent, ObjectNameError> {
    Ok(Intent {
        id,
        range: batch.range,
        records: batch.records,
        bytes: batch.bytes,
        seed,
        version,
        oldest_ms: batch.oldest_ms,
        object: key(stream, batch, seed, shape, version)?,
    })
}

fn key(stream: &str, batch: &Batch, seed: Seed, shape: &Plan, version: u64) -> Result<ObjectKey, ObjectNameError> {
    let objects = &shape.objects;
    let extension = objects.file_extension.as_deref().unwrap_or_else(|| objects.compression.extension());
    let context = PrefixContext {
        oldest_ms: batch.oldest_ms,
        zone: &objects.time_zone,
        seed,
        error_output_type: None,
        partition_keys: PartitionKeys::default(),
    };
    object_key(objects.bucket.as_str(), &objects.prefix, &context, &StreamNameParts { stream, version, extension })
}
