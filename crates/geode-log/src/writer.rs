//! Group commit: many callers, one worker that gathers what waits and answers when it is durable.
//!
//! What a caller is told synchronously (a record is readable, a truncation has happened) is so at once; its durability follows in the
//! order of the calls. A full volume is waited out: nothing is answered until there is room. Any other failure is final.

use crate::log::Log;
use crate::reader::LogReader;
use crate::segment::{Position, Record};
use crate::shared::Shared;
use crate::{LogError, Vote};
use geode_types::ClusterId;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How often a full volume is tried again.
const FULL_RETRY: Duration = Duration::from_millis(200);
/// How many bytes of records are gathered before they are written.
const GATHER_BYTES: usize = 4 * crate::log::WRITE_BYTES_MAX;

/// Called once, when an operation is durable or has failed.
pub type Done = Box<dyn FnOnce(Result<(), Arc<LogError>>) + Send>;

enum Operation {
    Append {
        records: Vec<Record>,
        epoch: u64,
        done: Done,
    },
    Vote {
        vote: Vote,
        done: Done,
    },
    Truncate {
        last: Option<Position>,
        done: Done,
    },
    Purge {
        purged: Position,
        done: Done,
    },
    Close {
        done: Done,
    },
}

/// What the writer and the worker both see.
struct Status {
    full: AtomicBool,
    failure: OnceLock<Arc<LogError>>,
}

/// Gives operations to a worker. Cheap to clone; operations take effect in the order of the calls.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
    cluster: Arc<OnceLock<ClusterId>>,
    /// Admission and queueing happen under one lock, so that both have the same order.
    queue: Arc<Mutex<Sender<Operation>>>,
    status: Arc<Status>,
}

/// Executes operations. Either on a thread of its own ([`Worker::run`]) or stepwise, in a simulation.
pub struct Worker {
    log: Log,
    queue: Receiver<Operation>,
    waiting: VecDeque<Operation>,
    /// Records gathered from several appends, not durable yet, and whom to tell when how many more are.
    records: VecDeque<Record>,
    epoch: u64,
    callers: VecDeque<(usize, Done)>,
    status: Arc<Status>,
    closed: bool,
}

/// What a step of the worker came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing waits.
    Idle,
    /// Something was done.
    Busy,
    /// The volume is full; try again later.
    Full,
    /// The log is closed or has failed.
    Ended,
}

impl Writer {
    /// Shares a log. The worker must be run.
    pub fn new(log: Log) -> (Self, Worker) {
        let (sender, receiver) = channel();
        let status = Arc::new(Status {
            full: AtomicBool::new(false),
            failure: OnceLock::new(),
        });
        let writer = Self {
            shared: log.shared.clone(),
            cluster: log.cluster.clone(),
            queue: Arc::new(Mutex::new(sender)),
            status: status.clone(),
        };
        let worker = Worker {
            log,
            queue: receiver,
            waiting: VecDeque::new(),
            records: VecDeque::new(),
            epoch: 0,
            callers: VecDeque::new(),
            status,
            closed: false,
        };
        (writer, worker)
    }

    /// A reader that sees everything this writer was told.
    pub fn reader(&self) -> LogReader {
        LogReader(self.shared.clone())
    }

    /// Whether the volume is full and operations wait for room.
    pub fn is_full(&self) -> bool {
        self.status.full.load(Ordering::Relaxed)
    }

    /// The failure that ended the log.
    pub fn failure(&self) -> Option<Arc<LogError>> {
        self.status.failure.get().cloned()
    }

    /// Says which cluster the log belongs to.
    pub fn set_cluster(&self, cluster: ClusterId) -> Result<(), LogError> {
        let known = *self.cluster.get_or_init(|| cluster);
        if known == cluster {
            return Ok(());
        }
        Err(LogError::Foreign {
            path: self.shared.directory.clone(),
            found: known.to_string(),
            expected: cluster.to_string(),
        })
    }

    /// Appends records: readable when this returns, durable when `done` is called.
    pub fn append(&self, records: Vec<Record>, done: Done) -> Result<(), LogError> {
        self.check()?;
        self.submit(|shared| {
            let mut state = shared.write();
            state.admit(&records)?;
            let epoch = state.epoch;
            Ok(Operation::Append { records, epoch, done })
        })
    }

    /// Saves the vote.
    pub fn save_vote(&self, vote: Vote, done: Done) -> Result<(), LogError> {
        self.check()?;
        self.submit(|_| Ok(Operation::Vote { vote, done }))
    }

    /// Removes every record after `last`.
    pub fn truncate_after(&self, last: Option<Position>, done: Done) -> Result<(), LogError> {
        self.check()?;
        self.submit(|shared| {
            shared.write().truncate(last);
            Ok(Operation::Truncate { last, done })
        })
    }

    /// Forgets every record up to `purged`.
    pub fn purge(&self, purged: Position, done: Done) -> Result<(), LogError> {
        self.check()?;
        self.submit(|shared| {
            shared.write().purge(purged);
            Ok(Operation::Purge { purged, done })
        })
    }

    /// Ends the worker after what was asked before; what waits for room on a full volume is given up.
    pub fn close(&self, done: Done) {
        let _ = self.submit(|_| Ok(Operation::Close { done }));
    }

    fn check(&self) -> Result<(), LogError> {
        match self.failure() {
            Some(failure) => Err(LogError::Failed(failure.to_string())),
            None => Ok(()),
        }
    }

    fn submit(&self, admit: impl FnOnce(&Shared) -> Result<Operation, LogError>) -> Result<(), LogError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let operation = admit(&self.shared)?;
        queue.send(operation).map_err(|_| LogError::Closed)
    }
}

impl Worker {
    /// Works until the log is closed or fails. Blocks.
    pub fn run(mut self) {
        loop {
            match self.step() {
                Step::Busy => {}
                Step::Idle => match self.queue.recv() {
                    Ok(operation) => self.waiting.push_back(operation),
                    Err(_) => return,
                },
                Step::Full => match self.queue.recv_timeout(FULL_RETRY) {
                    Ok(operation) => self.waiting.push_back(operation),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                },
                Step::Ended => return,
            }
        }
    }

    /// Takes up what waits: either one group of appends or one other operation. Never blocks for work.
    pub fn step(&mut self) -> Step {
        if self.closed {
            return Step::Ended;
        }
        loop {
            match self.queue.try_recv() {
                Ok(operation) => self.waiting.push_back(operation),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    if self.waiting.is_empty() && self.records.is_empty() {
                        return Step::Ended;
                    }
                    break;
                }
            }
        }
        self.gather();
        let result = if self.records.is_empty() {
            self.execute()
        } else {
            self.commit()
        };
        self.status.full.store(
            matches!(result, Err(ref error) if error.is_full()),
            Ordering::Relaxed,
        );
        match result {
            Ok(step) => step,
            Err(error) if error.is_full() => self.without_room(),
            Err(error) => self.fail(error),
        }
    }

    /// The volume is full. A purge does not wait behind the appends that need the room it makes; closing does not wait at all.
    fn without_room(&mut self) -> Step {
        if self
            .waiting
            .iter()
            .any(|operation| matches!(operation, Operation::Close { .. }))
        {
            return self.fail(LogError::Closed);
        }
        let stored = self.log.stored.map(|stored| stored.index);
        let helps = |operation: &Operation| match operation {
            Operation::Purge { purged, .. } if Some(purged.index) <= stored => Some(*purged),
            _ => None,
        };
        let Some((at, purged)) = self
            .waiting
            .iter()
            .enumerate()
            .find_map(|(at, operation)| Some((at, helps(operation)?)))
        else {
            return Step::Full;
        };
        match self.log.purge_files(purged) {
            Ok(()) => {
                if let Some(Operation::Purge { done, .. }) = self.waiting.remove(at) {
                    done(Ok(()));
                }
                Step::Busy
            }
            Err(error) if error.is_full() => Step::Full,
            Err(error) => self.fail(error),
        }
    }

    /// Moves the appends at the head of the queue into one group.
    fn gather(&mut self) {
        let mut bytes: usize = self.records.iter().map(Record::encoded_len).sum();
        while bytes < GATHER_BYTES {
            match self.waiting.pop_front() {
                Some(Operation::Append { records, epoch, done })
                    if self.records.is_empty() || epoch == self.epoch =>
                {
                    bytes += records.iter().map(Record::encoded_len).sum::<usize>();
                    self.epoch = epoch;
                    self.callers.push_back((records.len(), done));
                    self.records.extend(records);
                }
                Some(other) => {
                    self.waiting.push_front(other);
                    return;
                }
                None => return,
            }
        }
    }

    /// Writes the group; tells the callers whose records are durable.
    fn commit(&mut self) -> Result<Step, LogError> {
        let before = self.records.len();
        let result = self.log.write(&mut self.records, self.epoch);
        let mut durable = before - self.records.len();
        while let Some((count, _)) = self.callers.front_mut() {
            if *count > durable {
                *count -= durable;
                break;
            }
            durable -= *count;
            if let Some((_, done)) = self.callers.pop_front() {
                done(Ok(()));
            }
        }
        self.log.note_synced()?;
        result.map(|()| Step::Busy)
    }

    fn execute(&mut self) -> Result<Step, LogError> {
        // An empty append has nothing to write and is durable.
        while let Some((_, done)) = self.callers.pop_front() {
            done(Ok(()));
        }
        let result = match self.waiting.front() {
            None => return Ok(Step::Idle),
            Some(Operation::Append { .. }) => return Ok(Step::Busy),
            Some(Operation::Close { .. }) => {
                self.closed = true;
                if let Some(Operation::Close { done }) = self.waiting.pop_front() {
                    done(Ok(()));
                }
                return Ok(Step::Ended);
            }
            Some(Operation::Vote { vote, .. }) => self.log.save_vote(*vote),
            Some(Operation::Truncate { last, .. }) => self.log.truncate_files(*last),
            Some(Operation::Purge { purged, .. }) => self.log.purge_files(*purged),
        };
        result?;
        if let Some(
            Operation::Vote { done, .. } | Operation::Truncate { done, .. } | Operation::Purge { done, .. },
        ) = self.waiting.pop_front()
        {
            done(Ok(()));
        }
        Ok(Step::Busy)
    }

    /// Tells everyone, now and later.
    fn fail(&mut self, error: LogError) -> Step {
        let error = Arc::new(error);
        let _ = self.status.failure.set(error.clone());
        self.closed = true;
        let waiting = std::mem::take(&mut self.waiting);
        let callers = std::mem::take(&mut self.callers)
            .into_iter()
            .map(|(_, done)| done);
        let others = waiting
            .into_iter()
            .chain(self.queue.try_iter())
            .map(|operation| match operation {
                Operation::Append { done, .. }
                | Operation::Vote { done, .. }
                | Operation::Truncate { done, .. }
                | Operation::Purge { done, .. }
                | Operation::Close { done } => done,
            });
        callers.chain(others).for_each(|done| done(Err(error.clone())));
        Step::Ended
    }
}
