//! Strings and bytes: one behind the other with their lengths, or numbers of entries in a dictionary.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, GenericStringType};

use super::{Leaf, Seen, encoding};
use crate::formats::orc::integers::Integers;
use crate::formats::orc::proto::{ColumnEncoding, EncodingKind, StreamKind};
use crate::formats::orc::stream::Stream;
use crate::formats::orc::{Compression, FormatVersion};

/// Bytes of values, and the length of each.
struct Lengthy {
    data: Stream,
    lengths: Integers,
}

impl Lengthy {
    fn new(version: FormatVersion, compression: Compression) -> Self {
        Self { data: Stream::new(compression), lengths: Integers::unsigned(version, compression) }
    }

    fn push(&mut self, value: &[u8]) {
        self.data.bytes().extend_from_slice(value);
        self.lengths.push(i64::try_from(value.len()).unwrap_or(i64::MAX));
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.data.position(positions);
        self.lengths.position(positions);
    }

    fn streams(&mut self, data: StreamKind) -> Vec<(StreamKind, &mut Stream)> {
        vec![(data, &mut self.data), (StreamKind::Length, self.lengths.stream())]
    }

    fn memory_bytes(&self) -> usize {
        self.data.memory_bytes() + self.lengths.memory_bytes()
    }
}

/// binary, and string, char, varchar without dictionary.
pub(in crate::formats::orc) struct Direct<T> {
    version: FormatVersion,
    values: Lengthy,
    of: PhantomData<fn() -> T>,
}

impl<T> Direct<T> {
    pub(in crate::formats::orc) fn new(version: FormatVersion, compression: Compression) -> Self {
        Self { version, values: Lengthy::new(version, compression), of: PhantomData }
    }
}

impl<T: ByteArrayType<Native: Told>> Leaf for Direct<T> {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        each::<T>(array, rows, |value| {
            self.values.push(value.as_ref());
            value.tell(seen);
        });
    }

    fn flush(&mut self) {
        self.values.lengths.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        self.values.position(positions);
    }

    fn end_group(&mut self) {}

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.flush();
        encoding(self.version)
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        self.values.streams(StreamKind::Data)
    }

    fn memory_bytes(&self) -> usize {
        self.values.memory_bytes()
    }
}

/// What statistics and filters are told of a value.
pub(in crate::formats::orc) trait Told {
    fn tell(&self, seen: &mut Seen<'_>);
}

impl Told for [u8] {
    fn tell(&self, seen: &mut Seen<'_>) {
        seen.statistics.binary(self.len());
        if let Some(bloom) = &mut seen.bloom {
            bloom.bytes(self);
        }
    }
}

impl Told for str {
    fn tell(&self, seen: &mut Seen<'_>) {
        seen.statistics.text(self);
        if let Some(bloom) = &mut seen.bloom {
            bloom.bytes(self.as_bytes());
        }
    }
}

/// string, char, varchar with a dictionary, as long as few enough of a stripe's first row group are different.
///
/// A column that turned out to be not worth one stays without for the rest of the file.
pub(in crate::formats::orc) struct Keyed {
    version: FormatVersion,
    compression: Compression,
    /// Most entries a value.
    threshold: f64,
    state: State,
    /// Whether the stripe that the state is of is over.
    ended: bool,
    entries: HashMap<Box<[u8]>, u32>,
    /// The entries in the order of their numbers, for the file.
    dictionary: Lengthy,
    /// Bytes of the entries.
    bytes: usize,
    numbers: Integers,
    direct: Lengthy,
}

/// What is done with values.
enum State {
    /// Their numbers are kept until the first row group ends.
    Looking(Vec<u32>),
    Keyed,
    Direct,
}

impl Keyed {
    pub(in crate::formats::orc) fn new(threshold: f64, version: FormatVersion, compression: Compression) -> Self {
        Self {
            version,
            compression,
            threshold,
            state: State::Looking(Vec::new()),
            ended: false,
            entries: HashMap::new(),
            dictionary: Lengthy::new(version, compression),
            bytes: 0,
            numbers: Integers::unsigned(version, compression),
            direct: Lengthy::new(version, compression),
        }
    }

    fn push(&mut self, value: &[u8]) {
        if matches!(self.state, State::Direct) {
            return self.direct.push(value);
        }
        if std::mem::take(&mut self.ended) {
            self.state = State::Looking(Vec::new());
        }
        let number = self.number(value);
        match &mut self.state {
            State::Looking(numbers) => numbers.push(number),
            State::Keyed | State::Direct => self.numbers.push(number.into()),
        }
    }

    /// The entry of `value`, made where there is none.
    fn number(&mut self, value: &[u8]) -> u32 {
        if let Some(number) = self.entries.get(value) {
            return *number;
        }
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.insert(value.into(), number);
        self.dictionary.push(value);
        self.bytes += value.len() + ENTRY_BYTES;
        number
    }

    /// Decides, if that has not been done yet, and encodes what was kept.
    #[expect(clippy::cast_precision_loss, reason = "numbers of values are far below 2^52")]
    fn decide(&mut self) {
        let State::Looking(numbers) = &mut self.state else { return };
        let numbers = std::mem::take(numbers);
        if self.entries.len() as f64 <= numbers.len() as f64 * self.threshold {
            self.state = State::Keyed;
            for number in numbers {
                self.numbers.push(number.into());
            }
            return;
        }
        self.state = State::Direct;
        let mut values: Vec<_> = self.entries.drain().map(|(value, number)| (number, value)).collect();
        values.sort_unstable_by_key(|(number, _)| *number);
        for number in numbers {
            let entry = usize::try_from(number).ok().and_then(|number| values.get(number));
            self.direct.push(entry.map_or(&[], |(_, value)| value));
        }
        self.forget();
    }

    fn forget(&mut self) {
        self.entries = HashMap::new();
        self.bytes = 0;
        self.dictionary = Lengthy::new(self.version, self.compression);
    }
}

impl Leaf for Keyed {
    fn write(&mut self, array: &dyn Array, rows: &[Range<usize>], seen: &mut Seen<'_>) {
        each::<GenericStringType<i32>>(array, rows, |value| {
            self.push(value.as_bytes());
            value.tell(seen);
        });
    }

    fn flush(&mut self) {
        self.numbers.flush();
        self.direct.lengths.flush();
    }

    fn position(&self, positions: &mut Vec<u64>) {
        match self.state {
            State::Direct => self.direct.position(positions),
            State::Looking(_) | State::Keyed => self.numbers.position(positions),
        }
    }

    fn end_group(&mut self) {
        self.decide();
    }

    fn end_stripe(&mut self) -> ColumnEncoding {
        self.decide();
        self.flush();
        if matches!(self.state, State::Direct) {
            return encoding(self.version);
        }
        self.dictionary.lengths.flush();
        let kind = match self.version {
            FormatVersion::V0_11 => EncodingKind::Dictionary,
            FormatVersion::V0_12 => EncodingKind::DictionaryV2,
        };
        let dictionary_size = u32::try_from(self.entries.len()).ok();
        self.entries = HashMap::new();
        self.bytes = 0;
        self.ended = true;
        ColumnEncoding { kind: Some(kind.into()), dictionary_size, bloom_encoding: None }
    }

    fn streams(&mut self) -> Vec<(StreamKind, &mut Stream)> {
        if matches!(self.state, State::Direct) {
            return self.direct.streams(StreamKind::Data);
        }
        let mut streams = self.dictionary.streams(StreamKind::DictionaryData);
        streams.insert(0, (StreamKind::Data, self.numbers.stream()));
        streams
    }

    fn memory_bytes(&self) -> usize {
        let kept = if let State::Looking(numbers) = &self.state { numbers.capacity() * 4 } else { 0 };
        let lengthy = self.dictionary.memory_bytes() + self.direct.memory_bytes();
        kept + self.bytes + lengthy + self.numbers.memory_bytes()
    }
}

/// Calls `take` with each value of `array` in `rows`.
fn each<'a, T: ByteArrayType>(array: &'a dyn Array, rows: &[Range<usize>], mut take: impl FnMut(&'a T::Native)) {
    let array = array.as_bytes::<T>();
    for run in rows {
        run.clone().for_each(|row| take(array.value(row)));
    }
}

/// What the map holds of an entry beside its bytes.
const ENTRY_BYTES: usize = 48;
