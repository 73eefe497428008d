//! A wrapper through which nothing can be written or deleted, for those who only look: a test of a restore must not touch what it tests,
//! whatever the credentials would allow.

use super::{Answer, ErrorKind, Listed, ObjectError, ObjectInfo, ObjectStore, Put, Reader, Stored};
use crate::content::Content;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::io::AsyncRead;

/// A store that can be read.
#[derive(Debug)]
pub struct ReadOnlyStore(Arc<dyn ObjectStore>);

impl ReadOnlyStore {
    /// Around a store.
    pub fn new(inner: Arc<dyn ObjectStore>) -> Self {
        Self(inner)
    }

    fn refused<T: Send + 'static>(&self, act: &str, key: &str) -> Answer<'static, T> {
        let error = ObjectError::new(
            ErrorKind::Denied,
            format!("{act} {}", self.0.url(key)),
            "this archive is only read here",
        );
        Box::pin(std::future::ready(Err(error)))
    }
}

impl ObjectStore for ReadOnlyStore {
    fn put_if_absent<'a>(&'a self, key: &'a str, _: &'a Content) -> Answer<'a, Put> {
        self.refused("write", key)
    }

    fn put_stream<'a>(
        &'a self,
        key: &'a str,
        _: &'a mut (dyn AsyncRead + Send + Unpin),
    ) -> Answer<'a, Stored> {
        self.refused("write", key)
    }

    fn get_range<'a>(&'a self, key: &'a str, offset: u64, length: Option<u64>) -> Answer<'a, Reader> {
        self.0.get_range(key, offset, length)
    }

    fn head<'a>(&'a self, key: &'a str) -> Answer<'a, Option<ObjectInfo>> {
        self.0.head(key)
    }

    fn stored_at<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Timestamp>> {
        self.0.stored_at(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Answer<'a, Vec<Listed>> {
        self.0.list(prefix, after)
    }

    fn delete<'a>(&'a self, key: &'a str) -> Answer<'a, ()> {
        self.refused("delete", key)
    }

    fn url(&self, key: &str) -> String {
        self.0.url(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, get_small};

    #[tokio::test]
    async fn what_is_only_read_cannot_be_written_or_deleted() {
        let inner = Arc::new(MemoryStore::new());
        inner.put_if_absent("a", &Content::from_bytes("x")).await.unwrap();
        let store = ReadOnlyStore::new(inner.clone());
        let mut body: &[u8] = b"y";
        let denied = [
            store
                .put_if_absent("b", &Content::from_bytes("y"))
                .await
                .unwrap_err(),
            store.put_stream("c", &mut body).await.unwrap_err(),
            store.delete("a").await.unwrap_err(),
        ];
        assert!(
            denied.iter().all(|error| error.kind == ErrorKind::Denied),
            "{denied:?}"
        );
        let left: Vec<String> = store
            .list("", "")
            .await
            .unwrap()
            .into_iter()
            .map(|listed| listed.key)
            .collect();
        assert_eq!(left, ["a"]);
        assert_eq!(get_small(&store, "a", 10).await.unwrap(), b"x");
    }
}
