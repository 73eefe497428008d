//! A cluster of one member without a network: begin, certify, encode, apply.

use geode_graph::{
    Applied, Certifier, Command, Commit, Conflict, Finished, IdAllocator, LogPosition, Position, Snapshot,
    Transaction, apply, apply_empty, fsck, position,
};
use geode_store::{LmdbOptions, LmdbStore, MemStore, Store, WriteTxn};
use geode_types::{LogIndex, RequestId, Term};
use std::sync::Arc;

pub(crate) struct Rig<S: Store> {
    pub(crate) store: S,
    pub(crate) ids: Arc<IdAllocator>,
    pub(crate) certifier: Certifier,
    pub(crate) log: Vec<(LogPosition, Option<Command>)>,
}

pub(crate) fn memory() -> Rig<MemStore> {
    Rig::new(MemStore::new())
}

pub(crate) fn lmdb(directory: &tempfile::TempDir) -> Rig<LmdbStore> {
    Rig::new(LmdbStore::open(directory.path(), LmdbOptions::default()).unwrap())
}

impl<S: Store> Rig<S> {
    pub(crate) fn new(store: S) -> Self {
        let ids = Arc::new(IdAllocator::seed(&store.read().unwrap()).unwrap());
        let certifier = Certifier::new(Term(1), &Position::default());
        let mut rig = Self {
            store,
            ids,
            certifier,
            log: Vec::new(),
        };
        rig.elect(1);
        rig
    }

    /// A leader of this term: its blank entry is applied, then it certifies.
    pub(crate) fn elect(&mut self, term: u64) {
        let at = LogPosition {
            term: Term(term),
            index: self.next_index(),
        };
        let mut tx = self.store.write().unwrap();
        apply_empty(&mut tx, at).unwrap();
        tx.commit().unwrap();
        self.log.push((at, None));
        let read = self.store.read().unwrap();
        self.ids = Arc::new(IdAllocator::seed(&read).unwrap());
        self.certifier = Certifier::new(Term(term), &position(&read).unwrap());
    }

    fn next_index(&self) -> LogIndex {
        LogIndex(self.log.last().map_or(1, |(at, _)| at.index.0 + 1))
    }

    pub(crate) fn begin(&self) -> Transaction<S::Read> {
        Transaction::begin(self.store.read().unwrap(), self.ids.clone()).unwrap()
    }

    pub(crate) fn view(&self) -> Transaction<S::Read> {
        Transaction::read_only(self.store.read().unwrap()).unwrap()
    }

    pub(crate) fn snapshot(&self) -> Snapshot<S::Read> {
        Snapshot::new(self.store.read().unwrap()).unwrap()
    }

    pub(crate) fn certify(
        &mut self,
        finished: Finished,
        request_id: Option<RequestId>,
    ) -> Result<Command, Conflict> {
        let sequence = self
            .certifier
            .certify(finished.start, &finished.reads, &finished.writes)?;
        Ok(Command::Commit(Box::new(Commit {
            request_id,
            certified_term: self.certifier.term(),
            sequence,
            at_micros: 1_700_000_000_000_000,
            effects: finished.effects,
            summary: finished.summary,
        })))
    }

    /// Applies a command as the next log entry of this term, through its bytes.
    pub(crate) fn apply(&mut self, term: u64, command: &Command) -> Applied {
        let command = Command::decode(&command.encode()).unwrap();
        let at = LogPosition {
            term: Term(term),
            index: self.next_index(),
        };
        let mut tx = self.store.write().unwrap();
        let applied = apply(&mut tx, at, &command).unwrap();
        tx.commit().unwrap();
        self.log.push((at, Some(command)));
        applied
    }

    pub(crate) fn commit(&mut self, tx: Transaction<S::Read>) -> Result<(), Conflict> {
        let command = self.certify(tx.finish(), None)?;
        let applied = self.apply(self.certifier.term().0, &command);
        assert!(matches!(applied, Applied::Committed(_)), "{applied:?}");
        Ok(())
    }

    /// Runs and commits.
    pub(crate) fn write<T>(&mut self, run: impl FnOnce(&mut Transaction<S::Read>) -> T) -> T {
        let mut tx = self.begin();
        let result = run(&mut tx);
        self.commit(tx).unwrap();
        result
    }

    pub(crate) fn check(&self) {
        let report = fsck(&self.store.read().unwrap()).unwrap();
        assert!(report.is_clean(), "{report:#?}");
    }
}
