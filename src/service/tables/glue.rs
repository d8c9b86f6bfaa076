//! Glue behind an endpoint: AWS itself, or whatever has tables in its place.
//!
//! | Answer | Code |
//! |---|---|
//! | a table that cannot be written | `InvalidSchema` |
//! | `EntityNotFoundException` | `EntityNotFound`; `InvalidVersionId` where the table has no such version |
//! | `InvalidInputException`, `ValidationException` | `InvalidInput` |
//! | `AccessDeniedException`, a key or signature that is refused, 401, 403 | `AccessDenied` |
//! | `ThrottlingException` and its like, 429 | `ThrottledByGlue` |
//! | `GlueEncryptionException` | `GlueEncryptionException` |
//! | none in time, a connection that is refused or breaks, 5xx | `SchemaValidationTimeout` |
//! | anything else: what answers is not Glue | `GlueNotAvailableInRegion` |
//! | credentials that cannot be had | `InvalidGlueRole` |
//!
//! Protocol: AWS JSON 1.1. Source: <https://docs.aws.amazon.com/glue/latest/webapi/API_GetTable.html>.

use std::time::Duration;

use aws_config::SdkConfig;
use hydrant_transforms::formats::schema::TableSchema;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::{TableId, code};
use crate::catalog::TableError;
use crate::clock::Clock;
use crate::service::Error;
use crate::service::endpoint::{Endpoint, NoAnswer, Refusal, Spoken, read, refusal};
use crate::settings::Settings;

/// A data catalog.
pub(super) struct Glue {
    endpoint: Endpoint,
}

impl Glue {
    /// A client of `endpoint` with the credentials of `sdk`. Nothing is sent.
    ///
    /// # Errors
    /// The endpoint is no URL, or the bundle of authorities cannot be used.
    pub(super) fn open(endpoint: &str, settings: &Settings, sdk: &SdkConfig, clock: Clock) -> Result<Self, Error> {
        Ok(Self { endpoint: Endpoint::open(&GLUE, endpoint, settings, sdk, clock)? })
    }

    /// Asks for a table.
    ///
    /// # Errors
    /// Why it cannot be had, as this file's table has it.
    pub(super) async fn schema(&self, id: &TableId) -> Result<TableSchema, TableError> {
        let (operation, document) = question(id);
        let mut request = Request::new(Method::POST, self.endpoint.url().clone());
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.1"));
        request.headers_mut().insert("x-amz-target", HeaderValue::from_static(operation));
        *request.body_mut() = Some(document.to_string().into());
        let failed = |reason: NoAnswer| self.not_answered(id, &reason);
        let response = self.endpoint.send(request, &id.region).await.map_err(failed)?;
        let status = response.status();
        if status != StatusCode::OK {
            let refused = refusal(response, MOST_BYTES).await;
            let error = self.refused(id, status, &refused);
            if error.code == code::ACCESS_DENIED {
                self.endpoint.forget_credentials().await;
            }
            return Err(error);
        }
        let answer = read(response, MOST_BYTES).await.map_err(failed)?;
        let not_glue = || {
            let message = format!("Table {id}: {} does not answer as Glue does", self.endpoint.shown());
            TableError { code: code::GLUE_NOT_AVAILABLE, message }
        };
        let answer = std::str::from_utf8(&answer).map_err(|_| not_glue())?;
        let is_answer = |answer: &Value| answer.get("Table").or_else(|| answer.get("TableVersion")).is_some();
        if !serde_json::from_str(answer).is_ok_and(|answer| is_answer(&answer)) {
            return Err(not_glue());
        }
        TableSchema::from_glue(answer).map_err(|error| TableError {
            code: code::INVALID_SCHEMA,
            message: format!("Table {id}, as Glue at {} has it: {error}", self.endpoint.shown()),
        })
    }

    fn not_answered(&self, id: &TableId, reason: &NoAnswer) -> TableError {
        let code = match reason {
            NoAnswer::Credentials(_) | NoAnswer::Unsigned(_) => code::INVALID_GLUE_ROLE,
            NoAnswer::TimedOut(_) | NoAnswer::Broken(_) => code::TIMEOUT,
            NoAnswer::TooLarge => code::GLUE_NOT_AVAILABLE,
        };
        TableError { code, message: format!("Table {id}: Glue at {} did not give it: {reason}", self.endpoint.shown()) }
    }

    fn refused(&self, id: &TableId, status: StatusCode, refused: &Refusal) -> TableError {
        let Refusal { class, message } = refused;
        let code = code_of(status, class, message, id.version.is_some());
        let lead = if code == code::ACCESS_DENIED { DENIED } else { "" };
        let said = if message.is_empty() { "It gives no reason." } else { message };
        let error_code = if class.is_empty() { "none" } else { class };
        let (url, status) = (self.endpoint.shown(), status.as_u16());
        let message = format!(
            "Table {id}: {lead}{said} (Service: AWSGlue; Status Code: {status}; Error Code: {error_code}; Endpoint: {url})"
        );
        TableError { code, message }
    }
}

/// The operation that answers with a table, and its document.
fn question(id: &TableId) -> (&'static str, Value) {
    let TableId { catalog, database, table, version, .. } = id;
    let (operation, mut document) = match version {
        None => ("AWSGlue.GetTable", json!({ "DatabaseName": database, "Name": table })),
        Some(version) => (
            "AWSGlue.GetTableVersion",
            json!({ "DatabaseName": database, "TableName": table, "VersionId": version.to_string() }),
        ),
    };
    if let (Some(catalog), Value::Object(members)) = (catalog, &mut document) {
        members.insert("CatalogId".to_owned(), catalog.as_str().into());
    }
    (operation, document)
}

fn code_of(status: StatusCode, class: &str, message: &str, is_version: bool) -> &'static str {
    match class {
        // The exception is the same for the table and for its version.
        "EntityNotFoundException" if is_version && message.to_lowercase().contains("version") => {
            code::INVALID_VERSION_ID
        }
        "EntityNotFoundException" => code::ENTITY_NOT_FOUND,
        "InvalidInputException" | "ValidationException" => code::INVALID_INPUT,
        "GlueEncryptionException" => code::GLUE_ENCRYPTION,
        "OperationTimeoutException" => code::TIMEOUT,
        _ if REFUSED_KEYS.contains(&class) => code::ACCESS_DENIED,
        _ if class.contains("Throttl") || THROTTLED.contains(&class) => code::THROTTLED_BY_GLUE,
        _ => match status.as_u16() {
            401 | 403 => code::ACCESS_DENIED,
            429 => code::THROTTLED_BY_GLUE,
            408 | 500..=599 => code::TIMEOUT,
            _ => code::GLUE_NOT_AVAILABLE,
        },
    }
}

const GLUE: Spoken = Spoken {
    title: "Glue",
    signed_as: "glue",
    example: "http://127.0.0.1:5000",
    answer_timeout: Duration::from_secs(10),
};

const REFUSED_KEYS: [&str; 9] = [
    "AccessDeniedException",
    "AccessDenied",
    "ExpiredTokenException",
    "ExpiredToken",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "InvalidClientTokenId",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
];
const THROTTLED: [&str; 2] = ["TooManyRequestsException", "RequestLimitExceeded"];
/// As AWS begins, which asks with the role.
const DENIED: &str = "Access was denied when calling Glue. Please ensure that the credentials hydrant runs with have the \
                      necessary permissions. ";
/// A table of as many columns as there may be.
const MOST_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests;
