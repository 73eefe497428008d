//! What Geode has of GQL: the mandatory subclauses of ISO/IEC 39075:2024, the optional features, and for each one how many cases show it.
//!
//! The cases are in `conformance/*.gql`; the tests of `geode-query` run every one of them, and the build counts them. So nothing is claimed
//! that is not shown, and `system.gql_features` and docs/reference/gql-conformance.md say the same.

use std::fmt::Write as _;

/// A mandatory subclause or an optional feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Number of the subclause, or feature id.
    pub id: &'static str,
    /// What it is called.
    pub title: &'static str,
    cases: [usize; 3],
}

/// All of them, mandatory ones first.
pub const FEATURES: &[Feature] = include!(concat!(env!("OUT_DIR"), "/features.rs"));

/// The least cases for a claim: accepted statements, refused ones, results.
const ENOUGH: [usize; 3] = [3, 2, 3];

/// Whether Geode has a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Shown by enough cases.
    Yes,
    /// Shown by some.
    Partial,
    /// Not shown.
    No,
}

impl Claim {
    /// As tables print it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Partial => "partial",
            Self::No => "no",
        }
    }
}

impl Feature {
    /// Whether an implementation must have it.
    pub fn is_mandatory(&self) -> bool {
        self.id.starts_with(|first: char| first.is_ascii_digit())
    }

    /// The cases that show it: accepted statements, refused ones, results.
    pub fn cases(&self) -> [usize; 3] {
        self.cases
    }

    /// What the cases allow to claim.
    pub fn claim(&self) -> Claim {
        let enough = self
            .cases
            .iter()
            .zip(ENOUGH)
            .all(|(cases, enough)| *cases >= enough);
        match (enough, self.cases) {
            (true, _) => Claim::Yes,
            (false, [0, 0, 0]) => Claim::No,
            (false, _) => Claim::Partial,
        }
    }
}

/// The table as docs/reference/gql-conformance.md has it.
pub fn markdown() -> String {
    let mut out = String::from(
        "# GQL conformance\n\n\
         Made by `cargo xtask generate` from `crates/geode-gql/conformance`; do not edit. `SELECT * FROM system.gql_features` says the same.\n\n\
         A row is *yes* when at least 3 accepted statements, 2 refused ones and 3 results show it; each of them is a test that passes. The numbers \
         of mandatory rows are subclauses of ISO/IEC 39075:2024, ids of optional rows its features.\n\n",
    );
    for (mandatory, title) in [(true, "Mandatory"), (false, "Optional")] {
        let rows = || {
            FEATURES
                .iter()
                .filter(|feature| feature.is_mandatory() == mandatory)
        };
        let claimed = rows().filter(|feature| feature.claim() == Claim::Yes).count();
        let _ = write!(
            out,
            "## {title}\n\n{claimed} of {} claimed.\n\n\
             | id | what | claimed | accepted | refused | results |\n|---|---|---|---|---|---|\n",
            rows().count()
        );
        for feature in rows() {
            let [accepted, refused, results] = feature.cases;
            let (id, what, claim) = (feature.id, feature.title, feature.claim().name());
            let _ = writeln!(
                out,
                "| {id} | {what} | {claim} | {accepted} | {refused} | {results} |"
            );
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

#[cfg(test)]
mod cases;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn ids_are_unique_and_mandatory_ones_come_first() {
        let ids: BTreeSet<&str> = FEATURES.iter().map(|feature| feature.id).collect();
        assert_eq!(ids.len(), FEATURES.len());
        assert!(FEATURES.is_sorted_by_key(|feature| !feature.is_mandatory()));
    }

    #[test]
    fn a_claim_needs_cases_of_every_kind() {
        let claim = |cases| {
            let (id, title) = ("G1", "");
            Feature { id, title, cases }.claim()
        };
        assert_eq!(claim([3, 2, 3]), Claim::Yes);
        assert_eq!(claim([9, 1, 9]), Claim::Partial);
        assert_eq!(claim([0, 0, 0]), Claim::No);
    }

    #[test]
    fn cases_are_counted_by_feature() {
        let text = "=== A one\n--- accepted\nRETURN 1\n\nRETURN 2\n--- refused\nRETURN\n=== B two\n--- query\nRETURN 1 AS a\n--- rows\na\n1\n\
                    --- query\nRETURN\n--- error\nX\n";
        let mut counts = BTreeMap::new();
        cases::count(text, &mut counts);
        assert_eq!(
            counts,
            BTreeMap::from([("A".to_owned(), [2, 1, 0]), ("B".to_owned(), [0, 1, 1])])
        );
    }

    #[test]
    fn the_document_says_what_the_registry_says() {
        let path = "../../docs/reference/gql-conformance.md";
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == markdown(),
            "run `cargo xtask generate` and commit {path}"
        );
    }
}
