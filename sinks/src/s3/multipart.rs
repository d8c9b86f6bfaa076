//! A body in parts: the previous ones are on their way while the next is made.

use std::pin::pin;

use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use futures_util::future::{BoxFuture, Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use hydrant_model::{Outcome, Receipt};

use super::classify::{Effect, Failure};
use super::parts::{Parts, WINDOW};
use super::requests::Object;
use crate::broken_off;

/// An open multipart upload.
pub(super) struct Upload<'a> {
    object: Object<'a>,
    id: &'a str,
    in_flight: FuturesUnordered<BoxFuture<'a, Result<CompletedPart, Failure>>>,
    done: Vec<CompletedPart>,
    sent_bytes: u64,
    next_number: i32,
}

impl<'a> Upload<'a> {
    pub(super) fn new(object: Object<'a>, id: &'a str) -> Self {
        Self { object, id, in_flight: FuturesUnordered::new(), done: Vec::new(), sent_bytes: 0, next_number: 1 }
    }

    /// Sends what is in hand and what the body still has, then completes.
    ///
    /// When it fails, nothing of this upload is on its way any more, as far as that is known: S3 does not promise that aborting
    /// an upload catches parts that arrive meanwhile.
    pub(super) async fn run(mut self, in_hand: Vec<Bytes>, parts: Parts<'_>) -> Result<Receipt, Outcome> {
        if let Err(outcome) = self.send(in_hand, parts).await {
            while self.in_flight.next().await.is_some() {}
            return Err(outcome);
        }
        self.done.sort_by_key(CompletedPart::part_number);
        self.object.complete(self.id, self.done).await.map_err(|failure| failure.outcome(Effect::Visible))?;
        Ok(Receipt { bytes: self.sent_bytes })
    }

    async fn send(&mut self, in_hand: Vec<Bytes>, mut parts: Parts<'_>) -> Result<(), Outcome> {
        for part in in_hand {
            self.start(part);
        }
        let hidden = |failure: Failure| failure.outcome(Effect::Hidden);
        while let Some(part) = self.while_sending(parts.next()).await.map_err(hidden)?.map_err(|e| broken_off(&e))? {
            // One is waited for *before* the part is joined, which for a moment takes its size twice.
            while self.in_flight.len() >= WINDOW {
                self.one_done().await.map_err(hidden)?;
            }
            self.start(part.join());
        }
        while !self.in_flight.is_empty() {
            self.one_done().await.map_err(hidden)?;
        }
        Ok(())
    }

    fn start(&mut self, part: Bytes) {
        let (object, id, number) = (self.object, self.id, self.next_number);
        self.next_number += 1;
        self.sent_bytes += u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.in_flight.push(Box::pin(async move { object.upload_part(id, number, part).await }));
    }

    /// Drives the parts that are on their way until `work` is done, or one of them fails.
    async fn while_sending<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        let mut work = pin!(work);
        loop {
            if self.in_flight.is_empty() {
                return Ok(work.await);
            }
            match select(work.as_mut(), self.in_flight.next()).await {
                Either::Left((result, _)) => return Ok(result),
                Either::Right((sent, _)) => self.done.extend(sent.transpose()?),
            }
        }
    }

    async fn one_done(&mut self) -> Result<(), Failure> {
        let sent = self.in_flight.next().await.transpose()?;
        self.done.extend(sent);
        Ok(())
    }
}
