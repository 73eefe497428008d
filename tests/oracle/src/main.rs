//! `geode-oracle --queries N --mixes N --seed S`: asks the engine and the reference evaluator the same, as `cargo xtask oracle` does.

use clap::Parser;
use geode_oracle::{mixes, queries};
use std::process::ExitCode;
use std::time::Instant;

/// Compares Geode's query engine with a naive evaluator on random statements and transactions.
#[derive(Debug, Parser)]
#[command(name = "geode-oracle")]
struct Arguments {
    /// How many statements are compared.
    #[arg(long, default_value_t = 1000)]
    queries: usize,
    /// How many mixes of transactions are judged.
    #[arg(long, default_value_t = 1000)]
    mixes: usize,
    /// Where it begins. Each case has a seed of its own, one more than that of the case before.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    println!("seed {}", arguments.seed);
    let began = Instant::now();
    let outcome = queries::run(arguments.queries, arguments.seed).and_then(|counts| {
        println!("{counts} ({:.1} s)", began.elapsed().as_secs_f64());
        let began = Instant::now();
        let counts = mixes::run(arguments.mixes, arguments.seed)?;
        println!("{counts} ({:.1} s)", began.elapsed().as_secs_f64());
        Ok(())
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(difference) => {
            println!("{difference}");
            ExitCode::FAILURE
        }
    }
}
