//! The log on a disk that loses power, fills up and fails: nothing that was answered is lost, nothing else is ever an error.

use crate::common::{options, position, record, records};
use geode_log::disk::{Fault, MemoryDisk};
use geode_log::{Log, LogError, Position, Record, Step, Vote, Writer};
use geode_types::{MemberId, Term};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// SplitMix64: the seed is the whole state.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }
}

fn open(disk: &MemoryDisk) -> Result<Log, LogError> {
    Log::open(
        Arc::new(disk.clone()),
        PathBuf::from("/wal/group-0"),
        options(8, 200),
    )
}

/// What the log must hold: every answered operation, and of the one that was under way any part.
#[derive(Clone, Default)]
struct Model {
    records: Vec<Record>,
    purged: Option<Position>,
    vote: Option<Vote>,
}

fn places(records: &[Record]) -> Vec<(u64, u64)> {
    records
        .iter()
        .map(|record| (record.position.term.0, record.position.index.0))
        .collect()
}

fn check(seed: u64, log: &Log, sure: &Model, maybe: &Model) {
    let line = format!("replay with seed {seed}");
    let state = log.state();
    assert!(
        state.purged == sure.purged || state.purged == maybe.purged,
        "{line}: purged {:?}",
        state.purged
    );
    let vote = log.reader().vote();
    assert!(vote == sure.vote || vote == maybe.vote, "{line}: vote {vote:?}");
    let held = log.reader().read(0, u64::MAX, usize::MAX).unwrap();
    let start = log.first_index().0;
    let tail = |model: &Model| -> Vec<Record> {
        model
            .records
            .iter()
            .filter(|record| record.position.index.0 >= start)
            .cloned()
            .collect()
    };
    let (sure, maybe) = (tail(sure), tail(maybe));
    let common = sure.iter().zip(&maybe).take_while(|(a, b)| a == b).count();
    assert!(
        held.len() >= common,
        "{line}: {} records held, {common} are sure",
        held.len()
    );
    let prefix = |of: &[Record]| held.len() <= of.len() && held == of[..held.len()];
    assert!(
        prefix(&sure) || prefix(&maybe),
        "{line}: the records held were never written: {:?} from {start}, sure {:?}, maybe {:?}",
        places(&held),
        places(&sure),
        places(&maybe)
    );
}

fn live_and_die(seed: u64) {
    let random = &mut Random(seed);
    let disk = MemoryDisk::new();
    let mut sure = Model::default();
    let mut term = 1;
    for _life in 0..6 {
        let mut log = open(&disk).unwrap_or_else(|error| panic!("replay with seed {seed}: {error}"));
        check(seed, &log, &sure, &sure);
        sure.records = log.reader().read(0, u64::MAX, usize::MAX).unwrap();
        disk.fault(Fault::DieAfter(random.below(60)));
        let mut maybe = sure.clone();
        loop {
            let next = log.state().last.map_or(0, |last| last.index.0 + 1);
            let result = match random.below(10) {
                0 => {
                    term += 1;
                    let vote = Vote {
                        term: Term(term),
                        member: MemberId(1),
                        committed: false,
                    };
                    maybe.vote = Some(vote);
                    log.save_vote(vote)
                }
                1 if next > log.first_index().0 => {
                    let keep = log.first_index().0 + random.below(next - log.first_index().0);
                    maybe.records.retain(|record| record.position.index.0 < keep);
                    let last = maybe
                        .records
                        .last()
                        .map(|record| record.position)
                        .or(maybe.purged);
                    log.truncate_after(last)
                }
                2 if next > log.first_index().0 => {
                    let index = log.first_index().0 + random.below(next - log.first_index().0);
                    let purged = maybe
                        .records
                        .iter()
                        .find(|record| record.position.index.0 == index)
                        .unwrap();
                    maybe.purged = Some(purged.position);
                    maybe.records.retain(|record| record.position.index.0 > index);
                    log.purge(maybe.purged.unwrap())
                }
                3 if maybe.vote.is_some() && random.below(4) == 0 => {
                    maybe.purged = Some(position(term, next + 5));
                    maybe.records.clear();
                    log.purge(maybe.purged.unwrap())
                }
                _ if maybe.vote.is_none() => continue,
                _ => {
                    let count = 1 + random.below(6);
                    let new: Vec<_> = (next..next + count)
                        .map(|index| record(term, index, random.below(900) as usize))
                        .collect();
                    maybe.records.extend(new.iter().cloned());
                    log.append(new)
                }
            };
            if result.is_err() {
                break;
            }
            sure = maybe.clone();
        }
        drop(log);
        disk.lose_power(&mut |bound| random.below(bound));
        let log = open(&disk).unwrap_or_else(|error| panic!("replay with seed {seed}: {error}"));
        check(seed, &log, &sure, &maybe);
        sure = Model {
            records: log.reader().read(0, u64::MAX, usize::MAX).unwrap(),
            purged: log.state().purged,
            vote: log.reader().vote(),
        };
    }
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_answered() {
    let first = std::env::var("GEODE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    match first {
        Some(seed) => live_and_die(seed),
        None => (0..2000).for_each(live_and_die),
    }
}

#[test]
fn a_full_volume_is_waited_out_and_a_failed_sync_is_final() {
    let disk = MemoryDisk::new();
    let (writer, mut worker) = Writer::new(open(&disk).unwrap());
    let answered = Arc::new(AtomicU64::new(0));
    let failed = Arc::new(Mutex::new(None));
    let append = |range: std::ops::Range<u64>| {
        let (answered, failed, count) = (answered.clone(), failed.clone(), range.end - range.start);
        let done = Box::new(move |result: Result<(), Arc<LogError>>| match result {
            Ok(()) => drop(answered.fetch_add(count, Ordering::SeqCst)),
            Err(error) => *failed.lock().unwrap() = Some(error.to_string()),
        });
        writer.append(records(1, range, 100), done).unwrap();
    };
    disk.fault(Fault::Limit(1500));
    append(0..30);
    while worker.step() == Step::Busy {}
    assert_eq!(worker.step(), Step::Full);
    assert!(writer.is_full());
    assert_eq!(answered.load(Ordering::SeqCst), 0);
    disk.fault(Fault::None);
    while worker.step() == Step::Busy {}
    assert_eq!(answered.load(Ordering::SeqCst), 30);
    assert!(!writer.is_full());
    disk.fault(Fault::FailSync);
    append(30..31);
    assert_eq!(worker.step(), Step::Ended);
    assert!(failed.lock().unwrap().as_deref().unwrap().contains("sync"));
    assert!(matches!(
        writer.append(records(1, 31..32, 1), Box::new(|_| ())),
        Err(LogError::Failed(_))
    ));
}

#[test]
fn a_purge_makes_room_for_the_appends_that_wait_before_it() {
    let disk = MemoryDisk::new();
    let mut log = open(&disk).unwrap();
    log.append(records(1, 0..32, 100)).unwrap();
    let (writer, mut worker) = Writer::new(log);
    disk.fault(Fault::Limit(7_000));
    let answered = Arc::new(AtomicU64::new(0));
    let counted = answered.clone();
    let done = Box::new(move |result: Result<(), Arc<LogError>>| {
        counted.fetch_add(u64::from(result.is_ok()), Ordering::SeqCst);
    });
    writer.append(records(1, 32..60, 100), done).unwrap();
    for _ in 0..20 {
        worker.step();
    }
    assert!(writer.is_full());
    writer.purge(position(1, 23), Box::new(|_| ())).unwrap();
    for _ in 0..20 {
        worker.step();
    }
    assert!(!writer.is_full());
    assert_eq!(answered.load(Ordering::SeqCst), 1);
    writer.close(Box::new(|_| ()));
    assert_eq!(worker.step(), Step::Ended);
}
