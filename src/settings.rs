//! Every knob of the service: read once at the start, typed, checked against each other, and plain data from then on.
//!
//! A knob has one name in three spellings, and the first that says something wins: the flag `--free-space-floor`, the variable
//! `HYDRANT_FREE_SPACE_FLOOR`, the key `free_space_floor` of the file that `--config` (or `HYDRANT_CONFIG`) names. What each
//! knob does and trades stands in the table [`KNOBS`], which help is made from. Unknown keys and contradictions stop the
//! start; all faults are reported at once. The environment is read here and nowhere else.

mod environment;
mod fault;
mod file;
mod knob;
mod s3;
mod value;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failpoint::CrashAt;

pub use environment::Environment;
pub use fault::{Fault, Faults, Origin};
pub use knob::{Default, KNOBS, Knob};
pub use s3::S3Choice;
pub use value::size;

use knob::{
    ACCOUNT, BODY_MEMORY, CONFIG, CREATE_BUCKETS, DATA, DELIVERY_MEMORY, DISK_BUDGET, FREE_SPACE_FLOOR, GLUE_ENDPOINT,
    INSECURE, LAMBDA_ENDPOINT, LISTEN, LOG_FORMAT, MAX_BODY_BYTES, MAX_RECORD_BYTES, MODULES, REGION, S3_ENDPOINT,
    SCHEMAS, SHUTDOWN_TIMEOUT, STREAMS, STRICT,
};

/// The settings of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Address to serve HTTP on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serve without access keys on an address that is not loopback.
    pub insecure: bool,
    /// Most bytes of one record.
    pub max_record_bytes: usize,
    /// Most bytes of the body of a plain HTTP request, after decompression.
    pub max_body_bytes: usize,
    /// Bytes of memory for request bodies, of all requests together; at least [`Settings::max_body_bytes`].
    pub body_memory: usize,
    /// Most connections at the same time. No knob: `serve` lowers it to what the process may open.
    pub max_connections: usize,
    /// Where records wait and streams are known.
    pub data: PathBuf,
    /// Bytes of disk that one stream may fill, unless its own setting says otherwise.
    pub disk_budget: u64,
    /// Bytes of free space below which records are refused.
    pub free_space_floor: u64,
    /// Folder of stream files.
    pub streams: Option<PathBuf>,
    /// Folder of WASM modules.
    pub modules: PathBuf,
    /// Where functions are invoked that no module stands in for.
    pub lambda_endpoint: Option<String>,
    /// Folder of table definitions.
    pub schemas: PathBuf,
    /// Where tables are asked for that no definition stands in for.
    pub glue_endpoint: Option<String>,
    /// Region in ARNs and signatures.
    pub region: String,
    /// Account in ARNs, 12 digits.
    pub account: String,
    /// AWS's rules to the letter.
    pub strict: bool,
    /// Where objects go.
    pub s3: S3Choice,
    /// Make a missing bucket at the first delivery.
    pub create_buckets: bool,
    /// PEM file of the authorities to trust in place of the system's (`AWS_CA_BUNDLE`, as AWS's tools call it).
    pub ca_bundle: Option<PathBuf>,
    /// Bytes of memory for parts, codecs and row groups.
    pub delivery_memory: usize,
    /// Form of the logs.
    pub log_format: LogFormat,
    /// Which logs (`RUST_LOG`); `None` is everything from `info` up.
    pub log_filter: Option<String>,
    /// How long a stop waits for what is in flight.
    pub shutdown_timeout: Duration,
    /// For tests: how long an answer of S3 is waited for (`HYDRANT_S3_TIMEOUT`, seconds); `None` is what suits S3.
    pub s3_timeout: Option<Duration>,
    /// For tests: when to crash (`HYDRANT_CRASH_AT`, see [`crate::failpoint`]).
    pub crash_at: Option<CrashAt>,
}

/// Form of the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What the command line says: the text of each knob that was given, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub BTreeMap<&'static str, String>);

impl Settings {
    /// Reads the settings from the command line, the environment and the settings file.
    ///
    /// # Errors
    /// Every fault of every source.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, Faults> {
        let (settings, faults) = Self::inspect(flags, environment);
        if faults.is_empty() { Ok(settings) } else { Err(Faults(faults)) }
    }

    /// Reads the settings as far as they can be read: what has a fault is at its default.
    pub fn inspect(flags: &Flags, environment: &Environment) -> (Self, Vec<Fault>) {
        let mut reader = Reader::new(flags, environment);
        let settings = reader.settings().expect("what is needed has a valid default, which a test proves");
        (settings, reader.faults)
    }

    /// The defaults on the data directory `data`, with no file, flag or variable asked.
    pub fn embedded(data: &Path) -> Self {
        let (flags, environment) = (Flags::default(), Environment::of([]));
        let settings = Reader::new(&flags, &environment).settings();
        let mut settings = settings.expect("the defaults are valid, which a test proves");
        data.clone_into(&mut settings.data);
        settings.modules = data.join("modules");
        settings.schemas = data.join("schemas");
        settings
    }
}

/// The server that client commands talk to: `flag`, else `HYDRANT_ENDPOINT`, else the default of `--listen`.
///
/// # Errors
/// The variable is not UTF-8.
pub fn client_endpoint(flag: Option<&str>, environment: &Environment) -> Result<String, Faults> {
    if let Some(flag) = flag {
        return Ok(flag.to_owned());
    }
    let at = |rule| Faults(vec![Fault { origin: Origin::Variable(ENDPOINT_VARIABLE.to_owned()), rule }]);
    Ok(environment.value(ENDPOINT_VARIABLE).map_err(at)?.unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()))
}

/// Which logs a command shows that is not the service: `RUST_LOG`, if it says anything that can be used.
pub fn log_filter(environment: &Environment) -> Option<String> {
    environment.value("RUST_LOG").ok().flatten()
}

/// Finds values, parses them and keeps every fault.
struct Reader<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    file: BTreeMap<&'static str, String>,
    file_path: PathBuf,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn new(flags: &'a Flags, environment: &'a Environment) -> Self {
        let mut reader =
            Self { flags, environment, file: BTreeMap::new(), file_path: PathBuf::new(), faults: Vec::new() };
        if let Some(path) = reader.optional(&CONFIG, value::path) {
            let (values, faults) = file::read(&path);
            reader.file = values;
            reader.faults.extend(faults);
            reader.file_path = path;
        }
        reader
    }

    /// All settings; `None` where one has no valid default. Faults and contradictions are in `faults`.
    fn settings(&mut self) -> Option<Settings> {
        let listen = self.value(&LISTEN, value::address);
        let data = self.value(&DATA, value::path);
        let beneath = |name: &str| data.as_ref().map(|data| data.join(name));
        let (default_modules, default_schemas) = (beneath("modules"), beneath("schemas"));
        // Each is read before any is needed, so that every fault is found.
        let insecure = self.value(&INSECURE, value::switch);
        let max_record_bytes = self.value(&MAX_RECORD_BYTES, value::memory_within(1..=MAX_RECORD));
        let max_body_bytes = self.value(&MAX_BODY_BYTES, value::memory_within(LEAST_BODY..=MAX_BODY));
        let body_memory = self.value(&BODY_MEMORY, value::memory_within(LEAST_BODY_MEMORY..=u64::MAX));
        let disk_budget = self.value(&DISK_BUDGET, value::size_within(MIB..=u64::MAX));
        let free_space_floor = self.value(&FREE_SPACE_FLOOR, size);
        let streams = self.optional(&STREAMS, value::path);
        let modules = self.optional(&MODULES, value::path).or(default_modules);
        let lambda_endpoint = self.optional(&LAMBDA_ENDPOINT, value::url);
        let schemas = self.optional(&SCHEMAS, value::path).or(default_schemas);
        let glue_endpoint = self.optional(&GLUE_ENDPOINT, value::url);
        let region = self.value(&REGION, value::region);
        let account = self.value(&ACCOUNT, value::account);
        let strict = self.value(&STRICT, value::switch);
        let s3 = self.s3(listen.filter(|_| self.are_sound(&[&LISTEN]))).unwrap_or(S3Choice::Dir);
        let create_buckets = self.value(&CREATE_BUCKETS, value::switch);
        let ca_bundle = self.variable("AWS_CA_BUNDLE", value::path);
        let delivery_memory = self.value(&DELIVERY_MEMORY, value::memory_within(MIB..=u64::MAX));
        let log_format = self.value(&LOG_FORMAT, value::log_format);
        let log_filter = self.variable("RUST_LOG", value::log_filter);
        let shutdown_timeout = self.value(&SHUTDOWN_TIMEOUT, value::seconds);
        let s3_timeout = self.variable("HYDRANT_S3_TIMEOUT", value::seconds);
        let crash_at = self.variable("HYDRANT_CRASH_AT", str::parse);
        let settings = Settings {
            listen: listen?,
            insecure: insecure?,
            max_record_bytes: max_record_bytes?,
            max_body_bytes: max_body_bytes?,
            body_memory: body_memory?,
            max_connections: MAX_CONNECTIONS,
            data: data?,
            disk_budget: disk_budget?,
            free_space_floor: free_space_floor?,
            streams,
            modules: modules?,
            lambda_endpoint,
            schemas: schemas?,
            glue_endpoint,
            region: region?,
            account: account?,
            strict: strict?,
            s3,
            create_buckets: create_buckets?,
            ca_bundle,
            delivery_memory: delivery_memory?,
            log_format: log_format?,
            log_filter,
            shutdown_timeout: shutdown_timeout?,
            s3_timeout,
            crash_at,
        };
        self.contradictions(&settings);
        Some(settings)
    }

    fn s3(&mut self, listen: Option<SocketAddr>) -> Option<S3Choice> {
        let Some((origin, _)) = self.find(&S3_ENDPOINT) else {
            let choice = s3::from_aws_variables(self.environment, listen);
            return choice.map_err(|fault| self.faults.push(fault)).ok();
        };
        let choice = self.optional(&S3_ENDPOINT, s3::parse)?;
        self.faults.extend(s3::own_address_fault(&choice, Some(&origin), listen, self.environment));
        Some(choice)
    }

    /// Values that are valid alone and not together.
    fn contradictions(&mut self, settings: &Settings) {
        let Settings { max_record_bytes, max_body_bytes, body_memory, .. } = settings;
        if max_record_bytes > max_body_bytes && self.are_sound(&[&MAX_RECORD_BYTES, &MAX_BODY_BYTES]) {
            let rule = format!("{max_record_bytes} bytes never fit a body of {MAX_BODY_BYTES} ({max_body_bytes})");
            self.contradiction(&MAX_RECORD_BYTES, rule);
        }
        if max_body_bytes > body_memory && self.are_sound(&[&MAX_BODY_BYTES, &BODY_MEMORY]) {
            let rule = format!("{max_body_bytes} bytes never fit into {BODY_MEMORY} ({body_memory})");
            self.contradiction(&MAX_BODY_BYTES, rule);
        }
        if settings.strict && *max_record_bytes > AWS_MAX_RECORD {
            let rule =
                format!("{max_record_bytes} bytes are more than AWS takes ({AWS_MAX_RECORD}), and {STRICT} is set");
            self.contradiction(&MAX_RECORD_BYTES, rule);
        }
        if let Some(streams) = &settings.streams
            && (*streams == settings.data || *streams == settings.data.join("streams"))
            && self.are_sound(&[&STREAMS, &DATA])
        {
            self.contradiction(
                &STREAMS,
                format!("is where hydrant keeps its own state ({DATA}); choose another folder"),
            );
        }
        if !settings.listen.ip().is_loopback() && !settings.insecure && self.are_sound(&[&LISTEN, &INSECURE]) {
            let listen = settings.listen;
            let rule = format!(
                "{listen} can be reached from other machines, and whoever reaches it may do everything, because there are \
                 no access keys; listen on a loopback address such as 127.0.0.1:{port}, or accept that with {INSECURE} \
                 ({variable}=true) where a firewall or a private network guards the port",
                port = listen.port(),
                variable = INSECURE.variable(),
            );
            self.contradiction(&LISTEN, rule);
        }
    }

    /// Whether the values of `knobs` are those that were said, and not defaults in place of faults.
    fn are_sound(&self, knobs: &[&Knob]) -> bool {
        self.faults.iter().all(|fault| match &fault.origin {
            Origin::Flag(at_fault) => knobs.iter().all(|knob| knob.key != at_fault.key),
            Origin::Variable(name) => knobs.iter().all(|knob| knob.variable() != *name),
            Origin::Key { key, .. } => knobs.iter().all(|knob| knob.key != key),
            // It may have said anything.
            Origin::File(_) => false,
        })
    }

    fn contradiction(&mut self, knob: &'static Knob, rule: String) {
        let origin = self.find(knob).map_or(Origin::Flag(knob), |(origin, _)| origin);
        self.faults.push(Fault { origin, rule });
    }

    /// The value of a knob that has a default, which it is at where what was said has a fault.
    fn value<T>(&mut self, knob: &'static Knob, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let said = self.find(knob).and_then(|(origin, text)| self.parsed(origin, &text, &parse));
        said.or_else(|| match knob.default {
            Default::Value(default) => parse(default).ok(),
            Default::Follows(_) | Default::Nothing => None,
        })
    }

    /// The value of a knob that may be left out.
    fn optional<T>(&mut self, knob: &'static Knob, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (origin, text) = self.find(knob)?;
        self.parsed(origin, &text, parse)
    }

    /// The value of a variable that is no knob of ours.
    fn variable<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = self.environment_value(name)?;
        self.parsed(Origin::Variable(name.to_owned()), &text, parse)
    }

    fn parsed<T>(&mut self, origin: Origin, text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        parse(text).map_err(|rule| self.faults.push(Fault { origin, rule })).ok()
    }

    /// The text that wins, and where it stands.
    fn find(&mut self, knob: &'static Knob) -> Option<(Origin, String)> {
        if let Some(text) = self.flags.0.get(knob.key) {
            return Some((Origin::Flag(knob), text.clone()));
        }
        let variable = knob.variable();
        if let Some(text) = self.environment_value(&variable) {
            return Some((Origin::Variable(variable), text));
        }
        let text = self.file.get(knob.key)?;
        Some((Origin::Key { key: knob.key.to_owned(), file: self.file_path.clone() }, text.clone()))
    }

    fn environment_value(&mut self, name: &str) -> Option<String> {
        self.environment.value(name).unwrap_or_else(|rule| {
            let fault = Fault { origin: Origin::Variable(name.to_owned()), rule };
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
            None
        })
    }
}

/// The variable of the server that client commands talk to.
pub const ENDPOINT_VARIABLE: &str = "HYDRANT_ENDPOINT";

/// The server that client commands talk to where nothing else is said: what `hydrant serve` listens on by default.
pub const DEFAULT_ENDPOINT: &str = "http://127.0.0.1:4573";

/// More than any producer fleet keeps open to one machine; an idle one takes some 10 KiB.
const MAX_CONNECTIONS: usize = 4096;
const MIB: u64 = 1 << 20;
const MAX_RECORD: u64 = 10 * MIB;
/// Source: <https://docs.aws.amazon.com/firehose/latest/APIReference/API_Record.html>
const AWS_MAX_RECORD: usize = 1_024_000;
const LEAST_BODY: u64 = 64 << 10;
const MAX_BODY: u64 = 1 << 30;
/// One `PutRecordBatch` of 4 MiB in base64, with its JSON.
const LEAST_BODY_MEMORY: u64 = 8 * MIB;

#[cfg(test)]
mod tests;
