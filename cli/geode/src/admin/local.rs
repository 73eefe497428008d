//! `geode admin backup` and `restore`: the guides' other names of `geode backup create`, `wal-archive` and `geode restore`.

use crate::args::{AdminRestoreArgs, CreateArgs, LocalServerArgs, RestoreArgs, VerifyArgs, WalArchiveArgs};
use crate::{Failure, archive, create, wal};

pub(super) async fn backup(args: CreateArgs, include_wal: bool, include_config: bool) -> Result<(), Failure> {
    let log = include_wal.then(|| WalArchiveArgs {
        output: args.output.clone(),
        since_checkpoint: true,
        store: args.store.clone(),
        server: LocalServerArgs {
            internal: args.server.internal,
            data_dir: args.server.data_dir.clone(),
        },
        wal_dir: None,
        format: args.format,
    });
    if include_config {
        eprintln!(
            "users, members and what an administrator switched are in the backup; geode.yaml is not: keep it with your manifests"
        );
    }
    create::run(args).await?;
    match log {
        Some(log) => wal::archive(log).await,
        None => Ok(()),
    }
}

pub(super) async fn restore(args: AdminRestoreArgs) -> Result<(), Failure> {
    let verify = args.verify_integrity.then(|| VerifyArgs {
        data_dir: args.data_dir.clone(),
        format: args.format,
        verbose: false,
    });
    let restore = RestoreArgs::of(args.from, args.store, args.data_dir, args.goal, args.format);
    archive::restore(restore).await?;
    if let Some(verify) = verify {
        archive::verify(verify).await?;
    }
    if let Some(name) = args.target_cluster {
        eprintln!("cluster.name: {name} in its geode.yaml makes it the first member of {name}");
    }
    Ok(())
}
