//! Structured logs through `tracing`: text for people or JSON, to stderr, stdout or a file.

use std::fs::OpenOptions;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Logging cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is neither a level nor a filter.
    #[error("logging.level {level:?} is not error, warn, info, debug, trace or a filter: {reason}")]
    Level {
        /// What was given.
        level: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file cannot be opened.
    #[error("cannot open the log file {path}: {source}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was set up before.
    #[error("logging is set up twice")]
    Twice,
}

/// Sets up the process's logs. `output` is `stderr`, `stdout` or a file's path.
pub fn init_logging(level: &str, output: &str, json: bool) -> Result<(), LoggingError> {
    // The libraries below log every packet or request; they are heard from warnings on unless a filter names them.
    let filter = if level.contains(['=', ',']) {
        EnvFilter::try_new(level)
    } else {
        EnvFilter::try_new(format!(
            "warn,geode={level},{}",
            OURS.map(|name| format!("{name}={level}")).join(",")
        ))
    };
    let filter = filter.map_err(|error| LoggingError::Level {
        level: level.to_owned(),
        reason: error.to_string(),
    })?;
    let writer = match output {
        "stderr" => BoxMakeWriter::new(std::io::stderr),
        "stdout" => BoxMakeWriter::new(std::io::stdout),
        path => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            BoxMakeWriter::new(Mutex::new(file.map_err(|source| LoggingError::File {
                path: path.to_owned(),
                source,
            })?))
        }
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(false);
    let done = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.try_init()
    };
    done.map_err(|_| LoggingError::Twice)
}

/// Our crates whose events `level` governs.
const OURS: [&str; 10] = [
    "geode_server",
    "geode_sidecar",
    "geode_operator",
    "geode_archive",
    "geode_client",
    "geode_graph",
    "geode_log",
    "geode_query",
    "geode_store",
    "geode_planner",
];
