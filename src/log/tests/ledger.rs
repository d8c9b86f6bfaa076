//! A log whose segments begin with a snapshot.

use hydrant_model::Offset;

use super::world::{World, put, read, read_all, snapshot, texts};
use crate::log::AppendError;

#[tokio::test(start_paused = true)]
async fn it_takes_nothing_before_a_snapshot() {
    let mut world = World::new(1);
    let ledger = world.open_ledger(0);
    assert!(matches!(put(&ledger, &["entry"]).await, Err(AppendError::Sealed)));
    snapshot(&ledger, &["snapshot"]).await.unwrap();
    put(&ledger, &["entry"]).await.unwrap();
    world.restart();
    let ledger = world.open_ledger(0);
    assert!(matches!(put(&ledger, &["entry"]).await, Err(AppendError::Sealed)), "a segment that was open is sealed");
    assert_eq!(read_all(&ledger).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_it_refuses_entries_until_a_new_segment_begins() {
    let world = World::new(1);
    let ledger = world.open_ledger(0);
    snapshot(&ledger, &["snapshot"]).await.unwrap();
    world.disk.fail_sync(0);
    assert!(matches!(put(&ledger, &["lost"]).await, Err(AppendError::Failed(_))));
    assert!(matches!(put(&ledger, &["entry"]).await, Err(AppendError::Sealed)));
    world.disk.fail_sync(0);
    assert!(matches!(snapshot(&ledger, &["lost"]).await, Err(AppendError::Failed(_))));
    assert!(matches!(put(&ledger, &["entry"]).await, Err(AppendError::Sealed)));
    world.disk.fail_sync(1);
    assert!(snapshot(&ledger, &["lost with its frame"]).await.is_err());
    assert_eq!(ledger.segment_starts(), [Offset(0)], "a segment without its snapshot is none to trim by");
    assert!(matches!(put(&ledger, &["entry"]).await, Err(AppendError::Sealed)));
    let place = snapshot(&ledger, &["again"]).await.unwrap();
    put(&ledger, &["entry"]).await.unwrap();
    assert_eq!(ledger.segment_starts(), [place.first, Offset(0)]);
    let found: Vec<String> = texts(&read_all(&ledger)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, ["snapshot", "again", "entry"]);
    assert_eq!(ledger.account().used(), ledger.disk_bytes());
}

#[tokio::test(start_paused = true)]
async fn it_grows_past_what_a_log_of_records_rolls_at() {
    let world = World::new(1);
    let ledger = world.open_ledger(0);
    snapshot(&ledger, &["snapshot"]).await.unwrap();
    for _ in 0..100 {
        put(&ledger, &["x".repeat(1000)]).await.unwrap();
    }
    assert_eq!(world.segments().len(), 1);
    let place = snapshot(&ledger, &["compact"]).await.unwrap();
    ledger.trim(place.first).unwrap();
    assert_eq!(world.segments().len(), 1);
    assert_eq!(read(&ledger, place.first.0, place.first.0 + 1).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_it_goes_on_in_the_reserve_and_gives_it_back() {
    let mut world = World::new(1);
    world.workshop.pool.fill();
    let ledger = world.open_ledger(0);
    snapshot(&ledger, &["snapshot"]).await.unwrap();
    world.disk.set_capacity(Some(world.disk.used()));
    assert!(matches!(put(&ledger, &["x".repeat(5000)]).await, Err(AppendError::Full(_))));
    let mut entries = vec!["snapshot".to_owned()];
    let mut starts = Vec::new();
    for number in 0..2 {
        let start = snapshot(&ledger, &[format!("reserve {number}")]).await.unwrap();
        starts.push(start.first);
        entries.push(format!("reserve {number}"));
        for _ in 0..4 {
            put(&ledger, &["x".repeat(5000)]).await.unwrap();
            entries.push("x".repeat(5000));
        }
        assert!(put(&ledger, &["x".repeat(9000)]).await.is_err(), "a reserve file has its size");
    }
    assert!(matches!(snapshot(&ledger, &["no more"]).await, Err(AppendError::Full(_))));
    let found: Vec<String> = texts(&read_all(&ledger)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, entries);
    drop(ledger);
    world.crash();
    let ledger = world.open_ledger(0);
    let found: Vec<String> = texts(&read_all(&ledger)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(found, entries);
    // Trimming gives the first reserve file back, and the next snapshot takes it.
    ledger.trim(starts[1]).unwrap();
    snapshot(&ledger, &["in the reserve again"]).await.unwrap();
    world.disk.set_capacity(None);
    let place = snapshot(&ledger, &["grows again"]).await.unwrap();
    ledger.trim(place.first).unwrap();
    world.workshop.pool.look_at_space(0).unwrap();
    assert!(!world.workshop.pool.wants_filling(), "the reserve is whole");
}
