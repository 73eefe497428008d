//! `geode wal-archive`, `wal-restore` and `wal-replay`: the log of a server that has no sidecar, into an archive and back.

use crate::Failure;
use crate::archive::{restore, url};
use crate::args::{Format, RestoreArgs, WalArchiveArgs, WalReplayArgs, WalRestoreArgs};
use crate::create::{connect, lineage_of};
use geode_archive::{Location, SegmentRange, SoundSegment, bases, fetch_segment, upload_segment};
use geode_client::InternalClient;
use geode_log::segment::group_directory;
use geode_types::{GroupId, LogIndex};
use geode_wire::internal::{InternalReply, InternalRequest, SegmentInfo};
use serde_json::json;
use std::fmt::Display;

fn failed(error: impl Display) -> Failure {
    Failure::Message(error.to_string())
}

/// Stores every sealed segment of the server's log that is not stored yet. What is written now is sealed first.
pub(crate) async fn archive(args: WalArchiveArgs) -> Result<(), Failure> {
    let server = connect(&args.server).await?;
    let (lineage, _) = lineage_of(&server).await?;
    let place = Location::parse(&url(&args.output)?).map_err(failed)?;
    let access = args.store.access();
    let store = place.open(&access).await;
    let codec = access.codec();
    seal(&server).await?;
    let mut after = LogIndex(0);
    if args.since_checkpoint {
        let backups = bases(&*store, lineage).await.map_err(failed)?;
        after = backups.last().map_or(after, |base| base.manifest.index);
    }
    let wal_dir = match args.wal_dir {
        Some(wal_dir) => wal_dir,
        None => crate::archive::config_of(&args.server.data_dir).wal_dir(),
    };
    let log = wal_dir.join(group_directory(GroupId(0)));
    let (mut count, mut bytes, mut last) = (0_u64, 0, None);
    loop {
        let page = segments(&server, after).await?;
        let Some(newest) = page.last().map(|info| info.last) else {
            break;
        };
        for info in page {
            let range = SegmentRange {
                first: info.first,
                last: info.last,
            };
            let segment = SoundSegment::check(lineage, range, log.join(&info.file)).await;
            let segment = segment.map_err(|error| {
                failed(format!(
                    "{error}\n  hint: --wal-dir is the directory of the server's log"
                ))
            })?;
            bytes += upload_segment(&*store, &codec, &segment).await.map_err(failed)?;
            count += 1;
            last = Some(range.last);
        }
        after = newest;
    }
    report(args.format, &store.url(&lineage.root()), count, bytes, last);
    Ok(())
}

fn report(format: Format, place: &str, count: u64, bytes: u64, last: Option<LogIndex>) {
    if format == Format::Table {
        println!("{count} segment(s) of the log, {bytes} bytes, in {place}");
        if let Some(last) = last {
            println!("last entry  {last}");
        }
    } else {
        println!(
            "{}",
            json!({"segments": count, "bytes": bytes, "location": place, "last": last})
        );
    }
}

/// Only the leader ends a segment; another member has what the leader has ended.
async fn seal(server: &InternalClient) -> Result<(), Failure> {
    match server.call(&InternalRequest::Cut).await {
        Ok(_) => Ok(()),
        Err(geode_client::InternalError::NotLeader(_)) => {
            eprintln!("this member does not lead: what is in its open segment is left out");
            Ok(())
        }
        Err(error) => Err(failed(error)),
    }
}

async fn segments(server: &InternalClient, after: LogIndex) -> Result<Vec<SegmentInfo>, Failure> {
    match server.call(&InternalRequest::Segments { after }).await {
        Ok(InternalReply::Segments(segments)) => Ok(segments),
        Ok(_) => Err(failed("the server's answer does not belong to the question")),
        Err(error) => Err(failed(error)),
    }
}

/// Fetches one segment, opened and checked.
pub(crate) async fn restore_segment(args: WalRestoreArgs) -> Result<(), Failure> {
    let (source, _) = args.archive.place()?;
    let fetched = fetch_segment(&source, &args.archive.access(), &args.segment, &args.file).await;
    fetched.map(drop).map_err(failed)
}

/// A base backup and the log behind it become a data directory in one step, so this is a restore with the log's archive as its source.
pub(crate) async fn replay(args: WalReplayArgs) -> Result<(), Failure> {
    if has_database(&args.data_dir) {
        return Err(failed(format!(
            "{} holds a database. Its backup and the log behind it are restored in one step: move it away, and run this again",
            args.data_dir.display()
        )));
    }
    restore(RestoreArgs::of(
        args.wal_archive,
        args.store,
        args.data_dir,
        args.goal,
        args.format,
    ))
    .await
}

fn has_database(directory: &std::path::Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}
