use super::*;
use crate::fake::{FakeServer, cluster_id, seal, status};
use geode_archive::{
    DirectoryStore, FailingStore, Fault, Lineage, MemoryStore, Operation, SoundSegment, bases, upload_segment,
};
use geode_types::{
    CleanedUp, GraphSelection, Incarnation, LogIndex, RESTORE_FILE, RestoreGoal, RestoreTarget, Retention,
};
use std::path::Path;

fn task(name: &str, kind: TaskKind) -> Task {
    Task {
        name: name.to_owned(),
        kind,
    }
}

fn backup_kind() -> TaskKind {
    TaskKind::Backup {
        retention: None,
        kind: BackupKind::Full,
    }
}

fn worker(server: &Arc<FakeServer>, archive: Option<Arc<dyn ObjectStore>>, data_dir: &Path) -> Worker {
    let mut seen = Seen::new(Instant::now());
    seen.answer = Some((Arc::new(status()), Instant::now() + Duration::from_secs(3600)));
    let context = Context {
        server: server.clone(),
        archive,
        copy: None,
        copy_access: None,
        codec: Codec::default(),
        access: Access::default(),
        data_dir: data_dir.to_owned(),
        metrics: Metrics::new(),
        seen: watch::channel(seen).1,
    };
    Worker::new(context, Arc::new(Shared::default()))
}

/// Rounds until the task has an end.
async fn done(worker: &mut Worker, server: &FakeServer, name: &str) -> TaskState {
    for _ in 0..500 {
        let _ = worker.round(Instant::now()).await;
        let ended = server
            .state()
            .reports
            .iter()
            .rev()
            .find(|report| report.task.name == name)
            .cloned();
        if let Some(TaskReport {
            state: state @ (TaskState::Done(_) | TaskState::Failed(_)),
            ..
        }) = ended
        {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the task {name} does not end");
}

fn lineage() -> Lineage {
    Lineage {
        cluster_id: cluster_id(),
        incarnation: Incarnation(1),
    }
}

#[tokio::test]
async fn a_backup_task_stores_the_snapshot_and_reports_where() {
    let (server, store, dir) = (
        Arc::new(FakeServer::default()),
        Arc::new(MemoryStore::new()),
        tempfile::tempdir().unwrap(),
    );
    {
        let mut state = server.state();
        (state.snapshot, state.applied) = (vec![7; 100_000], LogIndex(42));
        state.tasks.push(task("b1", backup_kind()));
    }
    let mut worker = worker(&server, Some(store.clone()), dir.path());
    let TaskState::Done(result) = done(&mut worker, &server, "b1").await else {
        panic!("failed")
    };
    let found = bases(&*store, lineage()).await.unwrap();
    assert_eq!((result.index, result.state_hash.as_str()), (LogIndex(42), "beef"));
    assert_eq!(result.location, store.url(&found[0].folder));
    assert_eq!(result.bytes, found[0].manifest.stored_bytes);

    server.state().reports.clear();
    done(&mut worker, &server, "b1").await;
    assert_eq!(
        bases(&*store, lineage()).await.unwrap().len(),
        1,
        "a server that forgot the result hears it again"
    );
}

#[tokio::test]
async fn a_backup_that_breaks_is_begun_again_and_one_that_is_denied_fails() {
    let (server, dir) = (Arc::new(FakeServer::default()), tempfile::tempdir().unwrap());
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    server.state().tasks.push(task("b1", backup_kind()));
    store.fail(Operation::PutStream, Fault::Unavailable, 1);
    let mut worker = worker(&server, Some(store.clone()), dir.path());
    assert!(matches!(
        done(&mut worker, &server, "b1").await,
        TaskState::Done(_)
    ));

    store.fail(Operation::PutStream, Fault::Denied, 1);
    server.state().tasks.push(task("b2", backup_kind()));
    let TaskState::Failed(message) = done(&mut worker, &server, "b2").await else {
        panic!("done")
    };
    assert!(message.contains("403"), "{message}");
    assert!(
        worker
            .context
            .metrics
            .page("")
            .await
            .contains("geode_backup_last_status 0")
    );
}

#[tokio::test]
async fn a_backup_with_a_retention_deletes_what_need_not_be_kept_and_fails_not_with_it() {
    let (server, dir) = (Arc::new(FakeServer::default()), tempfile::tempdir().unwrap());
    let store = Arc::new(FailingStore::new(Arc::new(MemoryStore::new())));
    let mut worker = worker(&server, Some(store.clone()), dir.path());
    let newest_only = Retention {
        days: 0,
        min_count: 1,
        wal_days: None,
        incremental_days: None,
        incremental_min_count: 0,
    };
    let mut backup = async |name: &str, index: u64| {
        server.state().applied = LogIndex(index);
        let retention = Some(newest_only);
        let asked = task(
            name,
            TaskKind::Backup {
                retention,
                kind: BackupKind::Full,
            },
        );
        server.state().tasks.push(asked);
        match done(&mut worker, &server, name).await {
            TaskState::Done(result) => result.cleaned_up.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let nothing = CleanedUp {
        oldest: LogIndex(5),
        ..CleanedUp::default()
    };
    assert_eq!(backup("b1", 5).await, Ok(nothing));
    store.fail(Operation::Delete, Fault::Denied, 1);
    let refused = backup("b2", 6).await.unwrap_err();
    assert!(refused.contains("403"), "{refused}");
    let cleaned = backup("b3", 7).await.unwrap();
    assert_eq!((cleaned.bases, cleaned.oldest), (2, LogIndex(7)));
    assert_eq!(bases(&*store, lineage()).await.unwrap().len(), 1);
    let page = worker.context.metrics.page("").await;
    assert!(page.contains("geode_backup_cleanup_failures_total 1"), "{page}");
}

#[tokio::test]
async fn a_backup_without_an_archive_says_what_to_do() {
    let (server, dir) = (Arc::new(FakeServer::default()), tempfile::tempdir().unwrap());
    server.state().tasks.push(task("b1", backup_kind()));
    let mut worker = worker(&server, None, dir.path());
    let TaskState::Failed(message) = done(&mut worker, &server, "b1").await else {
        panic!("done")
    };
    assert!(message.contains("archive.s3"), "{message}");
}

#[tokio::test]
async fn an_incremental_backup_is_an_entry_that_the_archived_log_leads_to_and_the_first_one_is_full() {
    let (server, store, dir) = (
        Arc::new(FakeServer::default()),
        Arc::new(MemoryStore::new()),
        tempfile::tempdir().unwrap(),
    );
    let mut worker = worker(&server, Some(store.clone()), dir.path());
    let mut backup = async |name: &str, index: u64, kind: BackupKind| {
        server.state().applied = LogIndex(index);
        let asked = task(
            name,
            TaskKind::Backup {
                retention: None,
                kind,
            },
        );
        server.state().tasks.push(asked);
        match done(&mut worker, &server, name).await {
            TaskState::Done(result) => result,
            other => panic!("{other:?}"),
        }
    };
    let first = backup("b1", 4, BackupKind::Incremental).await;
    assert_eq!(
        (first.kind, first.parent.as_str()),
        (BackupKind::Full, ""),
        "there was nothing to go on from"
    );
    archive_log(&*store, dir.path(), &[(0, 9), (10, 19)]).await;
    let second = backup("b2", 12, BackupKind::Incremental).await;
    assert_eq!(
        (second.kind, second.index, second.state_hash.as_str()),
        (BackupKind::Incremental, LogIndex(12), "beef")
    );
    assert!(
        first.location.contains(&second.parent),
        "{} {}",
        first.location,
        second.parent
    );
    assert!(second.location.contains("/backups/") && second.bytes > 0);
    let third = backup("b3", 19, BackupKind::Differential).await;
    assert_eq!(
        (third.kind, &third.parent),
        (BackupKind::Differential, &second.parent)
    );
    let found = geode_archive::inventory(&*store, lineage()).await.unwrap();
    assert_eq!((found.bases.len(), found.increments.len()), (1, 2));
    let page = worker.context.metrics.page("").await;
    assert!(
        page.contains("geode_backup_last_incremental_size_bytes"),
        "{page}"
    );
}

#[tokio::test]
async fn a_base_backup_that_is_wanted_is_taken_without_a_task() {
    let (server, store, dir) = (
        Arc::new(FakeServer::default()),
        Arc::new(MemoryStore::new()),
        tempfile::tempdir().unwrap(),
    );
    let mut worker = worker(&server, Some(store.clone()), dir.path());
    worker.shared.want_base();
    for _ in 0..200 {
        worker.round(Instant::now()).await.unwrap();
        if !worker.shared.wants_base() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bases(&*store, lineage()).await.unwrap().len(), 1);
    assert!(server.state().reports.is_empty());
}

/// Archives segments of these entries.
async fn archive_log(store: &dyn ObjectStore, directory: &Path, segments: &[(u64, u64)]) {
    for (first, last) in segments {
        let sealed = seal(directory, *first, *last);
        let range = geode_archive::SegmentRange {
            first: sealed.first,
            last: sealed.last,
        };
        let segment = SoundSegment::check(lineage(), range, directory.join(&sealed.file));
        upload_segment(store, &Codec::default(), &segment.await.unwrap())
            .await
            .unwrap();
    }
}

/// An archive with the entries 0 to 9.
async fn archived(directory: &Path) -> String {
    archive_log(&DirectoryStore::new(directory), directory, &[(0, 9)]).await;
    format!("file://{}", directory.display())
}

#[tokio::test]
async fn what_a_restore_would_take_is_said_and_nothing_is_written() {
    let (server, dir, archive) = (
        Arc::new(FakeServer::default()),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let source = archived(archive.path()).await;
    let plan = |goal: RestoreGoal| TaskKind::PlanRestore {
        source: source.clone(),
        goal,
    };
    let latest = plan(RestoreTarget::Latest.into());
    server.state().tasks.push(task("p1", latest));
    let mut worker = worker(&server, None, dir.path());
    let TaskState::Done(result) = done(&mut worker, &server, "p1").await else {
        panic!("failed")
    };
    assert_eq!(result.index, LogIndex(9));
    assert!(
        result.bytes > 0 && result.location.contains(&cluster_id().to_string()),
        "{result:?}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    let beyond = plan(RestoreTarget::Index(LogIndex(10)).into());
    server.state().tasks.push(task("p2", beyond));
    let TaskState::Failed(message) = done(&mut worker, &server, "p2").await else {
        panic!("done")
    };
    assert!(message.contains("the archive ends with index 9"), "{message}");
}

#[tokio::test]
async fn nothing_archived_is_told_from_a_history_and_from_an_archive_that_cannot_be_read() {
    let (server, dir, archive) = (
        Arc::new(FakeServer::default()),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let source = archived(archive.path()).await;
    let empty = format!("file://{}/nothing", dir.path().display());
    let mut worker = worker(&server, None, dir.path());
    for (name, source, found) in [
        ("h1", empty, String::new()),
        (
            "h2",
            source.clone(),
            format!("{source}/{}/00000001/", cluster_id()),
        ),
    ] {
        let find = TaskKind::FindHistory { source };
        server.state().tasks.push(task(name, find));
        let TaskState::Done(result) = done(&mut worker, &server, name).await else {
            panic!("failed")
        };
        assert_eq!(result.location, found);
    }
    // A file where the folder should be: nobody can look into it, so nobody says that it is empty.
    std::fs::write(dir.path().join("file"), "x").unwrap();
    let unreadable = TaskKind::FindHistory {
        source: format!("file://{}/file/below", dir.path().display()),
    };
    server.state().tasks.push(task("h3", unreadable));
    let told = |server: &FakeServer| {
        let state = server.state();
        let report = state.reports.iter().rev().find(|report| report.task.name == "h3");
        report.map(|report| report.state.clone())
    };
    for _ in 0..50 {
        let _ = worker.round(Instant::now()).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let Some(TaskState::Running(why)) = told(&server) else {
        panic!("{:?}", told(&server))
    };
    assert!(why.contains("trying again"), "{why}");
}

#[tokio::test]
async fn a_restore_task_leaves_a_whole_backup_in_the_data_directory() {
    let (server, dir, archive) = (
        Arc::new(FakeServer::default()),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let source = archived(archive.path()).await;
    let restore = |goal: RestoreGoal| TaskKind::Restore {
        source: source.clone(),
        goal,
        cluster_id: cluster_id(),
        graphs: GraphSelection::All,
    };
    server
        .state()
        .tasks
        .push(task("r1", restore(RestoreTarget::Latest.into())));
    std::fs::create_dir_all(dir.path().join("restore")).unwrap();
    std::fs::write(dir.path().join("restore/leftover"), "x").unwrap();
    let mut worker = worker(&server, None, dir.path());
    let TaskState::Done(result) = done(&mut worker, &server, "r1").await else {
        panic!("failed")
    };
    assert_eq!(
        (result.index, Path::new(&result.location)),
        (LogIndex(9), dir.path().join("restore").as_path())
    );
    assert!(Path::new(&result.location).join(RESTORE_FILE).exists());

    let unknown = RestoreGoal::Checkpoint("yesterday".to_owned());
    server.state().tasks.push(task("r2", restore(unknown)));
    let TaskState::Failed(message) = done(&mut worker, &server, "r2").await else {
        panic!("done")
    };
    assert!(
        message.contains("no checkpoint \"yesterday\"; it has none"),
        "{message}"
    );
}

#[tokio::test]
async fn a_restore_waits_for_a_store_that_is_down() {
    let (server, dir) = (Arc::new(FakeServer::default()), tempfile::tempdir().unwrap());
    for key in ["access-key", "secret-key"] {
        std::fs::write(dir.path().join(key), "x").unwrap();
    }
    let kind = TaskKind::Restore {
        source: "s3://bucket/prefix".to_owned(),
        goal: RestoreTarget::Latest.into(),
        cluster_id: cluster_id(),
        graphs: GraphSelection::All,
    };
    server.state().tasks.push(task("r", kind));
    let mut worker = worker(&server, None, dir.path());
    worker.context.access = Access {
        // Nobody listens on the discard port.
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        credentials_dir: Some(dir.path().to_owned()),
        ..Access::default()
    };
    let waits = |report: &TaskReport| match &report.state {
        TaskState::Running(line) => line.starts_with("trying again after: "),
        state => panic!("it does not wait, it is {state:?}"),
    };
    while !server.state().reports.iter().any(waits) {
        worker.round(Instant::now()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
