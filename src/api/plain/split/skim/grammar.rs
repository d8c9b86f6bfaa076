//! The grammar of JSON as a question of what follows what.
//!
//! Every rule adds the bytes where it is broken to `bad`. Of what may follow a token only the first byte is looked at, behind
//! white space: so each token is held to what came before it, and the rest of it (the letters of a literal, the digits of a
//! number) to its own rules.

use super::lanes::{Inside, Lanes, Runs, Shift, and, any_of, is_none, less, none, not, of_words, or, words, xor};
use super::nesting::{Escapes, Nesting};
use super::planes::Planes;
use super::{BLOCK, Skimmed, Told};

/// As [`super::skim`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi,avx512vbmi2,gfni,bmi1,bmi2")]
pub(super) fn skim(body: &[u8], start: usize, told: Told<'_>) -> Skimmed {
    let (blocks, rest) = body.get(start..).unwrap_or_default().as_chunks::<BLOCK>();
    let mut last = [b' '; BLOCK];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let mut nesting = Nesting::new(body, start, told);
    let mut grammar = Grammar::new();
    let (mut at, mut is_ascii) = (start, true);
    for block in blocks.iter().chain((!rest.is_empty()).then_some(&last)) {
        let planes = Planes::of(block);
        is_ascii &= planes.is_ascii;
        if !grammar.block(&planes, body, at, &mut nesting) {
            return Skimmed { passed: nesting.take_back(), seen: body.len().min(at + BLOCK), is_ascii };
        }
        at += BLOCK;
    }
    Skimmed { passed: nesting.line(), seen: body.len(), is_ascii }
}

/// What one block leaves to the next.
struct Grammar {
    escapes: Escapes,
    inside: Inside,
    text: Shift,
    literals: Literals,
    numbers: Numbers,
    order: Order,
}

/// Where the tokens of a block are.
struct Tokens {
    /// From each opening quote up to before the closing one.
    strings: Lanes,
    opening_quote: Lanes,
    closing_quote: Lanes,
    open: Lanes,
    close: Lanes,
    comma: Lanes,
    colon: Lanes,
    feed: Lanes,
    /// White space that is no line feed.
    blank: Lanes,
    /// What is none of these: numbers and literals.
    text: Lanes,
    /// First bytes of texts.
    text_start: Lanes,
    /// First bytes behind texts.
    text_end: Lanes,
    bad: Lanes,
}

impl Grammar {
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        Self {
            escapes: Escapes::default(),
            inside: Inside::default(),
            text: Shift::new(),
            literals: Literals { t: Shift::new(), f: Shift::new(), n: Shift::new(), end: Shift::new() },
            numbers: Numbers {
                sign: Shift::new(),
                dot: Shift::new(),
                digit: Shift::new(),
                zero: Shift::new(),
                exponent: Shift::new(),
                exponent_sign: Shift::new(),
                is_exponent_near: false,
                fraction_runs: Runs::default(),
                exponent_runs: Runs::default(),
            },
            order: Order {
                opened: Next::new(),
                comma: Next::new(),
                name_runs: Runs::default(),
                name: Next::new(),
                // A value must come first, as after a line feed.
                colon: Next { shift: Shift::after_bit(), runs: Runs::default() },
                value: Next::new(),
            },
        }
    }

    /// Whether all is well in the block at `at`.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vbmi2,bmi1,bmi2")]
    #[inline]
    fn block(&mut self, planes: &Planes, body: &[u8], at: usize, nesting: &mut Nesting<'_>) -> bool {
        let backslashes = planes.backslashes();
        let mut quotes = planes.quotes();
        if !self.escapes.are_over() || !is_none(backslashes) {
            let Some(escaped) = self.escapes.block(body, at, &words(backslashes)) else { return false };
            quotes = less(quotes, of_words(&escaped));
        }
        let tokens = self.tokens(planes, quotes);
        let marks = words(any_of([tokens.open, tokens.close, tokens.feed]));
        let Some(objects) = nesting.block(at, &marks) else { return false };
        let (literals, bad_literals) = self.literals.block(planes, &tokens);
        let bad_numbers = self.numbers.block(planes, &tokens, literals);
        let bad_order = self.order.block(&tokens, of_words(&objects));
        is_none(any_of([tokens.bad, bad_literals, bad_numbers, bad_order]))
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vbmi2")]
    #[inline]
    fn tokens(&mut self, planes: &Planes, quotes: Lanes) -> Tokens {
        let strings = self.inside.between(quotes);
        let (control, space) = (planes.controls(), or(planes.blanks(), planes.feeds()));
        let text = not(any_of([strings, planes.spaces, planes.marks]));
        let after_text = self.text.by_one(text);
        Tokens {
            strings,
            opening_quote: and(quotes, strings),
            closing_quote: less(quotes, strings),
            open: less(planes.opens(), strings),
            close: less(planes.closes(), strings),
            comma: less(planes.commas(), strings),
            colon: less(planes.colons(), strings),
            feed: less(planes.feeds(), strings),
            blank: less(planes.blanks(), strings),
            text,
            text_start: less(text, after_text),
            text_end: less(after_text, text),
            // Of control characters only white space is allowed, and outside of strings; of backslashes, the other way round.
            bad: or(and(control, or(strings, less(control, space))), less(planes.backslashes(), strings)),
        }
    }
}

struct Literals {
    t: Shift,
    f: Shift,
    n: Shift,
    end: Shift,
}

impl Literals {
    /// The bytes of literals, and those that should have been.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    fn block(&mut self, planes: &Planes, tokens: &Tokens) -> (Lanes, Lanes) {
        let letters = planes.letters();
        let [t, f, n] =
            [and(tokens.text_start, letters.t), and(tokens.text_start, letters.f), and(tokens.text_start, letters.n)];
        let [t1, t2, t3, _] = self.t.by_up_to_four(t);
        let [f1, f2, f3, f4] = self.f.by_up_to_four(f);
        let [n1, n2, n3, _] = self.n.by_up_to_four(n);
        let bad = any_of([
            less(t1, letters.r),
            less(or(t2, n1), letters.u),
            less(or(t3, f4), letters.e),
            less(f1, letters.a),
            less(any_of([f2, n2, n3]), letters.l),
            less(f3, letters.s),
            and(self.end.by_one(any_of([t3, f4, n3])), tokens.text),
        ]);
        (any_of([t, f, n, t1, t2, t3, f1, f2, f3, f4, n1, n2, n3]), bad)
    }
}

struct Numbers {
    sign: Shift,
    dot: Shift,
    digit: Shift,
    zero: Shift,
    exponent: Shift,
    exponent_sign: Shift,
    /// Whether one was in the block before, or its digits reach into this one. Few numbers have any.
    is_exponent_near: bool,
    fraction_runs: Runs,
    exponent_runs: Runs,
}

impl Numbers {
    /// The bytes that make a text no number, where it is not made of `literals`.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    fn block(&mut self, planes: &Planes, tokens: &Tokens, literals: Lanes) -> Lanes {
        let text = tokens.text;
        let [digit, sign, dot] = [and(planes.digits(), text), and(planes.signs(), text), and(planes.dots(), text)];
        let exponent = less(and(planes.exponents(), text), literals);
        let (mut after_exponent, mut after_exponent_sign, mut exponent_end) = (none(), none(), none());
        let has_exponent = !is_none(exponent);
        if has_exponent || self.is_exponent_near {
            after_exponent = self.exponent.by_one(exponent);
            after_exponent_sign = self.exponent_sign.by_one(and(sign, after_exponent));
            exponent_end = self.exponent_runs.ends(or(less(after_exponent, sign), after_exponent_sign), digit);
            self.is_exponent_near = has_exponent || !self.exponent_runs.are_over();
        }
        let after_sign = self.sign.by_one(sign);
        let after_dot = self.dot.by_one(dot);
        let minus_in_front = less(tokens.text_start, planes.pluses());
        let leading_zero = and(or(tokens.text_start, less(after_sign, after_exponent_sign)), planes.zeros());
        any_of([
            less(text, any_of([literals, digit, sign, dot, exponent])),
            less(sign, or(after_exponent, minus_in_front)),
            less(or(after_dot, after_sign), digit),
            less(after_exponent, or(digit, sign)),
            less(or(dot, exponent), self.digit.by_one(digit)),
            and(self.zero.by_one(and(leading_zero, text)), digit),
            // One dot, and neither a dot nor an exponent after an exponent.
            and(self.fraction_runs.ends(after_dot, digit), dot),
            and(exponent_end, or(dot, exponent)),
        ])
    }
}

/// What comes next behind white space.
struct Next {
    shift: Shift,
    runs: Runs,
}

impl Next {
    #[target_feature(enable = "avx512f")]
    fn new() -> Self {
        Self { shift: Shift::new(), runs: Runs::default() }
    }

    /// The first bytes behind `last` bytes and white space, if there is any.
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    fn after(&mut self, last: Lanes, blank: Option<Lanes>) -> Lanes {
        let next = self.shift.by_one(last);
        self.behind(next, blank)
    }

    /// These bytes, or the first ones behind white space that starts there.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn behind(&mut self, next: Lanes, blank: Option<Lanes>) -> Lanes {
        match blank {
            Some(blank) => self.runs.ends(next, blank),
            None => next,
        }
    }
}

struct Order {
    opened: Next,
    comma: Next,
    name_runs: Runs,
    name: Next,
    colon: Next,
    value: Next,
}

impl Order {
    /// The bytes that do not fit to what is before them.
    ///
    /// That a line holds one value and ends with it is up to [`Nesting`].
    #[target_feature(enable = "avx512f,avx512vbmi2")]
    #[inline]
    fn block(&mut self, tokens: &Tokens, objects: Lanes) -> Lanes {
        let Tokens { opening_quote, open, close, comma, colon, feed, blank, .. } = *tokens;
        // Many writers put no white space between tokens.
        let is_dense = is_none(blank) && self.starts_dense();
        let blank = (!is_dense).then_some(blank);
        let values = any_of([opening_quote, open, tokens.text_start]);
        let inner = self.opened.after(or(open, comma), blank);
        let name = and(and(inner, objects), opening_quote);
        let name_end = and(self.name_runs.ends(name, tokens.strings), tokens.closing_quote);
        let value_end = or(close, less(tokens.closing_quote, name_end));
        let after_value = or(tokens.text_end, self.value.shift.by_one(value_end));
        any_of([
            less(inner, any_of([close, name, less(values, objects)])),
            and(self.comma.after(comma, blank), close),
            xor(self.name.after(name_end, blank), colon),
            less(self.colon.after(or(colon, feed), blank), values),
            less(self.value.behind(after_value, blank), any_of([comma, close, feed])),
        ])
    }

    /// Whether no white space reaches from the block before into this one, behind a token.
    fn starts_dense(&self) -> bool {
        [&self.opened, &self.comma, &self.name, &self.colon, &self.value].iter().all(|next| next.runs.are_over())
    }
}
