//! What happens to a cluster: what its users ask for, and what breaks.

use crate::kubernetes::BAD_VERSION;
use crate::lives::BAD_SOURCE;
use crate::model::{Model, Volume};
use crate::upgrades::keeps_the_order;
use geode_planner::{Action, Group, Names, Place, Plan};
use geode_types::MemberId;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Observers that a story has at most.
pub(crate) const OBSERVERS: u32 = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// Time passes.
    Rounds(u8),
    /// The operator is killed in a round, after so many actions.
    Interrupt(u8),
    /// `spec.members`.
    Members(u32),
    /// `spec.observers.replicas`.
    Observers(u32),
    /// `spec.version`; one of them cannot start.
    Version(u8),
    /// The manifest is deleted and applied anew, with so many members and observers.
    Recreate(u32, u32),
    /// Another release of the operator.
    Release(u8),
    /// A backup is asked for.
    Backup,
    /// A restore in place is asked for: of what can be restored, of what cannot, or of what cannot be fetched.
    Restore(u8),
    /// Whether this restore is to be undone is changed.
    Undo(u8),
    /// What this restore keeps is released.
    ReleaseKept(u8),
    /// The GeodeRestore is deleted.
    DeleteRestore(u8),
    /// Pod and volumes are gone.
    LoseVolume(Place),
    /// The storage of the volumes is gone.
    LoseStorage(Place),
    /// What is on the volumes is damaged.
    DamageVolume(Place),
    /// A person deletes the volumes; they stay until the pod goes.
    DeleteVolume(Place),
    /// The pod is gone.
    KillPod(Place),
    /// The operator does not reach the server.
    Partition(Place),
    /// The other members do not reach the server.
    Cut(Place),
    /// Writes that the others do not have yet.
    Load(u8),
    /// All reach each other.
    Heal,
    /// A person wants this member fenced, and no other.
    Fence(Place),
    /// Nobody is to be fenced.
    LiftFence,
    /// Whether the cluster hibernates is changed.
    Hibernate,
    /// The operator is paused for so many seconds.
    Pause(u8),
    /// Whether updates are held is changed.
    HoldUpdates,
    /// The node of this pod takes no new pods, or takes some again.
    Cordon(Place),
    /// Another size and class of volumes.
    Storage(u8),
    /// Leadership moves by itself, to one of the voters that have everything.
    Elect(u8),
}

/// A pod that may be there.
pub(crate) fn pod() -> impl Strategy<Value = Place> {
    let of = |group| move |ordinal| Place { group, ordinal };
    prop_oneof![
        7 => (0u32..7).prop_map(of(Group::Voters)),
        3 => (0..OBSERVERS).prop_map(of(Group::Observers)),
    ]
}

/// A number of voters.
pub(crate) fn members() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1u32), Just(3), Just(5), Just(7)]
}

pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1u8..30).prop_map(Event::Rounds),
        2 => (0u8..4).prop_map(Event::Interrupt),
        4 => members().prop_map(Event::Members),
        3 => (0..=OBSERVERS).prop_map(Event::Observers),
        2 => (0u8..4).prop_map(Event::Version),
        1 => (members(), 0..=OBSERVERS).prop_map(|(members, observers)| Event::Recreate(members, observers)),
        1 => (0u8..4).prop_map(Event::Release),
        1 => Just(Event::Backup),
        2 => (0u8..4).prop_map(Event::Restore),
        2 => (0u8..3).prop_map(Event::Undo),
        1 => (0u8..3).prop_map(Event::ReleaseKept),
        1 => (0u8..3).prop_map(Event::DeleteRestore),
        2 => pod().prop_map(Event::LoseVolume),
        2 => pod().prop_map(Event::LoseStorage),
        2 => pod().prop_map(Event::DamageVolume),
        2 => pod().prop_map(Event::DeleteVolume),
        3 => pod().prop_map(Event::KillPod),
        2 => pod().prop_map(Event::Partition),
        2 => pod().prop_map(Event::Cut),
        1 => (0u8..10).prop_map(Event::Load),
        2 => Just(Event::Heal),
        2 => pod().prop_map(Event::Fence),
        1 => Just(Event::LiftFence),
        1 => Just(Event::Hibernate),
        1 => (0u8..20).prop_map(Event::Pause),
        1 => Just(Event::HoldUpdates),
        2 => pod().prop_map(Event::Cordon),
        2 => (0u8..4).prop_map(Event::Storage),
    ]
}

/// What a user asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    pub(crate) members: u32,
    pub(crate) observers: u32,
    pub(crate) version: u8,
    storage: u8,
    fenced: Option<Place>,
    hibernates: bool,
    paused_until: Option<Timestamp>,
    holds_updates: bool,
}

impl Wishes {
    /// Nothing is taken over from the operator.
    fn without_maintenance(self) -> Self {
        Self {
            fenced: None,
            hibernates: false,
            paused_until: None,
            holds_updates: false,
            ..self
        }
    }

    /// The size and the class of all volumes.
    pub(crate) fn volumes(self) -> (&'static str, &'static str) {
        [("2Gi", "slow"), ("1Gi", "slow"), ("2Gi", "fast"), ("3Gi", "fast")][usize::from(self.storage)]
    }

    fn storage(self) -> Value {
        let (size, class) = self.volumes();
        json!({"size": size, "storageClassName": class, "replaceMembers": true})
    }

    fn maintenance(self) -> Value {
        let pod = |place: Place| {
            let names = Names {
                namespace: "db".into(),
                cluster: "g".into(),
            };
            names.pod(place.group, place.ordinal)
        };
        json!({
            "fenced": self.fenced.map(pod).into_iter().collect::<Vec<_>>(),
            "hibernate": self.hibernates,
            "allowQuorumLoss": self.hibernates.then_some("g"),
            "holdUpdates": self.holds_updates,
            "paused": self.paused_until.map(|until| json!({"until": until.to_string()})),
        })
    }

    fn spec(self) -> Value {
        json!({
            "members": self.members, "observers": {"replicas": self.observers},
            "version": format!("1.0.{}", self.version), "archive": {"s3": {"bucket": "b"}},
            "storage": self.storage(),
            "maintenance": self.maintenance(),
        })
    }
}

/// A model, and the manifest that its user has in mind.
pub(crate) struct Story {
    pub(crate) model: Model,
    pub(crate) wishes: Wishes,
    /// Volumes were to be others at some time.
    volumes_differ: bool,
}

impl Story {
    pub(crate) fn new() -> Self {
        let wishes = Wishes {
            members: 3,
            observers: 1,
            version: 0,
            storage: 0,
            fenced: None,
            hibernates: false,
            paused_until: None,
            holds_updates: false,
        };
        Self {
            model: Model::new(wishes.spec()),
            wishes,
            volumes_differ: false,
        }
    }

    /// All of this happens, each at a different time.
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut story = Self::new();
        for event in events {
            story.happen(*event);
        }
        story
    }

    /// What was broken is mended, as far as it can be from outside.
    pub(crate) fn end(&mut self) {
        self.model.fetch_fails = false;
        if self.model.has_failed() {
            // What is fetched anew may be there by now.
            self.model.pods.remove(&self.model.names().pod(Group::Voters, 0));
        }
        self.change(|wishes| *wishes = wishes.without_maintenance());
        if self.volumes_differ && self.wishes.members == 1 {
            // Volumes of one member alone cannot be replaced; it says so and waits for others.
            self.change(|wishes| wishes.members = 3);
        }
        if format!("1.0.{}", self.wishes.version) == BAD_VERSION {
            self.change(|wishes| wishes.version = 0);
        }
        self.replace_damaged();
        self.heal();
    }

    /// What the runbook says of damaged members that the operator leaves alone: a person deletes the pod and its volumes.
    fn replace_damaged(&mut self) {
        let damaged = self.model.volumes.iter().filter(|(_, volume)| volume.damaged);
        let pods: Vec<String> = damaged.map(|(pod, _)| pod.clone()).collect();
        for pod in pods {
            self.model.lose_volume(&pod);
        }
        let aside = self.model.aside.values_mut();
        for volume in aside.flat_map(|aside| aside.volumes.values_mut()) {
            volume.damaged = false;
        }
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Wishes)) {
        change(&mut self.wishes);
        self.model.change(self.wishes.spec());
    }

    fn heal(&mut self) {
        for pod in self.model.pods.values_mut() {
            (pod.reachable, pod.connected) = (true, true);
        }
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Rounds(count) => (0..count).for_each(|_| self.round(usize::MAX)),
            Event::Interrupt(actions) => self.round(actions.into()),
            Event::Members(members) => self.change(|wishes| wishes.members = members),
            Event::Observers(observers) => self.change(|wishes| wishes.observers = observers),
            Event::Version(version) => self.change(|wishes| wishes.version = version),
            Event::Recreate(members, observers) => {
                self.replace_damaged();
                (self.wishes.members, self.wishes.observers) = (members, observers);
                self.model.recreate(self.wishes.spec());
            }
            Event::Release(minor) => self.model.release = format!("0.{minor}.0"),
            Event::Backup => {
                let name = format!("backup-{}", self.model.backups.len());
                self.model.ask_for_backup(&name);
            }
            Event::Restore(_) | Event::Undo(_) | Event::ReleaseKept(_) | Event::DeleteRestore(_) => {
                self.restore(event);
            }
            Event::Load(thousands) => {
                if let Some(raft) = &mut self.model.raft {
                    raft.load(u64::from(thousands) * 1_000);
                }
            }
            Event::Heal => self.heal(),
            Event::Elect(which) => self.elect(which),
            Event::Storage(storage) => {
                self.volumes_differ = true;
                self.change(|wishes| wishes.storage = storage);
            }
            Event::Fence(place) => self.change(|wishes| wishes.fenced = Some(place)),
            Event::LiftFence => self.change(|wishes| wishes.fenced = None),
            Event::Hibernate => self.change(|wishes| wishes.hibernates ^= true),
            Event::HoldUpdates => self.change(|wishes| wishes.holds_updates ^= true),
            Event::Pause(seconds) => {
                let until = self.model.now + SignedDuration::from_secs(seconds.into());
                self.change(|wishes| wishes.paused_until = Some(until));
            }
            Event::LoseVolume(place)
            | Event::LoseStorage(place)
            | Event::DamageVolume(place)
            | Event::DeleteVolume(place)
            | Event::KillPod(place)
            | Event::Cordon(place)
            | Event::Partition(place)
            | Event::Cut(place) => self.disturb(event, place),
        }
        self.round(usize::MAX);
    }

    fn elect(&mut self, which: u8) {
        let up = self.model.up();
        let Some(raft) = &mut self.model.raft else { return };
        let mut able = raft.complete(&up);
        able.retain(|id| raft.votes(*id));
        let Some(leader) = raft.leader.filter(|_| !able.is_empty()) else {
            return;
        };
        let to = able[usize::from(which) % able.len()];
        // Without a majority nobody is elected.
        let _ = raft.transfer(leader, to, &up);
    }

    fn restore(&mut self, event: Event) {
        let model = &mut self.model;
        let named = |which: u8| format!("restore-{which}");
        let there =
            |model: &Model, which: u8| model.restores.iter().any(|restore| restore.name == named(which));
        match event {
            Event::Restore(kind) if model.restores.len() < 3 => {
                let free = (0..3)
                    .find(|which| !there(model, *which))
                    .expect("fewer than three");
                model.ask_for_restore(&named(free), (kind == 1).then_some(BAD_SOURCE));
                model.fetch_fails |= kind == 2;
            }
            // After a release the API server refuses it.
            Event::Undo(which) if there(model, which) => {
                model.change_restore(&named(which), |spec| spec.undo ^= !spec.release);
            }
            Event::ReleaseKept(which) if there(model, which) => {
                model.change_restore(&named(which), |spec| spec.release = true);
            }
            Event::DeleteRestore(which) => model.restores.retain(|restore| restore.name != named(which)),
            _ => {}
        }
    }

    fn disturb(&mut self, event: Event, place: Place) {
        let model = &mut self.model;
        let pod = model.names().pod(place.group, place.ordinal);
        let may_lose = model.may_lose(&pod);
        let doomed = model.volumes.get(&pod).is_some_and(Volume::doomed);
        match (event, model.pods.get_mut(&pod)) {
            (Event::LoseVolume(_), _) if may_lose => model.lose_volume(&pod),
            (Event::LoseStorage(_), _) if may_lose => {
                model.volumes.get_mut(&pod).expect("it may be lost").lost = true;
            }
            (Event::DamageVolume(_), _) if may_lose => model.damage_volume(&pod),
            (Event::DeleteVolume(_), _) if may_lose => model.delete_volume(&pod),
            // With its pod a volume goes that waits for that.
            (Event::KillPod(_), _) if may_lose || !doomed => {
                model.pods.remove(&pod);
            }
            (Event::Cordon(_), Some(pod)) => pod.view.cordoned ^= true,
            (Event::Partition(_), Some(view)) => view.reachable = false,
            (Event::Cut(_), Some(view)) => view.connected = false,
            _ => {}
        }
    }

    /// A round of the operator, and a second.
    pub(crate) fn round(&mut self, actions: usize) {
        let before = self.model.clone();
        let plan = self.model.interrupted_round(actions);
        for action in &plan.actions {
            match action {
                Action::RestartPod { pod, .. } => {
                    assert!(
                        leaves_a_majority(&before, pod),
                        "a restart took the majority away"
                    );
                }
                Action::Fence { pod, fenced: true } => {
                    let meant = before.want().maintenance.allows_quorum_loss;
                    assert!(
                        meant || keeps_deciding(&before, pod),
                        "a fence took the majority away"
                    );
                }
                _ => {}
            }
            let paused = before.want().maintenance.pause(before.now).is_some();
            assert!(
                !paused || matches!(action, Action::SetRole { .. }),
                "paused, and yet: {action}"
            );
        }
        keeps_the_order(&before, &plan);
        let pods = self.model.pods.values();
        let leaders = pods.filter(|pod| pod.view.role.as_deref() == Some("leader"));
        assert!(leaders.count() <= 1, "two leaders by label");
        if let Some(raft) = &self.model.raft {
            let mut observers = self.model.members_of(Group::Observers).into_iter();
            assert!(
                !observers.any(|member| raft.votes(member.id)),
                "an observer votes"
            );
        }
        self.model.step();
        keeps_volumes(&before, &self.model, &plan);
    }
}

/// Volumes that are not in use go when they are released, and those that are being exchanged do not go.
fn keeps_volumes(before: &Model, after: &Model, plan: &Plan) {
    let exchange = before
        .cluster
        .status
        .as_ref()
        .and_then(|status| status.lives.as_ref()?.exchange.as_ref());
    let after = after.claims();
    for (name, claim) in before.claims() {
        let released = plan.actions.iter().any(|action| {
            matches!(action, Action::ReleaseVolumes { claims } if claims.iter().any(|(released, _)| *released == name))
        });
        let must_stay = !claim.doomed && !released && (claim.life != before.life || exchange.is_some());
        let stays = after.get(&name).is_some_and(|still| still.uid == claim.uid);
        assert!(stays || !must_stay, "{name} is gone");
    }
}

/// Whether who decides goes on deciding without this pod.
fn keeps_deciding(model: &Model, pod: &str) -> bool {
    let Some(raft) = &model.raft else { return true };
    let (up, id) = (model.up(), model.volumes[pod].id);
    let rest: Vec<MemberId> = up.iter().copied().filter(|other| *other != id).collect();
    !raft.has_quorum(&up) || raft.has_quorum(&rest)
}

/// Whether a majority that there was is still there without this pod.
fn leaves_a_majority(model: &Model, pod: &str) -> bool {
    let Some(raft) = &model.raft else { return true };
    let (up, id) = (model.up(), model.volumes[pod].id);
    let rest: Vec<MemberId> = up.iter().copied().filter(|other| *other != id).collect();
    let alone = raft.membership.voters == [id];
    alone || !raft.has_quorum(&up) || raft.has_quorum(&rest)
}
