use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

use super::*;
use crate::cli::tests::server::{Reply, Request as Arrived, Server, nobody};
use crate::service::endpoint::MOST_MESSAGE_CHARS;

const ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:clean";

fn settings() -> Settings {
    Settings { region: "eu-west-1".to_owned(), ..Settings::embedded("data".as_ref()) }
}

fn functions_of(endpoint: &str, sdk: &SdkConfig, clock: &Clock) -> Functions {
    _ = rustls::crypto::ring::default_provider().install_default();
    Functions::open(endpoint, &settings(), sdk, clock.clone()).unwrap()
}

fn function(endpoint: &str) -> Remote {
    functions_of(endpoint, &SdkConfig::builder().build(), &Clock::system()).function(ARN).unwrap()
}

/// What a call becomes that is answered like this, and the requests it took.
async fn asked(mut reply: impl FnMut() -> Reply + Send + 'static) -> (Result<Bytes, InvokeError>, Vec<Arrived>) {
    let server = Server::start(move |_| reply());
    let answer = function(&server.url()).invoke(Bytes::from_static(b"{}")).await;
    (answer, server.requests())
}

async fn failure(reply: impl FnMut() -> Reply + Send + 'static) -> (&'static str, String) {
    let (answer, requests) = asked(reply).await;
    assert_eq!(requests.len(), 1, "whoever calls decides about another attempt");
    let error = answer.unwrap_err();
    (error.kind.code(), error.message)
}

/// What an answer of this status and body fails a call with.
async fn status(status: u16, headers: &'static str, body: &'static str) -> (&'static str, String) {
    failure(move || Reply::Answer { status, headers: headers.to_owned(), body: body.to_owned() }).await
}

fn said(code: &'static str, message: &str) -> (&'static str, String) {
    (code, message.to_owned())
}

#[tokio::test]
async fn a_function_is_called_as_aws_is_asked_to() {
    let (answer, requests) = asked(|| Reply::json(200, r#"{"records":[]}"#)).await;
    assert_eq!(answer.unwrap(), r#"{"records":[]}"#);
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/2015-03-31/functions/clean/invocations");
    assert_eq!(request.body, b"{}");
    let header =
        |name: &str| request.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str());
    assert_eq!(header("x-amz-invocation-type"), Some("RequestResponse"));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("authorization"), None, "there are no credentials");
}

#[tokio::test]
async fn a_call_with_credentials_is_signed_for_the_server_that_gets_it() {
    let server = Server::start(|_| Reply::json(200, "null"));
    let credentials = SharedCredentialsProvider::new(Credentials::new("AKID", "secret", None, None, "test"));
    let sdk = SdkConfig::builder().credentials_provider(credentials).build();
    let function = functions_of(&server.url(), &sdk, &Clock::simulated(1)).function(ARN).unwrap();
    function.invoke(Bytes::from_static(b"{}")).await.unwrap();
    let [request] = <[Arrived; 1]>::try_from(server.requests()).unwrap();
    let header = |name: &str| &request.headers.iter().find(|(header, _)| header == name).expect(name).1;
    let scope = "AWS4-HMAC-SHA256 Credential=AKID/20260713/eu-west-1/lambda/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type, Signature=";
    assert!(header("authorization").starts_with(scope), "{request:?}");
    assert_eq!(format!("http://{}", header("host")), server.url(), "the host that was signed");
    assert_eq!(header("x-amz-date"), "20260713T140509Z");
}

#[test]
fn versions_and_aliases_are_asked_for_by_the_query() {
    let sdk = SdkConfig::builder().build();
    let url = |endpoint: &str, name: &str| {
        functions_of(endpoint, &sdk, &Clock::system()).function(name).map(|function| function.url.to_string())
    };
    let at = |endpoint: &str, rest: &str| Ok(format!("{endpoint}/2015-03-31/functions/clean/invocations{rest}"));
    assert_eq!(url("http://h:1", ARN), at("http://h:1", ""));
    assert_eq!(url("http://h:1/", &format!("{ARN}:$LATEST")), at("http://h:1", "?Qualifier=%24LATEST"));
    assert_eq!(url("https://h/base/", "clean:live"), at("https://h/base", "?Qualifier=live"));
    assert!(url("http://h:1", "a/b").is_err());
}

#[test]
fn an_endpoint_that_is_no_url_and_authorities_that_are_none_stop_the_start() {
    _ = rustls::crypto::ring::default_provider().install_default();
    let open = |endpoint: &str, settings: &Settings| {
        Functions::open(endpoint, settings, &SdkConfig::builder().build(), Clock::system()).err().map(|e| e.to_string())
    };
    for endpoint in ["", "lambda:3001", "ftp://h", "file:///f"] {
        let rule = open(endpoint, &settings()).expect(endpoint);
        assert_eq!(rule, "the endpoint of Lambda must be a URL such as http://127.0.0.1:3001");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let mut settings = settings();
    settings.ca_bundle = Some(path.clone());
    assert!(open("https://h", &settings).unwrap().contains("ca.pem: No such file"));
    for text in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, text).unwrap();
        assert!(open("https://h", &settings).is_some(), "{text}");
    }
}

#[tokio::test]
async fn an_error_of_the_function_is_told_with_its_class_and_message() {
    let error = "x-amz-function-error: Unhandled\r\n";
    let told = status(200, error, r#"{"errorMessage":"'page'","errorType":"KeyError","stackTrace":[]}"#).await;
    assert_eq!(told, said("Lambda.FunctionError", "KeyError: 'page'"));
    let told = status(200, error, r#"{"errorMessage":"no class"}"#).await;
    assert_eq!(told, said("Lambda.FunctionError", "no class"));
    assert_eq!(status(200, error, "no JSON").await, said("Lambda.FunctionError", "no JSON"));
    let late = "2026-07-13T14:05:09Z 1b2c Task timed out after 3.00 seconds";
    let told = failure(move || Reply::Answer {
        status: 200,
        headers: "X-Amz-Function-Error: Unhandled\r\n".to_owned(),
        body: format!(r#"{{"errorMessage":"{late}"}}"#),
    });
    assert_eq!(told.await, said("Lambda.FunctionTimedOut", late));
    let told = status(200, error, r#"{"errorType":"Sandbox.Timedout","errorMessage":"after 3 s"}"#).await;
    assert_eq!(told, said("Lambda.FunctionTimedOut", "Sandbox.Timedout: after 3 s"));
}

#[tokio::test]
async fn a_function_that_returns_an_error_without_raising_it_has_answered() {
    let (answer, _) = asked(|| Reply::json(200, r#"{"errorMessage":"Task timed out"}"#)).await;
    assert_eq!(answer.unwrap(), r#"{"errorMessage":"Task timed out"}"#);
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    let codes = [
        (202, "Lambda.InvocationFailure"),
        (307, "Lambda.InvocationFailure"),
        (400, "Lambda.InvocationFailure"),
        (401, "Lambda.InvokeAccessDenied"),
        (403, "Lambda.InvokeAccessDenied"),
        (404, "Lambda.ResourceNotFound"),
        (408, "Lambda.FunctionRequestTimedOut"),
        (413, "Lambda.InvocationFailure"),
        (429, "Lambda.InvokeLimitExceeded"),
        (500, "Lambda.InternalServerError"),
        (502, "Lambda.ServiceUnavailable"),
        (503, "Lambda.ServiceUnavailable"),
        (504, "Lambda.FunctionRequestTimedOut"),
    ];
    for (number, code) in codes {
        let elsewhere = "location: /elsewhere\r\n";
        assert_eq!(status(number, elsewhere, "").await, (code, format!("status {number}")));
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_server() {
    let class = "x-amzn-ErrorType: ResourceNotFoundException:http://internal.amazon.com/\r\n";
    let told = status(404, class, r#"{"Type":"User","Message":"Function not found: clean"}"#).await;
    assert_eq!(told.1, "status 404: ResourceNotFoundException: Function not found: clean");
    let told = status(429, "", r#"{"message":"Rate Exceeded."}"#).await;
    assert_eq!(told.1, "status 429: Rate Exceeded.");
    assert_eq!(status(503, "", "try later\n").await.1, "status 503: try later");
    let (_, message) = failure(|| Reply::json(500, &"ä".repeat(10_000))).await;
    assert_eq!(message.chars().count(), MOST_MESSAGE_CHARS + 1);
    assert!(message.ends_with("ä…"));
}

#[tokio::test]
async fn an_answer_over_6_mb_is_given_up_and_one_of_6_mb_is_read() {
    let (answer, _) = asked(|| Reply::json(200, &"x".repeat(MOST_PAYLOAD_BYTES))).await;
    assert_eq!(answer.unwrap().len(), MOST_PAYLOAD_BYTES);
    let over = said("Lambda.FunctionError", "Its response is over 6 MB.");
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MOST_PAYLOAD_BYTES + 1);
    // Nothing follows: it is enough that it is announced.
    assert_eq!(failure(move || Reply::Raw(announced.clone().into())).await, over);
    let endless = || {
        let mut answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x1_0000], b"\r\n"].concat();
        answer.extend(chunk.repeat(MOST_PAYLOAD_BYTES / 0x1_0000 + 1));
        // It breaks off here, which only a client sees that reads on.
        Reply::Raw(answer)
    };
    assert_eq!(failure(endless).await, over);
}

#[tokio::test]
async fn a_server_that_does_not_answer_did_not_respond() {
    let no_response = "Lambda.TargetServerFailedToRespond";
    assert_eq!(failure(|| Reply::Lost).await.0, no_response);
    let half = || Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"re".to_vec());
    assert_eq!(failure(half).await.0, no_response);
    let garbage = || Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec());
    assert_eq!(failure(garbage).await.0, no_response);
    let error = function(&nobody()).invoke(Bytes::new()).await.unwrap_err();
    assert_eq!(error.kind.code(), no_response);
    assert!(error.message.contains("onnection refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_waited_for_as_long_as_a_function_may_run() {
    let clock = Clock::system();
    let server = Server::start(|_| Reply::Silence);
    let function = function(&server.url());
    // Time flies as soon as there is nothing else to do, so it is let go only when the request has arrived.
    let arrival = async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        clock.now()
    };
    let (answer, arrived) = tokio::join!(function.invoke(Bytes::new()), arrival);
    assert_eq!(answer.unwrap_err().kind, InvokeErrorKind::RequestTimedOut);
    assert!(clock.now() - arrived >= Duration::from_mins(5));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_key_that_is_refused_is_asked_for_anew() {
    let server =
        Server::start(|_| Reply::json(403, r#"{"message":"The security token included in the request is expired"}"#));
    let keys = Rotating::default();
    let sdk = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(keys)).build();
    let function = functions_of(&server.url(), &sdk, &Clock::system()).function(ARN).unwrap();
    for _ in 0..2 {
        assert_eq!(function.invoke(Bytes::new()).await.unwrap_err().kind, InvokeErrorKind::Denied);
    }
    let ids = server.requests().into_iter().map(|request| {
        let (_, value) = request.headers.into_iter().find(|(name, _)| name == "authorization").unwrap();
        value.split(['=', '/']).nth(1).unwrap().to_owned()
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["key0", "key1"]);
}

/// Has another key each time.
#[derive(Debug, Default)]
struct Rotating(AtomicU32);

impl ProvideCredentials for Rotating {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let key = Credentials::new(format!("key{count}"), "secret", None, None, "test");
        future::ProvideCredentials::ready(Ok(key))
    }
}

/// A role that may not be assumed.
#[derive(Debug)]
struct Denied;

impl ProvideCredentials for Denied {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err(CredentialsError::provider_error("AccessDenied: sts:AssumeRole")))
    }
}

#[tokio::test]
async fn where_a_role_cannot_be_assumed_nothing_is_sent() {
    let server = Server::start(|_| Reply::json(200, "null"));
    let sdk = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(Denied)).build();
    let function = functions_of(&server.url(), &sdk, &Clock::system()).function(ARN).unwrap();
    let error = function.invoke(Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(error.kind.code(), "Lambda.AssumeRoleAccessDenied");
    assert!(error.message.contains("sts:AssumeRole"), "{}", error.message);
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn pauses_double_from_100_ms_to_5_s_and_vary() {
    let clock = Clock::simulated(3);
    let function = functions_of("http://h:1", &SdkConfig::builder().build(), &clock).function(ARN).unwrap();
    let mut fractions = Vec::new();
    for (failed, most_ms) in [(1, 100), (2, 200), (3, 400), (6, 3200), (7, 5000), (8, 5000), (300, 5000)] {
        let before = clock.now();
        function.back_off(failed).await;
        let fraction = (clock.now() - before).div_duration_f64(Duration::from_millis(most_ms));
        // A timer may be a millisecond late.
        assert!((0.5..1.02).contains(&fraction), "{failed}: {fraction}");
        fractions.push(fraction);
    }
    fractions.dedup_by(|one, other| (*one - *other).abs() < 0.01);
    assert!(fractions.len() > 3, "{fractions:?}");
}
