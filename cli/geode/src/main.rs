//! The binary `geode`: the server and everything that is typed at it.
//!
//! `args` is the command line, one module a command; a command returns or fails with a [`Failure`], which is printed here.

mod admin;
mod archive;
mod args;
mod backup;
mod bench;
mod chain;
mod cluster;
mod connect;
mod create;
mod engine;
mod import;
mod jsonl;
mod probe;
mod query;
mod restoring;
mod serve;
mod shell;
mod show;
mod steps;
mod test_restore;
mod wal;

use args::{Cli, Command, Format};
use clap::{CommandFactory, Parser};
use connect::ConnectError;
use geode_client::ClientError;
use geode_types::{EXIT_DAMAGED, QueryError};
use std::process::ExitCode;

/// The allocator of the static binary: musl's own is slow under threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why a command ends, with exit code 1 where nothing else is said.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A statement failed; scripts read the error as JSON on standard output.
    Query {
        error: Box<QueryError>,
        text: String,
        format: Format,
    },
    /// This server's own files are damaged; ends with [`EXIT_DAMAGED`].
    Damaged(String),
    /// Anything else, for people.
    Message(String),
}

impl Failure {
    pub(crate) fn query(error: QueryError, text: &str, format: Format) -> Self {
        Self::Query {
            error: Box::new(error),
            text: text.to_owned(),
            format,
        }
    }

    pub(crate) fn print(&self) {
        match self {
            Self::Query {
                error,
                format: Format::Json | Format::Jsonl,
                ..
            } => println!("{}", show::error_json(error)),
            Self::Query { error, text, .. } => eprintln!("{}", show::error_text(error, text)),
            Self::Damaged(message) | Self::Message(message) => eprintln!("error: {message}"),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Damaged(_) => ExitCode::from(EXIT_DAMAGED),
            Self::Query { .. } | Self::Message(_) => ExitCode::FAILURE,
        }
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Client(error) => error.into(),
            other => Self::Message(other.to_string()),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::query(error.to_query_error(), "", Format::Table)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Message(format!("cannot read or write: {error}"))
    }
}

fn main() -> ExitCode {
    // Libraries below would otherwise have to guess; an error only says that one is installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // With huge pages an idle server has 20 MiB more resident: the allocator's pieces lie far apart. A kernel without them refuses this.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    let command = Cli::parse_from(args::spelled(std::env::args_os())).command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(messaging_threads())
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(command));
    // What still runs may wait for a disk that never answers, and nobody waits for it.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

/// Connections and consensus get half of the cores: statements run on threads of their own, and more of these would mostly wake each other
/// (docs/performance.md).
fn messaging_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args).await,
        Command::Shell(args) => shell::run(args).await,
        Command::Query(args) => query::run(args).await,
        Command::Import(args) => import::run(args).await,
        Command::Ping(args) => probe::ping(args).await,
        Command::Health(args) => probe::health(args).await,
        Command::Ready(args) => probe::ready(args).await,
        Command::Cluster(command) => cluster::run(command).await,
        Command::Admin(command) => admin::run(command).await,
        Command::Backup(command) => backup::run(command).await,
        Command::Restore(args) => archive::restore(args).await,
        Command::WalArchive(args) => wal::archive(args).await,
        Command::WalRestore(args) => wal::restore_segment(args).await,
        Command::WalReplay(args) => wal::replay(args).await,
        Command::Verify(args) => archive::verify(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Man { directory } => {
            std::fs::create_dir_all(&directory)?;
            Ok(clap_mangen::generate_to(Cli::command(), directory)?)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "geode", &mut std::io::stdout());
            Ok(())
        }
    }
}
