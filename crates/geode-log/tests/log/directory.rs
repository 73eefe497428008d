//! The log on a real directory: what is written is there after it is opened again, and damage is never passed over.

use crate::common::{all, cluster, options, position, real, record, records};
use geode_log::segment::SegmentReader;
use geode_log::{Log, LogError, RealDisk, RecordKind, Vote, Writer};
use geode_types::{ClusterId, LogIndex, MemberId, Term};
use std::fs;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;

fn vote(term: u64) -> Vote {
    Vote {
        term: Term(term),
        member: MemberId(9),
        committed: true,
    }
}

fn file(directory: &tempfile::TempDir, suffix: &str) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(suffix))
        .unwrap()
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 100);
    log.save_vote(vote(1)).unwrap();
    for start in (0..50).step_by(5) {
        log.append(records(1, start..start + 5, 20)).unwrap();
    }
    let before = all(&log);
    assert_eq!(before, records(1, 0..50, 20));
    drop(log);
    let log = real(directory.path(), 8, 100);
    assert_eq!(all(&log), before);
    assert_eq!(log.state().last, Some(position(1, 49)));
    assert_eq!(log.reader().vote(), Some(vote(1)));
    assert_eq!(log.reader().sealed().len(), 6);
}

#[test]
fn segments_are_the_same_however_the_records_were_batched_and_verify_on_their_own() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    real(one.path(), 16, 1 << 20)
        .append(records(1, 0..40, 30))
        .unwrap();
    let mut log = real(other.path(), 16, 1 << 20);
    for record in records(1, 0..40, 30) {
        log.append(vec![record]).unwrap();
    }
    for name in [".seg", ".open"] {
        assert_eq!(
            fs::read(file(&one, name)).unwrap(),
            fs::read(file(&other, name)).unwrap()
        );
    }
    let sealed = BufReader::new(fs::File::open(file(&one, "15.seg")).unwrap());
    assert_eq!(
        SegmentReader::new(sealed).unwrap().verify().unwrap().last,
        position(1, 15)
    );
}

#[test]
fn a_cut_ends_the_segment_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 4096, 0);
    let mut cut = record(1, 2, 4);
    cut.kind = RecordKind::Cut;
    log.append(vec![record(1, 0, 4), record(1, 1, 4), cut, record(1, 3, 4)])
        .unwrap();
    let sealed = log.reader().sealed();
    assert_eq!((sealed[0].0, sealed[0].1), (LogIndex(0), LogIndex(2)));
    assert_eq!(log.reader().sealed_end_below(LogIndex(3)), Some(position(1, 2)));
    assert_eq!(log.reader().sealed_end_below(LogIndex(1)), None);
}

#[test]
fn a_truncation_removes_the_end_also_in_sealed_segments() {
    for keep in [0, 1, 7, 8, 9, 15, 16, 20, 29] {
        let directory = tempfile::tempdir().unwrap();
        let mut log = real(directory.path(), 8, 64);
        log.save_vote(vote(1)).unwrap();
        log.append(records(1, 0..30, 20)).unwrap();
        log.truncate_after((keep > 0).then(|| position(1, keep - 1)))
            .unwrap();
        log.append(records(2, keep..keep + 12, 20)).unwrap();
        let mut expected = records(1, 0..keep, 20);
        expected.extend(records(2, keep..keep + 12, 20));
        assert_eq!(all(&log), expected, "keep {keep}");
        drop(log);
        assert_eq!(
            all(&real(directory.path(), 8, 64)),
            expected,
            "keep {keep}, opened again"
        );
    }
}

#[test]
fn a_purge_removes_whole_segments_and_is_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 64);
    log.save_vote(vote(1)).unwrap();
    log.append(records(1, 0..30, 20)).unwrap();
    log.purge(position(1, 17)).unwrap();
    assert_eq!(log.reader().sealed().len(), 1);
    drop(log);
    let mut log = real(directory.path(), 8, 64);
    assert_eq!(log.state().purged, Some(position(1, 17)));
    assert_eq!(all(&log), records(1, 18..30, 20));
    // A snapshot that reaches beyond the log: it begins anew after it.
    log.purge(position(3, 99)).unwrap();
    log.append(records(3, 100..104, 20)).unwrap();
    drop(log);
    assert_eq!(all(&real(directory.path(), 8, 64)), records(3, 100..104, 20));
}

#[test]
fn a_torn_tail_is_cut_at_the_last_valid_record() {
    for lost in 1..60 {
        let directory = tempfile::tempdir().unwrap();
        let mut log = real(directory.path(), 4096, 64);
        log.save_vote(vote(1)).unwrap();
        log.append(records(1, 0..10, 20)).unwrap();
        drop(log);
        // The last write was never acknowledged: the mark does not cover it.
        fs::remove_file(directory.path().join("synced")).unwrap();
        let path = file(&directory, ".open");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - lost]).unwrap();
        let mut log = real(directory.path(), 4096, 64);
        let kept = all(&log);
        let last = 10 - lost.div_ceil(45) as u64;
        assert_eq!(kept, records(1, 0..last, 20), "{lost} bytes lost");
        log.append(records(1, last..last + 3, 20)).unwrap();
        drop(log);
        assert_eq!(all(&real(directory.path(), 4096, 64)).len() as u64, last + 3);
    }
}

#[test]
fn damage_in_what_was_durable_is_an_error_that_names_file_and_offset() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 0);
    log.save_vote(vote(1)).unwrap();
    log.append(records(1, 0..12, 20)).unwrap();
    drop(log);
    let open = file(&directory, ".open");
    let sound = fs::read(&open).unwrap();
    for at in [70, 100, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 4;
        fs::write(&open, bytes).unwrap();
        let error = Log::open(Arc::new(RealDisk), directory.path().into(), options(8, 0))
            .err()
            .unwrap();
        assert!(
            matches!(&error, LogError::Corrupt { path, .. } if *path == open),
            "{at}: {error}"
        );
    }
    fs::write(&open, &sound[..sound.len() - 5]).unwrap();
    let error = Log::open(Arc::new(RealDisk), directory.path().into(), options(8, 0))
        .err()
        .unwrap();
    assert!(matches!(error, LogError::Corrupt { .. }), "shorter: {error}");
    fs::write(&open, &sound).unwrap();
    // In a sealed segment damage is found when the record is read.
    let sealed = file(&directory, ".seg");
    let mut bytes = fs::read(&sealed).unwrap();
    bytes[130] ^= 4;
    fs::write(&sealed, bytes).unwrap();
    let log = real(directory.path(), 8, 0);
    let error = log.reader().read(0, 8, usize::MAX).unwrap_err();
    assert!(
        matches!(&error, LogError::Corrupt { path, offset: 109, .. } if *path == sealed),
        "{error}"
    );
    assert_eq!(
        log.reader().read(8, 12, usize::MAX).unwrap(),
        records(1, 8..12, 20)
    );
}

#[test]
fn a_missing_segment_a_lost_vote_and_a_foreign_log_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 0);
    log.save_vote(vote(1)).unwrap();
    log.append(records(1, 0..30, 20)).unwrap();
    drop(log);
    let open = |options| Log::open(Arc::new(RealDisk), directory.path().into(), options).err();
    let mut other = options(8, 0);
    other.cluster = Some(ClusterId(uuid::Uuid::from_u128(8)));
    assert_ne!(other.cluster, Some(cluster()));
    assert!(matches!(open(other), Some(LogError::Foreign { .. })));
    let vote_file = directory.path().join("vote");
    let vote = fs::read(&vote_file).unwrap();
    fs::remove_file(&vote_file).unwrap();
    assert!(matches!(open(options(8, 0)), Some(LogError::Corrupt { .. })));
    fs::write(&vote_file, &vote[1..]).unwrap();
    assert!(matches!(open(options(8, 0)), Some(LogError::Corrupt { .. })));
    fs::write(&vote_file, &vote).unwrap();
    fs::remove_file(file(&directory, "15.seg")).unwrap();
    assert!(matches!(open(options(8, 0)), Some(LogError::Corrupt { .. })));
}

#[test]
fn a_gap_is_refused_and_a_log_without_a_cluster_takes_no_records() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 0);
    log.append(records(1, 0..3, 20)).unwrap();
    assert!(matches!(
        log.append(records(1, 4..5, 20)),
        Err(LogError::Gap {
            found: 4,
            expected: 3
        })
    ));
    let other = tempfile::tempdir().unwrap();
    let mut anonymous = options(8, 0);
    anonymous.cluster = None;
    let mut log = Log::open(Arc::new(RealDisk), other.path().into(), anonymous).unwrap();
    assert!(matches!(
        log.append(records(1, 0..1, 20)),
        Err(LogError::NoCluster)
    ));
    log.set_cluster(cluster()).unwrap();
}

#[test]
fn reads_are_limited_in_bytes_and_large_records_pass() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 4096, 0);
    log.append(records(1, 0..10, 600_000)).unwrap();
    let reader = log.reader();
    assert_eq!(reader.read(3, 10, 1).unwrap(), records(1, 3..4, 600_000));
    assert_eq!(reader.read(3, 10, 1_300_000).unwrap().len(), 2);
    assert_eq!(
        reader.read(0, 10, usize::MAX).unwrap(),
        records(1, 0..10, 600_000)
    );
}

#[test]
fn the_worker_commits_in_groups_and_answers_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, worker) = Writer::new(real(directory.path(), 16, 1 << 20));
    let (sender, receiver) = channel();
    for index in 0..200 {
        let sender = sender.clone();
        let done = Box::new(move |result: Result<(), _>| sender.send((index, result.is_ok())).unwrap());
        writer.append(records(1, index..index + 1, 20), done).unwrap();
    }
    assert_eq!(
        writer.reader().read(0, 200, usize::MAX).unwrap().len(),
        200,
        "readable before they are durable"
    );
    let thread = std::thread::spawn(move || worker.run());
    let answered: Vec<_> = receiver.iter().take(200).collect();
    assert!(
        answered
            .iter()
            .enumerate()
            .all(|(at, answer)| *answer == (at as u64, true))
    );
    writer
        .truncate_after(Some(position(1, 99)), Box::new(|_| ()))
        .unwrap();
    writer.append(records(2, 100..110, 20), Box::new(|_| ())).unwrap();
    writer.close(Box::new(|_| ()));
    thread.join().unwrap();
    let mut expected = records(1, 0..100, 20);
    expected.extend(records(2, 100..110, 20));
    assert_eq!(writer.reader().read(0, 999, usize::MAX).unwrap(), expected);
}

#[test]
fn an_empty_log_may_begin_anywhere() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = real(directory.path(), 8, 0);
    log.save_vote(vote(1)).unwrap();
    log.append(records(1, 5..12, 20)).unwrap();
    assert_eq!(all(&log), records(1, 5..12, 20));
    drop(log);
    assert_eq!(all(&real(directory.path(), 8, 0)), records(1, 5..12, 20));
}
