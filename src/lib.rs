//! hydrant: a self-hosted delivery service that speaks the Amazon Data Firehose API.
//!
//! The map, in the order in which a record meets the rooms:
//!
//! | Room | What |
//! |---|---|
//! | [`api`] | HTTP in: the AWS API, plain HTTP, status and metrics |
//! | [`catalog`] | which delivery streams exist, and what each is meant to do |
//! | [`log`] | everything that arrives is appended to a log before it is answered |
//! | [`delivery`] | everything that leaves is read from a log; a ledger says what has left |
//! | `hydrant_sinks` | the places that it leaves for |
//! | `hydrant_transforms` | what is done to it on the way |
//! | [`service`] | the one place that connects the rooms |
//! | [`cli`], [`settings`] | the command line; every knob |
//! | [`telemetry`] | every metric, named once |
//! | [`clock`] | the only door to time and chance |
//! | [`failpoint`] | where a test can have the process killed |
//!
//! The words that all of them share are in `hydrant_model`.

pub mod api;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod delivery;
pub mod failpoint;
pub mod log;
pub mod service;
pub mod settings;
pub mod telemetry;
