//! Calls between members: a message and its answer, many one after the other on one stream. A stream of its own for each would cost both
//! sides packets and tasks.
//!
//! A member that ends a stream after one call is called on another one, so both ways understand each other. A message that arrives twice
//! does no harm: Raft's may.

use super::transport::finish;
use crate::raft::RaftService;
use bytes::Bytes;
use geode_wire::internal::StreamKind;
use geode_wire::{FRAME_BYTES_MAX, WireError, append_frame, read_frame, write_frame};
use quinn::{Connection, RecvStream, SendStream};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The second byte of a Raft stream that carries calls.
pub(super) const CALLS: u8 = 0;

/// A connection to a peer, and its streams on which no call is under way. Cheap to clone.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) connection: Connection,
    idle: Arc<Mutex<Vec<Calls>>>,
}

/// A stream for calls.
struct Calls {
    send: SendStream,
    receive: RecvStream,
}

impl Line {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            connection,
            idle: Arc::default(),
        }
    }

    /// Sends a message; its answer. Whoever stops waiting ends the stream.
    pub(super) async fn call(&self, message: &[u8]) -> Result<Bytes, WireError> {
        let used = self.idle().pop();
        if let Some(mut calls) = used {
            match calls.call(message).await {
                Ok(answer) => {
                    self.idle().push(calls);
                    return Ok(answer);
                }
                // The peer has ended the stream.
                Err(WireError::Io(_)) if self.connection.close_reason().is_none() => {}
                Err(error) => return Err(error),
            }
        }
        let (send, receive) = self.connection.open_bi().await.map_err(io::Error::from)?;
        let mut calls = Calls { send, receive };
        let mut first = vec![StreamKind::Raft as u8, CALLS];
        append_frame(&mut first, message)?;
        calls.send.write_all(&first).await.map_err(io::Error::from)?;
        let answer = calls.answer().await?;
        self.idle().push(calls);
        Ok(answer)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Calls>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Calls {
    async fn call(&mut self, message: &[u8]) -> Result<Bytes, WireError> {
        write_frame(&mut self.send, message).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Bytes, WireError> {
        let frame = read_frame(&mut self.receive, FRAME_BYTES_MAX).await?;
        frame.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }
}

/// Answers calls until the peer ends the stream.
pub(super) async fn serve_calls(
    first: Bytes,
    mut send: SendStream,
    mut receive: RecvStream,
    raft: Arc<dyn RaftService>,
) -> Result<(), WireError> {
    let mut message = first;
    loop {
        let answer = raft.handle(message).await;
        write_frame(&mut send, &answer).await?;
        match read_frame(&mut receive, FRAME_BYTES_MAX).await? {
            Some(next) => message = next,
            None => return finish(&mut send),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::internal::transport::{dial_config, server_config};
    use crate::raft::{BoxFuture, SnapshotReceiver};
    use crate::tls::TlsMaterial;
    use geode_client::tls::Identity;
    use geode_wire::INTERNAL_DNS_NAME;
    use quinn::Endpoint;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Answers what it is told.
    struct Echo;

    impl RaftService for Echo {
        fn handle(&self, message: Bytes) -> BoxFuture<'static, Bytes> {
            Box::pin(std::future::ready(message))
        }

        fn begin_snapshot(&self, message: Bytes) -> Result<Box<dyn SnapshotReceiver>, Bytes> {
            Err(message)
        }
    }

    /// A line to a peer that answers on each stream as `serve` does, and how many streams there were.
    async fn line<F>(serve: impl Fn(SendStream, RecvStream) -> F + Send + 'static) -> (Line, Arc<AtomicUsize>)
    where
        F: Future<Output = Result<(), WireError>> + Send + 'static,
    {
        let names = ["localhost".to_owned(), INTERNAL_DNS_NAME.to_owned()];
        let key = rcgen::generate_simple_self_signed(names).unwrap();
        let material = TlsMaterial {
            ca_pem: key.cert.pem().into_bytes(),
            identity: Identity {
                cert_pem: key.cert.pem().into_bytes(),
                key_pem: key.signing_key.serialize_pem().into_bytes(),
            },
        };
        let here = "127.0.0.1:0".parse().unwrap();
        let peer = Endpoint::server(server_config(&material).unwrap(), here).unwrap();
        let address = peer.local_addr().unwrap();
        let streams = Arc::new(AtomicUsize::new(0));
        let counted = streams.clone();
        tokio::spawn(async move {
            let connection = peer.accept().await.unwrap().await.unwrap();
            while let Ok((send, receive)) = connection.accept_bi().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(send, receive));
            }
        });
        let dialling = Endpoint::client(here).unwrap();
        let connection = dialling
            .connect_with(dial_config(&material).unwrap(), address, "localhost")
            .unwrap();
        (Line::new(connection.await.unwrap()), streams)
    }

    async fn first(receive: &mut RecvStream) -> Result<Bytes, WireError> {
        let mut kind = [0; 2];
        receive.read_exact(&mut kind).await.unwrap();
        Ok(read_frame(receive, FRAME_BYTES_MAX).await?.unwrap())
    }

    #[tokio::test]
    async fn calls_share_a_stream_and_those_at_the_same_time_do_not() {
        let (line, streams) = line(|send, mut receive| async move {
            let message = first(&mut receive).await?;
            serve_calls(message, send, receive, Arc::new(Echo)).await
        })
        .await;
        for message in [b"one", b"two"] {
            assert_eq!(line.call(message).await.unwrap(), message[..]);
        }
        assert_eq!(streams.load(Ordering::Relaxed), 1);
        let (one, other) = tokio::join!(line.call(b"one"), line.call(b"other"));
        assert_eq!(
            (one.unwrap().as_ref(), other.unwrap().as_ref()),
            (&b"one"[..], &b"other"[..])
        );
        assert_eq!(streams.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_peer_that_ends_a_stream_after_one_call_is_called_on_another_one() {
        let (line, streams) = line(|mut send, mut receive| async move {
            let message = first(&mut receive).await?;
            write_frame(&mut send, &message).await?;
            finish(&mut send)
        })
        .await;
        for message in [b"one", b"two", b"six"] {
            assert_eq!(line.call(message).await.unwrap(), message[..]);
        }
        assert_eq!(streams.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_peer_that_expects_one_call_a_stream_is_answered() {
        let (line, _) = line(|send, mut receive| async move {
            let message = first(&mut receive).await?;
            serve_calls(message, send, receive, Arc::new(Echo)).await
        })
        .await;
        let (mut send, mut receive) = line.connection.open_bi().await.unwrap();
        send.write_all(&[StreamKind::Raft as u8, CALLS]).await.unwrap();
        write_frame(&mut send, b"once").await.unwrap();
        finish(&mut send).unwrap();
        let answer = read_frame(&mut receive, FRAME_BYTES_MAX).await.unwrap();
        assert_eq!(answer.as_deref(), Some(&b"once"[..]));
        assert!(read_frame(&mut receive, FRAME_BYTES_MAX).await.unwrap().is_none());
    }
}
