//! An object store in a directory: `file://` archives and tests. An object is a file; it gets its name by a hard link, which fails when
//! the name is taken, so that put-if-absent holds between processes too.

use super::{
    Answer, ErrorKind, LIST_PAGE, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored,
    same_content,
};
use crate::content::{CHUNK, Content, HashingReader, Sha256};
use jiff::Timestamp;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

/// Where objects are before they are whole; keys cannot begin with it.
const UNFINISHED: &str = ".unfinished";

/// Objects in files below a directory.
#[derive(Debug)]
pub struct DirectoryStore {
    root: PathBuf,
    uploads: AtomicU64,
}

impl DirectoryStore {
    /// In this directory, which is made when needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            uploads: AtomicU64::new(0),
        }
    }

    fn error(&self, act: &str, key: &str, error: io::Error) -> ObjectError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            _ => ErrorKind::Unavailable,
        };
        ObjectError::new(kind, format!("{act} {}", self.url(key)), error)
    }

    /// The path of a key; keys with empty, `.` or `..` parts would leave the directory or name two objects alike.
    fn path(&self, key: &str) -> Result<PathBuf, ObjectError> {
        let sound = key
            .split('/')
            .all(|part| !part.is_empty() && !matches!(part, "." | ".." | UNFINISHED));
        if !sound {
            let detail = "the key has an empty, `.` or `..` part";
            return Err(ObjectError::new(
                ErrorKind::NotFound,
                format!("use {}", self.url(key)),
                detail,
            ));
        }
        Ok(self.root.join(key))
    }

    async fn write(&self, key: &str, body: impl AsyncRead + Send + Unpin) -> io::Result<(PathBuf, Stored)> {
        let number = self.uploads.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.root.join(UNFINISHED);
        fs::create_dir_all(&unfinished).await?;
        let name = format!("{}-{number}-{:016x}", std::process::id(), rand::random::<u64>());
        let path = unfinished.join(name);
        let written = self.write_file(&path, body).await;
        let stored = match written {
            Ok(stored) => stored,
            Err(error) => {
                let _ = fs::remove_file(&path).await;
                return Err(error);
            }
        };
        if let Some(parent) = self.root.join(key).parent() {
            fs::create_dir_all(parent).await?;
        }
        Ok((path, stored))
    }

    async fn write_file(&self, path: &Path, body: impl AsyncRead + Send + Unpin) -> io::Result<Stored> {
        let mut body = tokio::io::BufReader::with_capacity(CHUNK, HashingReader::new(body));
        let mut file = fs::File::create(path).await?;
        tokio::io::copy_buf(&mut body, &mut file).await?;
        file.flush().await?;
        file.sync_all().await?;
        let (bytes, sha256) = body.into_inner().finish();
        Ok(Stored { bytes, sha256 })
    }

    /// Gives a finished file its name; `false` when the name is taken.
    async fn publish(&self, unfinished: &Path, path: &Path) -> io::Result<bool> {
        let linked = fs::hard_link(unfinished, path).await;
        fs::remove_file(unfinished).await?;
        match linked {
            Ok(()) => {
                if let Some(parent) = path.parent() {
                    fs::File::open(parent).await?.sync_all().await?;
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl ObjectStore for DirectoryStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        Box::pin(async move {
            let path = self.path(key)?;
            let compared = same_content(self, key, content).await?;
            if let Some(same) = compared {
                return Ok(if same { Put::SameContent } else { Put::Conflict });
            }
            let local = |error| ObjectError::new(ErrorKind::Local, format!("store {}", self.url(key)), error);
            let body = content.open().await.map_err(local)?;
            let (unfinished, stored) = self
                .write(key, body)
                .await
                .map_err(|error| self.error("write", key, error))?;
            if stored.sha256 != content.sha256() {
                let _ = fs::remove_file(&unfinished).await;
                return Err(local(io::Error::other("the file changed while it was stored")));
            }
            let published = self.publish(&unfinished, &path).await;
            if published.map_err(|error| self.error("write", key, error))? {
                return Ok(Put::Created);
            }
            let same = same_content(self, key, content).await?.unwrap_or(false);
            Ok(if same { Put::SameContent } else { Put::Conflict })
        })
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        Box::pin(async move {
            let path = self.path(key)?;
            let written = self.write(key, body).await;
            let (unfinished, stored) = written.map_err(|error| self.error("write", key, error))?;
            let published = self.publish(&unfinished, &path).await;
            if published.map_err(|error| self.error("write", key, error))? {
                return Ok(stored);
            }
            let taken = io::Error::new(io::ErrorKind::AlreadyExists, "the key is taken");
            Err(self.error("write", key, taken))
        })
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            let open = async {
                let mut file = fs::File::open(self.path(key)?)
                    .await
                    .map_err(|error| self.error("read", key, error))?;
                file.set_max_buf_size(CHUNK);
                let sought = file.seek(io::SeekFrom::Start(offset)).await;
                sought.map_err(|error| self.error("read", key, error))?;
                Ok(file)
            };
            Ok(Box::new(open.await?.take(length.unwrap_or(u64::MAX))) as Reader)
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move {
            let path = self.path(key)?;
            let bytes = match fs::metadata(&path).await {
                Ok(metadata) => metadata.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(self.error("look at", key, error)),
            };
            // A directory keeps no hashes beside files: it is read, so that what is on the disk counts.
            let hashed = match fs::File::open(&path).await {
                Ok(file) => Sha256::of_reader(file).await,
                Err(error) => Err(error),
            };
            let sha256 = hashed.map_err(|error| self.error("read", key, error))?;
            Ok(Some(ObjectInfo {
                bytes,
                sha256: Some(sha256),
            }))
        })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move {
            let path = self.path(key)?;
            let modified = match fs::metadata(&path).await {
                Ok(metadata) => metadata.modified(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => Err(error),
            };
            let modified = modified.map_err(|error| self.error("look at", key, error))?;
            Ok(Timestamp::try_from(modified).ok())
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let (root, wanted, after_key) = (self.root.clone(), prefix.to_owned(), after.to_owned());
            let walked = tokio::task::spawn_blocking(move || walk(&root, &wanted, &after_key)).await;
            walked
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(|error| self.error("list", prefix, error))
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            match fs::remove_file(self.path(key)?).await {
                Ok(()) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(self.error("delete", key, error)),
            }
        })
    }

    fn url(&self, key: &str) -> String {
        format!("file://{}", self.root.join(key).display())
    }
}

/// All keys below the root that match, sorted, one page. A whole walk for each page: such archives are small.
fn walk(root: &Path, prefix: &str, after: &str) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut directories = vec![(root.to_path_buf(), String::new())];
    while let Some((directory, above)) = directories.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                continue;
            };
            let key = format!("{above}{name}");
            if entry.file_type()?.is_dir() {
                let below = format!("{key}/");
                let leads_there = below.starts_with(prefix) || prefix.starts_with(&below);
                if name != UNFINISHED && leads_there {
                    directories.push((entry.path(), below));
                }
            } else if key.starts_with(prefix) && key.as_str() > after {
                let bytes = entry.metadata()?.len();
                found.push(Listed { key, bytes });
            }
        }
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found.truncate(LIST_PAGE);
    Ok(found)
}
