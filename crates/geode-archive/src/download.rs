//! Downloads objects into files: goes on where it broke, opens what is coded, checks everything, and looks into the copy for what is damaged.

use crate::content::{Counted, Sha256};
use crate::fetch::{Arrived, FetchError, OnProgress, Progress, Tell, backoff, local, part_of};
use crate::inventory::BaseBackup;
use crate::layout::{Lineage, SNAPSHOT_ZSTD, SegmentRange};
use crate::object::{Codec, Decoder};
use crate::plan::RestorePlan;
use crate::segment::check_segment;
use crate::store::{ErrorKind, ObjectError, ObjectStore};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use geode_log::SegmentName;
use geode_types::{FetchedBase, GroupId};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An object is tried this often; each try goes on where the last one broke.
pub(crate) const ATTEMPTS: u32 = 10;
/// A download that yields nothing for this long has broken.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const CHUNK: usize = 128 * 1024;
/// A fetched base backup is compressed quickly: it is read once, from the disk beside it.
const PACK_LEVEL: i32 = 1;

pub(crate) struct Download<'a> {
    store: &'a dyn ObjectStore,
    codec: &'a Codec,
    into: &'a Path,
    total_bytes: u64,
    done_bytes: Mutex<u64>,
    progress: OnProgress<'a>,
}

impl<'a> Download<'a> {
    pub(crate) fn new(
        store: &'a dyn ObjectStore,
        codec: &'a Codec,
        into: &'a Path,
        total_bytes: u64,
        progress: OnProgress<'a>,
    ) -> Self {
        Self {
            store,
            codec,
            into,
            total_bytes,
            done_bytes: Mutex::new(0),
            progress,
        }
    }

    pub(crate) fn report(&self, bytes: u64, step: &str) {
        let done_bytes = {
            let mut done = self
                .done_bytes
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *done += bytes;
            *done
        };
        (self.progress)(Progress {
            step: step.to_owned(),
            done_bytes,
            total_bytes: self.total_bytes,
        });
    }

    pub(crate) async fn base(&self, base: &BaseBackup) -> Result<FetchedBase, FetchError> {
        self.report(
            0,
            &format!("downloading the base backup of index {}", base.manifest.index),
        );
        match self.base_from(self.store, base).await {
            Err(error) => match self.copy_for(&error) {
                Some(copy) => self.base_from(copy, base).await,
                None => Err(error),
            },
            found => found,
        }
    }

    /// The other place to look at, when what this one gave is damaged.
    fn copy_for(&self, error: &FetchError) -> Option<&'a dyn ObjectStore> {
        match error {
            FetchError::Store(error) if error.kind == ErrorKind::Corrupt => {
                let copy = self.store.copy()?;
                tracing::error!(%error, "damaged; the copy of the archive is read instead");
                Some(copy)
            }
            _ => None,
        }
    }

    async fn base_from(&self, store: &dyn ObjectStore, base: &BaseBackup) -> Result<FetchedBase, FetchError> {
        let (key, manifest) = (base.snapshot(), &base.manifest);
        let path = self.into.join(SNAPSHOT_ZSTD);
        let found = self.download(store, &key, &path, !base.is_zstd_stream()).await?;
        let wrong = |what: &str, found: (u64, Sha256), due: (u64, Sha256)| {
            let detail = format!(
                "it {what} {} bytes with SHA-256 {}; its manifest says {} and {}",
                found.0, found.1, due.0, due.1
            );
            ObjectError::new(ErrorKind::Corrupt, format!("use {}", store.url(&key)), detail)
        };
        let stored = (manifest.stored_bytes, manifest.stored_sha256);
        if found.stored != stored {
            return Err(wrong("has", found.stored, stored).into());
        }
        // That of an older version is compressed as a whole, and opened by who loads it.
        let plain = (manifest.snapshot_bytes, manifest.snapshot_sha256);
        if found.plain != plain && !base.is_zstd_stream() {
            return Err(wrong("holds", found.plain, plain).into());
        }
        fs::rename(part_of(&path), &path).await.map_err(local(&path))?;
        Ok(FetchedBase {
            file: SNAPSHOT_ZSTD.to_owned(),
            index: base.manifest.index,
            term: base.manifest.term,
            state_hash: base.manifest.state_hash.clone(),
        })
    }

    pub(crate) async fn segments(
        &self,
        lineage: Lineage,
        plan: &RestorePlan,
        parallel: usize,
        tell: Tell<'_>,
    ) -> Result<(), FetchError> {
        let count = plan.segments.len();
        let mut downloads: Vec<BoxFuture<'_, Result<(), FetchError>>> = Vec::with_capacity(count);
        for (number, range) in plan.segments.iter().copied().enumerate() {
            downloads.push(Box::pin(async move {
                let bytes = self.segment(lineage, range).await?;
                self.report(bytes, &format!("downloaded segment {} of {count}", number + 1));
                Ok(())
            }));
        }
        // In their order, whichever was there first.
        futures::stream::iter(downloads)
            .buffered(parallel.max(1))
            .try_for_each(|()| std::future::ready(tell(Arrived::Segment)))
            .await
    }

    pub(crate) async fn segment(&self, lineage: Lineage, range: SegmentRange) -> Result<u64, FetchError> {
        match self.segment_from(self.store, lineage, range).await {
            Err(error) => match self.copy_for(&error) {
                Some(copy) => self.segment_from(copy, lineage, range).await,
                None => Err(error),
            },
            found => found,
        }
    }

    async fn segment_from(
        &self,
        store: &dyn ObjectStore,
        lineage: Lineage,
        range: SegmentRange,
    ) -> Result<u64, FetchError> {
        let key = lineage.segment(GroupId(0), range);
        let path = self
            .into
            .join(SegmentName::Sealed(range.first, range.last).to_string());
        let found = self.download(store, &key, &path, false).await?;
        let part = part_of(&path);
        let checked = tokio::task::spawn_blocking(move || check_segment(&part, lineage, range)).await;
        let checked = checked.unwrap_or_else(|error| Err(error.to_string()));
        checked.map_err(|detail| {
            ObjectError::new(ErrorKind::Corrupt, format!("use {}", store.url(&key)), detail)
        })?;
        fs::rename(part_of(&path), &path).await.map_err(local(&path))?;
        Ok(found.stored.0)
    }

    /// Downloads an object and writes what it holds to `path.part`, with `pack` as a zstd stream; goes on where it broke.
    async fn download(
        &self,
        store: &dyn ObjectStore,
        key: &str,
        path: &Path,
        pack: bool,
    ) -> Result<Downloaded, FetchError> {
        let part = part_of(path);
        let mut file = fs::File::create(&part).await.map_err(local(&part))?;
        let mut object = Arriving::new(self.codec, key, pack).map_err(local(&part))?;
        let mut pauses = backoff();
        loop {
            match self.rest(store, key, &mut object, &mut file).await {
                Ok(()) => break,
                Err(FetchError::Store(error))
                    if error.kind == ErrorKind::Unavailable && pauses.failures() + 1 < ATTEMPTS =>
                {
                    tracing::warn!(%error, offset = object.offset, "the download will go on");
                    tokio::time::sleep(pauses.failed()).await;
                }
                Err(error) => return Err(error),
            }
        }
        let (found, rest) = object.finish(&store.url(key), &part)?;
        file.write_all(&rest).await.map_err(local(&part))?;
        file.flush().await.map_err(local(&part))?;
        Ok(found)
    }

    async fn rest(
        &self,
        store: &dyn ObjectStore,
        key: &str,
        object: &mut Arriving,
        file: &mut fs::File,
    ) -> Result<(), FetchError> {
        let unavailable = |detail: String| {
            ObjectError::new(ErrorKind::Unavailable, format!("read {}", store.url(key)), detail)
        };
        let mut reader = store.get(key, object.offset).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = tokio::time::timeout(IDLE_TIMEOUT, reader.read(&mut chunk)).await;
            let read = read.map_err(|_| unavailable(format!("nothing came for {IDLE_TIMEOUT:?}")))?;
            let count = read.map_err(|error| unavailable(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            let plain = object.take(&chunk[..count], &store.url(key), self.into)?;
            file.write_all(&plain).await.map_err(local(self.into))?;
        }
    }
}

/// What a download was: lengths and hashes of the object, and of what it holds.
struct Downloaded {
    stored: (u64, Sha256),
    plain: (u64, Sha256),
}

/// An object that is being downloaded.
struct Arriving {
    offset: u64,
    stored: Counted,
    decoder: Decoder,
    packing: Option<zstd::stream::write::Encoder<'static, Vec<u8>>>,
}

impl Arriving {
    fn new(codec: &Codec, key: &str, pack: bool) -> io::Result<Self> {
        let packing = pack.then(|| {
            let mut packing = zstd::stream::write::Encoder::new(Vec::new(), PACK_LEVEL)?;
            packing.include_checksum(true)?;
            Ok::<_, io::Error>(packing)
        });
        Ok(Self {
            offset: 0,
            stored: Counted::default(),
            decoder: Decoder::new(codec, key),
            packing: packing.transpose()?,
        })
    }

    /// What is to be written after the next bytes of the object have come.
    fn take(&mut self, stored: &[u8], place: &str, into: &Path) -> Result<Vec<u8>, FetchError> {
        self.offset += stored.len() as u64;
        self.stored.note(stored);
        let mut plain = Vec::new();
        self.decoder
            .push(stored, &mut plain)
            .map_err(|error| error.of(place))?;
        self.pack(plain).map_err(local(into))
    }

    fn pack(&mut self, plain: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(packing) = &mut self.packing else {
            return Ok(plain);
        };
        packing.write_all(&plain)?;
        Ok(std::mem::take(packing.get_mut()))
    }

    fn finish(mut self, place: &str, part: &Path) -> Result<(Downloaded, Vec<u8>), FetchError> {
        let mut plain = Vec::new();
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(&Codec::default(), ""));
        let found = Downloaded {
            stored: self.stored.clone().finish(),
            plain: decoder.finish(&mut plain).map_err(|error| error.of(place))?,
        };
        let mut rest = self.pack(plain).map_err(local(part))?;
        if let Some(packing) = self.packing {
            rest.append(&mut packing.finish().map_err(local(part))?);
        }
        Ok((found, rest))
    }
}
