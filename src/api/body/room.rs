//! The memory that the bodies of all requests share.
//!
//! A body that comes at once is booked whole, before most of it is read, so that bodies never wait for each other half read. One
//! that does not is *slow*: it books what has come, and all slow ones together only so much that there is always room beside
//! them for a quick one. So a client that stalls, or many, hold up nobody who does not.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use super::BodyError;
use crate::api::ApiSettings;
use crate::clock::Clock;

/// The memory for bodies.
pub(in crate::api) struct Room {
    all: Lane,
    /// What slow bodies hold, counted in `all` too.
    slow: Lane,
    clock: Clock,
    wait: Duration,
}

/// A share of the memory for bodies, given back when dropped.
pub(in crate::api) struct Booking<'a> {
    room: &'a Room,
    permit: SemaphorePermit<'a>,
    slow: Option<SemaphorePermit<'a>>,
}

struct Lane {
    free: Semaphore,
    /// How many there are.
    grains: u32,
}

impl Room {
    pub(super) fn new(settings: &ApiSettings, clock: Clock) -> Self {
        let all = grains(settings.body_memory).max(1);
        let largest = grains(2 * settings.max_body_bytes.max(settings.max_request_bytes));
        Self {
            all: Lane::new(all),
            slow: Lane::new(all - largest.min(all / 2)),
            clock,
            wait: settings.body_memory_wait,
        }
    }

    /// Books `bytes`, waiting for them a little. More than there are is all of them.
    pub(super) async fn book(&self, bytes: usize) -> Result<Booking<'_>, BodyError> {
        Ok(Booking { room: self, permit: self.permit(self.all.within(bytes)).await?, slow: None })
    }

    async fn permit(&self, grains: u32) -> Result<SemaphorePermit<'_>, BodyError> {
        if let Ok(permit) = self.all.free.try_acquire_many(grains) {
            return Ok(permit);
        }
        tokio::select! {
            biased;
            permit = self.all.free.acquire_many(grains) => Ok(permit.expect("the semaphore is never closed")),
            () = self.clock.sleep(self.wait) => Err(BodyError::NoRoom),
        }
    }
}

impl Booking<'_> {
    /// Books `bytes` in all: gives back what is too much, waits for what is missing.
    pub(in crate::api) async fn resize(&mut self, bytes: usize) -> Result<(), BodyError> {
        if let Some(permit) = &mut self.slow {
            self.room.slow.resize(permit, bytes)?;
        }
        let missing = shrink(&mut self.permit, self.room.all.within(bytes));
        if missing > 0 {
            self.permit.merge(self.room.permit(missing).await?);
        }
        Ok(())
    }

    /// Books `bytes`, at most what is booked, among those of slow bodies.
    ///
    /// # Errors
    /// They have no room: it is not waited for, since who waits holds what others need.
    pub(super) fn slow_down(&mut self, bytes: usize) -> Result<(), BodyError> {
        shrink(&mut self.permit, self.room.all.within(bytes));
        let mut permit = self.room.slow.free.try_acquire_many(0).map_err(|_| BodyError::NoRoom)?;
        self.room.slow.resize(&mut permit, bytes)?;
        self.slow = Some(permit);
        Ok(())
    }

    /// Leaves the slow bodies: it has come to its end.
    pub(super) fn arrived(&mut self) {
        self.slow = None;
    }
}

impl Lane {
    fn new(grains: u32) -> Self {
        Self { free: Semaphore::new(usize::try_from(grains).unwrap_or(Semaphore::MAX_PERMITS)), grains }
    }

    /// What `bytes` are in grains, at most all.
    fn within(&self, bytes: usize) -> u32 {
        grains(bytes).min(self.grains)
    }

    /// Makes `permit` one for `bytes`, if that is possible at once.
    fn resize<'a>(&'a self, permit: &mut SemaphorePermit<'a>, bytes: usize) -> Result<(), BodyError> {
        let missing = shrink(permit, self.within(bytes));
        if missing > 0 {
            permit.merge(self.free.try_acquire_many(missing).map_err(|_| BodyError::NoRoom)?);
        }
        Ok(())
    }
}

/// Gives back what `permit` has beyond `wanted`; returns how much it lacks.
fn shrink(permit: &mut SemaphorePermit<'_>, wanted: u32) -> u32 {
    let booked = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
    if let Some(surplus) = booked.checked_sub(wanted) {
        drop(permit.split(usize::try_from(surplus).unwrap_or_default()));
    }
    wanted.saturating_sub(booked)
}

fn grains(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(GRAIN_BYTES)).unwrap_or(u32::MAX)
}

/// The memory is counted in these, since the semaphore counts in 32 bits.
const GRAIN_BYTES: usize = 1 << 10;
