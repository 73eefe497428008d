//! The catalogue of condition types and reasons. Every condition and event of the operator takes its reason from here; each reason that
//! asks for a person has a page in `docs/runbooks/`.

use std::fmt;

/// Condition types of a `GeodeCluster`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Summary: quorum, all voters caught up, nothing left to do for this generation but to wait for observers.
    Ready,
    /// The operator is at work.
    Reconciling,
    /// The operator cannot go on without a person.
    Stalled,
    /// A leader is known and a majority follows it.
    QuorumHealthy,
    /// The archive follows the log.
    Archiving,
    /// All observers that are wanted, and no others, are up and caught up.
    ObserversReady,
    /// A person has taken something over: the operator is paused, a member is fenced, the cluster hibernates. Absent before the first time.
    Maintenance,
}

impl fmt::Display for ConditionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $runbook:literal),* $(,)?) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name),* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Whether a person may have to act, so that there is a runbook.
            pub fn has_runbook(self) -> bool {
                match self { $(Self::$name => $runbook),* }
            }

            /// The reason with this name.
            pub fn parse(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

reasons! {
    /// Everything is as it should be.
    AllMembersReady false,
    /// Objects are being created or brought up to date.
    Applying false,
    /// Pods or their volumes are not there yet.
    WaitingForPods true,
    /// The first member is being initialized.
    Bootstrapping false,
    /// A backup is being restored.
    Restoring false,
    /// Members join, leave or are replaced.
    ChangingMembers false,
    /// Pods are being restarted with a new template.
    Updating false,
    /// Volumes are growing.
    GrowingVolumes false,
    /// A member does not answer or is behind.
    MemberNotReady true,
    /// No leader is known although a majority answers: an election is under way.
    LeaderUnknown true,
    /// Fewer members than a majority answer.
    QuorumLost true,
    /// A leader is known and a majority follows it.
    LeaderElected false,
    /// A member answers but refuses writes, for example because its disk is full.
    ReadOnly true,
    /// The manifest asks for something that cannot be.
    InvalidSpec true,
    /// A volume holds data of another cluster.
    ForeignVolume true,
    /// A volume holds the data of a member that was removed.
    RemovedMember true,
    /// All volumes of an existing cluster are empty.
    DataLost true,
    /// The restore failed.
    RestoreFailed true,
    /// A restore was refused before anything was touched.
    RestoreRefused true,
    /// A restore waits for another one, or for the archive.
    RestoreWaiting false,
    /// It is known what would be restored, and nothing is touched.
    RestorePreviewed false,
    /// What a GeodeRestore asks for is done.
    RestoreCompleted false,
    /// A planned step broke one of the operator's own safety rules and was not done.
    UnsafePlan true,
    /// A call to Kubernetes or to a member failed; it is tried again.
    ActionFailed true,
    /// Nothing is left to do.
    Idle false,
    /// Nothing has been observed yet.
    NotObserved false,
    /// The archive has everything that is committed, or nearly.
    ArchiveUpToDate false,
    /// The manifest names no archive.
    ArchiveNotConfigured false,
    /// The archive has not caught up within its limit.
    ArchiveLagging true,
    /// The object store does not answer.
    ArchiveUnreachable true,
    /// The object store refuses the credentials or the bucket.
    ArchiveDenied true,
    /// A key of the archive is missing: nothing is stored without it.
    ArchiveKeyMissing true,
    /// The archive holds another content under a name of ours.
    ArchiveConflict true,
    /// Entries in the middle of the archive are missing, and no base backup covers them.
    ArchiveGap true,
    /// A backup waits for a member.
    BackupWaiting false,
    /// A backup runs.
    BackupRunning false,
    /// A backup is complete.
    BackupCompleted false,
    /// A backup failed.
    BackupFailed true,
    /// The next backup of a schedule is not due yet.
    Scheduled false,
    /// A schedule is suspended: it takes no backups.
    ScheduleSuspended false,
    /// The last run of a schedule made no backup.
    BackupMissed true,
    /// A restore test waits for a cluster with an archive and a database, or for its time.
    RestoreTestWaiting false,
    /// A restore test runs.
    RestoreTestRunning false,
    /// The last run of a restore test passed.
    RestoreTestPassed false,
    /// The last run of a restore test failed: what is archived may not be restorable.
    RestoreTestFailed true,
    /// The cluster that is to be backed up does not exist.
    ClusterNotFound true,
    /// The operator changes nothing until a moment that a person set.
    Paused false,
    /// A member takes no part, as a person asked.
    Fenced false,
    /// No member runs, as a person asked; all volumes are kept.
    Hibernated false,
    /// Pods with an outdated template are not restarted, as a person asked.
    UpdatesHeld false,
    /// Leadership moves off a node that takes no new pods.
    NodeCordoned false,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Where to read what to do about a reason.
pub fn runbook(reason: Reason) -> Option<String> {
    reason.has_runbook().then(|| format!("docs/runbooks/{reason}.md"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_asks_for_a_person_has_its_page_in_the_runbooks() {
        // Relative to the package, where Cargo runs tests: a path of compile time would be another checkout's when builds are shared.
        let repository = "../..";
        let index = std::fs::read_to_string(format!("{repository}/docs/runbooks/README.md")).unwrap();
        for reason in Reason::ALL {
            let row = index.contains(&format!("| [{reason}]({reason}.md) | `{reason}` |"));
            assert_eq!(row, reason.has_runbook(), "{reason}");
            let page = runbook(*reason).map(|page| std::fs::read_to_string(format!("{repository}/{page}")));
            assert!(
                page.is_none_or(|page| page.is_ok_and(|page| page.starts_with(&format!("# {reason}\n")))),
                "{reason}"
            );
            assert_eq!(Reason::parse(&reason.to_string()), Some(*reason));
        }
    }
}
