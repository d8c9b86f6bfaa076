//! Bloom filters of row groups: whether a value may be in one.
//!
//! A value is hashed to 64 bits, strings and bytes by murmur3 (its 64-bit form, seed 104729), numbers by Thomas Wang's mix; the
//! two halves make as many positions as there are hash functions. The bits are words of 64, little-endian.
//!
//! Source: <https://orc.apache.org/specification/ORCv1/> (Bloom Filter Index)

use super::proto;

/// The filter of the row group under way.
pub(super) struct Bloom {
    functions: u32,
    words: Vec<u64>,
}

impl Bloom {
    /// For so many values, of which so few others are taken for them.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sizes of filters are far below 2^52, and positive"
    )]
    pub(super) fn new(values: usize, false_positives: f64) -> Self {
        let (count, two) = (values as f64, std::f64::consts::LN_2);
        let bits = (-count * false_positives.ln() / (two * two)) as usize;
        let words = bits / 64 + 1;
        let functions = ((words * 64) as f64 / count * two).round().max(1.0) as u32;
        Self { functions, words: vec![0; words] }
    }

    pub(super) fn integer(&mut self, value: i64) {
        self.add(mixed(value));
    }

    pub(super) fn float(&mut self, value: f64) {
        // One bit pattern for whatever is not a number, as other writers have it.
        let value = if value.is_nan() { f64::NAN } else { value };
        self.integer(value.to_bits().cast_signed());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.add(murmur3(value));
    }

    fn add(&mut self, hash: u64) {
        let (low, high) = halves(hash);
        let bits = (self.words.len() * 64) as u64;
        for function in 1..=self.functions {
            let combined = low.wrapping_add(high.wrapping_mul(function.cast_signed()));
            let combined = if combined < 0 { !combined } else { combined };
            let at = u64::from(combined.unsigned_abs()) % bits;
            let word = usize::try_from(at / 64).ok().and_then(|word| self.words.get_mut(word));
            if let Some(word) = word {
                *word |= 1 << (at % 64);
            }
        }
    }

    /// The filter as the file has it, and an empty one in its place.
    pub(super) fn take(&mut self) -> proto::BloomFilter {
        let bits = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.words.fill(0);
        proto::BloomFilter { num_hash_functions: Some(self.functions), utf8_bitset: Some(bits) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.len() * 8
    }
}

#[expect(clippy::cast_possible_truncation, reason = "halves of a hash")]
fn halves(hash: u64) -> (i32, i32) {
    (hash as i32, (hash >> 32) as i32)
}

fn mixed(value: i64) -> u64 {
    let signed_shift = |key: u64, bits: u32| (key.cast_signed() >> bits).cast_unsigned();
    let mut key = value.cast_unsigned();
    key = (!key).wrapping_add(key << 21);
    key ^= signed_shift(key, 24);
    key = key.wrapping_add(key << 3).wrapping_add(key << 8);
    key ^= signed_shift(key, 14);
    key = key.wrapping_add(key << 2).wrapping_add(key << 4);
    key ^= signed_shift(key, 28);
    key.wrapping_add(key << 31)
}

fn murmur3(bytes: &[u8]) -> u64 {
    let scrambled =
        |word: u64| word.wrapping_mul(0x87c3_7b91_1142_53d5).rotate_left(31).wrapping_mul(0x4cf5_ad43_2745_937f);
    let mut hash = SEED;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        hash ^= scrambled(little_endian(word));
        hash = hash.rotate_left(27).wrapping_mul(5).wrapping_add(0x52dc_e729);
    }
    if !words.remainder().is_empty() {
        hash ^= scrambled(little_endian(words.remainder()));
    }
    hash ^= bytes.len() as u64;
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const SEED: u64 = 104_729;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_has_the_size_that_readers_expect() {
        // Of 10,000 values and 5 %: 62,352 bits and the 48 that fill the last word; 4 functions.
        let mut bloom = Bloom::new(10_000, 0.05);
        let message = bloom.take();
        assert_eq!(message.num_hash_functions, Some(4));
        assert_eq!(message.utf8_bitset.map(|bits| bits.len() * 8), Some(62_400));
    }

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let mut bloom = Bloom::new(1_000, 0.05);
        (0..1_000).for_each(|value| bloom.bytes(format!("value {value}").as_bytes()));
        let full = bloom.words.clone();
        let found = |text: String| {
            let mut one = Bloom::new(1_000, 0.05);
            one.bytes(text.as_bytes());
            one.words.iter().zip(&full).all(|(one, all)| one & all == *one)
        };
        assert!((0..1_000).all(|value| found(format!("value {value}"))));
        let wrong = (1_000..3_000).filter(|value| found(format!("value {value}"))).count();
        assert!(wrong < 200, "{wrong} of 2000 found that are not there");
    }
}
