//! Where the generator's decisions come from: a seed, or a list of earlier decisions, of which a shorter or smaller one makes a smaller case.
//!
//! So one way of shrinking serves everything that is generated, and every shrunk case is a valid one (MacIver and Donaldson, "Test-case
//! reduction via test-case generation", ECOOP 2020).

/// Decisions.
#[derive(Debug)]
pub(crate) struct Choices {
    /// Decisions that are repeated; behind them every decision is 0.
    given: Option<Vec<u32>>,
    state: u64,
    taken: Vec<u32>,
}

impl Choices {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self {
            given: None,
            state: seed,
            taken: Vec::new(),
        }
    }

    pub(crate) fn again(given: Vec<u32>) -> Self {
        Self {
            given: Some(given),
            state: 0,
            taken: Vec::new(),
        }
    }

    /// A number below `limit`. The generator puts what is simplest at 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = limit.max(1) as u32;
        let choice = match &self.given {
            Some(given) => given.get(self.taken.len()).copied().unwrap_or(0).min(limit - 1),
            None => (random(&mut self.state) % u64::from(limit)) as u32,
        };
        self.taken.push(choice);
        choice as usize
    }

    /// Whether something happens that does so in `percent` of cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    pub(crate) fn taken(self) -> Vec<u32> {
        self.taken
    }
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// How often a case is tried while it is made smaller.
const ATTEMPTS: usize = 1500;

/// The smallest decisions found that still fail: parts are taken out, then decisions made smaller, until neither helps.
pub(crate) fn shrink(mut choices: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> Vec<u32> {
    let mut attempts = 0;
    let mut try_it = |candidate: &[u32]| {
        attempts += 1;
        (attempts <= ATTEMPTS).then(|| fails(candidate))
    };
    loop {
        let before = choices.clone();
        for size in [64, 32, 16, 8, 4, 3, 2, 1] {
            let mut at = choices.len();
            while at > 0 {
                at = at.saturating_sub(size);
                let end = (at + size).min(choices.len());
                let shorter = [&choices[..at], &choices[end..]].concat();
                match try_it(&shorter) {
                    None => return choices,
                    Some(true) => choices = shorter,
                    Some(false) => {}
                }
            }
        }
        for at in 0..choices.len() {
            for smaller in [0, choices[at] / 2, choices[at].saturating_sub(1)] {
                if smaller >= choices[at] {
                    continue;
                }
                let mut candidate = choices.clone();
                candidate[at] = smaller;
                match try_it(&candidate) {
                    None => return choices,
                    Some(true) => choices = candidate,
                    Some(false) => {}
                }
            }
        }
        if choices == before {
            return choices;
        }
    }
}
