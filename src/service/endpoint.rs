//! Endpoints that speak a protocol of AWS: AWS itself, or whatever stands in for it.
//!
//! Requests are signed where there are credentials, and go without a signature where there are none: an endpoint of one's own
//! may not ask for any.

mod signer;

use std::time::Duration;

use aws_config::SdkConfig;
use bytes::{Bytes, BytesMut};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Request, Response, Url};
use serde_json::Value;

use self::signer::Signer;
use super::Error;
use crate::clock::Clock;
use crate::settings::Settings;

/// Where one service of AWS is spoken to.
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    signer: Signer,
}

/// Which service that is.
pub(super) struct Spoken {
    /// As messages call it.
    pub(super) title: &'static str,
    /// As signatures call it.
    pub(super) signed_as: &'static str,
    /// What its URL may look like.
    pub(super) example: &'static str,
    /// How long an answer is waited for.
    pub(super) answer_timeout: Duration,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    /// There should be credentials and they cannot be had.
    #[error("{0}")]
    Credentials(String),
    /// The request cannot be signed.
    #[error("{0}")]
    Unsigned(String),
    /// None came in time.
    #[error("{0}")]
    TimedOut(String),
    /// The connection was refused or broke, or what came is not HTTP.
    #[error("{0}")]
    Broken(String),
    /// It is larger than an answer may be.
    #[error("the answer is too large")]
    TooLarge,
}

/// What an answer says that is not the one that was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The exception, `ResourceNotFoundException`; empty where the answer names none.
    pub(super) class: String,
    /// Its message, or the whole answer where that has no such thing.
    pub(super) message: String,
}

impl Endpoint {
    /// A client of `url`, with the credentials of `sdk`. Nothing is sent.
    ///
    /// # Errors
    /// The text is no URL, or the bundle of authorities cannot be used.
    pub(super) fn open(
        spoken: &Spoken,
        url: &str,
        settings: &Settings,
        sdk: &SdkConfig,
        clock: Clock,
    ) -> Result<Self, Error> {
        let Spoken { title, example, .. } = spoken;
        let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let no_url = || Error::Start(format!("the endpoint of {title} must be a URL such as {example}"));
        let url = url.ok_or_else(no_url)?;
        let http = client(spoken, &url, settings)?;
        let signer = Signer::new(spoken.signed_as, sdk.credentials_provider(), clock);
        Ok(Self { http, url, signer })
    }

    /// The URL to which paths are added.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The URL for messages: a user's name and password are nobody's business.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        // What has a host, as every endpoint, can be without them.
        if url.set_username("").and_then(|()| url.set_password(None)).is_err() {
            return url.host_str().unwrap_or_default().to_owned();
        }
        url.to_string()
    }

    /// Signs `request`, whose body must be in memory, for `region`, and sends it.
    pub(super) async fn send(&self, mut request: Request, region: &str) -> Result<Response, NoAnswer> {
        self.signer.sign(&mut request, region).await?;
        self.http.execute(request).await.map_err(no_answer)
    }

    /// Has credentials, which were refused, asked for anew with the next request.
    pub(super) async fn forget_credentials(&self) {
        self.signer.forget().await;
    }
}

/// Reads the body of an answer, and no more than `most_bytes` of it.
pub(super) async fn read(mut response: Response, most_bytes: usize) -> Result<Bytes, NoAnswer> {
    let announced = response.content_length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    if announced > most_bytes {
        return Err(NoAnswer::TooLarge);
    }
    let mut body = BytesMut::with_capacity(announced);
    while let Some(piece) = response.chunk().await.map_err(no_answer)? {
        if body.len() + piece.len() > most_bytes {
            return Err(NoAnswer::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Reads an answer as a refusal; as much of it as can be read.
pub(super) async fn refusal(response: Response, most_bytes: usize) -> Refusal {
    let header = response.headers().get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let header = header.unwrap_or_default().to_owned();
    let body = read(response, most_bytes).await.unwrap_or_default();
    let document: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = |member: &str| document.get(member).and_then(Value::as_str);
    let class = if header.is_empty() { text("__type").unwrap_or_default() } else { &header };
    // `com.amazonaws.glue#EntityNotFoundException`, `ResourceNotFoundException:http://internal.amazon.com/…`
    let class = class.rsplit_once('#').map_or(class, |(_, class)| class);
    let class = class.split(':').next().unwrap_or_default().to_owned();
    let message = text("Message").or_else(|| text("message"));
    let message = message.map_or_else(|| String::from_utf8_lossy(&body), Into::into);
    Refusal { class, message: brief(message.trim()) }
}

/// An error with all that led to it.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let each = std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string);
    each.collect::<Vec<_>>().join(": ")
}

/// As much of a message as goes into the entry of every record of a batch.
pub(super) fn brief(message: &str) -> String {
    let mut chars = message.chars();
    let kept: String = chars.by_ref().take(MOST_MESSAGE_CHARS).collect();
    if chars.next().is_some() { kept + "…" } else { kept }
}

#[expect(clippy::needless_pass_by_value, reason = "goes straight into map_err")]
fn no_answer(error: reqwest::Error) -> NoAnswer {
    let message = brief(&causes(&error));
    if error.is_timeout() { NoAnswer::TimedOut(message) } else { NoAnswer::Broken(message) }
}

fn client(spoken: &Spoken, url: &Url, settings: &Settings) -> Result<reqwest::Client, Error> {
    // Redirects would lead signed requests to places that nobody configured; a proxy would come from the environment.
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(spoken.answer_timeout);
    let builder = match &settings.ca_bundle {
        // The system's authorities, of which an image from scratch has none, are looked for only where they are needed.
        _ if url.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
        Some(path) => {
            let unusable =
                |fault: String| Error::Start(format!("the bundle of authorities {}: {fault}", path.display()));
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(causes(&error)))?;
            if authorities.is_empty() {
                return Err(unusable("holds no certificate".to_owned()));
            }
            builder.tls_certs_only(authorities)
        }
    };
    let title = spoken.title;
    builder.build().map_err(|error| Error::Start(format!("the client of {title} cannot be set up: {}", causes(&error))))
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub(super) const MOST_MESSAGE_CHARS: usize = 500;
