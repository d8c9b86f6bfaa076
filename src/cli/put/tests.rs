use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::cli::tests::server::{Reply, Request, Server, nobody};
use crate::cli::tests::{Ran, run};
use crate::settings::Environment;

/// A folder with `clicks.txt`.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        fs::write(fixture.file(), content).unwrap();
        fixture
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("clicks.txt")
    }

    fn memory(&self) -> PathBuf {
        memory_path(&self.file())
    }

    async fn put(&self, endpoint: &str, more: &[&str]) -> Ran {
        self.put_to("clicks", endpoint, more).await
    }

    async fn put_to(&self, stream: &str, endpoint: &str, more: &[&str]) -> Ran {
        let file = self.file();
        let arguments = ["put", stream, file.to_str().unwrap(), "--endpoint", endpoint];
        let all: Vec<&str> = arguments.iter().chain(more).copied().collect();
        run(&all, &Environment::of([])).await
    }
}

/// `count` lines of 1,000 bytes: 4,194 of them are a batch.
fn lines(count: usize) -> String {
    let lines: Vec<String> = (0..count).map(|number| format!("{number:0>999}\n")).collect();
    lines.concat()
}

/// The answer of a service that takes everything.
fn accept(request: &Request) -> Reply {
    let records = request.body.split_inclusive(|byte| *byte == b'\n').filter(|line| !matches!(*line, b"\n" | b"\r\n"));
    Reply::json(200, &format!(r#"{{"accepted":{},"firstRecordId":"a","lastRecordId":"b"}}"#, records.count()))
}

fn refuse(status: u16, headers: &str, message: &str) -> Reply {
    let body = format!(r#"{{"error":{{"type":"X","message":"{message}"}}}}"#);
    Reply::Answer { status, headers: headers.to_owned(), body }
}

fn bodies(server: &Server) -> Vec<Vec<u8>> {
    server.requests().into_iter().map(|request| request.body).collect()
}

#[tokio::test]
async fn a_file_arrives_whole_in_batches_and_leaves_nothing_behind() {
    let content = lines(10_000);
    let fixture = Fixture::new(&content);
    let server = Server::start(accept);
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!(
        ran,
        Ran { code: 0, results: "clicks: 10,000 records accepted, 9.54 MiB\n".into(), notes: String::new() }
    );
    let bodies = bodies(&server);
    assert_eq!(bodies.iter().map(Vec::len).collect::<Vec<_>>(), [4_194_000, 4_194_000, 1_612_000]);
    assert!(bodies.concat() == content.as_bytes());
    assert_eq!(server.targets(), ["/streams/clicks/records"; 3]);
    assert!(server.requests()[0].headers.contains(&("content-type".to_owned(), "text/plain".to_owned())));
    assert_eq!(fs::read_dir(fixture.dir.path()).unwrap().count(), 1, "only the file itself is left");
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_sent_again_and_no_other() {
    let fixture = Fixture::new(lines(10_000));
    let mut count = 0;
    let server = Server::start(move |request| {
        count += 1;
        if count == 2 { Reply::Lost } else { accept(request) }
    });
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 10,000 records accepted, 9.54 MiB\n"));
    let bodies = bodies(&server);
    assert_eq!(bodies.len(), 4);
    assert!(bodies[1] == bodies[2], "the lost one came twice");
    assert!(ran.notes.contains("trying again"), "{}", ran.notes);
}

#[tokio::test]
async fn a_busy_service_is_asked_again_when_it_says() {
    let fixture = Fixture::new("a\n");
    let mut refusals = vec![429, 503, 503];
    let server = Server::start(move |request| match refusals.pop() {
        Some(status) => refuse(status, "retry-after: 0\r\n", "Slow down."),
        None => accept(request),
    });
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!((ran.code, server.requests().len()), (0, 4));
    assert!(ran.notes.contains("answered 503: Slow down.; trying again"), "{}", ran.notes);
    let far = Server::start(|_| refuse(503, "retry-after: 400\r\n", "Slow down."));
    let ran = fixture.put(&far.url(), &["--restart"]).await;
    assert_eq!((ran.code, far.requests().len()), (1, 1), "a wait longer than --retry-for is not begun");
}

#[tokio::test]
async fn an_interrupted_put_goes_on_after_the_last_acknowledged_batch() {
    let content = lines(10_000);
    let fixture = Fixture::new(&content);
    let broken = Arc::new(AtomicBool::new(true));
    let (is_broken, count) = (Arc::clone(&broken), AtomicUsize::new(0));
    let server = Server::start(move |request| {
        let late = count.fetch_add(1, Ordering::SeqCst) >= 1;
        if late && is_broken.load(Ordering::SeqCst) { Reply::Lost } else { accept(request) }
    });
    let ran = fixture.put(&server.url(), &["--retry-for", "0"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("no answer from"), "{}", ran.notes);
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(fixture.memory()).unwrap()).unwrap();
    assert_eq!((&kept["offset"], &kept["line"]), (&4_194_000.into(), &4194.into()));

    broken.store(false, Ordering::SeqCst);
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 5,806 records accepted, 5.54 MiB\n"));
    assert!(ran.notes.contains("going on after line 4194 (4.00 MiB were accepted before)"), "{}", ran.notes);
    // The second request is the one whose answer was lost.
    let bodies = bodies(&server);
    assert!([&bodies[0][..], &bodies[2], &bodies[3]].concat() == content.as_bytes());
    assert!(!fixture.memory().try_exists().unwrap());
}

/// A file of which the first batch was accepted by `stopped`.
async fn half_accepted() -> (Fixture, Server) {
    let fixture = Fixture::new(lines(5000));
    let mut count = 0;
    let server = Server::start(move |request| {
        count += 1;
        if count == 2 { refuse(400, "", "no") } else { accept(request) }
    });
    assert_eq!(fixture.put(&server.url(), &[]).await.code, 1);
    assert!(fixture.memory().try_exists().unwrap());
    (fixture, server)
}

#[tokio::test]
async fn a_file_that_is_not_the_one_remembered_is_not_sent() {
    let (fixture, server) = half_accepted().await;
    let before = server.requests().len();
    let content = fs::read(fixture.file()).unwrap();
    // Changed in place, cut, replaced: each is another file.
    let mut changed = content.clone();
    changed[10] = b'x';
    for other in [changed, content[..1000].to_vec()] {
        fs::write(fixture.file(), other).unwrap();
        let ran = fixture.put(&server.url(), &[]).await;
        assert_eq!(ran.code, 1);
        assert!(ran.notes.contains("remembers another file of that name, or what it held before"), "{}", ran.notes);
    }
    let new = fixture.dir.path().join("new");
    fs::write(&new, &content).unwrap();
    fs::rename(new, fixture.file()).unwrap();
    assert_eq!(fixture.put(&server.url(), &[]).await.code, 1);
    assert_eq!(server.requests().len(), before, "nothing was sent");
    let ran = fixture.put(&server.url(), &["--restart"]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 5,000 records accepted, 4.77 MiB\n"));
}

#[tokio::test]
async fn what_is_remembered_holds_for_one_stream_of_one_service() {
    let (fixture, server) = half_accepted().await;
    let ran = fixture.put_to("views", &server.url(), &[]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("remembers a put to the stream clicks, accepted up to line 4194"), "{}", ran.notes);
    let ran = fixture.put(&nobody(), &[]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains(&format!("remembers a put to {}", server.url())), "{}", ran.notes);
    fs::write(fixture.memory(), "{}").unwrap();
    let ran = fixture.put(&server.url(), &[]).await;
    assert!(ran.notes.contains("was not written by this version"), "{}", ran.notes);
}

#[tokio::test]
async fn a_put_of_which_nothing_was_accepted_binds_nobody() {
    let fixture = Fixture::new("a\n");
    let server = Server::start(|request| {
        if request.target.contains("/clicks/") { accept(request) } else { refuse(404, "", "there is no stream") }
    });
    assert_eq!(fixture.put_to("clicsk", &server.url(), &[]).await.code, 1);
    assert!(!fixture.memory().try_exists().unwrap());
    // Left by a version that kept it, or by a crash between the two.
    let kept = format!(
        r#"{{"version":1,"stream":"clicsk","endpoint":"{}","inode":1,"head":"","offset":0,"line":0}}"#,
        nobody()
    );
    fs::write(fixture.memory(), kept).unwrap();
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 1 record accepted, 2 B\n"), "{}", ran.notes);
    assert!(!fixture.memory().try_exists().unwrap());
}

#[tokio::test]
async fn a_file_that_grew_is_sent_to_its_new_end() {
    let (fixture, server) = half_accepted().await;
    let content = fs::read(fixture.file()).unwrap();
    fs::OpenOptions::new().append(true).open(fixture.file()).unwrap();
    let grown = [&content[..], b"one more"].concat();
    fs::write(fixture.file(), grown).unwrap();
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 807 records accepted, 787.12 KiB\n"));
    assert!(bodies(&server).last().unwrap().ends_with(b"\none more\n"));
}

#[tokio::test]
async fn a_refusal_says_where_in_the_file_the_batch_begins() {
    let fixture = Fixture::new(lines(5000));
    let server = Server::start(|request| {
        if request.body.starts_with(b"00000") && request.body.len() > 4_000_000 {
            accept(request)
        } else {
            refuse(400, "", "line 3: bad")
        }
    });
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!(ran.code, 1);
    let file = fixture.file();
    let place = format!("400: line 3: bad (line 1 of this batch is line 4195 of {})", file.display());
    assert!(ran.notes.contains(&place), "{}", ran.notes);
}

#[tokio::test]
async fn a_line_that_is_too_long_stops_the_put_and_loses_nothing() {
    let fixture = Fixture::new(format!("a\n{}\nb\n", "x".repeat(100)));
    let server = Server::start(accept);
    let limit = ["--max-record-bytes", "100"];
    let ran = fixture.put(&server.url(), &limit).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("line 2 has 101 bytes, more than --max-record-bytes 100"), "{}", ran.notes);
    assert_eq!(bodies(&server), [b"a\n"], "what stands before it is accepted");
    let ran = fixture.put(&server.url(), &["--max-record-bytes", "100", "--skip-long-lines"]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "clicks: 1 record accepted, 2 B, 1 line left out\n"));
    assert!(ran.notes.contains("line 2 left out: 101 bytes"), "{}", ran.notes);
    assert_eq!(bodies(&server), [b"a\n", b"b\n"]);
}

#[tokio::test]
async fn an_answer_that_counts_otherwise_is_a_failure() {
    let fixture = Fixture::new("a\nb\n");
    let server = Server::start(|_| Reply::json(200, r#"{"accepted":1}"#));
    let ran = fixture.put(&server.url(), &[]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("accepted 1 records where 2 were sent"), "{}", ran.notes);
}

#[tokio::test]
async fn a_file_without_records_sends_nothing() {
    let server = Server::start(accept);
    for content in ["", "\n\r\n\n"] {
        let ran = Fixture::new(content).put(&server.url(), &["--no-resume"]).await;
        assert_eq!((ran.code, ran.results.lines().count()), (0, 1));
        assert!(ran.results.starts_with("clicks: 0 records accepted"));
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn two_puts_of_one_file_do_not_run_at_once() {
    let fixture = Fixture::new("a\n");
    let other = File::open(fixture.file()).unwrap();
    other.lock().unwrap();
    let ran = fixture.put(&nobody(), &[]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.notes.contains("is being sent by another put"), "{}", ran.notes);
}

fn pieces(content: &[u8], max_line: usize) -> Vec<Next> {
    // A reader that gives little at a time, so that lines cross its buffers.
    let mut lines = Lines::new(BufReader::with_capacity(7, content), Mark::default(), max_line);
    let mut pieces = Vec::new();
    loop {
        match lines.next().unwrap() {
            Next::End => return pieces,
            piece => pieces.push(piece),
        }
    }
}

fn batch(body: &str, records: u64, start: (u64, u64), end: (u64, u64)) -> Next {
    let mark = |(offset, line)| Mark { offset, line };
    Next::Batch(Batch { body: body.into(), records, start: mark(start), end: mark(end) })
}

#[test]
fn marks_count_the_bytes_of_the_file_and_not_the_line_feed_that_is_added() {
    assert_eq!(pieces(b"first line\n\r\n\nlast", 100), [batch("first line\n\r\n\nlast\n", 2, (0, 0), (18, 4))]);
    assert_eq!(pieces(b"", 100), []);
}

#[test]
fn a_line_that_is_too_long_stands_alone_between_its_neighbours() {
    let long = |bytes, offset, line| Next::TooLong { bytes, end: Mark { offset, line } };
    let expected =
        [batch("a\n", 1, (0, 0), (2, 1)), long(10, 12, 2), long(11, 23, 3), batch("1234567\n", 1, (23, 3), (31, 4))];
    assert_eq!(pieces(b"a\n123456789\n1234567890\n1234567\n", 8), expected);
    assert_eq!(pieces(b"12345678", 8), [long(9, 8, 1)], "with the line feed that it would get");
}

#[test]
fn batches_hold_at_most_5000_lines_and_4_mib_or_one_line() {
    let many = "\n".repeat(12_000);
    let sizes = |content: &[u8], max_line| {
        let size = |piece: &Next| match piece {
            Next::Batch(batch) => batch.body.len(),
            _ => 0,
        };
        pieces(content, max_line).iter().map(size).collect::<Vec<_>>()
    };
    assert_eq!(sizes(many.as_bytes(), 10), [5000, 5000, 2000]);
    let large = format!("{}\na\n{}\n", "x".repeat(5 << 20), "y".repeat((4 << 20) - 3));
    assert_eq!(sizes(large.as_bytes(), 10 << 20), [(5 << 20) + 1, 4 << 20]);
}
