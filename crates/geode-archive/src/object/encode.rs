//! From what is to be stored to a coded object: whole, or as a stream of blocks of which several are at work at the same time.

use super::compression;
use super::header::{self, Header, Identity};
use super::{BLOCK_BYTES, LAST, RAW, block_context};
use crate::keys::Key;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use geode_types::Compression;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Codes the blocks of one object.
pub(super) struct Encoder {
    header: Header,
}

impl Encoder {
    /// The first bytes of the object `name`, and what codes its blocks.
    pub(super) fn begin(
        name: &str,
        compression: Compression,
        key: Option<&Key>,
        identity: Identity,
    ) -> (Vec<u8>, Self) {
        let (bytes, header) = header::write(name, compression, BLOCK_BYTES as u32, key, identity);
        (bytes, Self { header })
    }

    /// Block `number`, from 0; a block that is not full is the last one.
    pub(super) fn block(&self, number: u64, plain: &[u8]) -> io::Result<Vec<u8>> {
        let small = compression::shrink(self.header.compression, plain)?;
        let mut word = if small.is_none() { RAW } else { 0 };
        if plain.len() < BLOCK_BYTES {
            word |= LAST;
        }
        let mut payload = small.unwrap_or_else(|| plain.to_vec());
        let bound_to = block_context(&self.header.context, number, word);
        if let Some(sealing) = &self.header.sealing {
            sealing.seal(number + 1, &bound_to, &mut payload);
        }
        word |= payload.len() as u32;
        let mut block = Vec::with_capacity(payload.len() + 8);
        block.extend_from_slice(&word.to_le_bytes());
        block.extend_from_slice(&payload);
        if self.header.sealing.is_none() {
            let check = crc32c::crc32c_append(crc32c::crc32c(&bound_to), &payload);
            block.extend_from_slice(&check.to_le_bytes());
        }
        Ok(block)
    }

    /// Everything of a reader.
    pub(super) fn whole(
        &self,
        mut reader: impl io::Read,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut plain = Vec::with_capacity(BLOCK_BYTES);
        for number in 0.. {
            plain.clear();
            let mut block = io::Read::take(&mut reader, BLOCK_BYTES as u64);
            io::Read::read_to_end(&mut block, &mut plain)?;
            out(&self.block(number, &plain)?)?;
            if plain.len() < BLOCK_BYTES {
                break;
            }
        }
        Ok(())
    }
}

/// The coded object as it is read from `source`, `parallel` blocks at a time. A failure of the source is a failure of the stream.
pub(super) fn blocks<'a>(
    (head, encoder): (Vec<u8>, Encoder),
    source: impl AsyncRead + Send + Unpin + 'a,
    parallel: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    let encoder = Arc::new(encoder);
    let plain = stream::try_unfold(Some((source, 0u64)), |state| async move {
        let Some((mut source, number)) = state else {
            return Ok(None);
        };
        let mut plain = Vec::with_capacity(BLOCK_BYTES);
        (&mut source)
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut plain)
            .await?;
        let next = (plain.len() == BLOCK_BYTES).then_some((source, number + 1));
        Ok::<_, io::Error>(Some(((number, plain), next)))
    });
    let coded = plain.map_ok(move |(number, plain)| {
        let encoder = encoder.clone();
        async move {
            let coding = tokio::task::spawn_blocking(move || encoder.block(number, &plain));
            coding.await.map_err(io::Error::other)?.map(Bytes::from)
        }
    });
    stream::once(async move { Ok(Bytes::from(head)) }).chain(coded.try_buffered(parallel.max(1)))
}
