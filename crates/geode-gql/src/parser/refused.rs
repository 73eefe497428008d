//! Statements that the guides have and this version does not carry out: read far enough to be named, and refused with what to do instead.
//! docs/testing.md lists them with reasons.

use super::{Parsed, Parser};
use crate::token::Sym;

/// What a statement begins with, and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["SET", "CONSISTENCY", "LEVEL"],
        "every read sees what was acknowledged before it began, which is STRONG; leave the statement away",
    ),
    (
        &["SET", "READ", "PREFERENCE"],
        "connect to the member that shall answer: the Service NAME-read leads to followers",
    ),
    (
        &["SET", "READ", "STALENESS"],
        "name what a read must have seen instead: geode query --read-lsn LSN, with the LSN that a write gave",
    ),
    (
        &["ALTER", "GRAPH"],
        "how many members there are, and where, is said for all graphs in the GeodeCluster; every write waits for a majority of them",
    ),
    (&["CREATE", "USER"], ONE_USER),
    (&["ALTER", "USER"], ONE_USER),
    (&["DROP", "USER"], ONE_USER),
    (&["CREATE", "ROLE"], ONE_USER),
    (&["DROP", "ROLE"], ONE_USER),
    (&["GRANT"], ONE_USER),
    (&["REVOKE"], ONE_USER),
    (&["CREATE", "POLICY"], NO_POLICIES),
    (&["DROP", "POLICY"], NO_POLICIES),
    (&["ALTER"], "drop and create it again"),
];

const ONE_USER: &str =
    "there is one user, auth.admin_user, with the password of the cluster's Secret; it may do everything";

const NO_POLICIES: &str =
    "whoever may read a graph reads all of it; keep what has to be apart in clusters of its own";

impl Parser<'_> {
    /// Refuses the statement that begins here, if it is one of those.
    pub(super) fn refuse_known_statement(&self) -> Parsed<()> {
        let Some((words, instead)) = REFUSED.iter().find(|(words, _)| self.begins_with(words)) else {
            return Ok(());
        };
        let last = self.peek(words.len() - 1).span;
        Err(self.not_supported(self.span().to(last), &words.join(" "), instead))
    }

    fn begins_with(&self, words: &[&str]) -> bool {
        let all = words
            .iter()
            .enumerate()
            .all(|(at, word)| self.keyword_at(at, word));
        // `CREATE user = (a)-->(b)` names a path.
        all && !self.symbol_at(words.len(), Sym::Equal)
    }
}
