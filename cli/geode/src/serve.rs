//! `geode serve`: from flags to a running server, and to its end.

use crate::Failure;
use crate::args::ServeArgs;
use geode_config::{Config, LogFormat};
use geode_server::{Ended, Held, ServeOptions, Server, is_fenced};
use std::fs::OpenOptions;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};

/// What stands here is what Kubernetes tells of a container that has ended. Elsewhere there is no such file, and none is made.
const TERMINATION_LOG: &str = "/dev/termination-log";

pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let config = config(&args)?;
    let logging = &config.logging;
    geode_telemetry::init_logging(&logging.level, &logging.output, logging.format == LogFormat::Json)
        .map_err(|error| Failure::Message(error.to_string()))?;
    let is_alone = config.server.internal_listen.is_empty();
    if is_alone && (args.cluster_init || args.join.is_some()) {
        return Err(Failure::Message(
            "a member of a cluster needs server.internal_listen in its configuration, for example 0.0.0.0:3142".to_owned(),
        ));
    }
    if !is_alone && is_fenced(&config) {
        return hold(config).await;
    }
    let local = args.config.is_none().then(|| config.storage.data_dir.clone());
    let options = ServeOptions {
        config,
        cluster_init: args.cluster_init,
        join: args.join,
    };
    let server = Server::start(options).await.map_err(|error| {
        let reason = error.to_string();
        if error.is_damage() {
            damaged(reason)
        } else {
            Failure::Message(reason)
        }
    })?;
    if let (Some(data_dir), Ok(address)) = (local, server.client_address()) {
        // For the person who just typed `geode serve`; logs go to standard error.
        println!("Geode is up on {address}, its data is in {}.", data_dir.display());
        println!("Try, in another terminal of this directory: geode shell --host {address}");
    }
    let ended = tokio::select! {
        ended = server.ended() => Some(ended),
        () = told_to_stop() => None,
    };
    match ended {
        Some(Ended::Fatal(reason)) => {
            return Err(Failure::Message(format!("the server has stopped: {reason}")));
        }
        Some(Ended::Damaged(reason)) => return Err(damaged(reason)),
        Some(Ended::Restart) => {
            eprintln!("the server ends so that the next process takes up what waits in the data directory");
        }
        None => {}
    }
    server.shutdown().await;
    Ok(())
}

/// The server ends because its files are damaged, and says so where Kubernetes keeps it.
fn damaged(reason: String) -> Failure {
    let log = OpenOptions::new().write(true).open(TERMINATION_LOG);
    // It stands on standard error as well.
    let _ = log.and_then(|mut log| log.write_all(reason.as_bytes()));
    Failure::Damaged(reason)
}

/// Until the fence is lifted; the next process takes part again.
async fn hold(config: Config) -> Result<(), Failure> {
    let held = Held::start(config)
        .await
        .map_err(|error| Failure::Message(error.to_string()))?;
    tokio::select! {
        () = held.lifted() => {}
        () = told_to_stop() => {}
    }
    held.shutdown();
    Ok(())
}

fn config(args: &ServeArgs) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => Config::load(path, |name| std::env::var(name).ok())
            .map_err(|error| Failure::Message(format!("the configuration cannot be used: {error}")))?,
        None => Config::default(),
    };
    if let Some(data_dir) = &args.data_dir {
        config.storage.data_dir.clone_from(data_dir);
    }
    if let Some(listen) = &args.listen {
        config.server.listen.clone_from(listen);
        // Clients go on to the address that the member gives them, so it must not stay another one.
        if config.cluster.node.address == Config::default().cluster.node.address {
            config.cluster.node.address = reachable(listen);
        }
        if args.config.is_none() {
            // Two servers of one machine must not fight for the port of the metrics.
            config.server.metrics_listen.clear();
        }
    }
    Ok(config)
}

/// The address under which others reach a listener: its own, or this machine's for one on all addresses.
fn reachable(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "3141"));
    match host {
        "0.0.0.0" | "[::]" | "127.0.0.1" | "[::1]" => format!("localhost:{port}"),
        _ => format!("{host}:{port}"),
    }
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_port_tells_clients_that_port() {
        let args = ServeArgs {
            config: None,
            data_dir: Some("/tmp/x".into()),
            listen: Some("127.0.0.1:13141".to_owned()),
            cluster_init: false,
            join: None,
        };
        let config = config(&args).unwrap();
        assert_eq!(config.cluster.node.address, "localhost:13141");
        assert_eq!(config.storage.data_dir.to_str(), Some("/tmp/x"));
    }
}
