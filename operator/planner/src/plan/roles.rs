//! Do the role labels say who leads? They follow the election; they decide nothing. Demotions come first, so that two pods are never both
//! labelled as the leader.

use crate::names::Group;
use crate::observed::Observed;
use crate::plan::Action;
use crate::quorum::Lead;
use crate::want::Want;
use geode_types::Role;

const LEADER: &str = "leader";

pub(super) fn plan(want: &Want, seen: &Observed, lead: &Lead<'_>) -> Vec<Action> {
    let mut demotions = Vec::new();
    let mut promotion = None;
    for (pod, view) in &seen.pods {
        let Some(place) = want.names.place(pod) else {
            continue;
        };
        let label = view.role.as_deref();
        let role = match seen.member(pod) {
            Some(_) if pod == lead.pod => Some(LEADER),
            Some(status) if !lead.knows(status.address.id) => None,
            Some(status) => match (status.role, place.group) {
                (Role::Leader | Role::Follower, _) => Some("follower"),
                (Role::Observer | Role::Joining, Group::Observers) => Some("observer"),
                // It has no vote yet, and is there for no other reason.
                (Role::Observer | Role::Joining, Group::Voters) => None,
            },
            // What it does is not known, except that it does not lead.
            None => label.filter(|label| *label != LEADER).and_then(known),
        };
        if role == label {
            continue;
        }
        let action = Action::SetRole {
            pod: pod.clone(),
            role,
        };
        if role == Some(LEADER) {
            promotion = Some(action);
        } else {
            demotions.push(action);
        }
    }
    demotions.extend(promotion);
    demotions
}

fn known(label: &str) -> Option<&'static str> {
    ["leader", "follower", "observer", "witness"]
        .into_iter()
        .find(|role| *role == label)
}
