//! A module file, held against what a module must have.

use std::fmt;

use wasmtime::{ExternType, FuncType, InstancePre, Linker, ValType};

use self::Number::{I32, I64};
use super::engine::Engine;
use super::host::{self, Host};
use super::limits::Limits;
use super::{Error, wasi};

/// A compiled module. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    engine: Engine,
    ready: InstancePre<Host>,
    limits: Limits,
}

impl Module {
    /// Compiles `bytes`, or takes the compiled code from the cache. Runs nothing of it. Holds the thread for about a
    /// millisecond a kilobyte where it compiles.
    ///
    /// # Errors
    /// [`Error::Module`] with everything that is wrong: what it must export and does not, what it wants and nobody offers.
    pub fn load(engine: &Engine, bytes: &[u8], limits: Limits) -> Result<Self, Error> {
        let one = |fault: String| Error::Module(vec![fault]);
        recognize(bytes).map_err(one)?;
        let module = wasmtime::Module::new(engine.inner(), bytes)
            .map_err(|error| one(format!("not a valid WebAssembly module: {error:#}")))?;
        let exports: Vec<_> = module.exports().map(|export| (export.name().to_owned(), export.ty())).collect();
        let mut faults = missing(&exports, limits);
        faults.extend(module.imports().filter_map(|import| unknown(import.module(), import.name())));
        if !faults.is_empty() {
            return Err(Error::Module(faults));
        }
        let ready = link(engine, &module).map_err(|error| one(format!("{error:#}")))?;
        Ok(Self { engine: engine.clone(), ready, limits })
    }

    /// What one of its instances may use.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) fn ready(&self) -> &InstancePre<Host> {
        &self.ready
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Tells other kinds of files by their first bytes.
fn recognize(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MODULE_BYTES {
        return Err(format!("{} bytes are more than the {MODULE_BYTES} that a module may have", bytes.len()));
    }
    match bytes.split_first_chunk::<4>() {
        Some((b"\0asm", [1, 0, 0, 0, ..])) => Ok(()),
        Some((b"\0asm", [_, _, 1, 0, ..])) => {
            Err("a WebAssembly component; build a core module (for Rust: --target wasm32-unknown-unknown)".to_owned())
        }
        _ => Err("not a WebAssembly module: it does not begin with the bytes 00 61 73 6d 01 00 00 00".to_owned()),
    }
}

/// What is wrong with the exports.
fn missing(exports: &[(String, ExternType)], limits: Limits) -> Vec<String> {
    let mut faults = Vec::new();
    let find = |name: &str| exports.iter().find(|(exported, _)| exported == name).map(|(_, kind)| kind);
    let others = exports.iter().filter_map(|(name, _)| name.strip_prefix(ABI)).filter(|version| *version != "1");
    let others: Vec<_> = others.collect();
    if find(ABI_1).is_none() && !others.is_empty() {
        faults.push(format!("speaks ABI version {}; this hydrant speaks version 1", others.join(", ")));
    }
    match find("memory") {
        Some(ExternType::Memory(memory)) if memory.is_64() || memory.is_shared() => {
            faults.push("its memory is shared or of 64 bits; it must be neither".to_owned());
        }
        Some(ExternType::Memory(memory)) => {
            let bytes = memory.minimum().saturating_mul(memory.page_size());
            if bytes > limits.memory_bytes as u64 {
                let limit = limits.memory_bytes;
                faults.push(format!("it begins with {bytes} bytes of memory, more than the {limit} that it may have"));
            }
        }
        _ => faults.push("exports no memory of the name memory".to_owned()),
    }
    for (name, parameters, results, must) in FUNCTIONS {
        match find(name) {
            None if *must => faults.push(format!("exports no function {name}{}", signature(parameters, results))),
            Some(ExternType::Func(kind)) if matches(kind, parameters, results) => {}
            Some(_) => faults.push(format!("its export {name} is not a function {}", signature(parameters, results))),
            None => {}
        }
    }
    if find("_start").is_some() {
        faults.push("exports _start: it is a program that runs once, not a library; build it as a reactor".to_owned());
    }
    faults
}

fn unknown(module: &str, name: &str) -> Option<String> {
    let offered = host::OFFERED.contains(&(module, name)) || (module == wasi::MODULE && wasi::has(name));
    let hint = match module {
        _ if offered => return None,
        "__wbindgen_placeholder__" | "wbg" | "gojs" | "go" => "; it was built for a JavaScript host",
        "wasi_unstable" => "; it was built for a version of WASI before preview 1",
        _ => "",
    };
    Some(format!("imports {module}.{name}, which hydrant does not offer{hint}"))
}

fn link(engine: &Engine, module: &wasmtime::Module) -> wasmtime::Result<InstancePre<Host>> {
    let mut linker = Linker::new(engine.inner());
    host::offer(&mut linker)?;
    wasi::offer(&mut linker)?;
    // A module may import one function twice, under two types even.
    linker.allow_shadowing(true);
    for import in module.imports().filter(|import| import.module() == wasi::MODULE) {
        wasi::refuse(&mut linker, import.name(), &import.ty())?;
    }
    linker.instantiate_pre(module)
}

fn matches(kind: &FuncType, parameters: &[Number], results: &[Number]) -> bool {
    fn same(types: impl ExactSizeIterator<Item = ValType>, numbers: &[Number]) -> bool {
        types.len() == numbers.len()
            && types.zip(numbers).all(|(kind, number)| match number {
                I32 => matches!(kind, ValType::I32),
                I64 => matches!(kind, ValType::I64),
            })
    }
    same(kind.params(), parameters) && same(kind.results(), results)
}

fn signature(parameters: &[Number], results: &[Number]) -> String {
    let list = |numbers: &[Number]| numbers.iter().map(|number| number.name()).collect::<Vec<_>>().join(", ");
    match results {
        [] => format!("({})", list(parameters)),
        _ => format!("({}) -> {}", list(parameters), list(results)),
    }
}

#[derive(Clone, Copy, Debug)]
enum Number {
    I32,
    I64,
}

impl Number {
    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        }
    }
}

/// Name, parameters, results, and whether it must be there.
const FUNCTIONS: &[(&str, &[Number], &[Number], bool)] = &[
    (ABI_1, &[], &[], true),
    ("hydrant_alloc", &[I32], &[I32], true),
    ("hydrant_transform", &[I32, I32], &[I64], true),
    ("hydrant_init", &[I32, I32], &[I32], false),
    ("_initialize", &[], &[], false),
];

const ABI: &str = "hydrant_abi_";
const ABI_1: &str = "hydrant_abi_1";
const MODULE_BYTES: usize = 64 << 20;
