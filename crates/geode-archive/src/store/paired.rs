//! An archive and its copy as one store for reading: what the first does not have, or does not give, comes from the second. It writes to the first alone.

use super::{
    Answer, ErrorKind, LIST_PAGE, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored,
};
use crate::content::Content;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::io::AsyncRead;

/// Two stores with the same keys.
#[derive(Debug)]
pub struct PairedStore {
    first: Arc<dyn ObjectStore>,
    second: Arc<dyn ObjectStore>,
}

impl PairedStore {
    /// An archive and its copy.
    pub fn new(first: Arc<dyn ObjectStore>, second: Arc<dyn ObjectStore>) -> Self {
        Self { first, second }
    }
}

/// Whether the other place may help.
fn may_help(error: &ObjectError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Unavailable | ErrorKind::Denied
    )
}

/// The first failure is the one to tell.
fn either<T>(failed: ObjectError, other: Result<T, ObjectError>) -> Result<T, ObjectError> {
    if other.is_ok() {
        tracing::warn!(error = %failed, "the copy of the archive is read instead");
    }
    other.map_err(|_| failed)
}

impl ObjectStore for PairedStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, content: &'a Content) -> Answer<'a, Put> {
        self.first.put_if_absent(key, content)
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        body: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        self.first.put_stream(key, body)
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        Box::pin(async move {
            match self.first.get_range(key, offset, length).await {
                Err(error) if may_help(&error) => {
                    either(error, self.second.get_range(key, offset, length).await)
                }
                found => found,
            }
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        Box::pin(async move {
            match self.first.head(key).await {
                Ok(None) => self.second.head(key).await,
                Err(error) if may_help(&error) => either(error, self.second.head(key).await),
                found => found,
            }
        })
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        Box::pin(async move {
            match self.first.stored_at(key).await {
                Ok(None) => self.second.stored_at(key).await,
                Err(error) if may_help(&error) => either(error, self.second.stored_at(key).await),
                found => found,
            }
        })
    }

    /// What is in either.
    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        Box::pin(async move {
            let first = match self.first.list(prefix, after).await {
                Err(error) if may_help(&error) => {
                    return either(error, self.second.list(prefix, after).await);
                }
                first => first?,
            };
            // The archive alone is fine when its copy cannot be asked.
            let second = self.second.list(prefix, after).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "the copy of the archive cannot be listed");
                Vec::new()
            });
            Ok(merge(first, second))
        })
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        self.first.delete(key)
    }

    fn url(&self, key: &str) -> String {
        self.first.url(key)
    }

    fn copy(&self) -> Option<&dyn ObjectStore> {
        Some(&*self.second)
    }
}

/// Two pages in one. Behind the end of a page that is full nothing is known of that store.
fn merge(first: Vec<Listed>, second: Vec<Listed>) -> Vec<Listed> {
    let full = [&first, &second]
        .into_iter()
        .filter(|page| page.len() >= LIST_PAGE);
    let known = full
        .filter_map(|page| page.last().map(|last| last.key.clone()))
        .min();
    let mut all: Vec<Listed> = first.into_iter().chain(second).collect();
    // Stable: of two the first store's entry stays.
    all.sort_by(|one, other| one.key.cmp(&other.key));
    all.dedup_by(|next, kept| next.key == kept.key);
    all.retain(|entry| known.as_ref().is_none_or(|known| entry.key <= *known));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn an_object_was_stored_when_the_place_that_has_it_says() {
        let (first, second) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        second
            .put_if_absent("late", &Content::from_bytes("x"))
            .await
            .unwrap();
        let at = second.stored_at("late").await.unwrap();
        let paired = PairedStore::new(first.clone(), second);
        assert!(at.is_some());
        assert_eq!(paired.stored_at("late").await.unwrap(), at);
        assert_eq!(paired.stored_at("nowhere").await.unwrap(), None);
        first
            .put_if_absent("late", &Content::from_bytes("x"))
            .await
            .unwrap();
        let own = first.stored_at("late").await.unwrap();
        assert_eq!(
            paired.stored_at("late").await.unwrap(),
            own,
            "the archive is asked first"
        );
    }
}
