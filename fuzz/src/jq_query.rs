//! Queries of `MetadataExtraction`, each with a record.

use hydrant_model::KeySource;
use hydrant_transforms::processors::extraction::Extraction;
use hydrant_transforms::processors::jq::Query;
use hydrant_transforms::processors::{Context, Transform};
use hydrant_transforms::records::WantedKey;

use crate::records::{Way, ways};

/// Runs a query on a record, for its own keys.
pub fn check(data: &[u8]) {
    let [query, record] = crate::parts(data);
    let Some(query) = crate::text(query) else { return };
    let Ok(compiled) = Query::compile(query) else { return };
    let names: Vec<_> = compiled.keys().map_or_else(|| vec!["a".to_owned()], <[String]>::to_vec);
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    Asked::new(query, &names).agree(record);
}

/// A query in both ways that there are to ask it.
pub(crate) struct Asked {
    names: Vec<String>,
    shortest: Extraction,
    interpreted: Extraction,
}

impl Asked {
    /// A query that compiles, and the keys that are wanted of it.
    pub(crate) fn new(query: &str, names: &[&str]) -> Self {
        let wanted = |name: &&str| WantedKey { source: KeySource::Query, name: (*name).to_owned() };
        let context = Context { wanted: names.iter().map(wanted).collect() };
        let extraction = || Extraction::new(query, &context).expect("a query that compiles");
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Self { names, shortest: extraction(), interpreted: extraction().interpreted() }
    }

    /// Whether there is a short way.
    pub(crate) fn is_simple(&self) -> bool {
        self.shortest.is_simple()
    }

    /// Asks in both ways; the fates must be the same, and say what a key may be.
    pub(crate) fn agree(&mut self, record: &[u8]) -> Way {
        let names: Vec<_> = self.names.iter().map(String::as_str).collect();
        let run = |extraction: &mut Extraction| {
            let mut ways = ways(&[record], &names, KeySource::Query, |records, arrived, fates| {
                extraction.apply(records, arrived, fates)
            });
            ways.pop().expect("one record")
        };
        let (shortest, interpreted) = (run(&mut self.shortest), run(&mut self.interpreted));
        assert_eq!(shortest, interpreted);
        match &shortest {
            Way::On(bytes, keys) => {
                assert_eq!(bytes, record, "a record is not changed");
                assert!(keys.iter().all(|key| key.as_ref().is_some_and(|key| !key.is_empty())), "{keys:?}");
            }
            Way::Failed(code) => assert_eq!(code, "DynamicPartitioning.MetadataExtractionFailed"),
            Way::Dropped => panic!("extraction drops nothing"),
        }
        shortest
    }
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    ".a",
    ".b",
    "{a:.a}",
    "{a:.a.b,c:.c}",
    "|tostring",
    "// \"x\"",
    "|",
    "[",
    "]",
    "(",
    ")",
    "?",
    "..",
    "limit(3;",
    "range(9;",
    "reduce ",
    " as $x ",
    "foreach ",
    "if ",
    " then ",
    " else ",
    " end",
    "try ",
    " catch ",
    "test(\"a\")",
    "split(\",\")",
    "join(\",\")",
    "strftime(\"%Y\")",
    "todate",
    "tonumber",
    "ascii_downcase",
    "def f: ",
    "; f",
    "until(",
    "repeat(",
    "while(",
    "*",
    "-1",
    "1e300",
    "\\(",
    "@base64",
    "@json",
    "keys",
    "to_entries",
    "paths",
    "getpath([\"a\"])",
    "with_entries(",
    "{\"a\":{\"b\":1},\"c\":\"x\"}",
    "null",
    "true",
    "\u{FFFD}",
];
