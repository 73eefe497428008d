//! `geode-tck --features DIR`: runs the openCypher kit and says how much of it passes.

use clap::Parser;
use geode_tck::report::{self, Counts};
use geode_tck::runner::{self, Selection};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the openCypher Technology Compatibility Kit on Geode's query engine.
#[derive(Debug, Parser)]
#[command(name = "geode-tck")]
struct Arguments {
    /// The folder of the kit's features; its named graphs are in `graphs` beside it.
    #[arg(long)]
    features: PathBuf,
    /// Only features below this folder, such as clauses/match.
    #[arg(long)]
    folder: Option<String>,
    /// Only scenarios whose file or name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Print every scenario that did not pass, and why.
    #[arg(long)]
    failures: bool,
    /// Write the result here, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail when less than this many percent pass.
    #[arg(long, default_value_t = 97.0)]
    at_least: f64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> std::io::Result<bool> {
    let selection = Selection {
        features: arguments.features,
        folder: arguments.folder,
        only: arguments.only,
    };
    let outcomes = runner::run(&selection)?;
    if arguments.failures {
        println!("{}", report::failures(&outcomes));
    }
    print!("{}", report::table(&outcomes));
    if let Some(path) = arguments.json {
        std::fs::write(path, format!("{:#}\n", report::to_json(&outcomes)))?;
    }
    let counts = Counts::of(&outcomes);
    let enough = counts.percent() >= arguments.at_least;
    if !enough {
        println!(
            "{:.1} % passed, wanted are {} %",
            counts.percent(),
            arguments.at_least
        );
    }
    if counts.silent > 0 {
        println!(
            "{} scenarios were answered wrongly without an error",
            counts.silent
        );
    }
    Ok(enough && counts.silent == 0)
}
