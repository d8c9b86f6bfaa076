//! What object sinks keep with an intent in the ledger.
//!
//! A note is one JSON object, always with the address at which the object can become visible:
//!
//! ```text
//! {"endpoint":"http://127.0.0.1:9000","bucket":"b"}                  a request that can make the object visible is being sent
//! {"endpoint":"http://127.0.0.1:9000","bucket":"b","upload":"id"}    the same, and a multipart upload is open there
//! ```
//!
//! Notes exist for two questions: which uploads may be aborted, and, when an intent is addressed anew, which older addresses
//! have to be asked first. A note costs a sync of the ledger, so there are as few as possible:
//!
//! - A multipart upload has one note, synced before its first part: upload id and address together. It names the address
//!   earlier than needed (only the completing request can make the object visible), which at worst asks an old address that
//!   has nothing.
//! - A single request needs a note before it is sent, unless a note of this intent names the address already. The service can
//!   therefore write [`hydrant_model::Sink::announcement`] into the ledger *with the intent*, in the sync that it pays anyway: the
//!   sink finds it in [`Notes::earlier`] and adds none. An intent that is addressed anew has no note of the new address, and
//!   the sink adds one itself. So the rule holds whether or not the service helps.

use bytes::Bytes;
use hydrant_model::{BodyError, Notes};
use serde::{Deserialize, Serialize};

/// A place where the object of an intent can become visible.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// The server or directory, as a URL.
    pub endpoint: String,
    /// The bucket there.
    pub bucket: String,
}

/// Every address at which an intent with these notes may have become visible, oldest first, each once.
pub fn addresses(notes: &[Bytes]) -> Vec<Address> {
    let mut found = Vec::new();
    for note in notes.iter().filter_map(Note::parse) {
        if !found.contains(&note.address) {
            found.push(note.address);
        }
    }
    found
}

/// One note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Where the object can become visible.
    #[serde(flatten)]
    pub(crate) address: Address,
    /// A multipart upload that was open there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<String>,
}

impl Note {
    /// The note that `address` is about to get a request.
    pub(crate) fn sending(address: Address) -> Self {
        Self { address, upload: None }
    }

    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("two strings and an optional one always serialize").into()
    }

    /// Reads a note back; `None` for one of another sink or of a newer version, which is then nobody's to act on.
    pub(crate) fn parse(bytes: &Bytes) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Makes sure that a note names `address` before a request goes there that can make the object visible.
pub(crate) async fn announce(notes: &mut dyn Notes, address: &Address) -> Result<(), BodyError> {
    let known = notes.earlier().iter().filter_map(Note::parse).any(|note| note.address == *address);
    if known { Ok(()) } else { notes.add(Note::sending(address.clone()).to_bytes()).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bucket: &str) -> Address {
        Address { endpoint: "http://h:1".into(), bucket: bucket.into() }
    }

    #[test]
    fn a_note_survives_the_ledger() {
        let note = Note { address: address("b"), upload: Some("u".into()) };
        assert_eq!(&note.to_bytes()[..], br#"{"endpoint":"http://h:1","bucket":"b","upload":"u"}"#);
        assert_eq!(Note::parse(&note.to_bytes()), Some(note));
    }

    #[test]
    fn addresses_are_listed_once_and_foreign_notes_are_passed_over() {
        let notes = [
            Note::sending(address("a")).to_bytes(),
            Bytes::from_static(b"\x01not ours"),
            Note { address: address("a"), upload: Some("u".into()) }.to_bytes(),
            Note::sending(address("b")).to_bytes(),
        ];
        assert_eq!(addresses(&notes), [address("a"), address("b")]);
    }
}
