//! The parts in which a stream of unknown length is sent: how large they are, and the one buffer that all of them use in turn.
//!
//! A sidecar may have a part of a backup, a part of the DR copy and a segment in memory at the same time, and has 64 MiB for everything.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The limit of S3 and Google.
pub(super) const PARTS_MAX: usize = 10_000;
/// Size of a part; the last one may be smaller. Services want 5 MiB at least.
const PART_BYTES: usize = 8 << 20;
/// So many parts have that size, which is enough for 39 GiB. An object that is larger than that needs larger parts, or there would be too many.
const PARTS: usize = PARTS_MAX / 2;
/// Size of those after them. Together that is 156 GiB an object.
const LATE_PART_BYTES: usize = 24 << 20;

/// Reads a body part by part.
pub(super) struct Parts<R> {
    body: R,
    /// Parts that have been read.
    count: usize,
    /// Of the part before, when nobody uses it any more.
    spare: BytesMut,
}

/// A part of a body.
pub(super) struct Part {
    pub(super) bytes: Bytes,
    /// The body ends with it. It may be empty.
    pub(super) is_last: bool,
}

impl<R> Parts<R> {
    pub(super) fn new(body: R) -> Self {
        Self {
            body,
            count: 0,
            spare: BytesMut::new(),
        }
    }

    /// The part was sent: the next one takes its place in memory. A new buffer would come beside it, as an allocator keeps for a second what is freed.
    pub(super) fn reuse(&mut self, sent: Part) {
        // Whoever has an end of it still, like a connection that is being closed, keeps all of it.
        self.spare = sent.bytes.try_into_mut().unwrap_or_default();
    }

    /// What was read, when all of it has been.
    pub(super) fn into_body(self) -> R {
        self.body
    }
}

impl<R: AsyncRead + Unpin> Parts<R> {
    pub(super) async fn read(&mut self) -> io::Result<Part> {
        let due = part_bytes(self.count);
        self.count += 1;
        let mut part = std::mem::take(&mut self.spare);
        part.clear();
        part.reserve(due);
        while part.len() < due {
            let rest = (due - part.len()) as u64;
            if (&mut self.body).take(rest).read_buf(&mut part).await? == 0 {
                break;
            }
        }
        Ok(Part {
            is_last: part.len() < due,
            bytes: part.freeze(),
        })
    }
}

/// Size of a full part after so many others.
fn part_bytes(before: usize) -> usize {
    if before < PARTS {
        PART_BYTES
    } else {
        LATE_PART_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_are_the_body_and_one_that_was_sent_gives_its_memory_to_the_next() {
        let body: Vec<u8> = (0..2 * PART_BYTES + 5)
            .map(|place| (place ^ (place >> 9)) as u8)
            .collect();
        let mut parts = Parts::new(body.as_slice());
        let (mut whole, mut places) = (Vec::new(), Vec::new());
        loop {
            let part = parts.read().await.unwrap();
            whole.extend_from_slice(&part.bytes);
            places.push(part.bytes.as_ptr());
            // As a request that is sent does.
            drop(part.bytes.clone());
            if part.is_last {
                break;
            }
            parts.reuse(part);
        }
        assert!(whole == body);
        assert_eq!(places, [places[0]; 3]);
    }

    #[tokio::test]
    async fn a_part_that_somebody_still_reads_is_left_alone() {
        let body: Vec<u8> = (0..2 * PART_BYTES).map(|place| (place >> 20) as u8).collect();
        let mut parts = Parts::new(body.as_slice());
        let first = parts.read().await.unwrap();
        let kept = first.bytes.clone();
        parts.reuse(first);
        let second = parts.read().await.unwrap();
        assert!(kept == body[..PART_BYTES] && second.bytes == body[PART_BYTES..]);
        let end = parts.read().await.unwrap();
        assert!(end.is_last && end.bytes.is_empty() && !second.is_last);
    }

    #[test]
    fn an_object_of_156_gib_fits_the_parts_that_services_allow() {
        let bytes: u64 = (0..PARTS_MAX).map(|before| part_bytes(before) as u64).sum();
        assert_eq!(bytes, 160_000 << 20);
    }
}
