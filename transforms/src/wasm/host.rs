//! What we keep for an instance: its allowance of memory, the lines it writes, the chance it sees.

use wasmtime::{Caller, Extern, Linker, Memory, ResourceLimiter};

use super::limits::{Grants, Log};

/// What we keep for one instance.
pub(super) struct Host {
    memory_bytes: usize,
    /// Whether the running call was refused memory.
    pub(super) refused: bool,
    /// The code that it ended itself with.
    pub(super) ended: Option<u32>,
    grants: Grants,
    log: Option<Log>,
    line: Vec<u8>,
    /// Bytes that the running call has written.
    written: usize,
    /// The last line of the running call.
    pub(super) last_line: String,
    /// State of what stands for chance.
    dice: u64,
}

impl Host {
    pub(super) fn new(memory_bytes: usize, grants: Grants, log: Option<Log>) -> Self {
        let (line, last_line) = (Vec::new(), String::new());
        Self { memory_bytes, refused: false, ended: None, grants, log, line, written: 0, last_line, dice: DICE }
    }

    /// Forgets what the call before has left.
    pub(super) fn begin_call(&mut self) {
        self.refused = false;
        self.ended = None;
        self.line.clear();
        self.written = 0;
        self.last_line.clear();
        self.dice = DICE;
    }

    /// Takes text that it writes, and passes whole lines on; after 16 KiB in one call nothing more.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = WRITTEN_BYTES.saturating_sub(self.written);
            let taken = piece.get(..room.min(piece.len())).unwrap_or_default();
            self.written += taken.len();
            self.line.extend_from_slice(taken);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// Passes on what there is of a line.
    pub(super) fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        let text = text.trim_end();
        if !text.is_empty() {
            if let Some(log) = &self.log {
                log(text);
            }
            text.clone_into(&mut self.last_line);
        }
        self.line.clear();
    }

    /// Nanoseconds since the Unix epoch.
    pub(super) fn time(&self) -> u64 {
        self.grants.clock.as_ref().map_or(TIME, |clock| clock())
    }

    /// Fills `bytes` with chance, or with what stands for it.
    pub(super) fn random(&mut self, bytes: &mut [u8]) {
        if let Some(random) = &self.grants.random {
            return random(bytes);
        }
        for chunk in bytes.chunks_mut(8) {
            // splitmix64: small, and the same everywhere.
            self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.dice;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            for (to, from) in chunk.iter_mut().zip(mixed.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= self.memory_bytes;
        self.refused |= !fits;
        Ok(fits)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = desired <= TABLE_ENTRIES;
        self.refused |= !fits;
        Ok(fits)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        16
    }
}

/// Adds what every module may import beside WASI.
///
/// `env.abort` and `env.seed` are what the compiler of `AssemblyScript` asks for.
pub(super) fn offer(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap("hydrant", "log", |mut caller: Caller<'_, Host>, at: u32, length: u32| {
        let (bytes, host) = memory(&mut caller)?;
        if let Some(text) = part(bytes, at, length) {
            host.write(text);
            host.end_line();
        }
        wasmtime::Result::Ok(())
    })?;
    linker.func_wrap("env", "abort", |mut caller: Caller<'_, Host>, why: u32, file: u32, line: u32, column: u32| {
        let (bytes, host) = memory(&mut caller)?;
        let text = format!("{} in {}:{line}:{column}", utf16(bytes, why), utf16(bytes, file));
        host.write(text.as_bytes());
        host.end_line();
        wasmtime::Result::<()>::Err(wasmtime::Error::msg("it called abort"))
    })?;
    linker.func_wrap("env", "seed", |mut caller: Caller<'_, Host>| {
        let mut bytes = [0; 4];
        caller.data_mut().random(&mut bytes);
        f64::from(u32::from_le_bytes(bytes))
    })?;
    Ok(())
}

/// Names that [`offer`] has offered.
pub(super) const OFFERED: &[(&str, &str)] = &[("hydrant", "log"), ("env", "abort"), ("env", "seed")];

/// The memory of the instance that calls, beside what we keep for it.
pub(super) fn memory<'c>(caller: &'c mut Caller<'_, Host>) -> wasmtime::Result<(&'c mut [u8], &'c mut Host)> {
    let memory: Option<Memory> = caller.get_export("memory").and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| wasmtime::Error::msg("it has no memory"))?;
    Ok(memory.data_and_store_mut(caller))
}

/// `length` bytes at `at`, if they are there.
pub(super) fn part(bytes: &[u8], at: u32, length: u32) -> Option<&[u8]> {
    let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
    bytes.get(at..at.checked_add(length)?)
}

/// A string of `AssemblyScript`: UTF-16, its length in bytes in front of it. Empty if it is not there.
fn utf16(bytes: &[u8], at: u32) -> String {
    let length = at.checked_sub(4).and_then(|at| part(bytes, at, 4)?.first_chunk().copied()).map(u32::from_le_bytes);
    let text = length.and_then(|length| part(bytes, at, length.min(1024))).unwrap_or_default();
    let units = text.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units).map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// 2000-01-01T00:00:00Z, nanoseconds. Not 0, which Go's runtime takes for a broken clock.
const TIME: u64 = 946_684_800_000_000_000;
const DICE: u64 = 0x6879_6472_616E_7431;
const WRITTEN_BYTES: usize = 16 << 10;
/// Go's modules have a few thousand functions, each an entry.
const TABLE_ENTRIES: usize = 1 << 20;
