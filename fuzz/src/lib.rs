//! Promises about bytes from outside, each as a function that panics where one is broken.
//!
//! | Target | Bytes | What is promised |
//! |---|---|---|
//! | [`module_answer`] | what a transform module answers | the fates that a naive reader gives; each record one |
//! | [`kpl`] | an aggregated record | parts are slices of it; a bent one is a plain record |
//! | [`prefix`] | prefixes, a partition key's value, a moment | what is evaluated can stand in a key, and only a value can be at fault |
//! | [`jq_query`] | a query and a record | it ends; the short way for simple queries gives what the interpreter gives |
//! | [`jq_input`] | a record, for queries of the short way | the same, and what is JSON to it is JSON to others |
//! | [`columns`] | a schema, a deserializer's options, records | a refused record leaves nothing behind; no record's fate depends on another |
//! | [`table`] | a table's definition | a schema's own texts read as the same schema |
//! | [`put`] | the body of a put | the scanner gives what the parser gives |
//!
//! The files in `targets/` hand them to libFuzzer, or, in an ordinary build, to [`replay`].

pub mod columns;
pub mod jq_input;
pub mod jq_query;
pub mod kpl;
pub mod module_answer;
pub mod prefix;
pub mod put;
pub mod records;
pub mod replay;
pub mod table;

/// The parts of an input that is several texts: 0xFF stands in no UTF-8.
fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |byte| *byte == 0xFF);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// A part that is text.
fn text(part: &[u8]) -> Option<&str> {
    std::str::from_utf8(part).ok()
}

#[cfg(test)]
mod tests {
    type Check = fn(&[u8]);

    /// What has broken a promise once, and what bending begins with.
    #[test]
    fn the_seeds_hold() {
        let targets: [(&str, Check); 8] = [
            ("columns", super::columns::check),
            ("jq_input", super::jq_input::check),
            ("jq_query", super::jq_query::check),
            ("kpl", super::kpl::check),
            ("module_answer", super::module_answer::check),
            ("prefix", super::prefix::check),
            ("put", super::put::check),
            ("table", super::table::check),
        ];
        for (target, check) in targets {
            let inputs = super::replay::inputs(&[super::replay::folder("seeds", target)]);
            assert!(!inputs.is_empty(), "{target} has no seeds");
            for (path, input) in inputs {
                super::replay::checked(check, &input).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()));
            }
        }
    }
}
