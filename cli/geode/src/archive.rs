//! `geode restore` and `geode verify`: from an archive to a data directory, and the proof that a data directory is sound.

use crate::Failure;
use crate::args::{ArchiveArgs, Format, GoalArgs, RestoreArgs, StoreArgs, VerifyArgs};
use crate::restoring::restore_into;
use geode_archive::{Access, Lineage, ObjectStore, Progress, inventory, open_history, split_backup};
use geode_config::Config;
use geode_server::restore::{Restored, VerifyReport, verify as check};
use geode_types::{LogIndex, Lsn, RestoreGoal, RestoreTarget};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const MIB: u64 = 1 << 20;

impl StoreArgs {
    pub(crate) fn access(&self) -> Access {
        Access {
            endpoint: self.endpoint.clone(),
            region: Some(self.region.clone()),
            credentials_dir: None,
            account: self.account.clone(),
            keys: self.encryption_key_file.clone(),
            ..Access::default()
        }
    }
}

impl ArchiveArgs {
    pub(crate) fn access(&self) -> Access {
        let access = self.store.access();
        let copy = self.copy.clone().map(|copy| Box::new((copy, access.clone())));
        Access { copy, ..access }
    }

    /// The archive, and the name of the backup in it that the location goes down to.
    pub(crate) fn place(&self) -> Result<(String, Option<String>), Failure> {
        let source = self.source.as_deref().ok_or_else(|| {
            Failure::Message("no archive is given; write --source s3://bucket/prefix, or --input".to_owned())
        })?;
        let (place, name) = split_backup(&url(source)?);
        Ok((place, self.backup_id.clone().or(name)))
    }

    pub(crate) async fn open(&self) -> Result<(Arc<dyn ObjectStore>, Lineage), Failure> {
        let opened = open_history(&self.place()?.0, &self.access()).await;
        opened.map_err(|error| Failure::Message(error.to_string()))
    }
}

/// A directory is written without `file://` too, as the guides do.
pub(crate) fn url(place: &str) -> Result<String, Failure> {
    if place.contains("://") {
        return Ok(place.to_owned());
    }
    let path = std::path::absolute(place)?;
    Ok(format!("file://{}", path.display()))
}

pub(crate) async fn restore(args: RestoreArgs) -> Result<(), Failure> {
    if args.incremental {
        return Err(Failure::Message(
            "--incremental is not needed: a restored directory is a new database, which nothing is added to. Restore the newest of the incremental \
             backups into a new directory; its chain comes with it"
                .to_owned(),
        ));
    }
    let place = args.archive.place()?;
    if let Some(log) = &args.wal_archive {
        same_archive(&place.0, &url(log)?)?;
    }
    let asked = goal(&args.goal)?;
    let goal = match &place.1 {
        Some(name) => {
            let end = goal_of(
                &args.goal,
                &place.0,
                &args.archive.access(),
                name,
                args.include_incrementals,
            )
            .await?;
            // With the log at hand and no target, a backup is only where the restore begins.
            if args.wal_archive.is_some() { asked } else { end }
        }
        None => asked,
    };
    let restored = restore_into(&args, &goal).await?;
    report_restored(&restored, &args.target, args.format);
    Ok(())
}

/// The goal that is asked for, or the end of the backup, which has to be there in any case.
pub(crate) async fn goal_of(
    args: &GoalArgs,
    archive: &str,
    access: &Access,
    backup: &str,
    with_increments: bool,
) -> Result<RestoreGoal, Failure> {
    let asked = goal(args)?;
    let opened = open_history(archive, access).await;
    let (store, lineage) = opened.map_err(|error| Failure::Message(error.to_string()))?;
    let found = inventory(&*store, lineage).await;
    let found = found.map_err(|error| Failure::Message(error.to_string()))?;
    let end = found.end_of(backup, &store.url(&lineage.root()));
    let end = end.map_err(|error| Failure::Message(error.to_string()))?;
    if asked != RestoreTarget::Latest.into() {
        return Ok(asked);
    }
    let increments = found
        .increments
        .iter()
        .filter(|increment| with_increments && increment.base == backup);
    let end = increments.map(|increment| increment.index).max().max(Some(end));
    Ok(end.map_or(RestoreTarget::Latest, RestoreTarget::Index).into())
}

/// The log of a backup lies in the archive of the backup; another archive is of another history.
fn same_archive(backup: &str, log: &str) -> Result<(), Failure> {
    let (backup, log) = (backup.trim_end_matches('/'), log.trim_end_matches('/'));
    if backup == log || backup.starts_with(&format!("{log}/")) || log.starts_with(&format!("{backup}/")) {
        return Ok(());
    }
    Err(Failure::Message(format!(
        "--wal-archive {log} is not the archive of --input {backup}: the log of a backup lies beside it, so leave --wal-archive out or name that place"
    )))
}

/// Says how far it is: a bar on a terminal, else a line a step, not a line a chunk.
pub(crate) fn lines() -> impl Fn(Progress) + Sync {
    let told = Mutex::new(String::new());
    let bar = std::io::stderr().is_terminal().then(bar);
    move |progress: Progress| {
        if let Some(bar) = &bar {
            bar.set_length(progress.total_bytes);
            bar.set_position(progress.done_bytes);
            bar.set_message(progress.step);
            return;
        }
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != progress.step {
            eprintln!(
                "{} ({} of {} MiB)",
                progress.step,
                progress.done_bytes / MIB,
                progress.total_bytes / MIB
            );
            told.clone_from(&progress.step);
        }
    }
}

/// A bar of bytes.
pub(crate) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("[{bar:30}] {bytes}/{total_bytes} {eta} {wide_msg}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(crate) async fn verify(args: VerifyArgs) -> Result<(), Failure> {
    let config = config_of(&args.data_dir);
    let data_dir = args.data_dir.clone();
    let checked =
        tokio::task::spawn_blocking(move || check(&data_dir, &config.wal_dir(), config.storage.map_size.0))
            .await;
    let report = checked
        .map_err(|error| Failure::Message(format!("the check broke: {error}")))?
        .map_err(|error| Failure::Message(error.to_string()))?;
    report_verified(&report, &args.data_dir, args.format);
    if report.is_clean() {
        Ok(())
    } else {
        Err(Failure::Message(format!(
            "{} is damaged",
            args.data_dir.display()
        )))
    }
}

/// The configuration that `geode serve --data-dir` has.
pub(crate) fn config_of(data_dir: &Path) -> Config {
    let mut config = Config::default();
    data_dir.clone_into(&mut config.storage.data_dir);
    config
}

pub(crate) fn goal(args: &GoalArgs) -> Result<RestoreGoal, Failure> {
    if let Some(text) = &args.target_time {
        return Ok(RestoreTarget::TimeMicros(time(text)?.as_microsecond()).into());
    }
    if let Some(text) = &args.target_lsn {
        return Ok(RestoreTarget::Index(index(text)?).into());
    }
    let named = args.target_name.clone().map(RestoreGoal::Checkpoint);
    Ok(named.unwrap_or(RestoreTarget::Latest.into()))
}

/// RFC 3339, or with a space and `UTC` or nothing at the end, which means UTC too: servers print their times so.
pub(crate) fn time(text: &str) -> Result<Timestamp, Failure> {
    let plain = text.trim_end_matches("UTC").trim_end();
    let without_zone = plain
        .parse::<DateTime>()
        .and_then(|time| time.to_zoned(TimeZone::UTC));
    let parsed = text.parse().or_else(|error| match without_zone {
        Ok(time) if !plain.ends_with('Z') => Ok(time.timestamp()),
        _ => Err(error),
    });
    parsed.map_err(|error: jiff::Error| {
        Failure::Message(format!(
            "the time {text:?}: {error}; write it like 2026-01-28T14:30:00Z or 2026-01-28T14:30:00+01:00"
        ))
    })
}

/// `0/123`, or the index alone.
fn index(text: &str) -> Result<LogIndex, Failure> {
    let lsn = text.parse().map(LogIndex);
    lsn.or_else(|_| text.parse::<Lsn>().map(|lsn| lsn.index))
        .map_err(|error| Failure::Message(format!("--target-lsn: {error}")))
}

pub(crate) fn remove(directory: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::Message(format!(
            "cannot remove {}: {error}",
            directory.display()
        ))),
        _ => Ok(()),
    }
}

fn report_restored(restored: &Restored, target: &Path, format: Format) {
    let last_commit = restored
        .last_commit_micros
        .and_then(|micros| Timestamp::from_microsecond(micros).ok());
    if format != Format::Table {
        let report = json!({
            "data_dir": target, "cluster_id": restored.cluster_id, "incarnation": restored.incarnation, "index": restored.index,
            "state_hash": restored.state_hash, "last_commit": last_commit.map(|time| time.to_string()),
        });
        println!("{report}");
        return;
    }
    println!(
        "restored up to index {} into {}",
        restored.index,
        target.display()
    );
    if let Some(time) = last_commit {
        println!("last commit  {time}");
    }
    println!("state hash   {}", restored.state_hash);
    println!("Start it with: geode serve --data-dir {}", target.display());
}

fn report_verified(report: &VerifyReport, data_dir: &Path, format: Format) {
    let problems: Vec<&str> = report.all_problems().collect();
    if format != Format::Table {
        let json = json!({
            "data_dir": data_dir, "clean": report.is_clean(), "member": report.identity.member, "cluster_id": report.identity.cluster,
            "incarnation": report.identity.incarnation, "applied": report.applied, "state_hash": report.state_hash,
            "segments": report.segments, "records": report.records, "problems": problems,
        });
        println!("{json}");
        return;
    }
    println!(
        "{}: {}",
        data_dir.display(),
        if report.is_clean() { "sound" } else { "DAMAGED" }
    );
    println!(
        "log         {} records, {} sealed segment(s)",
        report.records, report.segments
    );
    println!("applied     {}", report.applied);
    println!("state hash  {}", report.state_hash);
    for problem in problems {
        println!("  {problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_and_guides_write_them() {
        for (text, second) in [
            ("1970-01-01T01:00:01+01:00", 1),
            ("1970-01-01T00:00:02Z", 2),
            ("1970-01-01 00:00:03 UTC", 3),
            ("1970-01-01 00:00:04", 4),
        ] {
            assert_eq!(time(text).unwrap().as_second(), second, "{text}");
        }
        for bad in ["14:30:00", "yesterday", "UTC", "2026-13-01 00:00:00 UTC"] {
            let Err(Failure::Message(message)) = time(bad) else {
                panic!("{bad} accepted")
            };
            assert!(message.contains("write it like"), "{message}");
        }
    }

    #[test]
    fn a_place_in_the_log_is_an_lsn_or_its_index() {
        assert_eq!(index("0/123").unwrap(), LogIndex(123));
        assert_eq!(index("123").unwrap(), LogIndex(123));
        assert!(index("x/1").is_err());
    }

    #[test]
    fn the_log_of_a_backup_lies_in_its_archive() {
        assert!(same_archive("s3://b/p/ID/00000001", "s3://b/p/").is_ok());
        let refused = same_archive("s3://b/p", "s3://b/q");
        let Err(Failure::Message(message)) = refused else {
            panic!("accepted")
        };
        assert!(message.contains("leave --wal-archive out"), "{message}");
    }
}
