//! A transform tried where it is written: in `cargo test`, without a host.

use crate::answer::{Answer, Answers, DROPPED, FAILED, OK, Reply};
use crate::{Record, abi};

/// What a transform said of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Ok {
        /// As this; `None` if as it is.
        data: Option<String>,
        /// With these partition keys.
        keys: Vec<(String, String)>,
    },
    /// It is dropped.
    Dropped,
    /// It fails with this text.
    Failed(String),
}

impl Outcome {
    /// It goes on as `data`, without partition keys.
    pub fn ok(data: &str) -> Self {
        Self::Ok { data: Some(data.to_owned()), keys: Vec::new() }
    }
}

/// What `transform` says of `records`, which arrived at 2026-01-01T00:00:00Z.
pub fn run<R: Reply>(transform: impl FnMut(Record<'_>, Answer<'_>) -> R, records: &[&str]) -> Vec<Outcome> {
    let number = |value: usize| u32::try_from(value).expect("a test has few and short records").to_le_bytes();
    let mut request = [1_u32.to_le_bytes(), number(records.len())].concat();
    for (id, record) in records.iter().enumerate() {
        request.extend([number(id), number(record.len())].concat());
        request.extend(1_767_225_600_000_u64.to_le_bytes());
        request.extend(record.as_bytes());
    }
    let mut answers = Answers::default();
    abi::answer(&request, &mut answers, transform);
    let mut rest = answers.bytes.get(8..).expect("answers have a header");
    records.iter().map(|_| outcome(&mut rest)).collect()
}

fn outcome(rest: &mut &[u8]) -> Outcome {
    let header = take(rest, 12);
    let keys = u16::from_le_bytes([header[6], header[7]]);
    let length = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let data = text(rest, length);
    let keys = (0..keys).map(|_| {
        let [name, value] = [(); 2].map(|()| u32::from_le_bytes(*take(rest, 4).first_chunk().expect("four bytes")));
        (text(rest, name), text(rest, value))
    });
    let keys = keys.collect();
    match header[4] {
        OK => Outcome::Ok { data: Some(data), keys },
        DROPPED => Outcome::Dropped,
        FAILED => Outcome::Failed(data),
        _ => Outcome::Ok { data: None, keys },
    }
}

fn text(rest: &mut &[u8], length: u32) -> String {
    let bytes = take(rest, usize::try_from(length).expect("an address has 32 bits at least"));
    String::from_utf8_lossy(bytes).into_owned()
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> &'a [u8] {
    let (taken, behind) = rest.split_at(bytes);
    *rest = behind;
    taken
}
