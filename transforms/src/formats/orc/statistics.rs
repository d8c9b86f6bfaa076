//! What readers are told about the values of a column: in a row group, in a stripe, in the file.

mod text;

use std::ops::RangeInclusive;

use self::text::Texts;
pub(super) use self::text::decimal_text;
use super::proto;

/// Statistics of one column over some rows.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    /// Values that are not null.
    values: u64,
    has_null: bool,
    kind: Kind,
}

/// What is told of values of one type.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Structs: their number alone.
    Plain,
    Integers {
        range: Option<RangeInclusive<i64>>,
        sum: Option<i64>,
    },
    Floats {
        range: Option<RangeInclusive<f64>>,
        sum: f64,
    },
    Texts(Texts),
    /// How many are true.
    Booleans(u64),
    /// Unscaled, of this scale.
    Decimals {
        scale: i8,
        range: Option<RangeInclusive<i128>>,
        sum: Option<i128>,
    },
    Dates(Option<RangeInclusive<i32>>),
    /// Nanoseconds.
    Timestamps(Option<RangeInclusive<i64>>),
    /// Bytes of all.
    Binaries(u64),
    /// Items of each.
    Collections {
        range: Option<RangeInclusive<u64>>,
        sum: u64,
    },
}

impl Kind {
    pub(super) fn integers() -> Self {
        Self::Integers { range: None, sum: Some(0) }
    }

    pub(super) fn floats() -> Self {
        Self::Floats { range: None, sum: 0.0 }
    }

    pub(super) fn texts() -> Self {
        Self::Texts(Texts::default())
    }

    pub(super) fn decimals(scale: i8) -> Self {
        Self::Decimals { scale, range: None, sum: Some(0) }
    }

    pub(super) fn collections() -> Self {
        Self::Collections { range: None, sum: 0 }
    }

    fn fresh(&self) -> Self {
        match self {
            Self::Plain => Self::Plain,
            Self::Integers { .. } => Self::integers(),
            Self::Floats { .. } => Self::floats(),
            Self::Texts(_) => Self::texts(),
            Self::Booleans(_) => Self::Booleans(0),
            Self::Decimals { scale, .. } => Self::decimals(*scale),
            Self::Dates(_) => Self::Dates(None),
            Self::Timestamps(_) => Self::Timestamps(None),
            Self::Binaries(_) => Self::Binaries(0),
            Self::Collections { .. } => Self::collections(),
        }
    }
}

impl Statistics {
    pub(super) fn new(kind: Kind) -> Self {
        Self { values: 0, has_null: false, kind }
    }

    /// Counts so many values, of which the caller tells the rest one by one.
    pub(super) fn count(&mut self, values: usize) {
        self.values += values as u64;
    }

    pub(super) fn saw_null(&mut self) {
        self.has_null = true;
    }

    pub(super) fn integer(&mut self, value: i64) {
        if let Kind::Integers { range, sum } = &mut self.kind {
            widen(range, value);
            *sum = sum.and_then(|sum| sum.checked_add(value));
        }
    }

    /// What is not a number shows in the sum, which readers look at before they trust the range.
    pub(super) fn float(&mut self, value: f64) {
        if let Kind::Floats { range, sum } = &mut self.kind {
            if !value.is_nan() {
                widen(range, value);
            }
            *sum += value;
        }
    }

    pub(super) fn text(&mut self, value: &str) {
        if let Kind::Texts(texts) = &mut self.kind {
            texts.add(value);
        }
    }

    pub(super) fn trues(&mut self, count: usize) {
        if let Kind::Booleans(trues) = &mut self.kind {
            *trues += count as u64;
        }
    }

    pub(super) fn decimal(&mut self, unscaled: i128) {
        if let Kind::Decimals { range, sum, .. } = &mut self.kind {
            widen(range, unscaled);
            *sum = sum.and_then(|sum| sum.checked_add(unscaled));
        }
    }

    pub(super) fn date(&mut self, days: i32) {
        if let Kind::Dates(range) = &mut self.kind {
            widen(range, days);
        }
    }

    pub(super) fn timestamp(&mut self, nanos: i64) {
        if let Kind::Timestamps(range) = &mut self.kind {
            widen(range, nanos);
        }
    }

    pub(super) fn binary(&mut self, bytes: usize) {
        if let Kind::Binaries(sum) = &mut self.kind {
            *sum += bytes as u64;
        }
    }

    pub(super) fn collection(&mut self, items: u64) {
        if let Kind::Collections { range, sum } = &mut self.kind {
            widen(range, items);
            *sum += items;
        }
    }

    /// Takes these, and leaves none behind.
    pub(super) fn take(&mut self) -> Self {
        let fresh = Self::new(self.kind.fresh());
        std::mem::replace(self, fresh)
    }

    /// Adds those of other rows.
    pub(super) fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.has_null |= other.has_null;
        match (&mut self.kind, &other.kind) {
            (Kind::Integers { range, sum }, Kind::Integers { range: with, sum: more }) => {
                widen_by(range, with.as_ref());
                *sum = sum.zip(*more).and_then(|(sum, more)| sum.checked_add(more));
            }
            (Kind::Floats { range, sum }, Kind::Floats { range: with, sum: more }) => {
                widen_by(range, with.as_ref());
                *sum += more;
            }
            (Kind::Texts(texts), Kind::Texts(more)) => texts.merge(more),
            (Kind::Decimals { range, sum, .. }, Kind::Decimals { range: with, sum: more, .. }) => {
                widen_by(range, with.as_ref());
                *sum = sum.zip(*more).and_then(|(sum, more)| sum.checked_add(more));
            }
            (Kind::Dates(range), Kind::Dates(with)) => widen_by(range, with.as_ref()),
            (Kind::Timestamps(range), Kind::Timestamps(with)) => widen_by(range, with.as_ref()),
            (Kind::Booleans(sum), Kind::Booleans(more)) | (Kind::Binaries(sum), Kind::Binaries(more)) => *sum += more,
            (Kind::Collections { range, sum }, Kind::Collections { range: with, sum: more }) => {
                widen_by(range, with.as_ref());
                *sum += more;
            }
            _ => {}
        }
    }

    /// As the file says them.
    pub(super) fn message(&self) -> proto::ColumnStatistics {
        let mut message = proto::ColumnStatistics {
            number_of_values: Some(self.values),
            has_null: Some(self.has_null),
            ..proto::ColumnStatistics::default()
        };
        match &self.kind {
            Kind::Plain => {}
            Kind::Integers { range, sum } => {
                let (minimum, maximum) = ends(range.as_ref());
                message.int_statistics = Some(proto::IntegerStatistics { minimum, maximum, sum: *sum });
            }
            Kind::Floats { range, sum } => {
                let (minimum, maximum) = ends(range.as_ref());
                message.double_statistics = Some(proto::DoubleStatistics { minimum, maximum, sum: Some(*sum) });
            }
            Kind::Texts(texts) => message.string_statistics = Some(texts.message()),
            Kind::Booleans(trues) => {
                message.bucket_statistics = Some(proto::BucketStatistics { count: vec![*trues] });
            }
            Kind::Decimals { scale, range, sum } => {
                let text = |unscaled: i128| decimal_text(unscaled, *scale);
                let (minimum, maximum) = ends(range.as_ref());
                // A sum of more than 38 digits is none to readers.
                let sum = sum.filter(|sum| sum.unsigned_abs() < 10_u128.pow(38)).map(text);
                let (minimum, maximum) = (minimum.map(text), maximum.map(text));
                message.decimal_statistics = Some(proto::DecimalStatistics { minimum, maximum, sum });
            }
            Kind::Dates(range) => {
                let (minimum, maximum) = ends(range.as_ref());
                message.date_statistics = Some(proto::DateStatistics { minimum, maximum });
            }
            Kind::Timestamps(range) => message.timestamp_statistics = Some(timestamps(range.as_ref())),
            Kind::Binaries(sum) => {
                let sum = i64::try_from(*sum).ok();
                message.binary_statistics = Some(proto::BinaryStatistics { sum });
            }
            Kind::Collections { range, sum } => {
                let (min_children, max_children) = ends(range.as_ref());
                let total_children = Some(*sum);
                let collection = proto::CollectionStatistics { min_children, max_children, total_children };
                message.collection_statistics = Some(collection);
            }
        }
        message
    }
}

/// Milliseconds, and the nanoseconds within plus 1.
fn timestamps(range: Option<&RangeInclusive<i64>>) -> proto::TimestampStatistics {
    let (minimum, maximum) = ends(range);
    let millis = |nanos: i64| nanos.div_euclid(1_000_000);
    let rest = |nanos: i64| i32::try_from(nanos.rem_euclid(1_000_000) + 1).unwrap_or_default();
    proto::TimestampStatistics {
        minimum_utc: minimum.map(millis),
        maximum_utc: maximum.map(millis),
        minimum_nanos: minimum.map(rest),
        maximum_nanos: maximum.map(rest),
    }
}

fn widen<T: PartialOrd + Copy>(range: &mut Option<RangeInclusive<T>>, value: T) {
    match range {
        Some(known) if value < *known.start() => *range = Some(value..=*known.end()),
        Some(known) if value > *known.end() => *range = Some(*known.start()..=value),
        Some(_) => {}
        None => *range = Some(value..=value),
    }
}

fn widen_by<T: PartialOrd + Copy>(range: &mut Option<RangeInclusive<T>>, with: Option<&RangeInclusive<T>>) {
    if let Some(with) = with {
        widen(range, *with.start());
        widen(range, *with.end());
    }
}

fn ends<T: Copy>(range: Option<&RangeInclusive<T>>) -> (Option<T>, Option<T>) {
    (range.map(|range| *range.start()), range.map(|range| *range.end()))
}
