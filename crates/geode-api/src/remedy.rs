//! What would end a wait: one sentence a reason, for `kubectl geode why`. The whole story of each is in `docs/runbooks/`.

use crate::condition::Reason;

/// What would unblock the operator, or what it waits for if that comes by itself. `None` where nothing is wrong.
pub fn remedy(reason: Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::Applying | Reason::Bootstrapping | Reason::ChangingMembers | Reason::GrowingVolumes => {
            "nothing: the operator is at work and tells of it here"
        }
        Reason::Updating => {
            "it goes on by itself when the member above is back and has caught up; `kubectl geode upgrade NAME --abort` takes a version back"
        }
        Reason::UpdatesHeld => {
            "`kubectl geode upgrade NAME --resume` goes on, `kubectl geode upgrade NAME --abort` takes the version back"
        }
        Reason::NodeCordoned => "nothing: leadership moves to a member elsewhere",
        Reason::Restoring | Reason::RestoreWaiting => "nothing: the restore goes on by itself",
        Reason::Paused => {
            "it ends by itself at the time above; `kubectl geode maintenance off NAME` ends it now"
        }
        Reason::Fenced => "`kubectl geode fence off NAME POD` lets the member take part again",
        Reason::Hibernated => "`kubectl geode hibernate off NAME` wakes the cluster with all its data",
        Reason::WaitingForPods => {
            "Kubernetes has to start the pod: `kubectl describe pod POD` says what it lacks, mostly a node, an image or a volume"
        }
        Reason::MemberNotReady => {
            "the member has to run and to catch up; `kubectl geode logs NAME --pod POD` says what keeps it"
        }
        Reason::LeaderUnknown => {
            "the members elect a leader within seconds; if not, they do not reach each other on UDP 3142"
        }
        Reason::QuorumLost => {
            "bring back as many members as a majority needs; each that is away is named above"
        }
        Reason::ReadOnly => {
            "make room: a larger spec.storage, or an archive that gets on; writes are taken again by themselves"
        }
        Reason::InvalidSpec => "correct the manifest; the message names the field",
        Reason::ForeignVolume => {
            "delete or move the volume that belongs to another cluster, after a look at it"
        }
        Reason::RemovedMember => "delete the volumes of the removed member; it comes back as a new one",
        Reason::DataLost => "restore a backup: `kubectl geode restore NAME`",
        Reason::RestoreFailed | Reason::RestoreRefused => {
            "correct what the message names and make another GeodeRestore; spec.undo brings the database from before back"
        }
        Reason::UnsafePlan => "report it as a defect; the operator does nothing until what it sees changes",
        Reason::ActionFailed => "it is tried again by itself; the message says who refused it",
        Reason::ArchiveNotConfigured => "set spec.archive, unless the data may be lost",
        Reason::ArchiveLagging | Reason::ArchiveUnreachable => {
            "the object store has to answer and keep up; `kubectl geode logs NAME --sidecar` has its errors"
        }
        Reason::ArchiveDenied => "correct the Secret with the keys, or the rights to the bucket",
        Reason::ArchiveConflict => "give this cluster a bucket or prefix of its own",
        Reason::ArchiveGap => {
            "a base backup covers the gap; the operator takes one by itself, and its GeodeBackup says why when it fails"
        }
        Reason::ArchiveKeyMissing => {
            "put the key that the message names back into the Secret of spec.archive.encryption"
        }
        Reason::RestoreTestFailed => {
            "take a base backup, and run the test again: `kubectl geode test-restore NAME --wait`"
        }
        Reason::BackupFailed | Reason::BackupMissed => "`kubectl geode backup NAME --wait` takes one now",
        Reason::ClusterNotFound => "make the GeodeCluster, or correct spec.cluster",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_that_asks_for_a_person_has_a_way_out() {
        for reason in Reason::ALL {
            assert!(remedy(*reason).is_some() || !reason.has_runbook(), "{reason}");
        }
    }
}
