//! Lives of a cluster's database: which volumes belong to which, and what is remembered of them. A restore in place begins a life on volumes of its
//! own and leaves those from before alone; exchanging them is `plan::exchange`'s.

use crate::observed::{ClaimView, SetView};
use crate::want::{Memory, Want};
use geode_api::{ExchangeStatus, GeodeClusterStatus, LifeStatus, LivesStatus, RestoreOrder};
use std::collections::BTreeMap;

/// The volumes of a cluster.
pub struct Divided {
    /// The life in use.
    pub life: u32,
    /// Its volumes.
    pub in_use: BTreeMap<String, ClaimView>,
    /// All others.
    pub kept: BTreeMap<String, ClaimView>,
}

/// Says which volumes are in use. The status remembers it; a manifest that was applied anew has none, and takes over the life that is not marked
/// as one from before.
pub fn divide(
    status: &GeodeClusterStatus,
    set: Option<&SetView>,
    claims: BTreeMap<String, ClaimView>,
) -> Divided {
    let unmarked = claims.values().filter(|claim| claim.kept_by.is_none());
    let newest = unmarked.map(|claim| claim.life).max();
    let remembered = status.lives.as_ref().map(|lives| lives.in_use);
    let life = remembered
        .or_else(|| set.map(|set| set.life))
        .or(newest)
        .unwrap_or(0);
    let (in_use, kept) = claims.into_iter().partition(|(_, claim)| claim.life == life);
    Divided { life, in_use, kept }
}

impl Memory {
    /// The exchange that is under way.
    pub(crate) fn exchange(&self) -> Option<&ExchangeStatus> {
        self.lives.as_ref()?.exchange.as_ref()
    }

    /// What is known of a life.
    pub(crate) fn life(&self, number: u32) -> Option<&LifeStatus> {
        let known = &self.lives.as_ref()?.known;
        known.iter().find(|life| life.number == number)
    }

    /// The life that the restore with this uid began.
    pub(crate) fn life_of(&self, uid: &str) -> Option<(u32, &RestoreOrder)> {
        let lives = self.lives.iter().flat_map(|lives| &lives.known);
        let mut begun = lives.filter_map(|life| Some((life.number, life.restore.as_ref()?)));
        begun.find(|(_, order)| order.uid == uid)
    }
}

impl Want {
    /// The restore in place that the life in use began with.
    pub(crate) fn order(&self) -> Option<&RestoreOrder> {
        let in_use = self.memory.lives.as_ref()?.in_use;
        self.memory.life(in_use)?.restore.as_ref()
    }
}

/// What is remembered when an exchange is decided: a life that has been is remembered as it stands, a new one gets a number that none had.
pub(crate) fn decided(
    memory: &Memory,
    in_use: u32,
    volumes: &[u32],
    to: To,
    exchange: impl FnOnce(u32) -> ExchangeStatus,
) -> Memory {
    let mut lives = memory.lives.clone().unwrap_or_else(|| LivesStatus {
        in_use,
        last: in_use,
        ..LivesStatus::default()
    });
    lives.last = volumes.iter().copied().fold(lives.last, u32::max);
    let begun = memory.life(in_use).and_then(|life| life.restore.clone());
    let present = LifeStatus {
        number: in_use,
        cluster_id: memory.cluster_id.map(|id| id.to_string()),
        bootstrap: memory.bootstrap.clone(),
        restore: begun,
    };
    lives
        .known
        .retain(|life| life.number != in_use && volumes.contains(&life.number));
    lives.known.push(present);
    let to = match to {
        To::Known(number) => number,
        To::New(order) => {
            lives.last += 1;
            lives.known.push(LifeStatus {
                number: lives.last,
                restore: Some(order),
                ..LifeStatus::default()
            });
            lives.last
        }
    };
    lives.known.sort_by_key(|life| life.number);
    lives.exchange = Some(exchange(to));
    Memory {
        lives: Some(lives),
        ..memory.clone()
    }
}

/// Where an exchange leads.
pub(crate) enum To {
    /// To a life that has been.
    Known(u32),
    /// To a new one.
    New(RestoreOrder),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::VolumeKind;
    use k8s_openapi::jiff::Timestamp;

    #[test]
    fn the_name_of_a_volume_says_its_kind_and_life_and_nothing_else_has_it() {
        for (name, parsed) in [
            ("data", Some((VolumeKind::Data, 0))),
            ("wal12", Some((VolumeKind::Wal, 12))),
            ("data0", None),
            ("data01", None),
            ("data+1", None),
            ("tmp", None),
        ] {
            assert_eq!(VolumeKind::parse(name), parsed, "{name}");
        }
    }

    fn claim(life: u32, kept_by: Option<&str>) -> (String, ClaimView) {
        let view = ClaimView {
            uid: String::new(),
            pod: "g-0".into(),
            kind: VolumeKind::Data,
            life,
            kept_by: kept_by.map(str::to_owned),
            owned: false,
            created_at: Timestamp::UNIX_EPOCH,
            size: "1Gi".into(),
            class: None,
            lost: false,
            doomed: false,
        };
        (format!("{}-g-0", VolumeKind::Data.name(life)), view)
    }

    #[test]
    fn a_manifest_that_is_applied_anew_takes_over_the_life_that_was_in_use() {
        let nothing = GeodeClusterStatus::default();
        let claims = |marks: [Option<&str>; 2]| {
            let [first, second] = marks;
            BTreeMap::from([claim(0, first), claim(1, second)])
        };
        let restored = divide(&nothing, None, claims([Some("r"), None]));
        assert_eq!(
            (restored.life, restored.in_use.len(), restored.kept.len()),
            (1, 1, 1)
        );
        let undone = divide(&nothing, None, claims([None, Some("r")]));
        assert_eq!(undone.life, 0);
        let remembered = GeodeClusterStatus {
            lives: Some(LivesStatus::default()),
            ..GeodeClusterStatus::default()
        };
        assert_eq!(divide(&remembered, None, claims([Some("r"), None])).life, 0);
        assert_eq!(divide(&nothing, None, BTreeMap::new()).life, 0);
    }
}
