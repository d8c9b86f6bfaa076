//! What is asked and ordered beside records: flush, pause, resume, status, health, readiness, metrics.

use std::time::Duration;

use hyper::StatusCode;
use serde_json::{Value, json};

use super::Api;
use super::answer::{self, Answer};
use super::backend::{Flushed, OrderError};
use super::body::Inbound;
use super::error::{ErrorStatus, Problem, shown};
use super::query::{self, Query};
use super::routes::{Route, not_found};

/// Answers a request of any route that takes no records.
pub(super) async fn answer(api: &Api, inbound: &Inbound, route: Route<'_>) -> Answer {
    respond(api, inbound, route).await.unwrap_or_else(|problem| answer::problem(&problem))
}

async fn respond(api: &Api, inbound: &Inbound, route: Route<'_>) -> Result<Answer, Problem> {
    let known: &[_] = if matches!(route, Route::Flush(_)) { &["wait"] } else { &[] };
    let query = Query::of(&inbound.head.uri, known)?;
    match route {
        Route::Health => return Ok(answer::json(StatusCode::OK, &json!({ "healthy": true }))),
        Route::Ready => return Ok(ready(&api.backend.not_ready())),
        _ => {}
    }
    let caller = api.authenticator.authenticate(&inbound.head, &[])?;
    match route {
        Route::Flush(name) => {
            caller.may("Flush", Some(name))?;
            flush(api, name, wait(&query)?).await
        }
        Route::Pause(name) | Route::Resume(name) => {
            let paused = matches!(route, Route::Pause(_));
            caller.may(if paused { "Pause" } else { "Resume" }, Some(name))?;
            api.backend.pause(name, paused).await.map_err(|error| not_done(error, name))?;
            Ok(answer::json(StatusCode::ACCEPTED, &json!({ "paused": paused })))
        }
        Route::Streams => {
            caller.may("Status", None)?;
            Ok(answer::json(StatusCode::OK, &json!({ "streams": as_json(&api.backend.statuses())? })))
        }
        Route::Stream(name) => {
            caller.may("Status", Some(name))?;
            let found = api.backend.status(name).ok_or_else(|| Problem::no_such_stream(name))?;
            Ok(answer::json(StatusCode::OK, &as_json(&found)?))
        }
        Route::Metrics => {
            caller.may("Metrics", None)?;
            Ok(answer::text(StatusCode::OK, METRICS_TYPE, api.telemetry.render()))
        }
        Route::Health | Route::Ready | Route::Aws | Route::Records(_) => Err(not_found(inbound.head.uri.path())),
    }
}

fn ready(reasons: &[String]) -> Answer {
    if reasons.is_empty() {
        answer::json(StatusCode::OK, &json!({ "ready": true }))
    } else {
        answer::json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "ready": false, "reasons": reasons }))
    }
}

async fn flush(api: &Api, name: &str, wait: Option<Duration>) -> Result<Answer, Problem> {
    match api.backend.flush(name, wait).await.map_err(|error| not_done(error, name))? {
        Flushed::Ordered => Ok(answer::json(StatusCode::ACCEPTED, &json!({ "delivered": false }))),
        Flushed::Delivered => Ok(answer::json(StatusCode::OK, &json!({ "delivered": true }))),
        Flushed::StillWaiting => {
            let message = "not everything was delivered in this time; delivery goes on";
            Err(Problem::new(ErrorStatus::GatewayTimeout, "not_delivered_yet", message).in_field(WAIT))
        }
    }
}

fn wait(query: &Query<'_>) -> Result<Option<Duration>, Problem> {
    let Some(given) = query.value(WAIT) else { return Ok(None) };
    let seconds = given.parse::<f64>().ok().filter(|seconds| (0.0..=MAX_WAIT_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| {
        let rule = format!("{WAIT} must be a number of seconds from 0 to {MAX_WAIT_SECONDS}, not {}", shown(given));
        query::bad(rule).in_field(WAIT)
    })?;
    Ok(Some(Duration::from_secs_f64(seconds)))
}

fn not_done(error: OrderError, name: &str) -> Problem {
    match error {
        OrderError::NoSuchStream => Problem::no_such_stream(name),
        OrderError::Failed(cause) => Problem::internal(cause),
    }
}

fn as_json<T: serde::Serialize>(shown: &T) -> Result<Value, Problem> {
    serde_json::to_value(shown).map_err(Problem::internal)
}

const WAIT: &str = "wait";
const MAX_WAIT_SECONDS: f64 = 3600.0;
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
