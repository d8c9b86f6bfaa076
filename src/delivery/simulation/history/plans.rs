//! What a stream of a history is told to do.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hydrant_model::{Expression, KeySource, ObjectDestination, prefixes};
use hydrant_transforms::records::WantedKey;

use crate::catalog::{Kept, Plan};
use crate::clock::{Clock, splitmix};
use crate::delivery::simulation::stage::Refusing;
use crate::delivery::simulation::table::Becoming;
use crate::delivery::tests::plan;

/// What is done to the stream's records, for good.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn for itself")]
pub(super) struct Kind {
    pub(super) backed_up: bool,
    /// A processor takes no poison.
    pub(super) staged: bool,
    pub(super) kept: Kept,
    /// A byte of the ledger is damaged, once.
    pub(super) damaged: bool,
    pub(super) becoming: Becoming,
    /// The destination takes some objects never.
    pub(super) cursed: bool,
    /// Few partitions may be active.
    pub(super) capped: bool,
    /// The spool is rewritten wherever that gives something back, or where it gives back more.
    pub(super) rewriting_bytes: u64,
}

/// The plan of `version`: its prefix says its shape; parsed once, since that takes longer than most histories.
pub(super) fn plan_of(version: u64, shape: u64, kind: Kind, clock: &Clock, chance: &mut u64) -> Arc<Plan> {
    static SHAPES: OnceLock<Vec<Arc<Plan>>> = OnceLock::new();
    let shapes = SHAPES.get_or_init(|| (0..64).map(|shape| plan(1, &format!("{shape}/"), 1000)).collect());
    let mut plan = Plan::clone(&shapes[usize::try_from(shape).expect("small")]);
    plan.version = version;
    plan.objects.hints.size_bytes = [400, 3000, 20_000, 1 << 20][usize::try_from(splitmix(chance) % 4).expect("small")];
    plan.objects.hints.interval = Duration::from_secs(splitmix(chance) % 61);
    let backup = ObjectDestination { prefix: backup_prefix(), ..plan.objects.clone() };
    plan.backup = kind.backed_up.then_some(backup);
    if kind.staged {
        plan.processing.stages = vec![Arc::new(Refusing)];
        plan.processing.kept = kind.kept;
    }
    plan.processing.conversion = kind.becoming.conversion(version, clock);
    if kind.kept == Kept::ByPartition {
        plan.objects.prefix = partitioned(shape);
        plan.most_partitions = kind.capped.then_some(3);
        plan.processing.wanted = Arc::new([WantedKey { source: KeySource::Query, name: "k".into() }]);
    }
    Arc::new(plan)
}

/// Parsed once, as the others are.
fn partitioned(shape: u64) -> Expression {
    static PREFIXES: OnceLock<Vec<Expression>> = OnceLock::new();
    let prefixes = PREFIXES.get_or_init(|| {
        let prefix = |shape| format!("{shape}/!{{partitionKeyFromQuery:k}}/");
        let parsed = |shape| prefixes(Some(&prefix(shape)), Some("errors/!{firehose:error-output-type}/"), true);
        (0..64).map(|shape| parsed(shape).expect("valid prefixes").prefix).collect()
    });
    prefixes[usize::try_from(shape).expect("small")].clone()
}

fn backup_prefix() -> Expression {
    prefixes(Some("backup/!{timestamp:yyyy}/"), Some("errors/!{firehose:error-output-type}/"), false)
        .expect("valid prefixes")
        .prefix
}
