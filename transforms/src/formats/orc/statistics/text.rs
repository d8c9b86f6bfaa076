//! Smallest and largest string, or bounds of them where they are long; and decimals as text.

use crate::formats::orc::proto;

/// Statistics of strings.
#[derive(Clone, Debug, Default)]
pub(in crate::formats::orc) struct Texts {
    ends: Option<(Bound, Bound)>,
    /// Bytes of all values.
    bytes: u64,
}

/// The beginning of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bound {
    text: String,
    /// Whether the value goes on.
    cut: bool,
}

impl Texts {
    pub(super) fn add(&mut self, value: &str) {
        self.bytes += value.len() as u64;
        let Some((least, most)) = &mut self.ends else {
            let bound = Bound::of(value);
            self.ends = Some((bound.clone(), bound));
            return;
        };
        // Most values are between the ends, and need no more than this.
        if value <= least.text.as_str() || value >= most.text.as_str() {
            let bound = Bound::of(value);
            least.lower(&bound);
            most.raise(&bound);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.bytes += other.bytes;
        match (&mut self.ends, &other.ends) {
            (Some((least, most)), Some((low, high))) => {
                least.lower(low);
                most.raise(high);
            }
            (none, ends) => {
                if none.is_none() {
                    none.clone_from(ends);
                }
            }
        }
    }

    pub(super) fn message(&self) -> proto::StringStatistics {
        let mut message = proto::StringStatistics { sum: i64::try_from(self.bytes).ok(), ..Default::default() };
        if let Some((least, most)) = &self.ends {
            if least.cut {
                message.lower_bound = Some(least.text.clone());
            } else {
                message.minimum = Some(least.text.clone());
            }
            if most.cut {
                message.upper_bound = above(&most.text);
            } else {
                message.maximum = Some(most.text.clone());
            }
        }
        message
    }
}

impl Bound {
    fn of(value: &str) -> Self {
        let end = value.floor_char_boundary(MOST_BYTES);
        Self { text: value.split_at(end).0.to_owned(), cut: end < value.len() }
    }

    /// Takes `other` if it is smaller. Of two with the same text, a whole value is the smaller one.
    fn lower(&mut self, other: &Self) {
        if (other.text.as_str(), other.cut) < (self.text.as_str(), self.cut) {
            self.clone_from(other);
        }
    }

    fn raise(&mut self, other: &Self) {
        if (other.text.as_str(), other.cut) > (self.text.as_str(), self.cut) {
            self.clone_from(other);
        }
    }
}

/// The least text of its length that is above all that begin with `prefix`; `None` if there is none.
fn above(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // What follows a character is a character, or the gap of the surrogates.
        let next = (u32::from(last) + 1..).take(0x801).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// A decimal as readers write it: plain, without zeros at the end.
pub(in crate::formats::orc) fn decimal_text(unscaled: i128, scale: i8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let sign = if unscaled < 0 { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// As other writers cut.
const MOST_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_end_is_bounded_from_its_side() {
        let (low, high) = ("a".repeat(2_000), format!("{}é{}", "z".repeat(1_023), "z".repeat(9)));
        let mut texts = Texts::default();
        texts.add(&low);
        texts.add(&high);
        let message = texts.message();
        assert_eq!(message.lower_bound, Some("a".repeat(1_024)));
        assert_eq!(message.upper_bound, Some(format!("{}{{", "z".repeat(1_022))));
        assert_eq!((message.minimum, message.maximum, message.sum), (None, None, Some(2_000 + 1_034)));
        assert_eq!(above("a\u{d7ff}"), Some("a\u{e000}".to_owned()));
        assert_eq!(above("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(above("\u{10ffff}"), None);
    }

    #[test]
    fn a_whole_value_is_less_than_one_that_goes_on() {
        let (whole, more) = ("x".repeat(1_024), "x".repeat(1_025));
        for order in [[&whole, &more], [&more, &whole]] {
            let mut texts = Texts::default();
            for value in order {
                texts.add(value);
            }
            assert_eq!(texts.message().minimum.as_ref(), Some(&whole));
            assert_eq!(texts.message().upper_bound, above(&whole));
        }
    }

    #[test]
    fn decimals_are_plain_text() {
        let text = [(0, 2), (150, 2), (-5, 3), (1_000, 0), (-120, 2), (7, 10)]
            .map(|(value, scale)| decimal_text(value, scale));
        assert_eq!(text, ["0", "1.5", "-0.005", "1000", "-1.2", "0.0000000007"]);
    }

    proptest! {
        #[test]
        fn every_value_is_between_the_ends(values in prop::collection::vec("[a-c\u{7ff}\u{10ffff}]{0,3}", 1..20), cut in 0..20_usize) {
            let (one, other) = values.split_at(cut.min(values.len()));
            let mut all = Texts::default();
            for value in one {
                all.add(value);
            }
            let mut more = Texts::default();
            for value in other {
                more.add(value);
            }
            all.merge(&more);
            let message = all.message();
            prop_assert_eq!(message.minimum.as_ref(), values.iter().min());
            prop_assert_eq!(message.maximum.as_ref(), values.iter().max());
        }
    }
}
