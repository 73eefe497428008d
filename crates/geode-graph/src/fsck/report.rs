//! What a check of the store found.

/// How many problems are described; the others are counted.
pub const MAX_PROBLEMS: usize = 100;

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Nodes seen.
    pub nodes: u64,
    /// Edges seen.
    pub edges: u64,
    /// Adjacency blocks seen.
    pub blocks: u64,
    /// The first problems, in words.
    pub problems: Vec<String>,
    /// All problems.
    pub problem_count: u64,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problem_count == 0
    }

    pub(super) fn problem(&mut self, what: impl FnOnce() -> String) {
        self.problem_count += 1;
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(what());
        }
    }
}
