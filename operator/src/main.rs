//! The binary: settings, signals, leadership; then the driver until it ends.

use anyhow::{Context as _, Result};
use clap::Parser;
use geode_operator::context::Context;
use geode_operator::driver;
use geode_operator::lease::Lease;
use geode_operator::settings::{Command, Run, Settings};
use geode_telemetry::http::{Answer, Pages};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

fn main() -> Result<()> {
    match Settings::parse().command {
        Command::Crds => {
            print_crds();
            Ok(())
        }
        Command::Run(run) => {
            rustls::crypto::aws_lc_rs::default_provider()
                .install_default()
                .ok();
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .context("start the runtime")?
                .block_on(serve(run))
        }
    }
}

#[allow(clippy::print_stdout, reason = "the subcommand's output")]
fn print_crds() {
    let documents: Vec<String> = geode_api::crds()
        .iter()
        .map(|crd| crd.yaml().trim_end().to_owned())
        .collect();
    println!("{}", documents.join("\n---\n"));
}

async fn serve(run: Run) -> Result<()> {
    geode_telemetry::init_logging(&run.log_level, "stderr", true).context("start logging")?;
    let client = kube::Client::try_default()
        .await
        .context("find the Kubernetes API server")?;
    let mut shutdown = shutdown()?;
    let context = Arc::new(Context::new(client.clone(), &run));
    serve_pages(&run, &context, shutdown.clone()).await?;

    let lease = match &run.lease_namespace {
        Some(namespace) => Some(Lease::new(client, namespace, &run.identity)),
        None => None,
    };
    if let Some(lease) = &lease {
        tracing::info!(identity = run.identity, "waiting to become the active operator");
        tokio::select! {
            () = lease.acquire() => {}
            _ = shutdown.changed() => return Ok(()),
        }
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "active");
    context.metrics.active.set(1);
    match &lease {
        Some(lease) => {
            driver::run_while_held(lease, context.clone(), shutdown.clone()).await?;
            lease.release().await;
        }
        None => driver::run(context.clone(), shutdown.clone())
            .await
            .context("watch Kubernetes")?,
    }
    Ok(())
}

async fn serve_pages(run: &Run, context: &Arc<Context>, mut shutdown: watch::Receiver<bool>) -> Result<()> {
    let listener = TcpListener::bind(&run.listen)
        .await
        .with_context(|| format!("listen on {}", run.listen))?;
    let pages = Pages::default()
        .with("/healthz", || async { Answer::ok("ok") })
        .with("/readyz", || async { Answer::ok("ok") })
        .with_metrics(context.metrics.registry.clone());
    tokio::spawn(async move {
        let ended = async move { shutdown.changed().await.unwrap_or_default() };
        if let Err(error) = pages.serve(listener, ended).await {
            tracing::error!(%error, "probes and metrics are not served any more");
        }
    });
    Ok(())
}

/// Becomes `true` on SIGTERM or SIGINT.
fn shutdown() -> Result<watch::Receiver<bool>> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("shutting down");
        sender.send_replace(true);
    });
    Ok(receiver)
}
