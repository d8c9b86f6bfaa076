use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::*;
use crate::cli::tests::server::{Reply, Request as Arrived, Server, nobody};

const TABLE: &str = r#"{"Table":{"Name":"clicks","DatabaseName":"sales","PartitionKeys":[{"Name":"day","Type":"string"}],
    "StorageDescriptor":{"Columns":[{"Name":"Page","Type":"string"},{"Name":"at","Type":"timestamp"}]}}}"#;

fn clicks(version: Option<u64>) -> TableId {
    TableId {
        catalog: None,
        region: "eu-west-1".to_owned(),
        database: "sales".to_owned(),
        table: "clicks".to_owned(),
        version,
    }
}

fn glue(url: &str, sdk: &SdkConfig, clock: &Clock) -> Glue {
    _ = rustls::crypto::ring::default_provider().install_default();
    Glue::open(url, &Settings::embedded("data".as_ref()), sdk, clock.clone()).unwrap()
}

/// What becomes of a lookup that is answered like this, and the requests it took.
async fn asked(
    id: &TableId,
    mut reply: impl FnMut() -> Reply + Send + 'static,
) -> (Result<TableSchema, TableError>, Vec<Arrived>) {
    let server = Server::start(move |_| reply());
    let answer = glue(&server.url(), &SdkConfig::builder().build(), &Clock::system()).schema(id).await;
    let url = format!("{}/", server.url());
    let answer = answer.map_err(|error| TableError { message: error.message.replace(&url, "GLUE"), ..error });
    (answer, server.requests())
}

fn header<'r>(request: &'r Arrived, name: &str) -> Option<&'r str> {
    request.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

/// The question that is asked for `id`.
async fn question_for(id: &TableId) -> (String, Value) {
    let (_, requests) = asked(id, || Reply::json(200, TABLE)).await;
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/"));
    assert_eq!(header(request, "content-type"), Some("application/x-amz-json-1.1"));
    assert_eq!(header(request, "authorization"), None, "there are no credentials");
    (header(request, "x-amz-target").unwrap().to_owned(), serde_json::from_slice(&request.body).unwrap())
}

#[tokio::test]
async fn a_table_is_asked_for_as_aws_is() {
    let (target, document) = question_for(&clicks(None)).await;
    assert_eq!(target, "AWSGlue.GetTable");
    assert_eq!(document, json!({"DatabaseName": "sales", "Name": "clicks"}));
    let other = TableId { catalog: Some("111122223333".to_owned()), ..clicks(Some(4)) };
    let (target, document) = question_for(&other).await;
    assert_eq!(target, "AWSGlue.GetTableVersion");
    let expected =
        json!({"CatalogId": "111122223333", "DatabaseName": "sales", "TableName": "clicks", "VersionId": "4"});
    assert_eq!(document, expected);
}

#[tokio::test]
async fn columns_are_taken_and_partition_keys_left() {
    let columns = |schema: TableSchema| schema.to_string();
    let (schema, _) = asked(&clicks(None), || Reply::json(200, TABLE)).await;
    assert_eq!(columns(schema.unwrap()), "page string,\nat timestamp");
    let version = format!(r#"{{"TableVersion":{{"VersionId":"4",{}}}"#, TABLE.trim_start_matches('{'));
    let (schema, _) = asked(&clicks(Some(4)), move || Reply::json(200, &version)).await;
    assert_eq!(columns(schema.unwrap()), "page string,\nat timestamp");
}

#[tokio::test]
async fn a_question_with_credentials_is_signed_for_the_region_of_the_table() {
    let server = Server::start(|_| Reply::json(200, TABLE));
    let credentials = SharedCredentialsProvider::new(Credentials::new("AKID", "secret", None, None, "test"));
    let sdk = SdkConfig::builder().credentials_provider(credentials).build();
    glue(&server.url(), &sdk, &Clock::simulated(1)).schema(&clicks(None)).await.unwrap();
    let requests = server.requests();
    let signature = header(requests.first().unwrap(), "authorization").unwrap();
    let scope = "AWS4-HMAC-SHA256 Credential=AKID/20260713/eu-west-1/glue/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=";
    assert!(signature.starts_with(scope), "{signature}");
}

async fn failure(id: &TableId, status: u16, body: &str) -> (&'static str, String) {
    let body = body.to_owned();
    let (answer, requests) = asked(id, move || Reply::json(status, &body)).await;
    assert_eq!(requests.len(), 1);
    let error = answer.unwrap_err();
    (error.code, error.message)
}

#[tokio::test]
async fn each_refusal_has_its_code() {
    for (status, class, code) in [
        (400, "EntityNotFoundException", code::ENTITY_NOT_FOUND),
        (400, "com.amazonaws.glue#EntityNotFoundException", code::ENTITY_NOT_FOUND),
        (400, "InvalidInputException", code::INVALID_INPUT),
        (400, "GlueEncryptionException", code::GLUE_ENCRYPTION),
        (400, "OperationTimeoutException", code::TIMEOUT),
        (400, "AccessDeniedException", code::ACCESS_DENIED),
        (400, "UnrecognizedClientException", code::ACCESS_DENIED),
        (400, "ExpiredTokenException", code::ACCESS_DENIED),
        (400, "ThrottlingException", code::THROTTLED_BY_GLUE),
        (400, "TooManyRequestsException", code::THROTTLED_BY_GLUE),
        (400, "SomeNewException", code::GLUE_NOT_AVAILABLE),
        (500, "InternalServiceException", code::TIMEOUT),
        (503, "", code::TIMEOUT),
        (429, "", code::THROTTLED_BY_GLUE),
        (403, "", code::ACCESS_DENIED),
        (404, "", code::GLUE_NOT_AVAILABLE),
        (307, "", code::GLUE_NOT_AVAILABLE),
    ] {
        let body = json!({"__type": class, "Message": "because"}).to_string();
        assert_eq!(failure(&clicks(None), status, &body).await.0, code, "{status} {class}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_there_is_told_from_a_table_that_is_not() {
    let refused = |message: &str| json!({"__type": "EntityNotFoundException", "Message": message}).to_string();
    let third = clicks(Some(3));
    assert_eq!(failure(&third, 400, &refused("Version not found.")).await.0, code::INVALID_VERSION_ID);
    assert_eq!(failure(&third, 400, &refused("Table clicks not found.")).await.0, code::ENTITY_NOT_FOUND);
    assert_eq!(failure(&clicks(None), 400, &refused("Table versions not found.")).await.0, code::ENTITY_NOT_FOUND);
}

#[tokio::test]
async fn a_refusal_is_told_in_glues_words_with_who_said_it() {
    let body = r#"{"__type":"EntityNotFoundException","Message":"Table clicks not found."}"#;
    assert_eq!(
        failure(&clicks(None), 400, body).await.1,
        "Table sales.clicks: Table clicks not found. (Service: AWSGlue; Status Code: 400; Error Code: EntityNotFoundException; \
         Endpoint: GLUE)"
    );
    let body = r#"{"__type":"AccessDeniedException","Message":"User: x is not authorized to perform: glue:GetTable"}"#;
    assert_eq!(
        failure(&clicks(None), 400, body).await.1,
        "Table sales.clicks: Access was denied when calling Glue. Please ensure that the credentials hydrant runs with have the \
         necessary permissions. User: x is not authorized to perform: glue:GetTable (Service: AWSGlue; Status Code: 400; Error \
         Code: AccessDeniedException; Endpoint: GLUE)"
    );
    assert_eq!(
        failure(&clicks(None), 404, "").await.1,
        "Table sales.clicks: It gives no reason. (Service: AWSGlue; Status Code: 404; Error Code: none; Endpoint: GLUE)"
    );
}

#[tokio::test]
async fn a_table_that_cannot_be_written_is_an_invalid_schema() {
    for (columns, reason) in [
        (r#"[{"Name":"a","Type":"set<int>"}]"#, "column \"a\""),
        (r#"[{"Name":"a","Type":"uniontype<int,string>"}]"#, "column \"a\""),
        ("[]", "the table has no columns"),
    ] {
        let body = format!(r#"{{"Table":{{"StorageDescriptor":{{"Columns":{columns}}}}}}}"#);
        let (code, message) = failure(&clicks(None), 200, &body).await;
        assert_eq!(code, code::INVALID_SCHEMA);
        assert!(message.starts_with("Table sales.clicks, as Glue at GLUE has it: "), "{message}");
        assert!(message.contains(reason), "{message}");
    }
    let (code, message) = failure(&clicks(None), 200, r#"{"Table":{"Name":"view"}}"#).await;
    assert_eq!(code, code::INVALID_SCHEMA);
    assert!(message.ends_with("StorageDescriptor is missing"), "{message}");
}

#[tokio::test]
async fn what_does_not_speak_glue_is_not_taken_for_it() {
    for body in ["", "{}", "<html>", "[]", "\"Table\""] {
        let told = failure(&clicks(None), 200, body).await;
        let expected = "Table sales.clicks: GLUE does not answer as Glue does".to_owned();
        assert_eq!(told, (code::GLUE_NOT_AVAILABLE, expected), "{body}");
    }
    let announced = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MOST_BYTES + 1);
    let (answer, _) = asked(&clicks(None), move || Reply::Raw(announced.clone().into())).await;
    assert_eq!(answer.unwrap_err().code, code::GLUE_NOT_AVAILABLE);
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_breaks_off_is_waited_for() {
    let (answer, _) = asked(&clicks(None), || Reply::Lost).await;
    assert_eq!(answer.unwrap_err().code, code::TIMEOUT);
    let nobody = glue(&nobody(), &SdkConfig::builder().build(), &Clock::system());
    let error = nobody.schema(&clicks(None)).await.unwrap_err();
    assert_eq!(error.code, code::TIMEOUT);
    assert!(error.message.contains("did not give it: ") && error.message.contains("onnection refused"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_after_10_seconds() {
    let clock = Clock::system();
    let server = Server::start(|_| Reply::Silence);
    let glue = glue(&server.url(), &SdkConfig::builder().build(), &clock);
    // Time flies as soon as there is nothing else to do, so it is let go only when the request has arrived.
    let arrival = async {
        while server.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::pause();
        clock.now()
    };
    let id = clicks(None);
    let (answer, arrived) = tokio::join!(glue.schema(&id), arrival);
    assert_eq!(answer.unwrap_err().code, code::TIMEOUT);
    assert!(clock.now() - arrived < Duration::from_secs(11));
}

#[test]
fn a_password_in_the_url_is_not_told() {
    let sdk = SdkConfig::builder().build();
    let shown = |url: &str| glue(url, &sdk, &Clock::system()).endpoint.shown();
    assert_eq!(shown("http://me:secret@glue:5000/base"), "http://glue:5000/base");
    assert_eq!(shown("https://glue"), "https://glue/");
}

#[test]
fn an_endpoint_that_is_no_url_stops_the_start() {
    _ = rustls::crypto::ring::default_provider().install_default();
    let sdk = SdkConfig::builder().build();
    let opened = Glue::open("glue:5000", &Settings::embedded("data".as_ref()), &sdk, Clock::system());
    let rule = opened.err().unwrap().to_string();
    assert_eq!(rule, "the endpoint of Glue must be a URL such as http://127.0.0.1:5000");
}
