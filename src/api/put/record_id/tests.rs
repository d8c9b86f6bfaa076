use proptest::prelude::*;

use super::*;

fn identity(birth: u8, offset: u64, sub_index: u32) -> RecordIdentity {
    RecordIdentity { birth: Birth([birth; 16]), offset: Offset(offset), sub_index }
}

fn id_of(stream: StreamTag, identity: RecordIdentity) -> String {
    let mut out = Vec::new();
    RecordIds::new(stream, identity).write_next(&mut out);
    String::from_utf8(out).unwrap()
}

fn tag(stream: u8) -> StreamTag {
    StreamTag::of(StreamId([stream; 16]))
}

proptest! {
    #[test]
    fn an_id_says_what_it_was_made_from(stream: [u8; 16], birth: [u8; 16], offset: u64, sub_index: u32) {
        let identity = RecordIdentity { birth: Birth(birth), offset: Offset(offset), sub_index };
        let stream = StreamTag::of(StreamId(stream));
        prop_assert_eq!(decode(&id_of(stream, identity)), Ok(DecodedRecordId { stream, identity }));
    }
}

#[test]
fn ids_of_neighbours_are_the_ids_of_each() {
    for first in [0, 200, 65_400, (1 << 32) - 100, (1 << 56) - 1] {
        let mut ids = RecordIds::new(tag(1), identity(2, first, 3));
        let mut out = Vec::new();
        for offset in first..first + 300 {
            out.clear();
            ids.write_next(&mut out);
            assert_eq!(out, id_of(tag(1), identity(2, offset, 3)).into_bytes());
        }
    }
}

#[test]
fn the_text_is_pinned() {
    let id = id_of(tag(1), identity(2, 3, 4));
    assert_eq!(id.len(), RecordIds::TEXT_LENGTH);
    assert_eq!(id, "1nWBUBPvDFRLyUtTPyylDuAICAgICAgICAgICAgICAgIAAAAEAAAAAAAAAAP0dxI7");
}

#[test]
fn the_stream_shows_in_the_tag_only() {
    let decoded = decode(&id_of(tag(1), identity(2, 3, 4))).unwrap();
    assert_eq!(decoded.stream, tag(1));
    assert_ne!(decoded.stream, tag(2));
    assert_ne!(decoded.stream, StreamTag([1; 16]), "the id itself must not be readable");
}

#[test]
fn every_changed_character_is_found() {
    let id = id_of(tag(1), identity(2, 1_234_567_890, 4)).into_bytes();
    for at in 0..id.len() {
        for byte in (0..128).filter(|byte| *byte != id[at]) {
            let mut changed = id.clone();
            changed[at] = byte;
            let text = String::from_utf8(changed).unwrap();
            assert!(decode(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn every_exchange_of_neighbours_is_found() {
    for offset in 0..200 {
        let id = id_of(tag(1), identity(9, offset * 7_919_000_003, 4)).into_bytes();
        for at in (1..id.len()).filter(|at| id[*at] != id[*at - 1]) {
            let mut changed = id.clone();
            changed.swap(at, at - 1);
            let text = String::from_utf8(changed).unwrap();
            assert!(decode(&text).is_err(), "{text}");
        }
    }
}

#[test]
fn what_is_no_id_is_refused_with_the_reason() {
    let id = id_of(tag(1), identity(2, 3, 4));
    assert_eq!(decode(""), Err(RecordIdError::Length(0)));
    assert_eq!(decode(&id[..64]), Err(RecordIdError::Length(64)));
    assert_eq!(decode(&format!("{id}A")), Err(RecordIdError::Length(66)));
    assert_eq!(decode(&id.replacen('1', "2", 1)), Err(RecordIdError::Version('2')));
    assert_eq!(decode(&format!("{}=", &id[..64])), Err(RecordIdError::Alphabet));
    assert_eq!(decode(&format!("{}é", &id[..63])), Err(RecordIdError::Alphabet));
    assert_eq!(decode(&format!("é{}", &id[2..])), Err(RecordIdError::Version('é')));
}
