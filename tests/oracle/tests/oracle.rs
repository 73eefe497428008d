//! The engine answers as the reference evaluator does, and transactions could have run one after the other. More of both: `cargo xtask oracle`.

#![allow(clippy::panic, reason = "a test fails by panicking")]

use geode_oracle::{mixes, queries};

/// Where the random cases begin; another one on every day is what `cargo xtask oracle --seed` is for.
const SEED: u64 = 1;

#[test]
fn a_thousand_random_statements_are_answered_as_the_rules_say() {
    match queries::run(1000, SEED) {
        Ok(counts) => {
            println!("seed {SEED}: {counts}");
            assert!(
                2 * counts.without_rows < counts.compared,
                "too many answers are empty to show much: {counts}"
            );
        }
        Err(difference) => panic!("{difference}"),
    }
}

#[test]
fn a_thousand_random_mixes_of_transactions_could_have_run_one_after_the_other() {
    match mixes::run(1000, SEED) {
        Ok(counts) => println!("seed {SEED}: {counts}"),
        Err(difference) => panic!("{difference}"),
    }
}

#[test]
fn without_certification_mixes_of_transactions_break() {
    let broken = mixes::broken_without_certification(200, SEED);
    assert!(
        broken > 10,
        "only {broken} of 200 broke: the test above would show nothing"
    );
}
