//! What every line of the room's tables must keep. A new codec needs a reader in `unpack`, a new processor a configuration in
//! `processors`, and nothing else here.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test's helper fails by panicking, as the test does"
)]

#[path = "../benches/clicks.rs"]
mod clicks;
#[path = "conformance/functions.rs"]
mod functions;
#[expect(dead_code, reason = "the tests of modules use the rest")]
#[path = "../src/wasm/tests/guests.rs"]
mod guests;
#[path = "conformance/held.rs"]
mod held;
#[path = "conformance/processors.rs"]
mod processors;
#[path = "conformance/unpack.rs"]
mod unpack;

use std::iter;

use hydrant_model::Compression;
use hydrant_transforms::compression::{Codec, GzipMembers, Options};
use hydrant_transforms::{CODECS, codec};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::unpack::unpack;

#[test]
fn every_compression_of_the_api_has_one_codec() {
    assert_eq!(CODECS.len(), Compression::ALL.len());
    for compression in Compression::ALL {
        assert_eq!(CODECS.iter().filter(|codec| codec.compression == compression).count(), 1, "{compression:?}");
        assert_eq!(codec(compression).compression, compression);
    }
}

#[test]
fn an_object_of_no_records_is_a_valid_container() {
    for (codec, options) in every_way() {
        assert_eq!(unpacked(codec, &pack(codec, &options, [])), b"", "{codec:?} {options:?}");
        let empty_slices = pack(codec, &options, [&b""[..], b""]);
        assert_eq!(empty_slices, pack(codec, &options, []), "{codec:?} {options:?}");
    }
}

#[test]
fn records_survive_and_neither_slices_nor_the_callers_buffer_change_the_bytes() {
    let input = awkward(1024 * 1024 + 500_017);
    for (codec, options) in every_way() {
        let whole = pack(codec, &options, [&input[..]]);
        assert!(unpacked(codec, &whole) == input, "{codec:?} {options:?}");
        for slice in [1000, 32 * 1024, 65_537, 1024 * 1024] {
            let packed = pack(codec, &options, input.chunks(slice));
            assert!(packed == whole, "slices of {slice} change the bytes of {codec:?} {options:?}");
        }
        let mut drained = Vec::new();
        let mut encoder = (codec.open)(&options).unwrap();
        for slice in input.chunks(64 * 1024) {
            let mut out = Vec::with_capacity(1);
            encoder.write(slice, &mut out).unwrap();
            drained.append(&mut out);
        }
        let mut out = Vec::new();
        encoder.finish(&mut out).unwrap();
        drained.append(&mut out);
        assert!(drained == whole, "a fresh buffer for every slice changes the bytes of {codec:?} {options:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn records_survive_any_cut(
        seed in any::<u64>(),
        length in 0_usize..400_000,
        mut cuts in vec(any::<Index>(), 0..12),
        noise in vec(any::<u8>(), 0..3000),
        way in any::<Index>(),
    ) {
        let mut input = clicks::clicks(seed, length);
        input.extend_from_slice(&noise);
        let (codec, options) = way.get(&every_way()).clone();
        cuts.sort_by_key(|cut| cut.index(input.len() + 1));
        let mut slices = Vec::new();
        let mut from = 0;
        for cut in &cuts {
            let to = cut.index(input.len() + 1);
            slices.push(&input[from..to]);
            from = to;
        }
        slices.push(&input[from..]);
        let packed = pack(codec, &options, slices);
        prop_assert!(packed == pack(codec, &options, [&input[..]]));
        prop_assert!(unpacked(codec, &packed) == input);
        prop_assert!(packed.len() as u64 <= (codec.most_bytes)(input.len() as u64));
    }
}

#[test]
fn data_that_resists_stays_within_most_bytes() {
    let input = random(5 * 1024 * 1024 + 1);
    for (codec, options) in every_way() {
        for length in [0, 1, 100, 32 * 1024 + 1, 1024 * 1024, input.len()] {
            let packed = pack(codec, &options, [&input[..length]]);
            let most = (codec.most_bytes)(length as u64);
            assert!(packed.len() as u64 <= most, "{} > {most}: {length} bytes, {codec:?} {options:?}", packed.len());
        }
    }
}

#[test]
fn an_encoder_appends_and_keeps_what_is_there() {
    let input = clicks::clicks(1, 2 * 1024 * 1024);
    for (codec, options) in every_way() {
        let mut out = b"before".to_vec();
        let mut encoder = (codec.open)(&options).unwrap();
        encoder.write(&input, &mut out).unwrap();
        encoder.finish(&mut out).unwrap();
        assert!(out.starts_with(b"before") && out[6..] == pack(codec, &options, [&input[..]]), "{codec:?}");
    }
}

#[test]
fn an_encoder_holds_no_more_than_it_says() {
    let click_stream = clicks::clicks(1, 3 * 1024 * 1024);
    let noise = random(3 * 1024 * 1024);
    for (codec, options) in every_way() {
        for input in [&click_stream, &noise] {
            let mut out = Vec::with_capacity(2 * input.len());
            let held = held::most(|| {
                let mut encoder = (codec.open)(&options).unwrap();
                for slice in input.chunks(100_000) {
                    encoder.write(slice, &mut out).unwrap();
                }
                encoder.finish(&mut out).unwrap();
            });
            let said = (codec.memory_bytes)(&options);
            assert!(held <= said, "{held} > {said}: {codec:?} {options:?}");
        }
    }
}

#[test]
fn objects_past_4_gib_work_in_every_container() {
    // Zeros: the counters and fields are what is on trial here, and they pack and unpack in seconds.
    const TIMES: usize = 4 * 1024 + 1;
    let zeros = vec![0; 1024 * 1024];
    let mut crc = crc32fast::Hasher::new();
    for _ in 0..TIMES {
        crc.update(&zeros);
    }
    let expected = ((TIMES as u64) << 20, crc.finalize());
    // Only one member: independent ones count no further than a MiB. Uncompressed objects count nothing.
    let options = Options { gzip_level: 1, ..options() };
    std::thread::scope(|threads| {
        for codec in CODECS.iter().filter(|codec| codec.compression != Compression::Uncompressed) {
            let (zeros, options) = (&zeros, &options);
            threads.spawn(move || {
                let packed = pack(codec, options, iter::repeat_n(&zeros[..], TIMES));
                let mut length = 0;
                let mut crc = crc32fast::Hasher::new();
                unpack(codec.compression, &packed, &mut |piece| {
                    length += piece.len() as u64;
                    crc.update(piece);
                });
                assert_eq!((length, crc.finalize()), expected, "{codec:?}");
            });
        }
    });
}

/// Every codec with every choice of options that changes how it packs.
fn every_way() -> Vec<(&'static Codec, Options)> {
    CODECS.iter().flat_map(|codec| ways(codec).into_iter().map(move |options| (codec, options))).collect()
}

fn ways(codec: &Codec) -> Vec<Options> {
    let options = options();
    if codec.compression != Compression::Gzip {
        return vec![options];
    }
    let levels = |gzip_members| {
        let options = options.clone();
        (1..=9).map(move |gzip_level| Options { gzip_level, gzip_members, ..options.clone() })
    };
    levels(GzipMembers::One).chain(levels(GzipMembers::Many)).collect()
}

fn options() -> Options {
    Options::new("5abf82da-0000-4000-8000-000000000001", 1_785_000_000_000)
}

fn pack<'a>(codec: &Codec, options: &Options, slices: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = (codec.open)(options).unwrap();
    for slice in slices {
        encoder.write(slice, &mut out).unwrap();
    }
    encoder.finish(&mut out).unwrap();
    out
}

fn unpacked(codec: &Codec, packed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    unpack(codec.compression, packed, &mut |piece| out.extend_from_slice(piece));
    out
}

/// Clicks, then noise, then one byte over and over: what packs well, not at all, and without end.
fn awkward(bytes: usize) -> Vec<u8> {
    let mut input = clicks::clicks(7, bytes / 3);
    input.extend(random(bytes / 3));
    input.resize(bytes, b'\n');
    input
}

fn random(bytes: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(bytes);
    out
}
