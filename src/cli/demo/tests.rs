use std::fs::{self, File};
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;
use crate::cli::out::Captured;
use crate::cli::tests::run;
use crate::clock::Clock;
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
    let read = || objects::read(dir.path(), Form::Lines).unwrap();
    let judged = || objects::judge(&read(), 10);
    write(&first, (5..10).map(clicks::click));
    write(&second, (0..5).map(clicks::click));
    assert_eq!(judged().unwrap(), "10 records in 2 objects");
    let objects = read();
    assert_eq!((&objects[0].path, objects[0].records.len()), (&first, 5));
    assert_eq!(objects[0].first, clicks::click(5).trim_end());
    assert_eq!(objects[0].bytes, fs::metadata(&first).unwrap().len());

    write(&second, (0..4).map(clicks::click));
    let fault = |missing, repeated, strange| {
        Err(format!(
            "10 records were posted; in 2 objects, {missing} are missing, {repeated} repeated, and {strange} are not what was \
             posted"
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

#[test]
fn a_query_is_shown_so_that_a_shell_and_sql_read_it() {
    let next = |dir: &str| what_next(Path::new(dir), &Path::new(dir).join("objects/demo"));
    let query = |dir: &str| next(dir).lines().nth(1).unwrap().to_owned();
    assert_eq!(
        query("hydrant-demo"),
        "query them:    duckdb -c \"select country, section, count(*) as clicks, sum(cents) as cents from \
         read_parquet('hydrant-demo/objects/demo/shop/**/*.parquet', hive_partitioning=true) group by all order by all\""
    );
    let awkward = query("$my demo's");
    assert!(awkward.contains(r"-c 'select "), "{awkward}");
    assert!(awkward.contains(r"read_parquet('\''$my demo'\'''\''s/objects/"), "{awkward}");
}

/// A run with few records: everything but the speed.
#[tokio::test(flavor = "multi_thread")]
async fn each_click_is_in_both_streams_and_nothing_that_lies_elsewhere_counts() {
    _ = rustls::crypto::ring::default_provider().install_default();
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("demo");
    let environment = Environment::of([]);
    let (mut out, results, _) = Captured::out();
    let mut context = Context { environment: &environment, out: &mut out, clock: Clock::system() };
    Box::pin(super::run(&dir, 1200, &mut context)).await.unwrap();
    let text = results.text();
    for line in [
        "1,200 records in 1 object: each that was accepted, exactly once, byte for byte",
        "1,200 records in 18 objects: each that was accepted, exactly once, in the folder of its country and section",
        "the columns were inferred: number bigint, time string, ",
        "device struct<kind:string,system:string,touch:boolean,pixels:bigint>, section string",
        "query them:    duckdb -c \"select country",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }

    let shop = dir.join("objects/demo/shop");
    let told = || objects::judge(&objects::read(&shop, Form::Rows).unwrap(), 1200).unwrap_err();
    let german = shop.join("country=DE/section=cart");
    let object = fs::read_dir(&german).unwrap().next().unwrap().unwrap();
    let rows = objects::read(&german, Form::Rows).unwrap()[0].records.len();
    let elsewhere = shop.join("country=FR/section=cart").join(object.file_name());
    fs::copy(object.path(), &elsewhere).unwrap();
    assert!(told().ends_with(&format!("0 are missing, 0 repeated, and {rows} are not what was posted")), "{}", told());
    fs::rename(&elsewhere, german.join("again.parquet")).unwrap();
    assert!(told().ends_with(&format!("0 are missing, {rows} repeated, and 0 are not what was posted")), "{}", told());
    fs::write(object.path(), "PAR1").unwrap();
    let damaged = objects::read(&shop, Form::Rows).unwrap_err();
    assert!(damaged.to_string().starts_with("unpacking "), "{damaged}");
    fs::remove_dir_all(&shop).unwrap();
    assert!(told().contains("in 0 objects, 1200 are missing"), "{}", told());
}
