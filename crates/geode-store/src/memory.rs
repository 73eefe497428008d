//! The store in memory, for simulations, tests and throw-away shells. It can be told to fail, and to lose what a power cut
//! may take from [`crate::LmdbStore`]: what was committed since the last [`Store::sync`].

use crate::tree::{Tree, TreeRange};
use crate::{Entry, Loader, ReadTxn, Reader, Result, Store, StoreError, StoreSize, WriteTxn, check_key};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A store in memory. Clones share the content.
#[derive(Clone, Default)]
pub struct MemStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Held by the writer from begin to commit.
    writer: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    live: Tree,
    /// What a power cut falls back to: the state of the last sync.
    durable: Tree,
    failure: Option<Failure>,
    limit_bytes: Option<u64>,
}

/// An error that the next commit or sync returns.
#[derive(Clone, Copy)]
enum Failure {
    Commit(io::ErrorKind),
}

/// A snapshot of a [`MemStore`].
pub struct MemRead {
    tree: Tree,
}

/// The writer of a [`MemStore`].
pub struct MemWrite<'a> {
    shared: &'a Shared,
    _writer: MutexGuard<'a, ()>,
    tree: Tree,
    limit_bytes: Option<u64>,
}

/// The loader of a [`MemStore`].
pub struct MemLoader<'a> {
    writer: MemWrite<'a>,
    last: Vec<u8>,
}

/// Entries of a range.
pub struct MemRange<'a>(TreeRange<'a>);

impl MemStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next commit fails with this kind of I/O error (`StorageFull` becomes [`StoreError::Full`]) and writes nothing.
    pub fn fail_next_commit(&self, kind: io::ErrorKind) {
        self.shared.state().failure = Some(Failure::Commit(kind));
    }

    /// From now on writes fail with [`StoreError::Full`] when keys and values together exceed this.
    pub fn limit_bytes(&self, limit: Option<u64>) {
        self.shared.state().limit_bytes = limit;
    }

    /// What a crash does: what was not synced is gone.
    pub fn lose_power(&self) {
        let mut state = self.shared.state();
        state.live = state.durable.clone();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, tree: Tree) -> Result<()> {
        let mut state = self.state();
        if let Some(Failure::Commit(kind)) = state.failure.take() {
            return Err(StoreError::io("commit", io::Error::new(kind, "injected failure")));
        }
        state.live = tree;
        Ok(())
    }
}

impl Store for MemStore {
    type Read = MemRead;
    type Write<'a> = MemWrite<'a>;
    type Loader<'a> = MemLoader<'a>;

    fn read(&self) -> Result<MemRead> {
        Ok(MemRead {
            tree: self.shared.state().live.clone(),
        })
    }

    fn write(&self) -> Result<MemWrite<'_>> {
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.shared.state();
        let (tree, limit_bytes) = (state.live.clone(), state.limit_bytes);
        Ok(MemWrite {
            shared: &self.shared,
            _writer: writer,
            tree,
            limit_bytes,
        })
    }

    fn load(&self) -> Result<MemLoader<'_>> {
        let mut writer = self.write()?;
        writer.tree = Tree::default();
        Ok(MemLoader {
            writer,
            last: Vec::new(),
        })
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.shared.state();
        state.durable = state.live.clone();
        Ok(())
    }

    fn size(&self) -> Result<StoreSize> {
        let state = self.shared.state();
        Ok(StoreSize {
            used_bytes: state.live.bytes() as u64,
            limit_bytes: state.limit_bytes.unwrap_or(u64::MAX),
            entries: state.live.entries() as u64,
        })
    }
}

impl<'a> Iterator for MemRange<'a> {
    type Item = Result<Entry<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Ok)
    }
}

macro_rules! read_from_tree {
    () => {
        fn get(&self, key: &[u8]) -> Result<Option<&[u8]>> {
            Ok(self.tree.get(key))
        }

        fn range(&self, from: &[u8], to: Option<&[u8]>) -> Result<MemRange<'_>> {
            Ok(MemRange(self.tree.range(from, to)))
        }

        fn last(&self, from: &[u8], to: &[u8]) -> Result<Option<Entry<'_>>> {
            Ok(self.tree.before(to).filter(|(key, _)| *key >= from))
        }
    };
}

impl Reader for MemRead {
    type Range<'a> = MemRange<'a>;
    read_from_tree!();
}

impl ReadTxn for MemRead {
    fn again(&self) -> Result<Option<Self>> {
        Ok(Some(Self {
            tree: self.tree.clone(),
        }))
    }
}

impl Reader for MemWrite<'_> {
    type Range<'b>
        = MemRange<'b>
    where
        Self: 'b;
    read_from_tree!();
}

impl WriteTxn for MemWrite<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        self.tree.put(key, value);
        match self.limit_bytes {
            Some(limit) if self.tree.bytes() as u64 > limit => Err(StoreError::Full {
                act: "write a key",
                detail: format!("the limit of {limit} bytes"),
            }),
            _ => Ok(()),
        }
    }

    fn delete(&mut self, key: &[u8]) -> Result<bool> {
        check_key(key)?;
        Ok(self.tree.delete(key))
    }

    fn commit(self) -> Result<()> {
        self.shared.publish(self.tree)
    }
}

impl Loader for MemLoader<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        check_key(key)?;
        if self.last.as_slice() >= key {
            return Err(StoreError::NotAscending);
        }
        self.last = key.to_vec();
        self.writer.put(key, value)
    }

    fn finish(self) -> Result<()> {
        self.writer.shared.publish(self.writer.tree)?;
        let mut state = self.writer.shared.state();
        state.durable = state.live.clone();
        Ok(())
    }
}
