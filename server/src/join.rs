//! `--join HOST:PORT`: an empty member asks a cluster for a place, until it has one.

use crate::member::Member;
use crate::tls::TlsWatch;
use geode_client::{InternalConnector, InternalError};
use geode_wire::internal::InternalRequest;
use geode_wire::{CLIENT_PORT, INTERNAL_PORT};
use std::sync::Arc;
use std::time::Duration;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a place that was promised may take before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks the seed, follows it to its leader, and waits until this member takes part.
pub(crate) async fn ask_until_in(member: Arc<Member>, seed: String, tls: TlsWatch) {
    let mut target = internal_address(&seed);
    while !member.raft.status().initialized {
        match ask(&member, &target, &tls).await {
            Ok(()) => wait_for_place(&member).await,
            Err(Refusal::Leader(leader)) => target = leader,
            Err(Refusal::Reason(reason)) => {
                tracing::warn!(seed, target, reason, "no place in a cluster yet; asking again");
                target = internal_address(&seed);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

enum Refusal {
    Leader(String),
    Reason(String),
}

async fn ask(member: &Member, target: &str, tls: &TlsWatch) -> Result<(), Refusal> {
    let reason = |error: &dyn std::fmt::Display| Refusal::Reason(error.to_string());
    let material = tls.borrow().clone();
    let connector =
        InternalConnector::new(&material.ca_pem, &material.identity).map_err(|error| reason(&error))?;
    let address = tokio::net::lookup_host(target)
        .await
        .map_err(|error| reason(&error))?
        .next();
    let address = address.ok_or_else(|| Refusal::Reason(format!("{target} has no address")))?;
    let name = target.rsplit_once(':').map_or(target, |(host, _)| host);
    let client = connector
        .connect(address, name)
        .await
        .map_err(|error| reason(&error))?;
    let request = InternalRequest::Join {
        member: member.raft.address().clone(),
        level: member.raft.level(),
    };
    match client.call(&request).await {
        Ok(_) => Ok(()),
        Err(InternalError::NotLeader(Some(leader))) if leader.internal != target => {
            Err(Refusal::Leader(leader.internal))
        }
        Err(error) => Err(reason(&error)),
    }
}

async fn wait_for_place(member: &Member) {
    let mut status = member.raft.watch();
    let _ = tokio::time::timeout(PATIENCE, status.wait_for(|status| status.initialized)).await;
}

/// The guides write a member's client port here; its internal port is what a joining member talks to.
fn internal_address(seed: &str) -> String {
    match seed.rsplit_once(':') {
        Some((host, port)) if port == CLIENT_PORT.to_string() => format!("{host}:{INTERNAL_PORT}"),
        Some(_) => seed.to_owned(),
        None => format!("{seed}:{INTERNAL_PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::internal_address;

    #[test]
    fn the_guides_client_port_means_the_internal_port_beside_it() {
        for (seed, internal) in [
            ("10.0.0.1:3141", "10.0.0.1:3142"),
            ("db-0.example.com", "db-0.example.com:3142"),
            ("127.0.0.1:7001", "127.0.0.1:7001"),
        ] {
            assert_eq!(internal_address(seed), internal);
        }
    }
}
