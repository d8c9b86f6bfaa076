//! hydrant: a self-hosted delivery service that speaks the Amazon Data Firehose API.
//!
//! The map, in the order in which a record meets the rooms:
//!
//! | Room | What |
//! |---|---|
//! | `hydrant_sinks` | the places that it leaves for |
//! | `hydrant_transforms` | what is done to it on the way |
//!
//! The words that all of them share are in `hydrant_model`.

