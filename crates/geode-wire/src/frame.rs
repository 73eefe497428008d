//! Frames: a little-endian `u32` length, then that many bytes.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The peer announced a frame larger than the limit.
    #[error("a frame of {announced} bytes passes the limit of {limit}")]
    TooLarge {
        /// What the length field said.
        announced: usize,
        /// What is allowed here.
        limit: usize,
    },
    /// The stream ended inside a frame, or failed.
    #[error("the stream failed: {0}")]
    Io(#[from] std::io::Error),
    /// The bytes are not the expected message.
    #[error("a frame is not a message of this protocol: {0}")]
    Malformed(String),
}

/// The MessagePack bytes of a message.
pub fn encode<M: Serialize>(message: &M) -> Bytes {
    Bytes::from(
        rmp_serde::to_vec_named(message).expect("messages have string keys and no unserialisable types"),
    )
}

/// Reads a message from the bytes of one frame.
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, WireError> {
    rmp_serde::from_slice(bytes).map_err(|error| WireError::Malformed(error.to_string()))
}

/// Reads one frame; `None` when the peer finished the stream between frames.
pub async fn read_frame<R: AsyncRead + Unpin>(
    from: &mut R,
    limit: usize,
) -> Result<Option<Bytes>, WireError> {
    let mut length = [0; 4];
    let mut filled = 0;
    while filled < length.len() {
        match from.read(&mut length[filled..]).await? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            count => filled += count,
        }
    }
    let announced = u32::from_le_bytes(length) as usize;
    if announced > limit {
        return Err(WireError::TooLarge { announced, limit });
    }
    let mut body = Vec::new();
    // `take` grows the buffer with what arrives, so an announced length alone allocates nothing.
    let received = from.take(announced as u64).read_to_end(&mut body).await?;
    if received < announced {
        return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
    }
    Ok(Some(Bytes::from(body)))
}

/// Frames up to this size are copied, so that length and body leave in one write and, over QUIC, in one packet.
const COPIED_BYTES_MAX: usize = 16 << 10;

fn announced(body: &[u8]) -> Result<[u8; 4], WireError> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|length| *length as usize <= super::FRAME_BYTES_MAX);
    let length = length.ok_or(WireError::TooLarge {
        announced: body.len(),
        limit: super::FRAME_BYTES_MAX,
    })?;
    Ok(length.to_le_bytes())
}

/// Appends a frame to others that are to be written together.
pub fn append_frame(to: &mut Vec<u8>, body: &[u8]) -> Result<(), WireError> {
    to.extend_from_slice(&announced(body)?);
    to.extend_from_slice(body);
    Ok(())
}

/// Writes one frame. Its length must be within the peer's limit: senders split what may be large.
pub async fn write_frame<W: AsyncWrite + Unpin>(to: &mut W, body: &[u8]) -> Result<(), WireError> {
    if body.len() <= COPIED_BYTES_MAX {
        let mut frame = Vec::with_capacity(4 + body.len());
        append_frame(&mut frame, body)?;
        to.write_all(&frame).await?;
        return Ok(());
    }
    to.write_all(&announced(body)?).await?;
    to.write_all(body).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn a_frame_comes_back_and_the_end_between_frames_is_orderly() {
        block_on(async {
            let mut wire = Vec::new();
            write_frame(&mut wire, b"hello").await.unwrap();
            let mut from = wire.as_slice();
            assert_eq!(
                read_frame(&mut from, 16).await.unwrap().unwrap().as_ref(),
                b"hello"
            );
            assert!(read_frame(&mut from, 16).await.unwrap().is_none());
        });
    }

    #[test]
    fn oversized_and_cut_frames_are_errors() {
        block_on(async {
            let mut huge = [0xff, 0xff, 0xff, 0xff, 1].as_slice();
            assert!(matches!(
                read_frame(&mut huge, 1024).await,
                Err(WireError::TooLarge { .. })
            ));
            for cut in [&[5, 0][..], &[5, 0, 0, 0, b'a'][..]] {
                let mut from = cut;
                assert!(matches!(read_frame(&mut from, 1024).await, Err(WireError::Io(_))));
            }
        });
    }
}
