//! Where objects go.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;

use super::Environment;
use super::fault::{Fault, Origin};
use super::knob::S3_ENDPOINT;

/// Where objects go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum S3Choice {
    /// An S3-compatible server: an `http` or `https` URL without a slash at its end.
    Endpoint(String),
    /// AWS itself, in the settings' region.
    Aws,
    /// Files in `<data>/objects`.
    Dir,
}

/// Reads `--s3-endpoint`.
pub(super) fn parse(text: &str) -> Result<S3Choice, String> {
    match text {
        "aws" => Ok(S3Choice::Aws),
        "dir" => Ok(S3Choice::Dir),
        url => endpoint(url, ", or aws, or dir").map(S3Choice::Endpoint),
    }
}

/// What holds where no setting says it: AWS's variables, as its own tools read them. One that names hydrant itself is meant for
/// producers (`aws firehose` takes `AWS_ENDPOINT_URL`), not for delivery.
pub(super) fn from_aws_variables(environment: &Environment, listen: Option<SocketAddr>) -> Result<S3Choice, Fault> {
    for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"] {
        let at = |rule| Fault { origin: Origin::Variable(name.to_owned()), rule };
        let Some(url) = environment.value(name).map_err(at)? else { continue };
        let url = endpoint(&url, "; --s3-endpoint (a URL, aws or dir) wins over it").map_err(at)?;
        if !is_own(&url, listen, environment) {
            return Ok(S3Choice::Endpoint(url));
        }
        if name == "AWS_ENDPOINT_URL_S3" {
            return Err(at(OWN.to_owned()));
        }
    }
    Ok(S3Choice::Dir)
}

/// A fault where the choice, said at `origin`, leads back to hydrant.
pub(super) fn own_address_fault(
    choice: &S3Choice,
    origin: Option<&Origin>,
    listen: Option<SocketAddr>,
    environment: &Environment,
) -> Option<Fault> {
    let S3Choice::Endpoint(url) = choice else { return None };
    let origin = origin.cloned().unwrap_or(Origin::Flag(&S3_ENDPOINT));
    is_own(url, listen, environment).then(|| Fault { origin, rule: OWN.to_owned() })
}

/// Reads a URL; `or` ends the rule with what else can be said.
fn endpoint(text: &str, or: &str) -> Result<String, String> {
    let rule = || format!("must be a URL such as http://minio:9000{or}");
    let url = Url::parse(text).map_err(|_| rule())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(rule());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no credentials; they come from AWS_ACCESS_KEY_ID and its like".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must be a URL without ? and #".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether `url` is where hydrant itself listens, under any name this machine surely has.
fn is_own(url: &str, listen: Option<SocketAddr>, environment: &Environment) -> bool {
    let (Ok(url), Some(listen)) = (Url::parse(url), listen) else { return false };
    // Port 0 is not known yet, and nobody can have written it down.
    if url.port_or_known_default() != Some(listen.port()) {
        return false;
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let everywhere = listen.ip().is_unspecified();
    match host.parse::<IpAddr>() {
        Ok(ip) => {
            let here = ip.is_loopback() || ip.is_unspecified();
            ip == listen.ip() || (here && (everywhere || listen.ip().is_loopback()))
        }
        Err(_) if host == "localhost" => everywhere || listen.ip().is_loopback(),
        Err(_) => everywhere && environment.value("HOSTNAME").is_ok_and(|name| name.as_deref() == Some(host)),
    }
}

const OWN: &str = "is hydrant's own address; name the S3 server, or dir";
