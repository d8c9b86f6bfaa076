//! `hydrant check --transform`.

use std::fs;

use clap::Parser;

use super::{Cli, run};
use crate::settings::Environment;

const CLICKS: &[u8] = include_bytes!("../../../transforms/guest/prebuilt/clicks.wasm");

/// What `check` says of `module` and `records`.
async fn check(module: &[u8], records: &str) -> (u8, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("m.wasm"), module).unwrap();
    fs::write(path("r.jsonl"), records).unwrap();
    let ran =
        run(&["check", "--transform", &path("m.wasm"), "--records", &path("r.jsonl")], &Environment::of([])).await;
    (ran.code, ran.results, ran.notes.replace(&path(""), ""))
}

#[tokio::test]
async fn every_record_of_a_module_is_shown_with_its_fate() {
    let records = "{\"page\":\"/cart/7\",\"country\":\"DE\"}\n\n{\"page\":\"/\",\"country\":\"\"}\n{\"page\":\"/\",\"country\":\"JP\"}";
    let (code, results, notes) = check(CLICKS, records).await;
    let expected = "\
        1: ok, 51 bytes, country=DE, section=cart: {\"page\":\"/cart/7\",\"country\":\"DE\",\"section\":\"cart\"}\n\
        3: dropped\n\
        4: ok, 45 bytes, country=JP, section=home: {\"page\":\"/\",\"country\":\"JP\",\"section\":\"home\"}\n\
        3 records: 2 ok, 1 dropped, 0 failed\n";
    assert_eq!((code, results.as_str(), notes.as_str()), (0, expected, ""));
}

#[tokio::test]
async fn a_record_that_fails_in_a_module_is_exit_code_1() {
    let (code, results, notes) = check(CLICKS, "{\"page\":\"/\",\"country\":\"DE\"}\n\u{1b}[2J nonsense\n").await;
    let failed =
        "2: failed, Lambda.ProcessingFailedStatus: ProcessingFailed status set for record: not a JSON object\n";
    assert!(results.contains(failed), "{results}");
    assert!(results.ends_with("2 records: 1 ok, 0 dropped, 1 failed\n"), "{results}");
    assert_eq!((code, notes.as_str()), (1, "1 record failed\n"));
}

#[tokio::test]
async fn what_is_no_module_is_said_and_so_is_what_a_module_lacks() {
    let (code, results, notes) = check(b"hello", "x\n").await;
    assert_eq!((code, results.as_str()), (1, ""));
    let magic = "it does not begin with the bytes 00 61 73 6d 01 00 00 00\n";
    assert_eq!(notes, format!("m.wasm: not a WebAssembly module: {magic}"));
    let (code, _, notes) = check(b"\0asm\x01\0\0\0", "x\n").await;
    assert_eq!(code, 1);
    assert!(
        notes.starts_with("m.wasm: exports no memory of the name memory; exports no function hydrant_abi_1()"),
        "{notes}"
    );
}

/// `(module (memory (export "memory") 1) …)` whose `hydrant_transform` counts its calls and answers with the count.
#[tokio::test]
async fn a_module_with_a_memory_is_found_out() {
    let module = wat::parse_str(COUNTER).unwrap();
    let (code, results, notes) = check(&module, "a\n").await;
    let expected = "1: ok, 1 byte: 1\n1: asked a second time, ok, 1 byte: 2\n1 record: 1 ok, 0 dropped, 0 failed\n";
    assert_eq!((code, results.as_str()), (1, expected));
    let says = "the module says: called\n";
    let fault = "the module is not a function of its records: 1 record had another fate when asked otherwise\n";
    assert_eq!(notes, format!("{says}{fault}"));
}

#[test]
fn module_and_records_go_together() {
    let wrong = [
        &["--transform", "m.wasm"][..],
        &["--records", "r.jsonl"],
        &["--transform", "m.wasm", "--records", "r.jsonl", "stream.yaml"],
        &["--transform", "m.wasm", "--records", "r.jsonl", "--reach"],
    ];
    for arguments in wrong {
        let error = Cli::try_parse_from(["hydrant", "check"].iter().chain(arguments)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}

const COUNTER: &str = r#"(module
  (import "hydrant" "log" (func $log (param i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "called")
  (data (i32.const 16) "\01\00\00\00\01\00\00\00" "\00\00\00\00\00\00\00\00\01\00\00\00" "0")
  (func (export "hydrant_abi_1"))
  (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 64))
  (func (export "hydrant_transform") (param i32 i32) (result i64)
    (call $log (i32.const 0) (i32.const 6))
    (i32.store8 (i32.const 36) (i32.add (i32.load8_u (i32.const 36)) (i32.const 1)))
    (i64.const 0x1000000015)))"#;
