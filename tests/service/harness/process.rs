//! The binary as a process: started, watched, ended, and never left behind.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

use super::{Client, LONG, POLL, until};
use crate::server::{ACCESS_KEY, SECRET};

/// How a process is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    listen: String,
    data: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    expected: Vec<&'static str>,
    open_files: Option<String>,
}

impl Setup {
    /// A service with this data directory that delivers into it.
    pub(crate) fn new(data: &Path) -> Self {
        let listen = "127.0.0.1:0".to_owned();
        let data = data.to_owned();
        Self { listen, data, args: Vec::new(), env: Vec::new(), expected: Vec::new(), open_files: None }
    }

    /// Another address to listen on.
    pub(crate) fn listen(self, address: &str) -> Self {
        Self { listen: address.to_owned(), ..self }
    }

    /// Delivers to the S3 server at `url`.
    pub(crate) fn s3(self, url: &str) -> Self {
        self.arg("--s3-endpoint", url)
    }

    /// A flag with its value.
    pub(crate) fn arg(mut self, flag: &str, value: &str) -> Self {
        self.args.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// A flag without one.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.args.push(flag.to_owned());
        self
    }

    /// A variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// How many files it may open: options and a number of the shell's `ulimit`.
    pub(crate) fn open_files(self, limit: &str) -> Self {
        Self { open_files: Some(limit.to_owned()), ..self }
    }

    /// Lines of level WARN or ERROR that hold this text belong to the test.
    pub(crate) fn expects(mut self, text: &'static str) -> Self {
        self.expected.push(text);
        self
    }

    fn command(&self) -> Command {
        let mut command = self.bare_command("serve");
        command.args(["--listen", &self.listen]);
        command
    }

    fn bare_command(&self, subcommand: &str) -> Command {
        let mut command = match &self.open_files {
            None => Command::new(env!("CARGO_BIN_EXE_hydrant")),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit {limit} && exec \"$@\""), "sh", env!("CARGO_BIN_EXE_hydrant")]);
                shell
            }
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("AWS_") || name.starts_with("HYDRANT_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .args([subcommand, "--data"])
            .arg(&self.data)
            .args(&self.args)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A running service.
pub(crate) struct Hydrant {
    /// Its API.
    pub(crate) client: Client,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reading: Option<JoinHandle<()>>,
    expected: Vec<&'static str>,
    ended: bool,
}

impl Hydrant {
    /// Starts the binary and waits until it takes records.
    pub(crate) async fn start(setup: &Setup) -> Self {
        let hydrant = Self::spawn(setup).await;
        hydrant.ready().await;
        hydrant
    }

    /// Starts the binary and waits until it listens.
    pub(crate) async fn spawn(setup: &Setup) -> Self {
        let mut child = setup.command().spawn().expect("the binary starts");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let reading = Some(collect(stderr, Arc::clone(&log)));
        let (said, first) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody wants any but the first; the pipe must be read all the same.
                let _ = said.send(line);
            }
        });
        let mut hydrant = Self {
            client: Client::new(String::new()),
            child,
            log,
            reading,
            expected: setup.expected.clone(),
            ended: false,
        };
        let line = until("the first line of standard output", || {
            let ended = hydrant.child.try_wait().expect("a process");
            let line = first.try_recv().ok();
            assert!(ended.is_none() || line.is_some(), "it ended, {ended:?}:\n{}", hydrant.log_text());
            std::future::ready(line)
        })
        .await;
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("not the first line: {line:?}"));
        hydrant.client = Client::new(url.replace("0.0.0.0", "127.0.0.1"));
        hydrant
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        until("/ready", async || (self.client.get("/ready").await.0 == 200).then_some(())).await;
    }

    /// Everything that it logged so far.
    pub(crate) fn log_text(&self) -> String {
        self.log.lock().expect("a lock").join("\n")
    }

    /// Lets it open only so many files more.
    pub(crate) fn spare_files(&self, spare: usize) {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a process");
        let names = open.map(|it| it.expect("an entry").file_name().to_string_lossy().into_owned());
        let taken: HashSet<u64> = names.map(|name| name.parse().expect("a number")).collect();
        // The limit is about the number that a file gets, the lowest that is free.
        let limit = (0..).filter(|number| !taken.contains(number)).nth(spare).expect("a number");
        self.limit_files(limit);
    }

    /// Files are numbered below this from now on.
    pub(crate) fn limit_files(&self, most: u64) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("an id"));
        // It was started with the limits of this process, of which the hard one may not be raised.
        let limit = Rlimit { current: Some(most), maximum: getrlimit(Resource::Nofile).maximum };
        prlimit(id, Resource::Nofile, limit).expect("a limit");
    }

    /// The most memory that it has had so far.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// What it has read so far, from files and connections.
    pub(crate) fn read_bytes(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id())).expect("a process");
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")).expect("bytes");
        read.parse().expect("a number")
    }

    /// SIGHUP: the stream files are read again.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM; it must end well.
    pub(crate) async fn terminate(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait().await;
        assert_eq!(status.code(), Some(0), "{status:?} after SIGTERM:\n{}", self.log_text());
        self.check_log();
    }

    /// SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
        self.check_log();
    }

    /// Waits for it to kill itself at a named phase.
    pub(crate) async fn killed_itself(mut self, phase: &str) {
        let status = self.wait_for(&format!("the end at {phase}")).await;
        assert_eq!(status.signal(), Some(9), "{status:?}, not killed at {phase}:\n{}", self.log_text());
        self.check_log();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a process").is_some()
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill_process(Pid::from_raw(id).expect("an id"), signal).expect("a process");
    }

    async fn wait(&mut self) -> ExitStatus {
        self.wait_for("the end of the process").await
    }

    async fn wait_for(&mut self, what: &str) -> ExitStatus {
        let child = &mut self.child;
        let status = until(what, || std::future::ready(child.try_wait().expect("a process"))).await;
        self.ended = true;
        if let Some(reading) = self.reading.take() {
            reading.join().expect("a reader");
        }
        status
    }

    /// Nothing but what the test expects may be logged at WARN or ERROR, and nothing may panic.
    fn check_log(&self) {
        let log = self.log.lock().expect("a lock");
        let bad =
            log.iter().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ") || line.contains("panicked"));
        let unexpected: Vec<_> = bad.filter(|line| !self.expected.iter().any(|text| line.contains(text))).collect();
        assert!(unexpected.is_empty(), "unexpected in the log:\n{unexpected:#?}");
    }
}

impl Drop for Hydrant {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log.lock().expect("a lock");
            let shown = log.get(log.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
            eprintln!("the last lines of the process:\n{}", shown.join("\n"));
        } else {
            self.check_log();
        }
    }
}

/// What `hydrant check` with the same settings, and with `args`, says on standard output, and its exit code.
pub(crate) async fn checked(setup: &Setup, args: &[&str]) -> (i32, String) {
    let mut command = setup.bare_command("check");
    command.args(args);
    // The S3 server may run on this thread.
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
    let output = output.expect("the binary starts");
    (output.status.code().expect("no signal"), String::from_utf8(output.stdout).expect("text"))
}

/// What a start that must be refused says, and its exit code.
pub(crate) async fn refused(setup: &Setup) -> (i32, String) {
    let mut child = setup.command().spawn().expect("the binary starts");
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a process") {
            break status;
        }
        if start.elapsed() > LONG {
            let _ = child.kill();
            panic!("it was not refused");
        }
        tokio::time::sleep(POLL).await;
    };
    let (mut text, mut first_line) = (String::new(), String::new());
    child.stdout.take().expect("a pipe").read_to_string(&mut first_line).expect("text");
    assert_eq!(first_line, "", "nobody may be told an address");
    child.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
    (status.code().expect("no signal"), text)
}

const SHOWN_LINES: usize = 40;

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().expect("a lock").push(line);
        }
    })
}
