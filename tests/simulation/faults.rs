//! What goes wrong in a run, and when: each seed has a temper of its own.

use rand::Rng;
use rand::rngs::StdRng;

/// A kind of misfortune.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The members fall apart into two groups.
    Split,
    /// One direction between two members is cut.
    OneWay,
    /// One member is cut off from all others, sometimes long enough that it needs a snapshot.
    Isolate,
    /// Messages are lost, doubled and delayed; or the weather clears up.
    Weather,
    /// A process is killed.
    Kill,
    /// A machine loses power: what was not synced is gone, or torn.
    Power,
    /// The disk fails after some operations, in the middle of whatever is written then.
    DiskDies,
    /// All machines lose power.
    PowerEverywhere,
    /// The next sync of the disk fails.
    SyncFails,
    /// The log's volume is full for a while.
    LogFull,
    /// The store's volume is full for a while.
    StoreFull,
    /// A commit of the store fails.
    StoreFails,
    /// Leadership is handed over.
    Transfer,
}

/// Every seed sees each of these at least once.
const CERTAIN: [Fault; 7] = [
    Fault::Weather,
    Fault::Split,
    Fault::Power,
    Fault::Isolate,
    Fault::Kill,
    Fault::DiskDies,
    Fault::OneWay,
];

/// These come on top, in some seeds.
const POSSIBLE: [Fault; 6] = [
    Fault::PowerEverywhere,
    Fault::SyncFails,
    Fault::LogFull,
    Fault::StoreFull,
    Fault::StoreFails,
    Fault::Transfer,
];

/// How often what goes wrong in a seed.
pub(crate) struct Temper {
    due: Vec<Fault>,
    weighted: Vec<Fault>,
    /// Of a hundred steps, so many bring a misfortune.
    percent: u32,
}

impl Temper {
    pub(crate) fn new(dice: &mut StdRng) -> Self {
        let mut weighted = Vec::new();
        for (faults, weights) in [(&CERTAIN[..], 1..=4), (&POSSIBLE[..], 0..=2)] {
            for fault in faults {
                let weight = dice.random_range(weights.clone());
                weighted.extend(std::iter::repeat_n(*fault, weight));
            }
        }
        let mut due = CERTAIN.to_vec();
        for at in (1..due.len()).rev() {
            due.swap(at, dice.random_range(0..=at));
        }
        Self {
            due,
            weighted,
            percent: dice.random_range(15..40),
        }
    }

    /// What goes wrong in this step.
    pub(crate) fn strike(&mut self, dice: &mut StdRng) -> Option<Fault> {
        if dice.random_range(0..100) >= self.percent {
            return None;
        }
        self.due
            .pop()
            .or_else(|| Some(self.weighted[dice.random_range(0..self.weighted.len())]))
    }
}
