//! The format on disk of this version, as files that later versions must read.
//!
//! `tests/fixtures/log-v1/` is what [`history`] writes on a simulated clock: two segments of a log of records.

use std::path::Path;

use hydrant_model::{Birth, Offset};

use super::world::{World, dir, payload, put, read_all, texts};
use crate::log::{Disk, Durability, Placement};

const FIRST: &[u8] = include_bytes!("../../../tests/fixtures/log-v1/00000000000000000000.log");
const SECOND: &[u8] = include_bytes!("../../../tests/fixtures/log-v1/00000000000000000005.log");

async fn history() -> World {
    let world = World::new(2026);
    let log = world.open(0);
    put(&log, &["one", "", "{\"three\":3}\n"]).await.unwrap();
    put(&log, &["vier"]).await.unwrap();
    world.disk.fail_sync(0);
    put(&log, &["lost"]).await.unwrap_err();
    put(&log, &["after the gap", "HyFr"]).await.unwrap();
    log.append(payload(&["w"]), Durability::Written, Placement::Behind).await.unwrap();
    log.sync().await.unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn this_version_reads_the_files_of_version_1() {
    let world = World::new(1);
    world.disk.make_dir(&dir(1)).unwrap();
    world.disk.put(&dir(1).join("00000000000000000000.log"), FIRST);
    world.disk.put(&dir(1).join("00000000000000000005.log"), SECOND);
    let log = world.open(8);
    let expected =
        [(0, "one"), (1, ""), (2, "{\"three\":3}\n"), (3, "vier"), (5, "after the gap"), (6, "HyFr"), (7, "w")];
    assert_eq!(texts(&read_all(&log)), expected.map(|(offset, text)| (offset, text.to_owned())));
    let births: Vec<Birth> = read_all(&log).iter().map(|read| read.birth).collect();
    assert_eq!(births[0], Birth(FIRST[32..48].try_into().unwrap()));
    assert_eq!(births[6], Birth(SECOND[32..48].try_into().unwrap()));
    let mut reader = log.read(Offset(0), Offset(1));
    assert_eq!(reader.next().unwrap().unwrap().arrival_ms, 1_783_951_509_000);
    assert!(world.quarantine().is_empty());
    assert_eq!(put(&log, &["on"]).await.unwrap().first, Offset(8));
}

#[tokio::test(start_paused = true)]
async fn this_version_writes_the_files_of_version_1() {
    let world = history().await;
    let files = world.disk.files();
    assert_eq!(files[&dir(1).join("00000000000000000000.log")], FIRST);
    assert_eq!(files[&dir(1).join("00000000000000000005.log")], SECOND);
    assert_eq!(files.len(), 2);
}

/// Run by hand, once, when a format is new; never for one that was released.
#[tokio::test(start_paused = true)]
#[ignore = "writes the fixture"]
async fn write_the_fixture() {
    let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/log-v1");
    std::fs::create_dir_all(&to).unwrap();
    for (path, bytes) in history().await.disk.files() {
        std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}
