use super::*;
use crate::content::Sha256;
use crate::inventory::{ArchivedSegment, MANIFEST_FORMAT, Manifest};
use crate::layout::Lineage;
use geode_types::{ClusterId, GroupId, Incarnation, Term};

const SECOND: i64 = 1_000_000;

fn range(first: u64, last: u64) -> SegmentRange {
    SegmentRange {
        first: LogIndex(first),
        last: LogIndex(last),
    }
}

fn base(index: u64, finished_second: i64) -> BaseBackup {
    let time = Timestamp::from_second(finished_second).unwrap();
    BaseBackup {
        folder: format!("base/{index}/"),
        manifest: Manifest {
            format: MANIFEST_FORMAT,
            cluster_id: ClusterId(uuid::Uuid::nil()),
            incarnation: Incarnation(1),
            group: GroupId(0),
            index: LogIndex(index),
            term: Term(1),
            state_hash: None,
            started_at: time,
            finished_at: time,
            stored_bytes: 1,
            stored_sha256: Sha256([0; 32]),
            snapshot_bytes: 1,
            snapshot_sha256: Sha256([0; 32]),
            compression: None,
            key: None,
            server_version: String::new(),
        },
    }
}

fn inventory(bases: &[(u64, i64)], segments: &[(u64, u64)]) -> Inventory {
    let segment = |(first, last): &(u64, u64)| ArchivedSegment {
        range: range(*first, *last),
        bytes: 1,
    };
    Inventory {
        lineage: Lineage {
            cluster_id: ClusterId(uuid::Uuid::nil()),
            incarnation: Incarnation(1),
        },
        bases: bases.iter().map(|(index, time)| base(*index, *time)).collect(),
        increments: Vec::new(),
        segments: segments.iter().map(segment).collect(),
        unreadable: Vec::new(),
    }
}

fn planned(inventory: &Inventory, target: RestoreTarget) -> (Option<u64>, Vec<(u64, u64)>) {
    let plan = restore_plan(inventory, target, "here").unwrap();
    let segments = plan
        .segments
        .iter()
        .map(|range| (range.first.0, range.last.0))
        .collect();
    (plan.base.map(|base| base.manifest.index.0), segments)
}

#[test]
fn the_archive_ends_at_its_first_hole() {
    for (next, archived, end) in [
        (0, vec![], 0),
        (0, vec![(0, 9), (10, 19)], 20),
        (0, vec![(0, 9), (20, 29)], 10),
        (0, vec![(5, 9)], 0),
        (0, vec![(0, 9), (5, 14), (15, 15)], 16),
        (12, vec![(10, 19), (20, 29)], 30),
    ] {
        let ranges = archived.iter().map(|(first, last)| range(*first, *last));
        assert_eq!(
            advance(LogIndex(next), ranges),
            LogIndex(end),
            "{next} {archived:?}"
        );
    }
}

#[test]
fn a_hole_ends_the_archive_unless_a_base_backup_covers_it() {
    for (archived, bases, until) in [
        (vec![], vec![7], None),
        (vec![(0, 9), (10, 19)], vec![], Some(20)),
        (vec![(30, 39)], vec![], Some(40)),
        (vec![(0, 9)], vec![100], Some(10)),
        (vec![(0, 9), (20, 29)], vec![18], Some(10)),
        (vec![(0, 9), (20, 29)], vec![19], Some(30)),
        (vec![(0, 9), (20, 29), (40, 49)], vec![25], Some(30)),
        (vec![(0, 9), (20, 29), (40, 49)], vec![45], Some(50)),
    ] {
        let ranges: Vec<_> = archived
            .iter()
            .map(|(first, last)| range(*first, *last))
            .collect();
        let bases: Vec<_> = bases.into_iter().map(LogIndex).collect();
        assert_eq!(
            archived_until(&ranges, &bases),
            until.map(LogIndex),
            "{archived:?} {bases:?}"
        );
    }
}

#[test]
fn a_member_uploads_what_follows_the_archive_and_names_what_it_cannot_fill() {
    for (local, next, uploads, hole) in [
        (vec![], 0, vec![], None),
        (vec![(0, 9), (10, 19)], 0, vec![(0, 9), (10, 19)], None),
        (vec![(0, 9), (10, 19)], 10, vec![(10, 19)], None),
        (vec![(0, 9), (10, 19)], 20, vec![], None),
        (vec![(20, 29)], 10, vec![], Some((10, 19))),
        (vec![(0, 9), (20, 29)], 0, vec![(0, 9)], None),
    ] {
        let ranges: Vec<_> = local.iter().map(|(first, last)| range(*first, *last)).collect();
        let plan = archive_plan(&ranges, LogIndex(next));
        let found: Vec<_> = plan
            .uploads
            .iter()
            .map(|range| (range.first.0, range.last.0))
            .collect();
        assert_eq!(
            (found, plan.hole.map(|hole| (hole.first.0, hole.last.0))),
            (uploads, hole),
            "{local:?} {next}"
        );
    }
}

#[test]
fn the_newest_state_is_the_newest_base_and_what_follows_it() {
    let archive = inventory(&[(5, 100), (25, 200)], &[(0, 9), (10, 19), (20, 29), (30, 39)]);
    assert_eq!(
        planned(&archive, RestoreTarget::Latest),
        (Some(25), vec![(20, 29), (30, 39)])
    );
    let base_only = inventory(&[(25, 200)], &[]);
    assert_eq!(planned(&base_only, RestoreTarget::Latest), (Some(25), vec![]));
    let no_base = inventory(&[], &[(0, 9), (10, 19)]);
    assert_eq!(
        planned(&no_base, RestoreTarget::Latest),
        (None, vec![(0, 9), (10, 19)])
    );
}

#[test]
fn a_hole_before_the_newest_base_does_not_matter() {
    let archive = inventory(&[(25, 200)], &[(0, 9), (20, 29), (30, 39)]);
    assert_eq!(
        planned(&archive, RestoreTarget::Latest),
        (Some(25), vec![(20, 29), (30, 39)])
    );
}

#[test]
fn a_target_index_takes_no_more_than_it_needs() {
    let archive = inventory(&[(5, 100), (25, 200)], &[(0, 9), (10, 19), (20, 29), (30, 39)]);
    for (index, base, segments) in [
        (25, Some(25), vec![]),
        (24, Some(5), vec![(0, 9), (10, 19), (20, 29)]),
        (29, Some(25), vec![(20, 29)]),
        (30, Some(25), vec![(20, 29), (30, 39)]),
        (5, Some(5), vec![]),
        (4, None, vec![(0, 9)]),
    ] {
        assert_eq!(
            planned(&archive, RestoreTarget::Index(LogIndex(index))),
            (base, segments),
            "{index}"
        );
    }
}

#[test]
fn a_target_time_uses_a_base_that_is_surely_older() {
    let archive = inventory(&[(5, 100), (25, 200)], &[(0, 9), (10, 19), (20, 29)]);
    for (second, base) in [
        (1000, Some(25)),
        (210, Some(25)),
        (209, Some(5)),
        (110, Some(5)),
        (109, None),
    ] {
        let target = RestoreTarget::TimeMicros(second * SECOND);
        assert_eq!(planned(&archive, target).0, base, "{second}");
    }
}

#[test]
fn what_is_missing_is_named_and_nothing_is_skipped() {
    let holed = inventory(&[(5, 100)], &[(0, 9), (20, 29)]);
    let missing = RestoreGap::Missing {
        missing: range(10, 19),
        up_to: LogIndex(9),
    };
    let plan = |inventory: &Inventory, target| restore_plan(inventory, target, "s3://b/p");
    assert_eq!(plan(&holed, RestoreTarget::Latest), Err(missing.clone()));
    assert_eq!(plan(&holed, RestoreTarget::Index(LogIndex(15))), Err(missing));
    assert_eq!(
        planned(&holed, RestoreTarget::Index(LogIndex(9))),
        (Some(5), vec![(0, 9)])
    );

    let timed = plan(&holed, RestoreTarget::TimeMicros(120 * SECOND)).unwrap();
    assert_eq!(
        timed.hole,
        Some(range(10, 19)),
        "the replay decides whether the time lies before the hole"
    );

    let whole = inventory(&[(5, 100)], &[(0, 9)]);
    let beyond = plan(&whole, RestoreTarget::Index(LogIndex(10)));
    assert_eq!(
        beyond,
        Err(RestoreGap::NotReached {
            target: LogIndex(10),
            last: LogIndex(9)
        })
    );

    let late = inventory(&[(25, 100)], &[(20, 29)]);
    let early = plan(&late, RestoreTarget::Index(LogIndex(24))).unwrap_err();
    assert!(matches!(early, RestoreGap::BeforeFirst { .. }), "{early}");
    let no_base = plan(&inventory(&[], &[(20, 29)]), RestoreTarget::Latest);
    assert_eq!(no_base, Err(RestoreGap::NoBase { first: LogIndex(20) }));
    let nothing = plan(&inventory(&[], &[]), RestoreTarget::Latest).unwrap_err();
    assert!(nothing.to_string().contains("s3://b/p"));
}
