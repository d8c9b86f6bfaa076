//! Syncs and writes that fail, and disks that are full.

use hydrant_model::Offset;

use super::world::{World, payload, put, read_all, snapshot, texts};
use crate::log::{Account, AppendError, Durability, Log, Placement};

#[tokio::test(start_paused = true)]
async fn after_a_failed_sync_nothing_is_answered_until_a_new_segment_is_proved() {
    let mut world = World::new(1);
    let log = world.open(0);
    put(&log, &["a"]).await.unwrap();
    world.disk.fail_sync(0);
    assert!(matches!(put(&log, &["lost"]).await, Err(AppendError::Failed(_))));
    assert!(!log.is_writable());
    world.disk.fail_sync(0);
    assert!(matches!(put(&log, &["refused"]).await, Err(AppendError::Failed(_))), "the new header could not be synced");
    assert!(!log.is_writable());
    assert_eq!(log.synced().offset, Offset(1));
    let place = put(&log, &["b"]).await.unwrap();
    assert!(log.is_writable());
    assert_eq!(place.first, Offset(2), "the offset of the lost record is not given again");
    let expected = [(0, "a".to_owned()), (2, "b".to_owned())];
    assert_eq!(texts(&read_all(&log)), expected);
    assert_eq!(log.account().used(), log.disk_bytes());
    for _ in 0..3 {
        world.restart();
        assert_eq!(texts(&read_all(&world.open(0))), expected, "what lies past the last good sync does not exist");
    }
    world.crash();
    assert_eq!(texts(&read_all(&world.open(3))), expected);
    assert!(world.quarantine().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_segment_is_ended_for_good_whatever_step_of_the_next_one_fails() {
    for changes in 0..10 {
        let mut world = World::new(changes);
        let log = world.open(0);
        put(&log, &["a"]).await.unwrap();
        world.disk.fail_sync(0);
        put(&log, &["lost"]).await.unwrap_err();
        world.disk.cut_power(changes);
        let third = put(&log, &["b"]).await;
        drop(log);
        world.restart();
        let found = texts(&read_all(&world.open(0)));
        assert!(third.is_err() || found.iter().any(|(_, text)| text == "b"));
        for life in 0..4 {
            if life % 2 == 0 {
                world.crash();
            } else {
                world.restart();
            }
            assert_eq!(texts(&read_all(&world.open(0))), found, "after {changes} changes, life {life}");
        }
        let log = world.open(0);
        let end = log.synced().offset;
        assert!(put(&log, &["c"]).await.unwrap().first >= end);
        assert!(world.quarantine().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_sync_left_visible_is_durable_once_a_restart_has_shown_it() {
    for seed in 0..30 {
        let mut world = World::new(seed);
        let log = world.open(0);
        put(&log, &["a"]).await.unwrap();
        world.disk.fail_sync(0);
        put(&log, &["b".repeat(9000)]).await.unwrap_err();
        drop(log);
        world.restart();
        let shown = read_all(&world.open(1));
        assert_eq!(shown.len(), 2, "a frame that verifies is never cut");
        world.crash();
        assert_eq!(read_all(&world.open(1)), shown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_written_record_that_a_failed_sync_lost_is_gone_and_the_log_goes_on() {
    let world = World::new(1);
    let log = world.open(0);
    put(&log, &["a"]).await.unwrap();
    log.append(payload(&["written"]), Durability::Written, Placement::Behind).await.unwrap();
    assert!(log.has_unsynced());
    assert_eq!(log.synced().offset, Offset(1), "not readable before it is synced");
    world.disk.fail_sync(0);
    assert!(log.sync().await.is_err());
    assert!(!log.has_unsynced());
    put(&log, &["b"]).await.unwrap();
    assert_eq!(texts(&read_all(&log)), [(0, "a".to_owned()), (2, "b".to_owned())]);
    assert_eq!(log.account().used(), log.disk_bytes());
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_reads_on_and_recovers_when_space_returns() {
    let mut world = World::new(1);
    let log = world.open(0);
    put(&log, &["a"]).await.unwrap();
    world.disk.set_capacity(Some(world.disk.used() + 500));
    assert!(matches!(put(&log, &["b".repeat(1000)]).await, Err(AppendError::Full(_))));
    let files = world.disk.files().len();
    for _ in 0..50 {
        assert!(matches!(put(&log, &["c"]).await, Err(AppendError::Full(_))));
    }
    assert_eq!(world.disk.files().len(), files, "refusing leaves nothing behind");
    assert_eq!(texts(&read_all(&log)), [(0, "a".to_owned())]);
    drop(log);
    world.restart();
    let log = world.open(1);
    assert_eq!(log.synced().offset, Offset(1), "opening needs no space");
    assert_eq!(texts(&read_all(&log)), [(0, "a".to_owned())]);
    assert!(put(&log, &["d"]).await.is_err());
    world.disk.set_capacity(None);
    put(&log, &["e"]).await.unwrap();
    let found = texts(&read_all(&log));
    assert_eq!(found.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a", "e"]);
    world.restart();
    assert_eq!(texts(&read_all(&world.open(2))), found);
    assert!(world.quarantine().is_empty());
}

#[tokio::test(start_paused = true)]
async fn records_are_refused_while_the_volume_is_below_its_floor_and_the_ledger_is_not() {
    let world = World::new(1);
    let (log, ledger) = (world.open(0), {
        let settings = World::log_settings(2);
        let settings = crate::log::LogSettings {
            used_as: crate::log::Use::Ledger,
            rolling: crate::log::Rolling::OnRequest,
            ..settings
        };
        world.try_open(settings, 0, 0).unwrap()
    });
    world.disk.set_capacity(Some(10 << 20));
    world.workshop.pool.look_at_space(20 << 20).unwrap();
    assert!(world.workshop.pool.is_low());
    assert!(matches!(put(&log, &["a"]).await, Err(AppendError::Full(_))));
    snapshot(&ledger, &["s"]).await.unwrap();
    log.sync().await.unwrap();
    world.workshop.pool.look_at_space(1 << 20).unwrap();
    put(&log, &["a"]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_over_its_budget_is_refused_until_something_is_trimmed() {
    let world = World::new(1);
    let account = Account::new(40_000);
    let (log, _) = Log::open(
        world.workshop.clone(),
        World::log_settings(1),
        std::sync::Arc::clone(&account),
        Offset(0),
        crate::log::Position::default(),
    )
    .unwrap();
    let mut accepted = 0;
    let refusal = loop {
        match put(&log, &["x".repeat(1000)]).await {
            Ok(_) => accepted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert!(matches!(refusal, AppendError::Budget { used, budget: 40_000 } if used > 39_000));
    assert!(accepted > 20);
    log.sync().await.unwrap();
    log.trim(log.synced().offset).unwrap();
    assert_eq!((account.used(), world.segments().len()), (0, 0), "a small budget is not held by an open segment");
    put(&log, &["x"]).await.unwrap();
    account.set_budget(0);
    assert!(matches!(put(&log, &["x"]).await, Err(AppendError::Budget { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_fails_is_not_damage() {
    let world = World::new(1);
    let log = world.open(0);
    for number in 0..40 {
        put(&log, &[vec![number; 3000]]).await.unwrap();
    }
    let expected = read_all(&log);
    let mut reader = log.read(Offset(0), Offset(40));
    let (mut found, mut failed) = (0, 0);
    loop {
        match reader.next() {
            Ok(Some(view)) => assert_eq!(view.body, expected[found].bytes),
            Ok(None) => break,
            Err(_) => {
                failed += 1;
                continue;
            }
        }
        found += 1;
        world.disk.fail_reads(1);
    }
    assert_eq!(found, 40);
    assert!(failed > 3);
    assert!(world.quarantine().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_ended_empty_is_never_removed_in_the_place_of_its_successor() {
    let mut world = World::new(1);
    let again = |world: &World| world.try_open(World::log_settings(1), 0, 10).unwrap();
    put(&world.open(0), &["a"]).await.unwrap();
    world.restart();
    // Behind a gap a segment begins at once; the process ends before anything is in it.
    drop(again(&world));
    world.restart();
    let log = again(&world);
    // The disk is slow, or refuses: meanwhile the next one begins with the same offset, and so has the same name.
    world.disk.cut_power(0);
    log.trim(Offset(10)).unwrap_err();
    world.disk.heal();
    let place = put(&log, &["b"]).await.unwrap();
    log.trim(Offset(10)).unwrap();
    assert_eq!(place.first, Offset(10));
    let mut reader = log.read(Offset(10), Offset(11));
    assert_eq!(reader.next().unwrap().unwrap().body, b"b");
    assert_eq!(log.account().used(), log.disk_bytes());
    drop(log);
    world.restart();
    assert_eq!(texts(&read_all(&world.open(0))), [(10, "b".to_owned())]);
}
