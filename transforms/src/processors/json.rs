//! JSON as processors read it: one validating pass over the bytes, and no tree unless somebody builds one.
//!
//! The grammar is RFC 8259's, with jq's limits: containers lie [`DEEPEST`] deep at most, a high surrogate must have its low one
//! behind it, and a low one alone is U+FFFD. Bytes from 0x80 on are taken as they are; who needs UTF-8 checks it before.

/// How deep containers may lie in each other, as in jq 1.6: what lies in a member of an object is two deeper than the object,
/// since a key counts too.
pub const DEEPEST: usize = 256;

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub struct Scanner<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
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
        Self { whole: text, rest: text }
    }

    /// Bytes behind this place.
    pub fn position(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    /// Goes over white space, and looks at the byte behind it.
    pub fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    /// Goes over white space; whether nothing is behind it.
    pub fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Goes over an object, which begins here, in a container that lies `depth` deep. Calls `member` behind each colon with the
    /// key, which must go over the value. `None` where there is no such object.
    pub fn object(&mut self, depth: usize, mut member: impl FnMut(&mut Self, Quoted<'a>) -> Option<()>) -> Option<()> {
        self.open(b'{', depth)?;
        if self.peek()? == b'}' {
            return self.pass(b'}');
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            member(self, key)?;
            match self.peek()? {
                b',' => self.pass(b',')?,
                _ => return self.pass(b'}'),
            }
            self.peek()?;
        }
    }

    /// Goes over an array, as [`Scanner::object`] does; `element` is called before each element.
    pub fn array(&mut self, depth: usize, mut element: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.open(b'[', depth)?;
        if self.peek()? == b']' {
            return self.pass(b']');
        }
        loop {
            element(self)?;
            match self.peek()? {
                b',' => self.pass(b',')?,
                _ => return self.pass(b']'),
            }
        }
    }

    /// Goes over a value of any kind, in containers that lie `depth` deep. `None` where there is none.
    pub fn value(&mut self, depth: usize) -> Option<Scalar<'a>> {
        match self.peek()? {
            b'"' => self.string().map(Scalar::Text),
            b'{' => self.object(depth, |scanner, _| scanner.value(depth + 2).map(drop)).map(|()| Scalar::Container),
            b'[' => self.array(depth, |scanner| scanner.value(depth + 1).map(drop)).map(|()| Scalar::Container),
            _ => self.literal(),
        }
    }

    /// Goes over `null`, a boolean or a number, which begins here.
    pub fn literal(&mut self) -> Option<Scalar<'a>> {
        match self.rest.first()? {
            b't' => self.word(b"true").map(|()| Scalar::Bool(true)),
            b'f' => self.word(b"false").map(|()| Scalar::Bool(false)),
            b'n' => self.word(b"null").map(|()| Scalar::Null),
            _ => self.number().map(Scalar::Number),
        }
    }

    /// Goes over a string, which begins here.
    pub fn string(&mut self) -> Option<Quoted<'a>> {
        let [b'"', inside @ ..] = self.rest else { return None };
        let (mut rest, mut escaped) = (inside, false);
        loop {
            rest = plain(rest);
            match rest {
                [b'"', after @ ..] => {
                    let (raw, _) = inside.split_at_checked(inside.len() - rest.len())?;
                    self.rest = after;
                    return Some(Quoted { raw, escaped });
                }
                [b'\\', after @ ..] => {
                    escaped = true;
                    rest = escape(after)?.1;
                }
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<&'a [u8]> {
        let begin = self.rest;
        let mut rest = begin.strip_prefix(b"-").unwrap_or(begin);
        rest = match rest {
            [b'0', after @ ..] => after,
            _ => digits(rest)?,
        };
        if let [b'.', fraction @ ..] = rest {
            rest = digits(fraction)?;
        }
        if let [b'e' | b'E', exponent @ ..] = rest {
            rest = match exponent {
                [b'+' | b'-', exponent @ ..] | exponent => digits(exponent)?,
            };
        }
        self.rest = rest;
        begin.get(..begin.len() - rest.len())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    fn open(&mut self, bracket: u8, depth: usize) -> Option<()> {
        if depth >= DEEPEST {
            return None;
        }
        self.pass(bracket)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.peek()?;
        self.pass(byte)
    }

    fn pass(&mut self, byte: u8) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        if *first != byte {
            return None;
        }
        self.rest = rest;
        Some(())
    }
}

impl Quoted<'_> {
    /// What it stands for.
    pub fn text(&self) -> String {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while !rest.is_empty() {
            let special = plain(rest);
            out.extend_from_slice(rest.get(..rest.len() - special.len()).unwrap_or_default());
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

/// What is left from the first quote, backslash or control character on.
fn plain(text: &[u8]) -> &[u8] {
    let mut rest = text;
    // Eight bytes at once: a byte is special where one of these differences borrows through its highest bit. Only bytes above a
    // special one can be taken for special wrongly, so the lowest is always right.
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        let (quote, slash) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        let found = (quote.wrapping_sub(ONES) & !quote)
            | (slash.wrapping_sub(ONES) & !slash)
            | (word.wrapping_sub(ONES * 0x20) & !word);
        let found = found & (ONES << 7);
        if found != 0 {
            let plain = usize::try_from(found.trailing_zeros() / 8).unwrap_or_default();
            return rest.get(plain..).unwrap_or_default();
        }
        rest = after;
    }
    while let [first, after @ ..] = rest {
        if matches!(first, b'"' | b'\\' | 0..=0x1F) {
            break;
        }
        rest = after;
    }
    rest
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

/// What is left behind at least one digit.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let [b'0'..=b'9', after @ ..] = rest {
        rest = after;
    }
    (rest.len() < text.len()).then_some(rest)
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
                assert_eq!(plain(text.as_bytes()).len(), text.len() - before, "{text:?}");
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
