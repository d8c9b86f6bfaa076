use super::super::All;
use super::*;

/// What a busy service answers: a stream that is well, one whose destination is down, one that is paused.
const ANSWER: &str = include_str!("streams.json");

fn streams() -> Vec<Stream> {
    serde_json::from_str::<All>(ANSWER).unwrap().streams
}

#[test]
fn the_overview_has_a_line_for_each_cursor_and_what_needs_attention() {
    assert_eq!(overview(&streams()), include_str!("overview.txt"));
}

#[test]
fn the_detail_shows_the_whole_last_error_on_its_line_and_the_columns() {
    assert_eq!(detail(&streams()[1]), include_str!("detail.txt"));
}

#[test]
fn no_streams_are_said_to_be_none() {
    assert_eq!(overview(&[]), "no delivery streams");
}

#[test]
fn a_stream_without_cursors_is_still_listed() {
    let mut streams = streams();
    streams[0].cursors.clear();
    assert!(overview(&streams).lines().any(|line| line == "clicks    ACTIVE          3"), "{}", overview(&streams));
}
