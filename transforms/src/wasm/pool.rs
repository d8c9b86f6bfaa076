//! Instances of one module, kept and used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::fault::Fault;
use super::instance::Instance;
use super::limits::Start;
use super::module::Module;

/// Instances of one module that were started with the same settings. Cheap to clone; its clones share the instances.
///
/// It keeps as many as were ever at work at once: one a thread.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    module: Module,
    start: Start,
    kept: Mutex<Kept>,
    started: AtomicU64,
    most_bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Instance>,
    at_work: usize,
    most_at_work: usize,
}

impl Pool {
    /// A pool without instances.
    pub fn new(module: Module, start: Start) -> Self {
        let (kept, started, most_bytes) = (Mutex::default(), AtomicU64::new(0), AtomicUsize::new(0));
        Self { shared: Arc::new(Shared { module, start, kept, started, most_bytes }) }
    }

    /// Starts an instance where there is none and has it answer a request of no records: what a module cannot do then it
    /// never can.
    ///
    /// # Errors
    /// What went wrong.
    pub fn warm(&self) -> Result<(), Fault> {
        let mut lent = self.lend(false)?;
        lent.instance.call(&[], self.module().limits().deadline)?;
        lent.give_back();
        Ok(())
    }

    /// What its instances are instances of.
    pub(super) fn module(&self) -> &Module {
        &self.shared.module
    }

    /// How many instances were started.
    pub fn started(&self) -> u64 {
        self.shared.started.load(Ordering::Relaxed)
    }

    /// Bytes of memory that instances hold which nobody uses now.
    pub fn idle_bytes(&self) -> usize {
        self.shared.kept.lock().idle.iter().map(Instance::memory_bytes).sum()
    }

    /// The most bytes of memory that an instance held after a call which ended well.
    pub fn most_bytes(&self) -> usize {
        self.shared.most_bytes.load(Ordering::Relaxed)
    }

    /// Gives up the instances that nobody uses now.
    pub fn shrink(&self) {
        let mut kept = self.shared.kept.lock();
        kept.most_at_work = kept.at_work;
        let idle = std::mem::take(&mut kept.idle);
        drop(kept);
        drop(idle);
    }

    /// How many instances nobody uses now.
    pub fn idle(&self) -> usize {
        self.shared.kept.lock().idle.len()
    }

    /// An instance for one call: an idle one, or a fresh one where there is none or `fresh` asks for it.
    pub(super) fn lend(&self, fresh: bool) -> Result<Lent<'_>, Fault> {
        let idle = {
            let mut kept = self.shared.kept.lock();
            kept.at_work += 1;
            kept.most_at_work = kept.most_at_work.max(kept.at_work);
            if fresh { None } else { kept.idle.pop() }
        };
        let place = Place { pool: self };
        if let Some(instance) = idle {
            return Ok(Lent { instance, is_fresh: false, place });
        }
        self.shared.started.fetch_add(1, Ordering::Relaxed);
        let instance = Instance::start(&self.shared.module, &self.shared.start)?;
        Ok(Lent { instance, is_fresh: true, place })
    }
}

/// An instance at work. Dropped, it is gone; given back, another call may have it.
#[derive(Debug)]
pub(super) struct Lent<'p> {
    pub(super) instance: Instance,
    /// Whether no call went before.
    pub(super) is_fresh: bool,
    place: Place<'p>,
}

impl Lent<'_> {
    /// Keeps it for another call, unless as many are idle or at work as ever were needed at once.
    pub(super) fn give_back(self) {
        let Self { instance, place, .. } = self;
        place.pool.shared.most_bytes.fetch_max(instance.memory_bytes(), Ordering::Relaxed);
        let mut kept = place.pool.shared.kept.lock();
        let surplus = if kept.idle.len() + kept.at_work <= kept.most_at_work {
            kept.idle.push(instance);
            None
        } else {
            Some(instance)
        };
        drop(kept);
        drop(surplus);
    }
}

/// One of the pool's places at work.
#[derive(Debug)]
struct Place<'p> {
    pool: &'p Pool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.pool.shared.kept.lock().at_work -= 1;
    }
}
