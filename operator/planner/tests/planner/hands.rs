//! Carries out actions in the model. What the operator itself would be told as an error is an `Err`; what must never be asked is a panic.

use crate::model::Model;
use geode_api::GeodeBackupStatus;
use geode_planner::{Action, Authority, BackupView, Certificate, Kind, ObjectKey};
use geode_types::{BackupKind, MemberId};
use geode_wire::internal::{Task, TaskReport, TaskState};
use k8s_openapi::jiff::SignedDuration;
use std::collections::BTreeSet;

/// Something that is observed and acted on, but gone in between.
const THERE: &str = "it was observed a moment ago";

impl Model {
    fn take_backup(&mut self, name: &str) {
        assert!(self.backups.iter().all(|backup| backup.name != name));
        self.backups.push(BackupView {
            name: name.to_owned(),
            uid: format!("uid-{name}"),
            generation: 1,
            created_at: self.now,
            kind: BackupKind::Full,
            retention: None,
            status: GeodeBackupStatus::default(),
        });
    }

    pub(crate) fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Record(memory) => {
                let memory = (**memory).clone();
                let status = self.status();
                status.bootstrap = memory.bootstrap;
                status.images = memory.images;
                status.cluster_id = memory.cluster_id.map(|id| id.to_string());
                status.lives = memory.lives;
                self.use_life(self.observe().life);
            }
            Action::CreateAuthority => {
                let not_after = self.now + SignedDuration::from_hours(24 * 3650);
                let fingerprint = "ca".into();
                self.secrets.authority = Some(Authority {
                    fingerprint,
                    not_after,
                });
            }
            Action::IssueCertificates { pods } => self.issue(pods),
            Action::SecureAdmin { owned } => self.secrets.admin_owned = Some(*owned),
            Action::Apply(object) => {
                self.objects.insert(object.key.clone(), object.body.clone());
            }
            Action::Delete(key) => {
                self.objects.remove(key);
            }
            Action::Scale { group, replicas } => {
                let key = ObjectKey {
                    kind: Kind::StatefulSet,
                    name: self.names().set(*group),
                };
                let set = self.objects.get_mut(&key).expect(THERE);
                set["spec"]["replicas"] = (*replicas).into();
            }
            Action::GrowClaim { .. } if !self.growable => {
                return Err("the storage class does not let volumes grow".to_owned());
            }
            Action::GrowClaim { claim, size } => {
                let pod = claim.split_once('-').expect("KIND-POD").1;
                self.volumes.get_mut(pod).expect(THERE).size.clone_from(size);
            }
            Action::SetRole { pod, role } => {
                self.pods.get_mut(pod).expect(THERE).view.role = role.map(str::to_owned);
            }
            Action::TakeBackup { name } => self.take_backup(name),
            Action::RecordBackup { name, status } => {
                let mut backups = self.backups.iter_mut();
                let backup = backups.find(|backup| backup.name == *name).expect(THERE);
                backup.status = (**status).clone();
            }
            Action::Fence { pod, fenced } => self.volumes.get_mut(pod).expect(THERE).fenced = *fenced,
            Action::RestartPod { pod, .. } => {
                self.restarted.push(pod.clone());
                self.pods.get_mut(pod).expect(THERE).view.deleting = true;
            }
            Action::ReplaceLostVolume { pod, .. } => {
                assert!(self.volumes[pod].lost || self.volumes[pod].damaged);
                self.delete_volume(pod);
                if let Some(pod) = self.pods.get_mut(pod) {
                    pod.view.deleting = true;
                }
            }
            Action::RemakeSet { group, .. } => {
                let key = ObjectKey {
                    kind: Kind::StatefulSet,
                    name: self.names().set(*group),
                };
                self.objects.remove(&key);
                self.controlled.remove(group);
                for volume in self.volumes.values_mut() {
                    volume.belongs = false;
                }
            }
            Action::ReplaceVolumes { pod, .. } => self.delete_volume(pod),
            Action::StopPods { .. }
            | Action::DeleteSet { .. }
            | Action::MarkVolumes { .. }
            | Action::ReleaseVolumes { .. }
            | Action::RecordRestore { .. } => self.exchange(action),
            _ => return self.ask_member(action),
        }
        Ok(())
    }

    fn issue(&mut self, pods: &[String]) {
        for pod in pods {
            let names: BTreeSet<String> = self.names().certificate_names(pod).into_iter().collect();
            let (not_before, not_after) = (self.now, self.now + SignedDuration::from_hours(24 * 365));
            let certificate = Certificate {
                not_before,
                not_after,
                genuine: true,
                names,
            };
            self.secrets.certificates.insert(pod.clone(), certificate);
        }
        let authority = self.secrets.authority.as_ref();
        self.secrets.distributed = authority.map(|authority| authority.fingerprint.clone());
    }

    fn raft(&mut self) -> &mut crate::raft::Raft {
        self.raft.as_mut().expect(THERE)
    }

    fn id(&self, pod: &str) -> MemberId {
        self.volumes[pod].id
    }

    /// Actions that are requests to a member. A change of the membership is taken up at once, and complete when a majority has it.
    fn ask_member(&mut self, action: &Action) -> Result<(), String> {
        let up = self.up();
        let asked = |pod: &str, id: MemberId| {
            up.contains(&id)
                .then_some(id)
                .ok_or_else(|| format!("{pod} does not answer"))
        };
        let through = |leader: &str| asked(leader, self.id(leader));
        match action {
            Action::Initialize { pod, cluster_id } => {
                assert!(self.raft.is_none(), "initialized twice");
                let address = self.address(pod, self.id(pod));
                self.raft = Some(crate::raft::Raft::initialize(*cluster_id, address));
                self.volumes.get_mut(pod).expect(THERE).cluster_id = Some(*cluster_id);
                return Ok(());
            }
            Action::FileTask { pod, task } => {
                self.file(pod, task);
                return Ok(());
            }
            Action::AddLearner { leader, member } => {
                let leader = through(leader)?;
                self.raft().add_learner(leader, member.clone())?;
            }
            Action::ChangeVoters {
                leader,
                voters,
                expected,
            } => {
                let leader = through(leader)?;
                self.raft().change_voters(leader, voters, *expected)?;
            }
            Action::RemoveLearners {
                leader,
                members,
                expected,
            } => {
                let leader = through(leader)?;
                self.raft().remove_learners(leader, members, *expected)?;
            }
            Action::TransferLeader { leader, to, .. } => {
                let leader = through(leader)?;
                return self.raft().transfer(leader, *to, &up);
            }
            other => panic!("the model does not know {other}"),
        }
        let decided = self.raft.as_ref().is_some_and(|raft| raft.has_quorum(&up));
        decided
            .then_some(())
            .ok_or_else(|| "the change was not committed in time".to_owned())
    }

    fn file(&mut self, pod: &str, task: &Task) {
        let tasks = self.tasks.entry(pod.to_owned()).or_default();
        if !tasks.iter().any(|report| report.task == *task) {
            let state = TaskState::Waiting;
            tasks.push(TaskReport {
                task: task.clone(),
                state,
            });
        }
    }
}
