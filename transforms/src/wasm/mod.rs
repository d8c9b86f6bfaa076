//! Modules: programs of the user's, compiled to WebAssembly, that stand where AWS has a Lambda function.
//!
//! ```text
//!  Engine ─► Module ─► Pool ─► WasmTransform: Records ─► calls of a few hundred records ─► Records, Fates
//!  one a     one a     its            │ write request        ┌────────────┐
//!  process   file      instances      ├─────────────────────►│  instance  │  memory cap, deadline, no files, no network,
//!                                     │◄─────────────────────│            │  no clock and no chance unless granted
//!                                       read answer          └────────────┘
//! ```
//!
//! | File | What is in it |
//! |---|---|
//! | [`engine`] | the compiler and its settings, the cache of compiled code, the beat that deadlines count in |
//! | [`module`] | a module file: what it must export, what it may import |
//! | [`limits`] | what an instance may use, what it is granted |
//! | `abi` | the bytes of a call; `docs/modules.md` tells them to authors |
//! | `host`, `wasi` | what a module can ask of us |
//! | `instance`, [`fault`] | one instance, one call, and what can go wrong in it |
//! | [`pool`] | instances, kept and used again |
//! | `attempts` | what is tried again, and in which pieces |
//! | [`transform`] | records through a module |
//! | [`trial`] | what a module makes of some records, and whether it is a function of them |
//!
//! The room promises that no module can do more than fail its records: each goes on, is dropped by a verdict, or fails,
//! exactly once. An instance that trapped, overran or answered nonsense is never used again.

mod abi;
mod attempts;
pub mod engine;
pub mod fault;
mod host;
mod instance;
pub mod limits;
pub mod module;
pub mod pool;
#[cfg(test)]
mod tests;
pub mod transform;
pub mod trial;
mod wasi;

pub use engine::Engine;
pub use fault::Fault;
pub use limits::{Clock, Grants, Limits, Log, Random, Start};
pub use module::Module;
pub use pool::Pool;
pub use transform::WasmTransform;

/// Why a module cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The compiler cannot be set up here.
    #[error("cannot set up the compiler of modules")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The bytes are no module of ours. Each string says one thing that is wrong.
    #[error("{}", .0.join("; "))]
    Module(Vec<String>),
}
