//! Modules that are functions of their records, and modules that are not.

use super::guests::{ECHO, LOOP, TRAP, judging, poisoned};
use super::*;
use crate::wasm::trial::{Fate, Way, trial};

fn tried(bytes: &[u8], records: &[&str]) -> crate::wasm::trial::Trial {
    let engine = Engine::new(None).unwrap();
    let module = Module::load(&engine, bytes, LIMITS).unwrap();
    let start = Start { log: Some(clockwork(&engine, &Arc::default())), ..Start::default() };
    trial(&module, &start, records, 5, 1 << 20)
}

fn ok(data: &str) -> Fate {
    Fate::Ok { data: data.into(), keys: Vec::new() }
}

#[test]
fn a_function_of_its_records_is_clean() {
    let trial = tried(&judging(ECHO), &["a", "bc", ""]);
    assert_eq!(trial.fates, [ok("a"), ok("bc"), ok("")]);
    assert!(trial.is_clean(), "{trial:?}");
    assert!(tried(&judging(ECHO), &[]).is_clean());
}

#[test]
fn a_record_that_fails_is_shown_and_is_no_difference() {
    let trial = tried(&poisoned(TRAP), &["a", "!", "b"]);
    assert_eq!(trial.differences, []);
    assert!(!trial.is_clean());
    assert!(matches!(&trial.fates[1], Fate::Failed { code: "Lambda.FunctionError", .. }));
    assert_eq!((&trial.fates[0], &trial.fates[2]), (&ok("a"), &ok("b")));
}

#[test]
fn a_counter_across_calls_is_found_out() {
    let count = "(i32.store8 (i32.const 512) (i32.add (i32.const 48) (global.get $calls)))
        (call $say (local.get $id) (i32.const 0) (i32.const 512) (i32.const 1))";
    let trial = tried(&judging(count), &["a", "b"]);
    assert_eq!(trial.fates, [ok("1"), ok("1")]);
    let said: Vec<_> = trial.differences.iter().map(|it| (it.record, it.way, it.fate.clone())).collect();
    assert_eq!(said, [(0, Way::Again, ok("2")), (1, Way::Again, ok("2"))]);
}

#[test]
fn a_module_that_looks_at_its_neighbours_is_found_out() {
    let position = "(i32.store8 (i32.const 512) (i32.add (i32.const 48) (local.get $id)))
        (call $say (local.get $id) (i32.const 0) (i32.const 512) (i32.const 1))";
    let trial = tried(&judging(position), &["a", "b", "c"]);
    assert_eq!(trial.fates, [ok("0"), ok("1"), ok("2")]);
    let said: Vec<_> = trial.differences.iter().map(|it| (it.record, it.way)).collect();
    assert_eq!(said, [(1, Way::Singly), (2, Way::Singly)]);
}

#[test]
fn changing_answers_of_a_used_instance_are_found_out() {
    let moody = format!(
        "(if (i32.and (global.get $calls) (i32.const 1)) (then {ECHO}) (else (call $say (local.get $id) (i32.const 2) (i32.const 0) (i32.const 0))))"
    );
    let trial = tried(&judging(&moody), &["a"]);
    assert_eq!(trial.fates, [ok("a")]);
    assert_eq!(trial.differences[0].fate, Fate::Dropped);
}

#[test]
fn a_record_that_takes_too_long_is_not_asked_about_again() {
    let moody = format!("(if (i32.eq (i32.load8_u (local.get $data)) (i32.const 33)) (then {LOOP})) {ECHO}");
    let lines = Arc::default();
    let engine = Engine::new(None).unwrap();
    let module = Module::load(&engine, &judging(&moody), LIMITS).unwrap();
    let start = Start { log: Some(clockwork(&engine, &lines)), ..Start::default() };
    let trial = trial(&module, &start, &["a", "!", "b"], 5, 1 << 20);
    assert_eq!((&trial.fates[0], &trial.fates[2]), (&ok("a"), &ok("b")));
    assert!(matches!(&trial.fates[1], Fate::Failed { code: "Lambda.FunctionTimedOut", .. }));
    assert_eq!(trial.differences, []);
    // For [a ! b], [! b] and [!]; never afterwards.
    let ticks = Engine::ticks(LIMITS.deadline) + 2 * Engine::ticks(LIMITS.deadline / 16);
    assert_eq!(lines.lock().len() as u64, ticks);
}
