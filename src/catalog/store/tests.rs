use hydrant_model::StreamId;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::catalog::tests::{definition, rulebook};

const A: StreamId = StreamId([0xA; 16]);
const B: StreamId = StreamId([0xB; 16]);

fn open(data: &TempDir) -> Store {
    Store::open(data.path()).expect("opens")
}

/// A data directory with the streams `a` and `b`.
fn two_streams() -> (TempDir, Store) {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(&data);
    store.create(A, definition("a"), None, 1000).expect("created");
    store.create(B, definition("b"), None, 2000).expect("created");
    (data, store)
}

fn names(loaded: &Loaded) -> Vec<&str> {
    loaded.streams.iter().map(|stream| stream.definition.name.as_str()).collect()
}

fn only_fault(loaded: &Loaded) -> String {
    assert_eq!(loaded.damaged.len(), 1, "{:?}", loaded.damaged);
    loaded.damaged.iter().map(|set_aside| set_aside.error.to_string()).collect()
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON");
    change(&mut json);
    fs::write(path, json.to_string()).expect("written");
}

#[test]
fn a_stream_survives_reopening_with_everything_it_had() {
    let data = tempfile::tempdir().expect("a directory");
    let mut full = definition("orders");
    full.tags.insert("team".to_owned(), "größe".to_owned());
    full.throughput_hint_mbs = Some(3);
    let applied = Applied {
        hash: "00ff".to_owned(),
        document: json!({"Prefix": "größe/", "n": 1.5}),
        file: Some("größe.yaml".to_owned()),
    };
    let made = open(&data).create(A, full, Some(applied), 1000).expect("created");
    assert_eq!(open(&data).load().expect("loads").streams, [made]);
}

#[test]
fn versions_states_and_tags_survive_reopening() {
    let (data, store) = two_streams();
    let loaded = store.load().expect("loads");
    let [a, b] = loaded.streams.as_slice() else { panic!("two streams") };
    let mut changed = a.definition.clone();
    changed.destination.configuration["Prefix"] = json!("new/");
    let a = store.add_version(a, changed.clone(), None, 5000).expect("a version");
    assert_eq!((a.version, a.created_ms, a.updated_ms), (2, 1000, Some(5000)));
    changed.tags.insert("k".to_owned(), "v".to_owned());
    changed.destination.configuration["Prefix"] = json!("not by tagging/");
    let a = store.retag(&a, changed, None).expect("tagged");
    assert_eq!((a.version, a.updated_ms), (2, Some(5000)));
    let b = store.begin_deletion(b, 7000).expect("deleting");
    assert_eq!(open(&data).load().expect("loads").streams, [a.clone(), b]);
    assert_eq!(a.definition.destination.configuration["Prefix"], "new/");
    assert_eq!(store.version(A, 1).expect("kept").configuration.get("Prefix"), None);
    assert_eq!(store.version(A, 2).expect("in force"), a.definition.destination);
}

#[test]
fn a_torn_temporary_file_is_ignored() {
    let (data, store) = two_streams();
    fs::write(store.folder(A).join("stream.json.new"), b"{\"format\":1,\"na").expect("written");
    fs::write(store.folder(A).join("versions/2.json.new"), b"").expect("written");
    let store = open(&data);
    let loaded = store.load().expect("loads");
    assert_eq!((names(&loaded), loaded.damaged.len()), (vec!["a", "b"], 0));
    assert_eq!(store.versions(A).expect("listed"), [1]);
    let a = loaded.streams.first().expect("a");
    assert_eq!(store.add_version(a, a.definition.clone(), None, 9).expect("a version").version, 2);
}

#[test]
fn an_update_cut_short_did_not_happen_and_can_be_made_again() {
    let (data, store) = two_streams();
    let loaded = store.load().expect("loads");
    let a = loaded.streams.first().expect("a");
    fs::copy(store.folder(A).join("versions/1.json"), store.folder(A).join("versions/2.json")).expect("copied");
    assert_eq!(open(&data).load().expect("loads").streams.first(), Some(a));
    let a = store.add_version(a, a.definition.clone(), None, 9).expect("a version");
    assert_eq!(open(&data).load().expect("loads").streams.first(), Some(&a));
}

#[test]
fn a_damaged_file_is_reported_with_a_way_out_and_the_others_start() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, &str); 6] = [
        ("stream.json", |path| fs::write(path, b"{\"format\":1,").expect("written"), "EOF while parsing"),
        ("stream.json", |path| fs::write(path, b"{}").expect("written"), "it names no format"),
        ("stream.json", |path| edit(path, |json| json["id"] = json!(B)), "it is of stream 0b0b"),
        ("stream.json", |path| edit(path, |json| json["state"] = json!("SLEEPING")), "unknown variant"),
        ("versions/1.json", |path| edit(path, |json| json["version"] = json!(2)), "it is version 2"),
        ("versions/1.json", |path| fs::write(path, b"\0\0\0").expect("written"), "expected value"),
    ];
    for (file, damage, cause) in cases {
        let (data, store) = two_streams();
        let path = store.folder(A).join(file);
        damage(&path);
        let loaded = open(&data).load().expect("loads");
        assert_eq!(names(&loaded), ["b"], "{cause}");
        let fault = only_fault(&loaded);
        assert!(fault.starts_with(&format!("{} is damaged: {cause}", path.display())), "{fault}");
        assert!(fault.contains("put back a copy of it"), "{fault}");
    }
}

#[test]
fn a_version_that_is_missing_keeps_its_stream_from_starting() {
    let (_data, store) = two_streams();
    fs::remove_file(store.folder(A).join("versions/1.json")).expect("removed");
    let loaded = store.load().expect("loads");
    assert_eq!(names(&loaded), ["b"]);
    assert!(only_fault(&loaded).ends_with("versions/1.json"), "{}", only_fault(&loaded));
}

#[test]
fn a_file_of_a_later_format_is_refused_and_says_so() {
    let (_data, store) = two_streams();
    edit(&store.folder(A).join("stream.json"), |json| {
        json["format"] = json!(2);
        json["something_new"] = json!(true);
    });
    let loaded = store.load().expect("loads");
    assert_eq!(names(&loaded), ["b"]);
    assert!(only_fault(&loaded).contains("has format 2, and this version of hydrant reads up to 1"));
}

#[test]
fn the_name_of_a_stream_that_cannot_be_read_is_known_where_its_file_still_says_it() {
    type Damage = fn(&Path);
    let cases: [(&str, Damage, Option<&str>); 6] = [
        ("stream.json", |path| edit(path, |json| json["format"] = json!(2)), Some("a")),
        ("stream.json", |path| edit(path, |json| json["state"] = json!("SLEEPING")), Some("a")),
        ("versions/1.json", |path| fs::remove_file(path).expect("removed"), Some("a")),
        ("stream.json", |path| fs::write(path, b"{\"format\":1,").expect("written"), None),
        ("stream.json", |path| fs::write(path, b"{}").expect("written"), None),
        // The file of another stream does not say what this one is called.
        ("stream.json", |path| edit(path, |json| json["id"] = json!(B)), None),
    ];
    for (file, damage, name) in cases {
        let (_data, store) = two_streams();
        damage(&store.folder(A).join(file));
        let loaded = store.load().expect("loads");
        assert_eq!(loaded.damaged.len(), 1);
        assert_eq!(loaded.damaged[0].name.as_deref(), name, "{}", loaded.damaged[0].error);
    }
}

#[test]
fn a_creation_cut_short_leaves_nothing() {
    let (data, store) = two_streams();
    fs::remove_file(store.folder(A).join("stream.json")).expect("removed");
    fs::write(store.folder(A).join("stream.json.new"), b"{").expect("written");
    let loaded = open(&data).load().expect("loads");
    assert_eq!((names(&loaded), loaded.damaged.len()), (vec!["b"], 0));
    assert!(!store.folder(A).try_exists().unwrap());
}

#[test]
fn a_lost_stream_json_beside_records_is_damage_and_the_records_stay() {
    let (_data, store) = two_streams();
    let record = store.folder(A).join("records/segment");
    fs::create_dir(store.folder(A).join("records")).expect("made");
    fs::write(&record, b"record").expect("written");
    fs::remove_file(store.folder(A).join("stream.json")).expect("removed");
    let fault = only_fault(&store.load().expect("loads"));
    assert!(fault.contains("stream.json is damaged: it is missing, and records is there"), "{fault}");
    assert!(record.try_exists().unwrap());
}

#[test]
fn a_removed_stream_is_gone_and_a_removal_cut_short_is_ended() {
    let (data, store) = two_streams();
    store.remove(A).expect("removed");
    store.remove(A).expect("no fault");
    let half = data.path().join("streams").join(format!("{B}.removed"));
    fs::rename(store.folder(B), &half).expect("renamed");
    let loaded = open(&data).load().expect("loads");
    assert_eq!((loaded.streams.len(), loaded.damaged.len()), (0, 0));
    assert_eq!(fs::read_dir(data.path().join("streams")).expect("listed").count(), 0);
}

#[test]
fn versions_are_pruned_but_for_those_wanted_and_the_one_in_force() {
    let (_data, store) = two_streams();
    let mut a = store.load().expect("loads").streams.remove(0);
    for now in 0..4 {
        a = store.add_version(&a, a.definition.clone(), None, now).expect("a version");
    }
    assert_eq!(store.versions(A).expect("listed"), [1, 2, 3, 4, 5]);
    store.prune_versions(A, |version| version == 2).expect("pruned");
    assert_eq!(store.versions(A).expect("listed"), [2, 5]);
    assert_eq!(store.load().expect("loads").streams.first(), Some(&a));
}

#[test]
fn foreign_entries_are_left_alone() {
    let (data, store) = two_streams();
    fs::create_dir(data.path().join("streams/lost+found")).expect("made");
    fs::write(data.path().join("streams/notes.removed"), b"").expect("written");
    assert_eq!(names(&store.load().expect("loads")), ["a", "b"]);
    assert!(data.path().join("streams/notes.removed").try_exists().unwrap());
}

#[test]
fn of_two_active_streams_with_one_name_the_older_starts_and_a_deleting_one_may_share_it() {
    let data = tempfile::tempdir().expect("a directory");
    let store = open(&data);
    store.create(B, definition("a"), None, 1000).expect("created");
    let newer = store.create(A, definition("a"), None, 2000).expect("created");
    let loaded = store.load().expect("loads");
    assert_eq!(loaded.streams.iter().map(|stream| stream.id).collect::<Vec<_>>(), [B]);
    let fault = only_fault(&loaded);
    let (first, second) = (store.folder(B), store.folder(A));
    let expected = format!("stream a is in two folders, {} and {}: ", first.display(), second.display());
    assert!(fault.starts_with(&expected), "{fault}");
    assert!(!fault.contains("damaged") && !fault.contains("move"), "both hold records: {fault}");
    assert_eq!(loaded.damaged[0].name.as_deref(), Some("a"));
    store.begin_deletion(&newer, 7000).expect("deleting");
    assert_eq!(store.load().expect("loads").streams.len(), 2);
}

#[test]
fn what_is_stored_still_makes_a_plan() {
    let (_data, store) = two_streams();
    for stream in store.load().expect("loads").streams {
        let plan = crate::catalog::Plan::new(&stream.definition, stream.version, &rulebook()).expect("valid");
        assert_eq!(plan.objects.bucket, "lake");
    }
}
