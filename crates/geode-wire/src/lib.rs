//! Frames and messages of Geode's two protocols, both over QUIC with TLS 1.3.
//!
//! * `client`: port 3141, ALPN [`CLIENT_ALPN`]: drivers, the shell. A bidirectional stream is a session.
//! * `internal`: port 3142, ALPN [`INTERNAL_ALPN`], mTLS: members, sidecars, the operator.
//!
//! A frame is a little-endian `u32` length and a MessagePack message with named fields, so that a field added later is ignored by
//! older peers; rows travel in the binary form of `geode_types` (docs/formats/wire.md). Bytes in, values out: no sockets here.

pub mod client;
mod frame;
pub mod internal;

pub use frame::{WireError, append_frame, decode, encode, read_frame, write_frame};

/// ALPN of the client protocol. A change that older peers cannot read gets a new number.
pub const CLIENT_ALPN: &[u8] = b"geode/1";
/// ALPN of the internal protocol.
pub const INTERNAL_ALPN: &[u8] = b"geode-internal/1";
/// Default port of the client protocol (UDP).
pub const CLIENT_PORT: u16 = 3141;
/// Default port of the internal protocol (UDP).
pub const INTERNAL_PORT: u16 = 3142;
/// The largest frame either side accepts, bytes. Large results are many frames.
pub const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What a certificate for the internal protocol must carry as a DNS name, so that a client's certificate of the same CA is not enough.
pub const INTERNAL_DNS_NAME: &str = "internal.geodedb.com";

/// QUIC application error codes with which a connection is closed.
pub mod close_code {
    /// An orderly end.
    pub const DONE: u32 = 0;
    /// A frame could not be decoded.
    pub const MALFORMED: u32 = 1;
    /// A frame passed [`super::FRAME_BYTES_MAX`].
    pub const TOO_LARGE: u32 = 2;
    /// The peer did not finish its handshake or frame in time.
    pub const TOO_SLOW: u32 = 3;
    /// Wrong user, password or certificate.
    pub const UNAUTHENTICATED: u32 = 4;
    /// The server is at its connection limit, or cannot tell yet who may enter. Later it may.
    pub const BUSY: u32 = 5;
    /// The server is shutting down.
    pub const SHUTDOWN: u32 = 6;
}
