//! A server that refuses, answers half, answers late or not at all.

use std::time::Duration;

use hydrant_model::{Outcome, Recovery, Sink};
use hydrant_sinks::note::{Address, addresses};
use hydrant_sinks::s3::{Endpoint, EndpointSettings, S3Sink, Target, Timeouts};
use tokio::net::TcpListener;

use crate::parcel::{PART, TestBody, TestNotes, data, intent, settle};
use crate::places::settings;
use crate::server::{ACCESS_KEY, Fault, SECRET, Server, error_xml};

/// A parcel of one request.
const SMALL: usize = 1000;
/// A parcel of three parts.
const LARGE: usize = 2 * PART + 1000;

/// Long enough for a busy machine: nothing here is expected to take it.
const LONG: Duration = Duration::from_mins(1);
/// Long enough for requests without a large body; passes in full where a test has the server hang.
const SHORT: Duration = Duration::from_millis(1500);

const PATIENT: Timeouts = Timeouts { connect: LONG, answer: LONG, complete: LONG, slowest: u64::MAX };
const IMPATIENT: Timeouts = Timeouts { answer: SHORT, ..PATIENT };
const IMPATIENT_AT_THE_END: Timeouts = Timeouts { complete: SHORT, ..PATIENT };

struct Bench {
    server: Server,
    sink: S3Sink,
    notes: TestNotes,
}

impl Bench {
    fn new() -> Self {
        let server = Server::start();
        server.make_bucket("bucket");
        let sink = sink(&server.url, PATIENT);
        Self { server, sink, notes: TestNotes::default() }
    }

    /// From here on the sink waits this long. What it has learned is forgotten.
    fn wait(&mut self, timeouts: Timeouts) {
        self.sink = sink(&self.server.url, timeouts);
    }

    /// One attempt at `k`.
    async fn attempt(&mut self, len: usize) -> Outcome {
        let outcome = self.sink.deliver(&intent("bucket", "k"), &mut TestBody::new(&data(len)), &mut self.notes).await;
        self.notes.next_attempt();
        outcome
    }

    async fn recover(&mut self) -> Recovery {
        self.sink.recover(&intent("bucket", "k"), &mut self.notes).await
    }

    fn requests(&self, operation: &str) -> usize {
        self.server.seen_of(operation).len()
    }

    fn object(&self) -> Option<Vec<u8>> {
        std::fs::read(self.server.root.path().join("bucket/k")).ok()
    }
}

fn sink(url: &str, timeouts: Timeouts) -> S3Sink {
    let settings = EndpointSettings { timeouts, ..settings(url, ACCESS_KEY, SECRET) };
    Endpoint::connect(settings).expect("settings").sink(Target::new("bucket"))
}

fn assert_retry(outcome: &Outcome, code: &str) {
    assert!(matches!(outcome, Outcome::Retry { error, .. } if error.code == code), "{code}: {outcome:?}");
}

fn assert_unknown(outcome: &Outcome, code: &str) {
    assert!(matches!(outcome, Outcome::Unknown(error) if error.code == code), "{code}: {outcome:?}");
}

#[tokio::test]
async fn a_500_on_put_is_unknown_and_the_next_attempt_delivers() {
    let mut bench = Bench::new();
    bench.server.fail("PutObject", Fault::error(500, "InternalError", "We encountered an internal error."));
    assert_unknown(&bench.attempt(SMALL).await, "S3.InternalError");
    assert!(matches!(bench.recover().await, Recovery::Absent));
    assert!(matches!(bench.attempt(SMALL).await, Outcome::Delivered(_)));
    assert_eq!(bench.requests("PutObject"), 2, "no hidden repetitions");
}

#[tokio::test]
async fn a_503_says_when_to_come_back() {
    let mut bench = Bench::new();
    let body = error_xml("SlowDown", "Please reduce your request rate.");
    bench.server.fail("PutObject", Fault::Answer { status: 503, header: Some(("retry-after", "7")), body });
    let outcome = bench.attempt(SMALL).await;
    assert_retry(&outcome, "S3.SlowDown");
    assert!(matches!(outcome, Outcome::Retry { after: Some(after), .. } if after == Duration::from_secs(7)));
}

#[tokio::test]
async fn a_gateway_that_asks_to_come_back_has_not_done_it() {
    let mut bench = Bench::new();
    let body = "<html>down</html>".to_owned();
    bench.server.fail("PutObject", Fault::Answer { status: 503, header: Some(("retry-after", "1")), body });
    assert_retry(&bench.attempt(SMALL).await, "S3.ServiceUnavailable");
    bench.server.fail("PutObject", Fault::Answer { status: 502, header: None, body: "<html>".into() });
    assert_unknown(&bench.attempt(SMALL).await, "S3.BadGateway");
}

#[tokio::test]
async fn a_connection_closed_after_the_body_is_unknown() {
    let mut bench = Bench::new();
    bench.server.fail("PutObject", Fault::Close);
    assert_unknown(&bench.attempt(SMALL).await, "S3.ConnectionReset");
    assert!(matches!(bench.recover().await, Recovery::Absent));
    bench.server.fail("PutObject", Fault::DoAndClose);
    assert_unknown(&bench.attempt(SMALL).await, "S3.ConnectionReset");
    assert!(matches!(bench.recover().await, Recovery::Delivered(receipt) if receipt.bytes == SMALL as u64));
}

#[tokio::test]
async fn an_object_whose_answer_came_too_late_is_found() {
    for (operation, len, timeouts) in
        [("PutObject", SMALL, IMPATIENT), ("CompleteMultipartUpload", LARGE, IMPATIENT_AT_THE_END)]
    {
        let mut bench = Bench::new();
        bench.wait(timeouts);
        bench.server.fail(operation, Fault::DoAndHang);
        assert_unknown(&bench.attempt(len).await, "S3.RequestTimeout");
        let found = bench.recover().await;
        assert!(matches!(found, Recovery::Delivered(receipt) if receipt.bytes == len as u64), "{operation}: {found:?}");
    }
}

#[tokio::test]
async fn an_error_inside_a_200_is_unknown() {
    let mut bench = Bench::new();
    bench.server.fail("CompleteMultipartUpload", Fault::error(200, "InternalError", "try again"));
    assert_unknown(&bench.attempt(LARGE).await, "S3.InternalError");
    assert_eq!(bench.requests("AbortMultipartUpload"), 0, "it may be completing");
    assert!(matches!(bench.recover().await, Recovery::Absent));
    assert_eq!(bench.requests("AbortMultipartUpload"), 1);
    assert_eq!(bench.server.open_uploads(), [""; 0].map(std::path::PathBuf::from));
    bench.server.fail("AbortMultipartUpload", Fault::error(404, "NoSuchUpload", "gone"));
    assert!(matches!(bench.recover().await, Recovery::Absent));
    assert!(matches!(bench.attempt(LARGE).await, Outcome::Delivered(_)));
    assert_eq!(bench.requests("AbortMultipartUpload"), 2, "what is gone is not aborted again");
    assert_eq!(bench.object(), Some(data(LARGE).to_vec()));
}

#[tokio::test]
async fn an_upload_that_is_gone_at_its_end_is_unknown() {
    let mut bench = Bench::new();
    bench.server.fail("CompleteMultipartUpload", Fault::error(404, "NoSuchUpload", "gone"));
    assert_unknown(&bench.attempt(LARGE).await, "S3.NoSuchUpload");
}

#[tokio::test]
async fn a_part_that_fails_ends_the_attempt_and_its_upload() {
    for (fault, timeouts) in
        [(Fault::error(500, "InternalError", "x"), PATIENT), (Fault::Close, PATIENT), (Fault::DoAndHang, IMPATIENT)]
    {
        let mut bench = Bench::new();
        bench.wait(timeouts);
        bench.server.fail("UploadPart", fault.clone());
        let outcome = bench.attempt(LARGE).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{fault:?}: {outcome:?}");
        assert_eq!(bench.object(), None);
        assert_eq!(bench.requests("AbortMultipartUpload"), 1, "{fault:?}");
        assert_eq!(bench.requests("CompleteMultipartUpload"), 0, "{fault:?}");
        bench.wait(PATIENT);
        assert!(matches!(bench.attempt(LARGE).await, Outcome::Delivered(_)), "{fault:?}");
    }
}

#[tokio::test]
async fn parts_leave_while_the_next_is_made() {
    let bench = Bench::new();
    let (mut body, _stopped) = TestBody::new(&data(4 * PART)).stopping_at(3 * PART);
    let (intent, mut notes) = (intent("bucket", "k"), TestNotes::default());
    tokio::select! {
        outcome = bench.sink.deliver(&intent, &mut body, &mut notes) => panic!("{outcome:?}"),
        () = bench.server.until("UploadPart", 2) => {}
    }
}

#[tokio::test]
async fn a_slow_server_holds_the_body_back() {
    let mut bench = Bench::new();
    bench.wait(IMPATIENT);
    // Only parts carry this header here.
    bench.server.lacks("x-amz-checksum-crc32", Fault::DoAndHang);
    let mut body = TestBody::new(&data(8 * PART));
    let outcome = bench.sink.deliver(&intent("bucket", "k"), &mut body, &mut bench.notes).await;
    assert_retry(&outcome, "S3.RequestTimeout");
    assert_eq!(bench.requests("UploadPart"), 2);
    let held = bench.sink.memory_bytes(8 * PART as u64);
    assert!(body.given() <= held + 100, "{} of {held}", body.given());
}

#[tokio::test]
async fn only_uploads_in_the_notes_are_aborted_and_before_the_next_begins() {
    let mut bench = Bench::new();
    bench.server.fail("UploadPart", Fault::Close);
    bench.server.fail("AbortMultipartUpload", Fault::error(500, "InternalError", "x"));
    assert!(matches!(bench.attempt(LARGE).await, Outcome::Retry { .. }));
    assert!(matches!(bench.attempt(LARGE).await, Outcome::Delivered(_)));
    let order: Vec<_> = bench.server.seen().into_iter().map(|seen| seen.operation).collect();
    let abort = order.iter().rposition(|operation| *operation == "AbortMultipartUpload").expect("an abort");
    let create = order.iter().rposition(|operation| *operation == "CreateMultipartUpload").expect("an upload");
    assert!(abort < create, "{order:?}");
    assert_eq!(bench.requests("AbortMultipartUpload"), 2);
}

#[tokio::test]
async fn an_object_that_s3_does_not_take_is_refused() {
    for (operation, len) in [("PutObject", SMALL), ("CreateMultipartUpload", LARGE), ("CompleteMultipartUpload", LARGE)]
    {
        let mut bench = Bench::new();
        bench.server.fail(operation, Fault::error(400, "KeyTooLongError", "Your key is too long"));
        let outcome = bench.attempt(len).await;
        assert!(matches!(&outcome, Outcome::Refused(error) if error.code == "S3.KeyTooLongError"), "{outcome:?}");
        assert_eq!(bench.server.open_uploads(), [""; 0].map(std::path::PathBuf::from), "{operation}");
    }
}

#[tokio::test]
async fn a_server_without_conditional_writes_is_served_without() {
    for (operation, len) in [("PutObject", SMALL), ("CompleteMultipartUpload", LARGE)] {
        let mut bench = Bench::new();
        let lack =
            Fault::error(501, "NotImplemented", "A header you provided implies functionality that is not implemented");
        bench.server.lacks("if-none-match", lack);
        assert!(matches!(bench.attempt(len).await, Outcome::Delivered(_)));
        assert_eq!(bench.requests(operation), 2);
        assert!(matches!(bench.attempt(len).await, Outcome::Delivered(_)));
        assert_eq!(bench.requests(operation), 3, "it was learned");
        assert_eq!(bench.object(), Some(data(len).to_vec()));
    }
}

#[tokio::test]
async fn a_server_without_checksums_is_served_without() {
    for (operation, len, tried) in [("PutObject", SMALL, 2), ("UploadPart", LARGE, 4)] {
        let mut bench = Bench::new();
        let lack = Fault::error(400, "InvalidArgument", "Unsupported header x-amz-checksum-crc32");
        bench.server.lacks("x-amz-checksum-crc32", lack);
        assert!(matches!(bench.attempt(len).await, Outcome::Delivered(_)));
        let first = bench.requests(operation);
        assert!(first >= tried, "{operation} {first}");
        let mut second = intent("bucket", "k2");
        second.id.0 = 2;
        settle(&bench.sink, &second, TestBody::new(&data(len)), &mut bench.notes).await;
        assert_eq!(bench.requests(operation) - first, len.div_ceil(PART), "it was learned");
    }
}

#[tokio::test]
async fn an_error_that_names_a_header_teaches_nothing_when_it_stays() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.server.fail("PutObject", Fault::error(400, "InvalidArgument", "checksum weather"));
    }
    assert!(matches!(bench.attempt(SMALL).await, Outcome::Refused(_)));
    assert!(matches!(bench.attempt(SMALL).await, Outcome::Delivered(_)));
    let last = bench.server.seen_of("PutObject").pop().expect("a request");
    assert!(last.headers.contains_key("x-amz-checksum-crc32"));
}

#[tokio::test]
async fn an_object_that_is_there_already_is_asked_for() {
    for (operation, len) in [("PutObject", SMALL), ("CompleteMultipartUpload", LARGE)] {
        let mut bench = Bench::new();
        assert!(matches!(bench.attempt(len).await, Outcome::Delivered(_)));
        assert_unknown(&bench.attempt(len).await, "S3.PreconditionFailed");
        assert!(matches!(bench.recover().await, Recovery::Delivered(receipt) if receipt.bytes == len as u64));
        bench.server.fail(operation, Fault::error(409, "ConditionalRequestConflict", "busy"));
        assert_unknown(&bench.attempt(len).await, "S3.ConditionalRequestConflict");
    }
}

#[tokio::test]
async fn without_permission_to_read_the_same_key_is_overwritten() {
    let mut bench = Bench::new();
    bench.server.fail("PutObject", Fault::DoAndClose);
    assert_unknown(&bench.attempt(SMALL).await, "S3.ConnectionReset");
    bench.server.fail("HeadObject", Fault::error(403, "AccessDenied", "no"));
    assert!(matches!(bench.recover().await, Recovery::Absent));
    assert!(matches!(bench.attempt(SMALL).await, Outcome::Delivered(_)), "a condition would fail for ever");
    assert_eq!(bench.object(), Some(data(SMALL).to_vec()));
}

#[tokio::test]
async fn a_server_that_cannot_be_asked_leaves_it_unknown() {
    let mut bench = Bench::new();
    bench.server.fail("HeadObject", Fault::error(500, "InternalError", "x"));
    assert!(matches!(bench.recover().await, Recovery::Unknown(error) if error.code == "S3.InternalError"));
    bench.server.fail("HeadObject", Fault::Close);
    assert!(matches!(bench.recover().await, Recovery::Unknown(error) if error.code == "S3.ConnectionReset"));
}

#[tokio::test]
async fn a_refused_connection_is_a_retry() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    for len in [SMALL, LARGE] {
        let sink = sink(&url, PATIENT);
        let outcome =
            sink.deliver(&intent("bucket", "k"), &mut TestBody::new(&data(len)), &mut TestNotes::default()).await;
        assert_retry(&outcome, "S3.ConnectionFailed");
        let Outcome::Retry { error, .. } = outcome else { unreachable!("asserted above") };
        assert!(error.message.contains("refused"), "{}", error.message);
    }
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let sink = sink(&format!("http://{}", listener.local_addr().expect("an address")), IMPATIENT);
    let outcome = sink.deliver(&intent("bucket", "k"), &mut TestBody::new(&data(10)), &mut TestNotes::default()).await;
    assert_unknown(&outcome, "S3.RequestTimeout");
    let outcome =
        sink.deliver(&intent("bucket", "k"), &mut TestBody::new(&data(LARGE)), &mut TestNotes::default()).await;
    assert_retry(&outcome, "S3.RequestTimeout");
}

#[tokio::test]
async fn missing_credentials_are_a_retry() {
    let server = Server::start();
    let sdk_config = aws_config::SdkConfig::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .credentials_provider(aws_sdk_s3::config::SharedCredentialsProvider::new(NoCredentials))
        .build();
    let settings = EndpointSettings::new(Some(server.url.clone()), "us-east-1", sdk_config);
    let sink = Endpoint::connect(settings).expect("settings").sink(Target::new("bucket"));
    let outcome = sink.deliver(&intent("bucket", "k"), &mut TestBody::new(&data(10)), &mut TestNotes::default()).await;
    assert_retry(&outcome, "S3.CredentialsNotLoaded");
    assert!(server.seen().is_empty());
}

#[derive(Debug)]
struct NoCredentials;

impl aws_sdk_s3::config::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(CredentialsError::not_loaded(
            "none here",
        )))
    }
}

#[tokio::test]
async fn a_note_names_the_address_before_the_request_and_once() {
    let mut bench = Bench::new();
    bench.server.fail("PutObject", Fault::error(500, "InternalError", "x"));
    bench.attempt(SMALL).await;
    bench.attempt(SMALL).await;
    let here = Address { endpoint: bench.server.url.clone(), bucket: "bucket".into() };
    assert_eq!(bench.notes.all().len(), 1, "the second attempt needs no sync");
    assert_eq!(addresses(bench.notes.all()), [here]);
    assert_eq!(Some(bench.notes.all()[0].clone()), bench.sink.announcement());
}

#[tokio::test]
async fn a_large_parcel_has_one_note_with_upload_and_address() {
    let mut bench = Bench::new();
    assert!(matches!(bench.attempt(LARGE).await, Outcome::Delivered(_)));
    assert_eq!(bench.notes.all().len(), 1);
    let note = String::from_utf8(bench.notes.all()[0].to_vec()).expect("JSON");
    assert!(note.contains(r#""upload":""#) && note.contains(&bench.server.url), "{note}");
}
