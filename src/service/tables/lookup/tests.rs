use std::path::Path;

use aws_config::SdkConfig;

use super::*;
use crate::cli::tests::server::{Reply, Server};
use crate::settings::Settings;

/// What Glue says, one answer after another; the last one again and again.
fn server(answers: Vec<(u16, String)>) -> Server {
    let mut answers = answers.into_iter();
    let mut last = None;
    Server::start(move |_| {
        last = answers.next().or_else(|| last.take());
        last.as_ref().map_or(Reply::Lost, |(status, body)| Reply::json(*status, body))
    })
}

fn table(column: &str) -> (u16, String) {
    (200, format!(r#"{{"Table":{{"StorageDescriptor":{{"Columns":[{{"Name":"{column}","Type":"int"}}]}}}}}}"#))
}

fn refused(status: u16, class: &str) -> (u16, String) {
    (status, format!(r#"{{"__type":"{class}","Message":"no"}}"#))
}

fn lookup(dir: &Path, glue: Option<&Server>, version: Option<u64>) -> (Lookup, Clock) {
    _ = rustls::crypto::ring::default_provider().install_default();
    let (settings, sdk, clock) = (Settings::embedded(dir), SdkConfig::builder().build(), Clock::simulated(1));
    let glue = glue.map(|glue| Glue::open(&glue.url(), &settings, &sdk, clock.clone()).unwrap());
    let sources = Sources { files: Files { dir: dir.to_owned() }, glue, clock: clock.clone() };
    let (database, table) = ("sales".to_owned(), "clicks".to_owned());
    let id = TableId { catalog: None, region: "eu-west-1".to_owned(), database, table, version };
    (Lookup::new(id, Arc::new(sources)), clock)
}

/// The columns, or the code.
async fn seen(lookup: &Lookup) -> Result<String, &'static str> {
    lookup.schema().await.map(|schema| schema.to_string()).map_err(|error| error.code)
}

/// Lets time pass for clocks only: the server is a real one.
async fn pass(clock: &Clock, time: Duration) {
    tokio::time::pause();
    clock.sleep(time).await;
    tokio::time::resume();
}

fn nowhere() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[tokio::test]
async fn glue_is_asked_once_a_minute() {
    let (dir, server) = (nowhere(), server(vec![table("a"), table("b")]));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    for _ in 0..3 {
        assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    }
    pass(&clock, Duration::from_secs(50)).await;
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    assert_eq!(server.requests().len(), 1);
    pass(&clock, Duration::from_secs(10)).await;
    assert_eq!(seen(&lookup).await, Ok("b int".to_owned()));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let (dir, server) = (nowhere(), server(vec![table("a"), table("b")]));
    let (lookup, _) = lookup(dir.path(), Some(&server), None);
    let all = futures_util::future::join_all((0..8).map(|_| lookup.schema())).await;
    let first = all.first().unwrap().as_ref().unwrap();
    assert!(all.iter().all(|schema| Arc::ptr_eq(schema.as_ref().unwrap(), first)));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_fixed_version_is_asked_for_once() {
    let (dir, server) = (nowhere(), server(vec![table("a"), table("b")]));
    let (lookup, clock) = lookup(dir.path(), Some(&server), Some(3));
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    pass(&clock, Duration::from_hours(100)).await;
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn an_answer_that_stayed_the_same_is_the_same_schema() {
    let (dir, server) = (nowhere(), server(vec![table("a")]));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    let first = lookup.schema().await.unwrap();
    pass(&clock, LATEST).await;
    assert!(Arc::ptr_eq(&first, &lookup.schema().await.unwrap()));
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn while_glue_is_in_trouble_the_table_that_it_gave_last_is_used() {
    let troubles = [refused(500, "InternalServiceException"), refused(400, "ThrottlingException")];
    let others = [refused(400, "AccessDeniedException"), refused(404, ""), table("b")];
    let (dir, server) = (nowhere(), server([vec![table("a")], troubles.to_vec(), others.to_vec()].concat()));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    for asked in 2..=5 {
        pass(&clock, LATEST).await;
        assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
        assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
        assert_eq!(server.requests().len(), asked, "it is asked again in a minute");
    }
    pass(&clock, LATEST).await;
    assert_eq!(seen(&lookup).await, Ok("b int".to_owned()));
}

#[tokio::test]
async fn who_has_a_table_does_not_wait_long_for_a_glue_that_says_nothing() {
    let dir = nowhere();
    let mut replies = vec![Reply::json(200, &table("a").1)].into_iter();
    let server = Server::start(move |_| replies.next().unwrap_or(Reply::Silence));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    pass(&clock, LATEST).await;
    // Time flies as soon as there is nothing else to do, so it is let go only when the request has arrived.
    let arrival = async {
        while server.requests().len() < 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        clock.now()
    };
    let (answer, arrived) = tokio::join!(seen(&lookup), arrival);
    assert_eq!(answer, Ok("a int".to_owned()));
    assert!(clock.now() - arrived < PATIENCE + Duration::from_secs(1));
}

#[tokio::test]
async fn that_a_table_is_gone_is_an_answer() {
    let gone = refused(400, "EntityNotFoundException");
    let (dir, server) = (nowhere(), server(vec![table("a"), gone, refused(500, ""), table("b")]));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
    pass(&clock, LATEST).await;
    assert_eq!(seen(&lookup).await, Err(code::ENTITY_NOT_FOUND));
    pass(&clock, REFUSED).await;
    assert_eq!(seen(&lookup).await, Err(code::TIMEOUT), "what it was before is of no use now");
    pass(&clock, REFUSED).await;
    assert_eq!(seen(&lookup).await, Ok("b int".to_owned()));
}

#[tokio::test]
async fn what_was_refused_is_asked_again_in_10_seconds_or_by_who_insists() {
    let gone = refused(400, "EntityNotFoundException");
    let (dir, server) = (nowhere(), server(vec![gone.clone(), gone, table("a")]));
    let (lookup, clock) = lookup(dir.path(), Some(&server), None);
    for _ in 0..3 {
        assert_eq!(seen(&lookup).await, Err(code::ENTITY_NOT_FOUND));
    }
    assert_eq!(server.requests().len(), 1);
    pass(&clock, REFUSED).await;
    assert_eq!(seen(&lookup).await, Err(code::ENTITY_NOT_FOUND));
    assert_eq!(server.requests().len(), 2);
    assert_eq!(lookup.schema_anew().await.unwrap().to_string(), "a int");
    assert_eq!(lookup.schema_anew().await.unwrap().to_string(), "a int");
    assert_eq!(server.requests().len(), 3, "what was given is kept");
}

#[tokio::test]
async fn a_file_stands_in_for_glues_table_while_it_is_there() {
    let (dir, server) = (nowhere(), server(vec![table("a")]));
    let (lookup, _) = lookup(dir.path(), Some(&server), None);
    let file = dir.path().join("sales.clicks.sql");
    std::fs::write(&file, "CREATE TABLE t (f int)").unwrap();
    assert_eq!(seen(&lookup).await, Ok("f int".to_owned()));
    assert_eq!(server.requests().len(), 0);
    std::fs::write(&file, "CREATE TABLE t (g int, h int)").unwrap();
    assert_eq!(seen(&lookup).await, Ok("g int,\nh int".to_owned()));
    std::fs::write(&file, "CREATE TABLE").unwrap();
    assert_eq!(seen(&lookup).await, Err(code::INVALID_SCHEMA), "and Glue's is not taken behind its back");
    std::fs::remove_file(&file).unwrap();
    assert_eq!(seen(&lookup).await, Ok("a int".to_owned()));
}

#[tokio::test]
async fn what_neither_has_says_where_both_were_looked_at() {
    let (dir, server) = (nowhere(), server(vec![refused(400, "EntityNotFoundException")]));
    let (both, _) = lookup(dir.path(), Some(&server), None);
    let error = both.schema().await.unwrap_err();
    assert!(error.message.contains("Error Code: EntityNotFoundException; Endpoint: http://127.0.0.1:"), "{error}");
    assert!(error.message.contains("put sales.clicks.json there"), "{error}");
    let (files, _) = lookup(dir.path(), None, None);
    let error = files.schema().await.unwrap_err();
    assert_eq!(error.code, code::ENTITY_NOT_FOUND);
    assert!(error.message.ends_with("or set --glue-endpoint"), "{error}");
}
