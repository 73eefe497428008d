//! From what is to be stored to a coded object: whole, or as a stream of blocks of which several are at work at the same time.

use super::bench::Bench;
use super::compression::Shrinker;
use super::header::{self, Header, Identity};
use super::{BLOCK_BYTES, LAST, RAW, block_context};
use crate::keys::Key;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use geode_types::Compression;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the word before a block.
const WORD_BYTES: usize = 4;

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

    pub(super) fn shrinker(&self) -> Shrinker {
        Shrinker::new(self.header.compression)
    }

    /// Block `number`, from 0, into `coded`, in which it is compressed and sealed; a block that is not full is the last one.
    pub(super) fn block(
        &self,
        number: u64,
        plain: &[u8],
        shrinker: &mut Shrinker,
        coded: &mut Vec<u8>,
    ) -> io::Result<()> {
        coded.clear();
        coded.extend_from_slice(&[0; WORD_BYTES]);
        let mut word = 0;
        if !shrinker.shrink(plain, coded)? {
            coded.extend_from_slice(plain);
            word |= RAW;
        }
        if plain.len() < BLOCK_BYTES {
            word |= LAST;
        }
        let bound_to = block_context(&self.header.context, number, word);
        let check = if let Some(sealing) = &self.header.sealing {
            sealing.seal(number + 1, &bound_to, coded, WORD_BYTES);
            None
        } else {
            Some(crc32c::crc32c_append(
                crc32c::crc32c(&bound_to),
                &coded[WORD_BYTES..],
            ))
        };
        word |= (coded.len() - WORD_BYTES) as u32;
        coded[..WORD_BYTES].copy_from_slice(&word.to_le_bytes());
        if let Some(check) = check {
            coded.extend_from_slice(&check.to_le_bytes());
        }
        Ok(())
    }

    /// A block of a stream.
    fn lent(&self, number: u64, plain: Vec<u8>, bench: &Arc<Bench>) -> io::Result<Bytes> {
        let mut shrinker = bench.shrinkers.take(|| self.shrinker());
        let mut coded = bench.coded();
        self.block(number, &plain, &mut shrinker, &mut coded)?;
        bench.put_plain(plain);
        bench.shrinkers.put(shrinker);
        Ok(bench.lend(coded))
    }

    /// Everything of a reader.
    pub(super) fn whole(
        &self,
        mut reader: impl io::Read,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut plain = Vec::with_capacity(BLOCK_BYTES);
        let (mut shrinker, mut coded) = (self.shrinker(), Vec::new());
        for number in 0.. {
            plain.clear();
            let mut block = io::Read::take(&mut reader, BLOCK_BYTES as u64);
            io::Read::read_to_end(&mut block, &mut plain)?;
            self.block(number, &plain, &mut shrinker, &mut coded)?;
            out(&coded)?;
            if plain.len() < BLOCK_BYTES {
                break;
            }
        }
        Ok(())
    }
}

/// The coded object as it is read from `source`, `parallel` blocks at a time. A failure of the source is a failure of the stream.
pub(super) fn blocks<'a>(
    begun: (Vec<u8>, Encoder),
    source: impl AsyncRead + Send + Unpin + 'a,
    parallel: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    blocks_on(Arc::default(), begun, source, parallel)
}

/// The same with the buffers of a bench: as many for blocks as are at work, and one more for coded ones, which is read meanwhile.
pub(super) fn blocks_on<'a>(
    bench: Arc<Bench>,
    (head, encoder): (Vec<u8>, Encoder),
    source: impl AsyncRead + Send + Unpin + 'a,
    parallel: usize,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'a {
    let encoder = Arc::new(encoder);
    let buffers = bench.clone();
    let plain = stream::try_unfold(Some((source, 0u64)), move |state| {
        let buffers = buffers.clone();
        async move {
            let Some((mut source, number)) = state else {
                return Ok(None);
            };
            let mut plain = buffers.plain();
            (&mut source)
                .take(BLOCK_BYTES as u64)
                .read_to_end(&mut plain)
                .await?;
            let next = (plain.len() == BLOCK_BYTES).then_some((source, number + 1));
            Ok::<_, io::Error>(Some(((number, plain), next)))
        }
    });
    let coded = plain.map_ok(move |(number, plain)| {
        let (encoder, bench) = (encoder.clone(), bench.clone());
        async move {
            let coding = tokio::task::spawn_blocking(move || encoder.lent(number, plain, &bench));
            coding.await.map_err(io::Error::other)?
        }
    });
    stream::once(async move { Ok(Bytes::from(head)) }).chain(coded.try_buffered(parallel.max(1)))
}
