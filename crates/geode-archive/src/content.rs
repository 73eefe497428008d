//! What is to be stored: bytes or a file, with length and SHA-256. Files are hashed and sent as streams, never held in memory.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256 as Hasher};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io, str::FromStr};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Bytes that are read, hashed and sent at a time.
pub(crate) const CHUNK: usize = 128 * 1024;

/// A SHA-256 hash, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// The hash of bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Hasher::digest(bytes).into())
    }

    /// The hash of everything that is read.
    pub async fn of_reader(reader: impl AsyncRead + Unpin) -> io::Result<Self> {
        let mut hashing = HashingReader::new(reader);
        hashing.drain().await?;
        Ok(hashing.finish().1)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a SHA-256 hash, 64 hexadecimal digits")]
pub struct HashError(String);

impl FromStr for Sha256 {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let wrong = || HashError(text.chars().take(80).collect());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = str::from_utf8(digits).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Something to store.
#[derive(Clone, Debug)]
pub struct Content {
    source: Source,
    bytes: u64,
    sha256: Sha256,
}

/// Where content comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Memory.
    Bytes(Bytes),
    /// A file that does not change any more.
    File(PathBuf),
}

impl Content {
    /// Bytes in memory.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            bytes: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
            source: Source::Bytes(bytes),
        }
    }

    /// A file, read once to hash it.
    pub async fn from_file(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let mut hashing = HashingReader::new(tokio::fs::File::open(&path).await?);
        hashing.drain().await?;
        let (bytes, sha256) = hashing.finish();
        Ok(Self::of_hashed_file(path, bytes, sha256))
    }

    /// A file whose length and hash are known.
    pub(crate) fn of_hashed_file(path: impl Into<PathBuf>, bytes: u64, sha256: Sha256) -> Self {
        Self {
            source: Source::File(path.into()),
            bytes,
            sha256,
        }
    }

    /// Length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hash.
    pub fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Its bytes.
    pub async fn open(&self) -> io::Result<Box<dyn AsyncRead + Send + Unpin>> {
        Ok(match &self.source {
            Source::Bytes(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            Source::File(path) => Box::new(open_file(path).await?),
        })
    }
}

async fn open_file(path: &Path) -> io::Result<tokio::fs::File> {
    let mut file = tokio::fs::File::open(path).await?;
    file.set_max_buf_size(CHUNK);
    Ok(file)
}

/// Length and hash of bytes that come in pieces.
#[derive(Clone, Default)]
pub(crate) struct Counted {
    hasher: Hasher,
    bytes: u64,
}

impl Counted {
    pub(crate) fn note(&mut self, fresh: &[u8]) {
        self.bytes += fresh.len() as u64;
        self.hasher.update(fresh);
    }

    pub(crate) fn finish(self) -> (u64, Sha256) {
        (self.bytes, Sha256(self.hasher.finalize().into()))
    }
}

/// Counts and hashes what passes.
pub struct HashingReader<R> {
    inner: R,
    passed: Counted,
}

impl<R> HashingReader<R> {
    /// Around a reader.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            passed: Counted::default(),
        }
    }

    /// How much has passed.
    pub fn bytes(&self) -> u64 {
        self.passed.bytes
    }

    /// How much has passed, and its hash.
    pub fn finish(self) -> (u64, Sha256) {
        self.passed.finish()
    }
}

impl<R: AsyncRead + Unpin> HashingReader<R> {
    /// Reads to the end.
    pub async fn drain(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        while AsyncReadExt::read(self, &mut chunk).await? > 0 {}
        Ok(())
    }
}

impl<R: io::Read> io::Read for HashingReader<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buf)?;
        self.passed.note(&buf[..count]);
        Ok(count)
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for HashingReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = &polled {
            self.passed.note(&buf.filled()[before..]);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_and_its_bytes_are_the_same_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let bytes = vec![7; 3 * CHUNK + 5];
        std::fs::write(&path, &bytes).unwrap();
        let file = Content::from_file(&path).await.unwrap();
        let memory = Content::from_bytes(bytes);
        assert_eq!((file.bytes(), file.sha256()), (memory.bytes(), memory.sha256()));
        let read = Sha256::of_reader(file.open().await.unwrap()).await.unwrap();
        assert_eq!(read, memory.sha256());
    }

    #[test]
    fn a_hash_reads_what_it_prints_and_refuses_the_rest() {
        let hash = Sha256::of(b"abc");
        assert_eq!(
            hash.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(hash.to_string().parse::<Sha256>().unwrap(), hash);
        for bad in ["", "ba78", &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<Sha256>().is_err(), "{bad}");
        }
    }
}
