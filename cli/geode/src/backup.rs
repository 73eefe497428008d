//! `geode backup`: what an archive holds, whether it is what was stored, and what need not be kept any more.

use crate::archive::{self, lines, url};
use crate::args::{ArchiveArgs, BackupCommand, CleanupArgs, Format};
use crate::steps::Steps;
use crate::{Failure, chain, create, show, test_restore};
use geode_archive::{
    ArchiveReport, Checks, CleanupPlan, Inventory, Unreadable, clean_up_telling, cleanup_plan, inventory,
    split_backup, verify_archive, verify_backup,
};
use geode_types::{BackupKind, GroupId, LogIndex, Retention};
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Display;

const MIB: u64 = 1 << 20;

pub(crate) async fn run(command: BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::Create(args) => create::run(args).await,
        BackupCommand::List {
            archive,
            chain,
            kind,
            before,
            format,
        } => {
            let before = before.as_deref().map(archive::time).transpose()?;
            list(archive, chain, Only { kind, before }, format).await
        }
        BackupCommand::Verify {
            archive,
            check_checksums,
            check_consistency,
            format,
        } => {
            let checks = if check_checksums == check_consistency {
                Checks::ALL
            } else {
                Checks {
                    checksums: check_checksums,
                    consistency: check_consistency,
                }
            };
            verify(&archive, checks, format).await
        }
        BackupCommand::TestRestore(args) => test_restore::run(args).await,
        BackupCommand::Cleanup(args) => cleanup(&args).await,
        BackupCommand::Restore(args) => archive::restore(args).await,
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::Message(error.to_string())
}

/// Which backups are listed.
#[derive(Clone, Copy)]
struct Only {
    kind: Option<BackupKind>,
    before: Option<Timestamp>,
}

impl Only {
    fn has(self, kind: BackupKind, finished_at: Timestamp) -> bool {
        self.kind.is_none_or(|only| only == kind) && self.before.is_none_or(|before| finished_at < before)
    }

    /// Without the log, when only some backups are meant.
    fn of(self, mut found: Inventory) -> Inventory {
        if self.kind.is_some() || self.before.is_some() {
            found.segments.clear();
        }
        found
            .bases
            .retain(|base| self.has(BackupKind::Full, base.manifest.finished_at));
        found
            .increments
            .retain(|increment| self.has(increment.kind, increment.finished_at));
        found
    }
}

async fn list(
    mut args: ArchiveArgs,
    chain: Option<String>,
    only: Only,
    format: Format,
) -> Result<(), Failure> {
    let mut wanted = chain;
    if let Some(place) = wanted.clone().filter(|wanted| wanted.contains('/')) {
        let (source, name) = split_backup(&url(&place)?);
        args.source.get_or_insert(source);
        wanted = Some(name.unwrap_or_default());
    }
    let (store, lineage) = args.open().await?;
    let found = inventory(&*store, lineage).await.map_err(failed)?;
    warn(&found.unreadable);
    if let Some(wanted) = wanted {
        return chain::print(&found, &wanted, &store.url(&lineage.root()), format);
    }
    let found = only.of(found);
    if format == Format::Table {
        println!("{}", inventory_table(&found));
    } else {
        let mut listed = inventory_json(&found);
        listed["backups"] = backups_json(&found);
        println!("{listed}");
    }
    Ok(())
}

/// What is left out, said beside the result.
fn warn(unreadable: &[Unreadable]) {
    for unreadable in unreadable {
        eprintln!("warning: {unreadable}");
    }
}

/// All backups in the guides' form, the newest first.
fn backups_json(found: &Inventory) -> serde_json::Value {
    let bases = found.bases.iter().map(|base| {
        let manifest = &base.manifest;
        let json = json!({"id": base.name(), "type": BackupKind::Full, "timestamp": manifest.finished_at, "index": manifest.index, "bytes": manifest.stored_bytes});
        (manifest.finished_at, json)
    });
    let increments = found.increments.iter().map(|increment| {
        let json = json!({"id": increment.name, "type": increment.kind, "timestamp": increment.finished_at, "index": increment.index,
            "bytes": increment.bytes, "parent": increment.parent});
        (increment.finished_at, json)
    });
    let mut all: Vec<_> = bases.chain(increments).collect();
    all.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    all.into_iter().map(|(_, json)| json).collect()
}

fn inventory_table(found: &Inventory) -> String {
    let bases = found.bases.iter().map(|base| {
        let manifest = &base.manifest;
        vec![
            "full".to_owned(),
            format!("up to {}", manifest.index),
            manifest.stored_bytes.to_string(),
            manifest.finished_at.to_string(),
            base.folder.clone(),
        ]
    });
    let increments = found.increments.iter().map(|increment| {
        vec![
            increment.kind.to_string(),
            format!("{} to {}", increment.after.0 + 1, increment.index),
            increment.bytes.to_string(),
            increment.finished_at.to_string(),
            found.lineage.backup(&increment.name),
        ]
    });
    let segments = found.segments.iter().map(|segment| {
        vec![
            "wal".to_owned(),
            format!("{} to {}", segment.range.first, segment.range.last),
            segment.bytes.to_string(),
            String::new(),
            found.lineage.segment(GroupId(0), segment.range),
        ]
    });
    let columns = ["KIND", "ENTRIES", "BYTES", "FINISHED", "OBJECT"];
    show::table(&columns, bases.chain(increments).chain(segments)).to_string()
}

fn inventory_json(found: &Inventory) -> serde_json::Value {
    let bases = found
        .bases
        .iter()
        .map(|base| json!({"folder": base.folder, "manifest": base.manifest}));
    let segments = found.segments.iter().map(|segment| {
        json!({
            "object": found.lineage.segment(GroupId(0), segment.range), "first": segment.range.first, "last": segment.range.last,
            "bytes": segment.bytes,
        })
    });
    let unreadable = found
        .unreadable
        .iter()
        .map(|unreadable| json!({"object": unreadable.key, "reason": unreadable.reason}));
    json!({
        "cluster_id": found.lineage.cluster_id, "incarnation": found.lineage.incarnation,
        "bases": bases.collect::<Vec<_>>(), "increments": found.increments, "segments": segments.collect::<Vec<_>>(),
        "unreadable": unreadable.collect::<Vec<_>>(),
    })
}

async fn verify(args: &ArchiveArgs, checks: Checks, format: Format) -> Result<(), Failure> {
    let (_, backup) = args.place()?;
    let (store, lineage) = args.open().await?;
    let scratch = std::env::temp_dir().join(format!("geode-verify-{}", std::process::id()));
    let (codec, progress) = (args.access().codec(), lines());
    let report = match &backup {
        Some(name) => {
            verify_backup(
                &*store,
                &codec,
                (lineage, name.as_str()),
                checks,
                &scratch,
                &progress,
            )
            .await
        }
        None => verify_archive(&*store, &codec, lineage, checks, &scratch, &progress).await,
    };
    let _ = std::fs::remove_dir_all(&scratch);
    let ArchiveReport {
        bases,
        increments,
        segments,
        problems,
    } = report.map_err(failed)?;
    let archive = store.url(&lineage.root());
    let place = match &backup {
        Some(name) => format!("the backup {name} in {archive}"),
        None => archive.clone(),
    };
    if format == Format::Table {
        let verdict = if problems.is_empty() { "sound" } else { "DAMAGED" };
        println!("{place}: {verdict}");
        println!("base backups  {bases}");
        println!("increments    {increments}");
        println!("segments      {segments}");
        for problem in &problems {
            println!("  {problem}");
        }
    } else {
        let clean = problems.is_empty();
        println!(
            "{}",
            json!({"archive": archive, "backup": backup, "clean": clean, "bases": bases, "increments": increments, "segments": segments,
                "problems": problems})
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(failed(format!("{place} is damaged")))
    }
}

async fn cleanup(args: &CleanupArgs) -> Result<(), Failure> {
    let steps = Steps::new();
    steps.step("looking what the archive has".to_owned());
    let (store, lineage) = args.archive.open().await?;
    let found = inventory(&*store, lineage).await.map_err(failed)?;
    drop(steps);
    let retention = Retention {
        days: args.older_than,
        min_count: args.keep_min,
        wal_days: args.wal_older_than,
        incremental_days: args.incremental_older_than,
        incremental_min_count: args.keep_min_incremental,
    };
    let plan = cleanup_plan(&found, &retention, Timestamp::now());
    if !args.dry_run {
        let progress = lines();
        let cleaned = clean_up_telling(&*store, &plan, &progress).await;
        drop(progress);
        cleaned.map_err(failed)?;
    }
    report_cleanup(&plan, args);
    Ok(())
}

fn report_cleanup(plan: &CleanupPlan, args: &CleanupArgs) {
    let gone = Inventory {
        lineage: plan.lineage,
        bases: plan.bases.clone(),
        increments: plan.increments.clone(),
        segments: plan.segments.clone(),
        unreadable: plan.unreadable.clone(),
    };
    warn(&plan.unreadable);
    if args.format != Format::Table {
        let mut report = inventory_json(&gone);
        report["dry_run"] = args.dry_run.into();
        report["bytes"] = plan.bytes().into();
        report["oldest"] = json!(plan.oldest());
        println!("{report}");
        return;
    }
    if !plan.bases.is_empty() || !plan.increments.is_empty() || !plan.segments.is_empty() {
        println!("{}", inventory_table(&gone));
    }
    let done = if args.dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    let (bases, segments, mib) = (plan.bases.len(), plan.segments.len(), plan.bytes() / MIB);
    let increments = plan.increments.len();
    println!(
        "{bases} base backup(s), {increments} increment(s) and {segments} segment(s), {mib} MiB, {done}"
    );
    match plan.oldest() {
        Some(LogIndex(oldest)) => println!("oldest restore point: the base backup of index {oldest}"),
        None => println!("there is no base backup, so everything is kept"),
    }
}
