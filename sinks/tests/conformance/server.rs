//! An S3 server in this process, on a real socket, that can be told to misbehave.
//!
//! The protocol is `s3s`, the storage `s3s-fs`. In front of them every request is logged, a missing bucket is answered as S3
//! does (`s3s-fs` would make it), and scripted faults are played. A request that arrived whole is carried out even when its
//! sender is gone, as a server far away would; one that was cut short is not.
//!
//! The service's tests use this file too; each test binary uses its share of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const ACCESS_KEY: &str = "hydrant-tests";
pub(crate) const SECRET: &str = "a secret of the tests";

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This answer, and nothing is done.
    Answer { status: u16, header: Option<(&'static str, &'static str)>, body: String },
    /// The connection is closed before the body is read; nothing is done.
    CloseUnread,
    /// The body is not read and nothing answered.
    HangUnread,
    /// The connection is closed after the request was read; nothing is done.
    Close,
    /// The request is read and never answered; nothing is done.
    Hang,
    /// The request waits this long before it is carried out and answered.
    Stall(Duration),
    /// The request is carried out and the connection closed.
    DoAndClose,
    /// The request is carried out and never answered.
    DoAndHang,
    /// The request is carried out and answered this late.
    DoAndAnswerAfter(Duration),
    /// The request is carried out and answered as if it were not.
    DoAndAnswer { status: u16, body: String },
}

impl Fault {
    /// An error as S3 writes it.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Answer { status, header: None, body: error_xml(code, message) }
    }
}

/// Decides for each request what goes wrong with it; asked after the faults that [`Server::fail`] put in its way.
pub(crate) type Judge = Box<dyn FnMut(&Seen) -> Option<Fault> + Send>;

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) operation: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
}

/// The server; it ends with the runtime of its test.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) root: tempfile::TempDir,
    script: Arc<Script>,
    service: S3Service,
    /// Keeps the port while nobody listens on it.
    reserved: TcpSocket,
    at_work: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Script {
    seen: Mutex<Vec<Seen>>,
    done: Mutex<Vec<Seen>>,
    once: Mutex<Vec<(&'static str, Fault)>>,
    lacking: Mutex<Vec<(&'static str, Fault)>>,
    judge: Mutex<Option<Judge>>,
    came: tokio::sync::Notify,
}

impl Server {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let storage = s3s_fs::FileSystem::new(root.path()).expect("a root");
        let mut service = S3ServiceBuilder::new(storage);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET));
        let reserved = shared_socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let url = format!("http://{}", reserved.local_addr().expect("an address"));
        let server =
            Self { url, root, script: Arc::default(), service: service.build(), reserved, at_work: Mutex::default() };
        server.come_back();
        server
    }

    /// Ends every connection, and refuses new ones.
    pub(crate) async fn go_away(&self) {
        let at_work = self.at_work.lock().expect("a lock").take();
        if let Some(at_work) = at_work {
            at_work.abort();
            // The listener is closed when the task is gone.
            let _ = at_work.await;
        }
    }

    /// Listens again where it did before.
    pub(crate) fn come_back(&self) {
        let socket = shared_socket(self.reserved.local_addr().expect("an address"));
        let listener = socket.listen(1024).expect("a listener");
        let (service, script, root) = (self.service.clone(), Arc::clone(&self.script), self.root.path().to_owned());
        let task = tokio::spawn(accept(listener, service, script, root));
        *self.at_work.lock().expect("a lock") = Some(task);
    }

    /// The next request of this operation meets this fault. Faults of one operation are played in their order.
    pub(crate) fn fail(&self, operation: &'static str, fault: Fault) {
        self.script.once.lock().expect("a lock").push((operation, fault));
    }

    /// Every request that carries this header gets this answer.
    pub(crate) fn lacks(&self, header: &'static str, fault: Fault) {
        self.script.lacking.lock().expect("a lock").push((header, fault));
    }

    /// Every request is put to `judge` from now on, or to nobody.
    pub(crate) fn judge(&self, judge: Option<Judge>) {
        *self.script.judge.lock().expect("a lock") = judge;
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("a lock").clone()
    }

    /// The requests of one operation.
    pub(crate) fn seen_of(&self, operation: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.operation == operation).collect()
    }

    /// Waits until this many requests of one operation have come.
    pub(crate) async fn until(&self, operation: &str, count: usize) {
        loop {
            let came = self.script.came.notified();
            if self.count(operation, false) >= count {
                return;
            }
            came.await;
        }
    }

    /// How many requests of one operation have come, or have been carried out.
    pub(crate) fn count(&self, operation: &str, done: bool) -> usize {
        let requests = if done { &self.script.done } else { &self.script.seen };
        requests.lock().expect("a lock").iter().filter(|seen| seen.operation == operation).count()
    }

    /// Waits until this many requests of one operation have been carried out.
    pub(crate) async fn until_done(&self, operation: &str, count: usize) {
        loop {
            let came = self.script.came.notified();
            if self.count(operation, true) >= count {
                return;
            }
            came.await;
        }
    }

    /// Makes a bucket without a request.
    pub(crate) fn make_bucket(&self, bucket: &str) {
        std::fs::create_dir(self.root.path().join(bucket)).expect("a bucket");
    }

    /// Parts and uploads that nobody completed or aborted.
    pub(crate) fn open_uploads(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.root.path()).expect("the root");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".upload")))
            .collect()
    }
}

async fn accept(listener: TcpListener, service: S3Service, script: Arc<Script>, root: PathBuf) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        let (service, script, root) = (service.clone(), Arc::clone(&script), root.clone());
        let handler = service_fn(move |request| {
            let (service, script, root) = (service.clone(), Arc::clone(&script), root.clone());
            async move { script.handle(&service, root, request).await }
        });
        let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), handler);
        connections.spawn(async move {
            // A connection that a fault ended is an error of its own.
            let _ = connection.await;
        });
    }
}

/// A socket whose port a listener may come and go on.
fn shared_socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("an option");
    socket.bind(address).expect("a port");
    socket
}

impl Script {
    async fn handle(
        self: &Arc<Self>,
        service: &S3Service,
        root: PathBuf,
        request: Request<Incoming>,
    ) -> Result<Response<s3s::Body>, std::io::Error> {
        let operation = operation_of(&request);
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let seen = Seen { operation, path: path.clone(), query, headers: request.headers().clone() };
        self.seen.lock().expect("a lock").push(seen.clone());
        self.came.notify_waiters();
        let bucket = path.split('/').nth(1).unwrap_or_default();
        if operation != "CreateBucket" && !root.join(bucket).is_dir() {
            let request = whole(request).await?;
            let body = error_xml("NoSuchBucket", "The specified bucket does not exist");
            return Ok(answer(request.method(), 404, None, body));
        }
        let fault = self.fault_of(&seen);
        match fault {
            Some(Fault::CloseUnread) => return Err(std::io::Error::other("scripted")),
            Some(Fault::HangUnread) => std::future::pending().await,
            _ => {}
        }
        let request = whole(request).await?;
        let method = request.method().clone();
        let work = self.carry_out(service, seen, request);
        match fault {
            None => work.await,
            Some(Fault::Answer { status, header, body }) => Ok(answer(&method, status, header, body)),
            Some(Fault::CloseUnread | Fault::Close) => Err(std::io::Error::other("scripted")),
            Some(Fault::HangUnread | Fault::Hang) => std::future::pending().await,
            Some(Fault::Stall(wait)) => {
                tokio::time::sleep(wait).await;
                work.await
            }
            Some(Fault::DoAndClose) => {
                work.await?;
                Err(std::io::Error::other("scripted"))
            }
            Some(Fault::DoAndHang) => {
                work.await?;
                std::future::pending().await
            }
            Some(Fault::DoAndAnswerAfter(wait)) => {
                let response = work.await?;
                tokio::time::sleep(wait).await;
                Ok(response)
            }
            Some(Fault::DoAndAnswer { status, body }) => {
                work.await?;
                Ok(answer(&method, status, None, body))
            }
        }
    }

    /// Carries a request out in a task of its own, which the end of the connection does not end.
    async fn carry_out(
        self: &Arc<Self>,
        service: &S3Service,
        seen: Seen,
        request: Request<Bytes>,
    ) -> Result<Response<s3s::Body>, std::io::Error> {
        let (service, script) = (service.clone(), Arc::clone(self));
        let work = tokio::spawn(async move {
            let response = service.call(request.map(s3s::Body::from)).await;
            script.done.lock().expect("a lock").push(seen);
            script.came.notify_waiters();
            response.map_err(|error| std::io::Error::other(format!("{error:?}")))
        });
        work.await.map_err(std::io::Error::other)?
    }

    fn fault_of(&self, seen: &Seen) -> Option<Fault> {
        let lacking = self.lacking.lock().expect("a lock");
        if let Some((_, fault)) = lacking.iter().find(|(header, _)| seen.headers.contains_key(*header)) {
            return Some(fault.clone());
        }
        let mut once = self.once.lock().expect("a lock");
        if let Some(at) = once.iter().position(|(of, _)| *of == seen.operation) {
            return Some(once.remove(at).1);
        }
        self.judge.lock().expect("a lock").as_mut().and_then(|judge| judge(seen))
    }
}

async fn whole(request: Request<Incoming>) -> Result<Request<Bytes>, std::io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok(Request::from_parts(head, body))
}

fn answer(
    method: &Method,
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: String,
) -> Response<s3s::Body> {
    let body = if *method == Method::HEAD { String::new() } else { body };
    let mut response = Response::builder().status(status).header("content-type", "application/xml");
    if let Some((name, value)) = header {
        response = response.header(name, value);
    }
    response.body(s3s::Body::from(Bytes::from(body))).expect("a response")
}

pub(crate) fn error_xml(code: &str, message: &str) -> String {
    format!(r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"#)
}

fn operation_of(request: &Request<Incoming>) -> &'static str {
    let query = request.uri().query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let in_bucket = request.uri().path().trim_matches('/').contains('/');
    match *request.method() {
        Method::PUT if !in_bucket => "CreateBucket",
        Method::PUT if has("uploadId") => "UploadPart",
        Method::PUT => "PutObject",
        Method::POST if has("uploads") => "CreateMultipartUpload",
        Method::POST if has("uploadId") => "CompleteMultipartUpload",
        Method::DELETE if has("uploadId") => "AbortMultipartUpload",
        Method::HEAD if in_bucket => "HeadObject",
        Method::GET if in_bucket => "GetObject",
        _ => "other",
    }
}
