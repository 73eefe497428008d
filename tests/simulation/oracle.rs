//! What must hold, while things fail and afterwards.

use crate::client::{Append, LISTS, Outcome, Reading, list};
use crate::ledger::Ledger;
use crate::member::Member;
use geode_server::raft::RaftStatus;
use geode_store::Store;
use geode_types::{MemberId, Role};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Remembers what may never be contradicted.
#[derive(Default)]
pub(crate) struct Oracle {
    /// The leader of each term.
    leaders: BTreeMap<u64, MemberId>,
    /// The graph at each applied index that was looked at.
    graphs: BTreeMap<u64, [u8; 32]>,
    ledger: Ledger,
    seen: BTreeMap<MemberId, Seen>,
}

/// How a member was found in its present life.
#[derive(Clone, Copy, Default)]
struct Seen {
    applied: Option<u64>,
    committed: u64,
    /// Committed entries up to here have been compared.
    compared: u64,
}

impl Oracle {
    /// A member's life has ended: the next one may begin further back, and what its files hold is looked at from the start.
    pub(crate) fn forget(&mut self, member: MemberId) {
        self.seen.remove(&member);
    }

    /// Looks at the members as they are now.
    pub(crate) fn observe(&mut self, members: &[Member]) {
        for member in members {
            let Some(process) = &member.process else { continue };
            let status = process.raft.status();
            let mut seen = self.seen.get(&member.id).copied().unwrap_or_default();
            if status.role == Role::Leader {
                self.check_leader(member.id, &status);
            }
            let committed = status.committed.0;
            assert!(
                committed >= seen.committed,
                "member {} takes entry {} back",
                member.id,
                seen.committed
            );
            let (purged, durable) = process.raft.durable();
            seen.compared = seen.compared.max(purged.0);
            if committed.min(durable.0) > seen.compared {
                seen.compared =
                    self.ledger
                        .check(member, seen.compared, committed.min(durable.0), status.term);
            }
            seen.committed = committed;
            if seen.applied != Some(member.applied()) {
                let applied = self.check_graph(member);
                assert!(
                    seen.applied < Some(applied),
                    "member {} went back to {applied}",
                    member.id
                );
                seen.applied = Some(applied);
            }
            self.seen.insert(member.id, seen);
        }
    }

    fn check_leader(&mut self, member: MemberId, status: &RaftStatus) {
        let term = status.term;
        let first = *self.leaders.entry(term).or_insert(member);
        assert_eq!(first, member, "term {term} has two leaders");
        if let Some(due) = self.ledger.last_before(term) {
            assert!(
                status.last_log.0 >= due,
                "member {member} leads in term {term} without the committed entry {due}"
            );
        }
    }

    fn check_graph(&mut self, member: &Member) -> u64 {
        let (applied, hash) = member.graph();
        let first = *self.graphs.entry(applied).or_insert(hash);
        assert_eq!(
            first, hash,
            "member {} has another graph at index {applied}",
            member.id
        );
        let at = geode_graph::position(&member.store.read().unwrap()).unwrap();
        let term = self.ledger.term(applied);
        assert!(
            term.is_none_or(|term| term == at.term.0),
            "member {} has applied entry {applied} of term {}, which is not the committed one",
            member.id,
            at.term
        );
        applied
    }

    /// How many terms had a leader.
    pub(crate) fn terms(&self) -> usize {
        self.leaders.len()
    }

    /// How many committed entries were compared.
    pub(crate) fn entries(&self) -> usize {
        self.ledger.len()
    }
}

/// The lists as a member has them, and where each value stands.
struct Lists {
    lists: BTreeMap<u64, Vec<i64>>,
    places: HashMap<i64, (u64, usize)>,
}

impl Lists {
    fn of(member: &Member) -> Self {
        let (mut lists, mut places) = (BTreeMap::new(), HashMap::new());
        for number in 1..=LISTS {
            let values = list(&member.store, number);
            for (place, value) in values.iter().enumerate() {
                let before = places.insert(*value, (number, place));
                assert_eq!(before, None, "value {value} is there twice");
            }
            lists.insert(number, values);
        }
        Self { lists, places }
    }
}

/// What every client was told must be what the graph says.
pub(crate) fn check_clients(member: &Member, appends: &[Append], readings: &[Reading]) {
    let Lists { lists, places } = Lists::of(member);
    for append in appends {
        let place = places.get(&append.value);
        match append.outcome {
            Outcome::Acknowledged => assert!(place.is_some(), "an acknowledged write is lost: {append:?}"),
            Outcome::Refused => assert_eq!(place, None, "a refused write took effect: {append:?}"),
            Outcome::Unknown => {}
        }
        assert!(
            place.is_none_or(|(number, _)| *number == append.list),
            "{append:?} stands in another list"
        );
    }
    let known: HashSet<i64> = appends.iter().map(|append| append.value).collect();
    assert!(
        places.keys().all(|value| known.contains(value)),
        "a value is there that nobody wrote"
    );
    for number in 1..=LISTS {
        check_order(number, &places, appends);
        check_readings(number, &lists[&number], &places, appends, readings);
    }
    let report = geode_graph::fsck(&member.store.read().unwrap()).unwrap();
    assert!(
        report.is_clean(),
        "the graph contradicts itself: {:?}",
        report.problems
    );
}

/// A write that was acknowledged before another one of the same list began stands before it.
fn check_order(number: u64, places: &HashMap<i64, (u64, usize)>, appends: &[Append]) {
    let mut present: Vec<_> = appends
        .iter()
        .filter(|append| append.list == number)
        .filter_map(|append| Some((places.get(&append.value)?.1, append)))
        .collect();
    present.sort_by_key(|(place, _)| *place);
    let mut earliest_end = u64::MAX;
    for (_, append) in present.iter().rev() {
        assert!(
            append.began < earliest_end,
            "{append:?} stands before a write that was acknowledged before it began"
        );
        if append.outcome == Outcome::Acknowledged {
            earliest_end = earliest_end.min(append.ended);
        }
    }
}

/// Lists only grow at their end, so a reading is the beginning of the list; and it has everything that was acknowledged before it began.
fn check_readings(
    number: u64,
    values: &[i64],
    places: &HashMap<i64, (u64, usize)>,
    appends: &[Append],
    readings: &[Reading],
) {
    for reading in readings.iter().filter(|reading| reading.list == number) {
        assert!(
            values.starts_with(&reading.values),
            "list {number} was read as something that it never was: {:?}",
            reading.values
        );
        let due = appends
            .iter()
            .filter(|append| append.list == number && append.outcome == Outcome::Acknowledged)
            .filter(|append| append.ended < reading.began)
            .map(|append| places[&append.value].1 + 1)
            .max();
        assert!(
            due.is_none_or(|due| reading.values.len() >= due),
            "a read of list {number} saw {} values although {due:?} had been acknowledged before",
            reading.values.len()
        );
    }
}
