//! What a query may say: looked at before it is compiled, so that nothing can come of it later that has no bound.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use super::library::IMPURE;

type Tree<'q> = Term<&'q str>;

/// What is wrong with a query that keeps to the grammar.
pub(super) fn check(query: &Tree<'_>) -> Result<(), String> {
    look(query, 0, &mut Vec::new())
}

/// The names of the members of an object that a query spells out; `None` if its keys are known at run time only.
pub(super) fn keys(query: &Tree<'_>) -> Option<Vec<String>> {
    let Term::Obj(entries) = query else { return None };
    entries.iter().map(|(key, _)| literal(key).map(str::to_owned)).collect()
}

/// A text without anything to evaluate in it.
pub(super) fn literal<'q>(term: &Tree<'q>) -> Option<&'q str> {
    let Term::Str(None, parts) = term else { return None };
    match parts.as_slice() {
        [] => Some(""),
        [StrPart::Str(text)] => Some(*text),
        _ => None,
    }
}

/// `within` are the definitions that the term stands in, by name and number of arguments.
fn look<'q>(term: &Tree<'q>, depth: usize, within: &mut Vec<(&'q str, usize)>) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("MetadataExtractionQuery is nested, or chained, more than {DEEPEST} deep"));
    }
    let depth = depth + 1;
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Arr(None) => Ok(()),
        Term::Str(format, parts) => {
            format.map_or(Ok(()), |format| named(format, 0, within))?;
            parts.iter().try_for_each(|part| match part {
                StrPart::Term(term) => look(term, depth, within),
                _ => Ok(()),
            })
        }
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => look(inner, depth, within),
        Term::Obj(entries) => {
            // Each entry is added to those before.
            let depth = depth + entries.len();
            entries.iter().try_for_each(|(key, value)| {
                look(key, depth, within)?;
                value.as_ref().map_or(Ok(()), |value| look(value, depth, within))
            })
        }
        Term::BinOp(left, operator, right) => {
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                look_pattern(pattern, depth, within)?;
            }
            look(left, depth, within)?;
            look(right, depth, within)
        }
        Term::Fold(_, source, pattern, arguments) => {
            look(source, depth, within)?;
            look_pattern(pattern, depth, within)?;
            arguments.iter().try_for_each(|argument| look(argument, depth, within))
        }
        Term::TryCatch(body, catch) => {
            look(body, depth, within)?;
            catch.as_ref().map_or(Ok(()), |catch| look(catch, depth, within))
        }
        Term::IfThenElse(branches, otherwise) => {
            let depth = depth + branches.len();
            let terms = branches.iter().flat_map(|(condition, then)| [condition, then]);
            terms.chain(otherwise.as_deref()).try_for_each(|term| look(term, depth, within))
        }
        Term::Def(definitions, body) => {
            definitions.iter().try_for_each(|definition| look_definition(definition, depth, within))?;
            look(body, depth, within)
        }
        Term::Call(name, arguments) => {
            named(name, arguments.len(), within)?;
            arguments.iter().try_for_each(|argument| look(argument, depth, within))
        }
        Term::Var(name) => variable(name),
        Term::Path(base, path) => {
            look(base, depth, within)?;
            look_path(path, depth, within)
        }
    }
}

fn look_path<'q>(path: &Path<Tree<'q>>, depth: usize, within: &mut Vec<(&'q str, usize)>) -> Result<(), String> {
    let depth = depth + path.0.len();
    path.0.iter().try_for_each(|(part, _)| match part {
        Part::Index(index) => look(index, depth, within),
        Part::Range(from, to) => [from, to].into_iter().flatten().try_for_each(|bound| look(bound, depth, within)),
    })
}

fn look_definition<'q>(
    definition: &Def<&'q str, Tree<'q>>,
    depth: usize,
    within: &mut Vec<(&'q str, usize)>,
) -> Result<(), String> {
    within.push((definition.name, definition.args.len()));
    let looked = look(&definition.body, depth, within);
    within.pop();
    looked
}

fn look_pattern<'q>(
    pattern: &Pattern<&'q str>,
    depth: usize,
    within: &mut Vec<(&'q str, usize)>,
) -> Result<(), String> {
    if depth > DEEPEST {
        return Err(format!("MetadataExtractionQuery is nested more than {DEEPEST} deep"));
    }
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(patterns) => patterns.iter().try_for_each(|pattern| look_pattern(pattern, depth + 1, within)),
        Pattern::Obj(entries) => entries.iter().try_for_each(|(key, pattern)| {
            look(key, depth + 1, within)?;
            look_pattern(pattern, depth + 1, within)
        }),
    }
}

fn named(name: &str, arguments: usize, within: &[(&str, usize)]) -> Result<(), String> {
    if IMPURE.contains(&name) {
        return Err(format!("MetadataExtractionQuery must depend on the record alone, but uses '{name}'"));
    }
    if within.contains(&(name, arguments)) {
        return Err(format!("MetadataExtractionQuery defines '{name}' by itself, which is not supported"));
    }
    Ok(())
}

fn variable(name: &str) -> Result<(), String> {
    if ["$ENV", "$__prog_args", "$__loc__"].contains(&name) {
        return Err(format!("MetadataExtractionQuery must depend on the record alone, but uses '{name}'"));
    }
    Ok(())
}

/// How deep a query may be nested: evaluating it recurses as deep.
const DEEPEST: usize = 120;
