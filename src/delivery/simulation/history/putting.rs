//! What is put to the stream of a history: nothing, little, much, poison, and what looks like the log's own frames.

use super::{History, records, within};
use crate::delivery::simulation::record::{self, Id, POISON};
use crate::delivery::simulation::table::Becoming;
use crate::log::{Durability, Payload, Placement};

impl History {
    /// Appends that may share a group; nobody waits for them.
    pub(super) async fn put(&mut self) {
        let handle = self.walking().handle.clone();
        if within(1, handle.begun()).await.is_none() {
            return;
        }
        for _ in 0..=self.below(3) {
            let (mut lengths, mut body) = (Vec::new(), Vec::new());
            let mut ids = Vec::new();
            for _ in 0..=self.below(6) {
                let record = self.record(&mut ids);
                lengths.push(u32::try_from(record.len()).expect("short"));
                body.extend_from_slice(&record);
            }
            let payload = Payload { lengths, body: body.into() };
            let synced = self.below(5) > 0;
            let level = if synced { Durability::Synced } else { Durability::Written };
            let answer = self.walking().log.submit(payload, level, Placement::Behind);
            if !synced {
                self.walking().handle.written();
            }
            self.promises.put(ids, synced, answer.ok());
        }
    }

    fn record(&mut self, ids: &mut Vec<Option<Id>>) -> Vec<u8> {
        let length = match self.below(20) {
            0 => {
                ids.push(None);
                return Vec::new();
            }
            1 => {
                let filler = self.frames();
                return self.identified(ids, &filler);
            }
            2 | 3 => self.below(6000),
            _ => self.below(200),
        };
        let filler = vec![b'x'; usize::try_from(length).expect("short")];
        self.identified(ids, &filler)
    }

    fn identified(&mut self, ids: &mut Vec<Option<Id>>, filler: &[u8]) -> Vec<u8> {
        let poison = self.kind.staged && self.below(6) == 0;
        let id = self.next_id + if poison { POISON } else { 0 };
        self.next_id += 1;
        ids.push(Some(id));
        if self.kind.becoming == Becoming::Bytes { record::make(id, filler) } else { record::make_json(id, filler) }
    }

    /// A copy of what stands in a segment: frames inside a record.
    fn frames(&mut self) -> Vec<u8> {
        let files = self.disk.files();
        let segment = files.into_iter().rfind(|(path, _)| path.starts_with(records()));
        let bytes = segment.map(|(_, bytes)| bytes).unwrap_or_default();
        let from = usize::try_from(self.below(3)).expect("small") * 64;
        bytes.get(from..bytes.len().min(from + 3000)).unwrap_or_default().to_vec()
    }
}
