//! The service through its socket: the binary as a process of its own, the real SDK, a real S3 protocol server.
//!
//! | Module | What it is about |
//! |---|---|
//! | [`road`] | what is put arrives: cuts, names, formats, order |
//! | [`changes`] | streams that are created, changed, paused, deleted while records wait |
//! | [`catalog`] | names, stream files, damaged folders, `--strict`, `check` |
//! | [`processing`] | processors, modules, partitions, the error output, the backup |
//! | [`partitions`] | what partition keys may say, and thousands of partitions that wait |
//! | [`conversion`] | format conversion: what is accepted, and where tables are found |
//! | [`subscription`] | CloudWatch's log events by service and level, as Parquet |
//! | [`bombs`] | records that unpack to a thousand times their size, or bring a column each |
//! | [`hostile`] | transform modules that do what they must not |
//! | [`promises`] | what must not happen: two processes, silent loss, a dead destination that spreads |
//! | [`crash`] | the process killed at random moments and at named phases |
//! | [`disk`] | the volume is full |
//! | [`hardship`] | deletion under load, a ledger that cannot be written, an address that was left |
//!
//! [`harness`] starts processes and looks at objects; the S3 server is the one that the sinks are tested with, and containers are
//! unpacked by what the codecs are tested with.
//!
//! Knobs: `HYDRANT_CRASH_KILLS` (kills of each of the two random runs, 100 unless told), `HYDRANT_CRASH_SEED` (repeats a run's
//! choices), `HYDRANT_MANY_PARTITIONS` (partitions that wait at once, 1,000 unless told), `HYDRANT_SKIP_MOUNTS=1` (leaves out
//! what must mount a small volume and therefore be root).

#![expect(clippy::disallowed_methods, reason = "tests drive real processes in real time")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

#[expect(dead_code, reason = "the tests of the room that runs them use the rest")]
#[path = "../../transforms/src/wasm/tests/guests.rs"]
mod guests;
mod harness;
#[expect(dead_code, reason = "the commands' tests use the rest")]
#[path = "../../src/cli/tests/server.rs"]
mod scripted;
#[expect(dead_code, reason = "the sinks' tests use the rest")]
#[path = "../../sinks/tests/conformance/server.rs"]
mod server;
#[path = "../../transforms/tests/conformance/unpack.rs"]
mod unpack;

mod bombs;
mod catalog;
mod changes;
mod conversion;
mod crash;
mod disk;
mod hardship;
mod hostile;
mod modules;
mod partitions;
mod processing;
mod promises;
mod refusals;
mod road;
mod subscription;
