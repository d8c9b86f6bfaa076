//! The only door to time and chance.
//!
//! Everything that waits, stamps or draws takes a [`Clock`]; the lints forbid every other way. The system clock runs on
//! Tokio's timer, so a test on a paused runtime skips its waits; a simulated clock also derives wall time and chance from its
//! seed, so that a run can be repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::time::Instant;

/// Time and chance; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Arc<Source>,
}

#[derive(Debug)]
enum Source {
    System,
    Simulated { started: Instant, wall_ms: AtomicU64, chance: Mutex<u64> },
}

impl Clock {
    /// The machine's clocks and random numbers.
    pub fn system() -> Self {
        Self { source: Arc::new(Source::System) }
    }

    /// Wall time that starts at a fixed instant and follows the runtime's timer, and numbers drawn from `seed`.
    pub fn simulated(seed: u64) -> Self {
        Self {
            source: Arc::new(Source::Simulated {
                started: monotonic(),
                wall_ms: AtomicU64::new(SIMULATED_START_MS),
                chance: Mutex::new(seed),
            }),
        }
    }

    /// Monotonic time.
    pub fn now(&self) -> Instant {
        monotonic()
    }

    /// Milliseconds since the Unix epoch, by the wall clock. It may jump; ages are measured with [`Clock::now`].
    pub fn wall_ms(&self) -> u64 {
        match &*self.source {
            Source::System => wall(),
            Source::Simulated { started, wall_ms, .. } => {
                wall_ms.load(Ordering::Relaxed) + u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
            }
        }
    }

    /// Sets the wall clock of a simulation forth, or back where `by_ms` is negative.
    #[cfg(test)]
    pub(crate) fn set_wall(&self, by_ms: i64) {
        if let Source::Simulated { wall_ms, .. } = &*self.source {
            let _ = wall_ms.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| now.checked_add_signed(by_ms));
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        wait_until(self.now() + duration).await;
    }

    /// Waits until `deadline`.
    pub async fn sleep_until(&self, deadline: Instant) {
        wait_until(deadline).await;
    }

    /// 128 random bits.
    pub fn bits(&self) -> [u8; 16] {
        let (high, low) = (self.draw(), self.draw());
        ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
    }

    /// A number in `[0, 1)`.
    pub fn fraction(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit the mantissa")]
        let fraction = (self.draw() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    }

    fn draw(&self) -> u64 {
        match &*self.source {
            Source::System => getrandom::u64().expect("the operating system gives random numbers"),
            Source::Simulated { chance, .. } => splitmix(&mut chance.lock()),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the door itself")]
fn monotonic() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the door itself")]
fn wall() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "the door itself")]
async fn wait_until(deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
}

/// `SplitMix64` (Steele, Lea, Flood 2014): one multiplication-xor step a number, good enough for jitter and fault plans.
pub fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// 2026-07-13T14:05:09Z, the instant of the reference's example key.
const SIMULATED_START_MS: u64 = 1_783_951_509_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_clock_repeats_itself() {
        let draw = || {
            let clock = Clock::simulated(7);
            (clock.bits(), clock.bits(), clock.wall_ms())
        };
        assert_eq!(draw(), draw());
        let clock = Clock::simulated(7);
        let before = clock.wall_ms();
        clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(clock.wall_ms() - before, 60_000);
        assert!((0.0..1.0).contains(&clock.fraction()));
    }
}
