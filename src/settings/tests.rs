use std::fs;

use super::*;

fn load(flags: &[(&'static str, &str)], environment: &Environment) -> Result<Settings, Vec<String>> {
    let flags = Flags(flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect());
    Settings::load(&flags, environment).map_err(|faults| faults.0.iter().map(ToString::to_string).collect())
}

fn with_flags(flags: &[(&'static str, &str)]) -> Result<Settings, Vec<String>> {
    load(flags, &Environment::of([]))
}

/// The settings with one file `name` of `content`, or the faults with the folder's name taken out.
fn with_file(name: &str, content: &str) -> Result<Settings, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    let prefix = format!("{}/", dir.path().display());
    with_flags(&[("config", path.to_str().unwrap())])
        .map_err(|faults| faults.into_iter().map(|fault| fault.replace(&prefix, "")).collect())
}

#[test]
fn the_defaults_are_what_the_interface_promises() {
    let settings = with_flags(&[]).unwrap();
    assert_eq!(
        settings,
        Settings {
            listen: "127.0.0.1:4573".parse().unwrap(),
            insecure: false,
            max_record_bytes: 1_024_000,
            max_body_bytes: 16 << 20,
            body_memory: 64 << 20,
            max_connections: 4096,
            data: "hydrant-data".into(),
            disk_budget: 10 << 30,
            free_space_floor: 1 << 30,
            streams: None,
            modules: "hydrant-data/modules".into(),
            lambda_endpoint: None,
            schemas: "hydrant-data/schemas".into(),
            glue_endpoint: None,
            region: "us-east-1".into(),
            account: "000000000000".into(),
            strict: false,
            s3: S3Choice::Dir,
            create_buckets: false,
            ca_bundle: None,
            delivery_memory: 96 << 20,
            log_format: LogFormat::Text,
            log_filter: None,
            shutdown_timeout: Duration::from_secs(30),
            s3_timeout: None,
            crash_at: None,
        }
    );
    assert_eq!(Settings::embedded(Path::new("hydrant-data")), settings);
    assert_eq!(Settings::embedded(Path::new("x")).schemas, Path::new("x/schemas"));
}

#[test]
fn every_knob_is_read_from_a_flag_before_a_variable_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hydrant.toml");
    fs::write(&file, "region = \"from-file\"\naccount = \"111111111111\"\ndisk_budget = \"5GiB\"\nstrict = true")
        .unwrap();
    let environment = Environment::of([
        ("HYDRANT_CONFIG", file.to_str().unwrap()),
        ("HYDRANT_REGION", "from-variable"),
        ("HYDRANT_ACCOUNT", "222222222222"),
        ("HYDRANT_STRICT", ""),
    ]);
    let settings = load(&[("region", "from-flag")], &environment).unwrap();
    assert_eq!(settings.region, "from-flag");
    assert_eq!(settings.account, "222222222222");
    assert_eq!(settings.disk_budget, 5 << 30);
    assert!(settings.strict, "an empty variable counts as not set");
    assert!(!load(&[("strict", "false")], &environment).unwrap().strict);
}

#[test]
fn every_knob_can_stand_in_a_file_and_in_a_variable() {
    for knob in KNOBS.iter().filter(|knob| knob.key != "config") {
        let fault = format!("{}: ", knob.key);
        let file = with_file("hydrant.yaml", &format!("{}: []", knob.key)).unwrap_err();
        assert_eq!(file, [format!("hydrant.yaml: {fault}must have one plain value")]);
        // A value that is read and refused proves that the variable is asked for; paths take anything.
        if !matches!(knob.value, Some("DIR")) {
            let variable: &'static str = knob.variable().leak();
            let faults = load(&[], &Environment::of([(variable, "?! nonsense")])).unwrap_err();
            assert!(faults[0].starts_with(&format!("{variable}: ")), "{faults:?}");
        }
    }
}

#[test]
fn toml_and_yaml_files_say_the_same() {
    let toml = "listen = \"127.0.0.1:0\"\nfree_space_floor = 0\ncreate_buckets = true\ndata = \"/d\"";
    let yaml = "listen: 127.0.0.1:0\nfree_space_floor: 0\ncreate_buckets: true\ndata: /d\n";
    let read = with_file("hydrant.toml", toml).unwrap();
    assert_eq!(read, with_file("hydrant.yml", yaml).unwrap());
    assert_eq!((read.listen.port(), read.free_space_floor, read.create_buckets), (0, 0, true));
    assert_eq!(read.modules, Path::new("/d/modules"));
    assert_eq!(with_file("hydrant.yaml", "# nothing yet\n").unwrap(), with_flags(&[]).unwrap());
}

#[test]
fn a_settings_file_that_is_none_is_refused_with_its_name() {
    let faults = |name, content| with_file(name, content).unwrap_err();
    assert_eq!(
        faults("hydrant.yaml", "free-space-floor: 1"),
        ["hydrant.yaml: free-space-floor: is not a setting; it is spelt free_space_floor"]
    );
    let unknown = faults("hydrant.toml", "colour = 1\nlisten = [1]\ndelivery_memory = 1.5");
    assert!(
        unknown.iter().any(|f| f.starts_with("hydrant.toml: colour: is not a setting; there are listen, insecure,"))
    );
    assert!(unknown.contains(&"hydrant.toml: listen: must have one plain value".to_owned()), "{unknown:?}");
    assert!(unknown.contains(&"hydrant.toml: delivery_memory: must have one plain value".to_owned()));
    assert_eq!(unknown.len(), 3);
    assert!(faults("hydrant.toml", "config = \"x.toml\"")[0].starts_with("hydrant.toml: config: is not a setting"));
    assert_eq!(faults("hydrant.ini", ""), ["hydrant.ini: must end in .toml, .yaml or .yml"]);
    assert_eq!(faults("hydrant.yaml", "- a"), ["hydrant.yaml: must be a mapping of settings"]);
    assert!(faults("hydrant.toml", "a = ")[0].starts_with("hydrant.toml: is not TOML: "));
    assert!(faults("hydrant.yaml", "region: a\nregion: b")[0].starts_with("hydrant.yaml: is not YAML: "));
    assert!(
        with_flags(&[("config", "/nowhere/h.toml")]).unwrap_err()[0].starts_with("/nowhere/h.toml: cannot be read: ")
    );
}

#[test]
fn every_fault_is_reported_at_once_with_its_place_and_rule() {
    let flags = [
        ("listen", "4573"),
        ("insecure", "perhaps"),
        ("max_record_bytes", "11MiB"),
        ("max_body_bytes", "1"),
        ("body_memory", "1MiB"),
        ("data", ""),
        ("disk_budget", "0"),
        ("free_space_floor", "1G"),
        ("region", "US East"),
        ("account", "1234"),
        ("s3_endpoint", "minio:9000"),
        ("delivery_memory", "99999999999999999999"),
        ("log_format", "xml"),
        ("shutdown_timeout", "1m"),
    ];
    let environment = Environment::of([("RUST_LOG", "hydrant=loud"), ("HYDRANT_STRICT", "yes")]);
    let size = "must be a size: a whole number of bytes, or one with a unit such as 64MiB or 10GiB";
    let mut faults = load(&flags, &environment).unwrap_err();
    let log =
        faults.iter().position(|fault| fault.starts_with("RUST_LOG: is no log filter")).expect("a fault of RUST_LOG");
    faults.remove(log);
    assert_eq!(
        faults,
        [
            "--listen: must be an address and a port, such as 127.0.0.1:4573 or [::1]:4573".to_owned(),
            "--data: must name a path".into(),
            "--insecure: must be true or false".into(),
            "--max-record-bytes: must be 1 to 10MiB".into(),
            "--max-body-bytes: must be 64KiB to 1GiB".into(),
            "--body-memory: must be at least 8MiB".into(),
            "--disk-budget: must be at least 1MiB".into(),
            format!("--free-space-floor: {size}"),
            "--region: must be 1 to 64 lower-case letters, digits and hyphens, such as us-east-1".into(),
            "--account: must be 12 digits".into(),
            "HYDRANT_STRICT: must be true or false".into(),
            "--s3-endpoint: must be a URL such as http://minio:9000, or aws, or dir".into(),
            format!("--delivery-memory: {size}"),
            "--log-format: must be text or json".into(),
            "--shutdown-timeout: must be a whole number of seconds, 0 to 86400".into(),
        ]
    );
}

#[test]
fn the_leading_zeros_of_an_account_survive_a_file() {
    let account = |name, content| with_file(name, content).map(|settings| settings.account);
    assert_eq!(account("hydrant.yaml", "account: 000000000012").unwrap(), "000000000012");
    assert_eq!(account("hydrant.yaml", "account: 123456789012").unwrap(), "123456789012");
    assert_eq!(account("hydrant.toml", "account = 123456789012").unwrap(), "123456789012");
    // TOML has no such number; refused, never read as 12.
    assert!(account("hydrant.toml", "account = 000000000012").unwrap_err()[0].starts_with("hydrant.toml: is not TOML"));
}

#[test]
fn settings_that_contradict_each_other_stop_the_start() {
    assert_eq!(
        with_flags(&[("max_record_bytes", "2MiB"), ("max_body_bytes", "1MiB")]).unwrap_err(),
        ["--max-record-bytes: 2097152 bytes never fit a body of --max-body-bytes (1048576)"]
    );
    let environment = Environment::of([("HYDRANT_MAX_BODY_BYTES", "65MiB")]);
    assert_eq!(
        load(&[], &environment).unwrap_err(),
        ["HYDRANT_MAX_BODY_BYTES: 68157440 bytes never fit into --body-memory (67108864)"]
    );
    assert_eq!(
        with_flags(&[("strict", "true"), ("max_record_bytes", "1024001")]).unwrap_err(),
        ["--max-record-bytes: 1024001 bytes are more than AWS takes (1024000), and --strict is set"]
    );
    assert!(with_flags(&[("strict", "true")]).is_ok());
    let own_state = "--streams: is where hydrant keeps its own state (--data); choose another folder";
    assert_eq!(with_flags(&[("streams", "hydrant-data/streams")]).unwrap_err(), [own_state]);
    assert_eq!(with_flags(&[("streams", "x"), ("data", "x")]).unwrap_err(), [own_state]);
}

#[test]
fn a_fault_hides_no_other() {
    let file = "region = \"Mars\"\ncolour = 1\nlisten = \"0.0.0.0:1\"\ndisk_budget = []\nstreams = \"hydrant-data\"";
    let mut faults = with_file("hydrant.toml", file).unwrap_err();
    faults.sort();
    let starts = ["colour: is not", "disk_budget: must", "listen: 0.0.0.0:1 can", "region: must", "streams: is where"];
    assert_eq!(faults.len(), starts.len(), "{faults:#?}");
    for (fault, start) in faults.iter().zip(starts) {
        assert!(fault.starts_with(&format!("hydrant.toml: {start}")), "{fault}");
    }
}

#[test]
fn what_has_a_fault_contradicts_nothing() {
    for (key, value, other, text) in [
        ("max_body_bytes", "much", "body_memory", "8MiB"),
        ("insecure", "perhaps", "listen", "0.0.0.0:1"),
        ("listen", "nowhere", "s3_endpoint", "http://127.0.0.1:4573"),
        ("config", "/nowhere/h.toml", "listen", "0.0.0.0:1"),
    ] {
        let faults = with_flags(&[(key, value), (other, text)]).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        let given = Flags([(key, value.to_owned()), (other, text.to_owned())].into());
        assert_eq!(Settings::inspect(&given, &Environment::of([])).1.len(), 1);
    }
}

#[test]
fn an_address_that_others_reach_is_refused_without_insecure() {
    for listen in ["0.0.0.0:4573", "[::]:4573", "192.168.1.5:80"] {
        let faults = with_flags(&[("listen", listen)]).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with(&format!("--listen: {listen} can be reached from other machines")), "{faults:?}");
        assert!(faults[0].contains("--insecure (HYDRANT_INSECURE=true)"));
        assert!(with_flags(&[("listen", listen), ("insecure", "true")]).is_ok());
    }
    for listen in ["127.0.0.1:0", "[::1]:4573", "localhost:4573", "127.9.9.9:1"] {
        assert!(with_flags(&[("listen", listen)]).is_ok(), "{listen}");
    }
}

#[test]
fn the_s3_endpoint_comes_from_settings_then_from_the_variables_of_aws() {
    let variables = Environment::of([("AWS_ENDPOINT_URL_S3", "http://s3:9000/"), ("AWS_ENDPOINT_URL", "http://other")]);
    let choice = |flags: &[_], environment: &Environment| load(flags, environment).unwrap().s3;
    let endpoint = |url: &str| S3Choice::Endpoint(url.to_owned());
    assert_eq!(choice(&[], &variables), endpoint("http://s3:9000"));
    assert_eq!(choice(&[("s3_endpoint", "aws")], &variables), S3Choice::Aws);
    assert_eq!(choice(&[("s3_endpoint", "dir")], &variables), S3Choice::Dir);
    assert_eq!(choice(&[("s3_endpoint", "https://h/base/")], &variables), endpoint("https://h/base"));
    assert_eq!(choice(&[], &Environment::of([("AWS_ENDPOINT_URL", "http://m:9000")])), endpoint("http://m:9000"));
    let credentials =
        Environment::of([("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "r")]);
    assert_eq!(choice(&[], &credentials), S3Choice::Dir, "credentials alone never select AWS");
}

#[test]
fn hydrants_own_address_is_never_taken_for_s3() {
    let own = [
        ("127.0.0.1:4573", "http://localhost:4573"),
        ("127.0.0.1:4573", "http://127.0.0.1:4573/"),
        ("127.0.0.1:4573", "http://0.0.0.0:4573"),
        ("[::1]:4573", "http://localhost:4573"),
        ("0.0.0.0:4573", "http://127.0.0.1:4573"),
        ("0.0.0.0:4573", "http://[::1]:4573"),
        ("0.0.0.0:4573", "http://box:4573"),
        ("0.0.0.0:80", "http://localhost"),
        ("10.0.0.1:4573", "http://10.0.0.1:4573"),
    ];
    let others = [
        ("127.0.0.1:4573", "http://localhost:9000"),
        ("127.0.0.1:0", "http://localhost:9000"),
        ("10.0.0.1:4573", "http://127.0.0.1:4573"),
        ("0.0.0.0:4573", "http://elsewhere:4573"),
        ("127.0.0.1:4573", "http://10.0.0.1:4573"),
    ];
    let load_with = |listen, flags: &[_], name, url: &str| {
        let all: Vec<_> = [("listen", listen), ("insecure", "true")].iter().chain(flags).copied().collect();
        load(&all, &Environment::of([(name, url), ("HOSTNAME", "box")])).map(|settings| settings.s3)
    };
    for (listen, url) in own {
        assert_eq!(load_with(listen, &[], "AWS_ENDPOINT_URL", url), Ok(S3Choice::Dir), "{listen} {url}");
        let rule = "is hydrant's own address; name the S3 server, or dir";
        let variable = load_with(listen, &[], "AWS_ENDPOINT_URL_S3", url);
        assert_eq!(variable, Err(vec![format!("AWS_ENDPOINT_URL_S3: {rule}")]), "{listen} {url}");
        let flag = load_with(listen, &[("s3_endpoint", url)], "X", "x");
        assert_eq!(flag, Err(vec![format!("--s3-endpoint: {rule}")]), "{listen} {url}");
    }
    for (listen, url) in others {
        assert_eq!(
            load_with(listen, &[], "AWS_ENDPOINT_URL", url),
            Ok(S3Choice::Endpoint(url.into())),
            "{listen} {url}"
        );
    }
}

#[test]
fn an_endpoint_must_be_a_plain_http_url() {
    let rule = |url| with_flags(&[("s3_endpoint", url)]).unwrap_err().remove(0);
    assert_eq!(rule("s3://bucket"), "--s3-endpoint: must be a URL such as http://minio:9000, or aws, or dir");
    let variable = load(&[], &Environment::of([("AWS_ENDPOINT_URL_S3", "garbage")])).unwrap_err();
    let rule_of_variable = "must be a URL such as http://minio:9000; --s3-endpoint (a URL, aws or dir) wins over it";
    assert_eq!(variable, [format!("AWS_ENDPOINT_URL_S3: {rule_of_variable}")]);
    assert!(rule("http://key:secret@minio").contains("must hold no credentials"));
    assert!(rule("http://minio/?x").contains("without ? and #"));
}

#[test]
fn sizes_are_whole_bytes_or_carry_a_unit() {
    let read = [
        ("0", 0),
        ("1000000", 1_000_000),
        ("7B", 7),
        ("1kB", 1000),
        ("1kib", 1024),
        ("64MiB", 64 << 20),
        ("64 MiB", 64 << 20),
        ("2GB", 2_000_000_000),
        ("10GiB", 10 << 30),
        ("1TiB", 1 << 40),
        ("18446744073709551615", u64::MAX),
    ];
    for (text, bytes) in read {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for text in ["", "GiB", "-1", "1.5GiB", "1G", "10 gigabytes", "18446744073709551616", " 1", "1_000", "0x10"] {
        assert!(size(text).is_err(), "{text}");
    }
    assert_eq!(size("18446744073709551615KiB"), Err("must be less than 16EiB".into()));
    assert_eq!(
        ["1MiB", "1GiB", "1000000", "0"].map(|text| value::show_size(size(text).unwrap())),
        ["1MiB", "1GiB", "1000000", "0"]
    );
}

#[test]
fn client_commands_find_the_server() {
    let environment = Environment::of([("HYDRANT_ENDPOINT", "http://h:1")]);
    assert_eq!(client_endpoint(Some("http://f:2"), &environment).unwrap(), "http://f:2");
    assert_eq!(client_endpoint(None, &environment).unwrap(), "http://h:1");
    assert_eq!(client_endpoint(None, &Environment::of([])).unwrap(), "http://127.0.0.1:4573");
}
