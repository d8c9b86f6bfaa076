//! JSON as processors read it: one validating pass over the bytes, and no tree unless somebody builds one.
//!
//! The grammar is RFC 8259's, with jq's limits: containers lie [`DEEPEST`] deep at most, a high surrogate must have its low one
//! behind it, and a low one alone is U+FFFD. Bytes from 0x80 on are taken as they are; who needs UTF-8 checks it before.

mod lead;

pub use lead::Lead;

/// How deep containers may lie in each other, as in jq 1.6: what lies in a member of an object is two deeper than the object,
/// since a key counts too.
pub const DEEPEST: usize = 256;

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

/// A string as it stands between its quotes; its escapes are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted<'a> {
    /// Its bytes, escapes and all.
    pub raw: &'a [u8],
    /// Whether there are escapes.
    pub escaped: bool,
}

/// What a value is, with the bytes that it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// As it stands.
    Number(&'a [u8]),
    /// As it stands.
    Text(Quoted<'a>),
    /// An array or an object.
    Container,
}

impl<'a> Scanner<'a> {
    /// At the begin of `text`.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Bytes behind this place.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes over white space, and looks at the byte behind it.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        match self.text.get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.peek_further(),
        }
    }

    fn peek_further(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Goes over `lead` where it stands here byte for byte; whether it does.
    #[inline]
    pub fn pass_lead(&mut self, lead: &Lead) -> bool {
        let stands = self.text.get(self.at..).is_some_and(|rest| lead.begins(rest));
        self.at += if stands { lead.len() } else { 0 };
        stands
    }

    /// Goes over what stands between two members, or before the first, and over a key and its colon; `None` at the end of the
    /// object, which it goes over. The outer `None` where there is no such object.
    #[inline]
    pub fn member(&mut self, first: bool) -> Option<Option<Quoted<'a>>> {
        match (self.peek()?, first) {
            (b'}', _) => return self.pass(b'}').map(|()| None),
            (b',', false) => self.at += 1,
            (_, false) => return None,
            (_, true) => {}
        }
        self.peek()?;
        let key = self.key()?;
        self.expect(b':')?;
        Some(Some(key))
    }

    /// Goes over the bracket of an object in a container that lies `depth` deep.
    #[inline]
    pub fn enter(&mut self, depth: usize) -> Option<()> {
        self.open(b'{', depth)
    }

    /// Goes over white space; whether nothing is behind it.
    pub fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Goes over an object, which begins here, in a container that lies `depth` deep. Calls `member` behind each colon with the
    /// key, which must go over the value. `None` where there is no such object.
    #[inline]
    pub fn object(&mut self, depth: usize, mut member: impl FnMut(&mut Self, Quoted<'a>) -> Option<()>) -> Option<()> {
        self.open(b'{', depth)?;
        if self.peek()? == b'}' {
            return self.pass(b'}');
        }
        loop {
            let key = self.key()?;
            self.expect(b':')?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.pass(b'}'),
            }
            self.peek()?;
        }
    }

    /// Goes over an array, as [`Scanner::object`] does; `element` is called before each element.
    #[inline]
    pub fn array(&mut self, depth: usize, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[', depth)?;
        if self.peek()? == b']' {
            return self.pass(b']');
        }
        loop {
            element(self)?;
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.pass(b']'),
            }
        }
    }

    /// Goes over a value of any kind, in containers that lie `depth` deep. `None` where there is none.
    pub fn value(&mut self, depth: usize) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Scalar::Text),
            b'{' | b'[' => self.skip(depth).map(|()| Scalar::Container),
            _ => self.literal(),
        }
    }

    /// [`Scanner::value`] for those who do not ask what it is.
    #[inline]
    pub fn skip(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b'{' | b'[' => self.skip_container(depth),
            _ => self.literal().map(drop),
        }
    }

    fn skip_container(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(depth, |scanner, _| scanner.skip(depth + 2)),
            _ => self.array(depth, |scanner| scanner.skip(depth + 1)),
        }
    }

    /// Goes over `null`, a boolean or a number, which begins here.
    #[inline]
    pub fn literal(&mut self) -> Option<Scalar<'a>> {
        match self.text.get(self.at)? {
            b't' => self.word(b"true").map(|()| Scalar::Bool(true)),
            b'f' => self.word(b"false").map(|()| Scalar::Bool(false)),
            b'n' => self.word(b"null").map(|()| Scalar::Null),
            _ => self.number().map(Scalar::Number),
        }
    }

    /// Goes over a string, which begins here.
    #[inline]
    pub fn string(&mut self) -> Option<Quoted<'a>> {
        self.pass(b'"')?;
        let begin = self.at;
        self.string_up_to(begin, plain_end(self.text, begin))
    }

    /// [`Scanner::string`] for a key: keys are short and the same in most records, so that byte after byte is the fastest way to
    /// find their ends, which the processor guesses and goes on.
    #[inline]
    fn key(&mut self) -> Option<Quoted<'a>> {
        self.pass(b'"')?;
        let begin = self.at;
        let mut end = begin;
        while self.text.get(end).is_some_and(|byte| !is_special(*byte)) {
            end += 1;
        }
        self.string_up_to(begin, end)
    }

    /// The string that began at `begin` and whose first special byte stands at `end`.
    #[inline]
    fn string_up_to(&mut self, begin: usize, end: usize) -> Option<Quoted<'a>> {
        let (end, escaped) = match self.text.get(end)? {
            b'"' => (end, false),
            // Only a place is given back: a struct of one way and of the other would meet in memory, where each string waits.
            _ => (self.escaped_end(end)?, true),
        };
        self.at = end + 1;
        Some(Quoted { raw: self.text.get(begin..end)?, escaped })
    }

    /// Where the string ends that has something else than a quote at `special`.
    #[cold]
    fn escaped_end(&self, special: usize) -> Option<usize> {
        let mut at = special;
        loop {
            match self.text.get(at)? {
                b'"' => return Some(at),
                b'\\' => at = self.text.len() - escape(self.text.get(at + 1..)?)?.1.len(),
                _ => return None,
            }
            at = plain_end(self.text, at);
        }
    }

    #[inline]
    fn number(&mut self) -> Option<&'a [u8]> {
        let begin = self.at;
        let mut at = begin + usize::from(self.text.get(begin) == Some(&b'-'));
        at = match self.text.get(at)? {
            b'0' => at + 1,
            _ => digits_end(self.text, at)?,
        };
        if let Some(b'.') = self.text.get(at) {
            at = digits_end(self.text, at + 1)?;
        }
        if let Some(b'e' | b'E') = self.text.get(at) {
            let sign = matches!(self.text.get(at + 1), Some(b'+' | b'-'));
            at = digits_end(self.text, at + 1 + usize::from(sign))?;
        }
        self.at = at;
        self.text.get(begin..at)
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        if !self.text.get(self.at..)?.starts_with(word) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    #[inline]
    fn open(&mut self, bracket: u8, depth: usize) -> Option<()> {
        if depth >= DEEPEST {
            return None;
        }
        self.pass(bracket)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.peek()?;
        self.pass(byte)
    }

    #[inline]
    fn pass(&mut self, byte: u8) -> Option<()> {
        if *self.text.get(self.at)? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }
}

impl Quoted<'_> {
    /// What it stands for.
    pub fn text(&self) -> String {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while !rest.is_empty() {
            let (plain, special) = rest.split_at(plain_end(rest, 0));
            out.extend_from_slice(plain);
            let Some((character, after)) = special.split_first().and_then(|(_, after)| escape(after)) else { break };
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = after;
        }
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Whether it stands for `text`.
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { self.text() == text } else { self.raw == text.as_bytes() }
    }
}

/// Where the first quote, backslash or control character stands from `from` on, or else the end.
#[inline]
fn plain_end(text: &[u8], from: usize) -> usize {
    let mut at = from;
    // Eight bytes at once: a byte is special where one of these differences borrows through its highest bit. Only bytes above a
    // special one can be taken for special wrongly, so the lowest is always right.
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*word);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & (ONES << 7);
        if found != 0 {
            return at + usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !is_special(*byte)) {
        at += 1;
    }
    at
}

/// Whether a byte does not stand for itself in a string.
#[inline]
fn is_special(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1F)
}

const ONES: u64 = u64::from_le_bytes([1; 8]);

/// Reads an escape behind its backslash: the character and what follows.
fn escape(text: &[u8]) -> Option<(char, &[u8])> {
    let (kind, rest) = text.split_first()?;
    let character = match kind {
        b'"' | b'\\' | b'/' => char::from(*kind),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return code_point(rest),
        _ => return None,
    };
    Some((character, rest))
}

fn code_point(text: &[u8]) -> Option<(char, &[u8])> {
    let (unit, rest) = four_digits(text)?;
    if !(0xD800..0xDC00).contains(&unit) {
        // A low surrogate by itself is no character.
        return Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), rest));
    }
    let (low, rest) = four_digits(rest.strip_prefix(b"\\u")?)?;
    if !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))?, rest))
}

fn four_digits(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let unit = digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))?;
    Some((unit, rest))
}

/// Where the digits end of which there is at least one at `from`.
#[inline]
fn digits_end(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    (at > from).then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.value(0).is_some() && scanner.at_end()
    }

    #[test]
    fn it_takes_what_jq_takes_and_nothing_else() {
        for text in
            [r#""\udc00""#, r#""\ud83d\ude00""#, "0", "-0.5e+7", "[ ]", r#"{"a" : [ 1 , {} ]}"#, "\t\"é\\u0000\""]
        {
            assert!(valid(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "1e",
            "tru",
            "nul",
            "[1,]",
            "{,}",
            r#"{"a":1,}"#,
            "[1 2]",
            r#"{"a" 1}"#,
            r#""\ud800""#,
            r#""\ud800\ud800""#,
            r#""\q""#,
            r#""\u12g4""#,
            "\"\t\"",
            "\"",
            "\"a\\",
            "{} {}",
            "[",
            "{\"a\":",
            "NaN",
        ] {
            assert!(!valid(text.as_bytes()), "{text}");
        }
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(valid(&nested(DEEPEST)));
        assert!(!valid(&nested(DEEPEST + 1)));
        let objects = |depth: usize| format!("{}{{}}{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes();
        assert!(valid(&objects(DEEPEST / 2 - 1)));
        assert!(!valid(&objects(DEEPEST / 2)));
        assert!(!valid(&vec![b'['; 1_000_000]));
    }

    #[test]
    fn special_bytes_are_found_wherever_they_stand() {
        for special in ["\"", "\\", "\u{1f}", "\u{0}"] {
            for before in 0..40 {
                let text = format!("{}{special}!\u{80}\"", "\u{7f}".repeat(before));
                assert_eq!(plain_end(text.as_bytes(), 0), before, "{text:?}");
            }
        }
    }

    const WORDS: &[&str] = &[
        "{", "}", "[", "]", ":", ",", "\"", "\"a\"", "\\", "\\n", "true", "fals", "null", "0", "1", "-", ".", "1.5",
        " ", "\t", "\u{1}", "[1,2]", "{\"k\":", "{}", "é",
    ];

    proptest! {
        // Without exponents, which serde_json has a range for, and without lone surrogates, which it refuses.
        #[test]
        fn it_agrees_with_serde_json_on_bent_documents(words in proptest::collection::vec(proptest::sample::select(WORDS), 0..12)) {
            let text = words.concat();
            let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
            prop_assert_eq!(valid(text.as_bytes()), theirs, "{}", text);
        }

        #[test]
        fn strings_stand_for_what_was_written(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let mut scanner = Scanner::new(written.as_bytes());
            let quoted = scanner.string().unwrap();
            prop_assert_eq!(quoted.text(), text);
            prop_assert_eq!(scanner.position(), written.len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = valid(&bytes);
            let _ = Quoted { raw: &bytes, escaped: true }.text();
        }
    }
}
