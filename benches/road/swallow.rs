//! An S3 server that keeps nothing: it answers what an upload asks, tallies the records of each object, and forgets them.
//!
//! It runs in the load generator's process, so that nothing of it is charged to hydrant. Objects are unpacked and tallied on a
//! thread of their own. An outage (every request is answered 503) and stalled buckets (nothing is answered, nor read) can be
//! switched on and off.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, ETAG};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::tally::{Lines, Tally};

/// The server; ends with the process.
pub(crate) struct Swallower {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    outage: AtomicBool,
    stalled: watch::Sender<HashSet<String>>,
    uploads: Mutex<HashMap<String, BTreeMap<u32, Bytes>>>,
    next_upload: AtomicU64,
    /// Objects by bucket and key; `None` until they are tallied.
    objects: Mutex<HashMap<String, Option<Tally>>>,
    faults: Mutex<Vec<String>>,
    rewritten: AtomicU64,
    packed_bytes: AtomicU64,
    unpack: mpsc::Sender<Object>,
}

struct Object {
    name: String,
    is_gzip: bool,
    parts: Vec<Bytes>,
}

impl Object {
    fn tally(&self) -> anyhow::Result<Tally> {
        let begins = self.parts.first().map(Bytes::as_ref).unwrap_or_default();
        let joined = || self.parts.iter().flatten().copied().collect::<Vec<u8>>();
        if begins.starts_with(b"PAR1") {
            return Tally::of_rows(joined().into());
        }
        let mut lines = Lines::default();
        if self.is_gzip {
            let packed = self.parts.iter().fold(Box::new(std::io::empty()) as Box<dyn Read + '_>, |before, part| {
                Box::new(before.chain(part.as_ref()))
            });
            let mut unpacked = flate2::read::MultiGzDecoder::new(std::io::BufReader::with_capacity(READ_BYTES, packed));
            let mut piece = vec![0; READ_BYTES];
            loop {
                match unpacked.read(&mut piece)? {
                    0 => break,
                    bytes => lines.feed(piece.get(..bytes).unwrap_or_default()),
                }
            }
        } else if memchr::memchr(b'\n', begins.get(..LONGEST_LINE).unwrap_or(begins)).is_none() {
            return Ok(Tally::of_joined(&joined()));
        } else {
            self.parts.iter().for_each(|part| lines.feed(part));
        }
        Ok(lines.end())
    }
}

/// What was delivered so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Swallowed {
    /// The records of all objects.
    pub(crate) tally: Tally,
    /// How many objects.
    pub(crate) objects: usize,
    /// How many of them were written more than once.
    pub(crate) rewritten: u64,
    /// Bytes of the objects as they came.
    pub(crate) packed_bytes: u64,
}

impl Swallower {
    /// Starts the server on a free port.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let (unpack, objects) = mpsc::channel();
        let shared = Arc::new(Shared {
            outage: AtomicBool::new(false),
            stalled: watch::Sender::new(HashSet::new()),
            uploads: Mutex::default(),
            next_upload: AtomicU64::new(1),
            objects: Mutex::default(),
            faults: Mutex::default(),
            rewritten: AtomicU64::new(0),
            packed_bytes: AtomicU64::new(0),
            unpack,
        });
        let tallying = Arc::clone(&shared);
        thread::Builder::new().name("tally".into()).spawn(move || {
            for object in objects {
                tallying.tally(&object);
            }
        })?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").context("binding the S3 server")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let serving = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("s3".into()).spawn(move || {
            if let Err(error) = runtime.block_on(serve(listener, &serving)) {
                serving.fault(format!("the S3 server ended: {error}"));
            }
        })?;
        Ok(Self { address, shared })
    }

    /// Answers every request with 503, or no longer.
    pub(crate) fn set_outage(&self, outage: bool) {
        self.shared.outage.store(outage, Ordering::SeqCst);
    }

    /// Neither reads nor answers what is sent to these buckets; those that were stalled before go on.
    pub(crate) fn set_stalled(&self, buckets: HashSet<String>) {
        self.shared.stalled.send_replace(buckets);
    }

    /// What was delivered, or `None` while some of it is not tallied yet.
    pub(crate) fn swallowed(&self) -> anyhow::Result<Option<Swallowed>> {
        if let Some(fault) = self.shared.faults.lock().first() {
            anyhow::bail!("{fault}");
        }
        let objects = self.shared.objects.lock();
        let mut swallowed = Swallowed {
            objects: objects.len(),
            rewritten: self.shared.rewritten.load(Ordering::SeqCst),
            packed_bytes: self.shared.packed_bytes.load(Ordering::SeqCst),
            ..Swallowed::default()
        };
        for tally in objects.values() {
            let Some(tally) = tally else { return Ok(None) };
            swallowed.tally += *tally;
        }
        Ok(Some(swallowed))
    }
}

async fn serve(listener: std::net::TcpListener, shared: &Arc<Shared>) -> anyhow::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let shared = Arc::clone(&shared);
                async move { shared.answer(request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .max_buf_size(READ_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            // The client hangs up whenever it likes.
            let _ = connection.await;
        });
    }
}

type Answer = Result<Response<Full<Bytes>>, hyper::Error>;

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().trim_start_matches('/').to_owned();
        let query = Query(head.uri.query().unwrap_or_default());
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let mut stalled = self.stalled.subscribe();
        // The sender lives as long as this server.
        let _ = stalled.wait_for(|stalled| !stalled.contains(bucket)).await;
        if self.outage.load(Ordering::SeqCst) {
            let error = "<Error><Code>SlowDown</Code><Message>an outage</Message></Error>";
            return Ok(answer(StatusCode::SERVICE_UNAVAILABLE, error.into()));
        }
        let body = body.collect().await?.to_bytes();
        let is_gzip = head.headers.get(CONTENT_ENCODING).is_some_and(|value| value == "gzip");
        let upload = query.value("uploadId").map(str::to_owned);
        let number = query.value("partNumber").and_then(|number| number.parse().ok());
        let body = match (head.method, upload, number) {
            (Method::PUT, Some(id), Some(number)) => {
                self.uploads.lock().entry(id).or_default().insert(number, body);
                String::new()
            }
            (Method::PUT, None, _) if key.is_empty() => String::new(),
            (Method::PUT, None, _) => {
                self.keep(Object { name: path.clone(), is_gzip, parts: vec![body] });
                String::new()
            }
            (Method::POST, None, _) if query.value("uploads").is_some() => {
                let id = self.next_upload.fetch_add(1, Ordering::SeqCst).to_string();
                let id = if is_gzip { format!("gzip-{id}") } else { id };
                format!(
                    "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                     </InitiateMultipartUploadResult>"
                )
            }
            (Method::POST, Some(id), _) => {
                let parts = self.uploads.lock().remove(&id).unwrap_or_default();
                self.keep(Object {
                    name: path.clone(),
                    is_gzip: id.starts_with("gzip-"),
                    parts: parts.into_values().collect(),
                });
                format!(
                    "<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><ETag>\"0\"</ETag>\
                     </CompleteMultipartUploadResult>"
                )
            }
            (Method::DELETE, Some(id), _) => {
                self.uploads.lock().remove(&id);
                return Ok(answer(StatusCode::NO_CONTENT, String::new()));
            }
            (Method::HEAD, None, _) if key.is_empty() || self.objects.lock().contains_key(&path) => String::new(),
            (Method::HEAD, None, _) => return Ok(answer(StatusCode::NOT_FOUND, String::new())),
            (method, ..) => {
                self.fault(format!("the S3 server does not know {method} {}", head.uri));
                return Ok(answer(StatusCode::NOT_IMPLEMENTED, String::new()));
            }
        };
        Ok(answer(StatusCode::OK, body))
    }

    fn keep(&self, object: Object) {
        self.packed_bytes.fetch_add(object.parts.iter().map(|part| part.len() as u64).sum(), Ordering::SeqCst);
        if self.objects.lock().insert(object.name.clone(), None).is_some() {
            self.rewritten.fetch_add(1, Ordering::SeqCst);
        }
        if self.unpack.send(object).is_err() {
            self.fault("nobody tallies objects any more".into());
        }
    }

    fn tally(&self, object: &Object) {
        match object.tally() {
            Ok(tally) => {
                self.objects.lock().insert(object.name.clone(), Some(tally));
            }
            Err(error) => self.fault(format!("{} cannot be read: {error:#}", object.name)),
        }
    }

    fn fault(&self, fault: String) {
        self.faults.lock().push(fault);
    }
}

struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// The value of a parameter; empty where it has none.
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut parameters = self.0.split('&').map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")));
        parameters.find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

fn answer(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(ETAG, hyper::header::HeaderValue::from_static("\"0\""));
    answer
}

/// Longer than a record of a run.
const LONGEST_LINE: usize = 4 << 10;
const READ_BYTES: usize = 512 << 10;
