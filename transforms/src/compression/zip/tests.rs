use std::io::{Cursor, Read};

use ::zip::ZipArchive;

use super::*;
use crate::compression::packed;

const NAME: &str = "5abf82da-0000-4000-8000-000000000001";
const GIB: u64 = 1 << 30;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

#[test]
fn one_entry_with_the_given_name_and_the_records_time() {
    let packed = packed(&CODEC, &Options::new(NAME, 1_535_365_801_000), b"hello");
    let mut archive = ZipArchive::new(Cursor::new(packed)).unwrap();
    assert_eq!(archive.len(), 1);
    let mut entry = archive.by_index(0).unwrap();
    assert_eq!(entry.name().unwrap(), NAME);
    assert_eq!(entry.last_modified().unwrap().to_string(), "2018-08-27 10:30:00");
    assert_eq!(entry.unix_mode(), Some(0o100_644));
    let mut unpacked = String::new();
    entry.read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, "hello");
}

#[test]
fn a_small_archive_needs_nothing_of_zip64() {
    let packed = packed(&CODEC, &Options::new("e", 0), b"hello");
    let descriptor = packed.windows(4).position(|window| window == b"PK\x07\x08").unwrap();
    assert_eq!(u32_at(&packed, descriptor + 8), 7, "packed size");
    assert_eq!(u32_at(&packed, descriptor + 12), 5, "unpacked size");
    assert_eq!(&packed[descriptor + 16..descriptor + 20], b"PK\x01\x02");
    assert!(!packed.windows(4).any(|window| window == b"PK\x06\x06"));
}

#[test]
fn sizes_of_4_gib_move_to_eight_bytes_in_descriptor_and_directory() {
    let entry = Entry { name: "e".to_owned(), time: Time::of(0) };
    for (packed, unpacked) in [(5, 5 * GIB), (5 * GIB, 5 * GIB), (0, u64::from(u32::MAX))] {
        let sizes = Sizes { crc: 1, packed, unpacked };
        let mut out = Vec::new();
        sizes.descriptor(&mut out);
        assert_eq!(out.len(), 24);
        assert_eq!((u64_at(&out, 8), u64_at(&out, 16)), (packed, unpacked));
        let mut out = Vec::new();
        entry.directory(&sizes, &mut out);
        assert_eq!((u32_at(&out, 20), u32_at(&out, 24)), (u32::MAX, u32::MAX));
        assert_eq!(out[47..51], [1, 0, 16, 0]);
        assert_eq!((u64_at(&out, 51), u64_at(&out, 59)), (unpacked, packed));
    }
    let sizes = Sizes { crc: 1, packed: u64::from(u32::MAX) - 1, unpacked: 0 };
    let mut out = Vec::new();
    sizes.descriptor(&mut out);
    assert_eq!(out.len(), 16);
}

#[test]
fn a_directory_past_4_gib_is_found_through_the_zip64_records() {
    let mut out = Vec::new();
    end_of_directory(5 * GIB, 70, &mut out);
    assert_eq!(out.len(), 56 + 20 + 22);
    assert_eq!((u64_at(&out, 40), u64_at(&out, 48)), (70, 5 * GIB));
    assert_eq!(&out[56..60], b"PK\x06\x07");
    assert_eq!(u64_at(&out, 56 + 8), 5 * GIB + 70, "the locator points at the record before it");
    assert_eq!((u32_at(&out, 76 + 12), u32_at(&out, 76 + 16)), (70, u32::MAX));
    let mut out = Vec::new();
    end_of_directory(u64::from(u32::MAX) - 1, 70, &mut out);
    assert_eq!(out.len(), 22);
}

#[test]
fn a_name_that_could_lead_elsewhere_is_refused() {
    for name in ["", "a/b", "..", ".hidden", "a\\b", "c:", "a\0", "ä", &"x".repeat(256)] {
        let error = open(&Options::new(name, 0)).err().unwrap();
        assert!(error.to_string().starts_with("entry_name must be 1 to 255 ASCII letters"), "{error}");
    }
    assert!(open(&Options::new("x".repeat(255), 0)).is_ok());
}

#[test]
fn a_time_outside_dos_is_the_nearest_one() {
    let early = Time::of(0);
    assert_eq!((early.dos_date, early.dos_clock, early.seconds), (1 << 5 | 1, 0, Some(0)));
    let late = Time::of(u64::MAX);
    assert_eq!(late.dos_date, (127 << 9) + (12 << 5) + 31);
    assert_eq!(late.dos_clock, (23 << 11) + (59 << 5) + 29);
    assert_eq!(late.seconds, None);
    let packed = packed(&CODEC, &Options::new("e", u64::MAX), b"hello");
    assert!(ZipArchive::new(Cursor::new(packed)).is_ok(), "without the extended timestamp the lengths still agree");
}
