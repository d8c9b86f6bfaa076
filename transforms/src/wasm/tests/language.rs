//! What runtimes of languages ask of WASI.

use super::guests::assemble;
use super::*;
use crate::wasm::Grants;

/// A module that answers every record with the 16 bytes at 64, after `body` has run. `$errno` is checked to be 0 by `$ok`.
fn asking(imports: &str, body: &str) -> Vec<u8> {
    assemble(&format!(
        r#"(module {imports} (memory (export "memory") 1) (func (export "hydrant_abi_1"))
           (func $ok (param i32) (if (local.get 0) (then (unreachable))))
           (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 1024))
           (func (export "hydrant_transform") (param i32 i32) (result i64)
             {body}
             (i64.store (i32.const 44) (i64.const 0x100000001)) (i64.store (i32.const 52) (i64.const 0)) (i32.store (i32.const 60) (i32.const 16))
             (i64.const 0x2C00000024)))"#
    ))
}

const CLOCK: &str =
    r#"(import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))"#;
const RANDOM: &str = r#"(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
const TIME: &str = "(call $ok (call $time (i32.const 0) (i64.const 1) (i32.const 64)))";
const CHANCE: &str = "(call $ok (call $random (i32.const 64) (i32.const 16)))";

fn answer(bytes: &[u8], grants: Grants) -> [Vec<u8>; 2] {
    let start = Start { grants, ..Start::default() };
    let bench = Bench::with(bytes, start, 0, 1);
    let records = arrived(&[b"a".to_vec(), b"b".to_vec()]);
    let mut fates = Fates::default();
    let after = bench.transform.apply(Records::of(&records, Arc::default()), &records, &mut fates);
    assert_eq!(fates.failures, []);
    let answers: Vec<_> = after.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    answers.try_into().unwrap()
}

#[test]
fn without_a_grant_time_stands_still_and_chance_is_the_same_in_every_call() {
    let [one, other] = answer(&asking(CLOCK, TIME), Grants::default());
    assert_eq!(one, other);
    assert_eq!(one[..8], 946_684_800_000_000_000_u64.to_le_bytes());
    let [one, other] = answer(&asking(RANDOM, CHANCE), Grants::default());
    assert_eq!(one, other);
    assert_ne!(one[..8], one[8..]);
    let twice = format!("{CHANCE} {CHANCE}");
    assert_ne!(answer(&asking(RANDOM, &twice), Grants::default())[0], one, "within a call chance goes on");
}

#[test]
fn what_is_granted_is_given() {
    let clock: crate::wasm::Clock = Arc::new(|| 77);
    let [one, _] = answer(&asking(CLOCK, TIME), Grants { clock: Some(clock), random: None });
    assert_eq!(one[..8], 77_u64.to_le_bytes());
    let random: crate::wasm::Random = Arc::new(|bytes| bytes.fill(9));
    let [one, _] = answer(&asking(RANDOM, CHANCE), Grants { clock: None, random: Some(random) });
    assert_eq!(one, [9; 16]);
}

#[test]
fn standard_output_goes_to_the_log_line_by_line() {
    let import = r#"(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (data (i32.const 128) "one\ntw") (data (i32.const 136) "o\nrest")"#;
    let body = "(i64.store (i32.const 256) (i64.const 0x600000080)) (i64.store (i32.const 264) (i64.const 0x600000088))
        (call $ok (call $write (i32.const 2) (i32.const 256) (i32.const 2) (i32.const 64)))
        (call $ok (i32.sub (call $write (i32.const 3) (i32.const 256) (i32.const 2) (i32.const 68)) (i32.const 8)))
        (call $ok (i32.sub (call $write (i32.const 1) (i32.const 65530) (i32.const 2) (i32.const 68)) (i32.const 21)))
        (call $ok (i32.sub (call $write (i32.const 1) (i32.const 0) (i32.const -1) (i32.const 68)) (i32.const 21)))";
    let bench = Bench::new(&asking(import, body));
    assert_eq!(bench.run(&["x"]), [format!("+\u{c}{}", "\0".repeat(15))]);
    assert_eq!(*bench.lines.lock(), ["one", "two", "rest"]);
}

#[test]
fn a_module_that_ends_itself_has_trapped() {
    let import = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;
    let out = Bench::new(&asking(import, "(call $exit (i32.const 3))")).run(&["x"]);
    assert!(out[0].ends_with("The module trapped: it ended itself with code 3"), "{out:?}");
}

#[test]
fn what_is_not_there_is_refused_with_an_error_number() {
    let import = r#"
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "sock_recv" (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))"#;
    let zero = "(i32.const 0)";
    let body = format!(
        "(i64.store (i32.const 64) (i64.const -1)) (call $ok (call $args (i32.const 64) (i32.const 68)))
         (i32.store (i32.const 72) (call $open {zero} {zero} {zero} {zero} {zero} (i64.const 0) (i64.const 0) {zero} {zero}))
         (i32.store16 (i32.const 76) (call $prestat (i32.const 3) {zero}))
         (i32.store8 (i32.const 78) (call $recv {zero} {zero} {zero} {zero} {zero} {zero}))
         (i32.store8 (i32.const 79) (i32.const -1)) (call $ok (call $read {zero} {zero} {zero} (i32.const 80)))"
    );
    let [one, _] = answer(&asking(import, &body), Grants::default());
    assert_eq!(one, [0, 0, 0, 0, 0, 0, 0, 0, 76, 0, 0, 0, 8, 0, 76, 255]);
}

#[test]
fn waiting_for_time_is_over_at_once() {
    let import = r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))"#;
    let body = "(i64.store (i32.const 256) (i64.const 0x1122334455667788)) (i32.store8 (i32.const 264) (i32.const 0))
        (i64.store (i32.const 304) (i64.const 5)) (i32.store8 (i32.const 312) (i32.const 1))
        (call $ok (call $poll (i32.const 256) (i32.const 512) (i32.const 2) (i32.const 64)))
        (call $ok (i32.sub (call $poll (i32.const 256) (i32.const 512) (i32.const 0) (i32.const 68)) (i32.const 28)))
        (call $ok (i32.sub (call $poll (i32.const 65500) (i32.const 512) (i32.const 1) (i32.const 68)) (i32.const 21)))
        (i64.store (i32.const 68) (i64.load (i32.const 512))) (i32.store16 (i32.const 76) (i32.load16_u (i32.const 520)))
        (i32.store16 (i32.const 78) (i32.load16_u (i32.const 552)))";
    let [one, _] = answer(&asking(import, body), Grants::default());
    assert_eq!(one, [2, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 58, 0]);
}

#[test]
fn the_abort_of_assemblyscript_says_where() {
    let import = r#"(import "env" "abort" (func $abort (param i32 i32 i32 i32))) (import "env" "seed" (func $seed (result f64)))
        (data (i32.const 128) "\06\00\00\00b\00a\00d\00") (data (i32.const 160) "\08\00\00\00a\00.\00t\00s\00")"#;
    let body = "(drop (call $seed)) (call $abort (i32.const 132) (i32.const 164) (i32.const 7) (i32.const 3))";
    let out = Bench::new(&asking(import, body)).run(&["x"]);
    assert!(out[0].ends_with("The module trapped: it called abort; its last line: bad in a.ts:7:3"), "{out:?}");
}
