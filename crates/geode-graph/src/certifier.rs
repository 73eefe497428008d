//! Decides whether a transaction may commit: nothing that it read may have been written by a commit that its snapshot does
//! not contain. Together with commits in the order of their numbers this makes histories serializable.
//!
//! Pure: one certifier lives on the leader for one term, behind a lock that is held until the command has been handed to
//! Raft, so that numbers and log order agree. (A command that arrives out of order is void, see `apply`.)

use crate::position::Position;
use crate::readset::{ReadSet, Touch, WriteSet};
use crate::schema::{KeyRange, RuleId};
use geode_types::{ErrorClass, QueryError, Term};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How many writes the certifier remembers. Snapshots older than what they cover conflict and are tried again.
pub const WINDOW_TOUCHES: usize = 1 << 19;

/// Why a transaction may not commit. It may be run again on a new snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Something that was read has been written since.
    #[error("another transaction has changed what this one read ({what:?})")]
    Changed {
        /// What.
        what: Touch,
    },
    /// The snapshot is older than the certifier's memory.
    #[error("the transaction took too long: too much has been written since it began")]
    TooOld,
    /// The snapshot was taken under another leader.
    #[error("the leader changed since the transaction began")]
    OtherTerm,
}

impl From<Conflict> for QueryError {
    fn from(conflict: Conflict) -> Self {
        Self::runtime(
            ErrorClass::ConflictError,
            "TransactionConflict",
            "40000",
            conflict.to_string(),
        )
        .hint("run the transaction again")
    }
}

/// The certifier of one term.
#[derive(Debug)]
pub struct Certifier {
    term: Term,
    last: u64,
    /// Snapshots below this number cannot be judged any more.
    floor: u64,
    window_touches: usize,
    /// The last commit that wrote a thing.
    written: Written,
    /// What each commit wrote, oldest first.
    window: VecDeque<(u64, WriteSet)>,
    remembered: usize,
}

impl Certifier {
    /// The certifier of this term. `applied` is the position when the term's first entry has been applied.
    pub fn new(term: Term, applied: &Position) -> Self {
        Self::with_window(term, applied, WINDOW_TOUCHES)
    }

    /// The same with a window of this many writes.
    pub fn with_window(term: Term, applied: &Position, window_touches: usize) -> Self {
        Self {
            term,
            last: applied.sequence,
            floor: applied.sequence,
            window_touches,
            written: Written::default(),
            window: VecDeque::new(),
            remembered: 0,
        }
    }

    /// The term it certifies for.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Lets a transaction commit and numbers it, or says what stands against it. `start` is the position of its snapshot.
    pub fn certify(&mut self, start: Position, reads: &ReadSet, writes: &WriteSet) -> Result<u64, Conflict> {
        if start.term != self.term {
            return Err(Conflict::OtherTerm);
        }
        if start.sequence < self.floor {
            return Err(Conflict::TooOld);
        }
        let changed = |touch: &&Touch| self.written.since(touch, start.sequence);
        if let Some(what) = reads.iter().filter(changed).min() {
            return Err(Conflict::Changed { what: what.clone() });
        }
        self.last += 1;
        self.remember(writes);
        Ok(self.last)
    }

    /// Takes back a number whose command was certainly not handed to Raft, so that nobody keeps conflicting with it.
    pub fn abandon(&mut self, sequence: u64) {
        let Ok(place) = self.window.binary_search_by_key(&sequence, |(number, _)| *number) else {
            return;
        };
        let Some((_, writes)) = self.window.remove(place) else {
            return;
        };
        // Which commit wrote a thing before is not known any more. It can have been any that is still remembered, but none that was taken back:
        // no snapshot will ever have one of these.
        let before = place.checked_sub(1).and_then(|before| self.window.get(before));
        let before = before.map_or(self.floor, |(number, _)| *number);
        for touch in writes.iter() {
            if let Some(last) = self.written.get_mut(touch).filter(|last| **last == sequence) {
                *last = before;
            }
        }
        self.remembered -= writes.0.len();
    }

    fn remember(&mut self, writes: &WriteSet) {
        for touch in writes.iter() {
            self.written.insert(touch, self.last);
        }
        self.remembered += writes.0.len();
        self.window.push_back((self.last, writes.clone()));
        while self.remembered > self.window_touches {
            let Some((sequence, forgotten)) = self.window.pop_front() else {
                break;
            };
            for touch in forgotten.iter() {
                self.written.forget(touch, sequence);
            }
            self.remembered -= forgotten.0.len();
            self.floor = sequence;
        }
    }
}

/// The last commit that wrote each thing. Entries of indexes are in order, because ranges of them are read.
#[derive(Debug, Default)]
struct Written {
    points: HashMap<Touch, u64>,
    entries: BTreeMap<(RuleId, Box<[u8]>), u64>,
}

impl Written {
    /// Whether a commit after this one wrote what was read.
    fn since(&self, read: &Touch, sequence: u64) -> bool {
        match read {
            Touch::IndexRange(rule, range) => self.range(*rule, range).any(|last| last > sequence),
            point => self.points.get(point).is_some_and(|last| *last > sequence),
        }
    }

    fn range(&self, rule: RuleId, range: &KeyRange) -> impl Iterator<Item = u64> {
        self.entries
            .range((rule, range.from.clone())..)
            .take_while(move |((of, values), _)| *of == rule && range.contains(values))
            .map(|(_, last)| *last)
    }

    fn insert(&mut self, touch: &Touch, sequence: u64) {
        match touch {
            Touch::IndexEntry(rule, values) => self.entries.insert((*rule, values.clone()), sequence),
            point => self.points.insert(point.clone(), sequence),
        };
    }

    fn get_mut(&mut self, touch: &Touch) -> Option<&mut u64> {
        match touch {
            Touch::IndexEntry(rule, values) => self.entries.get_mut(&(*rule, values.clone())),
            point => self.points.get_mut(point),
        }
    }

    /// Forgets a thing that no commit after this one has written.
    fn forget(&mut self, touch: &Touch, sequence: u64) {
        if self.get_mut(touch).is_none_or(|last| *last > sequence) {
            return;
        }
        match touch {
            Touch::IndexEntry(rule, values) => self.entries.remove(&(*rule, values.clone())),
            point => self.points.remove(point),
        };
    }
}
