//! Prefixes of keys: what was accepted gives text that can begin a key, whatever the moment and the value.

use hydrant_model::{
    Expression, KeyError, Namespaces, ObjectKey, PartitionKeys, PrefixContext, Seed, TimeZone, prefixes,
};

/// Runs `Prefix`, `ErrorOutputPrefix`, a value for all partition keys, and 9 bytes of a moment and options.
pub fn check(data: &[u8]) {
    let [prefix, error_output, value, rest] = crate::parts(data);
    let (Some(prefix), Some(error_output), Some(value)) =
        (crate::text(prefix), crate::text(error_output), crate::text(value))
    else {
        return;
    };
    let moment: [u8; 8] = std::array::from_fn(|at| rest.get(at).copied().unwrap_or_default());
    let options = rest.get(8).copied().unwrap_or_default();
    let namespaces = Namespaces::Prefix { dynamic_partitioning: options & 1 == 1 };
    if let Ok(parsed) = Expression::parse(prefix, namespaces) {
        assert_eq!(parsed.source(), prefix);
    }
    let Ok(parsed) = prefixes(Some(prefix), Some(error_output), options & 1 == 1) else { return };
    let zone = ["UTC", "Asia/Kathmandu", "America/Sao_Paulo"][usize::from(options >> 1) % 3];
    let zone = TimeZone::named(zone).expect("a zone");
    // Until the year 9999, as far as a moment may be.
    let oldest_ms = u64::from_le_bytes(moment) % 253_402_000_000_000;
    for (expression, error_output_type) in [(&parsed.prefix, None), (&parsed.error_output, Some("processing-failed"))] {
        let evaluate = |value: &str| {
            let keys = |wanted| {
                let of_source = expression.partition_keys().filter(|(source, _)| *source == wanted);
                of_source.map(|(_, name)| (name.to_owned(), value.to_owned())).collect::<Vec<_>>()
            };
            let (from_query, from_lambda) =
                (keys(hydrant_model::KeySource::Query), keys(hydrant_model::KeySource::Lambda));
            let partition_keys = PartitionKeys { from_query: &from_query, from_lambda: &from_lambda };
            let seed = Seed([options; 16]);
            let context = PrefixContext { oldest_ms, zone: &zone, seed, error_output_type, partition_keys };
            let text = expression.evaluate(&context);
            assert_eq!(text, expression.evaluate(&context), "the same twice");
            text
        };
        if let Ok(text) = evaluate(value) {
            assert!(text.chars().count() <= 512, "{text:?}");
            can_begin_a_key(&text);
        }
        // Names of zones and months are of different lengths: only length may be in the way of a value without a fault.
        match evaluate("v") {
            Ok(text) => can_begin_a_key(&text),
            Err(error) => assert!(error.to_string().contains("cannot be greater than 512"), "{error}"),
        }
    }
}

fn can_begin_a_key(text: &str) {
    match ObjectKey::new("bucket", format!("{text}name")) {
        Ok(_) | Err(KeyError::TooLong(_)) => {}
        Err(error) => panic!("{text:?}: {error}"),
    }
}

/// What inputs are bent with.
pub const WORDS: &[&str] = &[
    "!{timestamp:",
    "!{firehose:random-string}",
    "!{firehose:error-output-type}",
    "!{partitionKeyFromQuery:",
    "!{partitionKeyFromLambda:",
    "}",
    "yyyy",
    "MM",
    "dd",
    "HH",
    "'",
    "''",
    "/",
    ".",
    "..",
    "zzzz",
    "VV",
    "XXX",
    "e",
    "a",
    "G",
    "ppp",
    "[",
    "]",
    "{",
    "!",
    "é",
    "\t",
];
