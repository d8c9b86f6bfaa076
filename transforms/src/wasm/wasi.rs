//! As much of WASI preview 1 as runtimes of languages need to start: no arguments, no variables, no files, no sockets.
//!
//! What a module writes to standard output and error goes to its log. Waiting for time is over at once. Everything else is
//! answered with an error number, which the runtimes take as a fact of life. Numbers and layouts:
//! <https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md>.

use wasmtime::{Caller, ExternType, FuncType, Linker, Val, ValType};

use super::host::{Host, memory, part};

pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// Whether WASI has a function of this name.
pub(super) fn has(name: &str) -> bool {
    WORKING.contains(&name) || refusal(name).is_some()
}

/// Adds the functions that do something.
pub(super) fn offer(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "args_sizes_get", no_list)?;
    linker.func_wrap(MODULE, "environ_sizes_get", no_list)?;
    linker.func_wrap(MODULE, "args_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "environ_get", |_: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "clock_res_get", |mut caller: Caller<'_, Host>, _: u32, at: u32| {
        Ok::<_, wasmtime::Error>(put(memory(&mut caller)?.0, at, &1_u64.to_le_bytes()))
    })?;
    linker.func_wrap(MODULE, "clock_time_get", |mut caller: Caller<'_, Host>, _: u32, _: u64, at: u32| {
        let (bytes, host) = memory(&mut caller)?;
        Ok::<_, wasmtime::Error>(put(bytes, at, &host.time().to_le_bytes()))
    })?;
    linker.func_wrap(MODULE, "random_get", |mut caller: Caller<'_, Host>, at: u32, length: u32| {
        let (bytes, host) = memory(&mut caller)?;
        let Some(place) = place(bytes, at, length) else { return Ok(FAULT) };
        host.random(place);
        Ok::<_, wasmtime::Error>(SUCCESS)
    })?;
    linker.func_wrap(MODULE, "sched_yield", || SUCCESS)?;
    linker.func_wrap(MODULE, "proc_exit", |mut caller: Caller<'_, Host>, code: u32| {
        caller.data_mut().ended = Some(code);
        wasmtime::Result::<()>::Err(wasmtime::Error::msg("it ended itself"))
    })?;
    linker.func_wrap(MODULE, "fd_close", |fd: u32| if fd <= STDERR { SUCCESS } else { BADF })?;
    linker.func_wrap(MODULE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(MODULE, "fd_read", fd_read)?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "poll_oneoff", poll_oneoff)?;
    Ok(())
}

/// Adds a function that only ever refuses, as `import` of the module wants it.
pub(super) fn refuse(linker: &mut Linker<Host>, name: &str, import: &ExternType) -> wasmtime::Result<()> {
    let (Some(errno), ExternType::Func(kind)) = (refusal(name), import) else { return Ok(()) };
    let mut results = kind.results();
    let (Some(ValType::I32), None) = (results.next(), results.next()) else { return Ok(()) };
    let kind = FuncType::new(linker.engine(), kind.params(), [ValType::I32]);
    linker.func_new(MODULE, name, kind, move |_, _, results| {
        if let Some(result) = results.first_mut() {
            *result = Val::I32(errno);
        }
        Ok(())
    })?;
    Ok(())
}

/// The error number of a function that only ever refuses.
fn refusal(name: &str) -> Option<i32> {
    match name {
        "fd_prestat_get" | "fd_prestat_dir_name" | "fd_readdir" => Some(BADF),
        "fd_seek" | "fd_tell" => Some(SPIPE),
        "fd_fdstat_set_flags" => Some(SUCCESS),
        "fd_advise"
        | "fd_allocate"
        | "fd_datasync"
        | "fd_fdstat_set_rights"
        | "fd_filestat_get"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times"
        | "fd_pread"
        | "fd_pwrite"
        | "fd_renumber"
        | "fd_sync"
        | "proc_raise" => Some(NOTSUP),
        "path_create_directory"
        | "path_filestat_get"
        | "path_filestat_set_times"
        | "path_link"
        | "path_open"
        | "path_readlink"
        | "path_remove_directory"
        | "path_rename"
        | "path_symlink"
        | "path_unlink_file"
        | "sock_accept"
        | "sock_recv"
        | "sock_send"
        | "sock_shutdown" => Some(NOTCAPABLE),
        _ => None,
    }
}

/// No arguments, no variables: none, of no bytes.
fn no_list(mut caller: Caller<'_, Host>, count_at: u32, bytes_at: u32) -> wasmtime::Result<i32> {
    let (bytes, _) = memory(&mut caller)?;
    Ok(put(bytes, count_at, &[0; 4]).max(put(bytes, bytes_at, &[0; 4])))
}

/// The three standard streams are terminals without rights.
fn fd_fdstat_get(mut caller: Caller<'_, Host>, fd: u32, at: u32) -> wasmtime::Result<i32> {
    if fd > STDERR {
        return Ok(BADF);
    }
    let mut stat = [0; 24];
    stat[0] = CHARACTER_DEVICE;
    Ok(put(memory(&mut caller)?.0, at, &stat))
}

/// Standard input is at its end.
fn fd_read(mut caller: Caller<'_, Host>, fd: u32, _: u32, _: u32, read_at: u32) -> wasmtime::Result<i32> {
    if fd != 0 {
        return Ok(BADF);
    }
    Ok(put(memory(&mut caller)?.0, read_at, &[0; 4]))
}

fn fd_write(mut caller: Caller<'_, Host>, fd: u32, list: u32, count: u32, written_at: u32) -> wasmtime::Result<i32> {
    if fd == 0 || fd > STDERR {
        return Ok(BADF);
    }
    let (bytes, host) = memory(&mut caller)?;
    let Some(list) = count.checked_mul(8).and_then(|length| part(bytes, list, length)) else { return Ok(FAULT) };
    let mut written = 0_u32;
    for [a0, a1, a2, a3, l0, l1, l2, l3] in list.as_chunks::<8>().0.iter().copied() {
        let (at, length) = (u32::from_le_bytes([a0, a1, a2, a3]), u32::from_le_bytes([l0, l1, l2, l3]));
        let Some(text) = part(bytes, at, length) else { return Ok(FAULT) };
        host.write(text);
        written = written.saturating_add(length);
    }
    Ok(put(bytes, written_at, &written.to_le_bytes()))
}

/// Every clock that is waited for has rung; nothing else can be waited for.
fn poll_oneoff(
    mut caller: Caller<'_, Host>,
    list: u32,
    events: u32,
    count: u32,
    rung_at: u32,
) -> wasmtime::Result<i32> {
    let (bytes, _) = memory(&mut caller)?;
    if count == 0 {
        return Ok(INVAL);
    }
    for at in 0..count {
        let from = at.checked_mul(SUBSCRIPTION).and_then(|skipped| list.checked_add(skipped));
        let Some(subscription) = from.and_then(|from| part(bytes, from, SUBSCRIPTION)) else { return Ok(FAULT) };
        let (Some(user), Some(kind)) = (subscription.first_chunk::<8>().copied(), subscription.get(8).copied()) else {
            return Ok(FAULT);
        };
        let errno = if kind == CLOCK { SUCCESS } else { NOTSUP };
        let mut event = [0; 32];
        let said = user.into_iter().chain([u8::try_from(errno).unwrap_or_default(), 0, kind]);
        event.iter_mut().zip(said).for_each(|(to, from)| *to = from);
        let to = at.checked_mul(EVENT).and_then(|skipped| events.checked_add(skipped));
        if to.is_none_or(|to| put(bytes, to, &event) != SUCCESS) {
            return Ok(FAULT);
        }
    }
    Ok(put(bytes, rung_at, &count.to_le_bytes()))
}

fn put(bytes: &mut [u8], at: u32, value: &[u8]) -> i32 {
    match u32::try_from(value.len()).ok().and_then(|length| place(bytes, at, length)) {
        Some(place) => {
            place.copy_from_slice(value);
            SUCCESS
        }
        None => FAULT,
    }
}

fn place(bytes: &mut [u8], at: u32, length: u32) -> Option<&mut [u8]> {
    let (at, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
    bytes.get_mut(at..at.checked_add(length)?)
}

/// The functions that [`offer`] offers.
const WORKING: &[&str] = &[
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_close",
    "fd_fdstat_get",
    "fd_read",
    "fd_write",
    "poll_oneoff",
    "proc_exit",
    "random_get",
    "sched_yield",
];

const STDERR: u32 = 2;
const CHARACTER_DEVICE: u8 = 2;
const CLOCK: u8 = 0;
const SUBSCRIPTION: u32 = 48;
const EVENT: u32 = 32;

const SUCCESS: i32 = 0;
const BADF: i32 = 8;
const FAULT: i32 = 21;
const INVAL: i32 = 28;
const NOTSUP: i32 = 58;
const SPIPE: i32 = 70;
const NOTCAPABLE: i32 = 76;
