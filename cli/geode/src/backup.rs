//! `geode backup`: what an archive holds, whether it is what was stored, and what need not be kept any more.

use crate::archive::{self, lines};
use crate::args::{ArchiveArgs, BackupCommand, CleanupArgs, Format};
use crate::{Failure, show, test_restore};
use geode_archive::{
    ArchiveReport, BaseBackup, CleanupPlan, Inventory, Lineage, ObjectStore, clean_up, cleanup_plan,
    inventory, open_history, restore_plan, verify_archive,
};
use geode_types::{GroupId, LogIndex, RestoreTarget, Retention};
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Display;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

pub(crate) async fn run(command: BackupCommand) -> Result<(), Failure> {
    match command {
        BackupCommand::List {
            archive,
            chain,
            format,
        } => list(&archive, chain.as_deref(), format).await,
        BackupCommand::Verify { archive, format } => verify(&archive, format).await,
        BackupCommand::Cleanup(args) => cleanup(&args).await,
        BackupCommand::Restore(args) => archive::restore(args).await,
        BackupCommand::TestRestore(args) => test_restore::run(args).await,
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::Message(error.to_string())
}

async fn open(args: &ArchiveArgs) -> Result<(Arc<dyn ObjectStore>, Lineage), Failure> {
    open_history(&args.source, &args.access()).await.map_err(failed)
}

async fn list(args: &ArchiveArgs, chain: Option<&str>, format: Format) -> Result<(), Failure> {
    let (store, lineage) = open(args).await?;
    let mut found = inventory(&*store, lineage).await.map_err(failed)?;
    if let Some(wanted) = chain {
        found = chain_of(found, wanted, &store.url(&lineage.root()))?;
    }
    if format != Format::Table {
        println!("{}", inventory_json(&found));
        return Ok(());
    }
    println!("{}", inventory_table(&found));
    if chain.is_some() {
        let total: u64 = found.segments.iter().map(|segment| segment.bytes).sum();
        let base = found.bases.first().map_or(0, |base| base.manifest.stored_bytes);
        println!("total size     {} bytes", total + base);
        let last = found.segments.last().map(|segment| segment.range.last);
        let end = last.max(found.bases.first().map(|base| base.manifest.index));
        println!("restore point  {}", end.unwrap_or_default());
    }
    Ok(())
}

/// Only what a restore takes that begins with this base backup: the newest one when none is named.
fn chain_of(mut found: Inventory, wanted: &str, place: &str) -> Result<Inventory, Failure> {
    let is_wanted = |base: &BaseBackup| wanted.is_empty() || base.manifest.index.to_string() == wanted;
    let Some(base) = found.bases.iter().rev().find(|base| is_wanted(base)).cloned() else {
        let known: Vec<String> = found
            .bases
            .iter()
            .map(|base| base.manifest.index.to_string())
            .collect();
        return Err(failed(format!(
            "{place} has no base backup {wanted:?}; there are: {}",
            known.join(", ")
        )));
    };
    found.bases = vec![base];
    let plan = restore_plan(&found, RestoreTarget::Latest, place).map_err(failed)?;
    found
        .segments
        .retain(|segment| plan.segments.contains(&segment.range));
    Ok(found)
}

fn inventory_table(found: &Inventory) -> String {
    let bases = found.bases.iter().map(|base| {
        let manifest = &base.manifest;
        vec![
            "base".to_owned(),
            format!("up to {}", manifest.index),
            manifest.stored_bytes.to_string(),
            manifest.finished_at.to_string(),
            base.folder.clone(),
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
    show::table(&columns, bases.chain(segments)).to_string()
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
    json!({
        "cluster_id": found.lineage.cluster_id, "incarnation": found.lineage.incarnation,
        "bases": bases.collect::<Vec<_>>(), "segments": segments.collect::<Vec<_>>(),
    })
}

async fn verify(args: &ArchiveArgs, format: Format) -> Result<(), Failure> {
    let (store, lineage) = open(args).await?;
    let scratch = std::env::temp_dir().join(format!("geode-verify-{}", std::process::id()));
    let report = verify_archive(&*store, lineage, &scratch, &lines()).await;
    let _ = std::fs::remove_dir_all(&scratch);
    let ArchiveReport {
        bases,
        segments,
        problems,
    } = report.map_err(failed)?;
    let place = store.url(&lineage.root());
    if format == Format::Table {
        let verdict = if problems.is_empty() { "sound" } else { "DAMAGED" };
        println!("{place}: {verdict}");
        println!("base backups  {bases}");
        println!("segments      {segments}");
        for problem in &problems {
            println!("  {problem}");
        }
    } else {
        let clean = problems.is_empty();
        println!(
            "{}",
            json!({"archive": place, "clean": clean, "bases": bases, "segments": segments, "problems": problems})
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(failed(format!("{place} is damaged")))
    }
}

async fn cleanup(args: &CleanupArgs) -> Result<(), Failure> {
    let (store, lineage) = open(&args.archive).await?;
    let found = inventory(&*store, lineage).await.map_err(failed)?;
    let retention = Retention {
        days: args.older_than,
        min_count: args.keep_min,
        wal_days: args.wal_older_than,
    };
    let plan = cleanup_plan(&found, &retention, Timestamp::now());
    if !args.dry_run {
        clean_up(&*store, &plan).await.map_err(failed)?;
    }
    report_cleanup(&plan, args);
    Ok(())
}

fn report_cleanup(plan: &CleanupPlan, args: &CleanupArgs) {
    let gone = Inventory {
        lineage: plan.lineage,
        bases: plan.bases.clone(),
        segments: plan.segments.clone(),
    };
    if args.format != Format::Table {
        let mut report = inventory_json(&gone);
        report["dry_run"] = args.dry_run.into();
        report["bytes"] = plan.bytes().into();
        report["oldest"] = json!(plan.oldest());
        println!("{report}");
        return;
    }
    if !plan.bases.is_empty() || !plan.segments.is_empty() {
        println!("{}", inventory_table(&gone));
    }
    let done = if args.dry_run {
        "would be deleted"
    } else {
        "deleted"
    };
    let (bases, segments, mib) = (plan.bases.len(), plan.segments.len(), plan.bytes() / MIB);
    println!("{bases} base backup(s) and {segments} segment(s), {mib} MiB, {done}");
    match plan.oldest() {
        Some(LogIndex(oldest)) => println!("oldest restore point: the base backup of index {oldest}"),
        None => println!("there is no base backup, so everything is kept"),
    }
}
