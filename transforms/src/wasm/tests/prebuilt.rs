//! The example module that is kept in the repository, as it was built.

use hydrant_model::KeySource;
use sha2::{Digest, Sha256};

use super::*;

const CLICKS: &[u8] = include_bytes!("../../../guest/prebuilt/clicks.wasm");
const SOURCES: &str = include_str!("../../../guest/prebuilt/clicks.sources");

#[test]
fn it_is_as_old_as_its_sources() {
    let guest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    let files: Vec<_> = SOURCES.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(files.len() >= 8, "{files:?}");
    for line in files {
        let (hash, file) = line.split_once("  ").unwrap();
        let bytes = std::fs::read(guest.join(file)).unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(bytes)),
            hash,
            "{file} has changed: run transforms/guest/build.sh --keep"
        );
    }
    assert!(CLICKS.len() < 100_000, "{} bytes are too many to keep", CLICKS.len());
    let composed = std::fs::read(guest.join("../../docker/modules/clicks.wasm")).unwrap();
    assert!(composed == CLICKS, "docker/modules/clicks.wasm is another: run transforms/guest/build.sh --keep");
}

#[test]
fn it_filters_and_enriches_clicks() {
    let click = |page: &str, country: &str| {
        format!("{{\"number\":1,\"page\":\"{page}\",\"country\":\"{country}\",\"device\":{{\"kind\":\"phone\"}}}}\n")
            .into_bytes()
    };
    let arrived = arrived(&[click("/products/17", "DE"), click("/cart/3", ""), b"no click".to_vec(), click("", "JP")]);
    let bench = Bench::new(CLICKS);
    let mut fates = Fates::default();
    let wanted = wanted(&["country", "section"]);
    assert_eq!(wanted[0].source, KeySource::Lambda);
    let after = bench.transform.apply(Records::of(&arrived, wanted), &arrived, &mut fates);
    let made: Vec<_> = after.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(made.len(), 2);
    assert!(made[0].ends_with("\"device\":{\"kind\":\"phone\"},\"section\":\"products\"}\n"), "{}", made[0]);
    assert_eq!(after.keys(0).collect::<Vec<_>>(), [Some("DE"), Some("products")]);
    assert_eq!(after.keys(1).collect::<Vec<_>>(), [Some("JP"), Some("home")]);
    assert_eq!(fates.dropped, 1);
    let failure = fates.failures.first().unwrap();
    assert_eq!(failure.code, "Lambda.ProcessingFailedStatus");
    assert_eq!(failure.message, "ProcessingFailed status set for record: not a JSON object");
    assert_eq!(bench.started(), 1);
}
