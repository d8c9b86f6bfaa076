use std::io::Read;

use flate2::read::GzDecoder;

use super::*;
use crate::compression::packed;

fn options(members: GzipMembers) -> Options {
    Options { gzip_members: members, ..Options::new("e", 1_535_365_800_999) }
}

/// How many members `packed` has; each must verify.
fn members(mut packed: &[u8]) -> Vec<usize> {
    let mut sizes = Vec::new();
    while !packed.is_empty() {
        let mut unpacked = Vec::new();
        let mut reader = flate2::bufread::GzDecoder::new(packed);
        reader.read_to_end(&mut unpacked).unwrap();
        packed = reader.into_inner();
        sizes.push(unpacked.len());
    }
    sizes
}

#[test]
fn the_header_carries_the_records_time_and_nothing_of_the_machine() {
    for each in [GzipMembers::One, GzipMembers::Many] {
        let packed = packed(&CODEC, &options(each), b"x");
        let reader = GzDecoder::new(&packed[..]);
        let header = reader.header().unwrap();
        assert_eq!(header.mtime(), 1_535_365_800, "{each:?}");
        assert_eq!(header.operating_system(), 255, "{each:?}");
        assert_eq!(header.filename(), None, "{each:?}");
    }
}

#[test]
fn a_time_that_four_bytes_cannot_hold_is_no_time() {
    assert_eq!(header(3, u64::from(u32::MAX) * 1000 + 999)[4..8], [255; 4]);
    assert_eq!(header(3, (u64::from(u32::MAX) + 1) * 1000)[4..8], [0; 4]);
}

#[test]
fn isize_is_modulo_2_to_the_32() {
    assert_eq!(trailer(0x0403_0201, (7 << 32) + 0x0807_0605), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn one_member_by_default_and_a_member_for_every_mib_where_wished() {
    let input = vec![b'a'; 2 * MEMBER_BYTES + 5];
    assert_eq!(members(&packed(&CODEC, &options(GzipMembers::One), &input)), [input.len()]);
    assert_eq!(members(&packed(&CODEC, &options(GzipMembers::Many), &input)), [MEMBER_BYTES, MEMBER_BYTES, 5]);
}

#[test]
fn no_input_is_one_empty_member_and_a_full_last_member_has_none_after_it() {
    for each in [GzipMembers::One, GzipMembers::Many] {
        assert_eq!(members(&packed(&CODEC, &options(each), b"")), [0], "{each:?}");
    }
    assert_eq!(members(&packed(&CODEC, &options(GzipMembers::Many), &vec![0; MEMBER_BYTES])), [MEMBER_BYTES]);
}

#[test]
fn a_level_outside_1_to_9_is_refused_by_name() {
    for level in [0, 10, u32::MAX] {
        for each in [GzipMembers::One, GzipMembers::Many] {
            let error = open(&Options { gzip_level: level, ..options(each) }).err().unwrap();
            assert_eq!(error.to_string(), format!("gzip_level must be a level from 1 to 9, not \"{level}\""));
        }
    }
}

#[test]
fn a_members_room_is_what_libdeflate_asks_for() {
    for level in 1..=9 {
        let mut engine = Compressor::new(CompressionLvl::new(level).unwrap());
        assert!(engine.deflate_compress_bound(MEMBER_BYTES) <= member_room(), "level {level}");
    }
}
