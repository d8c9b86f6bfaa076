use std::fs;

use hydrant_transforms::processors::LambdaParameters;

use super::*;

/// A module whose answer about a request of any number of records but none is a trap, and whose start is `init`.
fn module(pages: u32, init: &str) -> Vec<u8> {
    let text = format!(
        r#"(module (memory (export "memory") {pages}) (func (export "hydrant_abi_1"))
             (import "hydrant" "log" (func $log (param i32 i32)))
             (func (export "hydrant_alloc") (param i32) (result i32) (i32.const 1024))
             (func (export "hydrant_init") (param $at i32) (param $bytes i32) (result i32) {init})
             (func (export "hydrant_transform") (param i32 i32) (result i64)
               (i64.store (i32.const 16) (i64.const 1)) (i64.const 0x1000000008)))"#
    );
    // Imports come first.
    let import = r#"(import "hydrant" "log" (func $log (param i32 i32)))"#;
    let text = text.replace(import, "").replacen("(module", &format!("(module {import}"), 1);
    wat::parse_str(text).expect("a module")
}

fn good() -> Vec<u8> {
    module(1, "(i32.const 0)")
}

fn modules(folder: &Path) -> Modules {
    let mut settings = Settings::embedded(&folder.join("data"));
    settings.modules = folder.to_owned();
    fs::create_dir_all(&settings.data).expect("a directory");
    Modules::open(&settings, Clock::system()).expect("a compiler")
}

fn started(modules: &Modules, name: &str) -> u64 {
    let slot = modules.slot(name);
    let loaded = slot.loaded.lock();
    loaded.as_ref().expect("loaded").pool.started()
}

fn lambda(arn: &str) -> LambdaParameters {
    let interval = std::time::Duration::from_mins(1);
    LambdaParameters { arn: arn.to_owned(), retries: 3, buffer_bytes: 1 << 20, interval, role: None }
}

#[test]
fn an_arn_names_its_module_and_never_a_path() {
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:enrich";
    assert_eq!(module_name(arn), Ok("enrich"));
    assert_eq!(module_name(&format!("{arn}:PROD")), Ok("enrich"));
    assert_eq!(module_name("enrich-2"), Ok("enrich-2"));
    assert!(module_name(&"x".repeat(128)).is_ok() && module_name(&"x".repeat(129)).is_err());
    for wrong in ["", "../x", "arn:aws:lambda:r:a:function:../x", "arn:aws:lambda:r:a:layer:x", "a/b"] {
        assert!(module_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_cannot_be_used_takes_nobodys_place_and_is_refused_where_it_is_asked_about() {
    let folder = tempfile::tempdir().unwrap();
    let (path, modules) = (folder.path().join("m.wasm"), modules(folder.path()));
    assert!(modules.transform(&lambda("m")).err().unwrap().contains("No such file"));
    fs::write(&path, good()).unwrap();
    modules.check("m").unwrap();
    let first = modules.slot("m").loaded.lock().as_ref().unwrap().files.clone();
    let half = good();
    for (bad, why) in [
        (&half[..half.len() / 2], "not a valid WebAssembly module"),
        (b"hello".as_slice(), "not a WebAssembly module"),
        (&module(1, "(i32.const 1)"), "its hydrant_init returned 1"),
    ] {
        fs::write(&path, bad).unwrap();
        modules.transform(&lambda("m")).unwrap();
        assert!(modules.check("m").unwrap_err().contains(why), "{why}");
        assert_eq!(modules.slot("m").loaded.lock().as_ref().unwrap().files, first);
    }
    fs::remove_file(&path).unwrap();
    modules.transform(&lambda("m")).unwrap();
    assert!(modules.check("m").unwrap_err().contains("No such file"));
    fs::write(&path, module(2, "(i32.const 0)")).unwrap();
    modules.check("m").unwrap();
    assert_ne!(modules.slot("m").loaded.lock().as_ref().unwrap().files, first);
}

#[test]
fn what_stands_beside_a_module_reaches_it_and_a_change_of_it_takes_effect() {
    let folder = tempfile::tempdir().unwrap();
    let (path, modules) = (folder.path().join("m.wasm"), modules(folder.path()));
    // Takes settings of five bytes only.
    fs::write(&path, module(1, "(i32.ne (local.get $bytes) (i32.const 5))")).unwrap();
    assert!(modules.check("m").unwrap_err().contains("hydrant_init returned 1"));
    fs::write(folder.path().join("m.yaml"), "Settings: right\n").unwrap();
    modules.check("m").unwrap();
    fs::write(folder.path().join("m.yaml"), "Settings: wrong!\n").unwrap();
    assert!(modules.check("m").unwrap_err().contains("hydrant_init returned 1"));
    modules.transform(&lambda("m")).unwrap();
    fs::write(folder.path().join("m.yaml"), "Setting: right\n").unwrap();
    assert!(modules.check("m").unwrap_err().contains("Setting: is not known"));
    fs::write(folder.path().join("m.yaml"), "{Settings: right, MemorySize: 1, Timeout: 2}\n").unwrap();
    modules.check("m").unwrap();
    fs::write(&path, module(17, "(i32.const 0)")).unwrap();
    assert!(modules.check("m").unwrap_err().contains("more than the 1048576 that it may have"));
}

#[test]
fn instances_that_wait_are_given_up_when_all_together_hold_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let modules = modules(folder.path());
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(format!("{name}.wasm")), module(200, "(i32.const 0)")).unwrap();
        modules.check(name).unwrap();
    }
    assert!(modules.memory_bytes("a") >= 200 << 16);
    let idle = |name: &str| modules.slots.lock()[name].loaded.lock().as_ref().unwrap().pool.idle();
    modules.transform(&lambda("a")).unwrap();
    assert_eq!(["a", "b", "c"].map(idle), [1, 0, 1], "b was asked for before the others");
    modules.check("b").unwrap();
    assert_eq!(started(&modules, "b"), 2);
}

/// Names of the files beneath the copies, without those that are called after their content.
fn copies(folder: &Path) -> (Vec<String>, usize) {
    let files = fs::read_dir(folder.join("data/artifacts")).into_iter().flatten();
    let files = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    let (mut named, hashed): (Vec<_>, Vec<_>) = files.partition(|name| name.contains('.'));
    named.sort();
    (named, hashed.len())
}

#[test]
fn after_a_restart_the_one_that_was_used_last_stands_in_for_what_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.wasm");
    // Takes settings of five bytes only.
    fs::write(&path, module(1, "(i32.ne (local.get $bytes) (i32.const 5))")).unwrap();
    fs::write(folder.path().join("m.yaml"), "Settings: right\n").unwrap();
    let first = modules(folder.path());
    first.check("m").unwrap();
    assert_eq!(copies(folder.path()), (vec![], 0), "nobody has used it");
    first.transform(&lambda("m")).unwrap();
    assert_eq!(copies(folder.path()), (vec!["m.module.json".to_owned()], 2));
    drop(first);
    let in_use = |modules: &Modules| {
        modules.transform(&lambda("m")).unwrap();
        modules.slot("m").loaded.lock().as_ref().unwrap().pool.warm().unwrap();
    };
    for (bad, why) in [
        (Some(&good()[..9]), "not a valid WebAssembly module"),
        (Some(&module(1, "(i32.const 1)")), "its hydrant_init returned 1"),
        (None, "No such file"),
    ] {
        bad.map_or_else(|| fs::remove_file(&path), |bad| fs::write(&path, bad)).unwrap();
        let modules = modules(folder.path());
        in_use(&modules);
        assert!(modules.check("m").unwrap_err().contains(why), "{why}");
    }
    fs::remove_file(folder.path().join("m.yaml")).unwrap();
    let after = modules(folder.path());
    in_use(&after);
    // The next that is good takes over, and its copy takes the place of the other.
    fs::write(&path, good()).unwrap();
    after.check("m").unwrap();
    after.transform(&lambda("m")).unwrap();
    assert_eq!(copies(folder.path()).1, 1);
    after.forget_all_but(&["arn:aws:lambda:us-east-1:000000000000:function:m:PROD".to_owned()]);
    assert_eq!(copies(folder.path()).1, 1);
    after.forget_all_but(&["n".to_owned()]);
    assert_eq!(copies(folder.path()), (vec![], 0));
    // A stream that names it again has it copied again.
    after.transform(&lambda("m")).unwrap();
    assert_eq!(copies(folder.path()), (vec!["m.module.json".to_owned()], 1));
}

#[test]
fn each_reason_to_refuse_a_module_is_told_when_it_is_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (path, modules) = (folder.path().join("m.wasm"), modules(folder.path()));
    // One that cannot be started is no good from the beginning.
    fs::write(&path, module(1, "(i32.const 1)")).unwrap();
    assert!(modules.transform(&lambda("m")).err().unwrap().contains("its hydrant_init returned 1"));
    assert_eq!(copies(folder.path()), (vec![], 0));
    fs::write(&path, good()).unwrap();
    modules.transform(&lambda("m")).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(modules.check("m").unwrap_err().contains("No such file"));
    fs::write(&path, good()).unwrap();
    for beside in ["m.yaml", "m.json"] {
        fs::write(folder.path().join(beside), "{}").unwrap();
    }
    assert!(modules.check("m").unwrap_err().contains("one of them must go"));
}

#[test]
fn a_copy_is_whole_or_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let (path, artifacts) = (folder.path().join("m.wasm"), folder.path().join("data/artifacts"));
    fs::write(&path, good()).unwrap();
    modules(folder.path()).transform(&lambda("m")).unwrap();
    fs::remove_file(&path).unwrap();
    // What a crash may leave.
    fs::write(artifacts.join("0".repeat(64)), good()).unwrap();
    fs::write(artifacts.join("m.module.json.new"), "{").unwrap();
    modules(folder.path()).transform(&lambda("m")).unwrap();
    assert_eq!(copies(folder.path()), (vec!["m.module.json".to_owned()], 1));
    let copy =
        fs::read_dir(&artifacts).unwrap().map(|it| it.unwrap().path()).find(|path| path.extension().is_none()).unwrap();
    fs::write(&copy, module(2, "(i32.const 0)")).unwrap();
    assert!(modules(folder.path()).transform(&lambda("m")).err().unwrap().contains("No such file"));
    // The next use makes another.
    fs::write(&path, good()).unwrap();
    modules(folder.path()).transform(&lambda("m")).unwrap();
    fs::remove_file(&path).unwrap();
    modules(folder.path()).transform(&lambda("m")).unwrap();
    let reference = artifacts.join("m.module.json");
    fs::write(&reference, r#"{"format": 2}"#).unwrap();
    let mut settings = Settings::embedded(&folder.path().join("data"));
    settings.modules = folder.path().to_owned();
    let refused = Modules::open(&settings, Clock::system()).err().unwrap().to_string();
    assert!(refused.contains("format 2") && refused.contains("start the later version again"), "{refused}");
    fs::write(&reference, "{").unwrap();
    fs::create_dir(artifacts.join("n.module.json")).unwrap();
    fs::write(&path, good()).unwrap();
    modules(folder.path()).transform(&lambda("m")).unwrap();
}
