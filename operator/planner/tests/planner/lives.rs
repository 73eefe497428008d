//! Databases that are exchanged in the model: volumes and members of other lives, and what sidecars do for a restore.

use crate::model::{Model, Volume, claim};
use crate::raft::Raft;
use geode_api::GeodeRestoreSpec;
use geode_planner::{Action, ClaimView, Group, Kind, ObjectKey, RestoreView, VolumeKind};
use geode_types::{LogIndex, MemberId};
use geode_wire::internal::{TaskKind, TaskResult, TaskState};
use serde_json::Value;
use std::collections::BTreeMap;

/// Sources with this in their names cannot be restored.
pub(crate) const BAD_SOURCE: &str = "s3://nothing/there";

/// A life that is not in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside {
    pub(crate) volumes: BTreeMap<String, Volume>,
    pub(crate) raft: Option<Raft>,
}

impl Model {
    /// Every claim there is.
    pub(crate) fn claims(&self) -> BTreeMap<String, ClaimView> {
        let of = |life: u32, volumes: &BTreeMap<String, Volume>| -> Vec<(String, ClaimView)> {
            let volumes = volumes.iter();
            volumes
                .flat_map(|(pod, volume)| VolumeKind::ALL.map(|kind| claim(life, pod, volume, kind)))
                .collect()
        };
        let aside = self.aside.iter();
        let mut claims = of(self.life, &self.volumes);
        claims.extend(aside.flat_map(|(life, aside)| of(*life, &aside.volumes)));
        claims.into_iter().collect()
    }

    /// Another life is in use from now on.
    pub(crate) fn use_life(&mut self, life: u32) {
        if life == self.life {
            return;
        }
        assert!(self.pods.is_empty(), "two lives run at the same time");
        let left = Aside {
            volumes: std::mem::take(&mut self.volumes),
            raft: self.raft.take(),
        };
        self.aside.insert(self.life, left);
        let comes = self.aside.remove(&life).unwrap_or_default();
        (self.volumes, self.raft, self.life) = (comes.volumes, comes.raft, life);
    }

    /// A StatefulSet makes pods of the life in use, and of no other.
    pub(crate) fn check_life(&self, set: &Value) {
        for template in set["spec"]["volumeClaimTemplates"].as_array().unwrap() {
            let (_, life) = VolumeKind::parse(template["metadata"]["name"].as_str().unwrap()).unwrap();
            assert_eq!(life, self.life, "a pod of another life");
        }
    }

    pub(crate) fn exchange(&mut self, action: &Action) {
        let key = |group: Group| ObjectKey {
            kind: Kind::StatefulSet,
            name: self.names().set(group),
        };
        match action {
            Action::StopPods { group, .. } => {
                let key = key(*group);
                let set = self.objects.get_mut(&key).unwrap();
                set["spec"]["replicas"] = 0.into();
                for when in ["whenScaled", "whenDeleted"] {
                    set["spec"]["persistentVolumeClaimRetentionPolicy"][when] = "Retain".into();
                }
            }
            Action::DeleteSet { group, .. } => {
                let key = key(*group);
                let kept = self
                    .volumes
                    .values()
                    .all(|volume| !volume.belongs && volume.owner.is_none());
                assert!(
                    kept && self.pods.is_empty(),
                    "something goes with the StatefulSet"
                );
                self.objects.remove(&key);
                self.controlled.remove(group);
            }
            Action::MarkVolumes { claims, kept_by } => {
                for name in claims {
                    let volume = self.volume(name).unwrap();
                    volume.kept_by.clone_from(kept_by);
                    (volume.belongs, volume.owner) = (false, None);
                }
            }
            Action::ReleaseVolumes { claims } => {
                for (name, _) in claims {
                    let (life, pod) = parse(name);
                    assert_ne!(life, self.life, "a volume in use is released");
                    assert!(self.restores.iter().any(|restore| restore.spec.release));
                    self.aside.get_mut(&life).unwrap().volumes.remove(&pod);
                }
            }
            Action::RecordRestore { name, status } => {
                let mut restores = self.restores.iter_mut();
                let restore = restores.find(|restore| restore.name == *name).unwrap();
                restore.status = (**status).clone();
            }
            other => panic!("{other} exchanges nothing"),
        }
    }

    fn volume(&mut self, claim: &str) -> Option<&mut Volume> {
        let (life, pod) = parse(claim);
        if life == self.life {
            self.volumes.get_mut(&pod)
        } else {
            self.aside.get_mut(&life)?.volumes.get_mut(&pod)
        }
    }

    /// Sidecars do in a step what they were asked; a member that has fetched a backup comes back with it in the next.
    pub(crate) fn work_on_tasks(&mut self) {
        let mut restored = None;
        for (pod, reports) in &mut self.tasks {
            for report in reports {
                let known = matches!(report.state, TaskState::Done(_));
                if matches!(report.state, TaskState::Failed(_)) {
                    continue;
                }
                report.state = match &report.task.kind {
                    TaskKind::Restore { .. } if self.fetch_fails => {
                        TaskState::Failed("a segment is missing".into())
                    }
                    TaskKind::Restore { cluster_id, .. } if known => {
                        restored = Some((pod.clone(), *cluster_id));
                        continue;
                    }
                    TaskKind::PlanRestore { source, .. } if source == BAD_SOURCE => {
                        TaskState::Failed("nothing is archived there".into())
                    }
                    _ => TaskState::Done(TaskResult {
                        location: "s3://b/place".into(),
                        index: LogIndex(7),
                        ..TaskResult::default()
                    }),
                };
            }
        }
        let Some((pod, cluster_id)) = restored else { return };
        if self.raft.is_none() {
            let address = self.address(&pod, self.volumes[&pod].id);
            self.raft = Some(Raft::initialize(cluster_id, address));
            self.volumes.get_mut(&pod).unwrap().cluster_id = Some(cluster_id);
        }
        self.tasks.remove(&pod);
    }

    /// Whether the backup of a restore could not be fetched.
    pub(crate) fn has_failed(&self) -> bool {
        let mut reports = self.tasks.values().flatten();
        reports.any(|report| {
            matches!(report.task.kind, TaskKind::Restore { .. })
                && matches!(report.state, TaskState::Failed(_))
        })
    }

    pub(crate) fn ask_for_restore(&mut self, name: &str, source: Option<&str>) {
        let restore = RestoreView {
            name: name.into(),
            uid: format!("6f2c1d9e-0000-4000-9000-{:012}", self.fresh()),
            generation: 1,
            spec: GeodeRestoreSpec {
                cluster: "g".into(),
                source: source.map(str::to_owned),
                ..GeodeRestoreSpec::default()
            },
            status: geode_api::GeodeRestoreStatus::default(),
        };
        self.restores.push(restore);
    }

    pub(crate) fn change_restore(&mut self, name: &str, change: impl FnOnce(&mut GeodeRestoreSpec)) {
        let mut restores = self.restores.iter_mut();
        let restore = restores.find(|restore| restore.name == name).unwrap();
        change(&mut restore.spec);
        restore.generation += 1;
    }

    /// Identities on all volumes, by life and pod.
    pub(crate) fn everybody(&self) -> BTreeMap<(u32, String), MemberId> {
        let of = |life: u32, volumes: &BTreeMap<String, Volume>| -> Vec<((u32, String), MemberId)> {
            let volumes = volumes.iter();
            volumes
                .map(|(pod, volume)| ((life, pod.clone()), volume.id))
                .collect()
        };
        let aside = self.aside.iter();
        let mut all = of(self.life, &self.volumes);
        all.extend(aside.flat_map(|(life, aside)| of(*life, &aside.volumes)));
        all.into_iter().collect()
    }
}

/// `data1-g-0` → 1, `g-0`.
fn parse(claim: &str) -> (u32, String) {
    let (template, pod) = claim.split_once('-').unwrap();
    (VolumeKind::parse(template).unwrap().1, pod.to_owned())
}
