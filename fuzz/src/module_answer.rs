//! Answers of transform modules: read as a naive reader reads them, and each record goes one way.

use std::sync::OnceLock;

use hydrant_model::KeySource;
use hydrant_transforms::wasm::{Engine, Limits, Module, Pool, Start, WasmTransform};

use crate::records::{Way, ways};

/// Runs an answer about a few records: the first byte says about how many.
pub fn check(data: &[u8]) {
    let Some((count, answer)) = data.split_first() else { return };
    let mut records = vec![answer];
    records.resize(1 + usize::from(count % 5), b"another record");
    let names = ["k", "country"];
    let made =
        ways(&records, &names, KeySource::Lambda, |records, arrived, fates| parrot().apply(records, arrived, fates));
    let naive = answers(answer).map_or_else(
        || vec![Way::Failed("Lambda.JsonProcessingException".to_owned()); records.len()],
        |answers| (0..).zip(&records).map(|(id, record)| way(&answers, id, record, &names)).collect(),
    );
    assert_eq!(made, naive);
}

/// What an answer says of one record.
struct Answer<'a> {
    id: u32,
    verdict: u8,
    data: &'a [u8],
    keys: Vec<(&'a str, &'a str)>,
}

/// The whole of an answer as `docs/modules.md` describes it, or nothing.
fn answers(bytes: &[u8]) -> Option<Vec<Answer<'_>>> {
    let mut rest = bytes;
    if number(&mut rest, 4)? != 1 {
        return None;
    }
    let mut answers = Vec::new();
    for _ in 0..number(&mut rest, 4)? {
        let id = number(&mut rest, 4)?;
        let (verdict, zero) = (number(&mut rest, 1)? as u8, number(&mut rest, 1)?);
        let (keys, length) = (number(&mut rest, 2)?, number(&mut rest, 4)?);
        let data = take(&mut rest, length)?;
        let is_right = match verdict {
            0 => true,
            1 => data.is_empty(),
            2 => data.is_empty() && keys == 0,
            3 => keys == 0 && std::str::from_utf8(data).is_ok(),
            _ => false,
        };
        if zero != 0 || !is_right {
            return None;
        }
        let mut read = Vec::new();
        for _ in 0..keys {
            let (name, value) = (number(&mut rest, 4)?, number(&mut rest, 4)?);
            let (name, value) = (take(&mut rest, name)?, take(&mut rest, value)?);
            read.push((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?));
        }
        answers.push(Answer { id, verdict, data, keys: read });
    }
    rest.is_empty().then_some(answers)
}

fn way(answers: &[Answer<'_>], id: u32, record: &[u8], names: &[&str]) -> Way {
    let failed = |code: &str| Way::Failed(format!("Lambda.{code}"));
    let about: Vec<_> = answers.iter().filter(|answer| answer.id == id).collect();
    let [answer] = about.as_slice() else {
        return failed(if about.is_empty() { "MissingRecordId" } else { "DuplicatedRecordId" });
    };
    let value =
        |name: &&str| answer.keys.iter().rev().find(|(key, _)| key == name).map(|(_, value)| (*value).to_owned());
    let keys = names.iter().map(value).collect();
    match answer.verdict {
        0 => Way::On(answer.data.to_vec(), keys),
        1 => Way::On(record.to_vec(), keys),
        2 => Way::Dropped,
        _ => failed("ProcessingFailedStatus"),
    }
}

fn number(rest: &mut &[u8], bytes: u32) -> Option<u32> {
    Some(take(rest, bytes)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

fn take<'a>(rest: &mut &'a [u8], bytes: u32) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes as usize)?;
    *rest = after;
    Some(taken)
}

/// A module whose answer is the data of the first record of its request.
fn parrot() -> &'static WasmTransform {
    static PARROT: OnceLock<WasmTransform> = OnceLock::new();
    PARROT.get_or_init(|| {
        let bytes = wat::parse_str(TEXT).expect("a module");
        let module = Module::load(&Engine::new(None).expect("a compiler"), &bytes, Limits::default());
        WasmTransform::new(Pool::new(module.expect("a module"), Start::default()), 1 << 20, 3)
    })
}

const TEXT: &str = r#"(module (memory (export "memory") 2) (func (export "hydrant_abi_1"))
    (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 64))
    (func (export "hydrant_transform") (param $at i32) (param $length i32) (result i64)
        (i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get $at) (i32.const 24))) (i64.const 32))
            (i64.extend_i32_u (i32.load offset=12 (local.get $at))))))"#;

/// What inputs are bent with.
pub const WORDS: &[&str] = &["\x01\0\0\0", "\0\0\0\0", "\x02\0\0\0", "\x03\0", "k", "country", "é"];
