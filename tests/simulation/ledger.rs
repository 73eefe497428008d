//! The committed entries of a cluster: once a member says that an entry is committed, that entry stands in every log for ever.

use crate::member::Member;
use geode_log::disk::FileSource;
use geode_log::segment::SegmentReader;
use geode_log::{Disk, SegmentName};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::BufReader;
use std::path::Path;

const DIRECTORY: &str = "/wal/group-0";

/// What stands at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) term: u64,
    /// Over kind and payload.
    content: u64,
}

/// Every entry that some member has called committed.
#[derive(Default)]
pub(crate) struct Ledger {
    entries: BTreeMap<u64, Committed>,
}

struct Committed {
    entry: Entry,
    /// The earliest term in which it was called committed. An entry of an earlier term may be committed much later, with the first one of
    /// a new leader (Ongaro and Ousterhout 2014, section 5.4.2); leaders in between need not have it.
    by: u64,
}

impl Ledger {
    /// Compares the entries after `from` in a member's files with what is known, up to what is committed and durable there. Up to where
    /// they were compared: the last ones may not be in the files yet. `term` is the member's.
    pub(crate) fn check(&mut self, member: &Member, from: u64, committed: u64, term: u64) -> u64 {
        let mut compared = from;
        for (index, entry) in entries(member, from) {
            if index > committed {
                break;
            }
            compared = index;
            let first = self.entries.entry(index).or_insert(Committed { entry, by: term });
            first.by = first.by.min(term);
            assert_eq!(
                first.entry, entry,
                "committed entry {index} is another one on member {}",
                member.id
            );
        }
        compared
    }

    /// The last entry that was committed in a term before this one: whoever leads in it must have that entry.
    pub(crate) fn last_before(&self, term: u64) -> Option<u64> {
        let mut entries = self.entries.iter().rev();
        entries
            .find(|(_, committed)| committed.by < term)
            .map(|(index, _)| *index)
    }

    pub(crate) fn term(&self, index: u64) -> Option<u64> {
        self.entries.get(&index).map(|committed| committed.entry.term)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// The entries after `from` that a member's files hold. What is torn at the end of the newest one is not an entry.
fn entries(member: &Member, from: u64) -> Vec<(u64, Entry)> {
    let directory = Path::new(DIRECTORY);
    let mut found = Vec::new();
    for name in member.disk.list(directory).unwrap() {
        match SegmentName::parse(&name) {
            Some(SegmentName::Sealed(_, last)) if last.0 > from => {}
            Some(SegmentName::Open(_)) => {}
            _ => continue,
        }
        let file = member.disk.open(&directory.join(&name)).unwrap();
        let Ok(reader) = SegmentReader::new(BufReader::new(FileSource::new(file, 0))) else {
            continue;
        };
        for record in reader.map_while(Result::ok) {
            let mut content = DefaultHasher::new();
            (record.kind as u8, &record.payload).hash(&mut content);
            let entry = Entry {
                term: record.position.term.0,
                content: content.finish(),
            };
            if record.position.index.0 > from {
                found.push((record.position.index.0, entry));
            }
        }
    }
    found.sort_by_key(|(index, _)| *index);
    found
}

/// Segments of the same name are the same bytes everywhere; the number of names.
pub(crate) fn check_segments(members: &[Member]) -> usize {
    let directory = Path::new(DIRECTORY);
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for member in members {
        for name in member.disk.list(directory).unwrap() {
            if Path::new(&name).extension() != Some("seg".as_ref()) {
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
