//! A reader that yields what another one yields, compressed with zstd. Memory: one chunk of each.

use crate::content::CHUNK;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, ReadBuf};
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

/// Level of compression: zstd's default, a good trade for data that is read once.
const LEVEL: i32 = 3;

/// Compresses what it reads. A failure of the source is its own failure, so a cut-off source never looks like a whole one.
pub struct CompressingReader<R> {
    source: R,
    encoder: Encoder<'static>,
    input: Box<[u8]>,
    /// What of `input` is not compressed yet.
    pending: std::ops::Range<usize>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Finishing,
    Done,
}

impl<R: AsyncRead + Unpin> CompressingReader<R> {
    /// Around a source.
    pub fn new(source: R) -> io::Result<Self> {
        let mut encoder = Encoder::new(LEVEL)?;
        encoder.set_parameter(zstd::stream::raw::CParameter::ChecksumFlag(true))?;
        Ok(Self {
            source,
            encoder,
            input: vec![0; CHUNK].into_boxed_slice(),
            pending: 0..0,
            state: State::Reading,
        })
    }

    /// The source, for what it counted.
    pub fn into_source(self) -> R {
        self.source
    }

    fn compress(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut output = OutBuffer::around(out);
        if self.state == State::Finishing {
            if self.encoder.finish(&mut output, true)? == 0 {
                self.state = State::Done;
            }
        } else {
            let mut input = InBuffer::around(&self.input[self.pending.clone()]);
            self.encoder.run(&mut input, &mut output)?;
            self.pending.start += input.pos();
        }
        Ok(output.pos())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for CompressingReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.state != State::Done && buf.remaining() > 0 {
            if this.state == State::Reading && this.pending.is_empty() {
                let mut input = ReadBuf::new(&mut this.input);
                ready!(Pin::new(&mut this.source).poll_read(cx, &mut input))?;
                this.pending = 0..input.filled().len();
                if this.pending.is_empty() {
                    this.state = State::Finishing;
                }
            }
            let written = this.compress(buf.initialize_unfilled())?;
            buf.advance(written);
            if written > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn what_is_compressed_comes_back_whatever_its_size() {
        for size in [0, 1, CHUNK - 1, CHUNK, 5 * CHUNK + 3] {
            let plain: Vec<u8> = (0..size).map(|i| (i * i / 7) as u8).collect();
            let mut compressed = Vec::new();
            let mut reader = CompressingReader::new(plain.as_slice()).unwrap();
            reader.read_to_end(&mut compressed).await.unwrap();
            assert_eq!(zstd::decode_all(compressed.as_slice()).unwrap(), plain, "{size}");
        }
    }

    #[tokio::test]
    async fn a_source_that_breaks_breaks_the_stream() {
        let source = tokio_test_source();
        let mut out = Vec::new();
        let read = CompressingReader::new(source)
            .unwrap()
            .read_to_end(&mut out)
            .await;
        assert_eq!(read.unwrap_err().to_string(), "broken");
    }

    fn tokio_test_source() -> impl AsyncRead + Unpin {
        let chunks = futures::stream::iter([
            Ok(bytes::Bytes::from_static(b"abc")),
            Err(io::Error::other("broken")),
        ]);
        tokio_util::io::StreamReader::new(chunks)
    }
}
