//! Which column a key of an object belongs to.
//!
//! Objects of a stream are written by the same programs and have the same keys in the same order. So each key, as it was
//! spelled, remembers which one came next; comparing that one's bytes is nearly always all there is to do.

use std::collections::HashMap;

use super::Deserializer;
use super::cursor::{Cursor, Quoted};
use super::error::Fault;

/// The members of one struct: what is declared, and what was seen.
#[derive(Debug)]
pub(super) struct Members {
    /// As the schema has them.
    names: Vec<Box<str>>,
    exact: HashMap<Box<str>, usize>,
    /// By lower case; none where case counts.
    folded: Option<HashMap<Box<str>, usize>>,
    convert_dots: bool,
    /// How well a key matches that is the name.
    exactly: Match,
    /// Keys as they were spelled, and by their spelling.
    seen: Vec<Seen>,
    by_spelling: HashMap<Box<[u8]>, usize>,
    /// The key that the last object began with.
    first: usize,
    /// How well the key matched that filled each field last.
    matches: Vec<Match>,
}

#[derive(Debug)]
struct Seen {
    key: Quoted,
    member: Option<Member>,
    /// The key that came next.
    next: usize,
}

/// Where a value belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) field: usize,
    matches: Match,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Match {
    /// By another spelling.
    Loose,
    Exact,
}

impl Members {
    /// The members of a struct with these fields; `top` is whether it is the row itself.
    pub(super) fn new<'a>(fields: impl Iterator<Item = &'a str>, deserializer: &Deserializer, top: bool) -> Self {
        let names: Vec<Box<str>> = fields.map(Box::from).collect();
        let (mut exact, mut folded) = (HashMap::new(), HashMap::new());
        let (case_insensitive, convert_dots, exactly) = match deserializer {
            Deserializer::OpenX { convert_dots, case_insensitive, mappings } => {
                for (field, name) in names.iter().enumerate() {
                    if let Some(key) = mappings.get(name.as_ref()) {
                        exact.entry(Box::from(key.as_str())).or_insert(field);
                        folded.entry(key.to_lowercase().into_boxed_str()).or_insert(field);
                    }
                }
                (*case_insensitive, *convert_dots, Match::Exact)
            }
            Deserializer::Hive { .. } => (true, false, Match::Loose),
        };
        for (field, name) in names.iter().enumerate() {
            if !(top && deserializer.maps(name)) {
                exact.entry(name.clone()).or_insert(field);
                folded.entry(name.to_lowercase().into_boxed_str()).or_insert(field);
            }
        }
        let matches = vec![Match::Loose; names.len()];
        Self {
            names,
            exact,
            folded: case_insensitive.then_some(folded),
            convert_dots,
            exactly,
            seen: Vec::new(),
            by_spelling: HashMap::new(),
            first: NOBODY,
            matches,
        }
    }

    /// Reads the key that comes next and says where its value belongs, if anywhere. `before` is the key before it, or
    /// [`NOBODY`], and becomes this one.
    #[inline]
    pub(super) fn find(&mut self, cursor: &mut Cursor<'_>, before: &mut usize) -> Result<Option<Member>, Fault> {
        let mut guess = self.seen.get(*before).map_or(self.first, |seen| seen.next);
        // A key that is missing once is stepped over, and still expected the next time.
        for _ in 0..GUESSES {
            let Some(seen) = self.seen.get(guess) else { break };
            if cursor.take_key(&seen.key) {
                *before = guess;
                return Ok(seen.member);
            }
            guess = seen.next;
        }
        self.find_anew(cursor, before)
    }

    fn find_anew(&mut self, cursor: &mut Cursor<'_>, before: &mut usize) -> Result<Option<Member>, Fault> {
        let key = cursor.key()?;
        let known = self.by_spelling.get(key.raw).copied();
        let member = if let Some(seen) = known.and_then(|at| self.seen.get(at)) {
            seen.member
        } else {
            let mut plain = Vec::with_capacity(key.raw.len());
            key.write(&mut plain);
            std::str::from_utf8(&plain).ok().and_then(|key| self.resolve(key))
        };
        let at = known.unwrap_or_else(|| self.remember(key.raw, member));
        match self.seen.get_mut(*before) {
            Some(seen) => seen.next = at,
            None if *before == NOBODY => self.first = at,
            None => {}
        }
        *before = at;
        Ok(member)
    }

    /// Keeps a key as it was spelled, while there is room; gives its place, past the end where it was not kept.
    fn remember(&mut self, raw: &[u8], member: Option<Member>) -> usize {
        let at = self.seen.len();
        if raw.len() > MOST_SEEN_BYTES || at >= self.names.len() + MOST_UNDECLARED {
            return FORGOTTEN;
        }
        self.seen.push(Seen { key: Quoted::new(raw), member, next: NOBODY });
        self.by_spelling.insert(raw.into(), at);
        at
    }

    fn resolve(&self, key: &str) -> Option<Member> {
        if let Some(&field) = self.exact.get(key) {
            return Some(Member { field, matches: self.exactly });
        }
        let undotted = if self.convert_dots { key.replace('.', "_") } else { key.to_owned() };
        let field =
            self.exact.get(undotted.as_str()).or_else(|| self.folded.as_ref()?.get(undotted.to_lowercase().as_str()));
        field.map(|&field| Member { field, matches: Match::Loose })
    }

    /// Notes that a value was filled in.
    #[inline]
    pub(super) fn filled(&mut self, member: Member) {
        if let Some(matches) = self.matches.get_mut(member.field) {
            *matches = member.matches;
        }
    }

    /// Whether a second value of the same object takes the place of the first: the last one wins, but an exact key wins over
    /// one that merely resembles it.
    pub(super) fn replaces(&self, member: Member) -> bool {
        self.matches.get(member.field).is_none_or(|matches| member.matches >= *matches)
    }

    pub(super) fn name(&self, field: usize) -> &str {
        self.names.get(field).map_or("", AsRef::as_ref)
    }
}

impl Deserializer {
    /// Whether the column of this name is mapped to a key.
    fn maps(&self, column: &str) -> bool {
        matches!(self, Self::OpenX { mappings, .. } if mappings.contains_key(column))
    }
}

/// Before the first key.
pub(super) const NOBODY: usize = usize::MAX;
/// A key that is not kept.
const FORGOTTEN: usize = usize::MAX - 1;
/// Expected keys that are tried before the key is looked up.
const GUESSES: usize = 3;
/// Keys that are remembered beside as many as there are fields, and the longest that are: foreign keys are foreign memory.
const MOST_UNDECLARED: usize = 256;
const MOST_SEEN_BYTES: usize = 128;
