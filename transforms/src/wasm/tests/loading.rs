//! What a module file must be.

use super::guests::{ECHO, assemble, judging};
use super::*;
use crate::wasm::Error;

fn faults(bytes: &[u8]) -> Vec<String> {
    match Module::load(&Engine::new(None).unwrap(), bytes, LIMITS) {
        Err(Error::Module(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_or_of_another_shape_is_named_all_at_once() {
    let bare = assemble("(module)");
    assert_eq!(
        faults(&bare),
        [
            "exports no memory of the name memory",
            "exports no function hydrant_abi_1()",
            "exports no function hydrant_alloc(i32) -> i32",
            "exports no function hydrant_transform(i32, i32) -> i64",
        ]
    );
    let other = assemble(
        r#"(module (memory (export "memory") 129)
           (func (export "hydrant_abi_2")) (func (export "hydrant_init") (param i32))
           (func (export "hydrant_alloc") (param i64) (result i32) (unreachable)) (global (export "hydrant_transform") i32 (i32.const 1))
           (func (export "_start")))"#,
    );
    assert_eq!(
        faults(&other),
        [
            "speaks ABI version 2; this hydrant speaks version 1",
            "it begins with 8454144 bytes of memory, more than the 8388608 that it may have",
            "exports no function hydrant_abi_1()",
            "its export hydrant_alloc is not a function (i32) -> i32",
            "its export hydrant_transform is not a function (i32, i32) -> i64",
            "its export hydrant_init is not a function (i32, i32) -> i32",
            "exports _start: it is a program that runs once, not a library; build it as a reactor",
        ]
    );
}

#[test]
fn imports_that_nobody_offers_are_named() {
    let text = r#"(module
        (import "env" "emscripten_resize_heap" (func (param i32) (result i32)))
        (import "__wbindgen_placeholder__" "__wbindgen_throw" (func (param i32 i32)))
        (import "wasi_snapshot_preview1" "fd_frobnicate" (func))
        (import "wasi_unstable" "fd_write" (func))
        (import "hydrant" "log" (func (param i32 i32)))"#;
    let text = text.to_owned() + &rest();
    assert_eq!(
        faults(&assemble(&text)),
        [
            "imports env.emscripten_resize_heap, which hydrant does not offer",
            "imports __wbindgen_placeholder__.__wbindgen_throw, which hydrant does not offer; it was built for a JavaScript host",
            "imports wasi_snapshot_preview1.fd_frobnicate, which hydrant does not offer",
            "imports wasi_unstable.fd_write, which hydrant does not offer; it was built for a version of WASI before preview 1",
        ]
    );
}

#[test]
fn an_import_of_another_type_is_named() {
    for import in
        [r#""hydrant" "log" (func (param i64))"#, r#""wasi_snapshot_preview1" "path_open" (func (param i32))"#]
    {
        let fault = faults(&assemble(&format!("(module (import {import}) {}", rest()))).pop().unwrap();
        assert!(fault.contains("log") || fault.contains("path_open"), "{fault}");
    }
}

#[test]
fn files_that_are_no_core_module_are_told_by_their_first_bytes() {
    let not = "not a WebAssembly module: it does not begin with the bytes 00 61 73 6d 01 00 00 00";
    for bytes in [&b""[..], b"\0asm", b"#!/bin/sh", b"(module)"] {
        assert_eq!(faults(bytes), [not]);
    }
    assert!(faults(b"\0asm\x0d\0\x01\0")[0].starts_with("a WebAssembly component; build a core module"));
    assert!(faults(b"\0asm\x01\0\0\0\xFF")[0].starts_with("not a valid WebAssembly module: "));
    let mut bytes = judging(ECHO);
    bytes.truncate(bytes.len() - 10);
    assert!(faults(&bytes)[0].starts_with("not a valid WebAssembly module: "));
    let mut large = b"\0asm\x01\0\0\0".to_vec();
    large.resize((64 << 20) + 1, 0);
    assert_eq!(faults(&large), ["67108865 bytes are more than the 67108864 that a module may have"]);
}

#[test]
fn settings_reach_hydrant_init_and_its_refusal_is_told() {
    let text = format!(
        r#"(module (import "hydrant" "log" (func $log (param i32 i32))) {}
           (func (export "hydrant_init") (param i32 i32) (result i32)
             (call $log (local.get 0) (local.get 1)) (i32.eq (local.get 1) (i32.const 3)))"#,
        rest()
    );
    let answer = "(i64.store (i32.const 16) (i64.const 1)) (i64.const 0x1000000008)";
    let bytes = assemble(&(text.replace(LAST, "").replace("(unreachable)", answer) + ")"));
    let with = |settings: &str| Bench::with(&bytes, Start { settings: settings.into(), ..Start::default() }, 3, 100);
    let good = with("good");
    good.transform.pool().warm().unwrap();
    assert_eq!(*good.lines.lock(), ["good"]);
    let none = with("");
    none.transform.pool().warm().unwrap();
    let why = with("bad").transform.pool().warm().unwrap_err().message().into_owned();
    assert!(why.ends_with("The module cannot be started: its hydrant_init returned 1: bad"), "{why}");
}

/// The rest of a module that has everything, its closing bracket included.
fn rest() -> String {
    format!(
        r#"(memory (export "memory") 1) (func (export "hydrant_abi_1"))
           (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 8))
           (func (export "hydrant_transform") (param i32 i32) (result i64) (unreachable)){LAST}"#
    )
}

const LAST: &str = " )";
