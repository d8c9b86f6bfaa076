//! The volume is full: nothing is acknowledged that is not on it, delivery goes on and frees space, and puts are taken again.
//!
//! A small volume of its own has to be mounted, which takes root. Without it these tests fail and say so;
//! `HYDRANT_SKIP_MOUNTS=1` leaves them out.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Bucket, Client, Hydrant, Setup, Stream, s3, until};
use crate::server::{Fault, Server};

/// A volume of 64 MiB.
struct Volume {
    path: TempDir,
}

impl Volume {
    /// `None` where tests that mount are to be left out.
    fn mount() -> Option<Self> {
        if std::env::var("HYDRANT_SKIP_MOUNTS").is_ok_and(|skip| skip == "1") {
            eprintln!("left out: HYDRANT_SKIP_MOUNTS=1");
            return None;
        }
        let path = tempfile::tempdir().expect("a directory");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(path.path()).output();
        let mounted = mounted.expect("mount can be run");
        assert!(
            mounted.status.success(),
            "a small volume cannot be mounted ({}); run as root, or leave this out with HYDRANT_SKIP_MOUNTS=1",
            String::from_utf8_lossy(&mounted.stderr).trim()
        );
        Some(Self { path })
    }

    fn path(&self) -> &Path {
        self.path.path()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a process that the failed test is about to end may still be on it.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

fn dead_server() -> (Server, Bucket) {
    let (server, bucket) = s3();
    server.judge(Some(Box::new(|_| Some(Fault::error(503, "SlowDown", "down")))));
    (server, bucket)
}

fn setup(volume: &Volume, server: &Server) -> Setup {
    let setup = Setup::new(volume.path()).s3(&server.url);
    setup
        .expects("an object was not delivered")
        .expects("the log's pool cannot be filled")
        .expects("free space on the volume")
}

fn line(number: usize) -> String {
    format!("{number:06} {} {number:06}\n", "x".repeat(60_000))
}

/// Puts until nothing more is taken; gives back what was acknowledged.
async fn fill(client: &Client, from: usize) -> Vec<String> {
    let mut accepted = Vec::new();
    let mut refused = 0;
    // One refusal may be the log finding out; after several there is no room.
    while refused < 5 {
        let line = line(from + accepted.len() + refused);
        let (status, answer) = client.post("/streams/s/records", "text/plain", line.clone()).await;
        match status {
            200 => accepted.push(line),
            503 => refused += 1,
            _ => panic!("{status}: {answer}"),
        }
        assert!(accepted.len() < 2000, "more was taken than fits");
    }
    accepted
}

fn assert_delivered(bucket: &Bucket, accepted: &[String]) {
    let delivered = bucket.lines("s/");
    let mut lines: Vec<_> = delivered.iter().map(|line| format!("{line}\n")).collect();
    lines.sort_unstable();
    let before = lines.len();
    lines.dedup();
    assert_eq!(before, lines.len(), "some were delivered twice");
    let lost: Vec<_> =
        accepted.iter().filter(|line| lines.binary_search(line).is_err()).map(|line| &line[..6]).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

async fn takes_records_again(client: &Client, accepted: &mut Vec<String>) {
    let again = line(900_000);
    let put = async || (client.post("/streams/s/records", "text/plain", again.clone()).await.0 == 200).then_some(());
    until("records are taken again", put).await;
    accepted.push(again.clone());
    client.flush("s").await;
}

#[tokio::test]
async fn a_full_volume_acknowledges_nothing_falsely_and_empties_itself() {
    let Some(volume) = Volume::mount() else { return };
    let (server, bucket) = dead_server();
    let setup = setup(&volume, &server)
        .arg("--free-space-floor", "0")
        .expects("a write to the log failed")
        .expects("the ledger cannot be written");
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.create(&Stream::new("s").interval(0.1).size(1.0)).await;
    let mut accepted = fill(&hydrant.client, 0).await;
    assert!(accepted.len() > 100, "{} records on an empty volume", accepted.len());
    assert_eq!(hydrant.client.get("/health").await.0, 200);
    server.judge(None);
    takes_records_again(&hydrant.client, &mut accepted).await;
    assert_delivered(&bucket, &accepted);
    hydrant.terminate().await;
}

#[tokio::test]
async fn a_process_killed_on_a_full_volume_starts_on_it_and_delivers() {
    let Some(volume) = Volume::mount() else { return };
    let (server, bucket) = dead_server();
    let setup = setup(&volume, &server)
        .arg("--free-space-floor", "0")
        .expects("a write to the log failed")
        .expects("the ledger cannot be written")
        .expects("no segment could be begun behind a torn tail");
    let hydrant = Hydrant::start(&setup).await;
    hydrant.client.create(&Stream::new("s").interval(0.1).size(1.0)).await;
    let mut accepted = fill(&hydrant.client, 0).await;
    hydrant.kill().await;
    // It may say that it is not ready, since it can take nothing.
    let hydrant = Hydrant::spawn(&setup).await;
    until("the stream is there", async || hydrant.client.describe("s").await).await;
    accepted.extend(fill(&hydrant.client, 100_000).await);
    hydrant.kill().await;
    server.judge(None);
    // Once space returned it is ready by itself, without a record that tries.
    let hydrant = Hydrant::start(&setup).await;
    takes_records_again(&hydrant.client, &mut accepted).await;
    assert_delivered(&bucket, &accepted);
    hydrant.terminate().await;
}

#[tokio::test]
async fn below_the_floor_of_free_space_records_are_refused_before_the_volume_is_full() {
    let Some(volume) = Volume::mount() else { return };
    let (server, bucket) = dead_server();
    let setup = setup(&volume, &server).arg("--free-space-floor", "30MiB");
    let hydrant = Hydrant::start(&setup).await;
    let client = &hydrant.client;
    client.create(&Stream::new("s").interval(0.1).size(1.0)).await;
    let mut accepted = Vec::new();
    // The space is looked at from time to time, so a little more is taken.
    until("a refusal", async || {
        let line = line(accepted.len());
        let (status, answer) = client.post("/streams/s/records", "text/plain", line.clone()).await;
        match status {
            200 => accepted.push(line),
            503 => return Some(()),
            _ => panic!("{status}: {answer}"),
        }
        None
    })
    .await;
    let (status, body) = client.get("/ready").await;
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("\"ready\":false") && body.contains("space"), "{body}");
    server.judge(None);
    takes_records_again(client, &mut accepted).await;
    assert_eq!(client.get("/ready").await.0, 200);
    assert_delivered(&bucket, &accepted);
    hydrant.terminate().await;
}
