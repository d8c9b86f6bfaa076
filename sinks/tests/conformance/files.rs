//! What only a directory can do wrong.

use std::os::unix::fs::symlink;

use hydrant_model::{Outcome, Recovery, Sink};
use hydrant_sinks::file::FileRoot;

use crate::parcel::{PART, TestBody, TestNotes, data, intent};
use crate::places::{Directory, Place};

async fn deliver(sink: &dyn Sink, key: &str) -> Outcome {
    sink.deliver(&intent("b", key), &mut TestBody::new(&data(10)), &mut TestNotes::default()).await
}

#[tokio::test]
async fn a_link_in_the_root_is_not_followed() {
    let (directory, outside) = (Directory::new(), tempfile::tempdir().expect("a directory"));
    let root = directory.path.path();
    std::fs::create_dir(root.join("b")).expect("a bucket");
    symlink(outside.path(), root.join("b/link")).expect("a link");
    symlink(outside.path(), root.join("linked-bucket")).expect("a link");
    for (bucket, key) in [("b", "link/x"), ("b", "link/deeper/x"), ("linked-bucket", "x")] {
        let sink = directory.sink(bucket);
        let outcome = deliver(sink.as_ref(), key).await;
        assert!(
            matches!(&outcome, Outcome::Retry { error, .. } if error.code == "File.SymbolicLink"),
            "{bucket} {key}: {outcome:?}"
        );
        let recovery = sink.recover(&intent(bucket, key), &mut TestNotes::default()).await;
        assert!(matches!(recovery, Recovery::Absent), "{bucket} {key}: {recovery:?}");
    }
    assert_eq!(std::fs::read_dir(outside.path()).expect("a directory").count(), 0);
}

#[tokio::test]
async fn a_link_under_the_final_name_is_replaced_not_written_through() {
    let (directory, outside) = (Directory::new(), tempfile::tempdir().expect("a directory"));
    let victim = outside.path().join("victim");
    std::fs::write(&victim, "precious").expect("written");
    std::fs::create_dir(directory.path.path().join("b")).expect("a bucket");
    symlink(&victim, directory.path.path().join("b/x")).expect("a link");
    let sink = directory.sink("b");
    let before = sink.recover(&intent("b", "x"), &mut TestNotes::default()).await;
    assert!(matches!(before, Recovery::Absent), "{before:?}");
    assert!(matches!(deliver(sink.as_ref(), "x").await, Outcome::Delivered(_)));
    assert_eq!(std::fs::read(&victim).expect("the victim"), b"precious");
    assert_eq!(std::fs::read(directory.path.path().join("b/x")).expect("the file"), data(10));
}

#[tokio::test]
async fn a_key_read_back_from_a_damaged_disk_stays_below_the_root() {
    let directory = Directory::new();
    for key in ["../../escaped", "a/../../../escaped", "..", "./x", "a/", "a\0b", "/"] {
        let mut intent = intent("b", "harmless");
        intent.object.key = key.into();
        let sink = directory.sink("b");
        let outcome = sink.deliver(&intent, &mut TestBody::new(&data(1)), &mut TestNotes::default()).await;
        assert!(matches!(&outcome, Outcome::Refused(error) if error.code == "File.InvalidKey"), "{key}: {outcome:?}");
    }
    for bucket in ["", ".", "..", ".incoming", "a/b"] {
        let outcome = deliver(directory.sink(bucket).as_ref(), "x").await;
        assert!(
            matches!(&outcome, Outcome::Retry { error, .. } if error.code == "File.InvalidBucketName"),
            "{bucket}: {outcome:?}"
        );
    }
    assert_eq!(directory.keys("").await, [""; 0]);
}

#[tokio::test]
async fn what_is_in_the_way_of_a_key_is_named() {
    let directory = Directory::new();
    let sink = directory.sink("b");
    assert!(matches!(deliver(sink.as_ref(), "a/file").await, Outcome::Delivered(_)));
    let long = format!("{}/x", "l".repeat(300));
    for (key, code, what) in [
        ("a/file/x", "File.NotADirectory", "file"),
        ("a", "File.IsADirectory", "a"),
        (long.as_str(), "File.InvalidKey", "llll"),
    ] {
        let outcome = deliver(sink.as_ref(), key).await;
        assert!(
            matches!(&outcome, Outcome::Refused(error) if error.code == code && error.message.contains(what)),
            "{key}: {outcome:?}"
        );
    }
    assert_eq!(directory.keys("b").await, ["a/file"]);
    assert_eq!(directory.leftovers("b", "").await, [""; 0]);
}

#[tokio::test]
async fn empty_components_have_no_meaning() {
    let directory = Directory::new();
    assert!(matches!(deliver(directory.sink("b").as_ref(), "/logs//x").await, Outcome::Delivered(_)));
    assert_eq!(directory.keys("b").await, ["logs/x"]);
}

#[tokio::test]
async fn what_a_killed_process_left_is_removed_at_the_start() {
    let directory = Directory::new();
    let (mut body, stopped) = TestBody::new(&data(PART)).stopping_at(1 << 20);
    let (sink, intent, mut notes) = (directory.sink("b"), intent("b", "x"), TestNotes::default());
    let mut delivery = Box::pin(sink.deliver(&intent, &mut body, &mut notes));
    tokio::select! {
        outcome = &mut delivery => panic!("{outcome:?}"),
        () = stopped.notified() => {}
    }
    // A killed process drops nothing.
    std::mem::forget(delivery);
    assert_eq!(directory.leftovers("b", "x").await.len(), 1);
    FileRoot::open(directory.path.path()).expect("a root");
    assert_eq!(directory.leftovers("b", "x").await, [""; 0]);
    assert_eq!(directory.keys("b").await, [""; 0]);
}

#[tokio::test]
async fn a_directory_that_was_removed_is_made_again() {
    let directory = Directory::new();
    let sink = directory.sink("b");
    assert!(matches!(deliver(sink.as_ref(), "a/b/1").await, Outcome::Delivered(_)));
    std::fs::remove_dir_all(directory.path.path().join("b")).expect("removed");
    assert!(matches!(deliver(sink.as_ref(), "a/b/2").await, Outcome::Delivered(_)));
    assert_eq!(directory.keys("b").await, ["a/b/2"]);
}

#[tokio::test]
async fn a_root_that_is_removed_is_made_again() {
    let parent = tempfile::tempdir().expect("a directory");
    let volume = parent.path().join("volume");
    std::fs::create_dir(&volume).expect("made");
    let path = volume.join("objects");
    let root = FileRoot::open(&path).expect("opens");
    let sink = root.sink("b");
    assert!(matches!(deliver(&sink, "x/1").await, Outcome::Delivered(_)));
    for removed in [path.clone(), path.join(".incoming"), path.join("b")] {
        std::fs::remove_dir_all(&removed).expect("removed");
        assert!(matches!(deliver(&sink, "x/2").await, Outcome::Delivered(_)), "{}", removed.display());
        assert_eq!(std::fs::read(path.join("b/x/2")).expect("the file"), data(10));
    }
    // Not where the volume itself is gone.
    std::fs::remove_dir_all(&volume).expect("removed");
    let outcome = deliver(&sink, "x/3").await;
    assert!(matches!(&outcome, Outcome::Retry { error, .. } if error.code == "File.IoError"), "{outcome:?}");
}
