//! Which delivery streams exist, and what each is meant to do.
//!
//! A stream is described by a *document*: a `CreateDeliveryStream` request, or a stream file of the same shape. It is held
//! against a [`Rulebook`] and becomes a [`Definition`], which is stored ([`Store`]) in AWS's own words, described to users
//! ([`describe()`]), changed ([`UpdateDestination`], [`Change`], [`tags`]) and read into a [`Plan`] for delivery.
//!
//! Promises: a document is taken whole or refused whole, with the service's own message where one is known; an option that
//! this version cannot act on is refused and never silently dropped; a definition that was answered for is on disk.
//!
//! Decisions here take time, ids and place as arguments; only [`Store`] and [`files`] touch the disk.

pub mod files;
pub mod tags;

mod definition;
mod describe;
mod error;
mod form;
mod plan;
mod processing;
mod requests;
mod rulebook;
mod settings;
mod store;
mod update;

pub use definition::{DESTINATION_ID, Definition, Destination, StreamType};
pub use describe::{Place, describe};
pub use error::Error;
pub use files::{Applied, Change, FileFault, Folder, StreamFile};
pub use plan::{Gzip, Plan};
pub use processing::{Conversion, EntryFacts, Kept, Processing, Processor, Remote, Stage, Table, TableError};
pub use requests::{DeleteStream, DescribeStream, ListStreams};
pub use rulebook::Rulebook;
pub use settings::{Durability, GzipMembers, OnDelete, SettingFault, Settings};
pub use store::{Loaded, SetAside, State, Store, StoreError, Stream};
pub use update::UpdateDestination;

pub(crate) use store::{FORMAT, read_json, sync_names, write_bytes, write_json};

#[cfg(test)]
pub(crate) mod tests;
