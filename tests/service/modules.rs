//! Modules that are replaced while their streams run, and what stands beside them.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use hydrant::clock::splitmix;

use crate::guests::{ECHO, judging};
use crate::harness::{Hydrant, Setup, until};
use crate::hostile::{create, replace, stream};
use crate::processing::Bench;

/// Gives a record back with another first byte.
fn marking(mark: u8) -> Vec<u8> {
    judging(&format!("(i32.store8 (local.get $data) (i32.const {mark})) {ECHO}"))
}

#[tokio::test]
async fn a_replaced_module_takes_over_between_records_and_one_that_is_no_good_does_not() {
    let bench = Bench::started(|setup| setup.expects("the old one stays in use")).await;
    create(&bench, "s", &marking(b'1'), "0.2").await;
    let client = &bench.hydrant.client;
    let settings = bench.data.path().join("modules/s.yaml");
    let mut expected = Vec::new();
    let whole = marking(b'2');
    for (round, (module, mark)) in [
        (marking(b'1'), '1'),
        (whole[..whole.len() / 2].to_vec(), '1'),
        (whole.clone(), '2'),
        (b"no module".to_vec(), '2'),
        (marking(b'3'), '3'),
    ]
    .into_iter()
    .enumerate()
    {
        replace(&bench, "s", &module);
        client.put_lines("s", &format!("_{round}\n")).await;
        client.flush("s").await;
        expected.push(format!("{mark}{round}"));
        let mut lines = bench.bucket.lines("s/");
        lines.sort_by_key(|line| line.chars().nth(1));
        assert_eq!(lines, expected);
    }
    // What stands beside it is no good: the module stays as it was.
    std::fs::write(&settings, "Memory: 1\n").expect("written");
    client.put_lines("s", "_5\n").await;
    client.flush("s").await;
    std::fs::write(&settings, "MemorySize: 100\n").expect("written");
    client.put_lines("s", "_6\n").await;
    client.flush("s").await;
    let mut lines = bench.bucket.lines("s/");
    lines.sort_by_key(|line| line.chars().nth(1));
    assert_eq!(lines[5..], ["35", "36"]);
    let failed = client.metric("hydrant_error_output_records_total", &["stream=\"s\""]).await;
    assert_eq!(failed, 0);
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn under_load_a_replaced_module_takes_over_at_a_place_of_the_log() {
    let bench = Bench::new().await;
    replace(&bench, "s", &marking(b'1'));
    let client = &bench.hydrant.client;
    client.create(&stream("s", "0.2").interval(0.05)).await;
    let mut put = 0;
    for mark in ['1', '2', '3', '4'] {
        // Of what was put before some waits, and some is under way.
        replace(&bench, "s", &marking(u8::try_from(mark).expect("ASCII")));
        until("something of the new module", async || {
            let lines: Vec<String> = (put..put + 1000).map(|number| format!("_{number:06}\n")).collect();
            client.put_lines("s", &lines.concat()).await;
            put += 1000;
            bench.bucket.lines("s/").iter().any(|line| line.starts_with(mark)).then_some(())
        })
        .await;
    }
    client.flush("s").await;
    let mut lines = bench.bucket.lines("s/");
    lines.sort_by(|one, other| one[1..].cmp(&other[1..]));
    let numbers: Vec<usize> = lines.iter().map(|line| line[1..].parse().expect("a number")).collect();
    assert_eq!(numbers, (0..put).collect::<Vec<_>>(), "each once");
    let marks: Vec<_> = lines.iter().map(|line| &line[..1]).collect();
    assert!(marks.is_sorted(), "one took over from the other, in the order of the log");
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn killed_while_modules_are_replaced_each_record_is_of_one_of_them_in_the_order_of_the_log() {
    let bench = Bench::new().await;
    replace(&bench, "s", &marking(b'A'));
    bench.hydrant.client.create(&stream("s", "0.2").interval(0.05)).await;
    bench.hydrant.client.put_lines("s", "_000000\n").await;
    bench.hydrant.client.flush("s").await;
    let file = bench.data.path().join("modules/s.wasm");
    let Bench { bucket, hydrant, data } = bench;
    hydrant.terminate().await;
    let setup = Setup::new(data.path()).expects("the old one stays in use");
    let (mut next, mut acknowledged) = (1, vec![0]);
    let mut chance = RandomState::new().hash_one(0);
    println!("chance {chance}");
    for mark in b'A'..=b'P' {
        let hydrant = Hydrant::start(&setup).await;
        let deadline = Instant::now() + Duration::from_millis(50 + splitmix(&mut chance) % 250);
        let mut steps = 0;
        while Instant::now() < deadline {
            let numbers = next..next + 200;
            next = numbers.end;
            let lines: Vec<String> = numbers.clone().map(|number| format!("_{number:06}\n")).collect();
            hydrant.client.put_lines("s", &lines.concat()).await;
            acknowledged.extend(numbers);
            // Taken away, then half of the next one, then all of it, each for a moment; it may be killed at any of them.
            let whole = marking(mark);
            match steps {
                1 => std::fs::remove_file(&file).expect("removed"),
                2 => std::fs::write(&file, &whole[..whole.len() / 2]).expect("written"),
                4 => std::fs::write(&file, &whole).expect("written"),
                _ => {}
            }
            steps += 1;
            tokio::time::sleep(Duration::from_millis(splitmix(&mut chance) % 30)).await;
        }
        hydrant.kill().await;
        // Left away or cut short for one start; then the next one is there.
        let hydrant = Hydrant::start(&setup).await;
        hydrant.client.put_lines("s", &format!("_{next:06}\n")).await;
        hydrant.client.flush("s").await;
        acknowledged.push(next);
        next += 1;
        hydrant.kill().await;
        std::fs::write(&file, marking(mark)).expect("written");
    }
    let mut lines = bucket.lines("s/");
    lines.sort_by(|one, other| one[1..].cmp(&other[1..]));
    let numbers: Vec<usize> = lines.iter().map(|line| line[1..].parse().expect("a number")).collect();
    assert_eq!(numbers, acknowledged, "each once");
    let marks: Vec<_> = lines.iter().map(|line| &line[..1]).collect();
    assert!(marks.is_sorted(), "one took over from the other, in the order of the log");
    let different: BTreeSet<_> = marks.into_iter().collect();
    assert!(different.len() > 8, "they took over: {different:?}");
}

#[tokio::test]
async fn a_module_that_is_moved_away_is_not_taken_for_a_function_behind_the_endpoint() {
    // Nobody listens there.
    let endpoint =
        |setup: Setup| setup.arg("--lambda-endpoint", "http://127.0.0.1:9").expects("the old one stays in use");
    let bench = Bench::started(endpoint).await;
    create(&bench, "s", &marking(b'1'), "0.2").await;
    let client = &bench.hydrant.client;
    client.put_lines("s", "_0\n").await;
    client.flush("s").await;
    std::fs::remove_file(bench.data.path().join("modules/s.wasm")).expect("removed");
    client.put_lines("s", "_1\n").await;
    client.flush("s").await;
    replace(&bench, "s", &marking(b'2'));
    client.put_lines("s", "_2\n").await;
    client.flush("s").await;
    let mut lines = bench.bucket.lines("s/");
    lines.sort_by_key(|line| line.chars().nth(1));
    assert_eq!(lines, ["10", "11", "22"]);
    bench.hydrant.terminate().await;
}

#[tokio::test]
async fn a_stream_whose_modules_settings_are_no_good_is_refused_with_their_fault() {
    let bench = Bench::new().await;
    std::fs::create_dir_all(bench.data.path().join("modules")).expect("a directory");
    std::fs::write(bench.data.path().join("modules/s.yaml"), "Timeout: 1000\n").expect("written");
    replace(&bench, "s", &judging(ECHO));
    let request = stream("s", "0.2").request();
    let refused = bench.hydrant.client.call("CreateDeliveryStream", &request).await.expect_err("refused");
    let told = format!("{refused:?}");
    assert!(told.contains("s.yaml: Timeout: 1000 must be a whole number of seconds from 1 to 900"), "{told}");
    bench.hydrant.terminate().await;
}
