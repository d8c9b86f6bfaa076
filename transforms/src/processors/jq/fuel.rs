//! The bound of a query: how many steps it may take over one record, and how deep it may go.
//!
//! jq can run for ever (`repeat`), hold any amount of memory (`"a" * 1e9`) and recurse without end, and jaq has no place to stop
//! it at. But whatever a query does, it makes, copies and compares values, and these are ours: each such operation spends steps,
//! as many as it moves data. When none are left, or the stack is used up, the evaluation is unwound from within that operation
//! and the record fails. Steps are counted, not time, so that the same record always fares the same.
//!
//! It relies on panics that unwind, as in every profile of this workspace, and on two MiB of stack, as threads have.

use std::any::Any;
use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Why an evaluation did not come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// It took too many steps, went too deep or made values that lie too deep.
    Exhausted,
    /// It ran into a fault of the interpreter.
    Broken,
}

/// Runs `work`, which may take that many steps.
pub(super) fn within<T>(steps: u64, work: impl FnOnce() -> T) -> Result<T, Stopped> {
    let floor = here().saturating_sub(STACK_BYTES);
    TANK.set(Tank { steps, floor });
    // What the closure leaves half done is dropped with it: values are never changed in place.
    let done = catch_unwind(AssertUnwindSafe(work));
    TANK.set(Tank::ENDLESS);
    done.map_err(|reason: Box<dyn Any + Send>| if reason.is::<Empty>() { Stopped::Exhausted } else { Stopped::Broken })
}

/// Takes `steps` away.
#[inline]
pub(super) fn spend(steps: usize) {
    let mut tank = TANK.get();
    let steps = u64::try_from(steps).unwrap_or(u64::MAX);
    if tank.steps < steps || here() < tank.floor {
        give_up();
    }
    tank.steps -= steps;
    TANK.set(tank);
}

/// Unwinds the evaluation without the noise of a panic.
#[cold]
pub(super) fn give_up() -> ! {
    // What runs on the way out must not run out again.
    TANK.set(Tank::ENDLESS);
    resume_unwind(Box::new(Empty))
}

/// Steps that a record of so many bytes may cost: far more than any query that reads it a few times.
pub(super) fn steps_for(bytes: usize) -> u64 {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    LEAST_STEPS.saturating_add(bytes.saturating_mul(4)).min(MOST_STEPS)
}

struct Empty;

#[derive(Clone, Copy)]
struct Tank {
    steps: u64,
    /// The lowest address that the stack may grow to.
    floor: usize,
}

impl Tank {
    const ENDLESS: Self = Self { steps: u64::MAX, floor: 0 };
}

thread_local! {
    static TANK: Cell<Tank> = const { Cell::new(Tank::ENDLESS) };
}

/// Where the stack is.
#[inline]
fn here() -> usize {
    let mark = 0_u8;
    std::ptr::from_ref(black_box(&mark)).addr()
}

const LEAST_STEPS: u64 = 200_000;
const MOST_STEPS: u64 = 4_000_000;

/// Stack of one evaluation; threads have two MiB at least.
const STACK_BYTES: usize = 1024 * 1024;
