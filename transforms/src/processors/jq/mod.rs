//! Queries in the language of jq 1.6, evaluated by jaq over values of our own.
//!
//! | File | What |
//! |---|---|
//! | `language` | what a query may say |
//! | `library` | the functions that it may call |
//! | `value`, `arithmetic`, `paths`, `text` | values as jq 1.6 has them |
//! | `fuel` | the bound of an evaluation |
//! | `simple` | queries that need no interpreter |
//!
//! Values are ours for three reasons: jq 1.6 knows doubles only and prints them in its own way; each operation on a value is the
//! place where an endless evaluation can be stopped; and what is no JSON must not be taken for it. Where results differ from jq
//! 1.6 stands in `docs/jq.md`, and `tests/peers/test_jq.py` compares both.

mod arithmetic;
mod deletion;
mod fuel;
mod language;
mod library;
mod paths;
mod simple;
mod text;
mod value;

use std::fmt;
use std::thread;

use jaq_core::load::{Arena, Error as LoadError, File, Loader, parse};
use jaq_core::{Compiler, Ctx, Vars};

use self::fuel::Stopped;
use self::library::Data;
pub(crate) use self::simple::{Found, Layout, Simple};
use self::value::Value;

/// A query, ready to be asked of records.
pub struct Query {
    program: jaq_core::Filter<Data>,
    keys: Option<Vec<String>>,
    simple: Option<Simple>,
}

/// Why a record has no partition keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no JSON object. The words are AWS's.
    #[error("Non JSON record provided")]
    NotJson,
    /// A key is missing, null or an empty text. The words are AWS's.
    #[error("partitionKeys values must not be null or empty")]
    Empty,
    /// A key is an object or an array.
    #[error("partitionKeys values must be texts, numbers or booleans, and '{0}' is none")]
    Container(String),
    /// The query does not give one object.
    #[error("MetadataExtractionQuery gives {0} for this record, not one object")]
    Results(&'static str),
    /// The query failed.
    #[error("MetadataExtractionQuery fails for this record: {0}")]
    Failed(String),
    /// It took too many steps, or too much stack.
    #[error("MetadataExtractionQuery takes too many steps for this record")]
    Exhausted,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// What is wrong with it: an error of syntax, a function that jaq does not have, one that is not a function of the record
    /// alone, one that is defined by itself, or a nesting that is too deep to evaluate.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.chars().count() > LONGEST {
            return Err(format!("MetadataExtractionQuery must have at most {LONGEST} characters"));
        }
        // Parsers recurse with every bracket, and how deep a query is nested is known only once it is parsed.
        let parsed = thread::scope(|threads| {
            let parser = thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(threads, || compiled(text));
            parser.ok().and_then(|parser| parser.join().ok())
        });
        parsed.unwrap_or_else(|| Err("MetadataExtractionQuery cannot be parsed".to_owned()))
    }

    /// The members that it gives, where they are spelled out.
    pub fn keys(&self) -> Option<&[String]> {
        self.keys.as_deref()
    }

    /// The same query without its interpreter, where it is simple enough.
    pub(crate) fn simple(&self) -> Option<&Simple> {
        self.simple.as_ref()
    }

    /// Asks it of a record, through the interpreter, and gives the text of each of `names`.
    ///
    /// # Errors
    /// Why the record has no partition keys.
    pub fn ask(&self, record: &[u8], names: &[&str]) -> Result<Vec<String>, Refusal> {
        let record = String::from_utf8_lossy(record);
        let asked = fuel::within(fuel::steps_for(record.len()), || self.evaluate(&record, names));
        asked.unwrap_or_else(|stopped| {
            Err(match stopped {
                Stopped::Exhausted => Refusal::Exhausted,
                Stopped::Broken => Refusal::Failed("the interpreter stopped".to_owned()),
            })
        })
    }

    fn evaluate(&self, record: &str, names: &[&str]) -> Result<Vec<String>, Refusal> {
        let input = text::read(record).filter(|input| matches!(input, Value::Object(_))).ok_or(Refusal::NotJson)?;
        let context = Ctx::<Data>::new(&self.program.lut, Vars::new([]));
        let mut results = self.program.id.run((context, input)).map(|result| match result {
            Ok(value) => Ok(value),
            Err(thrown) => Err(Refusal::Failed(match thrown.get_err() {
                Ok(error) => error.to_string().chars().take(LONGEST_MESSAGE).collect(),
                Err(_) => "it was left by a break".to_owned(),
            })),
        });
        let result = results.next().ok_or(Refusal::Results("nothing"))??;
        if let Some(another) = results.next() {
            another?;
            return Err(Refusal::Results("more than one result"));
        }
        let Value::Object(object) = result else { return Err(Refusal::Results("another value")) };
        names.iter().map(|name| key_text(name, object.members.get(*name).unwrap_or(&Value::Null))).collect()
    }
}

/// A value as part of an object's key.
fn key_text(name: &str, value: &Value) -> Result<String, Refusal> {
    match value {
        Value::Null => Err(Refusal::Empty),
        Value::Number(number) if number.is_nan() => Err(Refusal::Empty),
        Value::Text(text) if text.is_empty() => Err(Refusal::Empty),
        Value::Text(text) => Ok(text.as_ref().to_owned()),
        Value::Bool(_) | Value::Number(_) => Ok(text::json(value)),
        Value::List(_) | Value::Object(_) => Err(Refusal::Container(name.to_owned())),
    }
}

fn compiled(text: &str) -> Result<Query, String> {
    let syntax = |what: &str| format!("MetadataExtractionQuery is not valid jq: {what}");
    let tree = parse(text, |parser| parser.term());
    if let Some(tree) = &tree {
        language::check(tree)?;
    }
    let arena = Arena::default();
    let modules = Loader::new(library::definitions()).load(&arena, File { code: text, path: () });
    let modules = modules.map_err(|faults| {
        syntax(&faults.into_iter().map(|(_, fault)| load_fault(fault)).collect::<Vec<_>>().join("; "))
    })?;
    // What the loader takes beside a term: import, include and definitions alone.
    let tree = tree.ok_or_else(|| syntax("it must be one filter, without modules"))?;
    let program = Compiler::default().with_funs(library::functions()).compile(modules);
    let program = program.map_err(|faults| {
        let faults = faults.into_iter().flat_map(|(_, faults)| faults);
        let faults = faults.map(|(name, undefined)| format!("{} '{name}' is not defined", undefined.as_str()));
        syntax(&faults.collect::<Vec<_>>().join("; "))
    })?;
    Ok(Query { program, keys: language::keys(&tree), simple: Simple::of(&tree) })
}

fn load_fault(fault: LoadError<&str>) -> String {
    let short = |found: &str| found.chars().take(20).collect::<String>();
    let faults: Vec<String> = match fault {
        LoadError::Io(faults) => faults.into_iter().map(|(path, _)| format!("there is no module '{path}'")).collect(),
        LoadError::Lex(faults) => faults
            .into_iter()
            .map(|(expected, found)| format!("expected {} at '{}'", expected.as_str(), short(found)))
            .collect(),
        LoadError::Parse(faults) => faults
            .into_iter()
            .map(|(expected, found)| format!("expected {} at '{}'", expected.as_str(), short(found)))
            .collect(),
    };
    faults.join("; ")
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("keys", &self.keys).field("simple", &self.simple).finish_non_exhaustive()
    }
}

/// Characters of a query at most, as of every parameter.
const LONGEST: usize = 5120;

/// Characters of an error that an entry shows.
const LONGEST_MESSAGE: usize = 300;

/// Address space for a query that is nothing but brackets; only what is used of it is memory.
const PARSER_STACK_BYTES: usize = 256 * 1024 * 1024;

#[cfg(test)]
mod tests;
