//! What the small objects say that describe backups, and which of them cannot be read: one that was altered, or that a newer version wrote, hides its own
//! backup and no other one. A store that does not answer is an error all the same. It must not know what an entry is for.

use crate::inventory::corrupt;
use crate::layout::MANIFEST;
use crate::store::{ErrorKind, ObjectError, ObjectStore, get_small};
use geode_types::LogIndex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::RangeInclusive;

const BYTES_MAX: usize = 64 * 1024;

/// A backup whose manifest or entry cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The key of the object.
    pub key: String,
    /// Why, in words.
    pub reason: String,
}

impl Unreadable {
    /// The name of the backup.
    pub fn name(&self) -> &str {
        let path = match self.key.strip_suffix(MANIFEST) {
            Some(folder) => folder.trim_end_matches('/'),
            None => self.key.strip_suffix(".json").unwrap_or(&self.key),
        };
        path.rsplit('/').next().unwrap_or(path)
    }

    /// The last entry of the backup, which names begin with; the first of all for another name.
    pub(crate) fn index(&self) -> LogIndex {
        let digits = self.name().split('-').next();
        LogIndex(digits.and_then(|digits| digits.parse().ok()).unwrap_or(0))
    }

    /// The folder of a base backup.
    pub(crate) fn folder(&self) -> Option<&str> {
        self.key.strip_suffix(MANIFEST)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read: {}", self.key, self.reason)
    }
}

/// What cannot be read and what to do, as the end of a message; nothing when everything can be.
pub(crate) fn way_out(unreadable: &[Unreadable]) -> String {
    if unreadable.is_empty() {
        return String::new();
    }
    let said: Vec<String> = unreadable.iter().map(Unreadable::to_string).collect();
    format!(
        "; {}. What a newer version of Geode wrote is read by that version; what was altered may be whole in a copy of the archive (--copy), or in \
         an earlier version of the object that the bucket keeps",
        said.join("; ")
    )
}

#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// Reads one entry, from the copy of the archive when the archive's own is no good. The outer error is the store's.
pub(crate) async fn read_entry<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    key: &str,
    formats: RangeInclusive<u32>,
) -> Result<Result<T, Unreadable>, ObjectError> {
    let error = match read_from(store, key, &formats).await {
        Err(error) if error.kind == ErrorKind::Corrupt => error,
        read => return read.map(Ok),
    };
    if let Some(copy) = store.copy()
        && let Ok(read) = read_from(copy, key, &formats).await
    {
        tracing::warn!(%error, "the copy of the archive is read instead");
        return Ok(Ok(read));
    }
    Ok(Err(Unreadable {
        key: key.to_owned(),
        reason: error.detail,
    }))
}

async fn read_from<T: DeserializeOwned>(
    store: &dyn ObjectStore,
    key: &str,
    formats: &RangeInclusive<u32>,
) -> Result<T, ObjectError> {
    let bytes = get_small(store, key, BYTES_MAX).await?;
    let act = || format!("read {}", store.url(key));
    // First, because another format may have other fields.
    let Versioned { format } = serde_json::from_slice(&bytes).map_err(|error| corrupt(act(), error))?;
    if !formats.contains(&format) {
        let detail = if format > *formats.end() {
            format!(
                "its format {format} is newer than {}, the newest that this version of Geode reads",
                formats.end()
            )
        } else {
            format!("there is no format {format}")
        };
        return Err(corrupt(act(), detail));
    }
    serde_json::from_slice(&bytes).map_err(|error| corrupt(act(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_known_by_its_name() {
        let of = |key: &str| Unreadable {
            key: key.to_owned(),
            reason: String::new(),
        };
        let base = of("c/00000001/base/00000000000000000012-0000002a/manifest.json");
        assert_eq!(
            (base.name(), base.index()),
            ("00000000000000000012-0000002a", LogIndex(12))
        );
        let increment = of("c/00000001/backups/00000000000000000900-0000002a.json");
        assert_eq!(
            (increment.name(), increment.index(), increment.folder()),
            ("00000000000000000900-0000002a", LogIndex(900), None)
        );
        assert_eq!(of("c/00000001/backups/notes.json").index(), LogIndex(0));
    }
}
