//! A client that says exactly what the test says.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Wire {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Ends the client's side only.
    pub(super) async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next answer, informational ones included.
    pub(super) async fn reply(&mut self) -> Reply {
        self.reply_to("POST").await
    }

    pub(super) async fn reply_to(&mut self, method: &str) -> Reply {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "closed before an answer: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut reply = Reply { status, headers, body: Vec::new() };
        let length: usize = reply.header("content-length").map_or(0, |length| length.parse().unwrap());
        if method != "HEAD" {
            while self.buffer.len() < length {
                assert!(self.more().await, "closed within an answer");
            }
            reply.body = self.buffer.drain(..length).collect();
        }
        reply
    }

    /// Whether the server closed the connection, having said nothing more.
    pub(super) async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.more().await
    }

    /// Whether the server says something, or closes, within `time`.
    pub(super) async fn hears_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.more()).await.is_ok()
    }

    async fn more(&mut self) -> bool {
        let mut chunk = vec![0; 64 << 10];
        // A reset is a way to close.
        let read = self.stream.read(&mut chunk).await.unwrap_or(0);
        self.buffer.extend_from_slice(&chunk[..read]);
        read > 0
    }

    pub(super) async fn request(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(request(method, path, headers, body)).await;
        self.reply_to(method).await
    }

    pub(super) async fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        self.reply().await
    }

    pub(super) async fn post(&mut self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        self.request("POST", path, &[("Content-Type", content_type)], body).await
    }

    /// An operation, with the headers of boto3.
    pub(super) async fn aws(&mut self, operation: &str, body: &[u8]) -> Reply {
        self.send(aws(operation, body)).await;
        self.reply().await
    }
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Status, type and message of an error of the AWS API; its form is checked.
    pub(super) fn aws_error(&self) -> (u16, String, String) {
        let body = self.json();
        let error_type = body["__type"].as_str().unwrap().to_owned();
        assert_eq!(self.header("x-amzn-errortype"), Some(error_type.as_str()));
        self.assert_aws();
        (self.status, error_type, body["message"].as_str().unwrap().to_owned())
    }

    /// Every answer of the AWS API has these.
    pub(super) fn assert_aws(&self) {
        assert_eq!(self.header("content-type"), Some("application/x-amz-json-1.1"));
        assert_eq!(self.header("x-amzn-requestid").map(str::len), Some(36), "{self:?}");
        assert_eq!(self.header("x-amz-id-2").map(str::len), Some(76), "{self:?}");
        assert!(self.header("date").is_some());
    }

    /// Status and type of a problem of plain HTTP, its message, its field.
    pub(super) fn problem(&self) -> (u16, String, String, Option<String>) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        let body = self.json();
        let error = &body["error"];
        let text = |member: &str| error[member].as_str().map(str::to_owned);
        (self.status, text("type").unwrap(), text("message").unwrap(), text("field"))
    }
}

pub(super) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

pub(super) fn aws(operation: &str, body: &[u8]) -> Vec<u8> {
    aws_with(operation, &[], body)
}

pub(super) fn aws_with(operation: &str, more: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let target = format!("Firehose_20150804.{operation}");
    let mut headers = vec![("X-Amz-Target", target.as_str()), ("Content-Type", "application/x-amz-json-1.1")];
    headers.extend_from_slice(more);
    request("POST", "/", &headers, body)
}
