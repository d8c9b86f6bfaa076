//! Modules that do as they should.

use super::guests::{ECHO, UNCHANGED, judging};
use super::*;

#[test]
fn records_come_back_with_new_bytes_or_their_own() {
    for judge in [ECHO, UNCHANGED] {
        let bench = Bench::new(&judging(judge));
        assert_eq!(bench.run(&["one", "", "three"]), ["+one", "+", "+three"]);
        assert_eq!(bench.run(&[]), Outcome::new());
    }
}

#[test]
fn verdicts_of_any_order_reach_their_records() {
    let first = "(i32.load8_u (local.get $data))";
    let drop = "(call $say (local.get $id) (i32.const 2) (i32.const 0) (i32.const 0))";
    let fail = "(call $say (local.get $id) (i32.const 3) (local.get $data) (local.get $length))";
    let bench = Bench::new(&judging(&format!(
        "(if (i32.eq {first} (i32.const 68)) (then {drop}) (else (if (i32.eq {first} (i32.const 70)) (then {fail}) (else {ECHO}))))"
    )));
    let failed = "ProcessingFailedStatus 1 ProcessingFailed status set for record: F2";
    assert_eq!(bench.run(&["a", "D1", "F2", "b", "D"]), ["+a", "-", failed, "+b", "-"]);
}

#[test]
fn an_instance_is_kept_from_call_to_call_and_one_is_enough() {
    let bench = Bench::with(&judging(ECHO), Start::default(), 3, 40);
    let records: Vec<_> = (0..50).map(|number| format!("record {number}")).collect();
    let records: Vec<_> = records.iter().map(String::as_str).collect();
    for _ in 0..3 {
        assert!(bench.run(&records).iter().zip(&records).all(|(made, record)| made.strip_prefix('+') == Some(record)));
    }
    assert_eq!(bench.started(), 1);
    let pool = bench.transform.pool();
    assert!(pool.idle_bytes() >= 2 << 16);
    pool.shrink();
    assert_eq!(pool.idle_bytes(), 0);
    bench.run(&["x"]);
    assert_eq!(bench.started(), 2);
    assert!(pool.idle_bytes() > 0);
}

#[test]
fn a_record_larger_than_a_call_goes_alone() {
    let bench = Bench::with(&judging(ECHO), Start::default(), 3, 1000);
    let large = "x".repeat(900_000);
    assert_eq!(bench.run(&["a", &large, "b"]), ["+a", &format!("+{large}"), "+b"]);
}

#[test]
fn instances_that_were_never_needed_at_once_are_not_kept() {
    let engine = Engine::new(None).unwrap();
    let pool = Pool::new(Module::load(&engine, &judging(ECHO), LIMITS).unwrap(), Start::default());
    let (one, other) = (pool.lend(false).unwrap(), pool.lend(false).unwrap());
    one.give_back();
    other.give_back();
    assert_eq!(pool.idle(), 2);
    let third = pool.lend(true).unwrap();
    third.give_back();
    assert_eq!(pool.idle(), 2, "two at once were the most");
    drop(pool.lend(false).unwrap());
    assert_eq!(pool.idle(), 1, "dropped, it is gone");
}

#[test]
fn lines_that_a_module_writes_reach_the_log_up_to_a_bound() {
    let shout = format!("(call $log (local.get $data) (local.get $length)) {ECHO}");
    let bench = Bench::new(&judging(&shout));
    bench.run(&["hello", "", "two\nlines", "wörld"]);
    assert_eq!(*bench.lines.lock(), ["hello", "two", "lines", "wörld"]);
    bench.lines.lock().clear();
    let long = "x".repeat(10_000);
    assert_eq!(bench.run(&[&long, &long, "more"])[2], "+more");
    let lines: Vec<_> = bench.lines.lock().iter().map(String::len).collect();
    assert_eq!(lines, [10_000, 6384]);
}

#[test]
fn compiled_code_is_taken_from_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = judging(ECHO);
    let files = || walk(folder.path());
    for _ in 0..2 {
        let engine = Engine::new(Some(folder.path())).unwrap();
        Module::load(&engine, &bytes, LIMITS).unwrap();
        assert!(files() > 0);
    }
    let count = files();
    let engine = Engine::new(Some(folder.path())).unwrap();
    Module::load(&engine, &bytes, LIMITS).unwrap();
    assert_eq!(files(), count);
    Module::load(&engine, &judging(UNCHANGED), LIMITS).unwrap();
    assert!(files() > count, "another module has a file of its own");
}

/// How many files of compiled code there are under `folder`; the cache keeps statistics in others.
fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { usize::from(path.extension().is_none()) }).sum()
}
