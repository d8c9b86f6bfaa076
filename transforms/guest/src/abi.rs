//! The functions that [`transform!`](crate::transform) exports; nothing that a module calls itself.
//!
//! The bytes are described in hydrant's `docs/modules.md`.

use std::cell::RefCell;
use std::fmt::Display;

use crate::Record;
use crate::answer::{Answer, Answers, Reply};

thread_local! {
    /// Where the host writes. Grows to the largest request and stays there.
    static REQUEST: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Where the host reads.
    static ANSWERS: RefCell<Answers> = RefCell::new(Answers::default());
}

/// Makes room for `bytes` bytes. There is one such place: what the host wrote before is gone.
pub fn alloc(bytes: u32) -> *mut u8 {
    REQUEST.with_borrow_mut(|request| {
        let bytes = index(bytes);
        if request.len() < bytes {
            // Not by doubling: memory that a module has taken is never given back.
            request.clear();
            if request.try_reserve_exact(bytes).is_err() {
                return std::ptr::null_mut();
            }
            request.resize(bytes, 0);
        }
        // Never null, which means that there is no room.
        request.as_mut_ptr()
    })
}

/// Gives `init` the settings, `bytes` bytes that the host wrote. 0 if it takes them.
pub fn init<E: Display>(bytes: u32, init: impl FnOnce(&[u8]) -> Result<(), E>) -> u32 {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
    let result = REQUEST.with_borrow(|settings| init(settings.get(..index(bytes)).unwrap_or_default()));
    match result {
        Ok(()) => 0,
        Err(error) => {
            log(&error.to_string());
            1
        }
    }
}

/// Answers the request of `bytes` bytes that the host wrote: where the answer is, and how long.
pub fn transform<R: Reply>(bytes: u32, transform: impl FnMut(Record<'_>, Answer<'_>) -> R) -> u64 {
    REQUEST.with_borrow(|request| {
        ANSWERS.with_borrow_mut(|answers| {
            answer(&request[..index(bytes)], answers, transform);
            let at = answers.bytes.as_ptr().addr() as u64;
            at << 32 | answers.bytes.len() as u64
        })
    })
}

/// Answers `request`.
///
/// # Panics
/// If it is not a request as hydrant makes them.
pub(crate) fn answer<R: Reply>(
    request: &[u8],
    answers: &mut Answers,
    mut transform: impl FnMut(Record<'_>, Answer<'_>) -> R,
) {
    let mut rest = request;
    let [version, records] = [u32(&mut rest), u32(&mut rest)];
    assert_eq!(version, 1, "the version of the request");
    answers.start(records);
    for _ in 0..records {
        let [id, length] = [u32(&mut rest), u32(&mut rest)];
        let [low, high] = [u32(&mut rest), u32(&mut rest)];
        let arrival_ms = u64::from(high) << 32 | u64::from(low);
        let (data, behind) = rest.split_at(index(length));
        rest = behind;
        answers.about(id, |answer| transform(Record { arrival_ms, data }, answer));
    }
}

/// Writes a line to the service's log.
pub(crate) fn log(text: &str) {
    #[cfg(target_family = "wasm")]
    {
        #[link(wasm_import_module = "hydrant")]
        unsafe extern "C" {
            #[link_name = "log"]
            fn host_log(at: *const u8, bytes: usize);
        }
        // SAFETY: the host reads these bytes and nothing else, before it returns.
        unsafe { host_log(text.as_ptr(), text.len()) }
    }
    #[cfg(not(target_family = "wasm"))]
    eprintln!("{text}");
}

fn u32(rest: &mut &[u8]) -> u32 {
    let (bytes, behind) = rest.split_first_chunk::<4>().expect("the request has its records");
    *rest = behind;
    u32::from_le_bytes(*bytes)
}

fn index(bytes: u32) -> usize {
    usize::try_from(bytes).expect("an address has 32 bits at least")
}
