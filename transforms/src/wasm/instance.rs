//! One instance of a module, and one call.

use std::fmt;
use std::time::Duration;

use wasmtime::{Memory, Store, Trap, TypedFunc, WasmParams, WasmResults};

use super::abi::{self, Input};
use super::engine::Engine;
use super::fault::Fault;
use super::host::Host;
use super::limits::{Limits, Start};
use super::module::Module;
use crate::verdicts::Answers;

/// A module at work: its memory, and what it remembers in there.
pub(super) struct Instance {
    store: Store<Host>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    transform: TypedFunc<(u32, u32), u64>,
    limits: Limits,
    /// Time that the running call has.
    allowed: Duration,
}

impl Instance {
    /// Starts one: its start function, `_initialize`, and `hydrant_init` with the settings, where there are such.
    pub(super) fn start(module: &Module, start: &Start) -> Result<Self, Fault> {
        let limits = module.limits();
        let host = Host::new(limits.memory_bytes, start.grants.clone(), start.log.clone());
        let mut store = Store::new(module.engine().inner(), host);
        store.limiter(|host| host);
        store.set_epoch_deadline(Engine::ticks(limits.deadline));
        let instance = module.ready().instantiate(&mut store).map_err(|error| unstarted(&mut store, &error, limits))?;
        let lacking = |name: &str| Fault::Start(format!("it has no {name}"));
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| lacking("memory"))?;
        let alloc = instance.get_typed_func(&mut store, "hydrant_alloc").map_err(|_| lacking("hydrant_alloc"))?;
        let transform =
            instance.get_typed_func(&mut store, "hydrant_transform").map_err(|_| lacking("hydrant_transform"))?;
        let initialize = instance.get_typed_func::<(), ()>(&mut store, "_initialize").ok();
        let init = instance.get_typed_func::<(u32, u32), u32>(&mut store, "hydrant_init").ok();
        let mut started = Self { store, memory, alloc, transform, limits, allowed: limits.deadline };
        if let Some(initialize) = initialize {
            initialize.call(&mut started.store, ()).map_err(|error| unstarted(&mut started.store, &error, limits))?;
        }
        if let Some(init) = init {
            started.init(&init, &start.settings).map_err(|fault| match fault {
                Fault::Deadline { .. } | Fault::Start(_) => fault,
                other => Fault::Start(other.message().into_owned()),
            })?;
        }
        started.store.data_mut().end_line();
        Ok(started)
    }

    /// Has it answer one request, in the time that is `allowed`. Whoever gets a fault must not use the instance again.
    pub(super) fn call(&mut self, inputs: &[Input<'_>], allowed: Duration) -> Result<Answers<'_>, Fault> {
        self.allowed = allowed;
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(Engine::ticks(allowed));
        let length = abi::request_bytes(inputs)
            .ok_or_else(|| Fault::Room("The records are larger than a module can address.".to_owned()))?;
        let at = self.place(length)?;
        let request =
            self.memory.data_mut(&mut self.store).get_mut(at..).and_then(|from| from.get_mut(..index(length)));
        let request = request.and_then(|request| abi::write_request(inputs, request));
        request.ok_or_else(|| Fault::Room(OUTSIDE.to_owned()))?;
        let transform = self.transform.clone();
        let packed = self.run(&transform, (narrow(at), length))?;
        self.store.data_mut().end_line();
        let (answer_at, answer_bytes) = (index(narrow_u64(packed >> 32)), index(narrow_u64(packed & 0xFFFF_FFFF)));
        if answer_bytes > self.limits.answer_bytes {
            let limit = self.limits.answer_bytes;
            return Err(Fault::Room(format!(
                "The module's answer has {answer_bytes} bytes; at most {limit} are taken."
            )));
        }
        let bytes = self.memory.data(&self.store);
        let answer = bytes.get(answer_at..).and_then(|from| from.get(..answer_bytes)).ok_or_else(|| {
            Fault::Answer(format!(
                "{answer_bytes} bytes at {answer_at} do not lie in its memory of {} bytes",
                bytes.len()
            ))
        })?;
        abi::read_answer(answer, inputs.len()).map_err(Fault::Answer)
    }

    /// Bytes of memory that it has taken so far.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory.data_size(&self.store)
    }

    fn init(&mut self, init: &TypedFunc<(u32, u32), u32>, settings: &[u8]) -> Result<(), Fault> {
        let length = u32::try_from(settings.len())
            .map_err(|_| Fault::Start("its settings are larger than it can address".to_owned()))?;
        let at = self.place(length)?;
        let place = self.memory.data_mut(&mut self.store).get_mut(at..).and_then(|from| from.get_mut(..settings.len()));
        place.ok_or_else(|| Fault::Start(OUTSIDE.to_owned()))?.copy_from_slice(settings);
        match self.run(init, (narrow(at), length))? {
            0 => Ok(()),
            code => {
                let host = self.store.data_mut();
                host.end_line();
                let said = if host.last_line.is_empty() { String::new() } else { format!(": {}", host.last_line) };
                Err(Fault::Start(format!("its hydrant_init returned {code}{said}")))
            }
        }
    }

    /// Has it set `bytes` bytes aside, and says where.
    fn place(&mut self, bytes: u32) -> Result<usize, Fault> {
        let alloc = self.alloc.clone();
        match self.run(&alloc, bytes)? {
            0 if self.store.data().refused => Err(Fault::Memory {
                limit: self.limits.memory_bytes,
                then: format!("had no room for {bytes} bytes of records."),
            }),
            0 => Err(Fault::Room(format!("The module had no room for {bytes} bytes of records."))),
            at => Ok(index(at)),
        }
    }

    fn run<P: WasmParams, R: WasmResults>(&mut self, function: &TypedFunc<P, R>, with: P) -> Result<R, Fault> {
        function.call(&mut self.store, with).map_err(|error| fault(&mut self.store, &error, self.limits, self.allowed))
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn unstarted(store: &mut Store<Host>, error: &wasmtime::Error, limits: Limits) -> Fault {
    match fault(store, error, limits, limits.deadline) {
        fault @ Fault::Deadline { .. } => fault,
        other => Fault::Start(other.message().into_owned()),
    }
}

fn fault(store: &mut Store<Host>, error: &wasmtime::Error, limits: Limits, allowed: Duration) -> Fault {
    let host = store.data_mut();
    host.end_line();
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        return Fault::Deadline { allowed, limit: limits.deadline };
    }
    let what = match (host.ended, trap) {
        (Some(code), _) => format!("it ended itself with code {code}"),
        (None, Some(trap)) => trap.to_string(),
        (None, None) => error.root_cause().to_string(),
    };
    let said = if host.last_line.is_empty() { String::new() } else { format!("; its last line: {}", host.last_line) };
    if host.refused {
        return Fault::Memory { limit: limits.memory_bytes, then: format!("then: {what}{said}") };
    }
    Fault::Trap(format!("{what}{said}"))
}

fn index(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// An address that was one of 32 bits.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

fn narrow_u64(half: u64) -> u32 {
    u32::try_from(half).unwrap_or(u32::MAX)
}

const OUTSIDE: &str = "The module's hydrant_alloc returned a place outside of its memory.";
