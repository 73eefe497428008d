//! What must hold, while things fail and afterwards.

use crate::client::{Append, LISTS, Outcome, list};
use crate::member::Member;
use geode_log::Disk;
use geode_types::Role;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Remembers what may never be contradicted.
#[derive(Default)]
pub(crate) struct Oracle {
    /// The leader of each term.
    leaders: BTreeMap<u64, u64>,
    /// The graph at each applied index that was looked at.
    graphs: BTreeMap<u64, [u8; 32]>,
}

impl Oracle {
    /// Looks at the members as they are now.
    pub(crate) fn observe(&mut self, members: &[Member]) {
        for member in members {
            let Some(process) = &member.process else { continue };
            let status = process.raft.status();
            if status.role == Role::Leader {
                let first = *self.leaders.entry(status.term).or_insert(member.id.0);
                assert_eq!(first, member.id.0, "term {} has two leaders", status.term);
            }
            let (applied, hash) = member.graph();
            let first = *self.graphs.entry(applied).or_insert(hash);
            assert_eq!(
                first, hash,
                "member {} has another graph at index {applied}",
                member.id
            );
        }
    }

    pub(crate) fn terms(&self) -> usize {
        self.leaders.len()
    }
}

/// What every client was told must be what the graph says.
pub(crate) fn check_appends(member: &Member, appends: &[Append]) {
    let mut places: HashMap<i64, (u64, usize)> = HashMap::new();
    for number in 1..=LISTS {
        for (place, value) in list(&member.store, number).into_iter().enumerate() {
            let before = places.insert(value, (number, place));
            assert_eq!(before, None, "value {value} is there twice");
        }
    }
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
    let known: std::collections::HashSet<i64> = appends.iter().map(|append| append.value).collect();
    assert!(
        places.keys().all(|value| known.contains(value)),
        "a value is there that nobody wrote"
    );
    check_order(&places, appends);
}

/// A write that was acknowledged before another one of the same list began stands before it.
fn check_order(places: &HashMap<i64, (u64, usize)>, appends: &[Append]) {
    for number in 1..=LISTS {
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
}

/// Segments of the same name are the same bytes everywhere.
pub(crate) fn check_segments(members: &[Member]) -> usize {
    let directory = Path::new("/wal/group-0");
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for member in members {
        for name in member.disk.list(directory).unwrap() {
            if !name.ends_with(".seg") {
                continue;
            }
            let bytes = geode_log::disk::read_all(&member.disk, &directory.join(&name))
                .unwrap()
                .unwrap();
            let first = contents.entry(name.clone()).or_insert_with(|| bytes.clone());
            assert!(*first == bytes, "segment {name} of member {} differs", member.id);
        }
    }
    contents.len()
}
