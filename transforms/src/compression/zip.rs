//! ZIP: an archive with one deflated entry.
//!
//! | Bytes | Record | |
//! |---|---|---|
//! | 30 + name + 9 | local header | CRC and sizes zero, flag 3: they follow the data |
//! | | data | a deflate stream |
//! | 16 or 24 | data descriptor | CRC and sizes; sizes of 8 bytes where one of them needs more than 4 |
//! | 46 + name + 9 (+ 20) | central directory | with a ZIP64 field where a size needs more than 4 bytes |
//! | (56 + 20) | ZIP64 end of directory, locator | where the directory begins past 4 GiB |
//! | 22 | end of directory | |
//!
//! The container is written here and not by the `zip` crate, because an object is streamed and its size is not known when it
//! begins. The crate's streaming writer (9.4) asks for the choice at the start: without `large_file` it fails at 4 GiB; with it
//! the descriptor of a small entry has sizes of 8 bytes too, at which the `ZipInputStream` of Java 17 stops with "invalid entry
//! size". Deciding by the sizes seen, without a ZIP64 field in the local header, is what the writers of Java and Go do, and
//! what readers that go by the directory (Info-ZIP, Python) need not know. The level is GZIP's default.
//!
//! Source: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>, extended timestamp: Info-ZIP's `extrafld.txt`

use hydrant_model::Compression;
use jiff::Timestamp;
use jiff::tz::Offset;

use crate::compression::deflate::{self, Deflate};
use crate::compression::{Codec, DEFAULT_GZIP_LEVEL, Encoder, Error, Options};

/// ZIP.
pub const CODEC: Codec = Codec {
    compression: Compression::Zip,
    memory_bytes: |_| deflate::MEMORY_BYTES + FRAME_BYTES,
    most_bytes: |input| deflate::most_bytes(input).saturating_add(FRAME_BYTES as u64),
    open,
};

fn open(options: &Options) -> Result<Box<dyn Encoder>, Error> {
    let entry = Entry { name: checked_name(&options.entry_name)?, time: Time::of(options.time_ms) };
    let mut header = Vec::new();
    entry.local_header(&mut header);
    let data_from = header.len() as u64;
    Ok(Box::new(Zip { entry, data_from, deflate: Deflate::behind(header, DEFAULT_GZIP_LEVEL) }))
}

/// The name, if it can mean nothing but a plain file wherever the archive is unpacked.
fn checked_name(name: &str) -> Result<String, Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') {
        return Ok(name.to_owned());
    }
    Err(Error::Option {
        field: "entry_name",
        rule: "1 to 255 ASCII letters, digits, '-', '_' and '.', not beginning with '.'",
        value: name.to_owned(),
    })
}

struct Zip {
    entry: Entry,
    data_from: u64,
    deflate: Deflate,
}

impl Encoder for Zip {
    fn write(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.deflate.write(input, out)
    }

    fn finish(mut self: Box<Self>, out: &mut Vec<u8>) -> Result<(), Error> {
        self.deflate.finish(out)?;
        let sizes =
            Sizes { crc: self.deflate.crc(), packed: self.deflate.bytes_out(), unpacked: self.deflate.bytes_in() };
        sizes.descriptor(out);
        let descriptor_bytes = if sizes.need_zip64() { 24 } else { 16 };
        let directory_from = self.data_from + sizes.packed + descriptor_bytes;
        let before = out.len();
        self.entry.directory(&sizes, out);
        end_of_directory(directory_from, (out.len() - before) as u64, out);
        Ok(())
    }
}

/// What is known of the entry when the archive begins.
struct Entry {
    name: String,
    time: Time,
}

impl Entry {
    fn local_header(&self, out: &mut Vec<u8>) {
        put(out, &[&u32le(0x0403_4B50), &u16le(VERSION_DEFLATE)]);
        self.common(&Sizes { crc: 0, packed: 0, unpacked: 0 }, self.time.field_bytes(), out);
        put(out, &[self.name.as_bytes()]);
        self.time.field(out);
    }

    fn directory(&self, sizes: &Sizes, out: &mut Vec<u8>) {
        let (version, zip64_bytes) = if sizes.need_zip64() { (VERSION_ZIP64, 20) } else { (VERSION_DEFLATE, 0) };
        put(out, &[&u32le(0x0201_4B50), &u16le(MADE_BY_UNIX | VERSION_ZIP64), &u16le(version)]);
        self.common(sizes, self.time.field_bytes() + zip64_bytes, out);
        // No comment, disk 0, not text, a plain file, the local header at the very beginning.
        put(out, &[&[0; 6], &u32le(PLAIN_FILE), &u32le(0), self.name.as_bytes()]);
        if sizes.need_zip64() {
            put(out, &[&u16le(1), &u16le(16), &sizes.unpacked.to_le_bytes(), &sizes.packed.to_le_bytes()]);
        }
        self.time.field(out);
    }

    /// The fields that both headers have, from the flags to the length of the extra field.
    fn common(&self, sizes: &Sizes, extra_bytes: u16, out: &mut Vec<u8>) {
        let short = |size: u64| u32le(if sizes.need_zip64() { u32::MAX } else { low(size) });
        let name_bytes = u16::try_from(self.name.len()).expect("a checked name has at most 255 bytes");
        put(out, &[&u16le(SIZES_FOLLOW), &u16le(DEFLATED), &u16le(self.time.dos_clock), &u16le(self.time.dos_date)]);
        put(out, &[&u32le(sizes.crc), &short(sizes.packed), &short(sizes.unpacked)]);
        put(out, &[&u16le(name_bytes), &u16le(extra_bytes)]);
    }
}

/// What is known of the entry when its data has ended.
struct Sizes {
    crc: u32,
    packed: u64,
    unpacked: u64,
}

impl Sizes {
    /// All ones in a field of 4 bytes means "see the ZIP64 field", so that value needs it too.
    fn need_zip64(&self) -> bool {
        self.packed.max(self.unpacked) >= u64::from(u32::MAX)
    }

    fn descriptor(&self, out: &mut Vec<u8>) {
        put(out, &[&u32le(0x0807_4B50), &u32le(self.crc)]);
        if self.need_zip64() {
            put(out, &[&self.packed.to_le_bytes(), &self.unpacked.to_le_bytes()]);
        } else {
            put(out, &[&u32le(low(self.packed)), &u32le(low(self.unpacked))]);
        }
    }
}

/// Closes the archive whose directory of `bytes` bytes begins at `from`.
fn end_of_directory(from: u64, bytes: u64, out: &mut Vec<u8>) {
    let far = from >= u64::from(u32::MAX);
    if far {
        put(out, &[&u32le(0x0606_4B50), &44_u64.to_le_bytes()]);
        put(out, &[&u16le(MADE_BY_UNIX | VERSION_ZIP64), &u16le(VERSION_ZIP64), &[0; 8]]);
        put(out, &[&1_u64.to_le_bytes(), &1_u64.to_le_bytes(), &bytes.to_le_bytes(), &from.to_le_bytes()]);
        put(out, &[&u32le(0x0706_4B50), &u32le(0), &(from + bytes).to_le_bytes(), &u32le(1)]);
    }
    put(out, &[&u32le(0x0605_4B50), &[0; 4], &u16le(1), &u16le(1)]);
    put(out, &[&u32le(low(bytes)), &u32le(if far { u32::MAX } else { low(from) }), &[0; 2]]);
}

/// The entry's time: in UTC to two seconds, as DOS kept it, for readers that know no better; exact to the second beside it.
struct Time {
    dos_clock: u16,
    dos_date: u16,
    /// Info-ZIP's extended timestamp, which ends in 2038.
    seconds: Option<i32>,
}

impl Time {
    fn of(time_ms: u64) -> Self {
        let dos_ms = i64::try_from(time_ms).unwrap_or(i64::MAX).clamp(FIRST_DOS_MS, LAST_DOS_MS);
        let timestamp = Timestamp::from_millisecond(dos_ms).expect("1980 to 2107 is within a timestamp's range");
        let civil = Offset::UTC.to_datetime(timestamp);
        let field = |value: i8| u16::try_from(value).expect("parts of a time of day or date are not negative");
        let year = u16::try_from(civil.year() - 1980).expect("clamped to 1980 and later");
        Self {
            dos_clock: field(civil.hour()) << 11 | field(civil.minute()) << 5 | field(civil.second()) >> 1,
            dos_date: year << 9 | field(civil.month()) << 5 | field(civil.day()),
            seconds: i32::try_from(time_ms / 1000).ok(),
        }
    }

    fn field_bytes(&self) -> u16 {
        if self.seconds.is_some() { 9 } else { 0 }
    }

    fn field(&self, out: &mut Vec<u8>) {
        if let Some(seconds) = self.seconds {
            put(out, &[b"UT", &u16le(5), &[1], &seconds.to_le_bytes()]);
        }
    }
}

fn put(out: &mut Vec<u8>, fields: &[&[u8]]) {
    for field in fields {
        out.extend_from_slice(field);
    }
}

fn u16le(value: u16) -> [u8; 2] {
    value.to_le_bytes()
}

fn u32le(value: u32) -> [u8; 4] {
    value.to_le_bytes()
}

/// A size that the caller has found to fit four bytes.
fn low(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

/// Everything around the data, with the longest name twice.
const FRAME_BYTES: usize = 1024;

const MAX_NAME_BYTES: usize = 255;

const VERSION_DEFLATE: u16 = 20;
const VERSION_ZIP64: u16 = 45;
const MADE_BY_UNIX: u16 = 3 << 8;

/// `-rw-r--r--`, in the half of the attributes that is Unix's.
const PLAIN_FILE: u32 = 0o100_644 << 16;

const SIZES_FOLLOW: u16 = 1 << 3;
const DEFLATED: u16 = 8;

/// 1980-01-01T00:00:00Z and 2107-12-31T23:59:58Z.
const FIRST_DOS_MS: i64 = 315_532_800_000;
const LAST_DOS_MS: i64 = 4_354_819_198_000;

#[cfg(test)]
mod tests;
