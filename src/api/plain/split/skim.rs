//! Finds lines that are JSON values at several gigabytes a second, where the processor can.
//!
//! It only ever says yes: a line it does not pass may be JSON all the same (a bare number, an object 63 deep, a blank line), and
//! [`Checker`](super::json::Checker) has the last word. What it passes is an array or an object by every rule of RFC 8259.
//!
//! Bytes are looked at 512 at a time, and never one after the other. [`planes`] turns them into bits, a register for each kind
//! of byte. The grammar then is a question of what may follow what ([`grammar`]): shifted by one, the bits of the commas must
//! fall on beginnings of values. Only brackets and line feeds are walked through singly ([`nesting`]), since nothing else
//! needs a memory; escapes too, where there are any. A bit left over anywhere sends the lines of its block to the checker.
//!
//! Source: for strings as the bits between quotes, and for carries of an addition as ends of runs,
//! <https://arxiv.org/abs/1902.08318>.

#[cfg(target_arch = "x86_64")]
mod grammar;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod nesting;
#[cfg(target_arch = "x86_64")]
mod planes;

/// How far lines were found to be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skimmed {
    /// The start of the first line that was not passed, or the end.
    pub(super) passed: usize,
    /// What kept that line from passing lies before this.
    pub(super) seen: usize,
    /// Whether all the bytes seen are ASCII; if not, nothing is said about what they are instead.
    pub(super) is_ascii: bool,
}

/// What is told about lines that pass.
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "other processors pass no lines"))]
pub(super) struct Told<'a> {
    /// Takes the length of each.
    pub(super) lengths: &'a mut Vec<u32>,
    /// Whether the line feed counts.
    pub(super) newline: bool,
    /// Longer ones do not pass. At most `u32::MAX`.
    pub(super) max_record: usize,
}

/// Passes lines of `body` from `start` on, which is the start of a line, for as long as they are surely JSON. The last line
/// must have its line feed.
pub(super) fn skim(body: &[u8], start: usize, told: Told<'_>) -> Skimmed {
    #[cfg(target_arch = "x86_64")]
    if is_possible() {
        #[expect(unsafe_code, reason = "only so can code for the processor at hand be called")]
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { grammar::skim(body, start, told) };
    }
    let _ = told;
    Skimmed { passed: start, seen: body.len(), is_ascii: false }
}

/// Whether this processor has the instructions: those since Zen 4 and Ice Lake do.
#[cfg(target_arch = "x86_64")]
fn is_possible() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("gfni")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
}

/// Bytes looked at together: eight words of 64 bits stand for them.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 512;

#[cfg(target_arch = "x86_64")]
#[cfg(test)]
mod tests;
