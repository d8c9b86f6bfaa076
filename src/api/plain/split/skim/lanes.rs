//! Eight words of 64 bits each, and what is done with them here: a bit stands for a byte of 512.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_alignr_epi64, _mm512_and_si512, _mm512_andnot_si512, _mm512_cmpeq_epi64_mask,
    _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_movepi64_mask,
    _mm512_or_si512, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shldi_epi64, _mm512_slli_epi64,
    _mm512_storeu_si512, _mm512_test_epi64_mask, _mm512_xor_si512,
};

/// 512 bits; the lowest of the first lane stands for the first byte.
pub(super) type Lanes = __m512i;

/// Brings 64 bytes into a register.
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "the language has no safe way into a vector register of this size")]
pub(super) fn load(bytes: &[u8; 64]) -> Lanes {
    // SAFETY: the reference is to 64 bytes that may be read, and the instruction wants no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// The words.
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "the language has no safe way out of a vector register of this size")]
pub(super) fn words(lanes: Lanes) -> [u64; 8] {
    let mut words = [0; 8];
    // SAFETY: the reference is to 64 bytes that may be written, and the instruction wants no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), lanes) };
    words
}

/// The words of `words` as lanes.
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "the language has no safe way into a vector register of this size")]
pub(super) fn of_words(words: &[u64; 8]) -> Lanes {
    // SAFETY: the reference is to 64 bytes that may be read, and the instruction wants no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn none() -> Lanes {
    _mm512_setzero_si512()
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn and(a: Lanes, b: Lanes) -> Lanes {
    _mm512_and_si512(a, b)
}

/// What is in `a` and not in `b`.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn less(a: Lanes, b: Lanes) -> Lanes {
    _mm512_andnot_si512(b, a)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn or(a: Lanes, b: Lanes) -> Lanes {
    _mm512_or_si512(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn xor(a: Lanes, b: Lanes) -> Lanes {
    _mm512_xor_si512(a, b)
}

/// What is not in `a`.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn not(a: Lanes) -> Lanes {
    xor(a, _mm512_set1_epi64(-1))
}

/// All that is in one of them.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn any_of<const N: usize>(all: [Lanes; N]) -> Lanes {
    let mut any = none();
    for lanes in all {
        any = or(any, lanes);
    }
    any
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn is_none(lanes: Lanes) -> bool {
    _mm512_test_epi64_mask(lanes, lanes) == 0
}

/// Moves bits to later bytes, from block to block.
#[derive(Clone, Copy)]
pub(super) struct Shift(Lanes);

impl Shift {
    /// At the start, with no bit before.
    #[target_feature(enable = "avx512f")]
    pub(super) fn new() -> Self {
        Self(none())
    }

    /// At the start, as if a bit had been right before.
    #[target_feature(enable = "avx512f")]
    pub(super) fn after_bit() -> Self {
        Self(_mm512_set1_epi64(i64::MIN))
    }

    /// Every bit one byte later.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    pub(super) fn by_one(&mut self, lanes: Lanes) -> Lanes {
        let before = self.before(lanes);
        _mm512_shldi_epi64::<1>(lanes, before)
    }

    /// Every bit one, two, three and four bytes later.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    pub(super) fn by_up_to_four(&mut self, lanes: Lanes) -> [Lanes; 4] {
        let before = self.before(lanes);
        [
            _mm512_shldi_epi64::<1>(lanes, before),
            _mm512_shldi_epi64::<2>(lanes, before),
            _mm512_shldi_epi64::<3>(lanes, before),
            _mm512_shldi_epi64::<4>(lanes, before),
        ]
    }

    /// The word before each word.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn before(&mut self, lanes: Lanes) -> Lanes {
        _mm512_alignr_epi64::<7>(lanes, std::mem::replace(&mut self.0, lanes))
    }
}

/// Finds the ends of runs, from block to block.
#[derive(Clone, Copy, Default)]
pub(super) struct Runs {
    carry: u32,
}

impl Runs {
    /// Whether no run that was started goes on after the block.
    pub(super) fn are_over(self) -> bool {
        self.carry == 0
    }

    /// Each bit of `starts` moved past the run of `run` that starts there, if one does.
    ///
    /// A start lies nowhere in a run but at its start. Adding it there carries to the first byte behind the run.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn ends(&mut self, starts: Lanes, run: Lanes) -> Lanes {
        let full = _mm512_set1_epi64(-1);
        let sum = _mm512_add_epi64(starts, run);
        let overflown = u32::from(_mm512_cmplt_epu64_mask(sum, run)) << 1 | self.carry;
        // A carry runs through the words that are full, as it does through the bits of this sum.
        let fulls = u32::from(_mm512_cmpeq_epi64_mask(sum, full));
        let [raised, carry, ..] = ((overflown + fulls) ^ fulls).to_le_bytes();
        self.carry = u32::from(carry);
        less(_mm512_mask_sub_epi64(sum, raised, sum, full), run)
    }
}

/// Tells the inside of strings from the outside, from block to block.
#[derive(Clone, Copy, Default)]
pub(super) struct Inside {
    /// All ones while the next byte lies in a string.
    carry: u8,
}

impl Inside {
    /// From every other quote up to before the next.
    #[target_feature(enable = "avx512f,avx512dq")]
    #[inline]
    pub(super) fn between(&mut self, quotes: Lanes) -> Lanes {
        let mut lanes = xor(quotes, _mm512_slli_epi64::<1>(quotes));
        lanes = xor(lanes, _mm512_slli_epi64::<2>(lanes));
        lanes = xor(lanes, _mm512_slli_epi64::<4>(lanes));
        lanes = xor(lanes, _mm512_slli_epi64::<8>(lanes));
        lanes = xor(lanes, _mm512_slli_epi64::<16>(lanes));
        lanes = xor(lanes, _mm512_slli_epi64::<32>(lanes));
        // The same once more over the words: which of them end inside.
        let mut ends = _mm512_movepi64_mask(lanes);
        ends ^= ends << 1;
        ends ^= ends << 2;
        ends ^= ends << 4;
        ends ^= self.carry;
        let starts = ends << 1 | self.carry & 1;
        self.carry = 0_u8.wrapping_sub(ends >> 7);
        _mm512_mask_xor_epi64(lanes, starts, lanes, _mm512_set1_epi64(-1))
    }
}
