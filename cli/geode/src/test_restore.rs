//! `geode backup test-restore`: restores into a temporary directory, checks it, starts a server on it for the user's queries, and removes it.

use crate::archive::{config_of, goal, goal_of, remove, restore_into};
use crate::args::{Format, TestRestoreArgs};
use crate::shell::split::{Statements, complete_statements, is_blank};
use crate::{Failure, show};
use geode_archive::PARALLEL;
use geode_client::Client;
use geode_config::Config;
use geode_server::restore::{Restored, verify};
use geode_server::{ServeOptions, Server};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The server on the restored directory leads after this time, or something is wrong with it.
const READY_WITHIN: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: TestRestoreArgs) -> Result<(), Failure> {
    let folder = args
        .temp_dir
        .join(format!("geode-test-restore-{:08x}", rand::random::<u32>()));
    let tested = test(&args, &folder.join("data")).await;
    let removed = remove(&folder);
    let (restored, seconds, answers) = tested?;
    removed?;
    if args.format == Format::Table {
        println!("restored up to index {} in {seconds:.1} s", restored.index);
        println!("state hash   {}", restored.state_hash);
        println!("checked      sound");
    } else {
        println!(
            "{}",
            json!({"index": restored.index, "state_hash": restored.state_hash, "seconds": seconds, "clean": true, "queries": answers})
        );
    }
    Ok(())
}

async fn test(args: &TestRestoreArgs, data_dir: &Path) -> Result<(Restored, f64, Vec<Json>), Failure> {
    let begun = Instant::now();
    let goal = match args.archive.place()? {
        (_, Some(backup)) => goal_of(&args.goal, &args.archive, &backup).await?,
        (_, None) => goal(&args.goal)?,
    };
    std::fs::create_dir_all(data_dir.parent().unwrap_or(data_dir))?;
    let restored = restore_into(&args.archive, &goal, PARALLEL, data_dir).await?;
    let seconds = begun.elapsed().as_secs_f64();
    check(data_dir.to_owned()).await?;
    let answers = match &args.run_queries {
        Some(text) => queries(data_dir, text, args.format).await?,
        None => Vec::new(),
    };
    Ok((restored, seconds, answers))
}

async fn check(data_dir: PathBuf) -> Result<(), Failure> {
    let config = config_of(&data_dir);
    let checked =
        tokio::task::spawn_blocking(move || verify(&data_dir, &config.wal_dir(), config.storage.map_size.0))
            .await;
    let report = checked
        .map_err(|error| Failure::Message(format!("the check broke: {error}")))?
        .map_err(|error| Failure::Message(error.to_string()))?;
    if report.is_clean() {
        return Ok(());
    }
    let problems: Vec<&str> = report.all_problems().collect();
    Err(Failure::Message(format!(
        "the restored graph is damaged: {}",
        problems.join("; ")
    )))
}

async fn queries(data_dir: &Path, text: &str, format: Format) -> Result<Vec<Json>, Failure> {
    let config = Config {
        server: geode_config::Server {
            listen: "127.0.0.1:0".to_owned(),
            metrics_listen: String::new(),
            ..geode_config::Server::default()
        },
        ..config_of(data_dir)
    };
    let options = ServeOptions {
        config,
        cluster_init: false,
        join: None,
    };
    let server = Server::start(options).await;
    let server =
        server.map_err(|error| Failure::Message(format!("the restored graph cannot be served: {error}")))?;
    let answers = ask(&server, data_dir, text, format).await;
    server.shutdown().await;
    answers
}

/// A client, once the server leads and has given the user its password.
async fn connect(server: &Server, data_dir: &Path) -> Result<Client, Failure> {
    let begun = Instant::now();
    loop {
        let failure = match try_connect(server, data_dir).await {
            Ok(client) => return Ok(client),
            Err(failure) => failure,
        };
        if begun.elapsed() > READY_WITHIN {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_connect(server: &Server, data_dir: &Path) -> Result<Client, Failure> {
    let password = std::fs::read_to_string(data_dir.join("admin-password"))?;
    let client = Client::builder()
        .endpoints([server.client_address()?.to_string()])
        .user("admin")
        .password(password.trim_end())
        .ca_pem(std::fs::read(data_dir.join("tls/ca.crt"))?)
        .build()?;
    client.query("RETURN 1 AS one").await?;
    Ok(client)
}

async fn ask(server: &Server, data_dir: &Path, text: &str, format: Format) -> Result<Vec<Json>, Failure> {
    let client = connect(server, data_dir).await?;
    let mut answers = Vec::new();
    let Statements { complete, rest } = complete_statements(text);
    let last = Some(rest).filter(|rest| !is_blank(rest));
    for statement in complete.into_iter().chain(last) {
        let answer = client.query(statement).await;
        let answer = answer.map_err(|error| Failure::query(error.to_query_error(), statement, format))?;
        if format == Format::Table {
            show::answer(&mut std::io::stdout(), &answer, format)?;
        } else {
            answers.push(show::answer_json(&answer));
        }
    }
    Ok(answers)
}
