//! Queries that only look up members, without a tree of values: one validating scan over the record.
//!
//! `{a:.b, c:.d.e, f:.g|tostring, h:.i // "x"}`. The result is the interpreter's or none at all: of anything that is not a plain
//! scalar in its place, a duplicate key and an escaped one included, either exactly the same is known, or the record is left to
//! the interpreter. So the scan need not know what errors are called.

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::path::{Opt, Part};

use super::language::literal;
use super::text::{double, push_number};
use crate::processors::json::{Lead, Quoted, Scalar, Scanner};

/// A query that only looks up members.
#[derive(Clone, Debug)]
pub(crate) struct Simple {
    root: Node,
    outputs: Vec<Output>,
}

/// How the records before this one were laid out: most of a stream begin their members alike.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    steps: Vec<Step>,
    /// How many steps were ever learned: records of many layouts are not worth more.
    learned: usize,
}

/// A member of the record.
#[derive(Clone, Debug)]
struct Step {
    lead: Lead,
    /// The path that it is of, if it is asked about.
    child: Option<usize>,
}

/// Where paths part.
#[derive(Clone, Debug, Default)]
struct Node {
    children: Vec<(String, Node)>,
    /// A bit for each length that a child's name has; the last for all lengths from there on.
    lengths: u64,
    /// Number of the path that ends here.
    path: Option<usize>,
}

/// A member of the object that the query gives.
#[derive(Clone, Debug)]
struct Output {
    name: String,
    path: usize,
    then: Then,
}

#[derive(Clone, Debug, PartialEq)]
enum Then {
    /// The value.
    Plain,
    /// `| tostring`
    Text,
    /// `// "text"`
    Otherwise(String),
}

/// What stands at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'r> {
    /// A scalar; a member that is not there is null.
    Value(Scalar<'r>),
    /// The interpreter knows.
    Odd,
}

impl Simple {
    /// Of a query that is simple enough.
    pub(super) fn of(query: &Term<&str>) -> Option<Self> {
        let Term::Obj(entries) = query else { return None };
        let (mut root, mut outputs, mut paths) = (Node::default(), Vec::<Output>::new(), 0);
        for (key, value) in entries {
            let name = literal(key)?;
            if outputs.iter().any(|output| output.name == name) {
                return None;
            }
            let (keys, then) = match value {
                None => (vec![name], Then::Plain),
                Some(value) => lookup(value)?,
            };
            let end = keys.iter().fold(&mut root, |node, key| node.child(key));
            let path = *end.path.get_or_insert_with(|| {
                paths += 1;
                paths - 1
            });
            outputs.push(Output { name: name.to_owned(), path, then });
        }
        Some(Self { root, outputs })
    }

    /// The place of the output of this name.
    pub(crate) fn output(&self, name: &str) -> Option<usize> {
        self.outputs.iter().position(|output| output.name == name)
    }

    /// Looks the paths up in a record; `None` if it is no JSON object. What is found does not depend on the `layout`.
    pub(crate) fn find<'r>(&self, record: &'r str, layout: &mut Layout, found: &mut Vec<Found<'r>>) -> Option<()> {
        found.clear();
        found.resize(self.outputs.len(), Found::Value(Scalar::Null));
        let mut scanner = Scanner::new(record.as_bytes());
        if scanner.peek()? != b'{' {
            return None;
        }
        self.root.members_laid_out(&mut scanner, layout, found)?;
        scanner.at_end().then_some(())
    }

    /// Appends the text of the output at `at`, for a partition. `None` where the interpreter has to say what is to be done.
    pub(crate) fn push(&self, at: usize, found: &[Found<'_>], out: &mut String) -> Option<()> {
        let output = self.outputs.get(at)?;
        let Found::Value(value) = found.get(output.path)? else { return None };
        match (value, &output.then) {
            (Scalar::Null, Then::Text) => out.push_str("null"),
            // An empty text is no key, whatever it stands in for.
            (Scalar::Null | Scalar::Bool(false), Then::Otherwise(text)) if text.is_empty() => return None,
            (Scalar::Null | Scalar::Bool(false), Then::Otherwise(text)) => out.push_str(text),
            (Scalar::Bool(bool), _) => out.push_str(if *bool { "true" } else { "false" }),
            (Scalar::Number(digits), _) => push_digits(digits, out),
            (Scalar::Text(text), _) if !text.raw.is_empty() => {
                if text.escaped {
                    out.push_str(&text.text());
                } else {
                    out.push_str(std::str::from_utf8(text.raw).ok()?);
                }
            }
            _ => return None,
        }
        Some(())
    }
}

impl Layout {
    /// The member at `at` began with this key, in so many bytes.
    fn learn(&mut self, at: usize, key: Quoted<'_>, child: Option<usize>, bytes: usize) {
        if key.escaped || at > self.steps.len() || at >= MOST_STEPS || self.learned >= MOST_LEARNED {
            return;
        }
        let lead = Lead::new(key.raw, at == 0);
        // White space is what makes it longer.
        if lead.len() == bytes {
            self.learned += 1;
            self.steps.truncate(at);
            self.steps.push(Step { lead, child });
        }
    }
}

impl Node {
    fn child(&mut self, key: &str) -> &mut Self {
        let at = self.children.iter().position(|(name, _)| name == key).unwrap_or_else(|| {
            self.children.push((key.to_owned(), Self::default()));
            self.lengths |= length_bit(key.len());
            self.children.len() - 1
        });
        // It was found or pushed just now; the root stands in for what cannot be.
        match self.children.get_mut(at) {
            Some((_, child)) => child,
            None => unreachable!("a child that was found or pushed just now"),
        }
    }

    /// [`Node::members`] of a whole record, which takes what stands where it is expected in one look.
    fn members_laid_out<'r>(
        &self,
        scanner: &mut Scanner<'r>,
        layout: &mut Layout,
        found: &mut [Found<'r>],
    ) -> Option<()> {
        scanner.enter(0)?;
        for at in 0.. {
            let expected = layout.steps.get(at).filter(|step| scanner.pass_lead(&step.lead));
            let child = if let Some(step) = expected {
                step.child
            } else {
                let begin = scanner.position();
                let Some(key) = scanner.member(at == 0)? else { break };
                let child = self.children.iter().position(|(name, _)| key.is(name));
                layout.learn(at, key, child, scanner.position() - begin);
                child
            };
            match child.and_then(|child| self.children.get(child)) {
                Some((_, child)) => child.value(scanner, 2, found)?,
                None => scanner.skip(2)?,
            }
        }
        Some(())
    }

    fn members<'r>(&self, scanner: &mut Scanner<'r>, depth: usize, found: &mut [Found<'r>]) -> Option<()> {
        scanner.object(depth, |scanner, key| {
            // Most members are not asked about, which their lengths mostly tell.
            if !key.escaped && self.lengths & length_bit(key.raw.len()) == 0 {
                return scanner.skip(depth + 2);
            }
            match self.children.iter().find(|(name, _)| key.is(name)) {
                Some((_, child)) => child.value(scanner, depth + 2, found),
                None => scanner.skip(depth + 2),
            }
        })
    }

    #[inline]
    fn value<'r>(&self, scanner: &mut Scanner<'r>, depth: usize, found: &mut [Found<'r>]) -> Option<()> {
        if !self.children.is_empty() {
            return self.inner_value(scanner, depth, found);
        }
        let value = match scanner.peek()? {
            b'"' => Found::Value(Scalar::Text(scanner.string()?)),
            b'{' | b'[' => {
                scanner.skip(depth)?;
                Found::Odd
            }
            _ => Found::Value(scanner.literal()?),
        };
        self.set_own(found, value);
        Some(())
    }

    /// The value of a member that paths go through.
    fn inner_value<'r>(&self, scanner: &mut Scanner<'r>, depth: usize, found: &mut [Found<'r>]) -> Option<()> {
        if scanner.peek()? == b'{' {
            // What an earlier member of the same name had is no longer there.
            self.set(found, Found::Value(Scalar::Null));
            self.members(scanner, depth, found)?;
            self.set_own(found, Found::Odd);
            return Some(());
        }
        let value = scanner.value(depth)?;
        self.set(found, if value == Scalar::Null { Found::Value(Scalar::Null) } else { Found::Odd });
        self.set_own(found, if value == Scalar::Container { Found::Odd } else { Found::Value(value) });
        Some(())
    }

    /// Sets what all paths found that go through here or end here.
    fn set<'r>(&self, found: &mut [Found<'r>], what: Found<'r>) {
        self.set_own(found, what);
        for (_, child) in &self.children {
            child.set(found, what);
        }
    }

    #[inline]
    fn set_own<'r>(&self, found: &mut [Found<'r>], what: Found<'r>) {
        if let Some(slot) = self.path.and_then(|path| found.get_mut(path)) {
            *slot = what;
        }
    }
}

/// Members of a record that are expected anywhere.
const MOST_STEPS: usize = 64;
/// Members that are learned in a stretch of records.
const MOST_LEARNED: usize = 512;

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// The keys of `.a.b`, `.a.b | tostring` or `.a.b // "text"`.
fn lookup<'q>(value: &Term<&'q str>) -> Option<(Vec<&'q str>, Then)> {
    match value {
        Term::BinOp(left, BinaryOp::Pipe(None), right) => match &**right {
            Term::Call("tostring", arguments) if arguments.is_empty() => Some((path(left)?, Then::Text)),
            _ => None,
        },
        Term::BinOp(left, BinaryOp::Alt, right) => Some((path(left)?, Then::Otherwise(literal(right)?.to_owned()))),
        _ => Some((path(value)?, Then::Plain)),
    }
}

fn path<'q>(value: &Term<&'q str>) -> Option<Vec<&'q str>> {
    let Term::Path(base, parts) = value else { return None };
    let Term::Id = **base else { return None };
    let keys = parts.0.iter().map(|(part, opt)| match (part, opt) {
        (Part::Index(key), Opt::Essential) => literal(key),
        _ => None,
    });
    keys.collect()
}

/// Whole numbers that a double holds exactly are printed as they stand; of all others jq makes its own text.
fn push_digits(digits: &[u8], out: &mut String) {
    let plain = digits.len() <= 15 && digits.iter().all(u8::is_ascii_digit);
    match std::str::from_utf8(digits) {
        Ok(digits) if plain => out.push_str(digits),
        _ => push_number(double(digits), out),
    }
}
