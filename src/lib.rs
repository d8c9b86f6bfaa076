//! hydrant: a self-hosted delivery service that speaks the Amazon Data Firehose API.
//!
//! The map, in the order in which a record meets the rooms:
//!
//! | Room | What |
//! |---|---|
//! | [`catalog`] | which delivery streams exist, and what each is meant to do |
//! | [`log`] | everything that arrives is appended to a log before it is answered |
//! | `hydrant_sinks` | the places that it leaves for |
//! | `hydrant_transforms` | what is done to it on the way |
//! | [`clock`] | the only door to time and chance |
//! | [`failpoint`] | where a test can have the process killed |
//!
//! The words that all of them share are in `hydrant_model`.

pub mod catalog;
pub mod clock;
pub mod failpoint;
pub mod log;
