pub(crate) mod server;
mod transform;

use std::fs;
use std::path::PathBuf;

use clap::CommandFactory;

use super::out::Captured;
use super::*;
use server::{Reply, Server};

/// What a command printed, and its exit code.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::cli) struct Ran {
    pub(in crate::cli) code: u8,
    pub(in crate::cli) results: String,
    /// Notes, and the error with its causes as the process would print it.
    pub(in crate::cli) notes: String,
}

/// Runs a command line as the process would.
pub(in crate::cli) async fn run(arguments: &[&str], environment: &Environment) -> Ran {
    _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::try_parse_from(["hydrant"].iter().chain(arguments)).expect("a command line");
    let (mut out, results, notes) = Captured::out();
    let mut context = Context { environment, out: &mut out, clock: Clock::system() };
    let result = cli.run(&mut context).await;
    let code = result.as_ref().map_or_else(Error::exit_code, |()| 0);
    let error = result.err().map(|error| format!("{:#}\n", anyhow::Error::from(error))).unwrap_or_default();
    Ran { code, results: results.text(), notes: notes.text() + &error }
}

async fn run_at(server: &Server, arguments: &[&str]) -> Ran {
    run(arguments, &Environment::of([("HYDRANT_ENDPOINT", &server.url())])).await
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

/// Writes the help anew where `HYDRANT_WRITE_HELP` is set, which is how the files are changed.
#[test]
fn the_help_of_every_command_is_the_text_beside_the_code() {
    let dir = PathBuf::from(file!()).parent().unwrap().join("help");
    let dir = [PathBuf::from(env!("CARGO_MANIFEST_DIR")), dir].iter().collect::<PathBuf>();
    let mut command = Cli::command();
    command.build();
    let names = command.get_subcommands().map(|subcommand| subcommand.get_name().to_owned());
    let names = names.filter(|name| name != "help");
    let names: Vec<String> = ["hydrant".to_owned()].into_iter().chain(names).collect();
    assert_eq!(names.len(), 10);
    for name in names {
        let arguments = ["hydrant", &name, "--help"];
        let arguments =
            arguments.into_iter().enumerate().filter(|(index, argument)| *index != 1 || *argument != "hydrant");
        let printed = Cli::command().term_width(100).try_get_matches_from(arguments.map(|(_, argument)| argument));
        let text = printed.unwrap_err().to_string();
        let path = dir.join(format!("{name}.txt"));
        if Environment::of_process().value("HYDRANT_WRITE_HELP") == Ok(Some("1".to_owned())) {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, golden, "{} differs; if it should, write it anew with HYDRANT_WRITE_HELP=1", path.display());
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(widest <= 100, "{name} is {widest} wide");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["put", "clicks"][..],
        &["serve", "--lisen", "x"],
        &["flush", "clicks", "--wait=0"],
        &["flush", "clicks", "--wait", "0"],
        &["flush", "clicks", "5"],
        &["put", "clicks", "-", "--max-record-bytes", "11MiB"],
        &["demo", "now"],
        &[],
    ] {
        let error = Cli::try_parse_from(["hydrant"].iter().chain(arguments)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}

#[test]
fn help_is_a_command_too() {
    let parse = |arguments: &[&str]| Cli::command().term_width(100).try_get_matches_from(arguments).unwrap_err();
    let help = parse(&["hydrant", "help", "flush"]);
    assert_eq!((help.exit_code(), help.to_string()), (0, parse(&["hydrant", "flush", "--help"]).to_string()));
}

#[test]
fn every_knob_is_a_flag_and_a_switch_can_be_taken_back() {
    let parse =
        |arguments: &[&str]| match Cli::try_parse_from(["hydrant", "serve"].iter().chain(arguments)).unwrap().command {
            Command::Serve(serve) => format!("{serve:?}"),
            other => format!("{other:?}"),
        };
    let all = parse(&["--free-space-floor", "5GiB", "--strict", "--insecure=false", "--config", "h.toml"]);
    for pair in
        [r#""free_space_floor": "5GiB""#, r#""strict": "true""#, r#""insecure": "false""#, r#""config": "h.toml""#]
    {
        assert!(all.contains(pair), "{all}");
    }
    assert!(!all.contains("listen"), "what was not given is left to the other sources: {all}");
}

#[tokio::test]
async fn a_start_is_refused_with_exit_code_3_and_every_reason() {
    let environment = Environment::of([("HYDRANT_ACCOUNT", "1")]);
    let ran = run(&["serve", "--listen", "0.0.0.0:4573", "--region", "?"], &environment).await;
    assert_eq!(ran.code, 3);
    assert_eq!(ran.notes.lines().count(), 4, "{}", ran.notes);
    assert!(ran.notes.contains("HYDRANT_ACCOUNT: must be 12 digits"));
    let ran = run(&["serve", "--listen", "0.0.0.0:4573"], &Environment::of([])).await;
    assert_eq!(ran.code, 3);
    assert!(ran.notes.contains("--insecure"), "{}", ran.notes);
}

#[tokio::test]
async fn streams_are_asked_for_and_shown() {
    const ANSWER: &str = include_str!("streams/table/streams.json");
    let server = Server::start(|request| match request.target.as_str() {
        "/streams" => Reply::json(200, ANSWER),
        "/streams/no%2Fname" => {
            Reply::json(404, r#"{"error":{"type":"NotFound","message":"there is no such stream","field":"name"}}"#)
        }
        other => panic!("{other}"),
    });
    let table = run_at(&server, &["streams"]).await;
    assert_eq!((table.code, table.results.as_str()), (0, include_str!("streams/table/overview.txt")));
    let json = run_at(&server, &["streams", "--json"]).await;
    let same = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(same(&json.results), same(ANSWER), "what this client does not know is printed too");
    let missing = run_at(&server, &["streams", "no/name"]).await;
    assert_eq!((missing.code, missing.results.as_str()), (1, ""));
    assert_eq!(missing.notes, format!("{} answered 404: name: there is no such stream\n", server.url()));
}

#[tokio::test]
async fn flush_pause_and_resume_post_and_say_so() {
    let server = Server::start(|request| {
        assert_eq!(request.method, "POST");
        Reply::json(if request.target.ends_with("?wait=2") { 504 } else { 202 }, "{}")
    });
    let said = |ran: Ran| (ran.code, ran.results);
    assert_eq!(said(run_at(&server, &["flush", "a"]).await), (0, "a: what it holds is being delivered\n".to_owned()));
    assert_eq!(said(run_at(&server, &["flush", "a", "--wait"]).await), (0, "a: delivered\n".to_owned()));
    let late = run_at(&server, &["flush", "a", "--wait=2"]).await;
    assert_eq!(late.code, 1);
    assert!(late.notes.starts_with("a is not delivered after 2 s"), "{}", late.notes);
    for arguments in [&["flush", "a", "--wait", "2"][..], &["flush", "--wait=2", "a"]] {
        assert_eq!(run_at(&server, arguments).await, late, "{arguments:?}");
    }
    assert_eq!(said(run_at(&server, &["flush", "--wait", "a"]).await), (0, "a: delivered\n".to_owned()));
    let paused = run_at(&server, &["pause", "a"]).await;
    assert_eq!(said(paused), (0, "a: paused; records wait until `hydrant resume a`\n".to_owned()));
    assert_eq!(said(run_at(&server, &["resume", "a"]).await), (0, "a: resumed\n".to_owned()));
    assert_eq!(
        server.targets(),
        [
            "/streams/a/flush",
            "/streams/a/flush?wait=300",
            "/streams/a/flush?wait=2",
            "/streams/a/flush?wait=2",
            "/streams/a/flush?wait=2",
            "/streams/a/flush?wait=300",
            "/streams/a/pause",
            "/streams/a/resume"
        ]
    );
    let nameless = run_at(&server, &["pause", ".."]).await;
    assert_eq!((nameless.code, nameless.notes.as_str()), (2, "\"..\" is no name of a stream\n"));
}

#[tokio::test]
async fn health_is_the_answer_of_ready() {
    let ready = Server::start(|_| Reply::json(200, r#"{"ready":true}"#));
    let ran = run_at(&ready, &["health"]).await;
    assert_eq!((ran.code, ran.results.as_str()), (0, "ready\n"));
    assert_eq!(ready.targets(), ["/ready"]);
    let not =
        Server::start(|_| Reply::json(503, r#"{"ready":false,"reasons":["recovery is running","the disk is full"]}"#));
    let ran = run_at(&not, &["health"]).await;
    assert_eq!((ran.code, ran.results.as_str()), (1, "not ready: recovery is running\nnot ready: the disk is full\n"));
    let gone = run(&["health", "--endpoint", &server::nobody()], &Environment::of([])).await;
    assert_eq!(gone.code, 1);
    assert!(gone.notes.contains("is `hydrant serve` running there?"), "{}", gone.notes);
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_wrong_usage() {
    for endpoint in ["localhost:4573", "ftp://h", "4573"] {
        let ran = run(&["health", "--endpoint", endpoint], &Environment::of([])).await;
        assert_eq!((ran.code, ran.results.as_str()), (2, ""), "{endpoint}");
    }
}

#[tokio::test]
async fn check_names_file_field_and_rule_of_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let good = r#"{"DeliveryStreamName": "good", "ExtendedS3DestinationConfiguration":
        {"RoleARN": "arn:aws:iam::000000000000:role/r", "BucketARN": "arn:aws:s3:::b"}}"#;
    fs::write(path("good.json"), good).unwrap();
    fs::write(path("twice.json"), good).unwrap();
    fs::write(path("bad.yaml"), "DeliveryStreamName: 'no good'\nHydrant:\n  Durability: maybe\n").unwrap();
    let none = Environment::of([]);
    let valid = run(&["check", &path("good.json")], &none).await;
    assert_eq!((valid.code, valid.results), (0, format!("settings: valid\n{}: valid: good\n", path("good.json"))));
    let faulty = run(&["check", "--streams", dir.path().to_str().unwrap()], &none).await;
    assert_eq!(faulty.code, 1);
    assert!(faulty.results.contains(&format!("{}: DeliveryStreamName: ", path("bad.yaml"))), "{}", faulty.results);
    assert!(faulty.results.contains("Hydrant.Durability"), "{}", faulty.results);
    assert!(faulty.results.contains("twice.json: DeliveryStreamName: good is defined in"), "{}", faulty.results);
    let named = run(&["check", &path("good.json"), &path("twice.json")], &none).await;
    assert_eq!((named.code, named.notes.as_str()), (1, "1 fault found\n"), "{}", named.results);
    let both = run(&["check", "--account", "1", &path("good.json"), &path("bad.yaml"), "--reach"], &none).await;
    assert_eq!(both.code, 1);
    assert!(both.results.starts_with("--account: must be 12 digits\n"), "{}", both.results);
    assert!(both.results.contains("good.json: valid: good\n"), "{}", both.results);
    assert!(both.results.contains("bad.yaml: DeliveryStreamName: "), "{}", both.results);
    assert!(both.notes.starts_with("destinations were not asked"), "{}", both.notes);
    assert!(both.notes.ends_with(&format!("{} faults found\n", both.results.lines().count() - 1)), "{}", both.notes);
}
