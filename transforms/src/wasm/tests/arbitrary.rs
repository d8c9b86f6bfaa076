//! Answers of arbitrary bytes: nothing panics, and no record is lost or doubled.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::guests::answering;
use super::*;

/// A module whose answer is the data of the first record of its request.
fn parrot() -> Bench {
    let body = "(i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get $at) (i32.const 24))) (i64.const 32))
        (i64.extend_i32_u (i32.load offset=12 (local.get $at))))";
    Bench::new(&answering(body))
}

/// An answer that is nearly right.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let key = (vec(any::<u8>(), 0..4), vec(prop_oneof![Just(b'v'), any::<u8>()], 0..6));
    let data = prop_oneof![vec(b' '..b'~', 0..12), vec(any::<u8>(), 0..12)];
    let one = (0_u32..7, 0_u8..5, data, vec(key, 0..3));
    let answer = vec(one, 0..9).prop_map(|answers| {
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        bytes.extend(u32::try_from(answers.len()).unwrap().to_le_bytes());
        for (id, verdict, data, keys) in answers {
            let (data, keys) = match verdict {
                0 => (data, keys),
                1 => (Vec::new(), keys),
                2 => (Vec::new(), Vec::new()),
                _ => (data, Vec::new()),
            };
            bytes.extend(id.to_le_bytes());
            bytes.extend([verdict, 0, u8::try_from(keys.len()).unwrap(), 0]);
            bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            bytes.extend(data);
            for (name, value) in keys {
                bytes.extend(u32::try_from(name.len()).unwrap().to_le_bytes());
                bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
                bytes.extend(name.into_iter().chain(value));
            }
        }
        bytes
    });
    (answer, vec((any::<Index>(), any::<u8>()), 0..3), prop::option::weighted(0.2, any::<Index>())).prop_map(
        |(mut bytes, changes, cut)| {
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        },
    )
}

#[test]
fn answers_of_arbitrary_bytes_neither_lose_nor_double_a_record() {
    let bench = parrot();
    let answers = prop_oneof![vec(any::<u8>(), 0..80), nearly(), nearly()];
    let mut seen = std::collections::BTreeSet::new();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(3000));
    let seen_here = std::cell::RefCell::new(&mut seen);
    runner
        .run(&(answers, vec(vec(any::<u8>(), 0..6), 0..5)), |(answer, others)| {
            let records: Vec<_> = std::iter::once(answer).chain(others).collect();
            // Which way each record goes, and that it is one, is asserted in there.
            for fate in outcome(&bench.transform, &records) {
                let kind = fate.split(' ').next().unwrap_or_default();
                seen_here.borrow_mut().insert(kind.get(..1).filter(|sign| *sign == "+").unwrap_or(kind).to_owned());
            }
            Ok(())
        })
        .unwrap();
    let expected =
        ["+", "-", "DuplicatedRecordId", "JsonProcessingException", "MissingRecordId", "ProcessingFailedStatus"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected, "the answers come in every shape");
}

#[test]
fn keys_of_the_prefix_are_filled_from_an_answer() {
    let mut answer = vec![1, 0, 0, 0, 2, 0, 0, 0];
    answer.extend([1, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0]);
    answer.extend([7, 0, 0, 0, 2, 0, 0, 0]);
    answer.extend(b"countryDE");
    answer.extend([5, 0, 0, 0, 1, 0, 0, 0]);
    answer.extend(b"other?");
    answer.extend([0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    let arrived = arrived(&[answer, b"click".to_vec()]);
    let records = Records::of(&arrived, wanted(&["type", "country"]));
    let mut fates = Fates::default();
    let after = parrot().transform.apply(records, &arrived, &mut fates);
    assert_eq!(fates.failures, []);
    assert_eq!(after.keys(0).collect::<Vec<_>>(), [None, None]);
    assert_eq!(after.keys(1).collect::<Vec<_>>(), [None, Some("DE")]);
}
