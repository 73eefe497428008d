//! A segment's file is archived, or used for a restore, only after all of it has been checked. The same pass gives its hash.

use crate::content::{Content, HashingReader};
use crate::layout::{Lineage, SegmentRange};
use crate::store::{ErrorKind, ObjectError};
use crate::upload::UploadError;
use geode_log::segment::SegmentReader;
use geode_types::LogIndex;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;

/// A file that is the whole segment of a history.
#[derive(Clone, Debug)]
pub struct SoundSegment {
    pub(crate) lineage: Lineage,
    pub(crate) range: SegmentRange,
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

impl SoundSegment {
    /// Reads a member's segment once, beginning now, on a thread for that. Fails when the file cannot be read, is damaged, or is another
    /// segment.
    pub fn check(
        lineage: Lineage,
        range: SegmentRange,
        path: PathBuf,
    ) -> impl Future<Output = Result<Self, UploadError>> + Send {
        let checking = tokio::task::spawn_blocking(move || {
            let content = match path.try_exists() {
                Ok(true) => check_segment(&path, lineage, range).map_err(|detail| UploadError::Damaged {
                    file: path.display().to_string(),
                    detail,
                })?,
                Ok(false) => return Err(unreadable(&path, std::io::ErrorKind::NotFound.into())),
                Err(error) => return Err(unreadable(&path, error)),
            };
            Ok(Self {
                lineage,
                range,
                path,
                content,
            })
        });
        async {
            checking.await.unwrap_or_else(|ended| {
                let error = ObjectError::new(ErrorKind::Local, "check a segment".to_owned(), ended);
                Err(error.into())
            })
        }
    }

    /// Its entries.
    pub fn range(&self) -> SegmentRange {
        self.range
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> UploadError {
    ObjectError::new(ErrorKind::Local, format!("read {}", path.display()), error).into()
}

/// Reads a whole segment and compares it with its name.
pub(crate) fn check_segment(path: &Path, lineage: Lineage, range: SegmentRange) -> Result<Content, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let file = std::fs::File::open(path).map_err(|error| said(&error))?;
    let mut hashing = HashingReader::new(file);
    let reader = SegmentReader::new(BufReader::with_capacity(CHUNK, &mut hashing));
    let reader = reader.map_err(|error| said(&error))?;
    let header = *reader.header();
    // It reads to the end of the file, and so does the hash.
    let footer = reader.verify().map_err(|error| said(&error))?;
    if header.cluster != lineage.cluster_id {
        return Err(format!("it belongs to cluster {}", header.cluster));
    }
    let found = SegmentRange {
        first: header.first,
        last: footer.last.index,
    };
    if found != range {
        let LogIndex(first) = found.first;
        return Err(format!(
            "it holds the entries {first} to {}, not those of its name",
            found.last
        ));
    }
    let (bytes, sha256) = hashing.finish();
    Ok(Content::of_hashed_file(path, bytes, sha256))
}
