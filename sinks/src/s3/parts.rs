//! A body cut into parts of one size.

use bytes::{Bytes, BytesMut};
use hydrant_model::{Body, BodyError};

/// The least that S3 takes as a part that is not the last.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub const MIN_PART_BYTES: usize = 5 << 20;

/// How many parts are on their way at once, while the next is made.
pub(super) const WINDOW: usize = 2;

/// S3 takes 10,000 parts; a tenth is left for a body that is larger than it was said to become.
const MOST_PARTS: u64 = 9_000;

/// Part size of a body of at most `most_bytes`, at least `least`.
pub(super) fn part_bytes(least: usize, most_bytes: u64) -> usize {
    least.max(usize::try_from(most_bytes.div_ceil(MOST_PARTS)).unwrap_or(usize::MAX))
}

/// Pulls parts out of a body, all of the same size but the last (some S3 servers insist).
///
/// A body that hands out exactly what it is asked for is passed through; one that hands out more has its parts copied.
pub(super) struct Parts<'a> {
    body: &'a mut dyn Body,
    size: usize,
    /// What the body gave beyond the last part.
    rest: Bytes,
    ended: bool,
}

/// What the body gave for one part, not yet joined with what was left of the part before.
pub(super) struct Raw {
    head: Bytes,
    tail: Bytes,
}

impl Raw {
    /// The part as one buffer. While it is made there are two of it.
    pub(super) fn join(self) -> Bytes {
        if self.head.is_empty() {
            return self.tail;
        }
        let mut joined = BytesMut::with_capacity(self.head.len() + self.tail.len());
        joined.extend_from_slice(&self.head);
        joined.extend_from_slice(&self.tail);
        joined.freeze()
    }
}

impl<'a> Parts<'a> {
    pub(super) fn new(body: &'a mut dyn Body, size: usize) -> Self {
        Self { body, size, rest: Bytes::new(), ended: false }
    }

    /// Whether the body has nothing more, as far as that is known without asking it.
    pub(super) fn ended(&self) -> bool {
        self.ended && self.rest.is_empty()
    }

    /// The next part; `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Raw>, BodyError> {
        let head = std::mem::take(&mut self.rest);
        if head.len() >= self.size {
            return Ok(Some(self.cut(Bytes::new(), head, self.size)));
        }
        let wanted = self.size - head.len();
        let tail = if self.ended { None } else { self.body.next(wanted).await? };
        // "Fewer only at the end": a short piece needs no further question.
        self.ended |= tail.as_ref().is_none_or(|tail| tail.len() < wanted);
        match tail {
            Some(tail) => Ok(Some(self.cut(head, tail, wanted))),
            None if head.is_empty() => Ok(None),
            None => Ok(Some(Raw { head: Bytes::new(), tail: head })),
        }
    }

    /// Keeps what `tail` has beyond `wanted` for the next part: copied where it is small, so that it does not hold the large
    /// buffer that it came in.
    fn cut(&mut self, head: Bytes, mut tail: Bytes, wanted: usize) -> Raw {
        if tail.len() > wanted {
            let rest = tail.split_off(wanted);
            self.rest = if rest.len() < self.size { Bytes::copy_from_slice(&rest) } else { rest };
        }
        Raw { head, tail }
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use hydrant_model::Compression;

    use super::*;

    struct Pieces {
        data: Bytes,
        more: usize,
    }

    #[async_trait]
    impl Body for Pieces {
        async fn next(&mut self, at_least: usize) -> Result<Option<Bytes>, BodyError> {
            let take = (at_least + self.more).min(self.data.len());
            Ok(Some(self.data.split_to(take)).filter(|piece| !piece.is_empty()))
        }

        fn most_bytes(&self) -> u64 {
            u64::MAX
        }

        fn compression(&self) -> Compression {
            Compression::Uncompressed
        }
    }

    #[tokio::test]
    async fn every_part_but_the_last_has_the_same_size_and_no_byte_is_lost() {
        for more in [0, 1, 9, 10, 25] {
            for len in [0_usize, 1, 9, 10, 11, 20, 39] {
                let data: Bytes = (0_u8..).take(len).collect();
                let mut body = Pieces { data: data.clone(), more };
                let mut parts = Parts::new(&mut body, 10);
                let mut seen = Vec::new();
                while let Some(part) = parts.next().await.expect("a part") {
                    seen.push(part.join());
                }
                assert_eq!(seen.concat(), data, "{len} {more}");
                assert_eq!(seen.len(), len.div_ceil(10), "{len} {more}");
                assert!(seen.iter().rev().skip(1).all(|part| part.len() == 10));
                assert!(parts.ended());
            }
        }
    }

    #[test]
    fn part_size_grows_so_that_parts_suffice() {
        assert_eq!(part_bytes(MIN_PART_BYTES, 0), 5 << 20);
        assert_eq!(part_bytes(MIN_PART_BYTES, 9_000 * (6 << 20)), 6 << 20);
    }
}
