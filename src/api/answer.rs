//! Answers: the headers that every one has, and the ids of requests.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::error::{ApiError, ErrorStatus, Problem};
use crate::clock::{Clock, splitmix};

/// What goes back to the client.
pub(super) type Answer = Response<Full<Bytes>>;

/// Makes the ids of requests. They must differ, not be secret, so a counter is hashed with a seed of the process.
pub(super) struct RequestIds {
    seed: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(clock: &Clock) -> Self {
        let [high, low] = [clock.bits(), clock.bits()].map(u128::from_be_bytes).map(|bits| (bits >> 64) ^ bits);
        let word = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
        Self { seed: word(high), next: AtomicU64::new(word(low)) }
    }

    /// `x-amzn-RequestId`, a UUID, and `x-amz-id-2`, 57 bytes in base64; one allocation for both.
    fn next(&self) -> (HeaderValue, HeaderValue) {
        let mut state = self.seed ^ self.next.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut text = Vec::with_capacity(UUID_LENGTH + 76);
        let bits = (u128::from(splitmix(&mut state)) << 64) | u128::from(splitmix(&mut state));
        write_uuid(bits, &mut text);
        let mut random = [0; 57];
        for chunk in random.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(splitmix(&mut state).to_be_bytes()) {
                *to = from;
            }
        }
        base64_simd::STANDARD.encode_append(random, &mut text);
        let text = Bytes::from(text);
        let value = |text| HeaderValue::from_maybe_shared(text).expect("hexadecimal and base64 digits are visible");
        (value(text.slice(..UUID_LENGTH)), value(text.slice(UUID_LENGTH..)))
    }
}

/// A success of the AWS API.
pub(super) fn aws(ids: &RequestIds, body: Vec<u8>) -> Answer {
    with_ids(ids, StatusCode::OK, body)
}

/// An error of the AWS API. What is behind it is logged here, with the id that the caller was given.
pub(super) fn aws_error(ids: &RequestIds, error: &ApiError) -> Answer {
    let mut answer = with_ids(ids, error.status.code(), error.body().to_string().into_bytes());
    let headers = answer.headers_mut();
    headers.insert(ERROR_TYPE, HeaderValue::from_static(error.error_type));
    let request = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
    if error.status == ErrorStatus::Internal {
        let cause = error.cause.as_deref().map(tracing::field::display);
        tracing::error!(request, cause, "a request failed");
    } else {
        tracing::debug!(request, error = %error, "a request was refused");
    }
    answer
}

/// An error of plain HTTP.
pub(super) fn problem(problem: &Problem) -> Answer {
    let mut answer = json(problem.status.code(), &problem.body());
    if problem.asks_to_retry() {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(allow) = problem.allow {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    }
    if problem.status == ErrorStatus::Internal {
        let cause = problem.cause.as_deref().map(tracing::field::display);
        tracing::error!(cause, "a request failed");
    }
    answer
}

/// JSON outside the AWS API.
pub(super) fn json(status: StatusCode, body: &Value) -> Answer {
    text(status, "application/json", body.to_string())
}

/// A text of any type.
pub(super) fn text(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

fn with_ids(ids: &RequestIds, status: StatusCode, body: Vec<u8>) -> Answer {
    let mut answer = text(status, "application/x-amz-json-1.1", body);
    let (request, extended) = ids.next();
    answer.headers_mut().insert(REQUEST_ID, request);
    answer.headers_mut().insert(EXTENDED_ID, extended);
    answer
}

/// Writes the version 4 UUID that is made of `bits`.
fn write_uuid(bits: u128, out: &mut Vec<u8>) {
    let bits = (bits & !(0xF000_u128 << 64) & !(0xC000_u128 << 48)) | (0x4000_u128 << 64) | (0x8000_u128 << 48);
    let mut digits = [0; 32];
    // 16 bytes are 32 digits.
    let _ = hex::encode_to_slice(bits.to_be_bytes(), &mut digits);
    for (at, digit) in digits.into_iter().enumerate() {
        if matches!(at, 8 | 12 | 16 | 20) {
            out.push(b'-');
        }
        out.push(digit);
    }
}

const UUID_LENGTH: usize = 36;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-id-2");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
