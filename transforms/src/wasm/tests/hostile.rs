//! Modules that do what they must not: the stream goes on, and every record goes exactly one way.

use super::guests::{BOMB, ECHO, LOOP, TRAP, answering, judging, poisoned};
use super::*;

const ERROR: &str = "The Lambda function was successfully invoked but it returned an error result.";

#[test]
fn a_record_that_traps_the_module_fails_alone() {
    let bench = Bench::new(&poisoned(TRAP));
    assert_eq!(bench.run(&["first"]), ["+first"]);
    let out = bench.run(&["a", "b", "!", "c", "d", "e"]);
    let trapped =
        format!("FunctionError 5 {ERROR} The module trapped: wasm trap: wasm `unreachable` instruction executed");
    assert_eq!(out, ["+a", "+b", &trapped, "+c", "+d", "+e"]);
    // One that had been used, a fresh one for all, for [a b !], [a], [b !], [b], [!] and [c d e].
    assert_eq!(bench.started(), 8);
    assert_eq!(bench.run(&["!", "!", "x", "!"]).iter().filter(|fate| fate.starts_with("FunctionError")).count(), 3);
}

#[test]
fn without_retries_the_whole_call_fails_at_once() {
    let bench = Bench::with(&poisoned(TRAP), Start::default(), 0, 1 << 20);
    let out = bench.run(&["a", "!", "b"]);
    assert!(out.iter().all(|fate| fate.starts_with("FunctionError 1 ")), "{out:?}");
    assert_eq!(bench.run(&["a", "b"]), ["+a", "+b"]);
    assert_eq!(bench.started(), 2);
}

#[test]
fn an_endless_loop_ends_at_its_deadline_and_its_neighbours_go_on() {
    let bench = Bench::new(&poisoned(LOOP));
    let late = "FunctionTimedOut 3 The Lambda function timed out. The module took longer than 62.5ms, what a part of a call \
                may take after the call took longer than 1s.";
    assert_eq!(bench.run(&["a", "!", "b", "c"]), ["+a", late, "+b", "+c"]);
    // On an instance that had been used, and alone: not by its part of the time.
    let late = "FunctionTimedOut 2 The Lambda function timed out. The module took longer than 1s.";
    assert_eq!(bench.run(&["!"]), [late]);
}

#[test]
fn endless_records_among_hundreds_fail_alone_within_three_deadlines() {
    let bench = Bench::new(&poisoned(LOOP));
    let records: Vec<_> = (0..400).map(|at| if at % 300 == 20 { "!" } else { "well" }).collect();
    let out = bench.run(&records);
    for (fate, record) in out.iter().zip(&records) {
        assert!(
            if *record == "!" { fate.starts_with("FunctionTimedOut ") } else { fate == "+well" },
            "{record}: {fate}"
        );
    }
    let ticks = bench.lines.lock().len() as u64;
    assert!(ticks <= 3 * Engine::ticks(LIMITS.deadline), "{ticks} ticks");
}

#[test]
fn records_that_there_is_no_time_for_fail_as_the_call_did() {
    let bench = Bench::new(&poisoned(LOOP));
    let records: Vec<_> = (0..400).map(|at| if at % 8 == 5 { "!" } else { "well" }).collect();
    let out = bench.run(&records);
    let late = |fate: &&String| fate.starts_with("FunctionTimedOut ");
    assert!(out.iter().zip(&records).filter(|(_, record)| **record == "!").all(|(fate, _)| late(&fate)), "{out:?}");
    assert!(out[0] == "+well" && late(&&out[399]), "the first were tried, the last were not");
    let ticks = bench.lines.lock().len() as u64;
    assert!(ticks <= 3 * Engine::ticks(LIMITS.deadline), "{ticks} ticks");
}

#[test]
fn a_memory_bomb_is_refused_and_its_neighbours_go_on() {
    let bench = Bench::new(&poisoned(BOMB));
    let bomb = format!(
        "FunctionError 3 {ERROR} The module wanted more than 8388608 bytes of memory, and then: wasm trap: wasm \
         `unreachable` instruction executed"
    );
    assert_eq!(bench.run(&["a", "!", "b", "c"]), ["+a", &bomb, "+b", "+c"]);
}

#[test]
fn a_module_that_leaks_is_started_anew_and_loses_nothing() {
    let bench = Bench::with(
        &judging(&format!("(if (i32.eq (memory.grow (i32.const 8)) (i32.const -1)) (then (unreachable))) {ECHO}")),
        Start::default(),
        3,
        200,
    );
    let records: Vec<_> = (0..200).map(|number| format!("record {number}")).collect();
    let out = bench.run(&records.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(out.iter().zip(&records).all(|(fate, record)| fate.strip_prefix('+') == Some(record)), "{out:?}");
    assert!((5..60).contains(&bench.started()), "{}", bench.started());
}

#[test]
fn what_a_module_remembers_is_not_held_against_a_record() {
    let tired = "(if (i32.gt_u (global.get $calls) (i32.const 3)) (then (unreachable)))";
    let bench = Bench::with(&judging(&format!("{tired} {ECHO}")), Start::default(), 1, 17);
    let out = bench.run(&["a", "b", "c", "d", "e", "f", "g", "h"]);
    assert_eq!(out, ["+a", "+b", "+c", "+d", "+e", "+f", "+g", "+h"]);
    assert_eq!(bench.started(), 3);
}

#[test]
fn wrong_ids_fail_as_the_contract_says() {
    let shifted = judging(&ECHO.replace("(local.get $id)", "(i32.add (local.get $id) (i32.const 1))"));
    let missing =
        "One or more record Ids were not returned. Ensure that the Lambda function returns all received record Ids.";
    assert_eq!(Bench::new(&shifted).run(&["a", "b", "c"]), [&format!("MissingRecordId 1 {missing}"), "+a", "+b"]);
    let double = Bench::new(&poisoned(&format!("{ECHO} {ECHO}"))).run(&["a", "!", "b"]);
    assert!(double[1].starts_with("DuplicatedRecordId 1 Multiple records were returned"), "{double:?}");
    assert_eq!((&*double[0], &*double[2]), ("+a", "+b"));
    let silent = Bench::new(&poisoned("")).run(&["a", "!", "b"]);
    assert_eq!(silent, ["+a", &format!("MissingRecordId 1 {missing}"), "+b"]);
}

#[test]
fn an_answer_that_cannot_be_read_is_final() {
    let nonsense = [
        ("(i64.const 0)", "the answer has 0 bytes, fewer than its header of 8"),
        ("(i64.const -1)", ""),
        ("(i64.const 0xFFFFFFF000000008)", "8 bytes at 4294967280 do not lie in its memory of 1048576 bytes"),
        ("(i64.const 0x000FFFFC00000008)", "8 bytes at 1048572 do not lie in its memory of 1048576 bytes"),
        ("(i64.store (i32.const 32) (i64.const 7)) (i64.const 0x2000000008)", "the answer's version is 7, not 1"),
    ];
    for (body, why) in nonsense {
        let bench = Bench::new(&answering(body));
        let out = bench.run(&["a", "b"]);
        if why.is_empty() {
            assert!(out[0].starts_with("FunctionError"), "{out:?}");
            continue;
        }
        let fate = format!("JsonProcessingException 1 The module's answer cannot be read: {why}");
        assert_eq!(out, [fate.as_str(), &fate]);
        bench.run(&["c"]);
        assert_eq!(bench.started(), 2, "an instance that answers nonsense is not used again");
    }
}

#[test]
fn an_answer_that_is_too_large_is_asked_for_in_pieces() {
    let twice = "(call $say (local.get $id) (i32.const 0) (i32.const 0x200000) (i32.const 400000))";
    let bench = Bench::new(&judging(twice));
    let out = bench.run(&["a", "b", "c", "d"]);
    assert!(out.iter().all(|fate| fate.len() == 400_001), "{:?}", out.iter().map(String::len).collect::<Vec<_>>());
    let bench = Bench::new(&judging(&twice.replace("400000", "1400000")));
    let fate = format!("FunctionError 2 {ERROR} The module's answer has 1400020 bytes; at most 1048576 are taken.");
    assert_eq!(bench.run(&["a", "b"]), [fate.as_str(), &fate]);
}

#[test]
fn places_outside_of_memory_are_not_touched() {
    for place in ["-1", "0x100000", "0xFFFF0"] {
        let text = format!("(func (export \"hydrant_alloc\") (param i32) (result i32) (i32.const {place}))");
        let bytes = guests::assemble(&format!(
            r#"(module (memory (export "memory") 16) (func (export "hydrant_abi_1")) {text}
               (func (export "hydrant_transform") (param i32 i32) (result i64) (unreachable)))"#
        ));
        let out = Bench::new(&bytes).run(&["a record"]);
        assert_eq!(
            out,
            [format!("FunctionError 1 {ERROR} The module's hydrant_alloc returned a place outside of its memory.")]
        );
    }
}

#[test]
fn a_request_that_finds_no_room_is_made_smaller() {
    let bench = Bench::with(&judging(ECHO), Start::default(), 3, 64 << 20);
    let large = "x".repeat(1_000_000);
    let out = bench.run(&[&large[..]; 6]);
    assert!(
        out.iter().all(|fate| fate.len() == large.len() + 1),
        "{:?}",
        out.iter().map(String::len).collect::<Vec<_>>()
    );
    let huge = "x".repeat(3_000_000);
    let out = bench.run(&[&huge]);
    let why = "The module wanted more than 8388608 bytes of memory, and had no room for 3000024 bytes of records.";
    assert!(out[0].ends_with(why), "{}", &out[0][..200.min(out[0].len())]);
}

#[test]
fn a_module_that_always_fails_is_given_up_quickly_and_taken_back_when_it_answers() {
    let bench = Bench::with(&poisoned(LOOP), Start::default(), 3, 17 * 64);
    let poison = ["!"; 64 * 5];
    let out = bench.run(&poison);
    assert!(out.iter().all(|fate| fate.starts_with("FunctionTimedOut")), "{out:?}");
    // Three deadlines pass for the first call, and one for each of the other four. Each attempt is a tick late.
    let ticks = || std::mem::take(&mut *bench.lines.lock()).len();
    let late = usize::try_from(Engine::ticks(LIMITS.deadline)).unwrap();
    let passed = ticks();
    assert!((7 * (late - 1)..=7 * late).contains(&passed), "{passed} ticks");
    bench.run(&["!", "a"]);
    assert_eq!(ticks(), late, "still given up");
    assert_eq!(bench.run(&["a"]), ["+a"]);
    assert_eq!(bench.run(&["a", "!", "b"])[2], "+b");
    let part = usize::try_from(Engine::ticks(LIMITS.deadline / 16)).unwrap();
    assert_eq!(ticks(), late + 2 * part, "taken apart again: all, then [! b] and [!]");
}

#[test]
fn a_start_that_fails_fails_the_records_and_says_why() {
    let bench = Bench::new(&guests::assemble(
        r#"(module (memory (export "memory") 1) (func (export "hydrant_abi_1")) (func $start (unreachable)) (start $start)
           (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 8))
           (func (export "hydrant_transform") (param i32 i32) (result i64) (i64.const 0)))"#,
    ));
    let out = bench.run(&["a", "b"]);
    assert!(out[1].starts_with(&format!("FunctionError 1 {ERROR} The module cannot be started: ")), "{out:?}");
    assert_eq!(out[0], out[1]);
    assert_eq!(bench.started(), 1);
    assert!(bench.transform.pool().warm().is_err());
}

#[test]
fn a_start_that_never_ends_is_stopped() {
    let bench = Bench::new(&guests::assemble(
        r#"(module (import "hydrant" "log" (func $log (param i32 i32)))
           (memory (export "memory") 1) (data (i32.const 0) "loop") (func (export "hydrant_abi_1"))
           (func (export "_initialize") (loop $ever (call $log (i32.const 0) (i32.const 4)) (br $ever)))
           (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 8))
           (func (export "hydrant_transform") (param i32 i32) (result i64) (i64.const 0)))"#,
    ));
    let out = bench.run(&["a", "b"]);
    assert!(out.iter().all(|fate| fate.starts_with("FunctionTimedOut 1 ")), "{out:?}");
    assert_eq!(bench.started(), 1, "fewer records do not start it any better");
}

#[test]
fn deep_recursion_is_a_trap() {
    let out = Bench::new(&answering("(call $deep (i32.const 0)) (i64.const 0)) (func $deep (param i32) (call $deep (i32.add (local.get 0) (i32.const 1)))")).run(&["a"]);
    assert!(out[0].ends_with("The module trapped: wasm trap: call stack exhausted"), "{out:?}");
}
