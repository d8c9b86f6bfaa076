use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::cli::tests::run;
use crate::settings::Environment;

#[test]
fn a_click_has_20_members_one_nested_and_some_410_bytes() {
    let mut total = 0;
    for number in 0..2000 {
        let click = clicks::click(number);
        assert!(click.ends_with("}\n"));
        let members = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&click).unwrap();
        assert_eq!(members.len(), 20);
        assert_eq!(members.values().filter(|value| value.is_object()).count(), 1);
        assert_eq!(clicks::number(click.as_bytes()), Some(number));
        total += click.len();
    }
    assert!((400..420).contains(&(total / 2000)), "{} bytes", total / 2000);
    assert_eq!(clicks::click(7), clicks::click(7));
    assert_ne!(clicks::click(7)[20..], clicks::click(8)[20..]);
    assert_eq!(clicks::number(b"{\"number\":x,"), None);
}

fn write(path: &Path, lines: impl IntoIterator<Item = String>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
    for line in lines {
        file.write_all(line.as_bytes()).unwrap();
    }
    file.finish().unwrap();
}

#[test]
fn only_each_click_once_and_unchanged_is_a_success() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("clicks/2026/a.gz"), dir.path().join("clicks/2026/b.gz"));
    let judged = || objects::judge(&objects::read(dir.path()).unwrap(), 10);
    write(&first, (5..10).map(clicks::click));
    write(&second, (0..5).map(clicks::click));
    assert_eq!(judged().unwrap(), "10 records in 2 objects");
    let objects = objects::read(dir.path()).unwrap();
    assert_eq!((&objects[0].path, objects[0].lines.len()), (&first, 5));
    assert_eq!(objects[0].first_line, clicks::click(5).trim_end());
    assert_eq!(objects[0].bytes, fs::metadata(&first).unwrap().len());

    write(&second, (0..4).map(clicks::click));
    let fault = |missing, repeated, strange| {
        Err(format!(
            "10 records were posted; in 2 objects, {missing} are missing, {repeated} repeated, and {strange} lines are not what \
             was posted"
        ))
    };
    write(&second, (0..4).chain([5]).map(clicks::click));
    assert_eq!(judged(), fault(1, 1, 0));
    write(&second, (0..4).map(clicks::click).chain([clicks::click(4).replace("\"x\":", "\"X\":")]));
    assert_eq!(judged(), fault(1, 0, 1));
    write(&second, (0..4).chain([10]).map(clicks::click));
    assert_eq!(judged(), fault(1, 0, 1));
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_exit_code_3() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let dir = file.path().join("demo");
    let ran = run(&["demo", "--dir", dir.to_str().unwrap()], &Environment::of([])).await;
    assert_eq!(ran.code, 3);
    assert!(ran.notes.starts_with(&format!("making {}: ", dir.display())), "{}", ran.notes);
}

#[test]
fn only_a_demos_own_directory_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let demo = dir.path().join("demo");
    folder::prepare(&demo).unwrap();
    fs::create_dir_all(demo.join("objects/demo")).unwrap();
    fs::write(demo.join("notes.txt"), "mine").unwrap();
    fs::write(demo.join("lock"), "").unwrap();
    folder::prepare(&demo).unwrap();
    assert!(!demo.join("objects").try_exists().unwrap());
    assert!(demo.join("notes.txt").try_exists().unwrap(), "what the service did not make stays");

    fs::create_dir(demo.join("objects")).unwrap();
    let held = File::open(demo.join("lock")).unwrap();
    held.lock().unwrap();
    let error = folder::prepare(&demo).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("is in use by another hydrant"), "{error}");
    assert!(demo.join("objects").try_exists().unwrap());

    let foreign = dir.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("thesis.txt"), "years of work").unwrap();
    let error = folder::prepare(&foreign).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("was not made by `hydrant demo`"), "{error}");
    assert_eq!(fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn paths_are_shown_so_that_a_shell_reads_them() {
    let shown = |path: &str| quoted(Path::new(path));
    assert_eq!(shown("./hydrant-demo/a_b"), "./hydrant-demo/a_b");
    assert_eq!(shown("my demo's"), r"'my demo'\''s'");
}
