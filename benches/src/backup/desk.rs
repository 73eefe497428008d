//! Backups as the operator asks for them: a task that is filed with a member, for its sidecar.

use anyhow::{Context, Result, bail, ensure};
use geode_client::tls::Identity;
use geode_client::{InternalClient, InternalConnector};
use geode_tests::members::Members;
use geode_types::BackupKind;
use geode_wire::INTERNAL_DNS_NAME;
use geode_wire::internal::{InternalRequest, Task, TaskKind, TaskResult, TaskState};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

const DONE_WITHIN: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(100);

/// Where tasks are filed.
pub(crate) struct Desk {
    runtime: Runtime,
    member: InternalClient,
    filed: usize,
}

impl Desk {
    /// At a member.
    pub(crate) fn of(members: &Members, member: usize) -> Result<Self> {
        let runtime = Runtime::new()?;
        let [certificate, key] = members.certificate_files();
        let identity = Identity {
            cert_pem: std::fs::read(certificate)?,
            key_pem: std::fs::read(key)?,
        };
        let ca = std::fs::read(members.ca_file())?;
        let address = members.internal_address(member);
        let member = runtime.block_on(async {
            let connector = InternalConnector::new(&ca, &identity)?;
            connector.connect(address, INTERNAL_DNS_NAME).await
        })?;
        Ok(Self {
            runtime,
            member,
            filed: 0,
        })
    }

    /// Files a full backup and waits for its end.
    pub(crate) fn backup(&mut self) -> Result<TaskResult> {
        self.filed += 1;
        let task = Task {
            name: format!("bench-{}", self.filed),
            kind: TaskKind::Backup {
                retention: None,
                kind: BackupKind::Full,
            },
        };
        let request = InternalRequest::File(task.clone());
        self.runtime.block_on(self.member.call(&request))?;
        let begin = Instant::now();
        loop {
            let status = self.runtime.block_on(self.member.status())?;
            let report = status.tasks.into_iter().find(|report| report.task == task);
            match report.context("the task is known")?.state {
                TaskState::Done(result) => return Ok(result),
                TaskState::Failed(reason) => bail!("the backup failed: {reason}"),
                other => ensure!(begin.elapsed() < DONE_WITHIN, "the backup is {other:?}"),
            }
            std::thread::sleep(POLL);
        }
    }
}
