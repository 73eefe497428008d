//! `geode backup create`: a backup of the server on this machine, through its internal port. What a sidecar does when the operator files a task, without both.

use crate::Failure;
use crate::archive::url;
use crate::args::{CreateArgs, Format, LocalServerArgs};
use crate::steps::Steps;
use geode_archive::{
    Codec, IncrementFacts, Lineage, Location, ObjectStore, SnapshotFacts, split_backup, write_base_backup,
    write_increment,
};
use geode_client::tls::Identity;
use geode_client::{InternalClient, InternalConnector};
use geode_types::{BackupKind, LogIndex, Term};
use geode_wire::INTERNAL_DNS_NAME;
use geode_wire::internal::{InternalReply, InternalRequest, MemberState};
use serde_json::json;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The log up to an incremental backup reaches the archive within this time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where a pod has the certificates of its member; the name is that of the pod.
const POD_CERTIFICATES: &str = "/etc/geode/tls";

pub(crate) async fn run(args: CreateArgs) -> Result<(), Failure> {
    if args.encrypt && args.store.encryption_key_file.is_none() {
        return Err(failed(
            "--encrypt needs --encryption-key-file (a file with 64 hexadecimal digits: openssl rand -hex 32)",
        ));
    }
    let (source, _) = split_backup(&url(&args.output)?);
    let parent = parent(&args, &source)?;
    let server = connect(&args.server).await?;
    let (lineage, server_version) = lineage_of(&server).await?;
    let access = args.store.access();
    let store = Location::parse(&source).map_err(failed)?.open(&access).await;
    match args.kind {
        BackupKind::Full => full(&args, &server, store, lineage, server_version).await,
        kind => {
            let steps = Steps::new();
            steps.step("the server computes the hash of its graph".to_owned());
            let (index, state_hash) = state_hash(&server).await?;
            let facts = IncrementFacts {
                lineage,
                kind,
                parent,
                index,
                state_hash,
                server_version,
                patience: PATIENCE,
            };
            increment(&args, store, facts, steps).await
        }
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::Message(error.to_string())
}

/// The name of the backup to go on from, which lies in the archive that is written to.
fn parent(args: &CreateArgs, archive: &str) -> Result<Option<String>, Failure> {
    let Some(base) = args.base_backup.as_deref().filter(|base| *base != "latest_full") else {
        return Ok(None);
    };
    if args.kind.is_full() {
        return Err(failed(
            "a full backup goes on from nothing: leave --base-backup out, or say --type incremental",
        ));
    }
    if !base.contains('/') {
        return Ok(Some(base.to_owned()));
    }
    let (place, name) = split_backup(&url(base)?);
    if !place.starts_with(archive.trim_end_matches('/')) {
        return Err(failed(format!(
            "--base-backup lies in {place} and --output is {archive}: an incremental backup is an entry in the archive of what it goes on from, so name that as --output"
        )));
    }
    Ok(name)
}

async fn full(
    args: &CreateArgs,
    server: &InternalClient,
    store: Arc<dyn ObjectStore>,
    lineage: Lineage,
    server_version: String,
) -> Result<(), Failure> {
    let steps = Steps::new();
    steps.step("waiting for the server's snapshot".to_owned());
    let (index, term, snapshot) = server.snapshot().await.map_err(failed)?;
    let step = format!("storing the graph at index {index}");
    steps.step(step.clone());
    let snapshot = steps.watch(snapshot, step);
    let codec = Codec {
        compression: args.compress,
        keys: args.store.encryption_key_file.clone(),
    };
    let facts = SnapshotFacts {
        lineage,
        index,
        term: Term(term),
        server_version,
        parallel: usize::from(args.parallel),
    };
    let hash = || async {
        steps.step("the server computes the hash of its graph".to_owned());
        let told = state_hash(server).await.ok();
        told.filter(|(applied, _)| *applied == index)
            .map(|(_, hash)| hash)
    };
    let backup = write_base_backup(&*store, &codec, facts, snapshot, hash)
        .await
        .map_err(failed)?;
    drop(steps);
    let manifest = &backup.manifest;
    let location = store.url(&backup.folder);
    if args.format == Format::Table {
        println!(
            "full backup {} of index {index}, {} bytes",
            backup.name(),
            manifest.stored_bytes
        );
        println!("{location}");
    } else {
        println!(
            "{}",
            json!({"type": "full", "name": backup.name(), "location": location, "index": index, "bytes": manifest.stored_bytes, "state_hash": manifest.state_hash})
        );
    }
    Ok(())
}

async fn increment(
    args: &CreateArgs,
    store: Arc<dyn ObjectStore>,
    facts: IncrementFacts,
    steps: Steps,
) -> Result<(), Failure> {
    let lineage = facts.lineage;
    steps.step(format!("looking what the archive has up to {}", facts.index));
    let told = std::cell::Cell::new(false);
    let progress = |line: String| {
        if told.replace(true) {
            steps.note(line);
        } else {
            steps.step(line);
        }
    };
    let written = write_increment(&*store, facts, progress).await.map_err(failed)?;
    drop(steps);
    let location = store.url(&lineage.backup(&written.name));
    if args.format == Format::Table {
        println!(
            "{} backup {} of index {}, {} bytes of log since {}",
            written.kind, written.name, written.index, written.bytes, written.parent
        );
        println!("{location}");
    } else {
        println!(
            "{}",
            json!({"type": written.kind, "name": written.name, "location": location, "index": written.index, "bytes": written.bytes,
                "state_hash": written.state_hash, "parent": written.parent})
        );
    }
    Ok(())
}

/// The history that a server is in, and its version.
pub(crate) async fn lineage_of(server: &InternalClient) -> Result<(Lineage, String), Failure> {
    let status = server.status().await.map_err(failed)?;
    let (MemberState::Running, Some(cluster_id)) = (status.state, status.cluster_id) else {
        return Err(failed(
            "this member is in no cluster yet: there is nothing to back up",
        ));
    };
    let lineage = Lineage {
        cluster_id,
        incarnation: status.incarnation,
    };
    Ok((lineage, status.version))
}

async fn state_hash(server: &InternalClient) -> Result<(LogIndex, String), Failure> {
    match server.call(&InternalRequest::StateHash).await.map_err(failed)? {
        InternalReply::StateHash { applied, hash } => Ok((applied, hash)),
        _ => Err(failed("the server's answer does not belong to the question")),
    }
}

/// The server on this machine.
pub(crate) async fn connect(args: &LocalServerArgs) -> Result<InternalClient, Failure> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| {
            failed(format!(
                "cannot read {}: {error}\n  hint: --data-dir is the directory of the server on this machine; it needs server.internal_listen (127.0.0.1:3142) in its configuration",
                path.display()
            ))
        })
    };
    let (cert, key, ca) = certificates(&args.data_dir);
    let identity = Identity {
        cert_pem: read(&cert)?,
        key_pem: read(&key)?,
    };
    let connector = InternalConnector::new(&read(&ca)?, &identity).map_err(failed)?;
    let connected = connector.connect(args.internal, INTERNAL_DNS_NAME).await;
    connected.map_err(|error| {
        failed(format!(
            "{error}\n  hint: a backup needs the server's internal port; set server.internal_listen (127.0.0.1:3142) in its configuration, or name it with --internal"
        ))
    })
}

/// Those of the pod that this runs in, or those that a server on this machine made for itself.
fn certificates(data_dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    let folder = Path::new(POD_CERTIFICATES);
    let of_pod = std::env::var("GEODE_NODE_ID")
        .ok()
        .map(|pod| folder.join(format!("{pod}.crt")));
    match of_pod.filter(|cert| cert.exists()) {
        Some(cert) => (cert.clone(), cert.with_extension("key"), folder.join("ca.crt")),
        None => {
            let own = data_dir.join("tls");
            (own.join("tls.crt"), own.join("tls.key"), own.join("ca.crt"))
        }
    }
}
