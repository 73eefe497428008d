//! Statements that the guides have and this version does not carry out: read far enough to be named, and refused with what to do instead.
//! docs/testing.md lists them with reasons.

use super::{Parsed, Parser};
use crate::token::Sym;

/// What a statement begins with, and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["ALTER", "GRAPH"],
        "how many members there are, and where, is said for all graphs in the GeodeCluster; every write waits for a majority of them",
    ),
    (&["CREATE", "POLICY"], NO_POLICIES),
    (&["DROP", "POLICY"], NO_POLICIES),
    (&["ALTER"], "drop and create it again"),
];

const NO_POLICIES: &str = "whoever may read a graph reads all of it; keep what has to be apart in graphs of its own, and GRANT SELECT ON GRAPH";

impl Parser<'_> {
    /// Refuses the statement that begins here, if it is one of those.
    pub(super) fn refuse_known_statement(&self) -> Parsed<()> {
        let Some((words, instead)) = REFUSED.iter().find(|(words, _)| self.begins_with(words)) else {
            return Ok(());
        };
        let last = self.peek(words.len() - 1).span;
        Err(self.not_supported(self.span().to(last), &words.join(" "), instead))
    }

    /// Whether these words come next, and no `=` behind them.
    pub(super) fn begins_with(&self, words: &[&str]) -> bool {
        let all = words
            .iter()
            .enumerate()
            .all(|(at, word)| self.keyword_at(at, word));
        // `CREATE policy = (a)-->(b)` names a path.
        all && !self.symbol_at(words.len(), Sym::Equal)
    }
}
