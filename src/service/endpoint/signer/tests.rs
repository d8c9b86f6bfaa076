use std::collections::VecDeque;

use aws_credential_types::provider::{Result as Provided, future};
use parking_lot::Mutex as Lock;
use reqwest::{Method, Url};

use super::*;

/// Says one thing after another.
#[derive(Debug)]
struct Scripted(Lock<VecDeque<Provided>>);

impl ProvideCredentials for Scripted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.0.lock().pop_front().expect("asked too often"))
    }
}

fn signer(script: impl IntoIterator<Item = Provided>, clock: &Clock) -> Signer {
    let provider = Scripted(Lock::new(script.into_iter().collect()));
    Signer::new("lambda", Some(SharedCredentialsProvider::new(provider)), clock.clone())
}

fn key(id: &str, expiry: Option<SystemTime>) -> Credentials {
    Credentials::new(id, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, expiry, "test")
}

/// A request as functions are sent them, and what was added to it.
async fn signed(signer: &Signer) -> Result<Request, NoAnswer> {
    let url = "http://lambda.example:3001/base/2015-03-31/functions/clean_1-a/invocations?Qualifier=%24LATEST";
    let mut request = Request::new(Method::POST, url.parse::<Url>().unwrap());
    for (name, value) in [("x-amz-invocation-type", "RequestResponse"), ("content-type", "application/json")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    *request.body_mut() = Some(r#"{"records":[]}"#.into());
    signer.sign(&mut request, "eu-west-1").await.map(|()| request)
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap())
}

/// Whose key signed a request; nothing where it has no signature.
async fn whose(signer: &Signer) -> Option<String> {
    let request = signed(signer).await.unwrap();
    let credential = header(&request, "authorization")?.split_once("Credential=").unwrap().1;
    Some(credential.split('/').next().unwrap().to_owned())
}

/// The signatures are those that botocore 1.44 makes of the same requests.
#[tokio::test(start_paused = true)]
async fn a_signature_is_the_one_that_aws_expects() {
    let clock = Clock::simulated(1);
    let request = signed(&signer([Ok(key("AKIDEXAMPLE", None))], &clock)).await.unwrap();
    assert_eq!(header(&request, "x-amz-date"), Some("20260713T140509Z"));
    assert_eq!(header(&request, "x-amz-security-token"), None);
    let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260713/eu-west-1/lambda/aws4_request, \
                    SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type, \
                    Signature=958c820a2c866f88aeaa6be5c1929896f21b401cb33238799ae00622bf669a99";
    assert_eq!(header(&request, "authorization"), Some(expected));

    let token = Some("a+token/of=a session".to_owned());
    let session =
        Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token.clone(), None, "test");
    let request = signed(&signer([Ok(session)], &clock)).await.unwrap();
    assert_eq!(header(&request, "x-amz-security-token"), token.as_deref());
    let expected = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260713/eu-west-1/lambda/aws4_request, \
                    SignedHeaders=content-type;host;x-amz-date;x-amz-invocation-type;x-amz-security-token, \
                    Signature=e3c39159eb2d737dfbd3f9ec3bd0026bdf94128ae51942eaa82e394cd0ce5a4f";
    assert_eq!(header(&request, "authorization"), Some(expected));
}

#[tokio::test(start_paused = true)]
async fn credentials_are_kept_and_renewed_before_they_expire() {
    let clock = Clock::simulated(1);
    let wall = UNIX_EPOCH + Duration::from_millis(clock.wall_ms());
    let short = key("short", Some(wall + Duration::from_mins(10)));
    let signer = signer([Ok(short), Ok(key("lasting", None)), Ok(key("newest", None))], &clock);
    assert_eq!(whose(&signer).await.unwrap(), "short");
    clock.sleep(Duration::from_secs(9 * 60 - 1)).await;
    assert_eq!(whose(&signer).await.unwrap(), "short");
    clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(whose(&signer).await.unwrap(), "lasting");
    clock.sleep(Duration::from_secs(15 * 60 - 1)).await;
    assert_eq!(whose(&signer).await.unwrap(), "lasting");
    clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(whose(&signer).await.unwrap(), "newest");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_were_refused_are_asked_for_anew() {
    let signer = signer([Ok(key("old", None)), Ok(key("new", None))], &Clock::simulated(1));
    assert_eq!(whose(&signer).await.unwrap(), "old");
    signer.forget().await;
    assert_eq!(whose(&signer).await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn without_credentials_requests_are_not_signed_until_there_are_some() {
    let clock = Clock::simulated(1);
    let nobody = Signer::new("lambda", None, clock.clone());
    assert_eq!(whose(&nobody).await, None);

    let signer = signer([Err(CredentialsError::not_loaded("none here")), Ok(key("first", None))], &clock);
    for _ in 0..2 {
        let request = signed(&signer).await.unwrap();
        assert_eq!(request.headers().len(), 2, "{request:?}");
    }
    clock.sleep(Duration::from_mins(1)).await;
    assert_eq!(whose(&signer).await.unwrap(), "first");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_had_now_fail_the_call_and_are_asked_for_again() {
    let script = [Err(CredentialsError::provider_error("STS says no")), Ok(key("then", None))];
    let signer = signer(script, &Clock::simulated(1));
    let error = signed(&signer).await.unwrap_err();
    let NoAnswer::Credentials(message) = &error else { panic!("{error:?}") };
    assert!(message.starts_with("No credentials: ") && message.ends_with("STS says no"), "{error}");
    assert_eq!(whose(&signer).await.unwrap(), "then");
}
