//! Credentials, and the signatures of requests made with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Body, Request};
use tokio::sync::Mutex;

use super::{NoAnswer, brief, causes};
use crate::clock::Clock;

/// Signs requests as whoever the process is.
pub(super) struct Signer {
    /// The service, as its signatures call it.
    service: &'static str,
    provider: Option<SharedCredentialsProvider>,
    clock: Clock,
    /// Held while credentials are asked for, so that calls at once ask once.
    known: Mutex<Option<Known>>,
}

/// What the provider said.
struct Known {
    /// `None` where there are none to be had.
    credentials: Option<Credentials>,
    /// When it is asked again.
    until: SystemTime,
}

impl Signer {
    pub(super) fn new(service: &'static str, provider: Option<SharedCredentialsProvider>, clock: Clock) -> Self {
        Self { service, provider, clock, known: Mutex::default() }
    }

    /// Adds a signature for `region` to `request`, whose body must be in memory; without credentials it stays as it is.
    ///
    /// # Errors
    /// [`NoAnswer::Credentials`] where there should be credentials and they cannot be had, else [`NoAnswer::Unsigned`].
    pub(super) async fn sign(&self, request: &mut Request, region: &str) -> Result<(), NoAnswer> {
        let Some(credentials) = self.credentials().await? else { return Ok(()) };
        for (name, value) in self.signature(credentials, request, region)? {
            request.headers_mut().insert(name, value);
        }
        Ok(())
    }

    /// Has the provider asked again for the next request.
    pub(super) async fn forget(&self) {
        *self.known.lock().await = None;
    }

    fn signature(
        &self,
        credentials: Credentials,
        request: &Request,
        region: &str,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, NoAnswer> {
        let identity = credentials.into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(self.service)
            .time(self.now())
            .settings(SigningSettings::default())
            .build()
            .expect("every parameter is given")
            .into();
        let headers = request.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body().and_then(Body::as_bytes).unwrap_or_default());
        let signed = SignableRequest::new(request.method().as_str(), request.url().as_str(), headers, body)
            .and_then(|request| sign(request, &parameters))
            .map_err(|error| unsignable(&error))?;
        let (instructions, _) = signed.into_parts();
        let headers = instructions.headers().map(|(name, value)| {
            let name = HeaderName::try_from(name).map_err(|error| unsignable(&error))?;
            Ok((name, HeaderValue::try_from(value).map_err(|error| unsignable(&error))?))
        });
        headers.collect()
    }

    async fn credentials(&self) -> Result<Option<Credentials>, NoAnswer> {
        let Some(provider) = &self.provider else { return Ok(None) };
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| self.now() < known.until) {
            return Ok(known.credentials.clone());
        }
        *known = None;
        let (credentials, until) = match provider.provide_credentials().await {
            Ok(credentials) => {
                let look_again = self.now() + LOOK_AGAIN;
                let expiry = credentials.expiry().and_then(|expiry| expiry.checked_sub(MARGIN));
                (Some(credentials), expiry.map_or(look_again, |expiry| expiry.min(look_again)))
            }
            Err(CredentialsError::CredentialsNotLoaded(_)) => (None, self.now() + LOOK_FOR_FIRST),
            Err(error) => {
                return Err(NoAnswer::Credentials(brief(&format!("No credentials: {}", causes(&error)))));
            }
        };
        Ok(known.insert(Known { credentials, until }).credentials.clone())
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.clock.wall_ms())
    }
}

fn unsignable(error: &(dyn std::error::Error + 'static)) -> NoAnswer {
    NoAnswer::Unsigned(brief(&format!("The request cannot be signed: {}", causes(error))))
}

/// Credentials in a file may be replaced at any time; the SDK's own clients look as often.
const LOOK_AGAIN: Duration = Duration::from_mins(15);
/// Where there are none, which takes seconds to find out on some machines.
const LOOK_FOR_FIRST: Duration = Duration::from_mins(1);
/// A request is on its way for so long.
const MARGIN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
