//! The process beside every server: archives its log, takes base backups, fetches restores, answers probes and metrics.
//!
//! It reads the same `geode.yaml` as its server and shares two volumes with it: it reads sealed segments on the WAL volume and writes
//! fetched backups to the data volume. It has no state of its own, and never talks to Kubernetes or to another member.

mod archive;
mod backup;
mod copy;
#[cfg(test)]
mod fake;
mod link;
mod metrics;
mod report;
mod restore;
mod tasks;
mod throttle;
mod watch;

use anyhow::Context as _;
use archive::Archiver;
use clap::Parser;
use copy::CopyLoop;
use geode_archive::{Access, Codec, Location, ObjectStore, Service};
use geode_config::{Azure, Config, Gcs, LogFormat, S3};
use geode_log::segment::group_directory;
use geode_telemetry::http::{Answer, Pages};
use geode_types::GroupId;
use link::{CertificateFiles, LocalServer, Server};
use metrics::Metrics;
use report::Shared;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tasks::{Context, Worker};
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;
use watch::{Seen, Verdict};

/// How long it may outlive the order to end: the server beside it ends first, and brings the archive up to date before that.
const LINGER_MAX: Duration = Duration::from_secs(20);
/// How often it looks whether the server is still there.
const LINGER_LOOK: Duration = Duration::from_millis(100);

/// How much the processor is left to the server first (nice(2)): a tenth of its share where both want all of one. In a pod the containers' requests
/// say the same.
const NICE: i32 = 10;

/// The allocator of the static binary: musl's own takes every piece of a file from the kernel and gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Archives the log of the Geode server beside it, and answers its probes.
#[derive(Parser)]
#[command(name = "geode-sidecar", version)]
struct Arguments {
    /// The server's configuration file.
    #[arg(long, env = "GEODE_CONFIG", default_value = "/etc/geode/geode.yaml")]
    config: PathBuf,
}

fn main() -> anyhow::Result<()> {
    // With huge pages the allocator's pieces, which lie far apart, would take 40 MiB more. A kernel without them refuses this.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Threads that come later inherit it. Without it a backup only costs writers more.
    let _ = rustix::process::nice(NICE);
    let arguments = Arguments::parse();
    let config = Config::load(&arguments.config, |name| std::env::var(name).ok())?;
    let json = config.logging.format == LogFormat::Json;
    geode_telemetry::init_logging(&config.logging.level, &config.logging.output, json)?;
    tokio::runtime::Runtime::new()
        .context("cannot start the runtime")?
        .block_on(run(config))
}

async fn run(config: Config) -> anyhow::Result<()> {
    let address = internal_address(&config)?;
    let server: Arc<dyn Server> = Arc::new(LocalServer::new(address, certificate_files(&config)));
    let (seen_sender, seen) = tokio::sync::watch::channel(Seen::new(Instant::now()));
    let (metrics, shared) = (Metrics::new(), Arc::new(Shared::default()));
    let listener = TcpListener::bind(&config.sidecar.listen).await;
    let listener =
        listener.with_context(|| format!("cannot listen on sidecar.listen {}", config.sidecar.listen))?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), server = %address, listen = config.sidecar.listen, "sidecar started");

    tokio::spawn(watch::watch(
        server.clone(),
        seen_sender,
        config.storage.data_dir.clone(),
    ));
    let place = Place::of_archive(&config);
    let copy_place = config.archive.copy.as_ref().map(Place::s3);
    let (archive, copy) = (open(place.as_ref()).await, open(copy_place.as_ref()).await);
    if let Some(store) = &archive {
        let wal_dir = config.wal_dir().join(group_directory(GroupId(0)));
        let archiver = Archiver::new(
            store.clone(),
            codec(&config),
            server.clone(),
            wal_dir,
            shared.clone(),
            metrics.clone(),
        );
        tokio::spawn(archiver.run(seen.clone()));
    } else {
        tracing::info!("no archive is configured: the log is purged by snapshots alone");
    }
    if let (Some(archive), Some(copy)) = (&archive, &copy) {
        let copying = CopyLoop::new(archive.clone(), copy.clone(), metrics.clone());
        tokio::spawn(copying.run(seen.clone()));
    }
    let context = Context {
        server,
        archive,
        copy,
        copy_access: place
            .as_ref()
            .zip(copy_place)
            .map(|(place, copy)| (place.url(), (copy.url(), copy.access))),
        codec: codec(&config),
        access: Access {
            keys: codec(&config).keys,
            ..place.map(|place| place.access).unwrap_or_default()
        },
        data_dir: config.storage.data_dir.clone(),
        metrics: metrics.clone(),
        seen: seen.clone(),
    };
    tokio::spawn(Worker::new(context, shared).run());
    let pages = pages(seen.clone(), metrics, config.server.metrics_listen.clone());
    pages
        .serve(listener, stop_signal(seen.clone()))
        .await
        .context("the listener of probes and metrics failed")?;
    tracing::info!("sidecar stopped");
    Ok(())
}

/// Ends with SIGTERM or SIGINT, but not before the server beside it: that may bring the archive up to date before it ends. An upload that breaks off
/// leaves no object.
async fn stop_signal(seen: Receiver<Seen>) {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::warn!(%error, "SIGTERM will end the process at once");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    let deadline = Instant::now() + LINGER_MAX;
    while Instant::now() < deadline && seen.borrow().answers(Instant::now()) {
        tokio::time::sleep(LINGER_LOOK).await;
    }
}

fn pages(seen: Receiver<Seen>, metrics: Metrics, server_metrics: String) -> Pages {
    let probe = |verdict: fn(&Seen, Instant) -> Verdict| {
        let seen = seen.clone();
        move || {
            let answer = match verdict(&seen.borrow(), Instant::now()) {
                Ok(line) => Answer::ok(line),
                Err(reason) => Answer::unavailable(reason),
            };
            async move { answer }
        }
    };
    Pages::default()
        .with("/startupz", probe(Seen::started))
        .with("/livez", probe(Seen::alive))
        .with("/readyz", probe(Seen::ready))
        .with("/metrics", move || {
            let (metrics, address) = (metrics.clone(), server_metrics.clone());
            async move { Answer::ok(metrics.page(&address).await) }
        })
}

/// The server's internal port as seen from here: the host it listens on, or loopback when it listens on all.
fn internal_address(config: &Config) -> anyhow::Result<SocketAddr> {
    let listen = &config.server.internal_listen;
    if listen.is_empty() {
        anyhow::bail!(
            "server.internal_listen is empty: a sidecar needs the server's internal port, for example 127.0.0.1:3142"
        );
    }
    let mut address: SocketAddr = listen
        .parse()
        .with_context(|| format!("server.internal_listen {listen:?} is not address:port"))?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(address)
}

/// The configured certificates, or those that a server on loopback makes for itself.
fn certificate_files(config: &Config) -> CertificateFiles {
    match &config.server.tls {
        Some(tls) => CertificateFiles {
            cert: tls.cert_file.clone(),
            key: tls.key_file.clone(),
            ca: tls.client_ca.clone(),
        },
        None => own_certificates(&config.storage.data_dir.join("tls")),
    }
}

fn own_certificates(directory: &Path) -> CertificateFiles {
    CertificateFiles {
        cert: directory.join("tls.crt"),
        key: directory.join("tls.key"),
        ca: directory.join("ca.crt"),
    }
}

/// A prefix of a bucket, and how it is reached.
struct Place {
    service: Service,
    bucket: String,
    prefix: String,
    access: Access,
}

impl Place {
    fn url(&self) -> String {
        let prefix = self.prefix.trim_matches('/');
        format!("{}://{}/{prefix}", self.service.scheme(), self.bucket)
    }

    async fn open(&self) -> Arc<dyn ObjectStore> {
        let location = Location::of_bucket(self.service, &self.bucket, &self.prefix);
        location.open(&self.access).await
    }

    fn s3(s3: &S3) -> Self {
        Self {
            service: Service::S3,
            bucket: s3.bucket.clone(),
            prefix: s3.prefix.clone(),
            access: Access {
                endpoint: non_empty(&s3.endpoint),
                region: non_empty(&s3.region),
                credentials_dir: s3.credentials_dir.clone(),
                storage_class: non_empty(&s3.storage_class),
                ..Access::default()
            },
        }
    }

    fn google(gcs: &Gcs) -> Self {
        Self {
            service: Service::Google,
            bucket: gcs.bucket.clone(),
            prefix: gcs.prefix.clone(),
            access: Access {
                endpoint: non_empty(&gcs.endpoint),
                credentials_dir: gcs.credentials_file.clone(),
                ..Access::default()
            },
        }
    }

    fn azure(azure: &Azure) -> Self {
        Self {
            service: Service::Azure,
            bucket: azure.container.clone(),
            prefix: azure.prefix.clone(),
            access: Access {
                endpoint: non_empty(&azure.endpoint),
                credentials_dir: azure.credentials_dir.clone(),
                account: non_empty(&azure.account),
                ..Access::default()
            },
        }
    }

    /// Where the log is archived.
    fn of_archive(config: &Config) -> Option<Self> {
        let archive = &config.archive;
        let cloud = archive.gcs.as_ref().map(Self::google);
        let cloud = cloud.or_else(|| archive.azure.as_ref().map(Self::azure));
        cloud.or_else(|| archive.s3.as_ref().map(Self::s3))
    }
}

async fn open(place: Option<&Place>) -> Option<Arc<dyn ObjectStore>> {
    Some(place?.open().await)
}

fn codec(config: &Config) -> Codec {
    Codec {
        compression: config.archive.compression,
        keys: config
            .archive
            .encryption
            .as_ref()
            .map(|sealed| sealed.keys.clone()),
    }
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
