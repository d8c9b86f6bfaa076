//! The table of knobs: names, defaults, and what each trades. The command line, its help, the environment and the settings file
//! are all read by this table, so that they cannot disagree.

use std::fmt;

/// One knob of `hydrant serve`.
#[derive(Debug, PartialEq, Eq)]
pub struct Knob {
    /// Key in a settings file: `free_space_floor`.
    pub key: &'static str,
    /// What a value is, as help shows it: `SIZE`; `None` is a switch.
    pub value: Option<&'static str>,
    /// What holds where nothing is said.
    pub default: Default,
    /// Heading under which help shows it.
    pub group: &'static str,
    /// What it does, and what it trades.
    pub help: &'static str,
}

/// What holds where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// This value, as a user would write it.
    Value(&'static str),
    /// What follows from other knobs or from variables of other programs, in words.
    Follows(&'static str),
    /// Nothing.
    Nothing,
}

impl Knob {
    /// The long option without its dashes: `free-space-floor`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    /// The environment variable: `HYDRANT_FREE_SPACE_FLOOR`.
    pub fn variable(&self) -> String {
        format!("HYDRANT_{}", self.key.to_uppercase())
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--{}", self.flag())
    }
}

/// Every knob, in the order of the help.
pub static KNOBS: [&Knob; 22] = [
    &LISTEN,
    &INSECURE,
    &MAX_RECORD_BYTES,
    &MAX_BODY_BYTES,
    &BODY_MEMORY,
    &DATA,
    &DISK_BUDGET,
    &FREE_SPACE_FLOOR,
    &STREAMS,
    &MODULES,
    &LAMBDA_ENDPOINT,
    &SCHEMAS,
    &GLUE_ENDPOINT,
    &REGION,
    &ACCOUNT,
    &STRICT,
    &S3_ENDPOINT,
    &CREATE_BUCKETS,
    &DELIVERY_MEMORY,
    &CONFIG,
    &LOG_FORMAT,
    &SHUTDOWN_TIMEOUT,
];

pub(super) static LISTEN: Knob = Knob {
    key: "listen",
    value: Some("ADDR:PORT"),
    default: Default::Value("127.0.0.1:4573"),
    group: HTTP,
    help: "Address to serve HTTP on; port 0 takes a free one. Anything but a loopback address is open to the network and \
           needs --insecure",
};
pub(super) static INSECURE: Knob = Knob {
    key: "insecure",
    value: None,
    default: Default::Value("false"),
    group: HTTP,
    help: "Serve without access keys on an address that others can reach: whoever reaches the port may do everything",
};
pub(super) static MAX_RECORD_BYTES: Knob = Knob {
    key: "max_record_bytes",
    value: Some("SIZE"),
    default: Default::Value("1024000"),
    group: HTTP,
    help: "Largest record, up to 10MiB. AWS's limit is the default; a larger one takes records that AWS would refuse",
};
pub(super) static MAX_BODY_BYTES: Knob = Knob {
    key: "max_body_bytes",
    value: Some("SIZE"),
    default: Default::Value("16MiB"),
    group: HTTP,
    help: "Largest body of a plain HTTP request, after decompression. Larger bodies need fewer requests and more of \
           --body-memory",
};
pub(super) static BODY_MEMORY: Knob = Knob {
    key: "body_memory",
    value: Some("SIZE"),
    default: Default::Value("64MiB"),
    group: HTTP,
    help: "Memory for request bodies, of all requests together. Less saves memory, and producers are told \"Slow down.\" \
           earlier",
};
pub(super) static DATA: Knob = Knob {
    key: "data",
    value: Some("DIR"),
    default: Default::Value("hydrant-data"),
    group: DISK,
    help: "Where records wait until they are delivered, and everything that is known of streams. One process at a time",
};
pub(super) static DISK_BUDGET: Knob = Knob {
    key: "disk_budget",
    value: Some("SIZE"),
    default: Default::Value("10GiB"),
    group: DISK,
    help: "Disk that one stream may fill while its destination is down; past it, its producers are refused. A stream's own \
           setting wins",
};
pub(super) static FREE_SPACE_FLOOR: Knob = Knob {
    key: "free_space_floor",
    value: Some("SIZE"),
    default: Default::Value("1GiB"),
    group: DISK,
    help: "Refuse records while the volume has less free space than this. It keeps room for delivery, which frees space, \
           and for what else lives there",
};
pub(super) static STREAMS: Knob = Knob {
    key: "streams",
    value: Some("DIR"),
    default: Default::Nothing,
    group: STREAM,
    help: "Folder of stream files (*.yaml, *.yml, *.json), one delivery stream each, applied at the start and on SIGHUP",
};
pub(super) static MODULES: Knob = Knob {
    key: "modules",
    value: Some("DIR"),
    default: Default::Follows("<data>/modules"),
    group: STREAM,
    help: "Folder of the WASM modules that stand in for Lambda functions: LambdaArn …:function:enrich is enrich.wasm",
};
pub(super) static LAMBDA_ENDPOINT: Knob = Knob {
    key: "lambda_endpoint",
    value: Some("URL"),
    default: Default::Nothing,
    group: STREAM,
    help: "Where functions are invoked that no module stands in for, by Lambda's Invoke",
};
pub(super) static SCHEMAS: Knob = Knob {
    key: "schemas",
    value: Some("DIR"),
    default: Default::Follows("<data>/schemas"),
    group: STREAM,
    help: "Folder of the table definitions that stand in for Glue, for streams that convert to Parquet or ORC: table clicks of \
           database sales is sales.clicks.json (Glue's JSON) or .sql (CREATE TABLE), or the same in a folder sales/",
};
pub(super) static GLUE_ENDPOINT: Knob = Knob {
    key: "glue_endpoint",
    value: Some("URL"),
    default: Default::Nothing,
    group: STREAM,
    help: "Where tables are asked for that no file of --schemas stands in for, by Glue's GetTable",
};
pub(super) static REGION: Knob = Knob {
    key: "region",
    value: Some("REGION"),
    default: Default::Value("us-east-1"),
    group: STREAM,
    help: "Region in ARNs and in signatures towards S3",
};
pub(super) static ACCOUNT: Knob = Knob {
    key: "account",
    value: Some("ACCOUNT"),
    default: Default::Value("000000000000"),
    group: STREAM,
    help: "Account in ARNs, 12 digits",
};
pub(super) static STRICT: Knob = Knob {
    key: "strict",
    value: None,
    default: Default::Value("false"),
    group: STREAM,
    help: "Keep AWS's rules to the letter: what passes here passes there, and what hydrant allows beyond them is refused",
};
pub(super) static S3_ENDPOINT: Knob = Knob {
    key: "s3_endpoint",
    value: Some("URL|aws|dir"),
    default: Default::Follows(
        "AWS_ENDPOINT_URL_S3, else AWS_ENDPOINT_URL unless it is hydrant's own address, else dir",
    ),
    group: DELIVERY,
    help: "Where objects go: an S3-compatible server, AWS itself, or files in <data>/objects/<bucket>/",
};
pub(super) static CREATE_BUCKETS: Knob = Knob {
    key: "create_buckets",
    value: None,
    default: Default::Value("false"),
    group: DELIVERY,
    help: "Make a missing bucket at the first delivery. Handy for trials; elsewhere a misspelt bucket should fail",
};
pub(super) static DELIVERY_MEMORY: Knob = Knob {
    key: "delivery_memory",
    value: Some("SIZE"),
    default: Default::Value("96MiB"),
    group: DELIVERY,
    help: "Memory for parts, codecs and row groups of all streams together. Less saves memory, and fewer objects are made at \
           once",
};
pub(super) static CONFIG: Knob = Knob {
    key: "config",
    value: Some("FILE"),
    default: Default::Nothing,
    group: PROCESS,
    help: "Settings file, TOML or YAML by its extension, with these options as keys: free_space_floor = \"5GiB\"",
};
pub(super) static LOG_FORMAT: Knob = Knob {
    key: "log_format",
    value: Some("text|json"),
    default: Default::Value("text"),
    group: PROCESS,
    help: "Form of the logs on standard error: for people or for machines",
};
pub(super) static SHUTDOWN_TIMEOUT: Knob = Knob {
    key: "shutdown_timeout",
    value: Some("SECONDS"),
    default: Default::Value("30"),
    group: PROCESS,
    help: "How long a stop waits for what is in flight. Less stops sooner; what was cut short is delivered after the next \
           start",
};

const HTTP: &str = "Requests";
const DISK: &str = "Disk";
const STREAM: &str = "Streams";
const DELIVERY: &str = "Delivery";
const PROCESS: &str = "Process";
