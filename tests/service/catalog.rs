//! Which streams there are: names, stream files, folders that cannot be read, and what `check` says of them.

use std::path::Path;

use crate::harness::{Hydrant, Setup, Stream, checked};
use crate::server::Server;

/// A data directory and a folder of stream files, delivering into the embedded directory.
struct Bench {
    data: tempfile::TempDir,
    files: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a directory"), files: tempfile::tempdir().expect("a directory") }
    }

    /// Without the folder of stream files.
    fn bare(&self) -> Setup {
        Setup::new(self.data.path())
    }

    fn setup(&self) -> Setup {
        self.bare().arg("--streams", &self.files.path().display().to_string())
    }

    fn write(&self, file: &str, stream: &Stream) {
        std::fs::write(self.files.path().join(file), stream.file()).expect("written");
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).expect("a directory");
    let mut names: Vec<_> = entries.map(|it| it.expect("an entry").file_name().display().to_string()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn asking_whether_a_destination_can_be_reached_changes_nothing() {
    let bench = Bench::new();
    bench.write("s.json", &Stream::new("s"));
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(bench.data.path()), Vec::<String>::new(), "a data directory that nobody used");
    // Beside a service that is at work.
    let hydrant = Hydrant::start(&bench.setup()).await;
    let half_written = bench.data.path().join("objects/.incoming/half-written");
    std::fs::write(&half_written, "half").expect("written");
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(std::fs::read(&half_written).expect("still there"), b"half");
    hydrant.terminate().await;
    // What is in the way is told.
    std::fs::write(bench.data.path().join("objects/bucket"), "a file").expect("written");
    let (code, said) = checked(&bench.setup(), &["--reach"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("s.json: ExtendedS3DestinationConfiguration: File.NotADirectory: "), "{said}");
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_named_and_is_no_fault_where_it_will_be_made() {
    let bench = Bench::new();
    let server = Server::start();
    bench.write("s.json", &Stream::new("s"));
    let setup = bench.setup().s3(&server.url);
    let (code, said) = checked(&setup, &["--reach"]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&format!("s3://bucket at {}", server.url)), "{said}");
    let (code, said) = checked(&setup, &["--reach", "--create-buckets"]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(server.root.path()), Vec::<String>::new(), "it is not made by asking");
}
