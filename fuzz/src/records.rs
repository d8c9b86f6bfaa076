//! Records as processors get them, and which way each one went.

use std::sync::Arc;

use hydrant_model::{Birth, KeySource, Offset, RecordIdentity};
use hydrant_transforms::records::{Arrived, Fates, Records, Source, Span, WantedKey};

/// Which way a record went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// On, as these bytes and with these partition keys.
    On(Vec<u8>, Vec<Option<String>>),
    /// It is not to be delivered.
    Dropped,
    /// To the error output, with this code.
    Failed(String),
}

/// Sends `records` through `apply` and says of each which way it went.
///
/// # Panics
/// A record that went two ways, the order of the others, an error entry without its bytes, a wrong count of what was dropped.
pub fn ways(
    records: &[&[u8]],
    names: &[&str],
    source: KeySource,
    apply: impl FnOnce(Records, &Arrived, &mut Fates) -> Records,
) -> Vec<Way> {
    let arrived = arrived(records);
    let wanted: Arc<[WantedKey]> = names.iter().map(|name| WantedKey { source, name: (*name).to_owned() }).collect();
    let mut fates = Fates::default();
    let after = apply(Records::of(&arrived, wanted), &arrived, &mut fates);
    let mut ways = vec![Way::Dropped; records.len()];
    let mut last = None;
    for (at, (record, bytes)) in after.iter().enumerate() {
        let source = record.origin.source;
        assert!(last < Some(source), "records keep their order, and each is there once");
        last = Some(source);
        let keys = after.keys(at).map(|key| key.map(str::to_owned)).collect();
        ways[source as usize] = Way::On(bytes.to_vec(), keys);
    }
    for failure in &fates.failures {
        let way = &mut ways[failure.origin.source as usize];
        assert_eq!(*way, Way::Dropped, "a record went two ways");
        assert_eq!(after.raw(&arrived, failure.origin), records[failure.origin.source as usize]);
        *way = Way::Failed(failure.code.to_string());
    }
    let dropped = ways.iter().filter(|way| **way == Way::Dropped).count() as u64;
    assert_eq!(dropped, fates.dropped, "what went nowhere was dropped by a verdict");
    ways
}

fn arrived(records: &[&[u8]]) -> Arrived {
    let (mut bytes, mut sources) = (Vec::new(), Vec::new());
    for (record, offset) in records.iter().zip(0..) {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(record);
        let identity = RecordIdentity { birth: Birth([1; 16]), offset: Offset(offset), sub_index: 0 };
        sources.push(Source { span: Span { start, end: bytes.len() as u32 }, arrival_ms: offset, identity });
    }
    Arrived { bytes: Arc::new(bytes.into()), sources }
}
