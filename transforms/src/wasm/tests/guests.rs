//! Modules to try, written as text: each does one thing to a record, and most a bad thing to a record of `!`.

/// A module that does `judge` to each record; see [`SHELL`] for what it can use.
pub(super) fn judging(judge: &str) -> Vec<u8> {
    assemble(&SHELL.replace("JUDGE", judge))
}

/// A module whose `hydrant_transform` is `body`, with the request at `$at`, of `$length` bytes.
pub(super) fn answering(body: &str) -> Vec<u8> {
    let transform = format!(
        r#"(func (export "hydrant_transform") (param $at i32) (param $length i32) (result i64) {body})
           (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 64))"#
    );
    assemble(&format!(
        r#"(module (import "hydrant" "log" (func $log (param i32 i32)))
           (memory (export "memory") 16) (func (export "hydrant_abi_1")) {transform})"#
    ))
}

pub(super) fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is a module")
}

/// Gives every record back.
pub(super) const ECHO: &str = "(call $say (local.get $id) (i32.const 0) (local.get $data) (local.get $length))";
/// Leaves every record as it is.
pub(super) const UNCHANGED: &str = "(call $say (local.get $id) (i32.const 1) (i32.const 0) (i32.const 0))";

/// `bad` for a record that begins with `!`, the echo for others.
pub(super) fn poisoned(bad: &str) -> Vec<u8> {
    let is_poison = "(i32.eq (i32.load8_u (local.get $data)) (i32.const 33))";
    judging(&format!("(if {is_poison} (then {bad}) (else {ECHO}))"))
}

pub(super) const TRAP: &str = "(unreachable)";
/// Never ends; tells the log of each round, in which a tick passes.
pub(super) const LOOP: &str = "(loop $ever (call $log (i32.const 0) (i32.const 4)) (br $ever))";
/// Takes memory until there is none, and traps for want of it.
pub(super) const BOMB: &str =
    "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)";

/// Walks over a request, has `$judge` look at each record, and answers what it said.
///
/// `$say (id, verdict, data, length)` adds an answer; `$calls` counts calls; `$log` is the import. The first 16 bytes of
/// memory are `loop` and 12 zeros; the request lies at 1024, the answer behind it.
const SHELL: &str = r#"(module
  (import "hydrant" "log" (func $log (param i32 i32)))
  (memory (export "memory") 64)
  (data (i32.const 0) "loop")
  (global $out (mut i32) (i32.const 0))
  (global $answers (mut i32) (i32.const 0))
  (global $calls (mut i32) (i32.const 0))

  (func (export "hydrant_abi_1"))

  (func (export "hydrant_alloc") (param $bytes i32) (result i32)
    (local $pages i32)
    (local.set $pages (i32.add (i32.const 2) (i32.shr_u (local.get $bytes) (i32.const 14))))
    (if (i32.gt_u (local.get $pages) (memory.size))
      (then (if (i32.eq (memory.grow (i32.sub (local.get $pages) (memory.size))) (i32.const -1))
        (then (return (i32.const 0))))))
    (i32.const 1024))

  (func $say (param $id i32) (param $verdict i32) (param $data i32) (param $length i32)
    (i32.store (global.get $out) (local.get $id))
    (i32.store offset=4 (global.get $out) (local.get $verdict))
    (i32.store offset=8 (global.get $out) (local.get $length))
    (memory.copy (i32.add (global.get $out) (i32.const 12)) (local.get $data) (local.get $length))
    (global.set $out (i32.add (global.get $out) (i32.add (i32.const 12) (local.get $length))))
    (global.set $answers (i32.add (global.get $answers) (i32.const 1))))

  (func $judge (param $id i32) (param $data i32) (param $length i32)
    JUDGE)

  (func (export "hydrant_transform") (param $at i32) (param $bytes i32) (result i64)
    (local $left i32) (local $in i32) (local $answer i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $left (i32.load offset=4 (local.get $at)))
    (local.set $in (i32.add (local.get $at) (i32.const 8)))
    (local.set $answer (i32.add (local.get $at) (local.get $bytes)))
    (global.set $out (i32.add (local.get $answer) (i32.const 8)))
    (global.set $answers (i32.const 0))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $left)))
      (call $judge (i32.load (local.get $in)) (i32.add (local.get $in) (i32.const 16)) (i32.load offset=4 (local.get $in)))
      (local.set $in (i32.add (local.get $in) (i32.add (i32.const 16) (i32.load offset=4 (local.get $in)))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $next)))
    (i32.store (local.get $answer) (i32.const 1))
    (i32.store offset=4 (local.get $answer) (global.get $answers))
    (i64.or
      (i64.shl (i64.extend_i32_u (local.get $answer)) (i64.const 32))
      (i64.extend_i32_u (i32.sub (global.get $out) (local.get $answer))))))"#;
