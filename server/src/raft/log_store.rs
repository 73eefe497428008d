//! openraft's log on `geode-log`: entries become records, completion is told from the log's own thread.

use super::blocking::Blocking;
use super::damage::Damage;
use super::types::{Types, entry_to_record, log_id, position, record_to_entry, vote_from_log, vote_to_log};
use futures::Stream;
use geode_log::{Done, LogError, LogReader, Record, Writer};
use openraft::alias::{EntryOf, LogIdOf, VoteOf};
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::{AsyncRuntime, LogState, OptionalSend, RaftLogReader};
use std::fmt::Debug;
use std::io;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// How much is read at once when committed entries are applied.
const APPLY_READ_BYTES: usize = 1024 * 1024;

/// The log as openraft sees it. Cheap to clone.
pub(super) struct LogStore<R> {
    writer: Writer,
    reader: LogReader,
    blocking: Blocking,
    message_bytes: usize,
    damage: Damage,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Clone for LogStore<R> {
    fn clone(&self) -> Self {
        Self {
            writer: self.writer.clone(),
            reader: self.reader.clone(),
            blocking: self.blocking,
            message_bytes: self.message_bytes,
            damage: self.damage.clone(),
            runtime: PhantomData,
        }
    }
}

impl<R: AsyncRuntime> LogStore<R> {
    pub(super) fn new(writer: Writer, blocking: Blocking, message_bytes: usize, damage: Damage) -> Self {
        Self {
            reader: writer.reader(),
            writer,
            blocking,
            message_bytes,
            damage,
            runtime: PhantomData,
        }
    }

    /// Records of `[from, to)`, from memory when they are recent.
    async fn read(&self, from: u64, to: u64, bytes: usize) -> io::Result<Vec<Record>> {
        if let Some(records) = self.reader.cached(from, to, bytes) {
            return Ok(records);
        }
        let reader = self.reader.clone();
        let read = self.blocking.run(move || reader.read(from, to, bytes)).await?;
        read.map_err(|error| {
            if error.is_corrupt() {
                self.damage.note(&error);
            }
            io::Error::other(error)
        })
    }

    /// Starts an operation and waits until it is durable.
    async fn durable(&self, start: impl FnOnce(&Writer, Done) -> Result<(), LogError>) -> io::Result<()> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done: Done = Box::new(move |result: Result<(), Arc<LogError>>| {
            let _ = sender.send(result);
        });
        start(&self.writer, done).map_err(io::Error::other)?;
        receiver
            .await
            .map_err(|_| io::Error::other(LogError::Closed))?
            .map_err(|error| io::Error::other(error.to_string()))
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(index) => index.saturating_add(1),
        Bound::Excluded(index) => *index,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

fn entries<R: AsyncRuntime>(records: Vec<Record>) -> io::Result<Vec<EntryOf<Types<R>>>> {
    records.into_iter().map(record_to_entry::<R>).collect()
}

impl<R: AsyncRuntime> RaftLogReader<Types<R>> for LogStore<R> {
    async fn try_get_log_entries<B: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: B,
    ) -> Result<Vec<EntryOf<Types<R>>>, io::Error> {
        let (from, to) = bounds(&range);
        entries::<R>(self.read(from, to, usize::MAX).await?)
    }

    async fn read_vote(&mut self) -> Result<Option<VoteOf<Types<R>>>, io::Error> {
        Ok(self.reader.vote().map(vote_from_log::<R>))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<EntryOf<Types<R>>>, io::Error> {
        entries::<R>(self.read(start, end, self.message_bytes).await?)
    }

    async fn entries_stream<B>(
        &mut self,
        range: B,
    ) -> impl Stream<Item = Result<EntryOf<Types<R>>, io::Error>> + OptionalSend
    where
        B: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range);
        let batches = futures::stream::try_unfold((self.clone(), from), move |(store, next)| async move {
            if next >= to {
                return Ok(None);
            }
            let batch = entries::<R>(store.read(next, to, APPLY_READ_BYTES).await?)?;
            let Some(last) = batch.last() else {
                return Ok::<_, io::Error>(None);
            };
            let next = last.log_id.index() + 1;
            Ok(Some((
                futures::stream::iter(batch.into_iter().map(Ok)),
                (store, next),
            )))
        });
        Box::pin(futures::TryStreamExt::try_flatten(batches))
    }
}

impl<R: AsyncRuntime> RaftLogStorage<Types<R>> for LogStore<R> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types<R>>, io::Error> {
        let state = self.reader.state();
        Ok(LogState {
            last_purged_log_id: state.purged.map(log_id::<R>),
            last_log_id: state.last.map(log_id::<R>),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types<R>>) -> Result<(), io::Error> {
        let vote = vote_to_log::<R>(vote);
        self.durable(|writer, done| writer.save_vote(vote, done)).await
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types<R>>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = EntryOf<Types<R>>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let records = entries
            .into_iter()
            .map(entry_to_record::<R>)
            .collect::<io::Result<Vec<_>>>()?;
        let done: Done = Box::new(move |result: Result<(), Arc<LogError>>| {
            callback.io_completed(result.map_err(|error| io::Error::other(error.to_string())));
        });
        self.writer.append(records, done).map_err(io::Error::other)
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types<R>>>) -> Result<(), io::Error> {
        let last = last.as_ref().map(position::<R>);
        self.durable(|writer, done| writer.truncate_after(last, done))
            .await
    }

    async fn purge(&mut self, id: LogIdOf<Types<R>>) -> Result<(), io::Error> {
        let purged = position::<R>(&id);
        self.durable(|writer, done| writer.purge(purged, done)).await
    }
}
