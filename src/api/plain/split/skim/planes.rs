//! The kinds of the bytes of a block, as bits.
//!
//! A table gives each byte a code of eight bits: four name groups, the others a kind within the group. Then the codes of 512
//! bytes are turned into eight registers with a bit of every code each, so that a kind is found for all of them at once.

use std::arch::x86_64::{
    _mm512_gf2p8affine_epi64_epi8, _mm512_maskz_permutex2var_epi8, _mm512_movepi8_mask, _mm512_permutexvar_epi8,
    _mm512_set1_epi64, _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
};

use super::BLOCK;
use super::lanes::{Lanes, and, less, load, none, or};

/// The kinds of the bytes of a block. Bytes beyond ASCII are of no kind.
pub(super) struct Planes {
    codes: [Lanes; 4],
    /// White space, control characters, the quote and the backslash.
    pub(super) spaces: Lanes,
    /// Brackets, comma and colon, and the backslash.
    pub(super) marks: Lanes,
    numbers: Lanes,
    letters: Lanes,
    /// Whether all of the block is.
    pub(super) is_ascii: bool,
}

/// The letters of literals.
pub(super) struct Letters {
    pub(super) t: Lanes,
    pub(super) r: Lanes,
    pub(super) u: Lanes,
    pub(super) e: Lanes,
    pub(super) f: Lanes,
    pub(super) a: Lanes,
    pub(super) l: Lanes,
    pub(super) s: Lanes,
    pub(super) n: Lanes,
}

impl Planes {
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
    #[inline]
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        let (low, high) = (load(&LOW_CODES), load(&HIGH_CODES));
        let (backwards, gathered) = (load(&BACKWARDS), load(&GATHERED));
        let mut seen = none();
        let mut rows = [none(); 8];
        let (parts, _) = block.as_chunks::<64>();
        for (row, part) in rows.iter_mut().zip(parts) {
            let bytes = load(part);
            seen = or(seen, bytes);
            let bytes = _mm512_shuffle_epi8(bytes, backwards);
            let ascii = !_mm512_movepi8_mask(bytes);
            let codes = _mm512_maskz_permutex2var_epi8(ascii, low, bytes, high);
            // Eight bytes are a matrix of 8 x 8 bits. The product of the unit matrix with it is itself, the other way round.
            let turned = _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(UNIT), codes);
            *row = _mm512_permutexvar_epi8(gathered, turned);
        }
        let [a, b, c, d, spaces, marks, numbers, letters] = turned(&rows);
        let is_ascii = _mm512_movepi8_mask(seen) == 0;
        Self { codes: [a, b, c, d], spaces, marks, numbers, letters, is_ascii }
    }

    /// `\`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn backslashes(&self) -> Lanes {
        and(self.spaces, self.marks)
    }

    /// Below 0x20.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn controls(&self) -> Lanes {
        let [a, ..] = self.codes;
        and(self.spaces, a)
    }

    /// White space of JSON that is no line feed.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn blanks(&self) -> Lanes {
        let [_, b, ..] = self.codes;
        and(self.spaces, b)
    }

    /// Line feeds.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn feeds(&self) -> Lanes {
        let [.., c, _] = self.codes;
        and(self.spaces, c)
    }

    /// `"`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn quotes(&self) -> Lanes {
        let [.., d] = self.codes;
        and(self.spaces, d)
    }

    /// `[` and `{`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn opens(&self) -> Lanes {
        let [a, ..] = self.codes;
        and(self.marks, a)
    }

    /// `]` and `}`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn closes(&self) -> Lanes {
        let [_, b, ..] = self.codes;
        and(self.marks, b)
    }

    /// `,`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn commas(&self) -> Lanes {
        let [.., c, _] = self.codes;
        and(self.marks, c)
    }

    /// `:`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn colons(&self) -> Lanes {
        let [.., d] = self.codes;
        and(self.marks, d)
    }

    /// `0` to `9`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn digits(&self) -> Lanes {
        let [a, ..] = self.codes;
        and(self.numbers, a)
    }

    /// `-` and `+`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn signs(&self) -> Lanes {
        let [.., c, _] = self.codes;
        and(self.numbers, c)
    }

    /// `.`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn dots(&self) -> Lanes {
        let [.., d] = self.codes;
        and(self.numbers, d)
    }

    /// `0`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn zeros(&self) -> Lanes {
        let [a, b, ..] = self.codes;
        and(self.numbers, and(a, b))
    }

    /// `+`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn pluses(&self) -> Lanes {
        let [_, b, c, _] = self.codes;
        and(self.numbers, and(b, c))
    }

    /// `e` and `E`
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn exponents(&self) -> Lanes {
        let [a, b, c, _] = self.codes;
        less(and(self.letters, c), or(a, b))
    }

    /// The letters of literals.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn letters(&self) -> Letters {
        let [a, b, c, d] = self.codes;
        let (one, two, three) = (less(a, b), less(b, a), and(a, b));
        let low = less(self.letters, or(c, d));
        let middle = less(and(self.letters, c), d);
        let high = less(and(self.letters, d), c);
        Letters {
            t: and(low, one),
            r: and(low, two),
            u: and(low, three),
            e: less(middle, or(a, b)),
            f: and(middle, one),
            a: and(middle, two),
            l: and(middle, three),
            s: less(high, or(a, b)),
            n: and(high, one),
        }
    }
}

/// Lane m of row n becomes lane n of row m.
#[target_feature(enable = "avx512f")]
#[inline]
fn turned(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = *rows;
    let [p0, p2, p4, p6] = quarters([
        _mm512_unpacklo_epi64(r0, r1),
        _mm512_unpacklo_epi64(r2, r3),
        _mm512_unpacklo_epi64(r4, r5),
        _mm512_unpacklo_epi64(r6, r7),
    ]);
    let [p1, p3, p5, p7] = quarters([
        _mm512_unpackhi_epi64(r0, r1),
        _mm512_unpackhi_epi64(r2, r3),
        _mm512_unpackhi_epi64(r4, r5),
        _mm512_unpackhi_epi64(r6, r7),
    ]);
    [p0, p1, p2, p3, p4, p5, p6, p7]
}

/// Quarter m of row n becomes quarter n of row m.
#[target_feature(enable = "avx512f")]
#[inline]
fn quarters([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    let (ab, cd) = (_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0x44>(c, d));
    let (ab_late, cd_late) = (_mm512_shuffle_i64x2::<0xEE>(a, b), _mm512_shuffle_i64x2::<0xEE>(c, d));
    [
        _mm512_shuffle_i64x2::<0x88>(ab, cd),
        _mm512_shuffle_i64x2::<0xDD>(ab, cd),
        _mm512_shuffle_i64x2::<0x88>(ab_late, cd_late),
        _mm512_shuffle_i64x2::<0xDD>(ab_late, cd_late),
    ]
}

/// The code of a byte of ASCII.
const fn code(byte: u8) -> u8 {
    match byte {
        b'\t' | b'\r' => SPACES | A | B,
        b'\n' => SPACES | A | C,
        ..0x20 => SPACES | A,
        b' ' => SPACES | B,
        b'"' => SPACES | D,
        b'\\' => SPACES | MARKS,
        b'{' | b'[' => MARKS | A,
        b'}' | b']' => MARKS | B,
        b',' => MARKS | C,
        b':' => MARKS | D,
        b'0' => NUMBERS | A | B,
        b'1'..=b'9' => NUMBERS | A,
        b'-' => NUMBERS | C,
        b'+' => NUMBERS | C | B,
        b'.' => NUMBERS | D,
        b't' => LETTERS | A,
        b'r' => LETTERS | B,
        b'u' => LETTERS | B | A,
        b'e' => LETTERS | C,
        b'f' => LETTERS | C | A,
        b'a' => LETTERS | C | B,
        b'l' => LETTERS | C | B | A,
        b's' => LETTERS | D,
        b'n' => LETTERS | D | A,
        b'E' => LETTERS | D | C,
        _ => 0,
    }
}

/// The codes of 64 bytes from `first` on.
const fn codes(first: u8) -> [u8; 64] {
    let mut codes = [0; 64];
    let (mut rest, mut byte) = (codes.as_mut_slice(), first);
    while let Some((next, after)) = rest.split_first_mut() {
        *next = code(byte);
        (rest, byte) = (after, byte + 1);
    }
    codes
}

/// Brings the first bytes of all eight words together, then the second ones and so on.
const fn gathered() -> [u8; 64] {
    let mut places = [0; 64];
    let (mut rest, mut to) = (places.as_mut_slice(), 0);
    while let Some((place, after)) = rest.split_first_mut() {
        *place = to % 8 * 8 + to / 8;
        (rest, to) = (after, to + 1);
    }
    places
}

/// Turns the bytes of each word round. A shuffle counts within 16 bytes.
const fn backwards() -> [u8; 64] {
    let mut places = [0; 64];
    let (mut rest, mut to) = (places.as_mut_slice(), 0);
    while let Some((place, after)) = rest.split_first_mut() {
        *place = to % 16 / 8 * 8 + 7 - to % 8;
        (rest, to) = (after, to + 1);
    }
    places
}

const A: u8 = 1 << 0;
const B: u8 = 1 << 1;
const C: u8 = 1 << 2;
const D: u8 = 1 << 3;
const SPACES: u8 = 1 << 4;
const MARKS: u8 = 1 << 5;
const NUMBERS: u8 = 1 << 6;
const LETTERS: u8 = 1 << 7;

const LOW_CODES: [u8; 64] = codes(0);
const HIGH_CODES: [u8; 64] = codes(64);
const BACKWARDS: [u8; 64] = backwards();
const GATHERED: [u8; 64] = gathered();
/// A word whose byte n is 1 << n.
const UNIT: i64 = i64::from_le_bytes([1, 2, 4, 8, 16, 32, 64, 128]);
